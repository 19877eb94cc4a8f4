"""sar's figures over the last samples, and their averages since somebody began to follow them."""

from __future__ import annotations

import copy
from collections import deque
from typing import Final

from memtui.model.sample import Sample
from memtui.model.system.sar import COLUMNS, Average, Figures, State, figures, state

KEPT: Final = 9  # samples: the last and those before it


class SarTrack:
    """`figures` are those of the last samples with their times since boot, the newest last;
    `averages` is empty before there is a second one."""

    def __init__(self) -> None:
        self.rows = tuple(COLUMNS.values())
        self.figures: deque[tuple[float, Figures]] = deque(maxlen=KEPT)
        self._average = Average(self.rows)

    @property
    def averages(self) -> Figures:
        return self._average.figures() if len(self.figures) > 1 else {}

    def record(self, sample: Sample, before: Sample | None) -> None:
        """Adds a sample, `before` being the one taken before it."""
        now, then = _state(sample), None if before is None else _state(before)
        elapsed_s = None if before is None else sample.time_s - before.time_s
        found = figures(now, then, elapsed_s, self.rows)
        if before is not None:
            self._average.add(now, elapsed_s, found)
        self.figures.append((sample.time_s, found))

    def still(self) -> SarTrack:
        """As it is now, whatever is recorded after."""
        return copy.deepcopy(self)


def _state(sample: Sample) -> State:
    return state(sample.system.meminfo, sample.system.vmstat, sample.system.pressure)
