"""What figures are drawn of: blocks, axes, short numbers, means and sums of the history, its end."""

from __future__ import annotations

import copy
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui import units
from memtui.model.shortage.events import Event, Events
from memtui.model.system.metrics import METRICS
from memtui.session.history import History
from memtui.tui.pages.figures import ROWS, blocks
from memtui.tui.widgets.plotting import figure_ticks, figure_top
from tests.moments import moment

FAULTS = "major_faults_per_s"
KILLS = "oom_kills"
FREE = "mem_free_bytes"
GIB = 1 << 30


def faults(*rates: int, start_s: float = 100.0, kills: tuple[int, ...] = ()) -> History:
    """A history of so many major faults in each second, and of kills in the first of them."""
    history, count, killed = History(), 0, 0
    history.record(moment(start_s, vmstat={"pgmajfault": 0, "oom_kill": 0}))
    for second, rate in enumerate(rates, 1):
        count += rate
        killed += kills[second - 1] if second <= len(kills) else 0
        vmstat = {"pgmajfault": count, "oom_kill": killed}
        history.record(moment(start_s + second, vmstat=vmstat))
    return history


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], ""),
        ([0, 50, 100], "▁▅█"),
        ([0, 0], "▁▁"),
        ([100, 100], "██"),
        ([None, 1, None], " █ "),
        ([None, None], "  "),
        ([0, 0.001, 1000], "▁▂█"),  # something is never drawn as nothing
        ([-5, 10], "▁█"),
    ],
)
def test_blocks(values: list[float | None], text: str) -> None:
    assert blocks(values) == text


@given(st.lists(st.none() | st.floats(0, 1e15), max_size=40))
def test_blocks_rise_with_their_values(values: list[float | None]) -> None:
    drawn = blocks(values)
    assert len(drawn) == len(values)
    known = sorted(
        (value, block) for value, block in zip(values, drawn, strict=True) if value is not None
    )
    heights = ["▁▂▃▄▅▆▇█".index(block) for _, block in known]
    assert heights == sorted(heights)
    assert [block == " " for block in drawn] == [value is None for value in values]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (9.94, "9.9"),
        (9.96, "10"),
        (310, "310"),
        (999.4, "999"),
        (999.6, "1.0k"),
        (4200, "4.2k"),
        (12_000_000, "12M"),
        (3e15, "3000T"),
    ],
)
def test_quantity(value: float, text: str) -> None:
    assert units.quantity(value) == text


@given(st.floats(0, 9.9e14))
def test_a_quantity_takes_four_cells_at_most(value: float) -> None:
    assert len(units.quantity(value)) <= 4


@pytest.mark.parametrize("name", [name for _, name in ROWS])
def test_axes_of_every_figure(name: str) -> None:
    """Round, above the largest, and with labels of its unit that fit beside a graph."""
    metric = METRICS[name]
    assert figure_top(metric)(History()) is None
    for most in (0.0, 0.4, 1.0, 3.0, 999.0, 1000.0, 1001.0, 48_000.0, 7.7e9, 3e13):
        history = History()
        history._series = {name: array("d", [most])}
        history._count = 1
        top = figure_top(metric)(history)
        assert top is not None and top >= most
        assert top <= max(5, 2.5 * most), (most, top)
        assert top == figure_top(metric)(history)
        low = figure_ticks(metric)(top, 5)
        high = figure_ticks(metric)(top, 6)
        assert [value for value, _ in low] == [0, top]
        assert [value for value, _ in high] == [0, top / 2, top]
        assert len({label for _, label in high}) == 3
        if metric.unit != "pct":
            assert all(len(label) <= 6 for _, label in high), high


def test_the_axis_does_not_follow_every_value() -> None:
    metric = METRICS[FAULTS]
    tops = {figure_top(metric)(faults(rate)) for rate in range(501, 1000, 7)}
    assert tops == {1000}


def test_the_mean_of_a_minute() -> None:
    history = faults(*[600] * 30, *[0] * 30, *[120] * 30)
    assert history.mean(FAULTS, 60) == 60
    assert history.mean(FAULTS, 30) == 120
    assert history.mean(FAULTS, 1000) == 240
    assert History().mean(FAULTS, 60) is None
    assert faults().mean(FAULTS, 60) is None  # one sample has no rate
    assert history.mean("stalled_some_pct", 60) == 0


def test_holes_are_not_in_the_mean() -> None:
    history = faults(10, 20)
    history.record(moment(103, vmstat={"pgmajfault": 5}))  # went backwards
    assert history.latest(FAULTS) is None
    assert history.mean(FAULTS, 60) == 15


def test_how_many_in_a_minute() -> None:
    history = faults(*[0] * 90, kills=(4, *[0] * 40, 1, 2))
    assert history.latest(KILLS) == 0
    assert history.total(KILLS, 60) == 3
    assert history.total(KILLS, 100) == 7
    assert History().total(KILLS, 60) is None


# Where it ends while the screen is frozen.


def answers(history: History) -> list[object]:
    return [
        history.end_s,
        *(history.latest(name) for name in (FAULTS, KILLS, FREE)),
        *(history.highest(name) for name in (FAULTS, KILLS, FREE)),
        history.mean(FAULTS, 60),
        history.total(KILLS, 60),
        history.trend_per_minute(FREE, 60),
        history.series(FREE, 60),
        history.buckets(FREE, 60, 30),
    ]


@pytest.mark.parametrize("interval_s", [0.2, 1.0, 5.0])
def test_a_frozen_history_answers_as_before(interval_s: float) -> None:
    history = History()
    for tick in range(200):
        meminfo = {"MemFree": GIB + tick}
        vmstat = {"pgmajfault": 1000 + tick * tick, "oom_kill": tick // 50}
        if tick == 120:
            history.until_s = history.end_s
            before = answers(history)
        history.record(
            moment(100 + tick * interval_s, meminfo=meminfo, vmstat=vmstat, interval_s=interval_s)
        )
    assert answers(history) == before
    history.until_s = None
    assert history.latest(FREE) == GIB + 199
    assert history.end_s == 100 + 199 * interval_s


def test_frozen_earlier_than_the_newest() -> None:
    history = faults(*range(1, 61))
    history.until_s = 120.5
    assert history.latest(FAULTS) == 20
    assert history.highest(FAULTS) == 20
    assert history.mean(FAULTS, 10) == 15.5
    history.until_s = 50.0
    assert history.latest(FAULTS) is None
    assert history.highest(FAULTS) is None


def test_frozen_for_longer_than_it_remembers() -> None:
    history = History(entries=10)
    for second in range(100):
        if second == 50:
            history.until_s = 49.0
        history.record(moment(float(second)))
    assert history.latest(FREE) is None
    assert history.mean(FREE, 60) is None
    assert history.buckets(FREE, 5, 5).values == [None] * 5


def test_a_copy_of_events_stays() -> None:
    events = Events(kept=3)
    events.add(Event(1.0, "gap", "note", "x"))
    still = copy.copy(events)
    for second in (2.0, 3.0, 4.0):
        events.add(Event(second, "gap", "note", "x"))
    assert [event.time_s for event in still] == [1.0]
