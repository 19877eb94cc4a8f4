"""Windows on the address space: lines, cells, following, zooming, walking."""

from __future__ import annotations

from itertools import groupby, pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from memtui.kernel.maps import parse_maps
from memtui.model.keys import ProcessKey
from memtui.model.map import layout
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.kinds import KINDS
from memtui.model.map.layout import (
    Window,
    WindowLine,
    cell_above,
    cell_beside,
    follow,
    line_at,
    line_cells,
    lines_on,
    mapped_runs,
    pan,
    regions,
    window_lines,
    zoom_in,
    zoom_out,
)
from tests.tui.widgets.test_picture import PAGE, address_maps, map_of

LINE = 4 * PAGE


@st.composite
def windows(draw: st.DrawFn) -> tuple[AddressMap, Window, int]:
    """A map, a window that follows an address in it, and that address, mapped or not."""
    map_ = draw(address_maps())
    starts, ends = map_.mappings.starts, map_.mappings.ends
    cell = PAGE << draw(st.integers(0, 24))
    window = Window(0, cell, 1 << draw(st.integers(0, 6)), draw(st.integers(1, 20)))
    address = draw(st.integers(starts[0], ends[-1] - 1) | st.sampled_from(list(starts)))
    return map_, follow(map_.mappings, window, address), address


def mapped_in(map_: AddressMap, start: int, end: int) -> list[tuple[int, int]]:
    """The row of each mapping in a span, and its bytes there, the slow way."""
    return [
        (row, min(end, high) - max(start, low))
        for row, (low, high) in enumerate(
            zip(map_.mappings.starts, map_.mappings.ends, strict=True)
        )
        if low < end and start < high
    ]


def is_shown(lines: list[WindowLine], address: int) -> bool:
    return any(line.start <= address < line.end for line in lines)


@given(windows())
def test_lines_tile_the_window(drawn: tuple[AddressMap, Window, int]) -> None:
    map_, window, address = drawn
    lines = window_lines(map_.mappings, window)
    assert 1 <= len(lines) <= window.height
    assert lines[0].start == window.start
    assert is_shown(lines, address)
    assert all(before.end == after.start for before, after in pairwise(lines))
    for line in lines:
        assert line.start % window.line_bytes == 0
        if line.is_hole:
            assert line.end - line.start >= 3 * window.line_bytes
            assert not mapped_in(map_, line.start, line.end)
        else:
            assert line.end - line.start == window.line_bytes
    empty = [not mapped_in(map_, line.start, line.end) and not line.is_hole for line in lines]
    assert max(len([*group]) * is_empty for is_empty, group in groupby(empty)) < 3


@given(windows())
def test_cells_tile_a_line(drawn: tuple[AddressMap, Window, int]) -> None:
    map_, window, _ = drawn
    for line in window_lines(map_.mappings, window):
        cells = line_cells(map_, line, window.cell_bytes)
        assert (cells[0].start, cells[-1].end) == (line.start, line.end)
        assert all(before.end == after.start for before, after in pairwise(cells))
        assert len(cells) == (1 if line.is_hole else window.across)
        for cell in cells:
            inside = mapped_in(map_, cell.start, cell.end)
            assert cell.mapped == sum(part for _, part in inside)
            if inside:
                assert cell.row in [row for row, _ in inside]
                assert cell.kind in {map_.kinds[row] for row, _ in inside}
            else:
                assert (cell.kind, cell.share, cell.row) == (None, None, None)


@given(address_maps(), st.integers(4, 40))
def test_lines_one_after_another_hold_every_mapped_byte_once(map_: AddressMap, scale: int) -> None:
    mappings, size = map_.mappings, PAGE << scale
    assume((mappings.ends[-1] - mappings.starts[0]) // size < 2000)
    line = line_at(mappings, 0, size)
    mapped, seen = 0, 0
    while True:
        mapped += sum(cell.mapped for cell in line_cells(map_, line, size >> 3))
        seen += 1
        following = lines_on(mappings, line, 1, size)
        if following == line:
            break
        assert lines_on(mappings, following, -1, size) == line
        line = following
    assert mapped == map_.totals.size
    assert line == line_at(mappings, 1 << 64, size)
    # Holes are one line each: there are few lines, however far apart mappings are.
    assert seen <= sum(end // size - start // size + 4 for start, end in _ranges(map_))


def _ranges(map_: AddressMap) -> list[tuple[int, int]]:
    return list(zip(map_.mappings.starts, map_.mappings.ends, strict=True))


@given(windows(), st.data())
def test_a_window_follows_by_as_few_lines_as_possible(
    drawn: tuple[AddressMap, Window, int], data: st.DataObject
) -> None:
    map_, window, _ = drawn
    mappings = map_.mappings
    lines = window_lines(mappings, window)
    inside = data.draw(st.integers(lines[0].start, lines[-1].end - 1))
    assert follow(mappings, window, inside) == window
    for step in (1, -1):
        edge = lines[-1] if step > 0 else lines[0]
        beyond = lines_on(mappings, edge, step, window.line_bytes)
        if beyond != edge:
            moved = window_lines(mappings, follow(mappings, window, beyond.start))
            assert beyond == (moved[-1] if step > 0 else moved[0])
    elsewhere = data.draw(st.integers(mappings.starts[0], mappings.ends[-1] - 1))
    moved = window_lines(mappings, follow(mappings, window, elsewhere))
    assert is_shown(moved, elsewhere)
    assert len(moved) == len(lines)


@given(windows(), st.integers(1, 50), st.sampled_from((1, -1)))
def test_panning_there_and_back(
    drawn: tuple[AddressMap, Window, int], count: int, way: int
) -> None:
    map_, window, _ = drawn
    panned, by_one = pan(map_.mappings, window, count * way), window
    for _ in range(count):
        by_one = pan(map_.mappings, by_one, way)
    assert panned == by_one
    assert len(window_lines(map_.mappings, panned)) == len(window_lines(map_.mappings, window))
    if pan(map_.mappings, panned, way) == panned:  # at an end
        edges = window_lines(map_.mappings, panned)
        edge = edges[-1] if way > 0 else edges[0]
        assert lines_on(map_.mappings, edge, way, window.line_bytes) == edge
    else:
        assert pan(map_.mappings, panned, -count * way) == window


@given(windows())
def test_zooming_in_ends_at_pages_with_the_address_on_the_screen(
    drawn: tuple[AddressMap, Window, int],
) -> None:
    map_, window, address = drawn
    view: Window | None = zoom_in(map_, None, address, window.across, window.height, PAGE)
    for _ in range(40):
        assert view is not None
        assert is_shown(window_lines(map_.mappings, view), address)
        closer = zoom_in(map_, view, address, view.across, view.height, PAGE)
        if closer == view:
            break
        assert closer.cell_bytes == max(PAGE, view.cell_bytes // 4)
        view = closer
    assert view is not None
    assert view.cell_bytes == PAGE
    for _ in range(40):
        wider = zoom_out(map_, view, address)
        if wider is None:
            break
        assert wider.cell_bytes == 4 * view.cell_bytes
        assert is_shown(window_lines(map_.mappings, wider), address)
        view = wider
    assert view.size_bytes * 4 > map_.totals.size or "[vsyscall]" in map_.mappings.paths


@given(windows())
def test_zooming_in_and_out_again_is_the_same_scale_around_the_address(
    drawn: tuple[AddressMap, Window, int],
) -> None:
    map_, window, address = drawn
    assume(window.cell_bytes >= 4 * PAGE)
    closer = zoom_in(map_, window, address, window.across, window.height, PAGE)
    back = zoom_out(map_, closer, address)
    if back is None:
        assert closer.size_bytes * 4 > map_.totals.size
    else:
        assert back.cell_bytes == window.cell_bytes
        assert is_shown(window_lines(map_.mappings, back), address)


@given(address_maps(), st.integers(3, 6), st.integers(1, 30), st.data())
def test_the_first_zoom_shows_a_region_at_the_smallest_scale_that_holds_it(
    map_: AddressMap, across_bits: int, height: int, data: st.DataObject
) -> None:
    across = 1 << across_bits
    mappings = map_.mappings
    parts = regions(mappings, max(4, across * height // 32))
    part = data.draw(st.sampled_from(parts))
    low, high = mappings.starts[part.first], mappings.ends[part.last - 1]
    window = zoom_in(map_, None, mappings.starts[part.first], across, height, PAGE)
    lines = window_lines(mappings, window)
    assert is_shown(lines, low)
    assert is_shown(lines, high - 1)
    size = window.line_bytes
    assert -(-high // size) - low // size <= height
    if window.cell_bytes > PAGE:
        half = size // 2
        assert -(-high // half) - low // half > height


@settings(deadline=None)
@given(windows())
def test_arrows_visit_every_cell_once(drawn: tuple[AddressMap, Window, int]) -> None:
    map_, window, address = drawn
    at, way = address, [address]
    for _ in range(40):
        following = cell_beside(map_, window, at, 1)
        if following == at:
            break
        line = line_at(map_.mappings, at, window.line_bytes)
        cells = line_cells(map_, line, window.cell_bytes)
        here = next(cell for cell in cells if cell.start <= at < cell.end)
        next_line = line_at(map_.mappings, here.end, window.line_bytes)
        beyond = line_cells(map_, next_line, window.cell_bytes)
        there = next(cell for cell in beyond if cell.start <= following < cell.end)
        assert there.start == here.end
        if there.row is not None:
            assert map_.row_at(following) == there.row
        at = following
        way.append(at)
    for before in reversed(way[1:-1]):
        at = cell_beside(map_, window, at, -1)
        assert at == before


@given(windows(), st.integers(1, 30))
def test_a_page_down_is_as_many_lines_down(
    drawn: tuple[AddressMap, Window, int], count: int
) -> None:
    map_, window, address = drawn
    size = window.line_bytes
    line = line_at(map_.mappings, address, size)
    for step in (count, -count):
        other = lines_on(map_.mappings, line, step, size)
        landed = cell_above(map_, window, address, step)
        assert other.start <= landed < other.end
        if not other.is_hole and not line.is_hole and other != line:
            column = (address - line.start) // window.cell_bytes
            edges = map_.mappings.starts[0], map_.mappings.ends[-1] - 1
            lowest, highest = ((edge - other.start) // window.cell_bytes for edge in edges)
            expected = max(lowest, min(column, highest))
            assert (landed - other.start) // window.cell_bytes == expected


@given(windows())
def test_runs_are_what_is_mapped_on_the_screen(drawn: tuple[AddressMap, Window, int]) -> None:
    map_, window, _ = drawn
    lines = window_lines(map_.mappings, window)
    runs = mapped_runs(map_.mappings, lines)
    for start, end in runs:
        assert map_.row_at(start) is not None
        assert map_.row_at(end - 1) is not None
        assert is_shown(lines, start)
        assert is_shown(lines, end - 1)
    assert all(before[1] < after[0] for before, after in pairwise(runs))
    inside = sum(part for line in lines for _, part in mapped_in(map_, line.start, line.end))
    assert sum(part for run in runs for _, part in mapped_in(map_, *run)) == inside
    assert sum(end - start for start, end in runs) <= window.size_bytes


def test_a_hole_of_three_empty_lines_is_folded_and_of_two_is_not() -> None:
    # Lines of 4 pages: the first mapping ends and the second one begins in the middle of a line.
    two = map_of((0, 2, "rw-p"), (15, 2, "rw-p"))
    three = map_of((0, 2, "rw-p"), (19, 2, "rw-p"))
    lines = [window_lines(map_.mappings, Window(0, PAGE, 4, 9)) for map_ in (two, three)]
    assert [[line.is_hole for line in each] for each in lines] == [
        [False] * 5,
        [False, True, False, False],
    ]
    assert lines[1][1] == WindowLine(LINE, 4 * LINE, True)


def test_an_address_beyond_a_window_comes_to_its_edge_and_a_far_one_into_its_upper_third() -> None:
    map_ = map_of((0, 4000, "rw-p"))
    window = Window(100 * LINE, PAGE, 4, 9)

    def top(line: int) -> int:
        return follow(map_.mappings, window, line * LINE).start // LINE

    assert [top(line) for line in (99, 100, 108, 109, 117)] == [99, 100, 100, 101, 109]
    assert top(118) == 115
    assert top(50) == 47
    assert top(999) == 991  # no blank lines below the last


def test_an_address_of_a_mapping_that_is_gone_is_where_it_was() -> None:
    """The cursor stays while the map changes under it: even below or above all that is mapped."""
    map_ = map_of((100, 10, "rw-p"))
    window = Window(0, PAGE, 4, 9)
    for address, expected in ((0, 25 * LINE), (1 << 60, 25 * LINE)):
        assert follow(map_.mappings, window, address).start == expected
        for step in (1, -1):
            assert map_.row_at(cell_beside(map_, window, address, step)) == 0
            assert map_.row_at(cell_above(map_, window, address, step)) == 0


def test_few_mappings_of_many_are_looked_at_and_not_every_second_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cell of 10,000 stacks with their guards: both are seen, at the cost of a few."""
    lines = []
    for row in range(10_000):
        start, size, perms = (
            (row // 2 * 0x9000, 0x1000, "---p")
            if row % 2 == 0
            else (row // 2 * 0x9000 + 0x1000, 0x8000, "rw-p")
        )
        lines.append(f"{0x10000000 + start:x}-{0x10000000 + start + size:x} {perms} 0 0:0 0\n")
    map_ = AddressMap(ProcessKey(1, 1), parse_maps("".join(lines).encode()), 9)
    cells = line_cells(map_, WindowLine(0, 1 << 30, False), 1 << 30)
    assert [KINDS[cell.kind or 0].name for cell in cells] == ["thread_stack"]
    assert cells[0].mapped == map_.totals.size
    looked_at: list[int] = []

    class Counting(bytearray):
        def __getitem__(self, at: int) -> int:  # type: ignore[override]
            looked_at.append(at)
            return super().__getitem__(at)

    monkeypatch.setattr(map_, "kinds", Counting(map_.kinds))
    line_cells(map_, WindowLine(0, 1 << 30, False), 1 << 24)
    assert len(looked_at) <= 64 * layout._LOOK_AT
    assert {at % 2 for at in looked_at} == {0, 1}
