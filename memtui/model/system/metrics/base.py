"""What a metric is, and the shapes that most of them have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.sample import Sample
from memtui.model.system import vmrates
from memtui.model.system.free import free_figures

# `count` is how many in the interval, the others of growth are a second.
Unit = Literal["bytes", "pct", "count", "per_s", "pages_per_s", "bytes_per_s"]
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

    def text(self, value: Value) -> str:
        """A value of this metric with its unit; `n/a` for None."""
        return figure(value, self.unit)


def figure(value: Value, unit: Unit) -> str:
    """A number in a metric's unit as text: `1.2 GiB`, `7.5 %`, `310 pages/s`; `n/a` for None."""
    if value is None:
        return units.UNKNOWN
    if unit == "bytes":
        return units.size(value)
    if unit == "bytes_per_s":
        return units.size(value) + "/s"
    if unit == "pct":
        return units.percent(value, 0 if value == 0 or value >= 10 else 1)
    digits = units.count(round(value)) if value == int(value) or value >= 10 else f"{value:.1f}"
    return digits + {"count": "", "per_s": "/s", "pages_per_s": " pages/s"}[unit]


def of_meminfo(
    name: str, label: str, key: str, definition: str, before: str | None = None
) -> Metric:
    """A size that meminfo gives as it is; `before` says since when."""

    def value(now: Sample, _before: Sample | None) -> Value:
        meminfo = now.system.meminfo
        return None if isinstance(meminfo, Gap) else meminfo.get(key)

    formula = key if before is None else f"{key}; {before}"
    return Metric(name, label, "bytes", f"/proc/meminfo {key}", definition, formula, value)


def of_free(field: str) -> Callable[[Sample, Sample | None], Value]:
    """One of free(1)'s figures."""

    def value(now: Sample, _before: Sample | None) -> Value:
        result: int | None = getattr(free_figures(now.system.meminfo), field)
        return result

    return value


def per_second(
    growth: Callable[[vmrates.Vmstat | Gap, vmrates.Vmstat | Gap | None], int | None],
    factor: int = 1,
) -> Callable[[Sample, Sample | None], Value]:
    """What grew in vmstat between two samples, times `factor`, a second of the time between."""

    def value(now: Sample, before: Sample | None) -> Value:
        if before is None:
            return None
        elapsed_s = now.time_s - before.time_s
        grown = growth(now.system.vmstat, before.system.vmstat)
        return None if grown is None or elapsed_s <= 0 else factor * grown / elapsed_s

    return value


def of_counter(
    name: str,
    label: str,
    unit: Unit,
    keys: str,
    definition: str,
    counter: vmrates.Counter | None = None,
    factor: int = 1,
) -> Metric:
    """The rate of one counter of vmstat; `keys` is its name, or its names with a counter that adds."""
    grows = counter or vmrates.named(keys)

    def growth(now: vmrates.Vmstat | Gap, before: vmrates.Vmstat | Gap | None) -> int | None:
        return vmrates.growth(now, before, grows)

    return Metric(
        name,
        label,
        unit,
        f"/proc/vmstat {keys}",
        definition,
        f"growth of {keys}{' × 1024' if factor == 1024 else ''} / time between the two readings",
        per_second(growth, factor),
    )
