"""The picture of an address space: which span of it each cell shows, large holes folded.

Two ways to look at it: whole, where every region gets cells by the logarithm of its pages; and through
a `Window`, where every cell is as many bytes.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from heapq import nlargest
from itertools import groupby, pairwise
from operator import sub
from typing import Final, NamedTuple

from memtui.kernel.maps import Mappings
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.layers import RESIDENT, Layer


class Cell(NamedTuple):
    """One cell of the picture: [start, end) of the address space.

    `kind` is what most of it is (an index into `KINDS`), None for a hole; `share` what a layer says
    of the mapped bytes in it, None where the mappings do not tell; `row` a mapping in it; `mapped`
    how many of its bytes are mapped.
    """

    start: int
    end: int
    kind: int | None
    share: float | None
    row: int | None
    mapped: int


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
    holes = list(map(sub, starts[1:], ends))
    large = max(1, ends[-1] - starts[0] - sum(holes)) // 32 + 1
    if 1 < most <= len(holes):
        large = max(large, sorted(holes)[1 - most])
    found = [(hole, row) for row, hole in enumerate(holes, start=1) if hole >= large]
    cuts = nlargest(max(0, most - 1), found)
    bounds = [(0, 0), *sorted((row, hole) for hole, row in cuts), (len(starts), 0)]
    return [Region(first, last, hole) for (first, hole), (last, _) in pairwise(bounds)]


def share_cells(mappings: Mappings, parts: list[Region], cells: int, page_bytes: int) -> list[int]:
    """How many of `cells` each region gets: at least one, by the logarithm of its pages."""
    weights = [
        1 + math.log2(1 + (mappings.ends[part.last - 1] - mappings.starts[part.first]) / page_bytes)
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


def region_cells(
    map_: AddressMap, region: Region, count: int, page_bytes: int, layer: Layer = RESIDENT
) -> list[Cell]:
    """A region to scale: `count` cells of equal spans at most, rounded up to whole pages."""
    mappings = map_.mappings
    low, high = mappings.starts[region.first], mappings.ends[region.last - 1]
    span = -(-(high - low) // count)
    span = -(-span // page_bytes) * page_bytes
    return _cells(map_, low, high, span, region.first, region.last, layer)


class Window(NamedTuple):
    """A part of the address space at one scale: `height` lines of `across` cells.

    `cell_bytes` and `across` are powers of two (times the page), and a line begins at a multiple of
    what it holds, so that nothing shifts sideways. `start` is where the first line begins.
    """

    start: int
    cell_bytes: int
    across: int
    height: int

    @property
    def line_bytes(self) -> int:
        return self.cell_bytes * self.across

    @property
    def size_bytes(self) -> int:
        """What it holds at most: less where holes are folded to lines."""
        return self.line_bytes * self.height


class WindowLine(NamedTuple):
    """[start, end) of the address space on one line; `is_hole`: of any size, with nothing mapped."""

    start: int
    end: int
    is_hole: bool


_FOLDED: Final = 3  # empty lines that become one
_STEP: Final = 4  # from one scale to the next


def line_at(mappings: Mappings, address: int, line_bytes: int) -> WindowLine:
    """The line an address is on; the first or last line for what lies beyond them."""
    starts, ends = mappings.starts, mappings.ends
    address = max(starts[0], min(address, ends[-1] - 1))
    start = address - address % line_bytes
    row = bisect_right(ends, start)
    # The hole around `start`, in whole lines. Never before the first mapping or after the last.
    low = -(-ends[row - 1] // line_bytes) * line_bytes if row else start
    high = starts[row] - starts[row] % line_bytes
    if low <= start < high and high - low >= _FOLDED * line_bytes:
        return WindowLine(low, high, True)
    return WindowLine(start, start + line_bytes, False)


def lines_on(mappings: Mappings, line: WindowLine, steps: int, line_bytes: int) -> WindowLine:
    """The line that many lines further on (or back), as far as there are any."""
    for _ in range(abs(steps)):
        following = line_at(mappings, line.end if steps > 0 else line.start - 1, line_bytes)
        if following == line:
            break
        line = following
    return line


def window_lines(mappings: Mappings, window: Window) -> list[WindowLine]:
    """What is on each line of a window, from its start on; fewer where there are no more."""
    line = line_at(mappings, window.start, window.line_bytes)
    lines = [line]
    while len(lines) < window.height and line.end < mappings.ends[-1]:
        line = line_at(mappings, line.end, window.line_bytes)
        lines.append(line)
    return lines


def line_cells(
    map_: AddressMap, line: WindowLine, cell_bytes: int, layer: Layer = RESIDENT
) -> list[Cell]:
    """The cells of a window's line; a folded hole is one."""
    if line.is_hole:
        return [Cell(line.start, line.end, None, None, None, 0)]
    return _cells(map_, line.start, line.end, cell_bytes, 0, len(map_), layer)


def mapped_runs(mappings: Mappings, lines: Sequence[WindowLine]) -> list[tuple[int, int]]:
    """What to ask of a window's pages: [start, end) of each run of lines without a folded hole,
    from the first mapped byte in it to the last."""
    starts, ends = mappings.starts, mappings.ends
    runs: list[tuple[int, int]] = []
    for is_hole, group in groupby(lines, key=lambda line: line.is_hole):
        run = list(group)
        low = bisect_right(ends, run[0].start)
        beyond = bisect_left(starts, run[-1].end)
        if not is_hole and low < beyond:
            start = max(run[0].start, starts[low])
            runs.append((start, min(run[-1].end, ends[beyond - 1])))
    return runs


def follow(mappings: Mappings, window: Window, address: int) -> Window:
    """Moves a window by as few lines as possible so that an address is in it.

    Where the address is further away than the window is high, it comes to lie in the upper third.
    """
    size, most = window.line_bytes, window.height
    target = line_at(mappings, address, size)
    lines = window_lines(mappings, window)
    first, last = lines[0], lines[-1]
    top = first
    if target.start < first.start:
        near = lines_on(mappings, first, -most, size).start <= target.start
        top = target if near else lines_on(mappings, target, -(most // 3), size)
    elif target.start > last.start:
        near = lines_on(mappings, last, most, size).start >= target.start
        top = lines_on(mappings, target, -(most - 1 if near else most // 3), size)
    # No blank lines at the end while there are others above.
    end = line_at(mappings, mappings.ends[-1] - 1, size)
    top = min(top, lines_on(mappings, end, 1 - most, size))
    return window._replace(start=top.start)


def pan(mappings: Mappings, window: Window, lines: int) -> Window:
    """A window that many lines further on (or back), as far as there is anything mapped."""
    size = window.line_bytes
    top = lines_on(mappings, line_at(mappings, window.start, size), lines, size)
    return follow(mappings, window._replace(start=top.start), top.start)


def zoom_in(
    map_: AddressMap, window: Window | None, address: int, across: int, lines: int, page_bytes: int
) -> Window:
    """A quarter of each cell, down to a page; the address stays on its line.

    From the whole picture (None): the smallest scale at which all of the region around the address
    fits in.
    """
    if window is not None:
        return _rescaled(
            map_.mappings, window, max(page_bytes, window.cell_bytes // _STEP), address
        )
    mappings = map_.mappings
    row = min(bisect_right(mappings.ends, address), len(map_) - 1)
    parts = regions(mappings, max(4, across * lines // 32))
    region = parts[bisect_left([part.last for part in parts], row + 1)]
    low, high = mappings.starts[region.first], mappings.ends[region.last - 1]
    cell = page_bytes
    while -(-high // (cell * across)) - low // (cell * across) > lines:
        cell *= 2
    return follow(mappings, Window(low - low % (cell * across), cell, across, lines), address)


def zoom_out(map_: AddressMap, window: Window, address: int) -> Window | None:
    """Four times as much in each cell; the address stays on its line.

    The whole picture (None) where the window would be larger than all that is mapped.
    """
    if window.size_bytes * _STEP > map_.spread.mapped:
        return None
    return _rescaled(map_.mappings, window, window.cell_bytes * _STEP, address)


def _rescaled(mappings: Mappings, window: Window, cell_bytes: int, address: int) -> Window:
    here = line_at(mappings, address, window.line_bytes)
    above = next(
        (at for at, line in enumerate(window_lines(mappings, window)) if line == here),
        window.height // 3,
    )
    window = window._replace(cell_bytes=cell_bytes)
    size = window.line_bytes
    top = lines_on(mappings, line_at(mappings, address, size), -above, size)
    return follow(mappings, window._replace(start=top.start), address)


def cell_beside(map_: AddressMap, window: Window, address: int, step: int) -> int:
    """The address to go to from another, one cell further on (1) or back (-1); the same at an end.

    It is the first in its cell that belongs to what the cell shows. A folded hole is one cell.
    """
    line = line_at(map_.mappings, address, window.line_bytes)
    address = max(line.start, min(address, line.end - 1))  # what was there may be gone
    low = line.start if line.is_hole else address - address % window.cell_bytes
    high = line.end if line.is_hole else low + window.cell_bytes
    return _landing(map_, window, high if step > 0 else low - 1, address)


def cell_above(map_: AddressMap, window: Window, address: int, lines: int) -> int:
    """The same by lines: that many further on or back in the same column."""
    line = line_at(map_.mappings, address, window.line_bytes)
    address = max(line.start, min(address, line.end - 1))
    other = lines_on(map_.mappings, line, lines, window.line_bytes)
    column = 0 if line.is_hole or other.is_hole else address - line.start
    return _landing(map_, window, other.start + column, address)


def _landing(map_: AddressMap, window: Window, address: int, before: int) -> int:
    """Where the cursor comes to stand in the cell of an address; never beyond what is mapped."""
    starts, ends = map_.mappings.starts, map_.mappings.ends
    address = max(starts[0], min(address, ends[-1] - 1))
    line = line_at(map_.mappings, address, window.line_bytes)
    cell = next(cell for cell in line_cells(map_, line, window.cell_bytes) if address < cell.end)
    if cell.start <= before < cell.end:
        return before
    return cell.start if cell.row is None else max(cell.start, starts[cell.row])


# Mappings looked at for one cell: one that holds ten thousand costs no more. They are taken at odd
# distances, as every second one is often of another kind: guards and stacks.
_LOOK_AT: Final = 9


def _cells(
    map_: AddressMap, low: int, high: int, span: int, first: int, last: int, layer: Layer
) -> list[Cell]:
    """[low, high) in cells of `span` bytes; of the mappings [first, last)."""
    share_of = layer.of_mappings(map_.mappings)
    ends = map_.mappings.ends
    row = bisect_right(ends, low, first, last)
    cells = []
    for start in range(low, high, span):
        if row < last and ends[row] <= start:
            row = bisect_right(ends, start, row, last)
        cells.append(_cell(map_, start, min(start + span, high), row, last, share_of))
    return cells


def _cell(
    map_: AddressMap,
    start: int,
    end: int,
    row: int,
    last: int,
    share_of: Callable[[int], float] | None,
) -> Cell:
    mappings, kinds = map_.mappings, map_.kinds
    starts, ends = mappings.starts, mappings.ends
    if row >= last or starts[row] >= end:
        return Cell(start, end, None, None, None, 0)
    if ends[row] >= end:  # most cells hold a part of one mapping
        beyond, mapped = row + 1, end - max(starts[row], start)
    else:
        beyond = bisect_right(starts, end - 1, row, last)
        mapped = sum(ends[row:beyond]) - sum(starts[row:beyond])
        mapped -= max(0, start - starts[row]) + max(0, ends[beyond - 1] - end)
    step = -(-(beyond - row) // _LOOK_AT) | 1
    sizes: dict[int, int] = {}
    seen, shared = 0, 0.0
    best_row, best_size = row, 0
    for at in range(row, beyond, step):
        part = ends[at] - starts[at]
        if starts[at] < start:
            part -= start - starts[at]
        if ends[at] > end:
            part -= ends[at] - end
        kind = kinds[at]
        sizes[kind] = sizes.get(kind, 0) + part
        if part > best_size:
            best_row, best_size = at, part
        seen += part
        if share_of is not None:
            shared += part * share_of(at)
    kind = max(sizes, key=sizes.__getitem__)
    share = None if share_of is None else shared / seen
    return Cell(start, end, kind, share, best_row, mapped)
