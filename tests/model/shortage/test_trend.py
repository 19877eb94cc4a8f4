"""When available reaches zero: said of what falls, and of nothing else."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.model.shortage.trend import time_to_zero_s

GIB = 1 << 30
SECONDS = [float(at) for at in range(301)]


def falling(start: float, per_s: float, noise: float = 0.0, seed: int = 0) -> list[float]:
    chance = random.Random(seed)
    return [start - per_s * at + chance.gauss(0, noise) for at in SECONDS]


def test_a_steady_fall() -> None:
    values = falling(8 * GIB, 8 * GIB / 1200)
    assert time_to_zero_s(SECONDS, values) == pytest.approx(900)
    assert time_to_zero_s(SECONDS[::10], values[::10]) == pytest.approx(900)


@pytest.mark.parametrize("seed", range(20))
def test_noise_on_a_fall_moves_it_little(seed: int) -> None:
    values = falling(8 * GIB, 8 * GIB / 1200, 0.1 * GIB, seed)
    assert time_to_zero_s(SECONDS, values) == pytest.approx(900, rel=0.15)


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_trend(seed: int) -> None:
    assert time_to_zero_s(SECONDS, falling(GIB, 0, 0.2 * GIB, seed)) is None


@pytest.mark.parametrize("seed", range(20))
def test_a_random_walk_far_from_zero_is_no_trend(seed: int) -> None:
    chance, value, values = random.Random(seed), 20.0 * GIB, []
    for _ in SECONDS:
        value += chance.gauss(0, 0.002 * GIB)
        values.append(value)
    assert time_to_zero_s(SECONDS, values) is None


def test_outliers_do_not_move_it() -> None:
    values = falling(8 * GIB, 8 * GIB / 1200)
    for at in range(5, 300, 20):
        values[at] = 0.0
    assert time_to_zero_s(SECONDS, values) == pytest.approx(900, rel=0.05)


@pytest.mark.parametrize("at", range(10, 300, 10))
def test_a_step_is_no_trend(at: int) -> None:
    """A program that started and took its memory."""
    assert time_to_zero_s(SECONDS, [8 * GIB if s < at else 5 * GIB for s in SECONDS]) is None


@pytest.mark.parametrize(("first", "second"), [(60, 200), (100, 110), (30, 280), (140, 160)])
def test_two_steps_are_no_trend(first: int, second: int) -> None:
    values = [8 * GIB - 2 * GIB * ((at > first) + (at > second)) for at in SECONDS]
    assert time_to_zero_s(SECONDS, values) is None


@pytest.mark.parametrize("period_s", [7, 20, 40, 60, 100, 150])
@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5, 0.75])
def test_a_heap_that_is_collected_is_no_trend(period_s: float, phase: float) -> None:
    """Sawtooth: available falls and comes back."""
    values = [4 * GIB - 3 * GIB * ((at / period_s + phase) % 1) for at in SECONDS]
    assert time_to_zero_s(SECONDS, values) is None


def test_a_sawtooth_on_a_leak_is_one() -> None:
    values = [
        value - 0.2 * GIB * (at / 15 % 1)
        for at, value in zip(SECONDS, falling(8 * GIB, 8 * GIB / 1200), strict=True)
    ]
    assert time_to_zero_s(SECONDS, values) == pytest.approx(900, rel=0.1)


def test_what_came_to_rest_or_rises_is_no_trend() -> None:
    assert time_to_zero_s(SECONDS, [8 * GIB * math.exp(-at / 30) + GIB for at in SECONDS]) is None
    assert time_to_zero_s(SECONDS, falling(GIB, -GIB / 300)) is None
    assert time_to_zero_s(SECONDS, [float(GIB)] * 301) is None
    assert time_to_zero_s(SECONDS, [0.0] * 301) is None


def test_what_was_given_back_just_now_ends_it() -> None:
    """The program that took it was killed."""
    values = falling(8 * GIB, 8 * GIB / 1200)
    assert time_to_zero_s(SECONDS, [*values[:-1], 8.0 * GIB]) is None


def test_what_has_arrived_is_not_told_to_come() -> None:
    assert time_to_zero_s(SECONDS, falling(8 * GIB, 8 * GIB / 301)) is None


def test_what_is_far_away_is_not_said() -> None:
    assert time_to_zero_s(SECONDS, falling(8 * GIB, 8 * GIB / 7000)) is not None
    assert time_to_zero_s(SECONDS, falling(8 * GIB, 8 * GIB / 8000)) is None


def test_a_short_fall_says_little() -> None:
    """Twelve seconds tell of the next minute, not of the next quarter of an hour."""
    fast, slow = falling(GIB, GIB / 50)[:13], falling(GIB, GIB / 500)[:13]
    assert time_to_zero_s(SECONDS[:13], fast) == pytest.approx(38)
    assert time_to_zero_s(SECONDS[:13], slow) is None
    assert time_to_zero_s(SECONDS[:9], fast[:9]) is None
    assert time_to_zero_s([], []) is None


def test_what_is_older_than_the_window_does_not_count() -> None:
    times = [float(at) for at in range(1000)]
    values = [9.0 * GIB] * 699 + falling(8 * GIB, 8 * GIB / 1200)
    assert time_to_zero_s(times, values) == pytest.approx(900)


@given(
    st.lists(st.tuples(st.floats(0.01, 100), st.floats(-1e15, 1e15, allow_nan=False)), max_size=100)
)
def test_any_series_gives_a_time_or_none(steps: list[tuple[float, float]]) -> None:
    times, at = [], 0.0
    for step, _ in steps:
        at += step
        times.append(at)
    result = time_to_zero_s(times, [value for _, value in steps])
    assert result is None or 0 <= result <= 7200
