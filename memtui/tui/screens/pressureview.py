"""View 4: what waits for memory, what reclaim does about it, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from memtui.model.metrics import METRICS
from memtui.model.sample import Sample
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.screens.view import View
from memtui.tui.seen import Seen
from memtui.tui.widgets.figures import FigureTable
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.tabs import Tabs

if TYPE_CHECKING:
    from memtui.tui.widgets.graph import TimeGraph

WINDOWS_S = (60, 300, 900, 3600)


class PressureView(View):
    """The verdict, the stalls and the figure under the cursor as graphs, and pages of tables."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("pressure")]

    def __init__(self, page: int) -> None:
        super().__init__(id="pressure")
        self._page = page
        self._window_s = 300
        self._seen: Seen | None = None
        self._sample: Sample | None = None
        self._graphs: list[TimeGraph] = []
        self._graphed = ""

    def compose(self) -> ComposeResult:
        yield Lines(id="verdict")
        with Horizontal(id="pressure-graphs"):
            with Vertical(id="pressure-stalls"):
                yield Lines(id="stalls-title")
            with Vertical(id="pressure-figure"):
                yield Lines(id="figure-title")
        yield Tabs(("figures", "sar", "watermarks", "events"), id="pressure-tabs")
        yield FigureTable(id="figures")

    def on_mount(self) -> None:
        self._mount_graphs()

    def _mount_graphs(self) -> None:
        from memtui.tui.widgets.graph import stall_graph

        for place in ("#pressure-stalls", "#pressure-figure"):
            graph = stall_graph(time_axis=True)
            self.query_one(place).mount(graph)
            self._graphs.append(graph)

    @property
    def main(self) -> Table:
        return self.query_one("#figures", Table)

    @property
    def topic(self) -> str:
        return self.query_one(FigureTable).metric

    def update(self, sample: Sample, seen: Seen) -> None:
        self._sample, self._seen = sample, seen
        self.query_one(FigureTable).show(seen.history, self._window_s, {})
        self._show_graphs()

    def _show_graphs(self) -> None:
        """The stalls, and beside them the figure under the cursor, or the first that is no stall."""
        from memtui.tui.widgets.graph import Curve, figure_ticks, figure_top

        if self._seen is None or not self._graphs:
            return
        dim = theme.style(theme.DIM)
        self.query_one("#stalls-title", Lines).show(
            [
                (" tasks waited for memory: ", dim),
                ("some", theme.style(theme.GROWS, bold=True)),
                (" · ", dim),
                ("all", theme.style(theme.ALARM, bold=True)),
            ]
        )
        name = self.query_one(FigureTable).metric
        metric = METRICS[name]
        if name != self._graphed:
            self._graphed = name
            keep: Literal["min", "max"] = "max"
            if name in ("mem_available_bytes", "mem_free_bytes"):
                keep = "min"
            self._graphs[1].plot(
                (Curve(name, theme.ACCENT, keep),), figure_top(metric), figure_ticks(metric)
            )
        self.query_one("#figure-title", Lines).show(
            [
                (f" {metric.label} ", theme.style(theme.BRIGHT, bold=True)),
                (metric.text(self._seen.history.latest(name)), theme.style(theme.ACCENT)),
            ]
        )
        for graph in self._graphs:
            graph.show(self._seen.history, self._window_s)

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        self._show_graphs()

    def action_zoom(self, step: int) -> None:
        at = WINDOWS_S.index(self._window_s) - step
        self._window_s = WINDOWS_S[max(0, min(at, len(WINDOWS_S) - 1))]
        if self._sample is not None and self._seen is not None:
            self.update(self._sample, self._seen)
