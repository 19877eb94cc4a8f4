"""The footer offers what does something here and now: in every view and sheet, and whatever their state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from textual.pilot import Pilot

from memtui.kernel.files import Gap
from memtui.session.inbox import Inbox
from memtui.session.session import Session
from memtui.settings.values import DEFAULTS
from memtui.tui.app import MemtuiApp
from memtui.tui.keyed import Keyed
from memtui.tui.keys import keys_of
from memtui.tui.sheets.crash import CrashSheet
from memtui.tui.views.lab import LabView
from memtui.tui.widgets.bars import Footer
from memtui.views import RUN, VIEWS
from tests.interface import (
    BIG,
    MACHINE,
    Script,
    app_of,
    app_on,
    captured,
    loaded,
    minutes_of,
    press,
    running,
    screen,
    screen_text,
    settle,
    until,
)
from tests.moments import toasts
from tests.past import ScriptedPast, with_past
from tests.runs import app_running, crash, ended, held, story
from tests.samples import map_of, sample
from tests.tui.labs import LabScript, app_in_lab, asks

BACK = "left_square_bracket"
# Wide enough for every word, and as low as there is a picture to zoom into.
SIZE = (240, 24)


def live() -> MemtuiApp:
    now, maps = captured("debian-6.18")
    samples = minutes_of(now, 10)
    app = app_of(samples, maps)
    with_past(app, samples)
    return app


def replayed() -> MemtuiApp:
    app = readonly()
    assert isinstance(app.session.past, ScriptedPast)
    app.session.past.has_all = True
    return app


def readonly() -> MemtuiApp:
    now, maps = captured("debian-6.18")
    samples = minutes_of(now, 10)
    app = app_on(Script(maps), DEFAULTS._replace(readonly=True))
    for each in samples:
        app.deliver(each)
    with_past(app, samples)
    return app


def denied() -> MemtuiApp:
    return app_of([sample(1000.0, BIG)], {BIG.key: Gap("proc/10/maps", "denied")})


def core() -> MemtuiApp:
    """A dump in which its crash is known."""
    script = Script(
        {BIG.key: map_of(BIG.key, "big")}, machine=MACHINE._replace(still="SIGSEGV · 2026-11-30")
    )
    app = MemtuiApp(Session(script, DEFAULTS._replace(readonly=True)), Inbox())
    script.app = app
    app.session.crash = crash()
    app.deliver(sample(1000.0, BIG))
    return app


def run() -> MemtuiApp:
    return app_running(story())[0]


def detached() -> MemtuiApp:
    return app_running(story(), pane=None)[0]


def run_held() -> MemtuiApp:
    return app_running(held(story()))[0]


def run_over() -> MemtuiApp:
    return app_running(ended(story()))[0]


def lab() -> MemtuiApp:
    return app_in_lab(LabScript())


async def _in_lab(pilot: Pilot[None], *keys: str) -> None:
    await press(pilot, "6", *keys)


async def _asked(pilot: Pilot[None]) -> None:
    await _in_lab(pilot, "enter")
    app = pilot.app
    assert isinstance(app, MemtuiApp)
    await until(pilot, lambda: asks(app), "asked")


async def _told(pilot: Pilot[None]) -> None:
    await _asked(pilot)
    await press(pilot, "enter")
    await until(pilot, lambda: "FIGURE" in screen(pilot.app), "told")


async def _explained(pilot: Pilot[None]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, CrashSheet), "explained")
    await settle(pilot)


async def _left_held(pilot: Pilot[None]) -> None:
    await _explained(pilot)
    await press(pilot, "escape")


class State(NamedTuple):
    """What is opened and pressed to come there; what is among the footer's words, and what is not."""

    app: Callable[[], MemtuiApp]
    keys: tuple[str, ...] = ()
    come: Callable[[Pilot[None]], object] | None = None
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


_TIME = ("[ past",)
_CHANGES = ("K signal", "a adjust")
STATES = {
    "overview": State(live, has=("Enter map", "6 Lab", *_TIME)),
    "processes": State(live, ("2",), has=("t tree",), lacks=_CHANGES),  # a captured machine
    "groups": State(live, ("2", "g"), has=("Enter map",)),
    "map": State(live, ("3",), has=("Enter inside", "w who", "m mark", *_TIME)),
    "pressure": State(live, ("4",), has=("w what if",)),
    "physical": State(live, ("5",), has=("Enter rows",), lacks=("/ filter",)),
    "slabs": State(live, ("5", *["down"] * 4, "enter")),
    "past": State(live, (BACK,), has=("Enter map", *_TIME)),
    "processes in the past": State(live, (BACK, "2"), lacks=(*_CHANGES, "P all PSS")),
    "first moment": State(live, (BACK, *["left_curly_bracket"] * 2), lacks=_TIME),
    "replay": State(replayed, ("2",), lacks=("6 Lab", *_CHANGES, "P all PSS")),
    "readonly": State(readonly, ("2",), has=("6 Lab",), lacks=_CHANGES),
    "nothing is kept": State(denied, has=("Enter map",), lacks=_TIME),
    "denied": State(
        denied,
        ("3",),
        has=("Esc back", "o open"),
        lacks=("Enter inside", "t table", "w who", "m mark", "d diff", "s sort", "e export"),
    ),
    "hole": State(live, ("3", "at", "1", "0", "0", "0", "enter", "enter"), lacks=("go there",)),
    "no changes": State(live, ("3", "d"), lacks=("go there",)),
    "terms": State(live, ("i",), has=("Enter explains",), lacks=("o open", "? help", "q quit")),
    "no term": State(live, ("i", "q", "q", "q"), has=("Esc back",), lacks=("Enter explains",)),
    "explanation": State(live, ("i", "enter"), has=("Enter explains", "? help")),
    "core": State(
        core,
        ("3",),
        has=("3 Map", "Enter inside", "w why"),
        lacks=(
            "1 Over",
            "2 Proc",
            "4 Pres",
            "5 Phys",
            "6 Lab",
            "w who",
            "o open",
            "d diff",
            *_TIME,
        ),
    ),
    "core's crash": State(core, ("3", "w"), has=("Enter map",), lacks=("lets it die", *_TIME)),
    "core's crash by x": State(core, ("3", "x"), has=("Enter map",)),
    "pane": State(run, has=("F12 takes the keys back",), lacks=("1 Over", "Enter", "? help", "q")),
    "run": State(run, ("f12",), has=("Enter map", "F12 keys"), lacks=("w why", *_TIME)),
    "no pane": State(detached, lacks=("w why", "F12", "x whole")),
    "run over": State(run_over, has=("Enter map", "q quit"), lacks=("w why", "F12")),
    "run's crash": State(
        run_held, come=_explained, has=("Enter lets it die", "Esc back"), lacks=_TIME
    ),
    "held": State(run_held, come=_left_held, has=("w why", "Enter lets it die")),
    "experiments": State(
        lab, ("6",), has=("Enter begins it",), lacks=("p by itself", "r again", *_TIME)
    ),
    "not here": State(lab, ("6", "down"), lacks=("Enter",)),
    "asked": State(lab, come=_asked, has=("Enter does it", "p by itself", "r again")),
    "told": State(lab, come=_told, has=("Enter next", "p by itself", "r again")),
}


# Keys that work everywhere are refused by the occasion, not by the view: they are pressed here only.
_WITH_ALL = ("past", "replay", "core", "run", "run's crash", "experiments", "denied", "terms")


async def come(pilot: Pilot[None], state: State) -> None:
    await press(pilot, *state.keys)
    if state.come is not None:
        await state.come(pilot)  # type: ignore[misc]
    await loaded(pilot)
    pilot.app.clear_notifications()
    await settle(pilot)


def footer(app: MemtuiApp) -> str:
    return screen_text(app)[-1]


def offered(app: MemtuiApp, *, all_of_them: bool) -> list[str]:
    """The keys that the footer has, but that of the view which is shown already; or its own alone."""
    name, keyed = app.keyed_on(app.screen)
    assert isinstance(keyed, Keyed)
    line, found = app.screen.query_one(Footer), []
    actions = {action for _, _, action in line._spans}
    for view in (*VIEWS, RUN) if all_of_them else ():
        if view.name != app.view_name and f"view('{view.name}')" in actions:
            found.append(view.key)
    for key in keys_of(name):
        if not all_of_them and not key.views:
            continue
        if key.footer and key.action in actions and key.key.split(",")[0] not in found:
            actions.remove(key.action)
            found.append(key.key.split(",")[0])
    return found


def look(app: MemtuiApp) -> object:
    """What a key that does something changes."""
    moment = app.session.moment
    watch = getattr(app.running, "_watch", None)
    labs = [view.trial for view in app.query(LabView)]
    return (
        screen_text(app),
        app.clipboard,
        app._exit,
        app.screen.focused,
        app.view_name,
        moment and moment.sample.time_s,
        watch and list(watch.asked),
        labs,
    )


@pytest.mark.parametrize("name", STATES)
async def test_the_footer_has_the_words_of_what_can_be_done(name: str) -> None:
    state = STATES[name]
    app = state.app()
    async with running(app, SIZE) as pilot:
        await come(pilot, state)
        line = f"{footer(app)} "
        for word in state.has:
            assert f" {word} " in line
        for word in state.lacks:
            assert f" {word}" not in line


@pytest.mark.parametrize("name", STATES)
async def test_each_key_in_the_footer_does_something_and_is_not_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state, at, keys = STATES[name], 0, [""]
    while not at or at < len(keys):
        app = state.app()
        async with running(app, SIZE) as pilot:
            await come(pilot, state)
            if not at:
                keys = offered(app, all_of_them=name in _WITH_ALL)
            if not keys:
                return
            before, line = look(app), footer(app)
            await press(pilot, keys[at])
            # To read every PSS shows nothing where all are known.
            assert look(app) != before or keys[at] == "P", (keys[at], line)
            if app.is_running and app._exit is False:
                warned = [each for each in app._notifications if each.severity != "information"]
                assert not warned, (keys[at], line, toasts(app))
        at += 1


async def test_a_refused_key_says_why_and_says_it_once() -> None:
    app = core()
    async with running(app) as pilot:
        await press(pilot, "3")
        for key in ("1", "2", "4", "1", "5", "6"):
            await press(pilot, key)
        assert len(toasts(app)) == 1
        assert "its map is all there is" in toasts(app)[0]
        assert app.view_name == "map"


async def test_a_process_of_the_past_is_not_told_from_one_that_may_not_be_changed() -> None:
    for opened, keys, words in (
        (replayed, ("2",), "this is a recording, of the past"),
        (live, (BACK, "2"), "this is the past"),
        (readonly, ("2",), "read-only"),
    ):
        app = opened()
        async with running(app) as pilot:
            await press(pilot, *keys)
            for key in ("K", "a"):
                app.clear_notifications()
                await press(pilot, key)
                assert words in "".join(toasts(app))


async def test_the_key_of_a_crash_opens_it_and_closes_it_again() -> None:
    app = core()
    async with running(app) as pilot:
        await press(pilot, "3", "w")
        assert isinstance(app.screen, CrashSheet)
        await press(pilot, "w")
        assert app.screen is app.default_screen


async def test_the_footer_of_80_columns_tells_how_to_get_the_keys_back() -> None:
    app = run()
    async with running(app, (80, 24)):
        assert footer(app).strip() == "F12 takes the keys back"


async def test_a_prompts_complaint_and_its_way_out_are_two_sentences() -> None:
    app = live()
    async with running(app) as pilot:
        await press(pilot, "T")
        await press(pilot, *"0:61", "enter")
        assert "or 14:32:07 · Esc leaves" in footer(app)
