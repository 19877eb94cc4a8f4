"""Swap that is compressed memory: zram devices, and zswap before the devices.

Source: /sys/block/zram*/{disksize,mm_stat,comp_algorithm}, /sys/module/zswap/parameters/, /proc/meminfo.
Document: Documentation/admin-guide/blockdev/zram.rst, Documentation/admin-guide/mm/zswap.rst.
Since: zram 3.14, mm_stat 4.2; zswap 3.11, meminfo's Zswap and Zswapped 5.19. Permission: anyone.
Cost: 30 µs a device, 50 µs for zswap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from memtui.kernel.files import Files, Gap, parsed
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.values import read_choice, read_number, read_numbers, read_word

_NAME = re.compile(r"zram[0-9]{1,9}")
_OWN_LINES = re.compile(rb"^Zswap[^\n]*\n?", re.MULTILINE)
_BLOCK = "sys/block"
_ZSWAP = "sys/module/zswap/parameters/"
# mm_stat's columns that are shown; the fifth is the highest mem_used so far, the seventh compaction's.
_ORIG, _COMPR, _USED, _LIMIT, _SAME, _HUGE = 0, 1, 2, 3, 5, 7
# Before 4.2 a file each. mem_limit can be read then; zero pages were the only same-filled ones.
_OLD_FILES = {
    _ORIG: "orig_data_size",
    _COMPR: "compr_data_size",
    _USED: "mem_used_total",
    _LIMIT: "mem_limit",
    _SAME: "zero_pages",
}


class Zram(NamedTuple):
    """A device that is set up. `mem_used_bytes` is what it takes of memory for `orig_data_bytes`.

    A limit of 0 is none. `same_pages` take no memory, `huge_pages` did not compress and are stored
    as they are; both count pages. None: not offered.
    """

    name: str
    disksize_bytes: int
    orig_data_bytes: int | None
    compr_data_bytes: int | None
    mem_used_bytes: int | None
    mem_limit_bytes: int | None
    same_pages: int | None
    huge_pages: int | None
    algorithm: str | None


class Zswap(NamedTuple):
    """zswap's settings, and meminfo's Zswap (memory taken) and Zswapped (stored in it)."""

    enabled: bool | None
    compressor: str | None
    max_pool_percent: int | None
    pool_bytes: int | None
    stored_bytes: int | None


def read_zrams(files: Files) -> list[Zram]:
    """Every device of more than no size, by number."""
    names = [name for name in files.names(_BLOCK) if _NAME.fullmatch(name)]
    found = (_read_zram(files, name) for name in sorted(names, key=lambda name: int(name[4:])))
    return [device for device in found if device is not None]


def _read_zram(files: Files, name: str) -> Zram | None:
    own = f"{_BLOCK}/{name}/"
    disksize = read_number(files, own + "disksize")
    if not disksize:
        return None
    stat: dict[int, int | None] = dict(enumerate(read_numbers(files, own + "mm_stat")))
    if not stat:
        for index, file in _OLD_FILES.items():
            stat[index] = read_number(files, own + file)
    return Zram(
        name,
        disksize,
        stat.get(_ORIG),
        stat.get(_COMPR),
        stat.get(_USED),
        stat.get(_LIMIT),
        stat.get(_SAME),
        stat.get(_HUGE),
        read_choice(files, own + "comp_algorithm"),
    )


def read_zswap(files: Files) -> Zswap:
    """All None on a kernel without it."""
    meminfo = files.read("proc/meminfo")
    # Two lines of sixty, which are parsed for others already.
    own = [] if isinstance(meminfo, Gap) else _OWN_LINES.findall(meminfo)
    figures: Mapping[str, int] | Gap = (
        parsed("proc/meminfo", b"".join(own), parse_meminfo) if own else {}
    )
    if isinstance(figures, Gap):
        figures = {}
    return Zswap(
        {"Y": True, "N": False}.get(read_word(files, _ZSWAP + "enabled") or ""),
        read_word(files, _ZSWAP + "compressor"),
        read_number(files, _ZSWAP + "max_pool_percent"),
        figures.get("Zswap"),
        figures.get("Zswapped"),
    )
