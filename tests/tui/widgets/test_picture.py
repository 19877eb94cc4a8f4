"""The address space to scale: regions, cells, and the picture as text."""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import parse_maps
from memtui.live.looker import read_map
from memtui.live.sampler import Sampler
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap, MapReading
from memtui.model.map.kinds import KINDS
from memtui.model.map.layers import Layer
from memtui.model.map.layout import Region, region_cells, regions, share_cells
from memtui.tui.widgets.spots import Spot, picture
from tests.conftest import open_host

PAGE = 4096
KEY = ProcessKey(1, 1)


def map_of(*pieces: tuple[int, int, str], smaps: bool = False) -> AddressMap:
    """Mappings as (first page, pages, perms); with `smaps` all of each second one is resident."""
    text = ""
    for row, (first, pages, perms) in enumerate(pieces):
        start, end = first * PAGE, (first + pages) * PAGE
        text += f"{start:x}-{end:x} {perms} 00000000 00:00 0\n"
        if smaps:
            text += f"Size: {pages * 4} kB\nRss: {pages * 4 * (row % 2)} kB\n"
    return AddressMap(KEY, parse_maps(text.encode()))


def art(lines: list[list[Spot]]) -> list[str]:
    return ["".join(spot.character for spot in line) for line in lines]


@st.composite
def address_maps(draw: st.DrawFn) -> AddressMap:
    """Up to 40 mappings with holes of every size, many of them equal, up to the last address."""
    hole = st.sampled_from((0, 0, 1, 256, 256, 1 << 20)) | st.integers(0, 1 << 40)
    size = st.integers(1, 4) | st.integers(1, 1 << 18)
    perms = st.sampled_from(("rw-p", "---p", "rwxp", "rw-s"))
    parts = draw(st.lists(st.tuples(hole, size, perms), min_size=1, max_size=40))
    at, pieces = draw(st.sampled_from((0, 0x400, 0x7F0000000))), []
    for before, pages, perm in parts:
        pieces.append((at + before, pages, perm))
        at += before + pages
    return map_of(*pieces, smaps=draw(st.booleans()))


@given(address_maps(), st.integers(1, 50))
def test_regions_hold_every_mapping_once_and_in_order(map_: AddressMap, most: int) -> None:
    parts = regions(map_.mappings, most)
    assert 1 <= len(parts) <= most
    assert [row for part in parts for row in range(part.first, part.last)] == [*range(len(map_))]
    starts, ends = map_.mappings.starts, map_.mappings.ends
    for before, part in pairwise(parts):
        assert part.hole_before == starts[part.first] - ends[before.last - 1] > 0
    assert parts[0].hole_before == 0
    folded = [part.hole_before for part in parts[1:]]
    kept = [
        starts[row] - ends[row - 1] for part in parts for row in range(part.first + 1, part.last)
    ]
    if folded and kept:
        # The largest holes go; those that stay are small against what is mapped, or were too many.
        assert min(folded) >= max(kept)


@given(address_maps(), st.integers(1, 20), st.integers(1, 200))
def test_shares_add_up_and_nobody_gets_none(map_: AddressMap, most: int, cells: int) -> None:
    parts = regions(map_.mappings, most)
    counts = share_cells(map_.mappings, parts, cells, PAGE)
    assert len(counts) == len(parts)
    assert min(counts) >= 1
    assert sum(counts) == max(cells, len(parts))


@given(address_maps(), st.integers(1, 300))
def test_cells_cover_a_region_without_overlaps(map_: AddressMap, count: int) -> None:
    mappings = map_.mappings
    for region in regions(mappings, 4):
        cells = region_cells(map_, region, count, PAGE)
        assert 1 <= len(cells) <= count
        assert cells[0].start == mappings.starts[region.first]
        assert cells[-1].end == mappings.ends[region.last - 1]
        assert all(before.end == after.start for before, after in pairwise(cells))
        assert len({cell.end - cell.start for cell in cells[:-1]}) <= 1
        for cell in cells:
            assert cell.start < cell.end
            assert cell.start % PAGE == 0
            overlapping = [
                row
                for row in range(region.first, region.last)
                if mappings.starts[row] < cell.end and cell.start < mappings.ends[row]
            ]
            if not overlapping:
                assert (cell.kind, cell.share, cell.row) == (None, None, None)
                continue
            assert cell.row in overlapping
            assert cell.kind in {map_.kinds[row] for row in overlapping}
            if map_.has_usage:
                assert cell.share is not None
                assert 0 <= cell.share <= 1
            else:
                assert cell.share is None


@given(address_maps(), st.integers(20, 200), st.integers(1, 60))
def test_pictures_fit(map_: AddressMap, width: int, height: int) -> None:
    lines = picture(map_, width, height, PAGE)
    assert 1 <= len(lines) <= height
    assert max(map(len, lines)) <= width
    spots = [spot for line in lines for spot in line if spot.kind is not None]
    assert all(before.end <= after.start for before, after in pairwise(spots))


@given(address_maps(), st.integers(20, 100), st.integers(1, 40))
def test_every_mapped_byte_of_the_whole_is_in_one_cell(
    map_: AddressMap, width: int, height: int
) -> None:
    lines = picture(map_, width, height, PAGE)
    spots = [spot for line in lines for spot in line if spot.kind is not None]
    assert all(before.end <= after.start for before, after in pairwise(spots))
    covered = 0
    for start, end in zip(map_.mappings.starts, map_.mappings.ends, strict=True):
        first = bisect_right(spots, start, key=lambda spot: spot.end)
        for spot in spots[first:]:
            if spot.start >= end:
                break
            covered += min(end, spot.end) - max(start, spot.start)
    assert covered == map_.totals.size


def test_a_cell_is_what_most_of_it_is() -> None:
    map_ = map_of((0, 1, "rwxp"), (1, 7, "rw-p"), (8, 4, "---p"), smaps=True)
    (cell,) = region_cells(map_, Region(0, 3, 0), 1, PAGE)
    assert KINDS[cell.kind or 0].name == "anon"
    assert cell.row == 1
    assert cell.share == pytest.approx(7 / 12)


def test_another_layer_paints_its_own_shares() -> None:
    odd = Layer("odd", "odd rows", lambda _: lambda row: row % 2, lambda entries, _: [1.0])
    unread = odd._replace(of_mappings=lambda _: None)
    map_ = map_of((0, 8, "rw-p"), (8, 4, "---p"), smaps=True)
    (line,) = picture(map_, 12, 1, PAGE, odd)
    assert [spot.share for spot in line] == [0] * 8 + [1] * 4
    (line,) = picture(map_, 12, 1, PAGE, unread)
    assert {spot.share for spot in line} == {None}


def test_a_ribbon_to_scale() -> None:
    """Twice the pages, twice the cells; a small hole is dots."""
    assert art(picture(map_of((0, 8, "rw-p"), (8, 4, "---p")), 12, 1, PAGE)) == ["aaaaaaaagggg"]
    small_hole = map_of((0, 8, "rw-p"), (8, 40, "---p"), (49, 15, "rwxp"))
    assert art(picture(small_hole, 64, 1, PAGE)) == ["a" * 8 + "g" * 40 + "·" + "j" * 15]


def test_large_holes_are_folded_and_say_their_size() -> None:
    map_ = map_of((0, 20, "rw-p"), (1 << 30, 20, "rwxp"))
    (line,) = art(picture(map_, 26, 1, PAGE))
    assert line == "a" * 10 + "~4.0T~" + "j" * 10
    lines = art(picture(map_, 22, 5, PAGE))
    assert lines[0] == "0000… aaaaaaaaaaaaaaaa"
    assert [line.strip() for line in lines if "~" in line] == ["~ 4.0 TiB ~"]
    assert lines[-2:] == ["0400… jjjjjjjjjjjjjjjj", "0400… jjjj"]


@pytest.mark.parametrize("width", [20, 37, 78, 118, 200])
def test_a_ribbon_with_many_equal_holes_fits(width: int) -> None:
    map_ = map_of(*((first, 1, "rw-p") for first in range(0, 100_000, 1000)))
    (line,) = art(picture(map_, width, 1, PAGE))
    assert 0.7 * width <= len(line) <= width


def test_a_ribbon_of_three_lines_breaks_no_label() -> None:
    map_ = map_of((0, 20, "rw-p"), (1 << 30, 50, "rwxp"), (1 << 31, 20, "---p"))
    assert art(picture(map_, 20, 3, PAGE)) == [
        "aaaaaaaaaa~4.0T~jjjj",
        "jjjjjjjjj~4.0T~ggggg",
        "ggggg",
    ]
    for width in range(20, 60):
        lines = art(picture(map_, width, 3, PAGE))
        assert sum(line.count("~4.0T~") for line in lines) == 2
        assert len(lines) <= 3


def test_nothing_mapped_is_no_picture() -> None:
    assert picture(map_of(), 80, 10, PAGE) == []


@pytest.mark.parametrize(("width", "height"), [(78, 2), (26, 20), (38, 40), (200, 60)])
def test_the_picture_of_a_captured_java(width: int, height: int) -> None:
    files = open_host("debian-6.18")
    key = next(key for key in Sampler(files).sample().processes if key.pid == 688)
    map_ = read_map(files, key, "smaps").map
    assert isinstance(map_, AddressMap)
    lines = picture(map_, width, height, PAGE)
    text = "".join(art(lines))
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "~" in text
    # The two ends of an address space are never lost.
    spots = [spot for line in lines for spot in line if spot.kind is not None]
    assert spots[0].start == map_.mappings.starts[0]
    assert spots[-1].end == map_.mappings.ends[-1]


def test_the_picture_of_a_living_process() -> None:
    """Every spot shows the mapping that the kernel says is there."""
    files = LiveFiles("/")
    pid = os.getpid()
    key = next(key for key in Sampler(files).sample().processes if key.pid == pid)
    reading: MapReading = read_map(files, key, "smaps")
    map_ = reading.map
    assert isinstance(map_, AddressMap)
    spots = [spot for line in picture(map_, 80, 20, os.sysconf("SC_PAGE_SIZE")) for spot in line]
    shown = [spot for spot in spots if spot.row is not None]
    assert shown
    for spot in shown:
        row = spot.row or 0
        assert map_.mappings.starts[row] < spot.end
        assert spot.start < map_.mappings.ends[row]
    assert {"text", "heap", "stack"} <= {kind.name for kind in map_.by_kind}
