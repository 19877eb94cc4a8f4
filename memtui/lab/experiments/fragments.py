"""Fragmentation: free, but in pieces: in a malloc heap, in the address space, in the kernel's orders."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step
from memtui.lab.heap import Heap, allocate, fill, heap, leave_holes, release
from memtui.lab.tools import MIB, address_of, anonymous, checked, libc, no_huge_pages

_BLOCK: Final = 64 << 10
_BLOCKS: Final = 512
_LARGER: Final = (
    120 << 10
)  # than a hole, and still below the threshold from which malloc takes mmap
_LARGER_COUNT: Final = 64
_FITTING: Final = 60 << 10
_HEAP: Final = _BLOCKS * _BLOCK
_RANGE: Final = 256 * MIB  # of addresses
_HOLE: Final = MIB
_FRAMES: Final = 32 * MIB
_NOISE: Final = 2 * MIB  # of the interpreter's own, and holes that malloc had before
_NO_ACCESS: Final = 0  # PROT_NONE
_LOW_ORDERS: Final = 4  # blocks of up to 8 pages


def _program(stage: Stage) -> Iterator[Facts]:
    no_huge_pages()
    leave_holes()
    release(allocate(_BLOCK))
    _heap_facts(heap())
    _orders(stage.page_bytes)
    return _steps(stage.page_bytes)


def _steps(page: int) -> Iterator[Facts]:
    yield from _in_a_heap()
    yield from _in_addresses(page)
    yield from _in_frames(page)


def _in_a_heap() -> Iterator[Facts]:
    start = heap()
    blocks = [allocate(_BLOCK) for _ in range(_BLOCKS)]
    for address in blocks:
        fill(address, _BLOCK)
    yield _heap_facts(start)
    for address in blocks[::2]:
        release(address)
    yield _heap_facts(start)
    larger = [allocate(_LARGER) for _ in range(_LARGER_COUNT)]
    yield _heap_facts(start)
    fitting = [allocate(_FITTING) for _ in range(_LARGER_COUNT)]
    yield _heap_facts(start)
    for address in (*blocks[1::2], *larger, *fitting):
        release(address)


def _heap_facts(start: Heap) -> Facts:
    """Since the start."""
    now = heap()
    return {
        "heap_bytes": max(0, now.end_address - start.end_address),
        "unused_bytes": max(0, now.unused - start.unused),
    }


def _in_addresses(page: int) -> Iterator[Facts]:
    """Every other MiB of a range of addresses is unmapped, and two sizes are asked for there."""
    begin = _map(0, _RANGE, _NO_ACCESS)
    yield {"mappings": _mappings(begin), "holes_bytes": 0, "largest_hole_bytes": 0}
    holes = range(begin + _HOLE, begin + _RANGE, 2 * _HOLE)
    for address in holes:
        _unmap(address, _HOLE)
    sizes = {"holes_bytes": len(holes) * _HOLE, "largest_hole_bytes": _HOLE}
    yield {"mappings": _mappings(begin), **sizes}
    large = _map(holes[0], 2 * _HOLE, _NO_ACCESS)
    small = _map(holes[1], _HOLE, _NO_ACCESS)
    yield {
        "wanted_address": holes[0],
        "large_address": large,
        "large_is_there": int(large == holes[0]),
        "small_is_there": int(small == holes[1]),
        **_orders(page),
    }
    _unmap(large, 2 * _HOLE)
    _unmap(begin, _RANGE)


def _map(hint: int, size_bytes: int, access: int) -> int:
    """mmap at an address if it fits there, else where the kernel likes."""
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
        ctypes.c_long,
    )
    got: int = libc.mmap(hint, size_bytes, access, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    return checked(-1 if got == ctypes.c_void_p(-1).value else got)


def _unmap(address: int, size_bytes: int) -> None:
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    checked(libc.munmap(address, size_bytes))


def _mappings(begin: int) -> int:
    """How many there are in the range."""
    lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    starts = (int(line.partition("-")[0], 16) for line in lines)
    return sum(begin <= start < begin + _RANGE for start in starts)


def _in_frames(page: int) -> Iterator[Facts]:
    """Frames are taken one by one, and every other one is given back."""
    memory = anonymous(_FRAMES)
    memory[::page] = b"x" * (_FRAMES // page)
    yield _orders(page)
    # A page at a time, as the kernel gives back what is asked for together in one go.
    address = address_of(memory)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for offset in range(0, _FRAMES, 2 * page):
        checked(libc.madvise(address + offset, page, mmap.MADV_DONTNEED))
    yield _orders(page)
    checked(libc.madvise(address, _FRAMES, mmap.MADV_DONTNEED))
    yield _orders(page)


def _orders(page: int) -> Facts:
    """What is free on the machine in small blocks and in large ones. Source: /proc/buddyinfo."""
    small = large = 0
    for line in Path("/proc/buddyinfo").read_text().splitlines():
        counts = [int(word) for word in line.split()[4:] if word.isdecimal()]
        sizes = [count * (page << order) for order, count in enumerate(counts)]
        small, large = small + sum(sizes[:_LOW_ORDERS]), large + sum(sizes[_LOW_ORDERS:])
    return {"free_in_small_blocks_bytes": small, "free_in_large_blocks_bytes": large}


def _about(key: str, size_bytes: int, words: str) -> Expected:
    return Expected(key, size_bytes - _NOISE, size_bytes + _NOISE, words=words)


def _is_about(key: str, size_bytes: int, words: str) -> Expected:
    return Expected(key, size_bytes - _NOISE, size_bytes + _NOISE, "value", words)


def _is(key: str, value: int, words: str) -> Expected:
    return Expected(key, value, value, "value", words)


_OF_HEAP: Final = ("heap_bytes", "unused_bytes", "virtual", "rss")
_OF_FRAMES: Final = (
    *("rss", "minor_faults", "on_cpu_lists"),
    *("free_in_small_blocks_bytes", "free_in_large_blocks_bytes"),
)


def _grown(_run: Run) -> tuple[Expected, ...]:
    more = _LARGER * _LARGER_COUNT
    return (
        _is_about("heap_bytes", _HEAP + more, "no hole is large enough: brk again"),
        _is_about("unused_bytes", _HEAP // 2, "all the holes are still there"),
        _about("virtual", more, "the heap has grown"),
    )


def _fitted(_run: Run) -> tuple[Expected, ...]:
    return (
        _is_about("heap_bytes", _HEAP + _LARGER * _LARGER_COUNT, "the heap stands still"),
        _is_about("unused_bytes", _HEAP // 2 - _FITTING * _LARGER_COUNT, "they went into holes"),
    )


EXPERIMENT: Final = Experiment(
    name="fragments",
    title="fragmentation",
    summary="free but in pieces: in a malloc heap, in the address space, in the kernel's orders",
    program=_program,
    order=60,
    steps=(
        Step(
            "a heap of 512 blocks",
            "The program allocates 512 blocks of 64 KiB with malloc, and fills them. Watch the "
            "heap: they "
            "lie one behind the other.",
            _OF_HEAP,
            lambda _: (
                _is_about("heap_bytes", _HEAP, "brk, as the blocks are small"),
                _about("rss", _HEAP, "all of it is written to"),
            ),
        ),
        Step(
            "free every other block",
            "Every other block is freed, half of the heap. Watch RSS and the heap's size.",
            _OF_HEAP,
            lambda _: (
                _is_about("unused_bytes", _HEAP // 2, "malloc has 256 holes of 64 KiB"),
                _is_about("heap_bytes", _HEAP, "the last block is still there"),
                _about("rss", 0, "the kernel has got nothing back"),
            ),
            Prediction(
                "How much will RSS fall?",
                lambda _: ("by half of it", "hardly at all", "by all of it"),
                1,
            ),
        ),
        Step(
            "ask for 64 larger blocks",
            "Now 64 blocks of 120 KiB, 7.5 MiB in all; 16 MiB are free in the heap. Watch "
            "whether they are of "
            "use.",
            _OF_HEAP,
            _grown,
            Prediction(
                "Where will the 7.5 MiB come from?",
                lambda _: ("from the 16 MiB that are free", "from the kernel"),
                1,
            ),
            "Enough is free, but nowhere enough in one piece: this is external fragmentation.",
        ),
        Step(
            "ask for 64 that fit",
            "And 64 blocks of 60 KiB, which is a little less than a hole. Watch the heap stand "
            "still.",
            _OF_HEAP,
            _fitted,
            None,
            "What is left of each hole, 4 KiB, is smaller still.",
        ),
        Step(
            "256 MiB of addresses",
            "The blocks are freed. Now the program maps 256 MiB of addresses without any access, "
            "so that there "
            "is no memory behind them; watch that it is one mapping.",
            ("virtual", "rss", "mappings"),
            lambda _: (
                Expected("mappings", 1, 2, "value", "one range; or two, beside a like one"),
            ),
        ),
        Step(
            "unmap every other MiB",
            "Every other MiB of that range is unmapped. Watch how many mappings there are now: "
            "each is a "
            "structure in the kernel, and vm.max_map_count of them are allowed.",
            ("virtual", "rss", "mappings", "holes_bytes", "largest_hole_bytes"),
            lambda _: (
                Expected("mappings", 128, 129, "value", "a mapping between each two holes"),
                _about("virtual", -_RANGE // 2, "half of the addresses are free"),
            ),
        ),
        Step(
            "ask for 2 MiB there, and for 1 MiB",
            "The program asks for 2 MiB at the address of a hole, and for 1 MiB at that of "
            "another. Watch "
            "where the kernel puts them.",
            ("wanted_address", "large_address", "large_is_there", "small_is_there"),
            lambda _: (
                _is("large_is_there", 0, "128 MiB are free there, but none of it 2 MiB long"),
                _is("small_is_there", 1, "it fits exactly"),
            ),
            Prediction(
                "Will the 2 MiB be mapped at the address that was asked for?",
                lambda _: ("yes", "no, elsewhere", "no, and mmap fails"),
                1,
            ),
            "Of addresses there is no want in 64 bits. In 32 bits this is how a program runs out "
            "of them.",
        ),
        Step(
            "32 MiB of frames",
            "The program touches 32 MiB, page by page. Watch where the machine takes them: from "
            "the lists of "
            "the processors first, then from the smallest blocks, and only then are large ones "
            "split.",
            _OF_FRAMES,
            lambda run: (
                _about("rss", _FRAMES, "a frame for each page"),
                Expected(
                    "minor_faults",
                    _FRAMES // run.stage.page_bytes,
                    _FRAMES // run.stage.page_bytes + 1000,
                    words="one by one",
                ),
            ),
        ),
        Step(
            "give back every other frame",
            "Every other page is given back. Watch what these frames are when they are free: the "
            "neighbour of "
            "each is still in use, so none can be joined with it.",
            _OF_FRAMES,
            lambda _: (_about("rss", -_FRAMES // 2, "half of them"),),
            Prediction(
                "16 MiB become free. Could a huge page of 2 MiB be made of them?",
                lambda _: ("yes, of eight", "no: each is alone"),
                1,
            ),
            "Most wait on the list of a processor, one by one, for whoever wants a page next; "
            "the rest are "
            "blocks of order 0. Compaction, which moves pages, is the way out.",
        ),
        Step(
            "give back the others",
            "The rest is given back too. Watch the blocks be joined again: two free neighbours "
            "become one of "
            "twice the size, and so on.",
            _OF_FRAMES,
            lambda _: (_about("rss", -_FRAMES // 2, "the other half"),),
        ),
    ),
    at_most_bytes=80 * MIB,
    at_most_s=60,
    needs=frozenset({"glibc"}),
    topics=("fragmentation", "malloc", "compaction", "mmap", "huge page"),
)
