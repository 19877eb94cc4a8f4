"""What widgets ask: every question is answered, and what comes too fast starves nobody."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest

from memtui.kernel.files import Files, Gap
from memtui.ondemand import place
from memtui.ondemand.question import Work
from memtui.session.inbox import SAMPLES_AT_MOST
from memtui.tui.asking import drop, look_up
from tests.conftest import open_host
from tests.interface import (
    app_of,
    captured,
    deliver,
    minutes_of,
    press,
    running,
    screen,
    screen_text,
    settle,
    until,
)
from tests.samples import MIB, process, sample


@dataclass(frozen=True)
class Slow(Work[str]):
    """Answers when it may."""

    name: str
    may_answer: threading.Event

    def work(self) -> str:
        assert self.may_answer.wait(60)
        return self.name


@dataclass(frozen=True)
class Broken(Work[str]):
    def work(self) -> str:
        raise ZeroDivisionError("nobody thought of it")


async def test_a_defect_is_an_answer() -> None:
    app = app_of([sample(1.0)], {})
    answers: list[Any] = []
    async with running(app) as pilot:
        look_up(app.view, Broken(), answers.append)
        await until(pilot, lambda: answers, "answered")
    (gap,) = answers
    assert isinstance(gap, Gap)
    assert "a defect in memtui: test_asking.py:" in gap.detail


async def test_a_panel_never_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """One defect in reading a process's place, and the next is read all the same."""
    now, maps = captured("debian-6.18")
    whole = place.read_place

    def breaks(files: Files, key: Any) -> Any:
        raise KeyError("no such thing")

    monkeypatch.setattr(place, "read_place", breaks)
    app = app_of(minutes_of(now, 2), maps, files=open_host("debian-6.18"))
    async with running(app, (120, 40)) as pilot:
        await press(pilot, "2")
        await until(pilot, lambda: "limits: a defect in memtui" in screen(app), "told")
        monkeypatch.setattr(place, "read_place", whole)
        await press(pilot, "down")
        await until(pilot, lambda: "limits: a defect" not in screen(app), "the next one read")


async def test_the_last_that_was_asked_is_answered_and_no_other() -> None:
    app = app_of([sample(1.0)], {})
    answers: list[Any] = []
    first, second = threading.Event(), threading.Event()
    async with running(app) as pilot:
        one = look_up(app.view, Slow("one", first), answers.append)
        two = look_up(app.view, Slow("two", second), answers.append)
        assert one.is_stopped and not two.is_stopped
        assert look_up(app.view, Slow("two", second), answers.append) is two, "asked already"
        first.set()
        second.set()
        await until(pilot, lambda: answers, "answered")
        await settle(pilot)
        assert answers == ["two"]


async def test_nobody_hears_what_is_wanted_no_more() -> None:
    app = app_of([sample(1.0)], {})
    answers: list[Any] = []
    may = threading.Event()
    async with running(app) as pilot:
        asked = look_up(app.view, Slow("one", may), answers.append)
        drop(app.view)
        assert asked.is_stopped
        may.set()
        look_up(app.view, Broken(), answers.append)
        await until(pilot, lambda: answers, "the other answered")
        assert [isinstance(each, Gap) for each in answers] == [True]


async def test_what_comes_too_fast_is_counted_and_the_screen_lives() -> None:
    """More samples than anyone could take between two frames."""
    app = app_of([sample(0.0, process(10, "big", 10))], {})
    count = 4 * SAMPLES_AT_MOST
    async with running(app, (120, 40)) as pilot:
        for at in range(1, count + 1):
            app._inbox.put(sample(float(at), process(10, "big", 10 + at / MIB)))
        app.wake()
        await press(pilot, "question_mark")
        assert len(app.screen_stack) == 2  # the key was heard
        await press(pilot, "escape")
        await until(pilot, lambda: not len(app._inbox), "all taken")
        lost = count - SAMPLES_AT_MOST
        assert len(app.session.history) == 1 + SAMPLES_AT_MOST
        await deliver(pilot, sample(count + 1.0))
        assert f"{lost} samples lost" in screen_text(app)[0]
        app._pulse._lost_at_s -= 100
        await deliver(pilot, sample(count + 2.0))
        assert "lost" not in screen_text(app)[0]
