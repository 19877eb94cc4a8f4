"""Every view wound back and live again, on a captured machine whose last minutes are kept."""

from __future__ import annotations

import time

import pytest

from memtui.model.shortage.events import Event
from memtui.tui.app import MemtuiApp
from memtui.tui.sheets.help import HelpScreen
from memtui.tui.sheets.sharers import SharersSheet
from memtui.tui.widgets.graph import TimeGraph
from memtui.views import VIEWS
from tests.interface import (
    answer,
    app_of,
    captured,
    deliver,
    is_whole,
    minutes_of,
    press,
    running,
    screen,
    screen_text,
    until,
)
from tests.moments import MAPS, events_page, moment, toasts, trouble
from tests.past import ScriptedPast, with_past
from tests.samples import GIB, MIB, map_of, process, sample

BACK, ON = "left_square_bracket", "right_square_bracket"
MINUTE_BACK, MINUTE_ON = "left_curly_bracket", "right_curly_bracket"
HEADER = 0


def machine(host: str = "debian-6.18") -> tuple[MemtuiApp, ScriptedPast]:
    now, maps = captured(host)
    samples = minutes_of(now)
    app = app_of(samples, maps)
    return app, with_past(app, samples)


def header(app: MemtuiApp) -> str:
    return screen_text(app)[HEADER]


def shown_s(app: MemtuiApp) -> float:
    """The moment that is shown, in seconds before the last sample."""
    moment = app.session.moment
    assert moment is not None
    return app.session.now_s - moment.sample.time_s


def clock(app: MemtuiApp, ago_s: float) -> str:
    booted_s = app.session.source.machine.booted_s
    assert booted_s is not None
    return time.strftime("%H:%M:%S", time.localtime(booted_s + app.session.now_s - ago_s))


async def test_keys_lead_back_forth_and_to_now() -> None:
    app, _ = machine()
    async with running(app) as pilot:
        for key, ago_s in (
            (BACK, 1),
            (BACK, 2),
            (MINUTE_BACK, 62),
            (MINUTE_BACK, 122),
            (ON, 121),
            (MINUTE_ON, 61),
        ):
            await press(pilot, key)
            assert shown_s(app) == pytest.approx(ago_s)
            assert f"◀ {clock(app, ago_s)}, " in header(app)
            assert "LIVE" not in header(app)
        await press(pilot, "0")
        assert shown_s(app) == 0
        assert "● LIVE 1 s" in header(app)


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40), (200, 60), (40, 10)])
async def test_the_moment_is_told_in_every_view_at_every_size(size: tuple[int, int]) -> None:
    app, _ = machine()
    async with running(app, size) as pilot:
        await press(pilot, MINUTE_BACK)
        for view in VIEWS[:5]:
            await press(pilot, view.key)
            assert f"◀ {clock(app, 60)}" in header(app), view
            is_whole(app)
        await press(pilot, "0")
        for view in VIEWS[:5]:
            await press(pilot, view.key)
            assert "LIVE" in header(app), view


async def test_every_view_shows_what_was_then_and_what_is_now() -> None:
    """Processes and the map's figures of a machine on which one grows."""
    grown = process(10, "grown", 900)
    small = grown._replace(rss_bytes=10 * MIB)
    was = [sample(1000.0 + at, small, free=4 * GIB) for at in range(30)]
    now = [sample(1030.0 + at, grown, process(11, "newcomer", 80), free=GIB) for at in range(30)]
    app = app_of([*was, *now], {grown.key: map_of(grown.key, "grown")})
    with_past(app, [*was, *now])
    async with running(app) as pilot:
        seen_now = {}
        for key in "1245":
            await press(pilot, key)
            seen_now[key] = screen_text(app)[1:]
        assert "newcomer" in screen(app) or "newcomer" in "".join(seen_now["2"])
        await press(pilot, "T")
        await answer(pilot, "-40s")
        for key in "1245":
            await press(pilot, key)
            assert "newcomer" not in screen(app), key
            assert screen_text(app)[1:] != seen_now[key], key
        await press(pilot, "2")
        assert "10.0M" in screen(app)
        await press(pilot, "0")
        for key in "1245":
            await press(pilot, key)
            assert screen_text(app)[1:-1] == seen_now[key][:-1], key


async def test_what_comes_meanwhile_is_taken_and_not_shown() -> None:
    app, _ = machine()
    async with running(app) as pilot:
        await press(pilot, MINUTE_BACK)
        before, count = screen_text(app)[1:], len(app.session.history)
        last = app.session.now_s
        now, _maps = captured("debian-6.18")
        later = [now._replace(time_s=last + at) for at in range(1, 6)]
        await deliver(pilot, *later)
        assert len(app.session.history) == count + 5
        assert screen_text(app)[1:] == before
        app._watch_source()  # once a second
        await pilot.pause()
        assert ", 1 min 5 s ago" in header(app)
        await press(pilot, "0")
        assert app.session.moment is not None
        assert app.session.moment.sample.time_s == last + 5


async def test_a_cursor_in_the_graphs_and_a_window_that_stays() -> None:
    app, _ = machine()
    async with running(app) as pilot:

        def cursors() -> set[int]:
            rows = (row[7:80] for row in screen_text(app)[2:18])  # without the axis
            return {x for row in rows for x, cell in enumerate(row) if cell == "│"}

        def ticks() -> str:
            return screen_text(app)[app.query(TimeGraph).first().region.bottom - 1][:80]

        assert not cursors()
        await press(pilot, MINUTE_BACK)
        (first,) = cursors()
        at_first = ticks()
        await press(pilot, MINUTE_BACK)
        (second,) = cursors()
        assert second < first
        assert ticks() == at_first
        await press(pilot, "0")
        assert not cursors()
        # With a window of a minute it moves: there is as much before as after.
        await press(pilot, "plus", MINUTE_BACK, MINUTE_BACK)
        (middle,) = cursors()
        graph = app.query(TimeGraph).first()
        assert middle + 7 == pytest.approx(graph.size.width / 2, abs=6)


async def test_a_click_on_a_graph_goes_there() -> None:
    app, _ = machine()
    async with running(app) as pilot:
        graph = app.query(TimeGraph).first()
        await pilot.click(graph, offset=(graph.size.width // 2, 4))
        await pilot.pause()
        assert 100 < shown_s(app) < 200
        assert "◀" in header(app)
        await press(pilot, "4")
        stalls = app.query("PressureView TimeGraph").first(TimeGraph)
        await pilot.click(stalls, offset=(stalls.size.width - 2, 2))
        await pilot.pause()
        assert 0 <= shown_s(app) < 10


async def test_a_time_is_typed() -> None:
    app, _ = machine()
    async with running(app) as pilot:
        await press(pilot, "T")
        await answer(pilot, "-2m")
        assert shown_s(app) == pytest.approx(120)
        await press(pilot, "T")
        await answer(pilot, clock(app, 30))
        assert shown_s(app) == pytest.approx(30, abs=1)
        for wrong, words in (("soon", "no time such as"), ("-2h", "kept is from")):
            await press(pilot, "T")
            await answer(pilot, wrong)
            assert words in screen(app)
            await press(pilot, "escape")
            assert shown_s(app) == pytest.approx(30, abs=1)


async def test_the_events_lead_to_their_moments() -> None:
    samples = trouble()
    app = app_of(samples, MAPS)
    with_past(app, samples)
    async with running(app) as pilot:
        events = list(app.session.seen["host"].events)
        assert events
        await press(pilot, "left_parenthesis")
        assert app.session.moment is not None
        assert app.session.moment.sample.time_s == events[-1].time_s
        # The list ends there.
        await press(pilot, "0")
        rows = await events_page(app, pilot)
        assert len(rows) >= len(events)
        await press(pilot, "end", "enter")
        assert app.session.moment.sample.time_s == events[0].time_s
        assert "◀" in header(app)
        assert events[-1].text not in screen(app)
        await press(pilot, "left_parenthesis")
        assert "nothing happened before this" in "".join(toasts(app))
        await press(pilot, "right_parenthesis")
        assert app.session.moment.sample.time_s > events[0].time_s


async def test_events_between_two_samples_do_not_hold_it_up() -> None:
    samples = [moment(1000.0 + at) for at in range(20)]
    app = app_of(samples, MAPS)
    with_past(app, samples)
    async with running(app) as pilot:
        for time_s in (1005.4, 1005.7, 1012.5):
            app.session.seen["host"].events.add(Event(time_s, "note", "note", f"at {time_s}"))
        shown = []
        for key in ("left", "left", "left", "right", "right"):
            await press(pilot, f"{key}_parenthesis")
            assert app.session.moment is not None
            shown.append(app.session.moment.sample.time_s)
        assert shown == [1012.0, 1005.0, 1005.0, 1005.0, 1012.0]


async def test_the_verdict_is_that_of_then() -> None:
    samples = trouble(calm_s=20)
    app = app_of(samples, MAPS)
    with_past(app, samples)
    async with running(app, (120, 40)) as pilot:
        await press(pilot, "4")
        assert "thrashing" in screen(app)
        await press(pilot, "T")
        await answer(pilot, "-25s")
        assert "comfortable" in screen(app)
        await press(pilot, "0")
        assert "thrashing" in screen(app)


async def test_the_oom_ranking_is_asked_of_then_and_of_now_again() -> None:
    app, past = machine()
    async with running(app) as pilot:
        await press(pilot, "4", "left", "left")
        assert not past.asked
        await press(pilot, BACK)
        await until(pilot, lambda: past.asked == ["OutlookIn"], "asked")
        await press(pilot, BACK)
        await until(pilot, lambda: past.asked == ["OutlookIn"] * 2, "asked of the one before")
        await press(pilot, "0")
        assert len(past.asked) == 2


async def test_nothing_is_changed_from_the_past() -> None:
    app, _ = machine()
    async with running(app) as pilot:
        await press(pilot, "2", BACK)
        for key in ("K", "a"):
            app.clear_notifications()
            await press(pilot, key)
            assert len(app.screen_stack) == 1
            assert not app.screen.query("#prompt")
            assert "0 goes back to now" in "".join(toasts(app))


async def test_what_was_not_kept_is_said() -> None:
    app, past = machine()
    past.lacking = "maps were not kept"
    async with running(app) as pilot:
        await press(pilot, BACK)
        assert "maps were not kept" in header(app)


async def test_what_is_open_over_a_view_is_closed() -> None:
    app, _ = machine()
    async with running(app) as pilot:
        await press(pilot, "3", "w")
        assert isinstance(app.screen, SharersSheet)
        await press(pilot, "T")
        assert len(app.screen_stack) == 1
        await press(pilot, "escape")
        assert shown_s(app) == 0


async def test_keys_are_a_prompts_and_a_helps_own() -> None:
    app, _ = machine()
    async with running(app) as pilot:
        await press(pilot, "2", "slash", "0", BACK, "R", "escape")
        assert shown_s(app) == 0
        await press(pilot, "question_mark", BACK)
        assert isinstance(app.screen, HelpScreen)
        assert shown_s(app) == 0


async def test_the_lab_has_no_past() -> None:
    app, _ = machine()
    async with running(app) as pilot:
        await press(pilot, BACK)
        await press(pilot, "6")
        assert "LIVE" in header(app)
        assert "the lab is live only" in "".join(toasts(app))
        app.clear_notifications()
        await press(pilot, BACK)
        assert "LIVE" in header(app)
        assert "the lab is live only" in "".join(toasts(app))


async def test_a_frozen_screen_is_let_go_by_going_back() -> None:
    app, _ = machine()
    async with running(app) as pilot:
        await press(pilot, "space", BACK)
        assert "◀" in header(app)
        app.clear_notifications()
        await press(pilot, "space")
        assert "0 goes back to now" in "".join(toasts(app))
        assert "◀" in header(app)
        await press(pilot, "0")
        assert "LIVE" in header(app)


async def test_at_the_first_that_is_kept_it_says_so() -> None:
    app, _ = machine()
    async with running(app) as pilot:
        await press(pilot, "T")
        await answer(pilot, "-239s")
        await press(pilot, BACK)
        assert "nothing before this is kept" in "".join(toasts(app))
        assert shown_s(app) == 239


async def test_without_a_past_a_word_says_so() -> None:
    app = app_of([moment(1000.0)], MAPS)
    async with running(app) as pilot:
        for key in (BACK, MINUTE_BACK, "T", "left_parenthesis"):
            app.clear_notifications()
            await press(pilot, key)
            assert "nothing of the past is kept yet" in "".join(toasts(app))
        await press(pilot, "0")
        assert "LIVE" in header(app)
