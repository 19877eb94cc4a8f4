"""Figures of the history as a table: now, the last minute, the hour, and a small picture of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from memtui.model.system.metrics import GROUPS, METRICS, Metric
from memtui.session.history import History
from memtui.tui import theme
from memtui.tui.widgets.lines import Table
from memtui.tui.words.cells import Column, Part

# The group and the name of each row.
ROWS: Final = tuple(
    (group, metric.name)
    for group, is_listed in GROUPS.items()
    for metric in METRICS.values()
    if is_listed and metric.group == group
)
_BLOCKS: Final = theme.HEIGHTS
_MINUTE_S: Final = 60.0
# Of figures whose numbers have none of their own: once a row, not with each of them.
_UNITS: Final = {"pages_per_s": "pages/s", "per_s": "/s"}


class FigureTable(Table):
    """One row a figure. The pictures are of the window that the graphs show."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            (
                Column("group", "", 8, "<", priority=2),
                Column("figure", "FIGURE", 20, "<"),
                Column("now", "NOW", 10),
                Column("minute", "MINUTE", 10, priority=4),
                Column("most", "HOUR'S MOST", 11, priority=3),
                Column("unit", "", 7, "<"),
                Column("picture", "", 0, "<", priority=0),
            ),
            id=id,
        )
        self.rows = ROWS
        self._history: History | None = None
        self._evidence: dict[str, str] = {}
        self._glyph = ""
        self._window_s = 300
        self._pictures: dict[str, tuple[object, str]] = {}
        self._most: dict[str, tuple[float, float | None]] = {}

    def show(
        self,
        history: History,
        window_s: int,
        evidence: dict[str, str],
        glyph: str = "",
        *,
        only_known: bool = False,
    ) -> None:
        """The figures as they are now; those that the verdict rests on in their colour, and marked.

        `only_known`: of a control group, which nobody counts half of them for.
        """
        if history is not self._history:
            self._pictures.clear()
            self._most.clear()
        self._history, self._window_s = history, window_s
        self._evidence, self._glyph = evidence, glyph
        rows = ROWS
        if only_known and len(history) > 1:  # with one sample there are no rates
            rows = tuple(row for row in ROWS if self._highest(row[1]) is not None) or ROWS
        if rows != self.rows:
            name = self.metric
            self.rows = rows
            self.set_cursor(next((at for at, row in enumerate(rows) if row[1] == name), 0))
        self.repaint()

    @property
    def metric(self) -> str:
        """The name of the figure under the cursor."""
        return self.rows[self.cursor][1]

    # Table's questions.

    def row_count(self) -> int:
        return len(self.rows)

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        group, name = self.rows[row]
        metric, history = METRICS[name], self._history
        dim = theme.style(theme.DIM)
        first = row == 0 or self.rows[row - 1][0] != group
        colour = self._evidence.get(name)
        marked = theme.style(colour, bold=True) if colour else None
        texts: dict[str, str | Part] = {
            "group": (group if first else "", dim),
            "figure": (f"{metric.label} {self._glyph}", marked) if marked else metric.label,
        }
        if history is None:
            return texts
        now, most = history.latest(name), self._highest(name)
        texts["unit"] = ("" if most is None else _UNITS.get(metric.unit, ""), dim)
        texts["now"] = (_text(metric, now), marked or (theme.style(theme.BRIGHT) if now else dim))
        if "minute" in names:
            # How many in a minute says more than how many at a tick.
            over = history.total if metric.unit == "count" else history.mean
            texts["minute"] = (_text(metric, over(name, _MINUTE_S)), dim)
        if "most" in names:
            texts["most"] = (_text(metric, most), dim)
        if "picture" in names:
            texts["picture"] = (self._picture(name), theme.style(colour or theme.CACHE))
        return texts

    def values(self) -> list[dict[str, Any]]:
        history = self._history
        if history is None:
            return []
        return [
            {
                "name": name,
                "figure": METRICS[name].label,
                "unit": METRICS[name].unit,
                "now": history.latest(name),
                "minute_mean": history.mean(name, _MINUTE_S),
                "hour_most": self._highest(name),
            }
            for _, name in self.rows
        ]

    def _highest(self, name: str) -> float | None:
        """The hour's largest, looked for anew once in ten seconds; between these only what came."""
        assert self._history is not None
        now_s = self._history.end_s
        latest = self._history.latest(name)
        looked_s, most = self._most.get(name, (-math.inf, None))
        if now_s - looked_s >= 10 or now_s < looked_s:
            most = self._history.highest(name)
            self._most[name] = (now_s, most)
        elif latest is not None and (most is None or latest > most):
            most = latest
            self._most[name] = (looked_s, most)
        return most

    def _picture(self, name: str) -> str:
        """The window's values, drawn anew when a cell's time is over."""
        width = next((cells for column, cells in self.columns() if column.name == "picture"), 0)
        assert self._history is not None
        if width < 4:
            return ""
        span = self._window_s / width
        state = (width, self._window_s, math.floor(self._history.end_s / span))
        known = self._pictures.get(name)
        if known is None or known[0] != state:
            values = self._history.buckets(name, self._window_s, width, "max").values
            known = self._pictures[name] = (state, blocks(values, theme.glyphs().heights))
        return known[1]


def _text(metric: Metric, value: float | None) -> str:
    return metric.text(value).removesuffix(_UNITS.get(metric.unit, "")).rstrip()


def blocks(values: Sequence[float | None], heights: str = _BLOCKS) -> str:
    """Values from 0 to their largest as blocks of eight heights, or those; a hole is a blank."""
    top = max((value for value in values if value is not None), default=0) or 1
    steps = len(heights) - 1
    return "".join(
        " " if value is None else heights[min(steps, math.ceil(steps * max(0, value) / top))]
        for value in values
    )
