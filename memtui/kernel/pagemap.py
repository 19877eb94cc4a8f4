"""The pages of a process one by one, and what the kernel knows of the frames behind them.

Source: /proc/PID/pagemap, /proc/kpageflags, /proc/kpagecount. Document:
Documentation/admin-guide/mm/pagemap.rst. Since: 2.6.25; FILE_OR_SHARED 3.5, EXCLUSIVE 4.2, UFFD_WP
5.13, GUARD 6.15 (6.13 and 6.14 call such a page swapped).
Permission: pagemap ptrace read access; frame numbers and places in swap are 0 for a reader who
opened it without CAP_SYS_ADMIN in the first user namespace. kpageflags and kpagecount are root's.
Cost: 15 ns a page of pagemap, 3 µs a call for one frame.
"""

from __future__ import annotations

import sys
from array import array
from typing import Final, NamedTuple

from memtui.kernel.files import Files, Gap
from memtui.kernel.threads import living

PRESENT: Final = 1 << 63
SWAPPED: Final = 1 << 62
FILE_OR_SHARED: Final = 1 << 61
GUARD: Final = 1 << 58
UFFD_WP: Final = 1 << 57
EXCLUSIVE: Final = 1 << 56
SOFT_DIRTY: Final = 1 << 55

_ENTRY_BYTES: Final = 8
_FRAME_MASK: Final = (1 << 55) - 1
_SWAP_TYPE_BITS: Final = 5
# Of the 32 types those for real devices come first, 23 of them where the kernel has every option;
# the others are a migration under way, a poisoned page, memory of a device, a marker.
_SWAP_TYPES: Final = 23


class Bit(NamedTuple):
    """A bit of an entry or of a frame's flags: the kernel's name for it, and plain words."""

    mask: int
    name: str
    words: str


BITS: Final = (
    Bit(PRESENT, "PRESENT", "in memory"),
    Bit(SWAPPED, "SWAPPED", "swapped out, or an entry of the kernel's own in its place"),
    Bit(FILE_OR_SHARED, "FILE", "page of a file or of shared memory"),
    Bit(GUARD, "GUARD", "guard set up by madvise: every access is an error"),
    Bit(UFFD_WP, "UFFD_WP", "userfaultfd watches for writes"),
    Bit(EXCLUSIVE, "EXCLUSIVE", "mapped here and nowhere else"),
    Bit(SOFT_DIRTY, "SOFT_DIRTY", "written since soft-dirty bits were cleared, or never cleared"),
)

KPF_COMPOUND_HEAD: Final = 1 << 15
KPF_COMPOUND_TAIL: Final = 1 << 16
KPF_HUGE: Final = 1 << 17
KPF_NOPAGE: Final = 1 << 20
KPF_THP: Final = 1 << 22
KPF_ZERO_PAGE: Final = 1 << 24

# include/uapi/linux/kernel-page-flags.h; bits from 32 on are for the kernel's developers, and move.
FLAGS: Final = tuple(
    Bit(1 << number, name, words)
    for number, (name, words) in enumerate(
        (
            ("LOCKED", "locked, as while it is read or written"),
            ("ERROR", "reading or writing it failed"),
            ("REFERENCED", "used since it was last looked at for reclaim"),
            ("UPTODATE", "holds what it should"),
            ("DIRTY", "changed since it was last written out"),
            ("LRU", "on one of the lists that reclaim looks through"),
            ("ACTIVE", "on an active list: reclaimed later"),
            ("SLAB", "holds the kernel's own objects"),
            ("WRITEBACK", "being written out"),
            ("RECLAIM", "reclaimed once it is written out"),
            ("BUDDY", "free, in the page allocator"),
            ("MMAP", "mapped by a process"),
            ("ANON", "anonymous: of no file"),
            ("SWAPCACHE", "has a place in swap as well"),
            ("SWAPBACKED", "would go to swap, not to a file"),
            ("COMPOUND_HEAD", "first page of a larger one"),
            ("COMPOUND_TAIL", "further page of a larger one"),
            ("HUGE", "of a huge page of the hugetlb pool"),
            ("UNEVICTABLE", "may not be reclaimed: mlocked, or of a ramfs"),
            ("HWPOISON", "hardware found it broken"),
            ("NOPAGE", "no page frame at this address"),
            ("KSM", "same as others, and merged with them"),
            ("THP", "of a transparent huge page, or a smaller folio of several pages"),
            ("OFFLINE", "taken out of use"),
            ("ZERO_PAGE", "the page of zeros that everybody shares"),
            ("IDLE", "unused since it was marked idle"),
            ("PGTABLE", "holds page tables"),
        )
    )
)


def read_pagemap(
    files: Files, pid: int, start: int, pages: int, page_bytes: int
) -> array[int] | Gap:
    """An entry for each of `pages` pages from the address `start`, opened anew: it is bound to one
    address space and goes stale at an exec.

    Fewer where the addresses that a process may map end ([vsyscall] has none). A process without
    an address space, as kernel threads, has none; since 6.16 the kernel says "gone" for it.
    """
    offset = start // page_bytes * _ENTRY_BYTES
    data = files.read_at(f"{living(files, pid)}/pagemap", offset, pages * _ENTRY_BYTES)
    return data if isinstance(data, Gap) else array("Q", data[: len(data) // 8 * 8])


def frame(entry: int) -> int | None:
    """The page frame number. None: not in memory, or hidden (0, which is nobody's page)."""
    return entry & _FRAME_MASK or None if entry & PRESENT else None


def is_hidden(entry: int) -> bool:
    """Whether the kernel keeps the frame number or the place in swap from this reader."""
    return bool(entry & (PRESENT | SWAPPED)) and not entry & _FRAME_MASK


def swap_place(entry: int) -> tuple[int, int] | None:
    """(number of the swap device, page in it). None: not in swap, or hidden (0, its header)."""
    if not entry & SWAPPED or entry & (PRESENT | GUARD):
        return None
    type_ = entry & (1 << _SWAP_TYPE_BITS) - 1
    offset = (entry & _FRAME_MASK) >> _SWAP_TYPE_BITS
    return (type_, offset) if offset and type_ < _SWAP_TYPES else None


def read_page_flags(files: Files, pfn: int) -> int | Gap:
    """The bits of `FLAGS` for a frame: KPF_NOPAGE where memory has a hole, or has ended."""
    flags = read_block_flags(files, pfn, 1)
    return flags if isinstance(flags, Gap) else flags[0] if flags else KPF_NOPAGE


def read_block_flags(files: Files, pfn: int, frames: int) -> array[int] | Gap:
    """The flags of `frames` frames from `pfn` on; fewer where memory ends."""
    data = files.read_at("proc/kpageflags", pfn * _ENTRY_BYTES, frames * _ENTRY_BYTES)
    return data if isinstance(data, Gap) else array("Q", data[: len(data) // 8 * 8])


def read_map_count(files: Files, pfn: int) -> int | Gap:
    """How often page tables point at a frame: 0 where memory has ended."""
    data = files.read_at("proc/kpagecount", pfn * _ENTRY_BYTES, _ENTRY_BYTES)
    return data if isinstance(data, Gap) else int.from_bytes(data, sys.byteorder)
