"""The judge on real situations that were recorded, and on what clocks and counters may do."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure, Stall
from memtui.model.sample import Sample, SystemSample
from memtui.model.shortage.judge import FALLS_AFTER_S, Judge
from memtui.model.shortage.rules import LEVELS, Level
from memtui.model.shortage.verdict import Verdict
from memtui.model.system.metrics import METRICS
from tests import situations

GIB = 1 << 30
NO_PSI = Gap("proc/pressure/memory", "absent")


def judged(samples: Iterable[Sample]) -> list[tuple[Sample, Verdict]]:
    judge = Judge()
    return [(sample, judge.see(sample)) for sample in samples]


def course(samples: Iterable[Sample]) -> list[str | None]:
    """The levels in order, each once."""
    return [level for level, _ in groupby(verdict.level for _, verdict in judged(samples))]


# What was recorded.


@pytest.mark.parametrize("name", situations.NAMES)
def test_a_recording_is_small_and_begins_calm(name: str) -> None:
    situation = situations.load(name)
    assert situation.words
    assert len(situation.machine) == len(situation.group)
    for samples in (situation.machine, situation.group):
        assert judged(samples)[4][1].level == "comfortable"


def test_the_recordings_are_these() -> None:
    assert situations.NAMES == ["killed", "reading-files", "squeezed-to-death", "thrashing"]
    size = sum(path.stat().st_size for path in situations.DIRECTORY.glob("*.json"))
    assert size < 200_000


def test_thrashing_and_back() -> None:
    situation = situations.load("thrashing")
    machine = course(situation.machine)
    assert [each for each in machine if each not in ("reclaiming", "stalling")] == [
        "comfortable",
        "thrashing",
        "comfortable",
    ]
    assert len(machine) <= 7
    # The group has no PSI of its own: faults tell.
    group = course(situation.group)
    assert [each for each in group if each != "reclaiming"] == [
        "comfortable",
        "thrashing",
        "comfortable",
    ]


def test_thrashing_has_its_evidence() -> None:
    for sample, verdict in judged(situations.load("thrashing").machine):
        if verdict.level != "thrashing" or "easing" in verdict.sentence:
            continue
        evidence = {each.metric: each for each in verdict.evidence}
        refaults, stalled = evidence["refaults_pages_per_s"], evidence["stalled_some_pct"]
        assert refaults.value and refaults.value > 500
        assert stalled.value and stalled.value > 3
        assert evidence["mem_available_bytes"].value == METRICS["mem_available_bytes"].value(
            sample, None
        )
        assert verdict.in_group
        assert "in a control group at its limit; the machine itself has 2" in verdict.sentence


def test_a_leak_without_swap_is_foretold_and_killed() -> None:
    situation = situations.load("killed")
    assert course(situation.machine) == ["comfortable", "being_killed", "comfortable"]
    assert course(situation.group) == [
        "comfortable",
        "about_to_run_out",
        "being_killed",
        "comfortable",
    ]
    seen = judged(situation.group)
    killed_at = next(sample.time_s for sample, each in seen if each.level == "being_killed")
    foretold = [
        (killed_at - sample.time_s, verdict.time_to_zero_s)
        for sample, verdict in seen
        if sample.time_s < killed_at and verdict.time_to_zero_s is not None
    ]
    assert foretold
    for real_s, said_s in foretold:
        assert said_s == pytest.approx(real_s, abs=3)


def test_a_kill_is_shown_for_a_minute() -> None:
    seen = judged(situations.load("killed").machine)
    times = [sample.time_s for sample, verdict in seen if verdict.level == "being_killed"]
    assert times[-1] - times[0] == pytest.approx(59, abs=1.5)
    (first, verdict) = next(each for each in seen if each[1].level == "being_killed")
    assert first.time_s == times[0]
    assert verdict.evidence[0].metric == "oom_kills"
    assert verdict.evidence[0].value == 1
    assert "probably in a control group at its limit" in verdict.sentence


def test_from_comfort_through_thrashing_to_a_kill_and_back() -> None:
    situation = situations.load("squeezed-to-death")
    machine = course(situation.machine)
    assert machine[0] == machine[-1] == "comfortable"
    assert machine.index("thrashing") < machine.index("being_killed")
    assert "comfortable" not in machine[machine.index("thrashing") : machine.index("being_killed")]
    assert len(machine) <= 7
    group = course(situation.group)
    assert group[0] == group[-1] == "comfortable"
    assert "thrashing" in group[: group.index("being_killed")]
    assert len(group) <= 7


def test_reading_files_is_no_shortage() -> None:
    situation = situations.load("reading-files")
    assert course(situation.machine) == ["comfortable", "reclaiming", "comfortable"]
    assert course(situation.group) == ["comfortable", "reclaiming", "comfortable"]


@pytest.mark.parametrize("name", situations.NAMES)
@pytest.mark.parametrize("every", [2, 5])
def test_a_slower_interval_sees_the_same(name: str, every: int) -> None:
    """Levels of a moment may be missed, but none is made up, and nothing flickers."""
    situation = situations.load(name)
    for samples in (situation.machine, situation.group):
        whole = course(samples)
        slow = [each._replace(interval_s=float(every)) for each in samples[::every]]
        levels = course(slow)
        assert set(levels) <= set(whole) | {"reclaiming"}
        assert len(levels) <= len(whole) + 1
        order = list(LEVELS)
        assert order.index(worst(levels)) >= order.index(worst(whole)) - 1


def worst(levels: Iterable[str | None]) -> Level:
    order: list[Level] = list(LEVELS)
    return max((level for level in order if level in set(levels)), key=order.index)


# What clocks and counters may do.


def machine(
    time_s: float, stalled_us: int = 0, kills: int = 0, skipped: int = 0, interval_s: float = 1.0
) -> Sample:
    meminfo = {"MemTotal": 10 * GIB, "MemFree": GIB, "MemAvailable": 6 * GIB}
    stall = Stall(0.0, 0.0, 0.0, stalled_us)
    system = SystemSample(meminfo, {"oom_kill": kills}, Pressure(stall, stall))
    return Sample(time_s, interval_s, system, {}, skipped)


def stalled(*shares: float, interval_s: float = 1.0) -> list[Sample]:
    """Samples of which each interval was stalled for a share of its time."""
    samples, total = [machine(100.0, interval_s=interval_s)], 0.0
    for at, share in enumerate(shares, 1):
        total += share * 1e6 * interval_s
        samples.append(machine(100.0 + at * interval_s, int(total), interval_s=interval_s))
    return samples


def levels_of(samples: Iterable[Sample]) -> list[str | None]:
    return [verdict.level for _, verdict in judged(samples)]


def test_it_rises_with_the_second_look_that_agrees() -> None:
    assert levels_of(stalled(0, 0, 0, 0.95, 0.95, 0.95))[3:] == [
        "comfortable",
        "comfortable",
        "stalling",
        "stalling",
    ]


def test_a_faster_interval_rises_no_sooner() -> None:
    fast = stalled(*[0] * 30, *[0.95] * 30, interval_s=0.1)
    first = levels_of(fast).index("stalling")
    assert 0.9 <= (first - 30) / 10 <= 2.5


def test_it_falls_when_it_was_better_for_a_while() -> None:
    samples = stalled(*[0.9] * 10, *[0] * 40)
    levels = levels_of(samples)
    last = len(levels) - 1 - levels[::-1].index("stalling")
    # The rate over ten seconds must have fallen, and stay there for ten.
    assert FALLS_AFTER_S < last - 10 < 2 * FALLS_AFTER_S + 1
    assert levels[-1] == "comfortable"
    assert "easing" in judged(samples)[last][1].sentence
    assert len(list(groupby(levels))) <= 4


def test_bursts_do_not_flicker() -> None:
    """Stalls of two seconds in every six."""
    levels = levels_of(stalled(*[0, 0, 0, 0, 0.95, 0.95] * 30))
    assert len(list(groupby(levels))) <= 4


@pytest.mark.parametrize("share", [0.19, 0.2, 0.21])
def test_at_a_threshold_it_does_not_flicker(share: float) -> None:
    around = [share + 0.04 * (-1) ** (at // 7) for at in range(300)]
    assert len(list(groupby(levels_of(stalled(*around))))) <= 4


def test_a_kill_counts_at_once() -> None:
    calm = [machine(100.0 + at) for at in range(5)]
    killed = [machine(105.0 + at, kills=2) for at in range(70)]
    levels = levels_of([*calm, *killed])
    assert levels[4:6] == ["comfortable", "being_killed"]
    assert levels.count("being_killed") == 60
    assert judged([*calm, *killed])[5][1].sentence.startswith(
        "Being killed: the OOM killer ended 2 processes"
    )


def test_kills_before_the_first_look_do_not_count() -> None:
    assert set(levels_of(machine(100.0 + at, kills=9) for at in range(5))) == {"comfortable"}


def test_a_machine_that_slept_is_not_judged_by_it() -> None:
    awake = stalled(*[0.9] * 8)
    asleep = machine(4000.0, 8_000_000)
    seen = judged([*awake, asleep, machine(4001.0, 8_000_000), machine(4002.0, 8_000_000)])
    # The verdict stays as it was, for want of a better one; then it is of the time since.
    assert [verdict.level for _, verdict in seen[-3:]] == ["stalling", "comfortable", "comfortable"]
    killed = [machine(100.0), machine(4000.0, kills=1), machine(4001.0, kills=1)]
    assert levels_of(killed) == ["comfortable", "comfortable", "comfortable"]


def test_a_machine_that_stalled_is_judged_by_it() -> None:
    """Ticks that came too late were counted: nobody slept."""
    samples = [machine(100.0), machine(101.0), machine(121.0, 19_000_000, skipped=19)]
    samples.append(machine(141.0, 38_000_000, skipped=38))
    assert levels_of(samples)[-1] == "stalling"


def test_time_that_goes_back_begins_anew() -> None:
    levels = levels_of([*stalled(*[0.9] * 8), machine(5.0), machine(6.0)])
    assert levels[-3:] == ["stalling", "comfortable", "comfortable"]


def test_the_first_verdict_is_of_averages_and_does_not_last() -> None:
    meminfo = {"MemTotal": 10 * GIB, "MemFree": GIB, "MemAvailable": 6 * GIB}
    past = Pressure(Stall(50.0, 9.0, 9.0, 5), Stall(50.0, 9.0, 9.0, 5))
    samples = [Sample(10.0 + at, 1.0, SystemSample(meminfo, {}, past), {}) for at in range(3)]
    assert levels_of(samples) == ["stalling", "comfortable", "comfortable"]


def test_available_that_falls_is_foretold() -> None:
    def falling(at: int) -> Sample:
        meminfo = {"MemTotal": 10 * GIB, "MemFree": 0, "MemAvailable": (8 << 30) - at * (8 << 20)}
        return Sample(100.0 + at, 1.0, SystemSample(meminfo, {}, NO_PSI), {})

    verdict = judged(map(falling, range(180)))[-1][1]
    assert verdict.time_to_zero_s == pytest.approx(1024 - 179, abs=2)
    assert verdict.sentence.endswith("; at this rate available reaches zero in 14 min.")
    assert verdict.evidence[-1].text == "14 min"


def test_sources_that_fail_now_and_then_are_survived() -> None:
    samples = stalled(*[0] * 20)
    gap = Gap("proc/meminfo", "malformed")
    samples[5] = samples[5]._replace(system=SystemSample(gap, gap, gap))
    samples[9] = samples[9]._replace(system=samples[9].system._replace(pressure=gap))
    levels = levels_of(samples)
    assert set(levels) <= {"comfortable", None}


def test_nothing_that_can_be_read_is_no_comfort() -> None:
    gap = Gap("proc/vmstat", "malformed")
    blind = [Sample(time_s, 1.0, SystemSample(gap, gap, gap), {}) for time_s in (1.0, 2.0, 3.0)]
    for _, verdict in judged(blind):
        assert verdict.level is None
        assert verdict.sentence.startswith("Nothing to judge by: ")


def test_what_it_keeps_is_bounded() -> None:
    judge = Judge()
    for at in range(2000):
        judge.see(machine(100.0 + at / 10, at, kills=at // 7, interval_s=0.1))
    kept = vars(judge)
    for name in ("_window", "_raw", "_confirmed", "_kills"):
        assert len(kept[name]) <= 601, name
    assert len(kept["_available"][0]) <= 302
