"""The picture zoomed: windows as text, the cursor, the mouse, and pages as they are asked for."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from rich.style import Style
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from memtui.kernel.files import Gap
from memtui.kernel.pagemap import EXCLUSIVE, FILE_OR_SHARED, GUARD, PRESENT, SWAPPED
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.kinds import INDEX
from memtui.model.map.layout import Window, window_lines
from memtui.ondemand.pages import PagesReading
from memtui.tui.widgets.picture import Picture
from memtui.tui.widgets.spots import window_picture
from tests.tui.widgets.test_picture import KEY, PAGE, art, map_of

MIB = 256  # pages

Answer = Callable[[int, int], "PagesReading | Gap | None"]


class Shown(App[None]):
    """A picture alone on the screen, its cursor where it points, its pages as `answer` says."""

    def __init__(
        self,
        map_: AddressMap,
        answer: Answer | None = None,
        zoomable: bool = True,
        page: int = PAGE,
    ) -> None:
        super().__init__()
        self.map = map_
        self.answer = answer
        self.asked: list[tuple[int, int]] = []
        self.picture = Picture(page, zoomable=zoomable, id="picture")

    def compose(self) -> ComposeResult:
        yield self.picture

    def on_mount(self) -> None:
        self.picture.show(self.map, self.map.mappings.starts[0])
        self.picture.focus()

    def on_picture_pointed(self, event: Picture.Pointed) -> None:
        self.picture.show(self.map, event.picture.address)

    def on_picture_pages_wanted(self, event: Picture.PagesWanted) -> None:
        wanted = event.picture.pages_wanted
        if wanted is not None:
            self.asked.append(wanted)
            if self.answer is not None:
                self.picture.show_pages(self.answer(*wanted))


@asynccontextmanager
async def shown(app: Shown, size: tuple[int, int] = (28, 12)) -> AsyncIterator[Pilot[None]]:
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        yield pilot


async def settle(pilot: Pilot[None]) -> None:
    for _ in range(4):
        await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await settle(pilot)


async def zoom(pilot: Pilot[None], step: int) -> None:
    assert isinstance(pilot.app, Shown)
    pilot.app.picture.action_zoom(step)
    await settle(pilot)


async def wheel(pilot: Pilot[None], x: int, y: int, up: bool = True) -> None:
    assert isinstance(pilot.app, Shown)
    kind = events.MouseScrollUp if up else events.MouseScrollDown
    widget = pilot.app.picture
    widget.post_message(kind(widget, x, y, 0, -1 if up else 1, 0, False, False, False, x, y))
    await settle(pilot)


def screen(app: Shown) -> list[str]:
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips(app.size)]


def styles(app: Shown, y: int) -> list[Style]:
    """How each cell of a line is drawn."""
    drawn = [(segment.text, segment.style) for segment in app.picture.render_line(y)]
    return [style or Style() for text, style in drawn for _ in text]


def style_at(app: Shown, x: int, y: int) -> Style:
    return styles(app, y)[x]


def cursor_cells(app: Shown) -> list[tuple[int, int]]:
    """What is drawn as the cursor, below the window's head."""
    head = app.picture._head_height()
    return [
        (x, y)
        for y in range(head, app.size.height)
        for x, style in enumerate(styles(app, y))
        if style.bgcolor and style.bgcolor.name == "#ffb454"
    ]


def spot_at(app: Shown, address: int) -> tuple[int, int]:
    head = app.picture._head_height()
    return next(
        (x, y)
        for y, line in enumerate(app.picture._lines[head:], start=head)
        for x, spot in enumerate(line)
        if spot.start <= address < spot.end
    )


# Windows as text.


def window_art(map_: AddressMap, window: Window, *readings: PagesReading) -> list[str]:
    lines = window_lines(map_.mappings, window)
    return art(window_picture(map_, window, lines, 26, PAGE, readings))


def test_a_window_to_scale_with_small_holes_drawn_and_large_ones_folded() -> None:
    map_ = map_of((0x1000, 20, "rw-p"), (0x1015, 8, "rwxp"), (0x9000, 3, "---p"))
    assert window_art(map_, Window(0x1000 * PAGE, PAGE, 16, 9)) == [
        "00000100… aaaaaaaaaaaaaaaa",
        "00000101… aaaa jjjjjjjj   ",
        "            ~ 128 MiB ~   ",
        "00000900… ggg             ",
    ]
    assert window_art(map_, Window(0x1000 * PAGE, 4 * PAGE, 16, 9)) == [
        "00000100… aaaaajjj········",
        "            ~ 128 MiB ~   ",
        "00000900… g···············",
    ]


def test_a_label_leaves_out_digits_that_are_0_on_every_line_or_else_the_high_ones() -> None:
    map_ = map_of((0x7F1234567, 64, "rw-p"), (0xFFFFFFFFFF600, 1, "rwxp"))
    labels = {
        across: {line[: 26 - across] for line in window_art(map_, Window(0, PAGE, across, 3))}
        for across in (8, 16)
    }
    assert labels[8] >= {"7f1234560000      ", "7f1234568000      "}
    assert labels[16] >= {"7f123456… ", "7f123457… "}
    end = window_art(map_, Window(0xFFFFFFFFFF600 * PAGE, PAGE, 16, 3))
    assert end[-1] == "…ff600000 j               "


ENTRIES = {
    " ": 0,
    "·": 0,
    "a": PRESENT | EXCLUSIVE,
    "A": PRESENT,
    "f": PRESENT | FILE_OR_SHARED | EXCLUSIVE,
    "F": PRESENT | FILE_OR_SHARED,
    "s": SWAPPED,
    "g": GUARD | SWAPPED,
}


def reading(first: int, states: str) -> PagesReading:
    """Pages from a first one on, as their letters."""
    return PagesReading(KEY, first * PAGE, array("Q", [ENTRIES[state] for state in states]), None)


def test_pages_are_their_states_where_they_were_read() -> None:
    map_ = map_of((4, 10, "rw-p"), (16, 12, "rwxp"))
    window = Window(0, PAGE, 16, 4)
    assert window_art(map_, window) == [
        "00000000…     aaaaaaaaaa  ",
        "00000001… jjjjjjjjjjjj    ",
    ]
    states = "aA·fFsgaaa  fffFFFsss···"
    assert window_art(map_, window, reading(4, states)) == [
        "00000000…     aA·fFsgaaa  ",
        "00000001… fffFFFsss···    ",
    ]
    # A reading of one line, and of a part of the other: the half-read line is as before.
    assert window_art(map_, window, reading(4, states[:16])) == [
        "00000000…     aA·fFsgaaa  ",
        "00000001… jjjjjjjjjjjj    ",
    ]


def test_shades_are_of_pages_where_these_were_read_and_of_mapped_ones_alone() -> None:
    map_ = map_of((0, 6, "---p"), (16, 16, "rwxp"), smaps=True)
    window = Window(0, 4 * PAGE, 8, 1)
    lines = window_lines(map_.mappings, window)

    def shares(*readings: PagesReading) -> list[float | None]:
        (line,) = window_picture(map_, window, lines, 18, PAGE, readings)
        return [spot.share for spot in line[10:]]

    assert shares() == [0, 0, None, None, 1, 1, 1, 1]
    # The second cell has 2 pages mapped, of which 1 is in memory.
    known = reading(0, "aaa·" + "a·  " + " " * 8 + "ffff" + "···f" + "····" + "sfsf")
    assert shares(known) == [0.75, 0.5, None, None, 1, 0.25, 0, 0.5]


# On the screen.


def heap(*more: tuple[int, int, str]) -> AddressMap:
    """1 GiB, and far above it something small."""
    return map_of((0x10000, 1024 * MIB, "rw-p"), (0x7F0000000, 8, "rwxp"), *more, smaps=True)


async def test_plus_zooms_to_single_pages_and_minus_to_the_whole() -> None:
    app = Shown(heap())
    async with shown(app) as pilot:
        whole = screen(app)
        assert not app.picture.zoomed
        captions = [""] * 8
        for at in range(8):
            await zoom(pilot, 1)
            captions[at] = screen(app)[1]
        assert captions == [
            "cell 8 MiB · 1.1 GiB",
            "cell 2 MiB · 288 MiB",
            "cell 512 KiB · 72 MiB",
            "cell 128 KiB · 18 MiB",
            "cell 32 KiB · 4.5 MiB",
            "cell 8 KiB · 1.1 MiB",
            "cell 4 KiB · 576 KiB",
            "cell 4 KiB · 576 KiB",
        ]
        for _ in range(5):
            await zoom(pilot, -1)
            assert app.picture.zoomed
        await zoom(pilot, -1)
        assert not app.picture.zoomed
        assert screen(app) == whole
        await zoom(pilot, -1)
        await zoom(pilot, 1)
        app.picture.fold()
        await settle(pilot)
        assert screen(app) == whole


@pytest.mark.parametrize("size", [(78, 2), (78, 3), (28, 25), (42, 45), (20, 9)])
async def test_every_line_of_a_window_is_full_and_the_cursor_is_one_cell(
    size: tuple[int, int],
) -> None:
    app = Shown(heap())
    async with shown(app, size) as pilot:
        for _ in range(8):
            await press(pilot, "home")
            await zoom(pilot, 1)
            assert len(cursor_cells(app)) == 1
            assert all(
                len(strip.text) == size[0] for strip in map(app.picture.render_line, range(size[1]))
            )
            await press(pilot, "right", "down", "pagedown")
            # One, or the words that are a folded hole.
            (y,) = {y for _, y in cursor_cells(app)}
            x = cursor_cells(app)[0][0]
            spot = app.picture._lines[y][x]
            assert app.picture.address is not None
            assert spot.start <= app.picture.address < spot.end
        assert "4 KiB" in "".join(screen(app)[:2])


async def test_the_whole_stands_above_the_window_which_is_lit_in_it() -> None:
    app = Shown(heap())

    def lit() -> str:
        return "".join(
            spot.character
            for x, spot in enumerate(app.picture._lines[0])
            if (color := style_at(app, x, 0).bgcolor) and color.name == "#ffb454"
        )

    async with shown(app) as pilot:
        await zoom(pilot, 1)
        whole = "".join(spot.character for spot in app.picture._lines[0])
        assert screen(app)[0] == whole == "a" * 17 + "~127T~" + "jjjj"
        assert lit() == "a" * 17 + "~127T~"
        await press(pilot, "home")
        await zoom(pilot, 1)
        await zoom(pilot, 1)
        assert 1 <= len(lit()) <= 3
        await press(pilot, "end")
        assert "j" in lit()
        # A click on it goes there.
        await pilot.click("#picture", offset=(8, 0))
        await settle(pilot)
        assert app.picture.address == app.picture._lines[0][8].start
        assert app.map.row_at(app.picture.address) == 0
        assert cursor_cells(app) == [spot_at(app, app.picture.address)]


async def test_arrows_go_cell_by_cell_and_line_by_line_in_a_window() -> None:
    app = Shown(map_of((0x100, 40, "rw-p"), (0x200, 40, "rwxp")))
    base = 0x100 * PAGE
    async with shown(app) as pilot:
        await press(pilot, "right")
        assert app.picture.address == 0x200 * PAGE  # in the whole: by mappings
        await press(pilot, "left")
        await zoom(pilot, 1)
        assert "cell 4 KiB" in screen(app)[1]
        steps = []
        for key in ("right", "right", "left", "down", "down", "down", "down", "up"):
            await press(pilot, key)
            assert app.picture.address is not None
            steps.append((app.picture.address - base) // PAGE)
        # Lines of 16 pages: three of the first mapping, a folded hole, the second one.
        assert steps == [1, 2, 1, 17, 33, 48, 256, 48]
        assert app.picture.address == 0x130 * PAGE
        assert app.map.row_at(app.picture.address) is None
        assert "~ 832 KiB ~" in screen(app)[6]
        hole = cursor_cells(app)
        assert {y for _, y in hole} == {6}
        assert len(hole) == len("~ 832 KiB ~")
        await press(pilot, "home", "left")
        assert app.picture.address == base
        await press(pilot, "end")
        assert app.picture.address == 0x200 * PAGE
        await press(pilot, "pagedown")
        assert (app.picture.address - base) // PAGE == 256 + 32
        await press(pilot, *["right"] * 20)
        assert (app.picture.address - base) // PAGE == 256 + 39


async def test_arrows_in_the_whole_go_from_a_hole_to_the_mapping_beside_it() -> None:
    app = Shown(map_of((0x100, 40, "rw-p"), (0x200, 40, "rwxp"), (0x300, 40, "---p")))
    async with shown(app) as pilot:
        for key, expected in (("right", 0x200), ("left", 0x100)):
            app.picture.show(app.map, 0x180 * PAGE)
            await press(pilot, key)
            assert app.picture.address == expected * PAGE
        app.picture.show(app.map, 0x80 * PAGE)
        await press(pilot, "right")
        assert app.picture.address == 0x100 * PAGE
        await press(pilot, "pagedown")
        assert app.picture.address == 0x300 * PAGE
        await press(pilot, "right")
        assert app.picture.address == 0x300 * PAGE
        await press(pilot, "home")
        assert app.picture.address == 0x100 * PAGE


async def test_a_click_points_at_a_cell_even_in_a_hole() -> None:
    app = Shown(map_of((0x100, 20, "rw-p"), (0x118, 20, "rwxp")))
    async with shown(app) as pilot:
        await zoom(pilot, 1)
        for address in (0x105, 0x116, 0x11A):
            await pilot.click("#picture", offset=spot_at(app, address * PAGE))
            await settle(pilot)
            assert app.picture.address == address * PAGE
        # Labels and captions are nothing to point at.
        for x, y in ((2, 4), (5, 1), (5, 2), (20, 11)):
            await pilot.click("#picture", offset=(x, y))
            await settle(pilot)
            assert app.picture.address == 0x11A * PAGE


async def test_a_double_click_zooms_in_there() -> None:
    app = Shown(heap())
    async with shown(app) as pilot:
        x, y = 12, 3
        there = app.picture._lines[y][x].start
        await pilot.click("#picture", offset=(x, y), times=2)
        await settle(pilot)
        assert app.picture.zoomed
        assert app.picture.address == there
        assert len(cursor_cells(app)) == 1


async def test_the_wheel_zooms_around_the_pointer_and_stays_there() -> None:
    app = Shown(heap())
    async with shown(app) as pilot:
        there = app.picture._lines[5][20].start
        await wheel(pilot, 20, 5, up=False)
        assert app.picture.address == app.map.mappings.starts[0]  # the whole is the end of it
        for _ in range(8):
            await wheel(pilot, 20, 5)
            assert app.picture.address == there
        assert "cell 4 KiB" in screen(app)[1]
        # Elsewhere, it is around what is there by then.
        x, y = spot_at(app, there + 3 * PAGE)
        await wheel(pilot, x, y, up=False)
        assert app.picture.address == there + 3 * PAGE
        for _ in range(8):
            await wheel(pilot, x, y, up=False)
        assert not app.picture.zoomed


async def test_a_ribbon_points_but_does_not_zoom() -> None:
    app = Shown(heap(), zoomable=False)
    async with shown(app, (60, 1)) as pilot:
        x = screen(app)[0].index("j")
        await wheel(pilot, x, 0)
        await zoom(pilot, 1)
        assert app.picture.address == app.map.mappings.starts[0]
        await pilot.click("#picture", offset=(x, 0), times=2)
        await settle(pilot)
        assert app.picture.address == app.map.mappings.starts[1]
        assert not app.picture.zoomed


async def test_an_address_from_elsewhere_is_followed() -> None:
    app = Shown(heap())
    async with shown(app) as pilot:
        for _ in range(8):
            await zoom(pilot, 1)
        app.picture.show(app.map, 0x7F0000003 * PAGE)
        await settle(pilot)
        assert cursor_cells(app) == [spot_at(app, 0x7F0000003 * PAGE)]


async def test_a_new_map_keeps_the_window_and_another_process_does_not() -> None:
    app = Shown(heap())
    async with shown(app) as pilot:
        for _ in range(4):
            await zoom(pilot, 1)
        await press(pilot, "pagedown")
        before = screen(app)
        address = app.picture.address
        app.picture.show(heap((0x7F0001000, 4, "---p")), address)
        await settle(pilot)
        assert screen(app)[1:] == before[1:]
        app.picture.show(AddressMap(ProcessKey(2, 2), app.map.mappings), address)
        await settle(pilot)
        assert not app.picture.zoomed


async def test_a_window_fits_a_screen_of_another_size() -> None:
    app = Shown(heap())
    async with shown(app) as pilot:
        for _ in range(5):
            await zoom(pilot, 1)
        await press(pilot, "pagedown", "pagedown")
        for size in ((60, 30), (78, 3), (20, 2), (28, 12)):
            await pilot.resize_terminal(*size)
            await settle(pilot)
            assert app.picture.zoomed
            assert len(cursor_cells(app)) == 1
        await pilot.resize_terminal(60, 1)
        await settle(pilot)
        assert not app.picture.zoomed


async def test_other_kinds_than_the_lit_one_are_dim() -> None:
    app = Shown(map_of((0x100, 40, "rw-p"), (0x128, 40, "rwxp"), (0x150, 40, "---p"), smaps=True))
    jit = INDEX["jit"]
    async with shown(app) as pilot:
        for zoomed in (False, True):
            if zoomed:
                await zoom(pilot, 1)
            for lit in (None, jit):
                app.picture.show(app.map, 0x100 * PAGE, lit)
                await settle(pilot)
                shaded = {
                    spot.kind: style_at(app, x, y).bgcolor
                    != style_at(app, 0, app.size.height - 1).bgcolor
                    for y, line in enumerate(app.picture._lines)
                    for x, spot in enumerate(line)
                    if spot.kind is not None and y >= app.picture._head_height()
                }
                assert shaded[jit]
                assert shaded[INDEX["guard"]] is (lit is None)


async def test_without_colour_states_and_kinds_are_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    states = "aA·fFsgaaafffFFFsss···aaaa"
    app = Shown(map_of((0x100, 26, "rw-p")), lambda start, count: reading(start // PAGE, states))
    async with shown(app) as pilot:
        await zoom(pilot, 1)
        assert screen(app)[3:5] == ["0000001000… aA·fFsgaaafffFFF", "0000001100… sss···aaaa"]
        for page, words in ((1, "A anonymous shared"), (2, "· absent"), (5, "s swapped")):
            app.picture.show(app.map, (0x100 + page) * PAGE)
            await settle(pilot)
            assert screen(app)[2] == words
        backgrounds = {style_at(app, x, y).bgcolor for y in (3, 4) for x in range(13, 22)}
        # All but the cursor's.
        assert len(backgrounds) == 2
