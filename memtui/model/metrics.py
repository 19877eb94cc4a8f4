"""The one table of named figures: what each is called, means, is made of and was read from.

The history keeps a series of each; the graphs, the reports and the explanations read this table.
A new figure is one entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure
from memtui.model.free import Free, free_figures
from memtui.model.sample import Sample

Unit = Literal["bytes", "pct"]
Value = float | None


class Metric(NamedTuple):
    """A figure of the whole machine, in `unit`, computed from a sample and the one before it.

    `value` gives None where the kernel does not offer it, and for a rate without a `before`.
    """

    name: str
    label: str
    unit: Unit
    source: str
    definition: str
    formula: str
    value: Callable[[Sample, Sample | None], Value]


def _of_free(field: str) -> Callable[[Sample, Sample | None], Value]:
    def value(now: Sample, before: Sample | None) -> Value:
        figures: Free = free_figures(now.system.meminfo)
        result: int | None = getattr(figures, field)
        return result

    return value


def _stalled(line: Literal["some", "full"]) -> Callable[[Sample, Sample | None], Value]:
    def value(now: Sample, before: Sample | None) -> Value:
        return None if before is None else stalled_pct(now, before, line)

    return value


def stalled_pct(now: Sample, before: Sample, line: Literal["some", "full"]) -> float | None:
    """The share of the time between two samples in which tasks waited for memory, 0 to 100.

    From the growth of PSI's total, so that no stall between two ticks is missed. None where there is
    no PSI, or the counter went backwards.
    """
    totals = []
    for pressure in (now.system.pressure, before.system.pressure):
        if not isinstance(pressure, Pressure):
            return None
        stall = pressure.some if line == "some" else pressure.full
        if stall is None:
            return None
        totals.append(stall.total_us)
    elapsed_us = (now.time_s - before.time_s) * 1e6
    if elapsed_us <= 0 or totals[0] < totals[1]:
        return None
    return min(100.0, 100 * (totals[0] - totals[1]) / elapsed_us)


_TABLE = (
    Metric(
        "mem_total_bytes",
        "total",
        "bytes",
        "/proc/meminfo MemTotal",
        "All memory the kernel manages: what is installed less what firmware and the kernel's own "
        "image keep.",
        "MemTotal",
        _of_free("total"),
    ),
    Metric(
        "mem_available_bytes",
        "available",
        "bytes",
        "/proc/meminfo MemAvailable",
        "The kernel's estimate of how much programs can still allocate without swapping: free memory "
        "and what of the cache gives way, less the reserves.",
        "MemAvailable; MemFree where the kernel lacks it (before 3.14) or it exceeds MemTotal",
        _of_free("available"),
    ),
    Metric(
        "mem_free_bytes",
        "free",
        "bytes",
        "/proc/meminfo MemFree",
        "Memory that holds nothing at all. Little of it is normal: the kernel keeps files in memory "
        "that nobody else wants.",
        "MemFree",
        _of_free("free"),
    ),
    Metric(
        "buff_cache_bytes",
        "buff/cache",
        "bytes",
        "/proc/meminfo Buffers, Cached, SReclaimable",
        "Contents of files and of block devices kept in memory, and the kernel's reclaimable slabs. "
        "Most of it gives way when programs want memory; tmpfs and shared memory, which are in it, "
        "do not.",
        "Buffers + Cached + SReclaimable",
        _of_free("buff_cache"),
    ),
    Metric(
        "rest_bytes",
        "the rest",
        "bytes",
        "/proc/meminfo MemTotal, MemFree, Buffers, Cached, SReclaimable",
        "What is neither free nor buff/cache: programs' own memory, page tables, kernel stacks, "
        "unreclaimable slabs.",
        "MemTotal − MemFree − buff/cache",
        _of_free("rest"),
    ),
    Metric(
        "mem_used_bytes",
        "used",
        "bytes",
        "/proc/meminfo MemTotal, MemAvailable",
        "free(1)'s used, as procps 4 defines it. It overlaps buff/cache by the part of the cache "
        "that does not give way.",
        "MemTotal − available",
        _of_free("used"),
    ),
    Metric(
        "swap_total_bytes",
        "swap total",
        "bytes",
        "/proc/meminfo SwapTotal",
        "The size of all swap devices and files in use.",
        "SwapTotal",
        _of_free("swap_total"),
    ),
    Metric(
        "swap_used_bytes",
        "swap used",
        "bytes",
        "/proc/meminfo SwapTotal, SwapFree",
        "Swap that holds pages which were put out of memory.",
        "SwapTotal − SwapFree, not below 0",
        _of_free("swap_used"),
    ),
    Metric(
        "stalled_some_pct",
        "some",
        "pct",
        "/proc/pressure/memory some total",
        "The share of the last interval in which at least one task waited for memory.",
        "growth of some's total / time between the two readings",
        _stalled("some"),
    ),
    Metric(
        "stalled_full_pct",
        "full",
        "pct",
        "/proc/pressure/memory full total",
        "The share of the last interval in which every task that could have run waited for memory.",
        "growth of full's total / time between the two readings",
        _stalled("full"),
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _TABLE}


def gaps(sample: Sample) -> list[Gap]:
    """The sources of a sample that gave no value."""
    system = sample.system
    return [
        part for part in (system.meminfo, system.vmstat, system.pressure) if isinstance(part, Gap)
    ]
