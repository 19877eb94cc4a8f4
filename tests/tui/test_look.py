"""The map view and its sheets on the screen: sizes, and the words of the footer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.pilot import Pilot

from memtui.kernel.livefiles import LiveFiles
from memtui.tui.app import MemtuiApp
from memtui.tui.keys import keys_of
from memtui.tui.sheets.choice import ChoiceSheet
from tests.child import AREA, Child, child, read_again
from tests.conftest import open_host
from tests.interface import (
    SHEETS,
    cursor,
    go_to,
    is_whole,
    java,
    loaded,
    map_in,
    open_sheet,
    picture,
    press,
    running,
    screen_text,
    settle,
    table,
)
from tests.samples import MIB

SHARED = "0x21"  # and anonymous
SIZES = ((60, 15), (80, 24), (120, 40), (200, 60))


@pytest.mark.parametrize(
    ("size", "environment"),
    [*((size, "") for size in SIZES), ((80, 24), "NO_COLOR"), ((120, 40), "NO_COLOR")],
)
async def test_every_line_is_as_wide_as_the_screen(
    size: tuple[int, int], environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment:
        monkeypatch.setenv(environment, "1")
    with child() as process:
        process.run(f"area({AREA}, {MIB}, {SHARED}); fork()")
        app = process.watched()
        async with running(app, size) as pilot:
            await press(pilot, "enter")
            process.run(f"unmap({AREA}, {MIB // 2}); area({AREA + 4 * MIB}, {MIB})")
            await read_again(pilot, process)
            await go_to(pilot, AREA + MIB // 2)
            is_whole(app)
            for key in (*SHEETS, "s", "C", "slash", "e", "at"):
                await press(pilot, key)
                await loaded(pilot)
                is_whole(app)
                await press(pilot, "down")
                is_whole(app)
                await press(pilot, "escape")
                assert app.view_name == "map"
                is_whole(app)


@pytest.mark.parametrize("size", SIZES)
async def test_the_cursors_mapping_is_on_the_screen_at_every_size(size: tuple[int, int]) -> None:
    app = java()
    async with running(app, size) as pilot:
        await press(pilot, "enter", "end")
        region = table(app).region
        rows = screen_text(app)[region.y + 1 : region.bottom]
        start = map_in(app).mappings.starts[240]
        assert table(app).row == 240
        assert f"{start:012x}"[:11] in rows[-1]  # a longer address than there is room for


@pytest.mark.parametrize("key", SHEETS)
async def test_a_sheet_at_another_size_and_the_map_below_it(key: str) -> None:
    files = open_host("debian-6.18")
    app = java(files)
    async with running(app) as pilot:
        await press(pilot, "enter", "down")
        await open_sheet(pilot, key)
        for width, height in (*SIZES, (80, 24)):
            await pilot.resize_terminal(width, height)
            await settle(pilot)
            is_whole(app)
        # To the first row, as the table may have been scrolled.
        await press(pilot, "escape", "home")
        closed = screen_text(app)
    again = java(files)
    async with running(again, (80, 24)) as pilot:
        await press(pilot, "enter")
        assert closed == screen_text(again)


# The footer's words.


def state(app: MemtuiApp) -> list[object]:
    """What a key changes: what is open, what is asked, what is shown."""
    own = [
        app.view_name,
        app.session.is_frozen,
        app.session.chosen.address,
        type(app.screen).__name__,
        app._exit,
    ]
    asked = [widget._question for widget in app.query("Prompt")]  # type: ignore[attr-defined]
    # Only what was copied, not its figures: whoever else runs on the machine changes these.
    copied = app.clipboard.partition("\n")[0]
    return [*own, *asked, picture(app).zoomed, app.session.chosen.trail.is_marked, copied]


def alone(process: Child, root: Path) -> LiveFiles:
    """This machine with no other process: who else maps something is looked for in no time."""
    (root / "proc").mkdir()
    (root / "sys").symlink_to("/sys")
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == process.key.pid:
            (root / "proc" / name).symlink_to(f"/proc/{name}")
    return LiveFiles(str(root))


async def start_over(pilot: Pilot[None], opening: tuple[str, ...]) -> None:
    """From wherever a key has led back to the map with nothing open, and in again."""
    app = pilot.app
    assert isinstance(app, MemtuiApp)
    if app.view_name != "map":
        await press(pilot, "enter")
    while len(app.screen_stack) > 1 or app.query("Prompt") or picture(app).zoomed:
        await press(pilot, "escape")
    assert app.view_name == "map"
    if opening:
        await press(pilot, *opening)
        await loaded(pilot)


async def click_word(pilot: Pilot[None], word: str) -> None:
    line = screen_text(pilot.app)[-1] + " "  # which may be full
    assert f" {word} " in line
    await pilot.click("#footer", offset=(line.index(f" {word} ") + 1, 0))


async def results(
    process: Child, view: str, opening: tuple[str, ...], with_mouse: bool
) -> dict[str, list[object]]:
    """What each word of a footer leads to, one after the other in one application."""
    app = process.watched()
    found = {}
    # As wide as all words of a footer, as low as there is a picture to zoom into.
    async with running(app, (200, 20)) as pilot:
        for key in keys_of(view):
            if not key.footer or key.action in ("inside", "sort", "goto", "step(-1)"):
                continue
            await start_over(pilot, opening)
            before = state(app)
            if with_mouse:
                await click_word(pilot, f"{key.shown} {key.footer}")
            else:
                await press(pilot, key.key.split(",")[0])
            found[key.footer] = state(app)
            assert found[key.footer] != before, key
    assert list(found)[-1] == "quit" and len(found) > 5
    return found


@pytest.mark.parametrize(
    ("view", "opening"),
    [("map", ()), ("pagetable", ("t",)), ("sharers", ("w",)), ("difference", ("d",))],
)
async def test_every_word_of_the_footer_is_its_key(
    view: str, opening: tuple[str, ...], tmp_path: Path
) -> None:
    with child() as process:
        process.files = alone(process, tmp_path)
        by_key = await results(process, view, opening, with_mouse=False)
        assert await results(process, view, opening, with_mouse=True) == by_key


async def test_the_words_that_need_something_to_go_to() -> None:
    with child() as process:
        app = process.watched()
        async with running(app, (200, 60)) as pilot:
            await press(pilot, "enter")
            await click_word(pilot, "s sort")
            assert isinstance(app.screen, ChoiceSheet)
            await press(pilot, "escape")
            process.run(f"area({AREA}, {3 * MIB}); fill({AREA}, {2 * MIB})")
            await read_again(pilot, process)
            await open_sheet(pilot, "d")
            await click_word(pilot, "Enter go there")
            assert app.session.chosen.address == AREA
            assert map_in(app).row_at(AREA) == cursor(app)
