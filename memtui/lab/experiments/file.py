"""Mapping a file, shared and private: major and minor faults, copies, dirty pages and writeback."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from typing import Final

from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step
from memtui.lab.tools import MIB, cache_stat, cached_bytes, drop_cache, write_file

_SIZE: Final = 16 * MIB
_COPIED: Final = 4 * MIB
_NOISE: Final = (
    2 * MIB
)  # of the interpreter's own, and of counters that the kernel keeps by processor
_FAULTS: Final = 100  # of the interpreter's own
_WRITTEN: Final = 33  # through the shared mapping
_KEPT: Final = 7  # in the private one


def _program(stage: Stage) -> Iterator[Facts]:
    file = os.open(stage.directory / "file", os.O_RDWR | os.O_CREAT)
    write_file(file, _SIZE)
    page = stage.page_bytes
    for flags in (
        mmap.MAP_SHARED,
        mmap.MAP_PRIVATE,
    ):  # once unmeasured, for what Python itself needs
        with mmap.mmap(file, _SIZE, flags=flags) as mapping:
            _look(mapping, page)
            _write(mapping, page, _SIZE, 0)
            mapping.flush()
    _facts(file, page)
    drop_cache(file)
    return _steps(file, page)


def _steps(file: int, page: int) -> Iterator[Facts]:
    shared = mmap.mmap(file, _SIZE, flags=mmap.MAP_SHARED)
    yield _facts(file, page)
    _look(shared, page)
    yield _facts(file, page)
    private = mmap.mmap(file, _SIZE, flags=mmap.MAP_PRIVATE)
    _look(private, page)
    yield _facts(file, page)
    _write(shared, page, _SIZE, _WRITTEN)
    yield {**_facts(file, page), "byte_in_the_private_one": private[0]}
    _write(private, page, _COPIED, _KEPT)
    yield {
        **_facts(file, page),
        "byte_in_the_private_one": private[0],
        "byte_in_the_file": os.pread(file, 1, 0)[0],
    }
    shared.flush()
    yield _facts(file, page)
    private.close()
    yield {**_facts(file, page), "byte_in_the_file": os.pread(file, 1, 0)[0]}


def _look(mapping: mmap.mmap, page: int) -> None:
    """Reads a byte of each page."""
    assert len(mapping[::page]) == _SIZE // page


def _write(mapping: mmap.mmap, page: int, size_bytes: int, value: int) -> None:
    """Writes a byte into each page."""
    mapping[:size_bytes:page] = bytes((value,)) * (size_bytes // page)


def _facts(file: int, page: int) -> Facts:
    stat = cache_stat(file)
    dirty = {} if stat is None else {"file_dirty_bytes": (stat.dirty + stat.writeback) * page}
    return {"file_cached_bytes": cached_bytes(file, _SIZE), **dirty}


def _about(key: str, size_bytes: int, words: str) -> Expected:
    return Expected(key, size_bytes - _NOISE, size_bytes + _NOISE, words=words)


def _cold(run: Run) -> tuple[Expected, ...]:
    return (
        Expected(
            "major_faults",
            1,
            _SIZE // run.stage.page_bytes,
            words="each waited for the disk, for many pages",
        ),
        _about("rss", _SIZE, "every page is mapped now"),
        _about("rss_file", _SIZE, "and belongs to the file"),
        Expected("file_cached_bytes", _SIZE, _SIZE, "value", "it was read into the page cache"),
    )


def _warm(run: Run) -> tuple[Expected, ...]:
    pages = _SIZE // run.stage.page_bytes
    return (
        Expected("major_faults", 0, 0, words="nothing had to be waited for"),
        Expected(
            "minor_faults",
            1,
            pages + _FAULTS,
            words="the kernel maps neighbours of a page along with it",
        ),
        _about("virtual", _SIZE, "another range of addresses"),
        _about("rss", _SIZE, "RSS counts a page once for each mapping"),
        _about("pss", 0, "PSS counts it once: it is the same memory"),
    )


def _written(run: Run) -> tuple[Expected, ...]:
    pages = _SIZE // run.stage.page_bytes
    return (
        Expected(
            "minor_faults",
            1,
            pages + _FAULTS,
            words="the first write to a clean page is told to the file system",
        ),
        _about("rss", 0, "no memory more"),
        *_dirty(run, 0, _SIZE, "to be written by the kernel, if it has not begun"),
        Expected(
            "byte_in_the_private_one",
            _WRITTEN,
            _WRITTEN,
            "value",
            "it still shows the file's own pages",
        ),
    )


def _copied(run: Run) -> tuple[Expected, ...]:
    pages = _COPIED // run.stage.page_bytes
    return (
        Expected(
            "minor_faults", pages, pages + _FAULTS, words="one fault a page, each with a copy"
        ),
        _about("rss_anon", _COPIED, "the copies are anonymous: no file has them"),
        _about("rss_file", -_COPIED, "in place of the file's"),
        _about("rss", 0, "one for one"),
        _about("pss", _COPIED, "but this is memory more"),
        Expected("byte_in_the_private_one", _KEPT, _KEPT, "value", "what was written"),
        Expected("byte_in_the_file", _WRITTEN, _WRITTEN, "value", "not touched by it"),
    )


def _dirty(run: Run, low: int, high: int, words: str) -> tuple[Expected, ...]:
    """Where the kernel tells."""
    if "file_dirty_bytes" not in run.facts:
        return ()
    return (Expected("file_dirty_bytes", low, high, "value", words),)


EXPERIMENT: Final = Experiment(
    name="file",
    title="mapping a file",
    summary="shared and private, major and minor faults, copies, dirty pages and their writeback",
    program=_program,
    order=50,
    steps=(
        Step(
            "mmap a file of 16 MiB, shared",
            "The file is on the disk alone; the program maps it with MAP_SHARED and touches "
            "nothing. Watch "
            "VIRT, and that nothing is read.",
            ("virtual", "rss", "minor_faults", "major_faults", "file_cached_bytes"),
            lambda run: (
                _about("virtual", _SIZE, "a range of addresses"),
                _about("rss", 0, "and no memory"),
                Expected("major_faults", 0, 0, words="nothing was touched"),
                Expected("file_cached_bytes", 0, _NOISE, "value", "nothing was read"),
            ),
        ),
        Step(
            "read a byte of each page",
            "Now it reads one byte of each page, in order. Watch the major faults, which wait "
            "for the disk, "
            "and how many pages each brings: the kernel reads ahead.",
            ("major_faults", "minor_faults", "rss", "rss_file", "rss_anon", "file_cached_bytes"),
            _cold,
            Prediction(
                "How many major faults will there be?",
                lambda run: (
                    "none",
                    "far fewer than pages",
                    f"{_SIZE // run.stage.page_bytes:,}, one a page",
                ),
                1,
            ),
            "The pages are the page cache's own: a mapping of a file is a window on it.",
        ),
        Step(
            "map it once more, private, and read that",
            "The same file again with MAP_PRIVATE, read in the same way. Watch RSS against PSS, "
            "and the "
            "faults: all of it is in memory.",
            ("virtual", "major_faults", "minor_faults", "rss", "pss", "file_cached_bytes"),
            _warm,
            Prediction(
                "How many major faults this time?", lambda _: ("none", "as many as before"), 0
            ),
            "As long as it is only read, private and shared are the same pages.",
        ),
        Step(
            "write to the shared mapping",
            "It writes a byte into each page of the shared mapping. Watch what is dirty: the "
            "disk has not "
            "heard of it.",
            (
                "minor_faults",
                "rss",
                "rss_anon",
                "file_dirty_bytes",
                "dirty",
                "byte_in_the_private_one",
            ),
            _written,
            Prediction(
                "Is it seen through the private mapping?",
                lambda _: ("yes, those are the same pages", "no, it is private"),
                0,
            ),
            "What is written to a shared mapping is the file, for everybody who maps or reads it.",
        ),
        Step(
            "write to a quarter of the private mapping",
            "Now a byte into each of the first 4 MiB of the private mapping. Watch file pages be "
            "replaced by "
            "anonymous ones: copy on write.",
            (
                "minor_faults",
                "rss",
                "rss_file",
                "rss_anon",
                "pss",
                "byte_in_the_private_one",
                "byte_in_the_file",
            ),
            _copied,
            Prediction(
                "How much will RSS grow?",
                lambda _: ("hardly at all", "by 4 MiB", "by 16 MiB"),
                0,
            ),
            "RSS counted the file's page there before, and counts its copy now. PSS tells the "
            "price.",
        ),
        Step(
            "msync",
            "msync writes what is dirty in the shared mapping, and waits. Watch it go; the pages "
            "stay.",
            ("file_dirty_bytes", "dirty", "writeback", "rss", "file_cached_bytes"),
            lambda run: (
                *_dirty(run, 0, 0, "all is on the disk"),
                _about("rss", 0, "what is clean stays mapped"),
                Expected("file_cached_bytes", _SIZE, _SIZE, "value", "and in the cache"),
            ),
            None,
            "Without msync the kernel does it by itself, after some 30 seconds or when much is "
            "dirty.",
        ),
        Step(
            "munmap the private one",
            "The private mapping is unmapped. Watch what becomes of the copies.",
            ("virtual", "rss", "rss_anon", "pss", "file_cached_bytes", "byte_in_the_file"),
            lambda run: (
                _about("rss_anon", -_COPIED, "nobody else has them: they are lost"),
                _about("rss", -_SIZE, "the copies, and the file's pages in that window"),
                Expected("byte_in_the_file", _WRITTEN, _WRITTEN, "value", "never came to the file"),
            ),
            Prediction(
                "Where is what was written to the private one?",
                lambda _: ("in the file", "nowhere"),
                1,
            ),
        ),
    ),
    at_most_bytes=40 * MIB,
    at_most_s=120,
    needs=frozenset({"disk"}),
    topics=("mmap", "major faults", "minor faults", "copy-on-write", "PSS", "dirty", "writeback"),
)
