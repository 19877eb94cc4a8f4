"""The pages a picture asks for, and what it makes of them."""

from __future__ import annotations

import os
from array import array
from typing import Any

import pytest
from textual.strip import Strip

from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import parse_maps
from memtui.kernel.pagemap import KPF_ZERO_PAGE, frame, read_page_flags, read_pagemap
from memtui.live.looker import read_map
from memtui.live.sampler import Sampler
from memtui.model.keys import ProcessKey
from memtui.model.map import layout
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.layout import mapped_runs
from memtui.model.map.pages import PAGE_STATES
from memtui.ondemand.pages import PagesReading, read_pages
from memtui.tui.widgets.picture import Picture
from memtui.tui.widgets.spots import Spot
from tests.interface import press, settle
from tests.tui.widgets.test_picture import KEY, PAGE, map_of
from tests.tui.widgets.test_picture_zoom import (
    ENTRIES,
    MIB,
    Shown,
    screen,
    shown,
    zoom,
)


async def test_pages_are_asked_for_where_they_are_seen_and_not_again() -> None:
    def answer(start: int, count: int) -> PagesReading:
        return PagesReading(KEY, start, array("Q", [ENTRIES["f"]]) * count, None)

    app = Shown(map_of((0x10000, 4096 * MIB, "rw-p"), smaps=True), answer)
    async with shown(app) as pilot:
        assert app.asked == []
        sizes = []
        while app.picture._view is None or app.picture._view.cell_bytes > PAGE:
            app.asked.clear()
            await zoom(pilot, 1)
            view = app.picture._view
            assert view is not None
            runs = mapped_runs(app.map.mappings, app.picture._window_lines)
            expected = [(start, (end - start) // PAGE) for start, end in runs]
            sizes.append(view.size_bytes // PAGE)
            if view.size_bytes > 1 << 30:
                assert app.asked == []
                assert screen(app)[2] == "shades by mapping"
            elif len(app.asked):
                assert app.asked == expected
            else:  # what is seen was read already
                assert sizes[-2] <= 1 << 18
            assert app.picture.pages_wanted is None
        assert sizes[0] > 1 << 18 > sizes[-1]
        assert screen(app)[2] == "f file"
        app.asked.clear()
        await press(pilot, "right", "down")
        assert app.asked == []
        await press(pilot, "pagedown", "pagedown")
        assert {count for _, count in app.asked} == {9 * 16}
        assert 1 <= len(app.asked) <= 2
        # A new map: what is on the screen, and what was read stays until it has been read again.
        app.asked.clear()
        app.answer = None
        again = AddressMap(KEY, app.map.mappings)
        app.map = again
        app.picture.show(again, app.picture.address)
        await settle(pilot)
        assert len(app.asked) == 1
        assert screen(app)[2] == "f file"
        app.picture.show(again, app.picture.address)
        await settle(pilot)
        assert len(app.asked) == 1


async def test_each_run_beside_a_folded_hole_is_asked_for() -> None:
    def answer(start: int, count: int) -> PagesReading:
        return PagesReading(KEY, start, array("Q", [ENTRIES["a"]]) * count, None)

    app = Shown(
        map_of((0x100, 20, "rw-p"), (0x40000, 10, "rwxp"), (0x7F0000000, 8, "---p")), answer
    )
    async with shown(app) as pilot:
        await zoom(pilot, 1)
        assert app.asked == [(0x100 * PAGE, 20), (0x40000 * PAGE, 10), (0x7F0000000 * PAGE, 8)]
        assert app.picture.pages_wanted is None
        letters = {
            spot.character
            for line in app.picture._lines[3:]
            for spot in line
            if spot.row is not None
        }
        assert letters == {"a"}


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("denied", "no pages: it may not be read"),
        ("absent", "there is no page map"),
        ("gone", "no pages: it is gone"),
    ],
)
async def test_pages_that_may_not_be_read_leave_the_mappings_shades(
    reason: str, words: str
) -> None:
    app = Shown(
        map_of((0x100, 40, "rw-p"), (0x128, 40, "rwxp"), smaps=True),
        lambda start, count: Gap("proc/1/pagemap", reason),  # type: ignore[arg-type]
    )
    async with shown(app) as pilot:
        await zoom(pilot, 1)
        assert len(app.asked) == 1
        assert screen(app)[2] == words
        assert "".join(screen(app)[3:]).count("j") == 40
        await press(pilot, "right")
        assert len(app.asked) == 1
        app.picture.show_pages(None)
        await settle(pilot)
        assert len(app.asked) == 2


async def test_a_reading_that_is_short_for_good_is_asked_for_twice_and_no_more() -> None:
    """[vsyscall] is in maps, and in pagemap is nothing."""
    app = Shown(
        map_of((0xFFFFFFFFFF600, 1, "r-xp")),
        lambda start, count: PagesReading(KEY, start, array("Q"), None),
    )
    async with shown(app) as pilot:
        await zoom(pilot, 1)
        assert app.asked == [(0xFFFFFFFFFF600 * PAGE, 1)] * 2
        await press(pilot, "right", "left")
        assert len(app.asked) == 2
        assert app.picture.pages_wanted is None


async def test_pages_of_another_process_are_not_drawn() -> None:
    other = PagesReading(ProcessKey(9, 9), 0x100 * PAGE, array("Q", [ENTRIES["s"]]) * 40, None)
    app = Shown(map_of((0x100, 40, "rw-p")), lambda start, count: other)
    async with shown(app) as pilot:
        await zoom(pilot, 1)
        assert "s" not in "".join(screen(app)[3:])


async def test_what_is_seen_is_laid_out_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20,000 mappings, and a cursor that moves in a window lays nothing out again."""
    lines = [
        f"{0x7F0000000000 + row * 0x3000:x}-{0x7F0000002000 + row * 0x3000:x} rw-p 0 0:0 0\n"
        for row in range(20_000)
    ]
    made: list[int] = []
    cell = layout._cell

    def counting(map_: AddressMap, start: int, *others: Any) -> layout.Cell:
        made.append(start)
        return cell(map_, start, *others)

    monkeypatch.setattr(layout, "_cell", counting)
    app = Shown(AddressMap(KEY, parse_maps("".join(lines).encode())))
    async with shown(app) as pilot:
        for _ in range(5):
            made.clear()
            await zoom(pilot, 1)
            assert len(made) <= 28 * 12
        made.clear()
        await press(pilot, "right")
        assert len(made) <= 16  # the line the cursor goes along
        drawn: list[int] = []
        render = Picture.render_line

        def drawing(self: Picture, y: int) -> Strip:
            drawn.append(y)
            return render(self, y)

        monkeypatch.setattr(Picture, "render_line", drawing)
        await press(pilot, "right")
        assert {1, 2} <= set(drawn)
        assert len(set(drawn)) <= 5  # captions, and the lines the cursor's mapping is on


# A living process.


def zero_pages(files: Files, pid: int, start: int, count: int, page: int) -> int:
    """How many of these pages are the kernel's page of zeros."""
    entries = read_pagemap(files, pid, start, count, page)
    assert not isinstance(entries, Gap)
    flags = [read_page_flags(files, pfn) for entry in entries if (pfn := frame(entry)) is not None]
    return sum(isinstance(each, int) and bool(each & KPF_ZERO_PAGE) for each in flags)


@pytest.mark.skipif(os.geteuid() != 0, reason="which page is the one of zeros is root's to know")
async def test_a_stopped_process_shows_as_many_resident_pages_as_smaps_says(
    stopped_pid: int,
) -> None:
    files = LiveFiles("/")
    key = next(key for key in Sampler(files).sample().processes if key.pid == stopped_pid)
    map_ = read_map(files, key, "smaps").map
    assert isinstance(map_, AddressMap)
    page = os.sysconf("SC_PAGE_SIZE")
    rss = map_.mappings.usage["Rss"]
    rows = [
        row
        for row in range(len(map_))
        if map_.mappings.ends[row] - map_.mappings.starts[row] <= 200 * page
        and map_.mappings.paths[row] not in ("[vsyscall]", "[vvar]", "[vvar_vclock]", "[vdso]")
    ]
    app = Shown(
        map_,
        lambda start, count: read_pages(files, key, start, count, page, detailed=False),
        page=page,
    )
    async with shown(app, (42, 20)) as pilot:
        for _ in range(30):
            app.picture.action_zoom(1)
        present = {state.letter for state in PAGE_STATES} - {"·", "s", "g"}
        compared = set()
        for row in rows[:: max(1, len(rows) // 12)]:
            app.picture.show(map_, map_.mappings.starts[row])
            await settle(pilot)
            spots = [
                spot for line in app.picture._lines[3:] for spot in line if spot.state is not None
            ]
            own: list[Spot] = [spot for spot in spots if spot.row == row]
            if len(own) * page == map_.mappings.ends[row] - map_.mappings.starts[row]:
                seen = sum(spot.character in present for spot in own)
                # The page of zeros that all share is in memory, and in nobody's RSS.
                zeros = zero_pages(files, stopped_pid, own[0].start, len(own), page)
                assert (seen - zeros) * page == rss[row], map_.mappings.vma(row)
                compared.add(rss[row] > 0)
        assert any(compared)
