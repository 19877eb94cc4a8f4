"""Page faults a second of each process, from successive readings of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from memtui.kernel.details import Details
from memtui.model.keys import ProcessKey


class Rates(NamedTuple):
    """Page faults a second, between the last two readings of a process."""

    minor_per_s: float
    major_per_s: float


class RateTracker:
    """Faults a second of each process whose details are read, from its last two readings."""

    def __init__(self) -> None:
        self._last: dict[ProcessKey, Details] = {}
        self.rates: dict[ProcessKey, Rates] = {}

    def record(self, details: Mapping[ProcessKey, Details]) -> None:
        """Takes readings in; processes that are not among them are forgotten."""
        for key, now in details.items():
            before = self._last.get(key)
            if before is now:
                continue
            self._last[key] = now
            rates = None if before is None else _rates(before, now)
            if rates is None:
                self.rates.pop(key, None)
            else:
                self.rates[key] = rates
        if len(self._last) > len(details):
            for key in self._last.keys() - details.keys():
                del self._last[key]
                self.rates.pop(key, None)


def _rates(before: Details, now: Details) -> Rates | None:
    span = now.time_s - before.time_s
    counts = (before.minor_faults, before.major_faults, now.minor_faults, now.major_faults)
    if span <= 0 or None in counts:
        return None
    minor, major = (
        (now.minor_faults or 0) - (before.minor_faults or 0),
        (now.major_faults or 0) - (before.major_faults or 0),
    )
    return None if minor < 0 or major < 0 else Rates(minor / span, major / span)
