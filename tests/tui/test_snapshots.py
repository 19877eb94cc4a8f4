"""Pictures of the screens, as SVG. After a change that is meant to be seen, look at the report and take
them anew: `python -m pytest tests/tui/test_snapshots.py --snapshot-update`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Static

from memtui.tui.sheets.help import help_text
from tests.interface import (
    Hands,
    app_of,
    captured,
    deliver,
    minutes_of,
    press,
    screen,
    settle,
    until,
)
from tests.past import today_at, with_past
from tests.samples import sample
from tests.tui.labs import BIG, PROGRAM, LabScript, app_in_lab, asks

Compare = Callable[..., bool]
Keys = tuple[str, ...]


def machine(host: str) -> App[None]:
    now, maps = captured(host)
    return app_of(minutes_of(now), maps)


async def without_its_cost(pilot: Pilot[None]) -> None:
    """The help, but for what memtui itself costs: nobody knows how wide that is."""
    pilot = Hands(pilot.app)
    await press(pilot, "question_mark")
    text = help_text()
    start, end = text.plain.index("itself:"), text.plain.index(" · Esc closes")
    pilot.app.screen.query_one(Static).update(text[:start] + text[end:])
    await press(pilot, "pagedown")


def after(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Presses keys, one after the other, and waits for what they do."""

    async def run(pilot: Pilot[None]) -> None:
        await press(Hands(pilot.app), *keys)

    return run


async def to_the_telling_step(pilot: Pilot[None]) -> None:
    """Through an experiment's first step to the second one's figures, with one guess right."""
    pilot = Hands(pilot.app)
    await press(pilot, "6", "enter")
    await until(pilot, lambda: asks(pilot.app), "asked")  # type: ignore[arg-type]
    await press(pilot, "enter")
    await until(pilot, lambda: "no guess: it is a" in screen(pilot.app), "told")
    await press(pilot, "enter", "c", "enter")
    await until(pilot, lambda: "you said c" in screen(pilot.app), "told")
    await deliver(pilot, sample(1001.0, BIG, PROGRAM))


SIZES = pytest.mark.parametrize(
    "size", [(80, 24), (120, 40), (200, 60)], ids=["80x24", "120x40", "200x60"]
)


@SIZES
def test_an_experiment(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = app_in_lab(LabScript())
    assert snap_compare(app, terminal_size=size, run_before=to_the_telling_step)


@SIZES
@pytest.mark.parametrize("keys", [(), ("enter", "down", "down")], ids=["overview", "map"])
def test_a_captured_machine(snap_compare: Compare, size: tuple[int, int], keys: Keys) -> None:
    assert snap_compare(machine("debian-6.18"), terminal_size=size, run_before=after(*keys))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_wound_back(snap_compare: Compare, size: tuple[int, int]) -> None:
    now, maps = captured("debian-6.18")
    samples = minutes_of(now)
    app = app_of(samples, maps)
    with_past(app, samples)
    today_at(app, now, 14, 34, 8)

    async def go_back(pilot: Pilot[None]) -> None:
        pilot = Hands(pilot.app)
        await settle(pilot)  # all samples are taken: from the last of them it goes back
        await press(pilot, "left_curly_bracket", "left_curly_bracket", "left_square_bracket")

    assert snap_compare(app, terminal_size=size, run_before=go_back)


def test_hostile_names(snap_compare: Compare) -> None:
    assert snap_compare(machine("hostile"), terminal_size=(80, 24), run_before=after("end"))


def test_a_small_terminal(snap_compare: Compare) -> None:
    assert snap_compare(machine("debian-6.18"), terminal_size=(50, 12), run_before=after())


def test_help(snap_compare: Compare) -> None:
    assert snap_compare(machine("debian-6.18"), terminal_size=(80, 24), run_before=without_its_cost)
