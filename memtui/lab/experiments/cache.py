"""free and the page cache: a file is written, kept in memory, read from there, and dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step
from memtui.lab.tools import (
    MIB,
    cache_stat,
    cached_bytes,
    drop_cache,
    fetched_bytes,
    read_file,
    write_file,
)

_SIZE: Final = 64 * MIB
_OWN: Final = 2 * MIB  # what the interpreter may take itself
_ROOM: Final = 16 * MIB  # for what the kernel itself needs for a file, and counts by processor
_FIGURES: Final = (
    "buff_cache",
    "free",
    "on_cpu_lists",
    "available",
    "file_cached_bytes",
    "rss",
    "turnover",
)


def _program(stage: Stage) -> Iterator[Facts]:
    file = os.open(stage.directory / "file", os.O_RDWR | os.O_CREAT)
    write_file(file, MIB)  # once unmeasured, for what Python itself needs for it
    read_file(file)
    _facts(file, stage.page_bytes, MIB)
    os.ftruncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)
    return _steps(stage, file)


def _steps(stage: Stage, file: int) -> Iterator[Facts]:
    page = stage.page_bytes
    write_file(file, _SIZE)
    yield _facts(file, page)
    os.fsync(file)
    yield _facts(file, page)
    yield _read(file, page)
    drop_cache(file)
    yield _facts(file, page)
    yield _read(file, page)
    os.unlink(stage.directory / "file")
    yield _facts(file, page)
    os.close(file)
    yield {}


def _read(file: int, page_bytes: int) -> Facts:
    before = fetched_bytes()
    read_file(file)
    after = fetched_bytes()
    from_disk = {} if before is None or after is None else {"from_disk_bytes": after - before}
    return {**_facts(file, page_bytes), **from_disk}


def _facts(file: int, page_bytes: int, size_bytes: int = _SIZE) -> Facts:
    stat = cache_stat(file)
    dirty = {} if stat is None else {"file_dirty_bytes": (stat.dirty + stat.writeback) * page_bytes}
    return {"file_cached_bytes": cached_bytes(file, size_bytes), **dirty}


def _grows(run: Run) -> tuple[Expected, ...]:
    return (
        _cached(_SIZE, "all of the file is in memory"),
        *_of_machine(run, _SIZE),
        Expected("rss", -_OWN, _OWN, words="the cache is the kernel's, and no process's"),
    )


def _shrinks(run: Run) -> tuple[Expected, ...]:
    return _of_machine(run, -_SIZE)


def _of_machine(run: Run, cached_bytes: int) -> tuple[Expected, ...]:
    """What is cached is not free, and can be had. What the processors keep on their own lists counts
    as neither; and nobody can have moved more than was allocated and freed meanwhile."""
    aside = run.change("on_cpu_lists") or 0
    others = max(0, (run.change("turnover") or 0) - _SIZE)

    def about(key: str, size_bytes: int, words: str) -> Expected:
        room = _ROOM + others
        return Expected(key, size_bytes - room, size_bytes + room, words=words)

    return (
        about("buff_cache", cached_bytes, "the file, and what others did meanwhile"),
        about("free", -cached_bytes - aside, "what buff/cache took or gave"),
        about("available", -aside, "what is cached can be had"),
    )


def _cached(size_bytes: int, words: str) -> Expected:
    return Expected("file_cached_bytes", size_bytes, size_bytes, "value", words)


def _dirty(run: Run, low: int, high: int, words: str) -> tuple[Expected, ...]:
    """Where the kernel tells."""
    if "file_dirty_bytes" not in run.facts:
        return ()
    return (Expected("file_dirty_bytes", low, high, "value", words),)


def _fetched(run: Run, low: int, high: int, words: str) -> tuple[Expected, ...]:
    """Where the kernel counts it."""
    if "from_disk_bytes" not in run.facts:
        return ()
    return (Expected("from_disk_bytes", low, high, "value", words),)


EXPERIMENT: Final = Experiment(
    name="cache",
    title="free and the page cache",
    summary="a file is written, read and dropped: what free, buff/cache and available make of it",
    program=_program,
    order=10,
    steps=(
        Step(
            "write a file of 64 MiB",
            "The program writes 64 MiB to a new file; the kernel takes them into its page cache "
            "and writes "
            "them to the disk later. Watch free fall, buff/cache grow, and available hardly move.",
            (*_FIGURES, "file_dirty_bytes"),
            lambda run: (
                *_grows(run),
                *_dirty(
                    run, 0, _SIZE, "written to memory only, unless the kernel has begun already"
                ),
            ),
            Prediction(
                "How much will available fall?",
                lambda _: ("by about 64 MiB", "by 32 MiB", "hardly at all"),
                2,
            ),
            "Memory that holds a copy of a file is not lost: it is the next to be given away.",
        ),
        Step(
            "fsync",
            "fsync waits until everything is on the disk. Watch what is dirty go, and the cache "
            "stay.",
            ("file_dirty_bytes", "dirty", "writeback", "buff_cache", "file_cached_bytes"),
            lambda run: (
                _cached(_SIZE, "being written does not take it out of memory"),
                *_dirty(run, 0, 0, "all is on the disk"),
            ),
            Prediction("What is in the cache afterwards?", lambda _: ("nothing", "all of it"), 1),
            "A clean page can be dropped at once; a dirty one has to be written before.",
        ),
        Step(
            "read it",
            "The program reads the whole file. Watch that nothing comes from the disk, and "
            "nothing grows.",
            ("from_disk_bytes", "buff_cache", "file_cached_bytes", "rss"),
            lambda run: (
                _cached(_SIZE, "it was there already"),
                *_fetched(run, 0, 0, "every byte came from memory"),
            ),
            Prediction(
                "How much will be read from the disk?",
                lambda _: ("nothing", "64 MiB", "128 MiB"),
                0,
            ),
            "This is what the cache is for.",
        ),
        Step(
            "drop it",
            "posix_fadvise(POSIX_FADV_DONTNEED) tells the kernel that the file is not needed any "
            "more; "
            "anyone may say so of a file. Watch free take back what buff/cache gives.",
            _FIGURES,
            lambda run: (_cached(0, "clean pages that nobody maps can go"), *_shrinks(run)),
            Prediction(
                "How much will available grow?",
                lambda _: ("by about 64 MiB", "hardly at all"),
                1,
            ),
            "root can drop everybody's clean pages by writing 1 to /proc/sys/vm/drop_caches. The "
            "machine gains nothing by it: it has to read them again.",
        ),
        Step(
            "read it again",
            "Once more the whole file. Watch where it comes from now.",
            ("from_disk_bytes", *_FIGURES),
            lambda run: (
                *_grows(run),
                *_fetched(run, _SIZE, _SIZE + 4 * MIB, "nothing of it was in memory"),
            ),
            Prediction("How much will be read from the disk?", lambda _: ("nothing", "64 MiB"), 1),
            "Reading fills the cache as writing does. What frames came from the processors' own lists were "
            "counted neither as free nor as available.",
        ),
        Step(
            "unlink it",
            "The name of the file is removed, while the program still has it open. Watch the "
            "cache stay.",
            ("file_cached_bytes", "buff_cache", "free"),
            lambda run: (_cached(_SIZE, "the file lives as long as somebody has it open"),),
        ),
        Step(
            "close it",
            "The last that had it open closes it, and the file is gone. Watch its pages go with "
            "it.",
            ("buff_cache", "free", "on_cpu_lists", "available", "turnover"),
            _shrinks,
            None,
            "A cache of a file that is gone is of no use to anybody: it becomes free at once.",
        ),
    ),
    at_most_bytes=72 * MIB,
    at_most_s=120,
    needs=frozenset({"disk"}),
    topics=("free", "buff/cache", "available", "page cache", "dirty", "writeback"),
)
