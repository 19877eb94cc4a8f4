"""The screen of a run, of a story that a test tells."""

from __future__ import annotations

import os
import re
import select
import threading
import tty
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from memtui.ondemand.question import GoOn, Question
from memtui.ondemand.questions import LINES_SOON_S, CrashOf
from memtui.tui.app import MemtuiApp
from memtui.tui.runlaunch import pane_size
from memtui.tui.running import QuitSheet
from memtui.tui.sheets.crash import CrashSheet
from memtui.tui.views.run import RunView
from memtui.tui.widgets.picture import Picture
from memtui.tui.widgets.runtables import LifeTable, Timeline
from memtui.tui.widgets.terminalpane import TerminalPane
from memtui.views import RUN
from memtui.watch.story import Happening
from tests.interface import (
    Hands,
    Script,
    app_of,
    deliver,
    is_whole,
    press,
    running,
    screen,
    screen_text,
    until,
)
from tests.runs import CHILD, EXPLAINED, KEY, RunScript, app_running, crash, ended, held, story
from tests.samples import process, sample

Compare = Callable[..., bool]
SIZES = ((80, 24), (120, 40), (200, 60))


def pane_of(app: MemtuiApp) -> TerminalPane:
    return app.query_one(TerminalPane)


def view_of(app: MemtuiApp) -> RunView:
    return app.query_one(RunView)


def has_read(slave: int, typed: bytes) -> bool:
    """Whether this is what the program reads next; a terminal hands it on when it comes to it."""
    poll = select.poll()
    poll.register(slave, select.POLLIN)
    data = b""
    while len(data) < len(typed) and poll.poll(20_000):
        data += os.read(slave, 100)
    return data == typed


async def shows(pilot: Hands, words: str) -> None:
    """Waits for what the program has written."""
    await until(pilot, lambda: words in screen(pilot.app), f"shows {words!r}")


@pytest.mark.parametrize("size", SIZES)
async def test_it_opens_on_its_program(size: tuple[int, int]) -> None:
    app, _, slave = app_running(story())
    async with running(app, size) as pilot:
        assert app.view_name == RUN.name
        assert app.session.chosen.key == KEY
        os.write(slave, "hello, 한글\r\n".encode())
        await shows(pilot, "hello, 한글")
        text = screen(app)
        for words in (
            "worker (9866) · running 3.2 s",
            "brk +132 KiB",
            "41 minor faults",
            "F12 takes",
        ):
            assert words in text
        is_whole(app)


@pytest.mark.parametrize("size", [*SIZES, (100, 30), (60, 15), (160, 20)])
async def test_the_pane_is_as_large_as_the_program_was_told(size: tuple[int, int]) -> None:
    app, _, _ = app_running(story(), pane=pane_size(*size))
    async with running(app, size):
        assert tuple(pane_of(app).size) == pane_size(*size)


async def test_the_terminal_is_told_of_another_size() -> None:
    app, _, slave = app_running(story(), pane=(10, 10))
    async with running(app, (120, 40)):
        assert tuple(os.get_terminal_size(slave)) == pane_size(120, 40)


async def test_keys_go_to_the_program_until_f12() -> None:
    app, _, slave = app_running(story())
    tty.setraw(slave)  # or the line discipline would have Ctrl+C and Ctrl+Q for itself
    async with running(app) as pilot:
        assert pane_of(app).has_focus
        await press(pilot, "q", "ctrl+c", "ctrl+q", "ctrl+p", "tab", "escape", "up", "f1", "1")
        assert has_read(slave, b"q\x03\x11\x10\t\x1b\x1b[A\x1bOP1")
        assert app.is_running
        assert app.view_name == RUN.name
        await press(pilot, "f12")
        assert isinstance(app.screen.focused, Timeline)
        await press(pilot, "3")
        assert app.view_name == "map"
        await press(pilot, "7")
        assert pane_of(app).has_focus


async def test_the_terminal_alone_gives_the_keys_back_too() -> None:
    app, _, slave = app_running(story())
    async with running(app) as pilot:
        await press(pilot, "f12", "x")
        assert not app.query_one(Timeline).region
        assert pane_of(app).has_focus
        assert os.get_terminal_size(slave) == (120, 40 - 5)
        await press(pilot, "f12")
        assert app.query_one(Timeline).has_focus
        assert tuple(os.get_terminal_size(slave)) == pane_size(120, 40)


async def test_a_program_that_asks_for_it_hears_of_the_mouse() -> None:
    app, _, slave = app_running(story())
    tty.setraw(slave)
    async with running(app) as pilot:
        pane = pane_of(app)
        await pilot.click(TerminalPane, offset=(3, 2))
        wheel = (pane, 3, 2, 0, 0, 0, False, False, False)
        pane.post_message(events.MouseScrollUp(*wheel))
        await pilot.pause()
        pane._feed(b"\x1b[?1049h")
        pane.post_message(events.MouseScrollUp(*wheel))
        await pilot.pause()
        assert has_read(slave, b"\x1b[A" * 3)
        pane._feed(b"\x1b[?1000h\x1b[?1006h")
        await pilot.click(TerminalPane, offset=(3, 2))
        pane.post_message(events.MouseScrollDown(*wheel))
        await pilot.pause()
        assert has_read(slave, b"\x1b[<0;4;3M\x1b[<0;4;3m\x1b[<65;4;3M")


async def test_pasted_text_goes_to_the_program() -> None:
    app, _, slave = app_running(story())
    tty.setraw(slave)
    async with running(app) as pilot:
        app.post_message(events.Paste("a\nb"))
        await pilot.pause()
        assert has_read(slave, b"a\rb")


async def test_the_time_line_stays_at_its_end_until_one_scrolls() -> None:
    told = story()
    app, watch, _ = app_running(told)
    async with running(app) as pilot:
        await press(pilot, "f12")
        for number in range(40):
            told.happenings.append(Happening(3.0, KEY.pid, "faults", f"fault {number}"))
        view_of(app)._happened()
        await pilot.pause()
        assert "fault 39" in screen(app)
        await press(pilot, "home")
        told.happenings.append(Happening(3.1, KEY.pid, "exit", "the last"))
        view_of(app)._happened()
        await pilot.pause()
        assert "the last" not in screen(app)
        assert "process 9866 begins" in screen(app)
        watch.close()


@pytest.mark.parametrize("size", SIZES)
async def test_the_time_line_says_whose_it_is_and_nothing_twice(size: tuple[int, int]) -> None:
    told = story()
    words = "anonymous memory unmapped, 19.1 MiB"
    told.happenings.append(Happening(2.1, CHILD.pid, "unmapped", words, -20_000_000))
    told.happenings.append(Happening(2.2, CHILD.pid, "resident", "resident +19.1 MiB", 20_000_000))
    app, _, _ = app_running(told)
    async with running(app, size):
        text = screen(app)
        for at, what in (("2.100", words), ("2.200", "resident +19.1 MiB")):
            assert re.search(rf" {at} +{CHILD.pid} (ls +)?{re.escape(what)}( |$)", text, re.M), what
        assert "exec exec" not in text and "resident resident" not in text


async def test_another_process_of_the_run_has_its_map_shown() -> None:
    app, _, _ = app_running(story())
    async with running(app) as pilot:
        app.query_one(LifeTable).focus()
        await press(pilot, "down")
        assert app.session.chosen.key == CHILD
        assert "9870 ls" in screen_text(app)[2]
        picture = app.query_one("#run-picture", Picture)
        assert picture._map is not None
        assert picture._map.key == CHILD
        # It has ended: what it came to is told, too.
        assert "peak RSS 2.0 MiB" in screen(app)


async def test_one_that_ended_before_it_was_read_has_no_map() -> None:
    told = story()
    told.lives[CHILD.pid].key = CHILD._replace(start_time_ticks=99)
    app, _, _ = app_running(told)
    async with running(app) as pilot:
        app.query_one(LifeTable).focus()
        await press(pilot, "down")
        assert "it ended before its map was read" in screen(app)
        assert not app.query_one("#run-picture").visible
        await press(pilot, "enter")  # and not to that of another
        assert app.view_name == RUN.name
        await shows(pilot, "ls (9870) ended before its map was read")


async def test_one_that_has_ended_has_its_last_map_again() -> None:
    app, _, _ = app_running(story())
    async with running(app) as pilot:
        app.query_one(LifeTable).focus()
        await press(pilot, "down", "up")
        assert app.session.chosen.key == KEY
        await deliver(pilot, sample(1001.0, process(KEY.pid, "worker", 12)))
        await press(pilot, "down")
        await shows(pilot, "9870 ls · user root · gone at")
        assert app.query_one("#run-picture", Picture)._map is not None
        await press(pilot, "enter")
        assert app.view_name == "map"
        assert " 9870 ls · user root · gone at" in screen(app)


async def test_a_good_end_is_summed_up_and_q_quits() -> None:
    app, _, _ = app_running(ended(story()))
    async with running(app) as pilot:
        text = screen(app)
        assert "worker (9866) · exited 0 after 3 s" in text
        assert "q quits with 0" in text
        assert "peak RSS 12.0 MiB · ended with 9.0 MiB · minor faults 1 234 · major 2" in text
        assert "start 2 ms → worker 3 s" in text
        assert isinstance(app.screen.focused, Timeline)
        await press(pilot, "q")
        assert not app.is_running


async def test_quitting_while_it_runs_asks_and_kills() -> None:
    app, watch, _ = app_running(story())
    async with running(app) as pilot:
        await press(pilot, "f12", "q")
        assert isinstance(app.screen, QuitSheet)
        assert "quit and kill worker (9866)?" in screen(app)
        await press(pilot, "ctrl+c")
        assert isinstance(app.screen, QuitSheet)
        await press(pilot, "enter")
        assert (watch.asked, app.is_running) == ([], True)
        await press(pilot, "q", "down", "enter")
        assert (watch.asked, app.is_running) == (["kill"], False)


async def test_a_crash_opens_its_explanation() -> None:
    told = story()
    app, watch, _ = app_running(told)
    async with running(app) as pilot:
        held(told)
        view_of(app)._happened()
        await shows(pilot, "WHAT HAPPENED")
        assert isinstance(app.screen, CrashSheet)
        text = screen(app)
        assert "worker (9866) · SIGSEGV after 2.5 s" in text
        assert "held · Enter lets it die · exit 139" in text
        assert app.screen.explained.sentence in " ".join(text.split())
        assert app.session.chosen.address == 0
        await press(pilot, "escape")
        assert "held · w why · Enter lets it die" in screen(app)
        assert watch.asked == []
        await press(pilot, "w")
        assert isinstance(app.screen, CrashSheet)
        await press(pilot, "enter")
        assert watch.asked == ["let go"]
        assert app.screen is app.default_screen


async def test_lines_that_take_long_follow_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, may_find = crash(), threading.Event()
    places = [each.place._replace(source="", line=None) for each in whole.frames]
    frames = [each._replace(place=place) for each, place in zip(whole.frames, places, strict=True)]
    soon = whole._replace(frames=tuple(frames), lines_missed=True)

    def answer(script: RunScript, question: Question[Any], *go_on: GoOn) -> Any:
        if not isinstance(question, CrashOf):
            return Script._answer(script, question, *go_on)
        if question.lines_s == LINES_SOON_S:
            return soon
        may_find.wait(60.0)
        return whole

    monkeypatch.setattr(RunScript, "_answer", answer)
    told = story()
    app, _, _ = app_running(told)
    async with running(app) as pilot:
        held(told)
        view_of(app)._happened()
        await shows(pilot, "not all lines of the source have been found yet")
        assert isinstance(app.screen, CrashSheet)
        assert "in deref, worker+0x1155" in screen(app)
        may_find.set()
        await shows(pilot, "in deref at w.c:3, worker+0x1155")
        assert "not all lines" not in screen(app)
        await press(pilot, "escape", "w")
        assert "deref at w.c:3" in screen(app)


async def test_a_crash_that_nobody_looks_at_is_told() -> None:
    told = story()
    app, _, _ = app_running(told)
    async with running(app) as pilot:
        await press(pilot, "f12", "2")
        held(told)
        view_of(app)._happened()
        await shows(pilot, "7 and then w show why")
        await press(pilot, "7", "enter")


async def test_of_what_is_dead_nothing_is_let_go() -> None:
    app = app_of([sample(1000.0, process(10, "big", 500))], {})
    async with running(app) as pilot:
        await app.push_screen(CrashSheet(crash()))
        await pilot.pause()
        text = screen(app)
        assert "held" not in text
        assert "exit 139" in text
        assert "1–2 walk  w.c:4" in text
        assert "rax 0x0" in text
        await press(pilot, "enter")
        assert app.screen is app.default_screen


async def test_without_a_pane_the_time_line_has_its_room() -> None:
    app, _, _ = app_running(story(), pane=None)
    async with running(app):
        assert not app.query(TerminalPane)
        assert app.query_one(Timeline).has_focus
        assert app.query_one(Timeline).size.height > 15


async def test_without_a_run_there_is_no_such_view() -> None:
    app = app_of([sample(1000.0, process(10, "big", 500))], {})
    async with running(app) as pilot:
        await press(pilot, "7")
        assert app.view_name == "overview"
        assert "7 Run" not in screen(app)


async def test_samples_that_do_not_know_it_change_nothing() -> None:
    app, _, _ = app_running(story())
    async with running(app) as pilot:
        await deliver(pilot, sample(1001.0, process(10, "big", 500)))
        assert app.session.chosen.key == KEY
        assert "worker (9866) · running" in screen(app)


def after(written: bytes, *keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    async def run(pilot: Pilot[None]) -> None:
        hands = Hands(pilot.app)
        assert isinstance(pilot.app, MemtuiApp)
        users = pilot.app.session.machine.users
        await until(hands, lambda: users.name(0) == "root", "known by name")  # by a thread
        pilot.app.show_moment()
        await hands.pause()
        if written:
            assert pane_of(pilot.app)._feed(written) == len(written)
        await press(hands, *keys)

    return run


WRITTEN = (
    b"\x1b[1mworker\x1b[0m: \x1b[32mok\x1b[0m\r\n\x1b[7mreverse\x1b[0m \xed\x95\x9c\xea\xb8\x80\r\n"
)


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40", "200x60"])
def test_its_picture(snap_compare: Compare, size: tuple[int, int]) -> None:
    app, _, _ = app_running(story(), pane=pane_size(*size))
    assert snap_compare(app, terminal_size=size, run_before=after(WRITTEN, "f12"))


def test_the_picture_of_its_end(snap_compare: Compare) -> None:
    app, _, _ = app_running(ended(story()), pane=pane_size(120, 40))
    assert snap_compare(app, terminal_size=(120, 40), run_before=after(WRITTEN))


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40", "200x60"])
def test_the_picture_of_a_crash(
    snap_compare: Compare, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memtui.tui.sheets.crash.explain", lambda crash: EXPLAINED)
    app, _, _ = app_running(held(story()), pane=pane_size(*size))

    async def opened(pilot: Pilot[None]) -> None:
        await shows(Hands(pilot.app), "WHAT HAPPENED")

    assert snap_compare(app, terminal_size=size, run_before=opened)


async def test_what_happens_while_the_dashboard_ends_is_not_shown() -> None:
    app, _, _ = app_running(story())
    async with running(app):
        view = view_of(app)
        await view.remove_children()
        view._happened()
        view._tick()
