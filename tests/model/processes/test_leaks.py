"""The leak hunt on series that were made: lines, plateaus, sawtooths, walks, and their parts."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtui.model.keys import ProcessKey
from memtui.model.processes.growth import SURE, Growth, growth_of
from memtui.model.processes.leaks import Leak, hunted, series_of
from memtui.model.processes.use import Look, Use

MIB = 1 << 20
Make = Callable[[int, random.Random], float]


def grown(make: Make, count: int, seed: int = 0, step_s: float = 1.0) -> Growth:
    chance = random.Random(seed)
    values = [100 * MIB + make(at, chance) for at in range(count)]
    found = growth_of([1000 + step_s * at for at in range(count)], values)
    assert found is not None
    return found


@given(
    count=st.integers(24, 400),
    slope=st.floats(1e3, 1e8),
    noise=st.floats(0, 0.03),
    step_s=st.sampled_from((0.5, 1.0, 60.0)),
    seed=st.integers(0, 1 << 30),
)
@settings(max_examples=60, deadline=None)
def test_a_line_is_a_leak(count: int, slope: float, noise: float, step_s: float, seed: int) -> None:
    rise = slope * step_s * count
    found = grown(
        lambda at, chance: slope * step_s * at + chance.uniform(-noise, noise) * rise,
        count,
        seed,
        step_s,
    )
    assert found.shape == "leak"
    assert found.slope_per_s == pytest.approx(slope, rel=0.15)
    assert found.since_s == 1000
    assert 0.9 * SURE <= found.certainty <= 1
    assert found.grown == pytest.approx(rise, rel=0.2)


@given(
    count=st.integers(40, 400),
    part=st.floats(0.2, 0.7),
    seed=st.integers(0, 1 << 30),
)
@settings(max_examples=40, deadline=None)
def test_where_it_began_is_told(count: int, part: float, seed: int) -> None:
    begin = int(part * count)
    found = grown(
        lambda at, chance: max(0, at - begin) * MIB + chance.gauss(0, 0.1 * MIB), count, seed
    )
    assert found.shape == "leak"
    assert found.since_s == pytest.approx(1000 + begin, abs=3 + 0.05 * count)
    assert found.slope_per_s == pytest.approx(MIB, rel=0.1)


@given(count=st.integers(40, 400), part=st.floats(0.3, 0.7), seed=st.integers(0, 1 << 30))
@settings(max_examples=40, deadline=None)
def test_what_has_stopped_is_no_leak(count: int, part: float, seed: int) -> None:
    end = part * count
    found = grown(
        lambda at, chance: min(1.0, at / end) * 100 * MIB + chance.gauss(0, 0.1 * MIB), count, seed
    )
    assert found.shape in ("plateau", "chance")


@given(
    count=st.integers(40, 400),
    lengths=st.floats(2.5, 20),
    height=st.floats(1, 1000),
)
@settings(max_examples=40, deadline=None)
def test_a_warm_up_is_no_leak(count: int, lengths: float, height: float) -> None:
    """A curve that comes nearer to its end all the time, and never stops rising."""
    found = grown(
        lambda at, _: height * MIB * (1 - math.exp(-lengths * at / count)),
        count,
    )
    assert found.shape != "leak"


@given(
    count=st.integers(60, 400),
    teeth=st.integers(5, 12),
    seed=st.integers(0, 1 << 30),
)
@settings(max_examples=40, deadline=None)
def test_a_collected_heap_is_no_leak(count: int, teeth: int, seed: int) -> None:
    found = grown(sawtooth(count, teeth, 0.0), count, seed)
    assert found.shape != "leak"


@given(count=st.integers(100, 400), teeth=st.integers(8, 14), seed=st.integers(0, 1 << 30))
@settings(max_examples=40, deadline=None)
def test_a_collected_heap_whose_floor_rises_is_one(count: int, teeth: int, seed: int) -> None:
    slope = 200 * MIB / count
    found = grown(sawtooth(count, teeth, slope), count, seed)
    assert found.shape == "leak"
    assert found.slope_per_s == pytest.approx(slope, rel=0.2)


def sawtooth(count: int, teeth: int, slope: float) -> Make:
    period = count / teeth

    def value(at: int, chance: random.Random) -> float:
        share = at % period / period
        return 100 * MIB * share + slope * at + chance.uniform(0, 2 * MIB)

    return value


@pytest.mark.parametrize("count", [20, 60, 240])
def test_walks_by_chance_are_seldom_leaks(count: int) -> None:
    """Up and down as a coin falls: some rise for long, and one in fifty at most is taken for a leak."""
    taken = 0
    for seed in range(200):
        place = 0.0
        steps = random.Random(seed)

        def walk(_at: int, _chance: random.Random, steps: random.Random = steps) -> float:
            nonlocal place
            place += steps.gauss(0, MIB)
            return place

        taken += grown(walk, count).shape == "leak"
    assert taken <= 4


@given(st.integers(0, 1 << 30), st.integers(6, 200))
@settings(max_examples=40, deadline=None)
def test_noise_is_no_leak(seed: int, count: int) -> None:
    assert grown(lambda _, chance: chance.gauss(0, MIB), count, seed).shape != "leak" or count < 12


def test_a_step_is_no_leak() -> None:
    for step in (10, 50, 90):

        def value(at: int, chance: random.Random, step: int = step) -> float:
            return 50 * MIB * (at > step) + chance.gauss(0, 1e5)

        assert grown(value, 100).shape != "leak"


def test_what_was_as_large_before_is_no_leak() -> None:
    """A load comes again, in a line, up to where it was."""

    def load(at: int, _chance: random.Random) -> float:
        return MIB * (at if at <= 100 else max(0, 100 - 10 * (at - 100)) if at < 200 else at - 200)

    assert grown(load, 290).shape != "leak"


def test_too_little_says_nothing() -> None:
    assert growth_of([], []) is None
    assert growth_of([1, 2, 3], [1, 2, 3]) is None
    assert growth_of([5.0] * 20, list(range(20))) is None


@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.floats(0, 1e15)), max_size=80, unique_by=lambda it: it[0]
    )
)
@settings(deadline=None)
def test_any_series_gives_an_answer(points: list[tuple[float, float]]) -> None:
    points.sort()
    found = growth_of([at for at, _ in points], [value for _, value in points])
    assert found is None or 0 <= found.certainty <= 1


# The hunt.


def looks(
    sizes: Callable[[int], dict[tuple[str, int, int], float]],
    count: int = 60,
    available: float | None = None,
) -> list[Look]:
    """Looks at processes of a name, a pid and a start time, in MiB at each second."""
    found = []
    for at in range(count):
        uses = {
            ProcessKey(pid, start): Use(name, round(size * MIB), round(size * MIB) + MIB, uid=1)
            for (name, pid, start), size in sizes(at).items()
        }
        found.append(Look(float(at), "boot", uses))
    return found


def found_in(all_: list[Look], available: float | None = None) -> tuple[list[Leak], list[Leak]]:
    return hunted(series_of(all_), available)


def test_the_worst_comes_first_with_when_all_is_eaten() -> None:
    leaks, plateaus = found_in(
        looks(
            lambda at: {
                ("slow", 1, 1): 10 + at,
                ("fast", 2, 1): 10 + 3 * at,
                ("still", 3, 1): 500,
                ("warm", 4, 1): 10 * min(at, 15),
            }
        ),
        300 * MIB,
    )
    assert [each.series.name for each in leaks] == ["fast", "slow"]
    assert leaks[0].until_full_s == pytest.approx(100)
    assert leaks[0].series.figure == "anon"
    assert [each.series.name for each in plateaus] == ["warm"]
    assert plateaus[0].until_full_s is None
    assert plateaus[0].growth.until_s == pytest.approx(15, abs=2)


def test_a_pid_that_came_back_is_another_process() -> None:
    """Each of them is larger than the one before, and none of them grows."""
    leaks, _ = found_in(looks(lambda at: {("job", 7, at // 10): 10 + 10 * (at // 10)}))
    assert not [each for each in leaks if each.series.what == "process"]


def test_a_group_that_grows_by_new_members_is_told() -> None:
    leaks, _ = found_in(looks(lambda at: {("worker", pid, pid): 5 for pid in range(1, 2 + at)}))
    assert [(each.series.what, each.series.name) for each in leaks] == [("group", "worker")]
    assert leaks[0].growth.slope_per_s == pytest.approx(5 * MIB, rel=0.05)


def test_a_group_is_not_told_for_the_one_member_that_leaks() -> None:
    leaks, _ = found_in(looks(lambda at: {("worker", 1, 1): 10 + at, ("worker", 2, 2): 10}))
    assert [(each.series.what, each.series.pid) for each in leaks] == [("process", 1)]


def test_one_that_has_ended_is_told_and_eats_no_more() -> None:
    leaks, _ = found_in(
        looks(lambda at: {("gone", 1, 1): 10 + 2 * at} if at < 40 else {}), 100 * MIB
    )
    (leak,) = leaks
    assert leak.series.has_ended
    assert leak.until_full_s is None


def test_shared_memory_that_grows_is_found_by_rss() -> None:
    all_ = [
        Look(at, "boot", {ProcessKey(1, 1): Use("shm", MIB, 2 * MIB + at * MIB)})
        for at in range(60)
    ]
    leaks, _ = found_in(all_)
    assert [each.series.figure for each in leaks] == ["rss"]


def test_unreclaimable_slabs_that_grow_are_the_machines() -> None:
    all_ = [Look(at, "b", {}, {"slab_unreclaimable_bytes": at * MIB}) for at in range(60)]
    leaks, _ = found_in(all_)
    assert [(each.series.what, each.series.pid) for each in leaks] == [("machine", None)]


def test_what_began_in_the_last_hour_of_a_day_is_found() -> None:
    """As the hunt looks at a day: every ten minutes, and more closely at its end."""
    times = [*range(0, 82_000, 600), *range(82_000, 86_400, 60)]
    all_ = [
        Look(at, "b", {ProcessKey(1, 1): Use("late", 0, 50 * MIB + max(0, at - 83_000) * 10_000)})
        for at in times
    ]
    leaks, _ = found_in(all_)
    assert [each.series.name for each in leaks] == ["late"]
    assert leaks[0].growth.since_s == pytest.approx(83_000, abs=400)
