"""Huge pages: the pools set aside, and what is done about transparent ones.

Source: /sys/kernel/mm/hugepages/, /sys/kernel/mm/transparent_hugepage/.
Document: Documentation/admin-guide/mm/hugetlbpage.rst and transhuge.rst. Since: 2.6.27, 2.6.38; sizes
of transparent ones 6.8. Permission: anyone. Cost: 60 µs a pool, 200 µs for the settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from memtui.frozen import FrozenDict
from memtui.kernel.files import Files
from memtui.kernel.values import part, read_choice, read_number

_POOLS = "sys/kernel/mm/hugepages"
_THP = "sys/kernel/mm/transparent_hugepage"
_NAME = re.compile(r"hugepages-([0-9]{1,12})kB")


class HugePool(NamedTuple):
    """The pages of one size; all but `page_bytes` are counts, None where not offered.

    `reserved` ones are promised but not used yet, and among the free ones; `surplus` ones are beyond
    what was set aside, of which `overcommit` allows so many.
    """

    page_bytes: int
    total: int | None
    free: int | None
    reserved: int | None
    surplus: int | None
    overcommit: int | None


class ThpSettings(NamedTuple):
    """The words chosen; None where the kernel has no such setting.

    `pmd_bytes` is the size of a transparent huge page, `sizes` what is chosen for each other size
    (bytes → word, empty before 6.8). The rest is khugepaged's: pages it looks at, and then sleeps;
    rounds done; huge pages made.
    """

    enabled: str | None
    defrag: str | None
    shmem_enabled: str | None
    pmd_bytes: int | None
    sizes: Mapping[int, str]
    pages_to_scan: int | None
    scan_sleep_ms: int | None
    full_scans: int | None
    pages_collapsed: int | None


def read_huge_pools(files: Files) -> list[HugePool]:
    """Every pool, the smallest pages first; none on a kernel without hugetlbfs."""
    pools = []
    for page_bytes, name in _by_size(files, _POOLS):
        total, free, reserved, surplus, overcommit = (
            read_number(files, f"{_POOLS}/{name}/{key}_hugepages")
            for key in ("nr", "free", "resv", "surplus", "nr_overcommit")
        )
        free = part(free, total)
        reserved, surplus = part(reserved, free), part(surplus, total)
        pools.append(HugePool(page_bytes, total, free, reserved, surplus, overcommit))
    return pools


def read_thp(files: Files) -> ThpSettings:
    """All None on a kernel without transparent huge pages."""
    sizes = {
        page_bytes: word
        for page_bytes, name in _by_size(files, _THP)
        # A size for shared memory alone (8 kB) has no such file.
        if (word := read_choice(files, f"{_THP}/{name}/enabled")) is not None
    }
    return ThpSettings(
        enabled=read_choice(files, f"{_THP}/enabled"),
        defrag=read_choice(files, f"{_THP}/defrag"),
        shmem_enabled=read_choice(files, f"{_THP}/shmem_enabled"),
        pmd_bytes=read_number(files, f"{_THP}/hpage_pmd_size"),
        sizes=FrozenDict(sizes),
        pages_to_scan=read_number(files, f"{_THP}/khugepaged/pages_to_scan"),
        scan_sleep_ms=read_number(files, f"{_THP}/khugepaged/scan_sleep_millisecs"),
        full_scans=read_number(files, f"{_THP}/khugepaged/full_scans"),
        pages_collapsed=read_number(files, f"{_THP}/khugepaged/pages_collapsed"),
    )


def _by_size(files: Files, directory: str) -> list[tuple[int, str]]:
    """Subdirectories that name a size, in bytes, ascending."""
    matches = map(_NAME.fullmatch, files.names(directory))
    return sorted((int(match[1]) * 1024, match[0]) for match in matches if match)
