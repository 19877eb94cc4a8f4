"""sar's columns as rows: now, their average since the page was opened, and the samples before."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from memtui.model.sample import Sample
from memtui.model.sar import COLUMNS, Average, Figures, State, figures, state
from memtui.tui import theme
from memtui.tui.widgets.lines import Column, Part, Table

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
                Column("words", "", 0, "<", priority=1, least=24),
            ),
            id=id,
        )
        self.rows = tuple(COLUMNS.values())
        self._last: tuple[float, State] | None = None
        self._figures: deque[tuple[str, Figures]] = deque(maxlen=_BEFORE + 1)
        self._average = Average(self.rows)
        self._averages: Figures = {}

    def take(self, sample: Sample) -> None:
        """The next sample; one that was shown already, or is older, changes nothing or begins anew."""
        system, last = sample.system, self._last
        if last is not None and sample.time_s == last[0]:
            return
        now = state(system.meminfo, system.vmstat, system.pressure)
        elapsed_s = None if last is None else sample.time_s - last[0]
        if elapsed_s is not None and elapsed_s < 0:
            self.begin()
            elapsed_s, last = None, None
        found = figures(now, last[1] if last else None, elapsed_s, self.rows)
        if last is not None:
            self._average.add(now, elapsed_s, found)
            self._averages = self._average.figures()
        self._last = sample.time_s, now
        self._figures.append((time.strftime("%H:%M:%S"), found))
        clocks = [clock for clock, _ in self._figures]
        self.set_columns(
            [
                column._replace(title=clocks[-1 - back] if back < len(clocks) else "")
                if (back := -int(column.name) if column.name.startswith("-") else 0)
                else column
                for column in self.all_columns
            ]
        )
        self.repaint()

    def begin(self) -> None:
        """Forgets what was shown: another machine, or a group as one, comes next."""
        self._last = None
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
