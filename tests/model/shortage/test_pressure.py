"""The rules of the verdict and its words, on figures made for each of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.accounts import Accounts
from memtui.kernel.files import Gap
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import Pressure, Stall, parse_pressure
from memtui.kernel.vmstat import parse_vmstat
from memtui.kernel.zones import ZoneMarks
from memtui.model.sample import Sample, SystemSample
from memtui.model.shortage.rules import (
    LEVELS,
    RULES,
    SHOWN,
    Figures,
    Level,
    figure_text,
    figures_of,
    level_of,
)
from memtui.model.shortage.verdict import Verdict, verdict_of
from memtui.model.system.metrics import METRICS
from tests.conftest import HOSTS, open_host

GIB = 1 << 30
CALM = dict.fromkeys(SHOWN, 0.0) | {
    "mem_available_bytes": 6.0 * GIB,
    "available_pct": 60.0,
    "left_bytes": 8.0 * GIB,
    "left_pct": 66.0,
    "reclaim_efficiency_pct": None,
    "limit_hits_per_s": None,
    "to_zero_s": None,
}
OFF = Gap("proc/pressure/memory", "unsupported", "psi=0")


def level(**figures: float | None) -> Level:
    assert figures.keys() <= CALM.keys()
    return level_of(CALM | figures)


def sample(
    time_s: float,
    meminfo: dict[str, int] | Gap | None = None,
    vmstat: dict[str, int] | Gap | None = None,
    pressure: Pressure | Gap = OFF,
) -> Sample:
    if meminfo is None:
        meminfo = {
            "MemTotal": 10 * GIB,
            "MemFree": GIB,
            "MemAvailable": 6 * GIB,
            "SwapTotal": 2 * GIB,
            "SwapFree": 2 * GIB,
        }
    return Sample(time_s, 1.0, SystemSample(meminfo, vmstat or {}, pressure), {})


def stalls(
    some_us: int, full_us: int = 0, some_avg: float = 0.0, full_avg: float = 0.0
) -> Pressure:
    return Pressure(Stall(some_avg, 0.0, 0.0, some_us), Stall(full_avg, 0.0, 0.0, full_us))


def of_host(name: str, time_s: float = 10.0) -> Sample:
    files = open_host(name)
    return Sample(
        time_s,
        1.0,
        SystemSample(
            files.parsed("proc/meminfo", parse_meminfo),
            files.parsed("proc/vmstat", parse_vmstat),
            files.parsed("proc/pressure/memory", parse_pressure),
        ),
        {},
    )


def test_each_level_by_its_figures() -> None:
    assert level() == "comfortable"
    assert level(kswapd_scanned_pages_per_s=4000, some=0.2) == "reclaiming"
    assert level(some=1.5) == "reclaiming"
    assert level(limit_hits_per_s=30) == "reclaiming"
    assert level(refaults_pages_per_s=4000, some=8) == "thrashing"
    assert level(some=45) == "stalling"
    assert level(full=25, some=25) == "stalling"
    assert level(left_pct=2, left_bytes=GIB) == "about_to_run_out"
    assert level(to_zero_s=60, left_pct=15) == "about_to_run_out"
    assert level(kills=1) == "being_killed"
    assert level(kills=1, full=90, left_pct=0, left_bytes=0) == "being_killed"


def test_what_is_no_shortage() -> None:
    # Files are read through the cache, and nobody waits.
    assert level(refaults_pages_per_s=90_000, kswapd_scanned_pages_per_s=90_000) == "reclaiming"
    # Three per cent of a TiB.
    assert level(left_pct=2.5, left_bytes=26 * GIB) == "comfortable"
    # Much is taken, but it lasts.
    assert level(to_zero_s=900, left_pct=15) == "comfortable"
    assert level(to_zero_s=60, left_pct=50) == "comfortable"


def test_without_psi_faults_and_allocations_tell() -> None:
    back = {"refaults_pages_per_s": 4000.0, "some": None, "full": None}
    assert level(**back, major_faults_per_s=300) == "thrashing"
    assert level(**back) == "comfortable"
    waits = {"allocation_stalls_per_s": 50.0, "reclaim_efficiency_pct": 5.0}
    assert level(some=None, full=None, **waits) == "stalling"
    # PSI knows better.
    assert level(some=0.0, **waits) == "comfortable"
    assert level(some=0.0, refaults_pages_per_s=4000, major_faults_per_s=300) == "comfortable"


def test_a_level_is_kept_until_things_are_clearly_better() -> None:
    almost = CALM | {"full": 16.0, "some": 16.0}
    assert level_of(almost) == "reclaiming"
    assert level_of(almost, "stalling") == "stalling"
    assert level_of(almost, "thrashing") == "reclaiming"
    assert level_of(CALM | {"full": 10.0}, "stalling") == "comfortable"


@given(
    st.dictionaries(
        st.sampled_from(sorted(SHOWN)),
        st.none() | st.floats(0, 1e15, allow_nan=False),
        max_size=len(SHOWN),
    ),
    st.none() | st.sampled_from(list(LEVELS)),
)
def test_any_figures_have_a_level(figures: dict[str, float | None], held: Level | None) -> None:
    found = level_of(dict.fromkeys(SHOWN) | figures, held)
    assert found in LEVELS
    if held is not None:
        order = list(LEVELS)
        free = level_of(dict.fromkeys(SHOWN) | figures)
        assert order.index(found) >= order.index(free)


def test_the_rules_explain_themselves() -> None:
    for rule in RULES:
        assert rule.words and rule.conditions
        for condition in rule.conditions:
            assert condition.figure in SHOWN
            assert SHOWN[condition.figure].metric in METRICS
            assert condition.words
    assert {rule.level for rule in RULES} == set(LEVELS) - {"comfortable"}
    order = [list(LEVELS).index(rule.level) for rule in RULES]
    assert order == sorted(order, reverse=True)
    assert RULES[0].conditions[0].words == "OOM kills in the last minute ≥ 1"
    assert "available reaches zero in < 2 min" in {
        each.words for rule in RULES for each in rule.conditions
    }


def grown(by: dict[str, int], seconds: float = 10.0) -> tuple[Sample, Sample]:
    """Two samples of a machine with PSI on which counters grew."""
    vmstat = of_host("debian-6.18").system.vmstat
    assert isinstance(vmstat, dict)
    later = {key: value + by.get(key, 0) for key, value in vmstat.items()}
    waited = by.get("some_us", 0), by.get("full_us", 0)
    before = sample(10.0, None, vmstat, stalls(0))
    return sample(10.0 + seconds, None, later, stalls(*waited)), before


def verdict(**by: int) -> Verdict:
    return verdict_of(*grown(by))


def test_the_words_of_each_level() -> None:
    assert verdict().sentence == (
        "Comfortable: 6.0 GiB are available, 60 % of all, and nobody waits for memory."
    )
    assert verdict(pgscan_kswapd=10_000, pgscan_file=10_000).sentence == (
        "Reclaiming: kswapd takes memory back, and hardly anybody waits."
    )
    assert verdict(
        workingset_refault_anon=40_000, some_us=900_000, pgscan_direct=80_000, pgscan_anon=80_000
    ).sentence == (
        "Thrashing: 4 000 pages a second come back that were just put out, and tasks wait for "
        "memory 9.0 % of the time."
    )
    assert verdict(some_us=4_500_000, full_us=3_000_000).sentence == (
        "Stalling: all tasks wait for memory 30 % of the time."
    )
    assert verdict(oom_kill=2, pgscan_direct=9_000, pgscan_anon=9_000).sentence == (
        "Being killed: the OOM killer ended 2 processes in the last minute; now 6.0 GiB are "
        "available."
    )


def test_a_group_at_its_limit_is_not_the_machine() -> None:
    """What control groups scan is counted by type and by no reclaimer of the machine's."""
    limited = verdict(workingset_refault_anon=40_000, some_us=900_000, pgscan_anon=80_000)
    assert limited.in_group
    assert limited.sentence.endswith(
        "in a control group at its limit; the machine itself has 6.0 GiB available."
    )
    assert "group_scanned_pages_per_s" in {each.metric for each in limited.evidence}
    killed = verdict(oom_kill=1)
    assert killed.in_group
    assert "probably in a control group at its limit" in killed.sentence
    mixed = verdict(
        workingset_refault_anon=40_000, some_us=900_000, pgscan_anon=80_000, pgscan_kswapd=70_000
    )
    assert not mixed.in_group


def test_evidence_is_a_figure_with_its_source() -> None:
    found = verdict(workingset_refault_anon=40_000, some_us=900_000)
    by_metric = {each.metric: each for each in found.evidence}
    assert by_metric.keys() <= METRICS.keys()
    assert by_metric["refaults_pages_per_s"].value == 4000
    assert by_metric["refaults_pages_per_s"].text == "4 000 pages/s"
    assert by_metric["stalled_some_pct"].value == pytest.approx(9)
    assert by_metric["stalled_some_pct"].source == "/proc/pressure/memory some total"
    assert by_metric["mem_available_bytes"].value == 6 * GIB


def test_one_state_is_judged_by_the_kernels_averages() -> None:
    found = verdict_of(sample(10.0, pressure=stalls(9, 9, some_avg=55.0, full_avg=30.0)))
    assert found.level == "stalling"
    by_metric = {each.metric: each for each in found.evidence}
    assert by_metric["full_avg10_pct"].value == 30
    assert "average of 10 s" in by_metric["full_avg10_pct"].label


def test_what_is_missing_is_said() -> None:
    found = verdict_of(sample(10.0))
    assert found.level == "comfortable"
    assert found.lacks == (
        "no pressure stall information (proc/pressure/memory: unsupported (psi=0))",
    )
    assert "nobody waits" not in found.sentence
    gaps = [Gap(name, "absent") for name in ("proc/meminfo", "proc/vmstat")]
    nothing = verdict_of(sample(10.0, gaps[0], gaps[1]))
    assert (nothing.level, len(nothing.lacks), nothing.evidence) == (None, 3, ())
    assert nothing.sentence.startswith("Nothing to judge by: ")
    waits = verdict_of(sample(10.0, gaps[0], gaps[1], stalls(0, 0, 70.0)))
    assert waits.level == "stalling"
    calm = verdict_of(sample(12.0, gaps[0]), sample(10.0, gaps[0]))
    assert calm.level in (None, "comfortable")


def test_what_is_left_counts_swap() -> None:
    low = {"MemTotal": 10 * GIB, "MemFree": 0, "MemAvailable": GIB // 50}
    swap = {"SwapTotal": 2 * GIB, "SwapFree": 0}
    found = verdict_of(sample(10.0, low | swap))
    assert found.level == "about_to_run_out"
    assert found.sentence == "About to run out: only 20.5 MiB (0.2 %) are left."
    assert (
        verdict_of(sample(10.0, low | {"SwapTotal": 2 * GIB, "SwapFree": GIB})).level
        == "comfortable"
    )
    assert verdict_of(sample(10.0, low)).level == "about_to_run_out"
    odd = verdict_of(sample(10.0, low | {"SwapTotal": GIB, "SwapFree": GIB // 100}))
    assert odd.sentence.endswith("are left with swap.")


@pytest.mark.parametrize("host", HOSTS)
def test_a_captured_host_has_a_verdict(host: str) -> None:
    found = verdict_of(of_host(host))
    # One was captured while programs came and went.
    assert found.level == ("reclaiming" if host == "numa" else "comfortable")
    assert bool(found.lacks) == (host in LACKING)
    later = verdict_of(of_host(host, 12.0), of_host(host))
    assert later.level == "comfortable"


LACKING = ("container", "hostile", "linux-2.6.18-vendor", "linux-3.2", "no-psi")


def test_before_mem_available_little_free_is_normal() -> None:
    """free(1) shows MemFree as available there, and the cache gives way."""
    meminfo = of_host("linux-3.2").system.meminfo
    assert isinstance(meminfo, dict)
    assert "MemFree for lack of MemAvailable" in verdict_of(of_host("linux-3.2")).evidence[0].source
    low = meminfo | {"MemFree": meminfo["MemTotal"] // 100, "SwapFree": 0}
    assert verdict_of(sample(10.0, low)).level == "comfortable"
    assert (
        verdict_of(sample(10.0, low | {"Cached": 0, "Buffers": 0, "SReclaimable": 0})).level
        == "about_to_run_out"
    )


@given(
    st.dictionaries(
        st.sampled_from("MemTotal MemFree MemAvailable SwapTotal SwapFree Cached".split()),
        st.integers(-5, 1 << 60),
    ),
    st.dictionaries(st.sampled_from("oom_kill pgscan_direct pswpin".split()), st.integers()),
    st.floats(-5, 5),
)
def test_any_two_states_have_a_sentence(
    meminfo: dict[str, int], vmstat: dict[str, int], step_s: float
) -> None:
    before = sample(10.0, {"MemTotal": 5}, {"oom_kill": 1, "pgscan_direct": 9}, stalls(7))
    found = verdict_of(sample(10.0 + step_s, meminfo, vmstat, stalls(9)), before)
    assert found.sentence.endswith(".")
    for each in found.evidence:
        assert each.metric in METRICS and each.label and each.text and each.source


def test_times_to_come_are_rough() -> None:
    shown = [figure_text(seconds, "s") for seconds in (3.2, 42.0, 119.0, 843.0, 6100.0, None)]
    assert shown == ["5 s", "40 s", "2 min", "14 min", "1 h 42 min", "n/a"]


def test_figures_are_all_that_rules_ask_for() -> None:
    figures: Figures = figures_of(sample(10.0), None)
    assert figures.keys() == SHOWN.keys()


# What is no comfort.


def test_what_soon_is_gone_is_not_comfortable_however_much_there_is() -> None:
    """29 % are left, and by its own figures it had 21 seconds to live."""
    assert level(left_pct=29.0, to_zero_s=21.0) == "about_to_run_out"
    assert level(left_pct=40.0, to_zero_s=100.0) == "about_to_run_out"
    assert level(left_pct=70.0, to_zero_s=20.0) == "about_to_run_out"
    assert level(left_pct=70.0, to_zero_s=100.0) == "comfortable"


def with_zones(*zones: ZoneMarks) -> Sample:
    calm = sample(1.0)
    return calm._replace(system=calm.system._replace(accounts=Accounts(zones=zones)))


def test_a_zone_that_binds_is_not_comfortable_by_the_sum_of_others() -> None:
    plenty = ZoneMarks(0, "Normal", 1_000_000, 500, 2_000_000, 0)
    short = ZoneMarks(0, "DMA32", 400, 500, 10_000, 0)
    verdict = verdict_of(with_zones(short, plenty))
    assert verdict.level == "reclaiming"
    assert "a zone is below the min watermark, although 6.0 GiB are available" in verdict.sentence
    assert verdict_of(with_zones(plenty)).level == "comfortable"
    # An empty one, and one whose users go on to the next, are no shortage.
    assert verdict_of(with_zones(plenty, short._replace(managed_pages=0))).level == "comfortable"
    movable = short._replace(zone="Movable")
    assert verdict_of(with_zones(plenty, movable)).level == "comfortable"


def test_low_memory_of_32_bits_is_not_made_up_for_by_highmem() -> None:
    low = ZoneMarks(0, "Normal", 400, 500, 200_000, 0)
    high = ZoneMarks(0, "HighMem", 900_000, 100, 1_000_000, 0)
    verdict = verdict_of(with_zones(low, high))
    assert verdict.level == "about_to_run_out"
    assert "low memory is below its min watermark" in verdict.sentence


def test_only_what_decides_is_in_the_levels_colour() -> None:
    verdict = verdict_of(sample(1.0, pressure=Pressure(Stall(50, 0, 0, 0), Stall(0, 0, 0, 0))))
    assert verdict.level == "stalling"
    decides = {each.metric: each.decides for each in verdict.evidence}
    assert decides["some_avg10_pct"] and not decides["mem_available_bytes"]
