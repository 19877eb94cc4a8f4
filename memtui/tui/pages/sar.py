"""sar's columns as rows: now, their average since the view was opened, and the samples before."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

from memtui.model.sample import Sample
from memtui.model.system.sar import COLUMNS, Average, Figures, State, figures, state
from memtui.session.clock import time_of_day
from memtui.tui import theme
from memtui.tui.widgets.lines import Table
from memtui.tui.words.cells import Column, Part

_BEFORE: Final = 8  # samples before the last


class SarTable(Table):
    """What `memtui sar` prints, turned round, so that all of it fits any width."""

    def __init__(self, *, id: str | None = None) -> None:
        before = [
            Column(f"-{back}", f"-{back}", 10, priority=10 + back) for back in range(1, _BEFORE + 1)
        ]
        super().__init__(
            (
                Column("section", "SAR", 3, "<"),
                Column("name", "COLUMN", 11, "<"),
                Column("now", "NOW", 11),
                Column("average", "AVERAGE", 11),
                *before,
                Column("words", "", 0, "<", priority=1, least=36),
            ),
            id=id,
        )
        self.rows = tuple(COLUMNS.values())
        self._last_s = -math.inf
        self._figures: deque[tuple[str, Figures]] = deque(maxlen=_BEFORE + 1)
        self._average = Average(self.rows)
        self._averages: Figures = {}

    def take(self, sample: Sample, before: Sample | None) -> None:
        """The next sample, with the one before it, whether that was taken or not: where none was for
        a while, no rate is over all of it. One that was taken changes nothing, an older begins anew.
        """
        if sample.time_s == self._last_s:
            return
        if sample.time_s < self._last_s:
            self.begin()
        self._last_s = sample.time_s
        now, then = _state(sample), None if before is None else _state(before)
        elapsed_s = None if before is None else sample.time_s - before.time_s
        found = figures(now, then, elapsed_s, self.rows)
        if before is not None:
            self._average.add(now, elapsed_s, found)
            self._averages = self._average.figures()
        self._figures.append((time_of_day(sample.time_s), found))
        clocks = [clock for clock, _ in self._figures]
        self.set_columns(
            [
                column._replace(title=clocks[-1 - back] if back < len(clocks) else "")
                if (back := -int(column.name) if column.name.startswith("-") else 0)
                else column
                for column in self.all_columns
            ]
        )
        if self.display:
            self.repaint()

    def begin(self) -> None:
        """Forgets what was shown: another machine, or a group as one, comes next."""
        self._last_s = -math.inf
        self._figures.clear()
        self._average, self._averages = Average(self.rows), {}

    # Table's questions.

    def row_count(self) -> int:
        return len(self.rows)

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        column = self.rows[row]
        dim, bright = theme.style(theme.DIM), theme.style(theme.BRIGHT)
        first = row == 0 or self.rows[row - 1].section != column.section
        texts: dict[str, str | Part] = {
            "section": (column.section if first else "", theme.style(theme.ACCENT)),
            "name": column.name,
            "words": (column.words, dim),
        }
        if not self._figures:
            return texts
        values = [found[column.name] for _, found in reversed(self._figures)]
        texts["now"] = (column.text(values[0]), bright if values[0] else dim)
        if self._averages:
            texts["average"] = column.text(self._averages[column.name])
        for back, value in enumerate(values[1:], 1):
            texts[f"-{back}"] = (column.text(value), dim)
        return texts


def _state(sample: Sample) -> State:
    return state(sample.system.meminfo, sample.system.vmstat, sample.system.pressure)
