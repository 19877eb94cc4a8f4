"""The map view: one cursor in table, picture and sums; only what is visible costs anything."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from memtui.kernel.maps import parse_maps
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.kinds import KINDS
from memtui.tui import theme
from memtui.tui.app import MemtuiApp
from memtui.tui.widgets.lines import Table
from memtui.tui.widgets.mappings import KindTable, MappingTable
from memtui.tui.widgets.picture import Picture
from memtui.tui.widgets.spots import Spot
from memtui.tui.words.cells import Part
from tests.interface import (
    BIG,
    app_of,
    cursor,
    dashboard,
    deliver,
    java,
    picture,
    press,
    rows_words,
    running,
    screen,
    screen_text,
    script_of,
    table,
)
from tests.samples import map_of, process, sample


def dim_cells(app: MemtuiApp) -> list[tuple[Spot, bool]]:
    """The cells of the picture that show mappings, but for the cursor, and whether they are dim."""
    address = picture(app).address or 0
    found = []
    for y, line in enumerate(picture(app)._lines):
        drawn = picture(app).render_line(y)
        styles = [segment.style for segment in drawn for _ in segment.text]
        for spot, style in zip(line, styles, strict=False):
            if spot.kind is not None and not spot.start <= address < spot.end:
                assert style
                assert style.color
                assert style.color.triplet
                found.append((spot, style.color.triplet.hex == theme.FRAME))
    return found


async def test_enter_opens_the_map_and_escape_comes_back() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "enter")
        assert app.view_name == "map"
        assert "10 big · user root · 5 mappings" in screen_text(app)[1]
        for words in ("/bin/big", "[heap]", "[stack]", "program code", "everything"):
            assert words in screen(app)
        await press(pilot, "escape")
        assert app.view_name == "overview"
        assert app.focused is app.query_one("#top-processes")
        await press(pilot, "3")
        assert app.view_name == "map"
        await press(pilot, "1")
        assert app.view_name == "overview"


async def test_the_view_is_whole_at_once() -> None:
    """Nothing waits for the next sample, which may be a minute away."""
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter")
        first = screen_text(app)
        last = app.session.history.last
        assert last is not None
        await deliver(pilot, last._replace(time_s=last.time_s + 1))
        assert screen_text(app) == first


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_one_cursor_in_table_and_picture(size: tuple[int, int]) -> None:
    app = java()
    async with running(app, size) as pilot:
        await press(pilot, "enter")
        assert cursor(app) == 0
        await press(pilot, "down", "down")
        assert cursor(app) == 2
        await press(pilot, "end")
        assert cursor(app) == 240
        await press(pilot, "pageup")
        assert 150 < cursor(app) < 240
        picture(app).focus()
        before = cursor(app)
        await press(pilot, "left")
        assert cursor(app) == before - 1
        await press(pilot, "right", "right")
        assert cursor(app) == before + 1
        table(app).focus()
        await press(pilot, "home")
        assert cursor(app) == 0


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_click_in_the_picture_goes_to_the_mapping_there(size: tuple[int, int]) -> None:
    app = java()
    async with running(app, size) as pilot:
        await press(pilot, "enter")
        spots = [
            (x, y, spot.row)
            for y, line in enumerate(picture(app)._lines)
            for x, spot in enumerate(line)
            if spot.row is not None
        ]
        for x, y, row in spots[:: len(spots) // 6]:
            await pilot.click("#picture", offset=(x, y))
            await pilot.pause()
            assert cursor(app) == row
        here = cursor(app)
        hole = next(
            (x, y)
            for y, line in enumerate(picture(app)._lines)
            for x, spot in enumerate(line)
            if spot.character == "~"
        )
        await pilot.click("#picture", offset=hole)
        await pilot.pause()
        assert cursor(app) == here


async def test_arrows_walk_the_lines_of_the_picture() -> None:
    app = java()
    async with running(app, (120, 40)) as pilot:
        await press(pilot, "enter")
        picture(app).focus()
        seen = [cursor(app)]
        for _ in range(40):
            await press(pilot, "down")
            seen.append(cursor(app))
        assert seen == sorted(seen)
        assert seen[-1] == 240
        await press(pilot, *["up"] * 40)
        assert cursor(app) == 0


async def test_the_ribbon_beside_the_processes_points_too() -> None:
    app = java()
    async with running(app) as pilot:
        ribbon = app.query_one("#ribbon", Picture)
        at = next(x for x, spot in enumerate(ribbon._lines[0]) if spot.character == "k")
        await pilot.click("#ribbon", offset=(at, 0))
        await pilot.pause()
        beside = app.query_one("#beside-table", MappingTable)
        assert beside.map is not None
        assert beside.map.kind(beside.cursor).name == "stack"
        assert "[stack]" in screen(app)


async def test_choosing_a_kind_shows_its_mappings_alone() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter")
        kinds, map_ = app.query_one(KindTable), app.session.chosen.map
        assert map_ is not None
        kinds.focus()
        for _ in range(kinds.row_count() - 1):
            await press(pilot, "down")
            kind = kinds.kind
            assert kind is not None
            of_kind = [row for row in range(len(map_)) if map_.kind(row) is kind]
            assert list(table(app).rows) == of_kind
            assert cursor(app) in of_kind
            assert f"{len(of_kind)} of 241 mappings · {kind.words}" in rows_words(app)
        await press(pilot, "home")
        assert list(table(app).rows) == list(range(241))
        assert "all 241 mappings" in rows_words(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_chosen_kind_is_lit_and_escape_puts_all_back(size: tuple[int, int]) -> None:
    app = java()
    async with running(app, size) as pilot:
        await press(pilot, "enter")
        assert not any(is_dim for _, is_dim in dim_cells(app))
        kinds = app.query_one(KindTable)
        kinds.focus()
        await press(pilot, "down", "down")
        assert kinds.kind is not None
        lit = KINDS.index(kinds.kind)
        assert {spot.kind == lit for spot, _ in dim_cells(app)} == {True, False}
        assert all(is_dim == (spot.kind != lit) for spot, is_dim in dim_cells(app))
        await press(pilot, "escape")
        assert kinds.cursor == 0
        assert app.view_name == "map"
        assert len(table(app).rows) == 241
        assert not any(is_dim for _, is_dim in dim_cells(app))
        await press(pilot, "escape")
        assert app.view_name == "overview"


async def test_the_cursor_stays_with_its_address_when_the_map_changes() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "enter", "end", "up")
        before = app.session.chosen.address
        assert cursor(app) == 3
        text = "1000-2000 rw-p 0 0:0 0\n3000-4000 rw-p 0 0:0 0\n556000000-556010000 rw-p 0 0:0 0\n"
        grown = AddressMap(BIG.key, parse_maps(text.encode()))
        script_of(app).read(BIG.key, grown)
        await pilot.pause()
        assert app.session.chosen.address == before == 0x556000000
        assert cursor(app) == 2


async def test_another_process_begins_at_its_first_mapping() -> None:
    other = process(20, "other", 100)
    maps = {each.key: map_of(each.key, each.name) for each in (BIG, other)}
    app = app_of([sample(1000.0, BIG, other)], maps)
    async with running(app) as pilot:
        await press(pilot, "enter", "end", "escape", "down", "enter")
        assert app.session.chosen.key == other.key
        assert cursor(app) == 0


async def test_sums_by_kind_are_in_the_order_of_what_is_resident() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter")
        rows = app.query_one(KindTable)._rows
        assert rows[0][0] is None
        resident = [totals.rss or 0 for _, totals in rows[1:]]
        assert resident == sorted(resident, reverse=True)


async def test_usage_that_is_being_read_is_neither_nothing_nor_unknown() -> None:
    layout = AddressMap(BIG.key, parse_maps(b"1000-9000 rw-p 0 0:0 0 [heap]\n"))
    app = dashboard(layout)
    async with running(app) as pilot:
        await press(pilot, "enter")
        assert "reading usage …" in screen_text(app)[1]
        assert "how much of it is in memory is not known" in screen(app)
        script_of(app).read(BIG.key, map_of(BIG.key, "big"))
        await pilot.pause()
        assert "usage read 0 s ago" in screen_text(app)[1]
        assert "50 % in memory" in screen(app)


# What it costs.

MANY = 60_000


@pytest.fixture(scope="module")
def huge() -> AddressMap:
    """60,000 mappings, every second one closed."""
    lines = []
    for row in range(MANY):
        start = 0x7F0000000000 + row * 0x3000
        perms = "rw-p" if row % 2 else "---p"
        lines.append(
            f"{start:x}-{start + 0x2000:x} {perms} 00000000 00:00 0\nSize: 8 kB\nRss: 8 kB\n"
        )
    return AddressMap(BIG.key, parse_maps("".join(lines).encode()))


async def test_only_visible_rows_are_asked_for(
    huge: AddressMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    row_texts = MappingTable.row_texts

    def counting(self: MappingTable, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        asked.append(row)
        return row_texts(self, row, names)

    monkeypatch.setattr(MappingTable, "row_texts", counting)
    app = dashboard(huge)
    async with running(app) as pilot:
        await press(pilot, "enter")
        for key in ("down", "end", "pageup", "home"):
            asked.clear()
            await press(pilot, key)
            height = table(app).body_height
            visible = range(table(app).top, table(app).top + height)
            assert set(asked) <= set(visible)
            # A few times each: to see what changed, and to draw it.
            assert len(asked) <= 6 * height
        await press(pilot, "end")
        assert cursor(app) == MANY - 1


async def test_a_cursor_key_repaints_few_lines(
    huge: AddressMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted: list[int] = []
    draw = Table._draw

    async def lines_of(key: str) -> int:
        painted.clear()
        await press(pilot, key)
        return len(painted)

    def counting(self: Table, y: int, content: tuple[object, ...]) -> object:
        painted.append(y)
        return draw(self, y, content)

    app = dashboard(huge)
    async with running(app) as pilot:
        await press(pilot, "enter", "down")
        monkeypatch.setattr(Table, "_draw", counting)
        assert await lines_of("down") == 2  # the row it left and the one it is on
        assert await lines_of("up") == 2
        assert await lines_of("end") >= table(app).body_height


async def test_the_same_figures_again_repaint_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    app = java()
    painted: list[str] = []
    draw = Table._draw

    def counting(self: Table, y: int, content: tuple[object, ...]) -> object:
        painted.append(f"{self.id} {y}")
        return draw(self, y, content)

    async with running(app) as pilot:
        last = app.session.history.last
        assert last is not None
        monkeypatch.setattr(Table, "_draw", counting)
        await deliver(pilot, last._replace(time_s=last.time_s + 1))
        # Only that gains have been counted for a second.
        assert set(painted) <= {"top-processes 0"}


async def test_alike_neighbours_are_one_row_that_opens() -> None:
    lines = ["400000-401000 r-xp 0 08:01 9 /usr/bin/node\nSize: 4 kB\nRss: 4 kB"]
    for number in range(10):
        start = 0x9C00000000 + number * (1 << 20)
        lines.append(f"{start:x}-{start + 0x40000:x} rw-p 0 00:00 0\nSize: 256 kB\nRss: 64 kB")
    lines.append("7ff000000000-7ff000021000 rw-p 0 00:00 0 [stack]\nSize: 132 kB\nRss: 8 kB\n")
    app = dashboard(AddressMap(BIG.key, parse_maps("\n".join(lines).encode())))
    async with running(app, (160, 40)) as pilot:
        await press(pilot, "enter")
        assert list(table(app).rows) == [0, 1, 11]
        await press(pilot, "home", "down")
        line = next(line for line in screen_text(app) if "10 × V8 heap" in line)
        assert "2.5 MiB" in line and "640 KiB" in line
        assert "009c00000000–009c00940000" in line
        assert "all 12 mappings" in rows_words(app)
        await pilot.resize_terminal(80, 24)
        line = next(line for line in screen_text(app) if "10 × V8" in line)
        assert " 009c00000000 " in line, "no address is cut"
        await pilot.resize_terminal(160, 40)
        await press(pilot, "enter")
        assert list(table(app).rows) == list(range(12))
        assert cursor(app) == 1
        await press(pilot, "enter")
        assert app.screen_stack[1:], "a mapping alone opens as any other does"
