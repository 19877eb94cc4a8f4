"""Figures of who waits for memory: pressure stall information."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure
from memtui.model.entry import Entry
from memtui.model.sample import Sample
from memtui.model.system.metrics.base import Metric, Value, of_counter

if TYPE_CHECKING:
    from memtui.model.explain.context import Context


Line = Literal["some", "full"]
_WHO: Final[dict[Line, str]] = {
    "some": "at least one task waited for memory",
    "full": "every task that could have run waited for memory",
}


def averages_here(context: Context) -> str:
    pressure = context.pressure
    if pressure is None:
        return "PSI is n/a here: the kernel lacks it, or it is off (boot with psi=1)."
    lines = []
    for words, stall in (("some", pressure.some), ("full", pressure.full)):
        if stall is not None:
            lines.append(
                f"{words} {stall.avg10_pct:.2f} % over 10 s, {stall.avg60_pct:.2f} % over 60 s, "
                f"{stall.avg300_pct:.2f} % over 300 s, {stall.total_us / 1e6:.3f} s since boot"
            )
    return f"Here {'; '.join(lines)}."


def stalled_pct(now: Sample, before: Sample, line: Line) -> float | None:
    """The share of the time between two samples in which tasks waited for memory, 0 to 100.

    From the growth of PSI's total, so that no stall between two ticks is missed. None where there is
    no PSI, or the counter went backwards.
    """
    total_us = _total_us(line)
    new, old = total_us(now), total_us(before)
    elapsed_us = (now.time_s - before.time_s) * 1e6
    if new is None or old is None or elapsed_us <= 0 or new < old:
        return None
    return min(100.0, 100 * (new - old) / elapsed_us)


def _stalled(line: Line) -> Callable[[Sample, Sample | None], Value]:
    def value(now: Sample, before: Sample | None) -> Value:
        return None if before is None else stalled_pct(now, before, line)

    return value


def _total_us(line: Line) -> Callable[[Sample], int | None]:
    def raw(sample: Sample) -> int | None:
        pressure = sample.system.pressure
        if isinstance(pressure, Gap):
            return None
        stall = pressure.some if line == "some" else pressure.full
        return None if stall is None else stall.total_us

    return raw


def _average(line: Line, seconds: int) -> Metric:
    field = f"avg{seconds}_pct"

    def value(now: Sample, _before: Sample | None) -> Value:
        pressure = now.system.pressure
        if not isinstance(pressure, Pressure):
            return None
        result: float | None = getattr(getattr(pressure, line), field, None)
        return result

    return Metric(
        f"{line}_{field}",
        f"{line} {seconds} s",
        "pct",
        f"/proc/pressure/memory {line} avg{seconds}",
        f"The share of the time in which {_WHO[line]}, averaged by the kernel over some "
        f"{seconds} s: what is long past weighs less.",
        f"avg{seconds} of {line}",
        value,
        group="stalls",
        topic="Pressure and reclaim",
        entry=Entry(
            f"{line} {seconds} s",
            f"PSI: {line}, averaged over {seconds} s",
            "",
            f"It is not the last {seconds} s: the mean fades, so a stall that has ended stays in it.",
            see=(line, "PSI"),
            aliases=(f"{line} avg{seconds}",),
        ),
    )


def _interval(line: Line, entry: Entry) -> Metric:
    return Metric(
        f"stalled_{line}_pct",
        line,
        "pct",
        f"/proc/pressure/memory {line} total",
        f"The share of the last interval in which {_WHO[line]}.",
        f"growth of {line}'s total / time between the two readings",
        _stalled(line),
        group="stalls",
        topic="Pressure and reclaim",
        entry=entry,
        raw=_total_us(line),
    )


TABLE: Final = (
    _interval(
        "some",
        Entry(
            "some",
            "PSI: some",
            "It is made of the growth of the counter, so no stall between two readings is missed.",
            "It is no share of tasks: one that waits among a thousand that work gives 100 too.",
            here=(averages_here,),
            see=("full", "PSI", "direct reclaim"),
        ),
    ),
    _interval(
        "full",
        Entry(
            "full",
            "PSI: full",
            "In that time nobody got anything done.",
            "It is no full memory: the word is about tasks.",
            here=(averages_here,),
            see=("some", "PSI", "thrashing"),
        ),
    ),
    *(_average(line, seconds) for line in _WHO for seconds in (10, 60, 300)),
    of_counter(
        "allocation_stalls_per_s",
        "allocation stalls",
        "per_s",
        "allocstall",
        "Allocations that had to wait until their task itself had reclaimed memory; summed over the "
        "zones, by which the kernel counts them since 4.10.",
        group="stalls",
        topic="Pressure and reclaim",
        entry=Entry(
            "allocation stalls",
            "Allocation stalls",
            "It counts how often, not how long: that is for PSI to tell.",
            "It is no failed allocation: each of them got its memory in the end, or met the OOM killer.",
            see=("direct reclaim", "PSI", "compaction stalls"),
            aliases=("allocstall",),
        ),
    ),
)
