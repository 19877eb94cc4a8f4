"""sar's figures from two states: sysstat's formulas, and what kernels and counters do to them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap, Malformed
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import Pressure, Stall, parse_pressure
from memtui.kernel.uptime import parse_boot_time, parse_uptime
from memtui.kernel.vmstat import parse_vmstat
from memtui.model.system.sar import (
    BOOT,
    COLUMNS,
    SECTIONS,
    Average,
    Figures,
    State,
    columns_of,
    figures,
    state,
)
from tests.conftest import HOSTS, HOSTS_DIR, open_host

ALL = list(COLUMNS.values())
GROWTHS = [column for column in ALL if column.is_growth]

SYSSTAT = {
    "-r": "kbmemfree kbavail kbmemused %memused kbbuffers kbcached kbcommit %commit kbactive "
    "kbinact kbdirty kbshmem kbanonpg kbslab kbkstack kbpgtbl kbvmused",
    "-B": "pgpgin/s pgpgout/s fault/s majflt/s pgfree/s pgscank/s pgscand/s pgsteal/s pgprom/s "
    "pgdem/s",
    "-S": "kbswpfree kbswpused %swpused kbswpcad %swpcad",
    "-W": "pswpin/s pswpout/s",
    "-H": "kbhugfree kbhugused %hugused kbhugrsvd kbhugsurp",
    "-q": "%smem-10 %smem-60 %smem-300 %smem %fmem-10 %fmem-60 %fmem-300 %fmem",
}


def state_of(host: str) -> State:
    files = open_host(host)
    return state(
        files.parsed("proc/meminfo", parse_meminfo),
        files.parsed("proc/vmstat", parse_vmstat),
        files.parsed("proc/pressure/memory", parse_pressure),
    )


def of(meminfo: str = "", vmstat: str = "", pressure: Pressure | None = None) -> State:
    """`of(meminfo="MemTotal: 100 kB")`: the rest is not known."""
    return State(
        parse_meminfo(meminfo.encode()) if meminfo else None,
        parse_vmstat(vmstat.encode()) if vmstat else None,
        pressure,
    )


def now(state: State) -> Figures:
    return figures(state, None, None, ALL)


def rates(before: str, after: str, seconds: float = 2.0) -> Figures:
    return figures(of(vmstat=after), of(vmstat=before), seconds, ALL)


def numbers(host: str, name: str) -> dict[str, int]:
    """A file's first two words of each line, read without memtui."""
    lines = (HOSTS_DIR / host / "proc" / name).read_text().replace(":", " ").splitlines()
    return {line.split()[0]: int(line.split()[1]) for line in lines if line.strip()}


# The table -----------------------------------------------------------------------------------


def test_the_columns_are_sysstats_in_its_order() -> None:
    assert [section.flag for section in SECTIONS] == list(SYSSTAT)
    for flag, names in SYSSTAT.items():
        assert [column.name for column in columns_of([flag])] == names.split()
    assert columns_of(["-W", "-r"]) == [*columns_of(["-r"]), *columns_of(["-W"])]


def test_every_column_explains_itself() -> None:
    for column in ALL:
        assert column.formula and column.words and "\n" not in column.words
        assert column.is_growth == ("growth" in column.formula)
        assert (column.unit == "percent") == (column.name[0] == "%")
        assert (column.unit == "per_s") == column.name.endswith("/s")


# A captured machine at two times -------------------------------------------------------------


def test_sizes_are_of_the_later_state() -> None:
    later = "debian-6.18-later"
    found = figures(state_of(later), state_of("debian-6.18"), 14.29, ALL)
    mem = numbers(later, "meminfo")
    names = "kbmemfree kbavail kbbuffers kbcached kbcommit kbactive kbinact kbdirty kbshmem kbslab "
    names += "kbanonpg kbkstack kbpgtbl kbvmused kbswpfree kbswpcad"
    keys = "MemFree MemAvailable Buffers Cached Committed_AS Active Inactive Dirty Shmem Slab "
    keys += "AnonPages KernelStack PageTables VmallocUsed SwapFree SwapCached"
    verbatim = dict(zip(names.split(), keys.split(), strict=True))
    assert {name: found[name] for name in verbatim} == {
        name: mem[key] for name, key in verbatim.items()
    }
    used = mem["MemTotal"] - mem["MemAvailable"]
    assert found["kbmemused"] == used
    assert found["%memused"] == pytest.approx(100 * used / mem["MemTotal"])
    assert found["%commit"] == pytest.approx(
        100 * mem["Committed_AS"] / (mem["MemTotal"] + mem["SwapTotal"])
    )
    swapped = mem["SwapTotal"] - mem["SwapFree"]
    assert found["kbswpused"] == swapped
    assert found["%swpused"] == pytest.approx(100 * swapped / mem["SwapTotal"])
    assert found["%swpcad"] == pytest.approx(100 * mem["SwapCached"] / swapped)
    assert found["kbhugfree"] == 40 * 2048
    assert found["kbhugused"] == 24 * 2048
    assert found["%hugused"] == 37.5
    assert (found["kbhugrsvd"], found["kbhugsurp"]) == (8 * 2048, 0)
    assert found["%smem-300"] == 0.11


def test_rates_are_growth_by_time() -> None:
    before, after = "debian-6.18", "debian-6.18-later"
    found = figures(state_of(after), state_of(before), 14.29, ALL)
    first, last = numbers(before, "vmstat"), numbers(after, "vmstat")
    for name, keys in {
        "pgpgin/s": ["pgpgin"],
        "pgpgout/s": ["pgpgout"],
        "fault/s": ["pgfault"],
        "majflt/s": ["pgmajfault"],
        "pgfree/s": ["pgfree"],
        "pgsteal/s": ["pgsteal_anon", "pgsteal_file"],
        "pswpin/s": ["pswpin"],
        "pswpout/s": ["pswpout"],
    }.items():
        growth = sum(last[key] - first[key] for key in keys)
        assert found[name] == pytest.approx(growth / 14.29), name
    assert found["fault/s"]
    # 85 and 86 microseconds of 14.29 seconds.
    assert found["%smem"] == pytest.approx(100 * 85e-6 / 14.29)
    assert found["%fmem"] == pytest.approx(100 * 86e-6 / 14.29)


def test_since_boot_a_counter_is_its_growth() -> None:
    found = figures(state_of("linux-3.2"), BOOT, 1000.0, ALL)
    assert found["fault/s"] == numbers("linux-3.2", "vmstat")["pgfault"] / 1000
    assert found["%smem"] is None


@pytest.mark.parametrize("host", HOSTS)
def test_of_every_host_a_figure_is_unknown_or_possible(host: str) -> None:
    for found in (now(state_of(host)), figures(state_of(host), BOOT, 5000.0, ALL)):
        assert list(found) == list(COLUMNS)
        for name, value in found.items():
            assert value is None or value >= 0
            if name[0] == "%" and name != "%commit" and value is not None:
                assert value <= 100


# What kernels differ in ----------------------------------------------------------------------


def test_without_memavailable_what_is_free_stands_for_it() -> None:
    found = now(of("MemTotal: 1000 kB\nMemFree: 300 kB\n"))
    assert (found["kbavail"], found["kbmemused"], found["%memused"]) == (300, 700, 70.0)
    found = now(of("MemTotal: 1000 kB\nMemFree: 300 kB\nMemAvailable: -1 kB\n"))
    assert (found["kbavail"], found["kbmemused"]) == (300, 700)


def test_a_containers_available_memory_may_be_its_hosts() -> None:
    found = now(of("MemTotal: 1000 kB\nMemFree: 300 kB\nMemAvailable: 5000 kB\n"))
    assert (found["kbavail"], found["kbmemused"], found["%memused"]) == (5000, None, None)


def test_commitment_may_pass_100() -> None:
    found = now(of("MemTotal: 100 kB\nSwapTotal: 100 kB\nCommitted_AS: 500 kB\n"))
    assert found["%commit"] == 250.0


def test_swap_used_is_never_below_nothing_and_cached_of_nothing_is_0() -> None:
    found = now(of("SwapTotal: 0 kB\nSwapFree: 0 kB\nSwapCached: 0 kB\n"))
    assert [found[name] for name in SYSSTAT["-S"].split()] == [0, 0, 0.0, 0, 0.0]
    found = now(state_of("container"))  # more free than there is
    assert (found["kbswpused"], found["%swpused"], found["%swpcad"]) == (0, 0.0, 0.0)


def test_huge_pages_have_their_own_size() -> None:
    found = now(state_of("arm64-64k"))
    assert (found["kbhugfree"], found["kbhugused"], found["%hugused"]) == (3 << 19, 1 << 19, 25.0)
    found = now(state_of("linux-2.6.18-vendor"))  # before there were surplus pages
    assert (found["kbhugused"], found["%hugused"], found["kbhugsurp"]) == (0, 0.0, None)


def test_a_page_reclaimed_is_counted_once() -> None:
    by_both = "pgsteal_kswapd {}\npgsteal_direct {}\npgsteal_khugepaged {}\n"
    by_both += "pgsteal_anon {}\npgsteal_file {}\n"
    found = rates(by_both.format(1, 1, 1, 1, 1), by_both.format(11, 21, 31, 21, 41))
    assert found["pgsteal/s"] == (20 + 40) / 2
    by_reclaimer = "pgsteal_kswapd {}\npgsteal_direct {}\n"  # before 5.9
    found = rates(by_reclaimer.format(1, 1), by_reclaimer.format(11, 21))
    assert found["pgsteal/s"] == (10 + 20) / 2
    by_zone = "pgsteal_dma {}\npgsteal_normal {}\npgsteal_high {}\n"  # before 3.4
    assert rates(by_zone.format(1, 1, 1), by_zone.format(2, 3, 4))["pgsteal/s"] == 3.0


def test_pages_scanned_by_zone_and_a_throttle_that_is_no_page() -> None:
    of_today = (
        "pgscan_kswapd {}\npgscan_direct {}\npgscan_direct_throttle {}\npgscan_khugepaged 7\n"
    )
    found = rates(of_today.format(0, 0, 0), of_today.format(10, 4, 1000))
    assert (found["pgscank/s"], found["pgscand/s"]) == (5.0, 2.0)
    by_zone = "pgscan_kswapd_dma {0}\npgscan_kswapd_normal {0}\npgscan_direct_dma {0}\n"
    by_zone += "pgscan_direct_normal {0}\npgscan_direct_throttle {0}\n"
    found = rates(by_zone.format(0), by_zone.format(10))
    assert (found["pgscank/s"], found["pgscand/s"]) == (10.0, 10.0)
    assert rates("pgscan_direct_throttle 0", "pgscan_direct_throttle 9")["pgscand/s"] is None


def test_pages_moved_between_nodes() -> None:
    tiers = "pgpromote_success {0}\npgpromote_candidate {0}\npgdemote_kswapd {0}\n"
    tiers += "pgdemote_direct {0}\npgdemote_khugepaged {0}\npgdemote_proactive {0}\n"
    found = rates(tiers.format(0), tiers.format(10))
    assert (found["pgprom/s"], found["pgdem/s"]) == (5.0, 20.0)
    found = figures(state_of("linux-3.2"), BOOT, 10.0, ALL)
    assert (found["pgprom/s"], found["pgdem/s"]) == (None, None)


def test_counters_pass_2_to_the_32() -> None:
    assert rates("pgfault 4294967290", "pgfault 4294967310")["fault/s"] == 10.0


# What is missing or goes backwards -----------------------------------------------------------


def test_a_counter_that_is_missing_or_went_backwards_costs_its_column_alone() -> None:
    found = rates("pgpgin 100\npgpgout 7\npgfault 50", "pgpgin 90\npgfault 60")
    assert (found["pgpgin/s"], found["pgpgout/s"], found["fault/s"]) == (None, None, 5.0)
    reset = "pgscan_direct_dma {}\npgscan_direct_normal 0"
    assert rates(reset.format(5), reset.format(4))["pgscand/s"] is None


@pytest.mark.parametrize("seconds", [0.0, -5.0, None])
def test_without_time_between_there_are_no_rates(seconds: float | None) -> None:
    both = state_of("debian-6.18")
    found = figures(both, both, seconds, ALL)
    assert {found[column.name] for column in GROWTHS} == {None}
    assert found["kbmemfree"] == now(both)["kbmemfree"]


@pytest.mark.parametrize("missing", ["meminfo", "vmstat", "pressure"])
def test_a_source_that_fails_costs_its_sections(missing: str) -> None:
    parts = {
        "meminfo": parse_meminfo(b"MemTotal: 9 kB\n"),
        "vmstat": parse_vmstat(b"pgfault 1"),
        "pressure": Pressure(Stall(1, 2, 3, 4), None),
    }
    parts[missing] = Gap(missing, "denied")
    found = figures(state(**parts), BOOT, 1.0, ALL)  # type: ignore[arg-type]
    lost = [section.flag for section in SECTIONS if missing in section.source]
    assert {found[column.name] for column in columns_of(lost)} == {None}
    assert any(value is not None for value in found.values())


def test_numbers_that_are_none_of_a_kernels_are_unknown() -> None:
    long = int("9" * 4000)
    mad = State({"MemFree": long, "SwapTotal": long}, {"pgfault": long}, None)
    assert set(figures(mad, BOOT, 1, ALL).values()) == {None}
    found = average([of("MemFree: 1 kB"), mad, of("MemFree: 3 kB")], [1, 1])
    assert found["kbmemfree"] == 3


def test_pressure_that_is_malformed_off_or_half_is_unknown() -> None:
    assert {now(state_of(host))["%smem-10"] for host in ("hostile", "no-psi")} == {None}
    found = figures(of(pressure=Pressure(Stall(1.5, 2, 3, 500_000), None)), BOOT, 1.0, ALL)
    assert (found["%smem-10"], found["%smem"]) == (1.5, 50.0)
    assert (found["%fmem-10"], found["%fmem"]) == (None, None)


# Averages ------------------------------------------------------------------------------------


def average(states: list[State], seconds: list[float | None]) -> Figures:
    found = Average(ALL)
    for before, after, elapsed in zip(states, states[1:], seconds, strict=False):
        found.add(after, elapsed, figures(after, before, elapsed, ALL))
    assert found.count == len(seconds)
    return found.figures()


def test_an_average_is_over_the_whole_time() -> None:
    states = [
        of("SwapTotal: 100 kB\nSwapFree: 100 kB\nMemFree: 1 kB", "pgfault 0", stalled(0, 0)),
        of(
            "SwapTotal: 100 kB\nSwapFree: 90 kB\nMemFree: 4 kB", "pgfault 10", stalled(3, 1_000_000)
        ),
        of(
            "SwapTotal: 300 kB\nSwapFree: 270 kB\nMemFree: 7 kB",
            "pgfault 100",
            stalled(5, 1_900_000),
        ),
    ]
    found = average(states, [1.0, 9.0])
    assert found["fault/s"] == pytest.approx(10.0)  # and not the mean of 10 and 10
    assert found["kbmemfree"] == 5.5
    # Of all swap in the mean, not the mean of 10 % twice.
    assert (found["kbswpused"], found["%swpused"]) == (20.0, 10.0)
    assert found["%smem-10"] == 4.0
    assert found["%smem"] == pytest.approx(19.0)
    found = average(states, [1.0, 3.0])
    assert found["fault/s"] == pytest.approx(25.0)


def stalled(avg10: float, total: int) -> Pressure:
    return Pressure(Stall(avg10, 0, 0, total), None)


def test_an_interval_with_a_reset_does_not_count() -> None:
    states = [of(vmstat=f"pgfault {pages}") for pages in (100, 200, 5, 105)]
    found = average(states, [1.0, 1.0, 1.0])
    assert found["fault/s"] == pytest.approx(100.0)
    assert found["kbmemfree"] is None
    assert average(states[1:3], [1.0])["fault/s"] is None


COUNTERS = st.dictionaries(
    st.sampled_from(
        ["pgpgin", "pgfault", "pgsteal_anon", "pgsteal_file", "pgsteal_kswapd", "pgscan_direct"]
    ),
    st.integers(0, 1 << 70),
)
SIZES = st.dictionaries(
    st.sampled_from(
        "MemTotal MemFree MemAvailable SwapTotal SwapFree SwapCached HugePages_Total "
        "HugePages_Free Hugepagesize Committed_AS".split()
    ),
    st.integers(-1024, 1 << 60),
)


@given(SIZES, COUNTERS, SIZES, COUNTERS, st.floats(-1, 1e9))
def test_any_two_states_give_numbers_or_nothing(
    mem: Mapping[str, int],
    events: Mapping[str, int],
    later_mem: Mapping[str, int],
    later_events: Mapping[str, int],
    seconds: float,
) -> None:
    first, last = State(mem, events, None), State(later_mem, later_events, None)
    found = figures(last, first, seconds, ALL)
    for column in ALL:
        value = found[column.name]
        assert value is None or math.isfinite(value)
        assert not column.is_growth or value is None or value >= 0
    mean = Average(ALL)
    mean.add(last, seconds, found)
    for name, value in mean.figures().items():
        assert (value is None) == (found[name] is None) or name in ("kbmemused", "%memused")


# The clocks ----------------------------------------------------------------------------------


def test_uptime_and_the_time_of_boot() -> None:
    assert parse_uptime(b"2600.93 4923.80\n") == 2600.93
    assert parse_boot_time(b"cpu  1 2 3\nintr 9 8\nbtime 1795479620\nprocesses 7\n") == 1795479620
    for data in (b"", b"\n", b"soon 1", b"-1 2", b"nan 1", b"inf 1"):
        with pytest.raises(Malformed):
            parse_uptime(data)
    for data in (b"", b"cpu 1\n", b"btime \n", b"btime x\n", b"btime -1\n", b"btime 1%0400d\n" % 0):
        with pytest.raises(Malformed):
            parse_boot_time(data)


@given(st.binary())
def test_any_bytes_are_a_time_or_malformed(data: bytes) -> None:
    for parse in (parse_uptime, parse_boot_time):
        with contextlib.suppress(Malformed):
            parse(data)
