"""Where malloc gets it: brk for small blocks, mmap for large ones; what free gives back, what it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step
from memtui.lab.heap import Heap, allocate, fill, heap, leave_holes, release, trim
from memtui.lab.tools import MIB, no_huge_pages

_SMALL: Final = 64 << 10  # below the threshold of 128 KiB that glibc begins with
_COUNT: Final = 256
_LARGE: Final = 16 * MIB  # all small ones together, and the large one
_NOISE: Final = 2 * MIB  # of the interpreter's own, and holes that malloc had before
_FIGURES: Final = ("heap_bytes", "mapped_bytes", "unused_bytes", "virtual", "rss", "minor_faults")


def _program(_stage: Stage) -> Iterator[Facts]:
    no_huge_pages()
    leave_holes()
    for _ in range(2):  # once unmeasured, for what Python itself needs for it
        address = allocate(_SMALL)
        fill(address, _SMALL)
        release(address)
        trim()
        _facts(heap())
    return _steps(heap())


def _steps(start: Heap) -> Iterator[Facts]:
    blocks = [allocate(_SMALL) for _ in range(_COUNT)]
    yield _facts(start)
    for address in blocks:
        fill(address, _SMALL)
    yield _facts(start)
    large = allocate(_LARGE)
    yield {**_facts(start), "small_block_address": blocks[-1], "large_block_address": large}
    fill(large, _LARGE)
    release(large)
    yield _facts(start)
    last = blocks.pop()
    for address in blocks:
        release(address)
    yield _facts(start)
    trim()
    yield _facts(start)
    release(last)
    trim()
    yield _facts(start)


def _facts(start: Heap) -> Facts:
    """Since the start."""
    now = heap()
    return {
        "heap_bytes": max(0, now.end_address - start.end_address),
        "mapped_bytes": max(0, now.mapped - start.mapped),
        "unused_bytes": max(0, now.unused - start.unused),
    }


def _about(key: str, size_bytes: int, words: str) -> Expected:
    return Expected(key, size_bytes - _NOISE, size_bytes + _NOISE, words=words)


def _is(key: str, size_bytes: int, words: str) -> Expected:
    return Expected(key, max(0, size_bytes - _NOISE), size_bytes + _NOISE, "value", words)


def _small(run: Run) -> tuple[Expected, ...]:
    # malloc writes the size of a block before it: that touches a page of each.
    headers = _COUNT * run.stage.page_bytes
    return (
        _is("heap_bytes", _LARGE, "brk has moved the end of the heap"),
        _about("virtual", _LARGE, "as many addresses"),
        Expected("rss", 0, headers + _NOISE, words="of each block the page with its header"),
    )


def _touched(run: Run) -> tuple[Expected, ...]:
    pages, headers = _LARGE // run.stage.page_bytes, _COUNT
    noise = _NOISE // run.stage.page_bytes
    return (
        _is("heap_bytes", _LARGE, "nothing more was asked for"),
        Expected("minor_faults", pages - 2 * headers - noise, pages + noise, words="one a page"),
        Expected(
            "rss",
            _LARGE - 2 * headers * run.stage.page_bytes - _NOISE,
            _LARGE + _NOISE,
            words="the rest of each block",
        ),
    )


EXPERIMENT: Final = Experiment(
    name="malloc",
    title="where malloc gets it",
    summary=(
        "brk for small blocks, mmap for large ones; what free() gives back, keeps, and malloc_trim "
        "takes"
    ),
    program=_program,
    order=30,
    steps=(
        Step(
            "malloc of 256 blocks of 64 KiB",
            "The program asks malloc for 256 blocks of 64 KiB, and writes nothing. Watch the "
            "heap: its end "
            "is moved by brk, and of each block malloc itself touches a page.",
            _FIGURES,
            _small,
            Prediction(
                "16 MiB were asked for. How much will RSS grow?",
                lambda run: (
                    "16 MiB",
                    f"about {_COUNT * run.stage.page_bytes >> 20} MiB",
                    "16 KiB",
                ),
                1,
            ),
            "malloc keeps the size of a block just before it, and writing that is a first touch.",
        ),
        Step(
            "write to them",
            "Now all of them are filled. Watch the faults: malloc has nothing to do with it any "
            "more.",
            _FIGURES,
            _touched,
        ),
        Step(
            "malloc of 16 MiB at once",
            "One block of 16 MiB, as much as the small ones together. Watch whether the heap "
            "grows.",
            (*_FIGURES, "small_block_address", "large_block_address"),
            lambda _: (
                _is("heap_bytes", _LARGE, "the heap stands still"),
                _is(
                    "mapped_bytes",
                    _LARGE,
                    "beyond the threshold of 128 KiB it is a mapping of its own",
                ),
                _about("virtual", _LARGE, "as many addresses"),
                _about("rss", 0, "but for its header nothing is touched"),
            ),
            Prediction("Where will it come from?", lambda _: ("brk, the heap", "mmap"), 1),
            "Look at the two addresses: they lie far apart.",
        ),
        Step(
            "write to it, and free it",
            "The large block is filled and given back by free. Watch it go at once: it was a "
            "mapping, and "
            "free unmaps it.",
            _FIGURES,
            lambda run: (
                _is("mapped_bytes", 0, "munmap"),
                _about("virtual", -_LARGE, "the addresses are free"),
                _about("rss", 0, "what it had while it was full is gone"),
                Expected(
                    "minor_faults",
                    _LARGE // run.stage.page_bytes - 1,
                    _LARGE // run.stage.page_bytes * 2,
                    words="it was touched before",
                ),
            ),
            None,
            "glibc learns from it: from now on blocks up to 16 MiB come from the heap, and the "
            "top of the heap "
            "is given back only where it is larger than 32 MiB.",
        ),
        Step(
            "free all small blocks but the last",
            "255 of the 256 small blocks are given back by free. Watch RSS.",
            _FIGURES,
            lambda _: (
                _is("unused_bytes", _LARGE, "malloc has it, for the next who asks"),
                _is("heap_bytes", _LARGE, "the last block holds the end of the heap"),
                _about("rss", 0, "the kernel has got nothing back"),
            ),
            Prediction(
                "How much will RSS fall?",
                lambda _: ("by 16 MiB", "by half of it", "hardly at all"),
                2,
            ),
            "This is why a program's RSS may stay at its peak: free is a word to malloc, not to "
            "the kernel.",
        ),
        Step(
            "malloc_trim",
            "malloc_trim gives whole free pages back to the kernel, those in the middle of the "
            "heap too. Watch "
            "RSS fall, and the heap stay.",
            _FIGURES,
            lambda _: (
                _about("rss", -_LARGE, "madvise(MADV_DONTNEED) on every free page"),
                _is("heap_bytes", _LARGE, "the last block is still at its end"),
                _about("virtual", 0, "so the addresses stay"),
            ),
            Prediction("Will VIRT fall too?", lambda _: ("yes, by 16 MiB", "no"), 1),
        ),
        Step(
            "free the last, and malloc_trim",
            "The last block goes, and malloc_trim is called once more. Watch brk move back.",
            _FIGURES,
            lambda _: (
                _is("heap_bytes", 0, "nothing is at its end any more"),
                _about("virtual", -_LARGE, "the addresses are given back"),
                _about("rss", 0, "there was hardly anything left"),
            ),
            None,
            "A heap can only shrink from its end: one block there holds all below it.",
        ),
    ),
    at_most_bytes=48 * MIB,
    at_most_s=60,
    needs=frozenset({"glibc"}),
    topics=("malloc", "brk", "mmap", "arena", "RSS", "virtual memory"),
)
