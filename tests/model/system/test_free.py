"""The figures of free(1) and the share of time stalled, on figures that real machines have shown."""

from __future__ import annotations

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import Pressure, Stall
from memtui.model.sample import Sample, SystemSample
from memtui.model.system.free import Free, free_figures
from memtui.model.system.metrics import METRICS, gaps, stalled_pct
from tests.conftest import HOSTS, open_host

BASE = {
    "MemTotal": 1000,
    "MemFree": 100,
    "MemAvailable": 600,
    "Buffers": 50,
    "Cached": 400,
    "SReclaimable": 30,
    "Shmem": 70,
    "SwapTotal": 500,
    "SwapFree": 450,
}
NOTHING = Gap("proc/meminfo", "absent")


def without(*keys: str, **changed: int) -> Free:
    return free_figures({key: value for key, value in BASE.items() if key not in keys} | changed)


def test_the_columns_of_free() -> None:
    free = free_figures(BASE)
    assert free == Free(
        total=1000,
        used=400,
        free=100,
        shared=70,
        buffers=50,
        cache=430,
        buff_cache=480,
        available=600,
        swap_total=500,
        swap_used=50,
        swap_free=450,
    )
    assert free.rest == 420
    assert free.available_pct == 60


@pytest.mark.parametrize("available", [1001, 10**18])
def test_an_available_that_cannot_be_is_what_is_free(available: int) -> None:
    free = without(MemAvailable=available)
    assert (free.available, free.used) == (100, 900)


def test_before_3_14_available_is_what_is_free() -> None:
    free = without("MemAvailable")
    assert (free.available, free.used) == (100, 900)


def test_all_of_it_available_is_no_mistake() -> None:
    assert without(MemAvailable=1000).available == 1000
    assert without(MemAvailable=1000).used == 0
    assert without(MemAvailable=0).available == 0


def test_more_swap_free_than_there_is_is_none_used() -> None:
    assert without(SwapFree=501).swap_used == 0
    assert without(SwapTotal=0, SwapFree=0).swap_used == 0


def test_unknown_is_none_and_not_nothing() -> None:
    assert without("SReclaimable").buff_cache == 450  # before 2.6.19
    assert without("Cached").buff_cache is None
    assert without("Cached").rest is None
    assert without("Buffers").buff_cache is None
    assert without("Shmem").shared is None
    assert without("SwapFree").swap_used is None
    assert without("MemTotal").used is None
    assert without("MemTotal").available_pct is None
    assert without(MemTotal=0, MemAvailable=0).available_pct is None
    assert set(free_figures(NOTHING)) == {None}
    assert free_figures(NOTHING).rest is None


@pytest.mark.parametrize("host", HOSTS)
def test_bands_stack_to_the_total(host: str) -> None:
    meminfo = open_host(host).parsed("proc/meminfo", parse_meminfo)
    assert not isinstance(meminfo, Gap)
    free = free_figures(meminfo)
    assert free.total is not None
    assert free.available is not None
    assert free.free is not None
    assert 0 <= free.available <= free.total
    assert free.used == free.total - free.available
    if free.buff_cache is not None and free.free + free.buff_cache <= free.total:
        assert free.free + free.buff_cache + (free.rest or 0) == free.total


def at(time_s: float, some_us: int | None, full_us: int | None = None) -> Sample:
    """A sample with PSI's counters at a time."""
    stalls = [None if us is None else Stall(0.0, 0.0, 0.0, us) for us in (some_us, full_us)]
    return Sample(time_s, 1.0, SystemSample(BASE, {}, Pressure(*stalls)), {})


def test_the_share_of_time_stalled() -> None:
    assert stalled_pct(at(12.0, 250_000), at(11.0, 0), "some") == pytest.approx(25)
    assert stalled_pct(at(21.0, 250_000), at(11.0, 0), "some") == pytest.approx(2.5)
    assert stalled_pct(at(12.0, 9, 500_000), at(11.0, 0, 400_000), "full") == pytest.approx(10)
    assert stalled_pct(at(12.0, 77), at(11.0, 77), "some") == 0


def test_no_share_without_a_rising_counter_and_time() -> None:
    assert stalled_pct(at(12.0, 5), at(11.0, 6), "some") is None
    assert stalled_pct(at(11.0, 6), at(11.0, 5), "some") is None
    assert stalled_pct(at(12.0, 6), at(11.0, 5), "full") is None
    off = Sample(11.0, 1.0, SystemSample(BASE, {}, Gap("proc/pressure/memory", "unsupported")), {})
    assert stalled_pct(at(12.0, 6), off, "some") is None
    assert stalled_pct(off, at(10.0, 6), "some") is None


def test_a_stall_never_takes_more_than_all_the_time() -> None:
    """The counter is read a moment after the clock."""
    assert stalled_pct(at(12.0, 1_100_000), at(11.0, 0), "some") == 100


def test_metrics_are_the_same_figures() -> None:
    now, before = at(12.0, 100_000, 50_000), at(11.0, 0, 0)
    values = {name: metric.value(now, before) for name, metric in METRICS.items()}
    assert (
        values.items()
        >= {
            "mem_total_bytes": 1000,
            "mem_available_bytes": 600,
            "mem_free_bytes": 100,
            "buff_cache_bytes": 480,
            "rest_bytes": 420,
            "mem_used_bytes": 400,
            "swap_total_bytes": 500,
            "swap_used_bytes": 50,
            "stalled_some_pct": 10.0,
            "stalled_full_pct": 5.0,
        }.items()
    )
    assert METRICS["stalled_some_pct"].value(now, None) is None


def test_gaps_of_a_sample() -> None:
    gap = Gap("proc/vmstat", "absent")
    sample = Sample(1.0, 1.0, SystemSample(BASE, gap, Pressure(None, None)), {})
    assert gaps(sample) == [gap]


def test_what_went_below_zero_is_unknown() -> None:
    """In kB as 2^64 − n and as 2^54 − n; and -1, as MemAvailable has been seen."""
    for wrapped in (2**64 - 128, 2**54 - 5, -2):
        found = free_figures(
            parse_meminfo(
                f"MemTotal: 8 kB\nMemFree: 4 kB\nMemAvailable: {wrapped} kB\n"
                f"Shmem: {wrapped} kB\nSwapTotal: 4 kB\nSwapFree: {wrapped} kB\n".encode()
            )
        )
        assert (found.available, found.used, found.shared) == (4096, 4096, None)
        assert (found.swap_free, found.swap_used, found.swap_total) == (None, None, 4096)


def test_a_part_larger_than_its_whole_is_unknown() -> None:
    found = without(MemFree=1001, Shmem=10**9, Buffers=1001, SwapFree=501)
    assert (found.free, found.shared, found.buffers, found.swap_free) == (None,) * 4
    assert (found.total, found.available, found.used, found.swap_used) == (1000, 600, 400, 0)


def test_of_no_swap_nothing_is_used() -> None:
    found = free_figures(parse_meminfo(b"SwapTotal: 0 kB\nSwapFree: 18446744073709551488 kB\n"))
    assert (found.swap_total, found.swap_used, found.swap_free) == (0, 0, None)
