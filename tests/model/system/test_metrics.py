"""The table of figures: what each says of itself, and the rates on counters as kernels have them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import Pressure, Stall, parse_pressure
from memtui.kernel.vmstat import parse_vmstat
from memtui.model.explain.terms import TOPICS
from memtui.model.sample import Sample, SystemSample
from memtui.model.system import vmrates
from memtui.model.system.metrics import GROUPS, METRICS, figure
from tests.conftest import HOSTS, open_host

NO_PSI = Gap("proc/pressure/memory", "absent")
RATES = {name for name, metric in METRICS.items() if "/proc/vmstat" in metric.source}


def sample(
    vmstat: Mapping[str, int] | Gap, time_s: float = 10.0, meminfo: Mapping[str, int] | None = None
) -> Sample:
    return Sample(time_s, 1.0, SystemSample(meminfo or {}, vmstat, NO_PSI), {})


def value(name: str, now: Sample, before: Sample | None = None) -> float | None:
    return METRICS[name].value(now, before)


def grown(name: str, before: Mapping[str, int], **by: int) -> float | None:
    """A rate over two seconds in which counters grew."""
    now = {key: count + by.get(key, 0) for key, count in before.items()}
    return value(name, sample(now, 12.0), sample(before, 10.0))


def of_host(name: str) -> Sample:
    files = open_host(name)
    system = SystemSample(
        files.parsed("proc/meminfo", parse_meminfo),
        files.parsed("proc/vmstat", parse_vmstat),
        files.parsed("proc/pressure/memory", parse_pressure),
    )
    return Sample(10.0, 1.0, system, {})


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_says_what_it_is(metric: object) -> None:
    assert metric is METRICS[getattr(metric, "name", "")]
    for field in ("label", "source", "definition", "formula"):
        assert getattr(metric, field)
    assert getattr(metric, "definition", "").endswith(".")


def test_every_metric_declares_its_group_and_its_topic() -> None:
    for metric in METRICS.values():
        assert metric.group in GROUPS, metric.name
        assert metric.topic in TOPICS, metric.name
    assert {metric.group for metric in METRICS.values()} == set(GROUPS)


def test_a_counter_is_the_growth_of_what_the_kernel_counts() -> None:
    before, now = of_host("debian-6.18"), of_host("debian-6.18-later")._replace(time_s=12.0)
    seconds, known = 2.0, 0
    of_growth = {
        "count": 1.0,
        "per_s": 1 / seconds,
        "pages_per_s": 1 / seconds,
        "bytes_per_s": 1024 / seconds,
        "pct": 100 / (seconds * 1e6),
    }
    for metric in METRICS.values():
        if metric.raw is None:
            assert metric.kind == "gauge"
            continue
        assert metric.kind == "counter"
        assert metric.value(now, None) is None
        old, new = metric.raw(before), metric.raw(now)
        if old is not None and new is not None and new >= old:
            known += 1
            assert metric.value(now, before) == (new - old) * of_growth[metric.unit], metric.name
    assert known > 15


def test_labels_tell_figures_apart() -> None:
    labels = [metric.label for metric in METRICS.values()]
    assert len(set(labels)) == len(labels)


def test_names_end_in_their_unit() -> None:
    for name, metric in METRICS.items():
        ending = ("oom_kills", "_below_min") if metric.unit == "count" else f"_{metric.unit}"
        assert name.endswith(ending), name


@pytest.mark.parametrize("host", HOSTS)
def test_a_captured_host_has_gauges_and_no_rates(host: str) -> None:
    now = of_host(host)
    values = {name: metric.value(now, None) for name, metric in METRICS.items()}
    assert all(values[name] is None for name in RATES)
    assert values["mem_total_bytes"]
    assert all(each is None or each >= 0 for each in values.values())


def test_rates_of_the_captured_pair() -> None:
    """By hand, from the two vmstat files of one machine."""
    before = of_host("debian-6.18")
    now = of_host("debian-6.18-later")._replace(time_s=before.time_s + 2)
    old, new = before.system.vmstat, now.system.vmstat
    assert isinstance(old, dict) and isinstance(new, dict)
    for name, key in (("major_faults_per_s", "pgmajfault"), ("swap_in_pages_per_s", "pswpin")):
        assert value(name, now, before) == (new[key] - old[key]) / 2
    read = (new["pgpgin"] - old["pgpgin"]) * 1024 / 2
    assert value("paged_in_bytes_per_s", now, before) == read


def test_old_kernels_count_by_zone() -> None:
    vmstat = of_host("linux-3.2").system.vmstat
    assert isinstance(vmstat, dict)
    kswapd = grown(
        "kswapd_scanned_pages_per_s", vmstat, pgscan_kswapd_normal=4, pgscan_kswapd_dma32=2
    )
    assert kswapd == 3
    assert grown("direct_scanned_pages_per_s", vmstat, pgscan_direct_dma32=10) == 5
    assert grown("kswapd_stolen_pages_per_s", vmstat, kswapd_steal=8, pgsteal_normal=8) == 4
    assert grown("direct_stolen_pages_per_s", vmstat, kswapd_steal=8, pgsteal_normal=18) == 5
    assert grown("allocation_stalls_per_s", vmstat, allocstall=6) == 3
    assert grown("group_scanned_pages_per_s", vmstat) is None
    assert grown("refaults_file_pages_per_s", vmstat) is None
    efficiency = grown(
        "reclaim_efficiency_pct", vmstat, pgscan_kswapd_normal=16, kswapd_steal=8, pgsteal_normal=8
    )
    assert efficiency == 50


def test_a_kernel_before_the_split_of_refaults() -> None:
    vmstat = of_host("no-psi").system.vmstat
    assert isinstance(vmstat, dict)
    assert grown("refaults_file_pages_per_s", vmstat, workingset_refault=10) == 5
    assert grown("refaults_anon_pages_per_s", vmstat) is None
    assert grown("allocation_stalls_per_s", vmstat, allocstall_normal=1, allocstall_movable=1) == 1
    assert grown("direct_scanned_pages_per_s", vmstat, pgscan_direct_throttle=10) == 0


def test_a_page_is_summed_once() -> None:
    """vmstat counts each reclaimed page by reclaimer and again by type."""
    vmstat = of_host("debian-6.18").system.vmstat
    assert isinstance(vmstat, dict)
    by = {"pgscan_anon": 60, "pgscan_file": 40, "pgscan_kswapd": 70, "pgsteal_file": 20}
    assert grown("reclaim_efficiency_pct", vmstat, **by, pgsteal_kswapd=20) == 20
    # 30 are of nobody who works for the machine: a control group was at its limit.
    assert grown("group_scanned_pages_per_s", vmstat, **by) == 15


def test_minor_faults_are_those_that_are_not_major() -> None:
    assert (
        grown("minor_faults_per_s", {"pgfault": 5, "pgmajfault": 1}, pgfault=9, pgmajfault=1) == 4
    )


def test_no_rate_across_a_reset_or_without_time() -> None:
    high, low = {"pswpin": 10, "oom_kill": 3}, {"pswpin": 9, "oom_kill": 3}
    assert value("swap_in_pages_per_s", sample(low, 12.0), sample(high)) is None
    assert value("swap_in_pages_per_s", sample(high, 10.0), sample(low)) is None
    assert value("swap_in_pages_per_s", sample(high, 9.0), sample(low)) is None
    assert value("swap_in_pages_per_s", sample(high)) is None
    assert value("swap_in_pages_per_s", sample({}, 12.0), sample(low)) is None
    assert value("swap_in_pages_per_s", sample(high, 12.0), sample(Gap("x", "absent"))) is None
    assert value("oom_kills", sample(high, 12.0), sample(low)) == 0


@given(
    st.dictionaries(st.sampled_from(sorted(parse_vmstat(b"pgfault 1 oom_kill 2"))), st.integers()),
    st.floats(0, 100),
)
def test_any_counters_give_a_rate_or_none(before: dict[str, int], elapsed_s: float) -> None:
    for name in RATES:
        result = value(name, sample({"pgfault": 5, "oom_kill": 7}, 10 + elapsed_s), sample(before))
        assert result is None or result >= 0


def test_efficiency_of_nothing_is_unknown() -> None:
    still = {"pgscan_kswapd": 5, "pgscan_direct": 5, "pgsteal_kswapd": 5, "pgsteal_direct": 5}
    assert vmrates.efficiency_pct(still, still) is None
    assert vmrates.efficiency_pct(still, None) is None


def test_commitment_may_exceed_all_there_is() -> None:
    meminfo = {"MemTotal": 100, "SwapTotal": 50, "Committed_AS": 300}
    assert value("commit_pct", sample({}, meminfo=meminfo)) == 200
    assert value("commit_pct", sample({}, meminfo={"MemTotal": 100, "Committed_AS": 1})) is None


def test_averages_are_the_kernels_own() -> None:
    pressure = Pressure(Stall(1.5, 2.5, 3.5, 9), None)
    now = Sample(1.0, 1.0, SystemSample({}, {}, pressure), {})
    assert [value(f"some_avg{each}_pct", now) for each in (10, 60, 300)] == [1.5, 2.5, 3.5]
    assert value("full_avg10_pct", now) is None
    assert value("some_avg10_pct", sample({})) is None


def test_figures_as_text() -> None:
    assert figure(None, "per_s") == "n/a"
    assert figure(3 << 20, "bytes") == "3.0 MiB"
    assert figure(3 << 20, "bytes_per_s") == "3.0 MiB/s"
    assert [figure(each, "pct") for each in (0, 0.26, 12.4)] == ["0 %", "0.3 %", "12 %"]
    assert [figure(each, "per_s") for each in (0, 0.5, 3, 12_345.6)] == [
        "0/s",
        "0.5/s",
        "3/s",
        "12 346/s",
    ]
    assert figure(7, "pages_per_s") == "7 pages/s"
    assert figure(2, "count") == "2"
