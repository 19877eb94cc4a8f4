"""The picture of an address space: which span of it each cell shows, holes folded, to scale."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from heapq import nlargest
from itertools import pairwise
from typing import Final, NamedTuple

from memtui.kernel.maps import UNKNOWN, Mappings
from memtui.model.addressmap import AddressMap


class Cell(NamedTuple):
    """One cell of the picture: [start, end) of the address space.

    `kind` is what most of it is (an index into `KINDS`), None for a hole; `resident` the share of
    the mapped bytes in it that is in memory, None where usage is unread; `row` a mapping in it.
    """

    start: int
    end: int
    kind: int | None
    resident: float | None
    row: int | None


class Region(NamedTuple):
    """Mappings [first, last) with no folded hole between, and the hole before them, in bytes."""

    first: int
    last: int
    hole_before: int


def regions(mappings: Mappings, most: int) -> list[Region]:
    """The address space cut at its largest holes, `most` pieces at most.

    A hole is folded where it is larger than a 32nd of all that is mapped: to scale it would leave
    no room for what matters.
    """
    starts, ends = mappings.starts, mappings.ends
    if not starts:
        return []
    enough = max(1, sum(ends) - sum(starts)) // 32
    holes = [
        (hole, row)
        for row, hole in enumerate(map(int.__sub__, starts[1:], ends), start=1)
        if hole > enough
    ]
    cuts = sorted((row, hole) for hole, row in nlargest(max(0, most - 1), holes))
    bounds = [(0, 0), *cuts, (len(starts), 0)]
    return [Region(first, last, hole) for (first, hole), (last, _) in pairwise(bounds)]


def share_cells(mappings: Mappings, parts: list[Region], cells: int, page: int) -> list[int]:
    """How many of `cells` each region gets: at least one, by the logarithm of its pages."""
    weights = [
        1 + math.log2(1 + (mappings.ends[part.last - 1] - mappings.starts[part.first]) / page)
        for part in parts
    ]
    spare = max(0, cells - len(parts))
    total = sum(weights)
    exact = [spare * weight / total for weight in weights]
    counts = [int(part) for part in exact]
    by_rest = sorted(range(len(parts)), key=lambda at: counts[at] - exact[at])
    for at in by_rest[: spare - sum(counts)]:
        counts[at] += 1
    return [1 + part for part in counts]


def region_cells(map_: AddressMap, region: Region, count: int, page: int) -> list[Cell]:
    """A region to scale: `count` cells of equal spans at most, rounded up to whole pages."""
    mappings = map_.mappings
    low, high = mappings.starts[region.first], mappings.ends[region.last - 1]
    span = -(-(high - low) // count)
    span = -(-span // page) * page
    cells = []
    start, row = low, region.first
    while start < high:
        end = min(start + span, high)
        row = max(region.first, bisect_right(mappings.ends, start, row, region.last))
        cells.append(_cell(map_, start, end, row, region.last))
        start = end
    return cells


_LOOK_AT: Final = 24  # mappings looked at for one cell: a cell of ten thousand costs no more


def _cell(map_: AddressMap, start: int, end: int, row: int, last: int) -> Cell:
    mappings = map_.mappings
    if row >= last or mappings.starts[row] >= end:
        return Cell(start, end, None, None, None)
    beyond = bisect_right(mappings.starts, end - 1, row, last)
    step = -(-(beyond - row) // _LOOK_AT)
    sizes: dict[int, int] = {}
    rss_column: array[int] | None = mappings.usage.get("Rss")
    mapped = 0
    resident = 0.0
    best_row, best_size = row, 0
    for at in range(row, beyond, step):
        low, high = mappings.starts[at], mappings.ends[at]
        part = min(high, end) - max(low, start)
        kind = map_.kinds[at]
        sizes[kind] = sizes.get(kind, 0) + part
        if part > best_size:
            best_row, best_size = at, part
        mapped += part
        if rss_column is not None and (rss := rss_column[at]) != UNKNOWN:
            resident += part * min(1.0, rss / (high - low))
    kind = max(sizes, key=sizes.__getitem__)
    share = None if rss_column is None else resident / mapped
    return Cell(start, end, kind, share, best_row)
