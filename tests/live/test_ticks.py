"""The grid of samples: no drift, what is late is skipped and counted, what is dear comes less often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.live.ticks import Ticks, affordable


def test_ticks_are_on_a_grid_however_long_each_takes() -> None:
    ticks = Ticks(1.0, 100.0)
    for number, took in enumerate((0.1, 0.9, 0.5, 0.0)):
        assert ticks.due_s == 100 + number
        ticks.taken(ticks.due_s + took, 0.01)
    assert (ticks.due_s, ticks.skipped) == (104, 0)


def test_late_ticks_are_skipped_and_counted_and_none_is_made_up() -> None:
    ticks = Ticks(1.0, 100.0)
    ticks.taken(103.5, 0.01)  # those at 101, 102 and 103 did not come
    assert (ticks.due_s, ticks.skipped) == (104, 3)
    ticks.taken(104.2, 0.01)
    assert (ticks.due_s, ticks.skipped) == (105, 3)
    ticks.taken(106.0, 0.01)
    assert (ticks.due_s, ticks.skipped) == (107, 4)


def test_a_tick_that_is_wanted_early_is_none_that_was_skipped() -> None:
    ticks = Ticks(1.0, 100.0)
    ticks.taken(99.4, 0.01)
    assert (ticks.due_s, ticks.skipped) == (101, 0)


def test_a_dear_tick_makes_them_longer_and_a_cheap_one_shorter_again() -> None:
    ticks = Ticks(1.0, 100.0)
    ticks.taken(100.2, 0.12)
    assert (ticks.interval_s, ticks.due_s) == (3.0, 103.0)
    ticks.taken(103.2, 0.12)
    assert (ticks.interval_s, ticks.due_s, ticks.skipped) == (3.0, 106.0, 0)
    ticks.taken(106.01, 0.01)
    assert (ticks.interval_s, ticks.due_s, ticks.skipped) == (1.0, 107.0, 0)


def test_shorter_ticks_begin_after_now() -> None:
    ticks = Ticks(0.5, 100.0)
    ticks.taken(100.0, 1.0)
    assert (ticks.interval_s, ticks.due_s) == (20.0, 120.0)
    ticks.taken(121.2, 0.0)
    assert (ticks.interval_s, ticks.due_s, ticks.skipped) == (0.5, 121.5, 0)


def test_something_else_is_wanted_at_once() -> None:
    ticks = Ticks(10.0, 100.0)
    ticks.taken(100.1, 0.01)
    ticks.restart(2.0, 103.3)
    assert (ticks.asked_s, ticks.interval_s, ticks.due_s) == (2.0, 2.0, 103.3)
    ticks.taken(103.4, 0.01)
    assert (ticks.due_s, ticks.skipped) == (105.3, 0)


def test_a_shorter_interval_that_cannot_be_afforded_is_a_multiple_of_it() -> None:
    ticks = Ticks(10.0, 100.0)
    ticks.taken(100.5, 0.4)
    ticks.restart(1.0, 101.0)
    assert (ticks.asked_s, ticks.interval_s) == (1.0, 8.0)


@given(
    st.floats(0.1, 60),
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 2)), max_size=30),
)
def test_the_next_is_due_after_now_and_on_the_grid(
    asked: float, taken: list[tuple[float, float]]
) -> None:
    ticks, before = Ticks(asked, 1000.0), 0
    for took, cost in taken:
        now = ticks.due_s + took
        ticks.taken(now, cost)
        assert now < ticks.due_s + 1e-6
        assert ticks.due_s - now <= ticks.interval_s + 1e-6
        steps = (ticks.due_s - 1000.0) / asked
        assert steps == pytest.approx(round(steps), abs=1e-6)
        assert ticks.skipped >= before
        before = ticks.skipped


def test_ticks_get_longer_where_they_cost_too_much() -> None:
    assert affordable(1.0, 1.0, 0.01) == 1.0
    assert affordable(1.0, 1.0, 0.06) == 2.0
    assert affordable(1.0, 1.0, 0.3) == 6.0
    assert affordable(0.2, 0.2, 0.02) == pytest.approx(0.4)


def test_they_get_shorter_only_with_room_to_spare() -> None:
    assert affordable(1.0, 2.0, 0.049) == 2.0
    assert affordable(1.0, 2.0, 0.03) == 1.0
    assert affordable(1.0, 6.0, 0.06) == 2.0


@given(st.floats(0.1, 60), st.integers(1, 40), st.floats(0, 2))
def test_an_interval_is_a_multiple_of_the_one_asked_for_and_can_be_afforded(
    asked: float, times: int, cost: float
) -> None:
    interval = affordable(asked, asked * times, cost)
    assert round(interval / asked, 6) == round(interval / asked) >= 1
    assert interval >= 20 * cost - 1e-6
    assert affordable(asked, interval, cost) == interval
