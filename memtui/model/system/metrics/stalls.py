"""Figures of pressure stall information."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from memtui.kernel.pressure import Pressure
from memtui.model.sample import Sample
from memtui.model.system.metrics.base import Metric, Value

Line = Literal["some", "full"]
_WHO: Final[dict[Line, str]] = {
    "some": "at least one task waited for memory",
    "full": "every task that could have run waited for memory",
}


def stalled_pct(now: Sample, before: Sample, line: Line) -> float | None:
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


def _stalled(line: Line) -> Callable[[Sample, Sample | None], Value]:
    def value(now: Sample, before: Sample | None) -> Value:
        return None if before is None else stalled_pct(now, before, line)

    return value


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
    )


def _interval(line: Line) -> Metric:
    return Metric(
        f"stalled_{line}_pct",
        line,
        "pct",
        f"/proc/pressure/memory {line} total",
        f"The share of the last interval in which {_WHO[line]}.",
        f"growth of {line}'s total / time between the two readings",
        _stalled(line),
    )


TABLE: Final = (
    _interval("some"),
    _interval("full"),
    *(_average(line, seconds) for line in _WHO for seconds in (10, 60, 300)),
)
