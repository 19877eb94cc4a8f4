"""What a metric is, and the shapes that most of them have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from memtui.kernel.files import Gap
from memtui.model.entry import Entry
from memtui.model.formula import Unit, figure
from memtui.model.sample import Sample
from memtui.model.system import vmrates
from memtui.model.system.free import free_figures

Value = float | None

# Every group of figures, in the order of the Pressure view's page of figures; whether that lists it.
GROUPS: Final[Mapping[str, bool]] = {
    "stalls": True,
    "reclaim": True,
    "refaults": True,
    "swap": True,
    "faults": True,
    "disk": True,
    "large": True,
    "kills": True,
    "memory": True,
    # Sums of others, what changes seldom, and what other pages show in full.
    "thrashing": False,
    "limits": False,
    "totals": False,
    "left": False,
    "programs": False,
    "promises": False,
    "lists": False,
    "kernel": False,
    "huge pages": False,
}


class Metric(NamedTuple):
    """A figure of the whole machine, in `unit`, computed from a sample and the one before it.

    `value` gives None where the kernel does not offer it, and for a rate without a `before`. `raw`
    is what a counter's rate is computed from: what the kernel has counted since boot; None for a
    gauge. `group` is one of GROUPS, `topic` the heading under which `entry` explains it. `field` of
    SystemSample is what it is made of, where that is one that is else read only while it is shown.
    """

    name: str
    label: str
    unit: Unit
    source: str
    definition: str
    formula: str
    value: Callable[[Sample, Sample | None], Value]
    group: str
    topic: str
    entry: Entry
    raw: Callable[[Sample], int | None] | None = None
    field: str = ""

    @property
    def kind(self) -> Literal["gauge", "counter"]:
        return "gauge" if self.raw is None else "counter"

    def text(self, value: Value) -> str:
        """A value of this metric with its unit; `n/a` for None."""
        return figure(value, self.unit)


def of_meminfo(
    name: str,
    label: str,
    key: str,
    definition: str,
    before: str | None = None,
    *,
    group: str,
    topic: str,
    entry: Entry,
) -> Metric:
    """A size that meminfo gives as it is; `before` says since when."""

    def value(now: Sample, _before: Sample | None) -> Value:
        meminfo = now.system.meminfo
        return None if isinstance(meminfo, Gap) else meminfo.get(key)

    formula = key if before is None else f"{key}; {before}"
    source = f"/proc/meminfo {key}"
    return Metric(name, label, "bytes", source, definition, formula, value, group, topic, entry)


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


def counted(counter: vmrates.Counter) -> Callable[[Sample], int | None]:
    """What vmstat has counted since boot."""

    def raw(sample: Sample) -> int | None:
        vmstat = sample.system.vmstat
        return None if isinstance(vmstat, Gap) else counter(vmstat)

    return raw


def of_counter(
    name: str,
    label: str,
    unit: Unit,
    keys: str,
    definition: str,
    counter: vmrates.Counter | None = None,
    factor: int = 1,
    *,
    group: str,
    topic: str,
    entry: Entry,
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
        group,
        topic,
        entry,
        counted(grows),
    )
