"""sar's columns as rows: now, their average since the view was opened, and the samples before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from memtui.model.machine import Machine
from memtui.model.system.sar import COLUMNS, Figures
from memtui.session.sartrack import KEPT, SarTrack
from memtui.tui import theme
from memtui.tui.widgets.lines import Table
from memtui.tui.words.cells import Column, Part

_BEFORE: Final = KEPT - 1  # samples before the last


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
        self._track: SarTrack | None = None
        self._averages: Figures = {}

    def show(self, track: SarTrack, machine: Machine) -> None:
        """What was followed up to now."""
        self._track, self._averages = track, track.averages
        clocks = [machine.time_of_day(time_s) for time_s, _ in track.figures]
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

    # Table's questions.

    def row_count(self) -> int:
        return len(self.rows)

    def values(self) -> list[dict[str, Any]]:
        figures = self._track.figures if self._track else []
        return [{"time_s": time_s, **found} for time_s, found in figures]

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        column = self.rows[row]
        dim, bright = theme.style(theme.DIM), theme.style(theme.BRIGHT)
        first = row == 0 or self.rows[row - 1].section != column.section
        texts: dict[str, str | Part] = {
            "section": (column.section if first else "", theme.style(theme.ACCENT)),
            "name": column.name,
            "words": (column.words, dim),
        }
        track = self._track
        if track is None or not track.figures:
            return texts
        values = [found[column.name] for _, found in reversed(track.figures)]
        texts["now"] = (column.text(values[0]), bright if values[0] else dim)
        if self._averages:
            texts["average"] = column.text(self._averages[column.name])
        for back, value in enumerate(values[1:], 1):
            texts[f"-{back}"] = (column.text(value), dim)
        return texts
