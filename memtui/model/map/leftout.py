"""What a core dump leaves out of a process's memory, and why: coredump_filter in words.

Document: core(5), "Controlling which mappings are written to the core dump"; vma_dump_size in
fs/coredump.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from memtui.model.map.addressmap import AddressMap
from memtui.model.map.kinds import KINDS

_FILTER: Final = "coredump_filter bit"
NOTHING_THERE: Final = "nobody may access it: there is nothing in it"
UNTOUCHED: Final = "never written to, or left out by the program (MADV_DONTDUMP)"
ANONYMOUS: Final = f"private anonymous memory is filtered out ({_FILTER} 0)"
SHARED: Final = f"shared memory is filtered out ({_FILTER} 1), or the program left it out"
FILES: Final = f"pages of files as the files have them ({_FILTER} 2, of shared ones 3)"
HUGE: Final = f"huge pages are filtered out ({_FILTER} 5, of shared ones 6)"
DEVICE: Final = "device memory is never dumped"
CUT: Final = "the dump is cut off before it"


class LeftOut(NamedTuple):
    """So many bytes from `start` on are not in the dump; `row` is the map's."""

    row: int
    start: int
    end: int
    why: str

    @property
    def size_bytes(self) -> int:
        return self.end - self.start


def left_out(map_: AddressMap, cut: tuple[tuple[int, int], ...] = ()) -> Iterator[LeftOut]:
    """What is missing of each mapping of a dump's map; `cut`: where it was claimed and is not there."""
    mappings = map_.mappings
    dumped = mappings.usage.get("Dumped")
    if dumped is None:
        return
    # With the filter's first bit the memory that was written to is there, so the rest never was.
    has_anonymous = any(
        there and not path and perms.startswith("rw")
        for there, path, perms in zip(dumped, mappings.paths, mappings.perms, strict=True)
    )
    cut_at = {start for start, _ in cut}
    for row, (start, end, there) in enumerate(
        zip(mappings.starts, mappings.ends, dumped, strict=True)
    ):
        if start + there < end:
            why = CUT if start in cut_at else _why(map_, row, has_anonymous)
            yield LeftOut(row, start + there, end, why)


def _why(map_: AddressMap, row: int, has_anonymous: bool) -> str:
    kind = KINDS[map_.kinds[row]].name
    path, perms = map_.mappings.paths[row], map_.mappings.perms[row]
    if perms.startswith("---"):
        return NOTHING_THERE
    if kind in ("hugetlb", "device"):
        return HUGE if kind == "hugetlb" else DEVICE
    if perms.endswith("s") and kind == "shm":
        return SHARED
    if path.startswith("/"):
        return FILES
    return UNTOUCHED if has_anonymous else ANONYMOUS
