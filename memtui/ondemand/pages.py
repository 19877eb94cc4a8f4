"""Pagemap's entries of a run of pages, and which of them are parts of huge pages."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from memtui.kernel.files import Files, Gap
from memtui.kernel.pagemap import (
    KPF_COMPOUND_HEAD,
    KPF_COMPOUND_TAIL,
    KPF_HUGE,
    KPF_THP,
    PRESENT,
    frame,
    read_block_flags,
    read_page_flags,
    read_pagemap,
)
from memtui.kernel.process import read_identity
from memtui.model.keys import ProcessKey


class PagesReading(NamedTuple):
    """An entry a page from the address `start` on; fewer than asked for where there are no more.

    `huge`: a byte for each entry, 1 for parts of huge pages; None: not asked for, or hidden.
    """

    key: ProcessKey
    start: int
    entries: array[int]
    huge: bytes | None


def read_pages(
    files: Files, key: ProcessKey, start: int, count: int, page_bytes: int, detailed: bool
) -> PagesReading | Gap:
    """`count` pages from the one that holds `start`, told apart from another process's with the
    pid. A process without an address space has no entries.

    `detailed` asks for each frame's flags as well, 3 µs a page: for what is on a screen.
    """
    start -= start % page_bytes
    entries = read_pagemap(files, key.pid, start, count, page_bytes)
    stat = read_identity(files, key.pid)
    if isinstance(stat, Gap) or stat.starttime != key.start_time_ticks:
        return Gap(f"proc/{key.pid}/pagemap", "gone")
    if isinstance(entries, Gap):
        if entries.reason != "gone":
            return entries
        entries = array("Q")  # a kernel thread or a zombie: it is there, its memory is not
    huge = _huge(files, entries, page_bytes) if detailed else None
    return PagesReading(key, start, entries, huge)


def is_huge(files: Files, pfn: int, flags: int, page_bytes: int) -> bool:
    """Whether a frame with these flags is part of a page that one PMD entry could map (or of a
    hugetlb page). THP alone does not tell: any folio of several pages has it."""
    if flags & KPF_HUGE:
        return True
    return bool(flags & KPF_THP) and _is_whole(files, pfn, page_bytes)


def _is_whole(files: Files, pfn: int, page_bytes: int) -> bool:
    """Whether the frames that one PMD entry would map are one compound page."""
    frames = page_bytes // 8  # as many as a table has entries
    block = read_block_flags(files, pfn // frames * frames, frames)
    return (
        not isinstance(block, Gap)
        and len(block) == frames
        and bool(block[0] & KPF_COMPOUND_HEAD)
        and all(flags & KPF_COMPOUND_TAIL for flags in block[1:])
    )


def _huge(files: Files, entries: array[int], page_bytes: int) -> bytes | None:
    huge = bytearray(len(entries))
    frames_in_block = page_bytes // 8
    whole: dict[int, bool] = {}
    for at, entry in enumerate(entries):
        if not entry & PRESENT:
            continue
        pfn = frame(entry)
        if pfn is None:
            return None  # hidden from this user, and so is every other
        flags = read_page_flags(files, pfn)
        if isinstance(flags, Gap):
            return None
        if flags & KPF_HUGE:
            huge[at] = 1
        elif flags & KPF_THP:
            block = pfn // frames_in_block
            if block not in whole:
                whole[block] = _is_whole(files, pfn, page_bytes)
            huge[at] = whole[block]
    return bytes(huge)
