"""What lists show: the first rows, unless somebody went elsewhere; filters, keys and colours."""

from __future__ import annotations

import subprocess
import sys

import pytest

from memtui.tui.app import MemtuiApp
from memtui.tui.sheets.choice import ChoiceSheet
from memtui.tui.widgets.plotting import whole_cells
from memtui.tui.widgets.processcells import bars
from memtui.tui.widgets.processes import ProcessList
from memtui.tui.widgets.prompt import OfferTable, Prompt
from tests.interface import (
    app_of,
    click_head,
    cursor,
    deliver,
    java,
    key_event,
    press,
    running,
    screen_text,
    table,
    until,
)
from tests.interface import screen as screen_of
from tests.samples import MIB, map_of, process, sample

# The largest are somebody else's: only the sixtieth's map may be read.
EVERYONE = [process(100 + at, f"p{at:02}", 10_000 - 100 * at) for at in range(80)]
OWN = EVERYONE[60]
MAPS = {OWN.key: map_of(OWN.key, OWN.name)}


def dashboard() -> MemtuiApp:
    return app_of([sample(1000.0, *EVERYONE)], MAPS)


def shown(app: MemtuiApp, name: str = "#top-processes") -> list[int]:
    """The pids of the rows on the screen."""
    listed = app.query_one(name, ProcessList)
    return [row.pid for row in listed._rows[listed.top :][: listed.body_height]]


async def test_the_largest_are_shown_where_the_chosen_is_far_below() -> None:
    app = dashboard()
    async with running(app, (80, 24)) as pilot:
        assert app.session.chosen.key == OWN.key
        assert shown(app)[0] == 100
        await press(pilot, "2")
        assert shown(app, "#process-list")[0] == 100
        await press(pilot, "1")
        await deliver(pilot, sample(1001.0, *EVERYONE))
        assert shown(app)[0] == 100
        # A key goes on from what is in sight.
        await press(pilot, "down")
        assert app.session.chosen.key == EVERYONE[0].key


async def test_what_was_shown_is_shown_after_a_return() -> None:
    app = dashboard()
    async with running(app, (80, 24)) as pilot:
        await press(pilot, *["down"] * 30)
        before = shown(app)
        assert 129 in before and 100 not in before
        for key in "23451":
            await press(pilot, key)
        assert shown(app) == before


async def test_the_wheel_is_not_taken_back_by_a_sample() -> None:
    app = dashboard()
    async with running(app, (80, 24)) as pilot:
        await press(pilot, "home")
        listed = app.query_one("#top-processes", ProcessList)
        listed.show_from(30)
        await deliver(pilot, sample(1001.0, *EVERYONE))
        assert shown(app)[0] == 130
        assert app.session.chosen.key == EVERYONE[0].key


async def test_after_a_sort_the_first_row_is_shown() -> None:
    app = dashboard()
    async with running(app, (80, 24)) as pilot:
        await press(pilot, *["down"] * 30, "I")
        assert shown(app)[0] == 179
        assert app.session.chosen.key == EVERYONE[29].key
        await press(pilot, "2", "end", "I")
        assert shown(app, "#process-list")[0] == 179


async def test_after_a_sort_the_map_shows_its_first_row() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter", *["down"] * 100)
        at = cursor(app)
        await click_head(pilot, "rss")
        assert table(app).top == 0
        assert cursor(app) == at


async def test_a_filter_is_seen_and_escape_goes_back_to_where_one_was() -> None:
    app = dashboard()
    async with running(app, (80, 24)) as pilot:
        await press(pilot, *["down"] * 30)
        before = shown(app)
        await press(pilot, "slash", *"p5")
        assert len(shown(app)) < 80
        assert "filter p5: 10 · Esc: all" in screen_of(app)
        await press(pilot, "escape")
        assert shown(app) == before
        assert app.session.chosen.key == EVERYONE[29].key
        await press(pilot, "slash", *"p5", "enter")
        assert "filter p5: 10 · Esc: all" in screen_of(app)
        await press(pilot, "2")
        await press(pilot, "1", "escape")
        assert "filter" not in " ".join(screen_text(app)[:-1])


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (("slash", *"p5", "enter"), "#top-processes"),
        (("2", "slash", *"p57", "backspace", "enter"), "#process-list"),
    ],
)
async def test_what_is_sent_at_once_with_the_key_that_asks_is_the_answer(
    keys: tuple[str, ...], name: str
) -> None:
    """A slow line, or a paste, sends several keys in one piece."""
    app = dashboard()
    p5 = [150 + at for at in range(10)]
    async with running(app) as pilot:
        assert app._driver is not None
        for key in keys:
            app._driver.send_message(key_event(key))
        await until(
            pilot, lambda: app.query(name) and sorted(shown(app, name)) == p5, "filtered for good"
        )
        await until(pilot, lambda: not app.query(Prompt), "answered")


async def test_open_offers_what_may_be_meant() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "o", *"p6")
        offers = app.query_one(OfferTable).offers
        assert [each.text for each in offers] == [str(160 + at) for at in range(10)]
        await press(pilot, "down", "enter")
        assert app.view_name == "map"
        assert app.session.chosen.key == OWN.key


async def test_a_key_that_does_nothing_here_says_where_it_does() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "P")
        assert "P is for Processes: read the PSS of all processes now" in screen_of(app)


async def test_help_is_on_f1_and_a_menu_is_left_by_the_mouse() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "f1")
        assert len(app.screen_stack) == 2
        await press(pilot, "escape", "2", "s")
        assert isinstance(app.screen, ChoiceSheet)
        await pilot.click(offset=(1, 1))
        await pilot.pause()
        assert len(app.screen_stack) == 1


async def test_the_scale_is_cut_to_where_the_graph_moves() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await deliver(pilot, sample(1001.0, *EVERYONE), sample(1002.0, *EVERYONE))
        await press(pilot, "z")
        assert "≈" in screen_of(app)
        await press(pilot, "z")
        assert "≈" not in screen_of(app)


def test_who_sleeps_and_who_grows_look_different() -> None:
    asleep = bars([500 * MIB] * 8)
    grows = bars([(500 + 4 * at) * MIB for at in range(8)])
    assert set(asleep) == {"▁"}
    assert grows[0] == "▁" and grows[-1] == "█"
    assert list(grows) == sorted(grows)


def test_a_thin_band_has_a_cell_without_colours() -> None:
    rows = whole_cells([[90.0], [9.5]], 100.0, 8, 3)
    assert [row[0][0] for row in rows] == [1, *[0] * 7]
    rows = whole_cells([[90.0], [7.0]], 100.0, 8, 3)
    assert [row[0][0] for row in rows] == [2, 1, *[0] * 6]
    assert whole_cells([[90.0], [None]], 100.0, 1, 3) == [[(None, None, "")]]


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({"TERM": "screen"}, 8),
        ({"TERM": "linux"}, 8),
        ({"TERM": "vt100"}, 0),
        ({"TERM": "xterm-256color"}, 256),
        ({"TERM": "screen", "COLORTERM": "truecolor"}, 1 << 24),
    ],
)
def test_colours_are_what_the_terminal_has(environment: dict[str, str], count: int) -> None:
    program = (
        "from memtui.tui import colours, theme\n"
        "print(colours.colours(), len({theme.FREE, theme.CACHE, theme.REST}))\n"
        "from rich.color import Color, ColorSystem\n"
        "named = (theme.FREE, theme.CACHE, theme.REST)\n"
        "print(len({Color.parse(each).downgrade(ColorSystem.STANDARD).number for each in named}))"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(out[0]) == count
    if count < 256:
        assert out[1:] == ["3", "3"]
