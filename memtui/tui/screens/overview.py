"""View 1: the graph, pressure, every process, and beside them the map of the chosen one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from memtui import units
from memtui.history import History
from memtui.model.free import free_figures
from memtui.model.sample import Sample
from memtui.tui import theme
from memtui.tui.chosen import Chosen
from memtui.tui.widgets.bars import Headline, PressureLine, StallTable, SwapLine, cells
from memtui.tui.widgets.lines import Line, Lines, Part
from memtui.tui.widgets.mappings import BESIDE_COLUMNS, MappingTable
from memtui.tui.widgets.picture import Picture
from memtui.tui.widgets.processes import ProcessList

if TYPE_CHECKING:
    from memtui.tui.widgets.graph import TimeGraph


class Overview(Vertical):
    """Draws what it is handed; the application decides what is chosen."""

    def __init__(self, history: History, page: int) -> None:
        super().__init__(id="overview")
        self._history = history
        self._page = page
        self._window_s = 300
        self._graphs: list[TimeGraph] = []

    def compose(self) -> ComposeResult:
        yield Headline(id="headline")
        with Horizontal(id="top"):
            yield Vertical(id="memory-graph")
            with Vertical(id="side"):
                yield StallTable(id="stalls")
                yield Vertical(id="stall-graph")
                yield SwapLine(id="swap")
                yield Vertical(id="swap-graph")
        yield PressureLine(id="pressure")
        with Horizontal(id="bottom"):
            yield ProcessList(self._history.growth, id="processes")
            with Vertical(id="beside"):
                yield Lines(id="beside-title")
                yield Picture(self._page, id="ribbon")
                yield MappingTable(BESIDE_COLUMNS, id="beside-table")
                yield Lines(id="beside-words")

    def on_mount(self) -> None:
        self.query_one("#ribbon").can_focus = False
        # Figures first: plotext is imported when these stand on the screen.
        self.call_after_refresh(self._mount_graphs)

    def _mount_graphs(self) -> None:
        from memtui.tui.widgets.graph import memory_graph, stall_graph, swap_graph

        places = ("#memory-graph", "#stall-graph", "#swap-graph")
        for name, graph in zip(places, (memory_graph(), stall_graph(), swap_graph()), strict=True):
            place = self.query_one(name)
            if not place.is_attached:
                return  # the program is ending
            place.mount(graph)
            self._graphs.append(graph)
        self._show_graphs()

    def _show_graphs(self) -> None:
        for graph in self._graphs:
            graph.show(self._history, self._window_s)

    def update(self, sample: Sample, window_s: int) -> None:
        """A new sample, or another window."""
        free = free_figures(sample.system.meminfo)
        self.query_one(Headline).update(self._history, free)
        self.query_one(PressureLine).update(sample, self._history, free)
        self.query_one(StallTable).update(sample)
        self.query_one(SwapLine).update(sample)
        self._window_s = window_s
        self._show_graphs()
        self.query_one(ProcessList).update(sample)

    def show_map(self, chosen: Chosen) -> None:
        """The chosen process's map, its state, or why there is none."""
        table = self.query_one("#beside-table", MappingTable)
        ribbon = self.query_one(Picture)
        words = self.query_one("#beside-words", Lines)
        self.query_one("#beside-title", Lines).draw(lambda width: [self._title(chosen, width)])
        has_map = chosen.map is not None
        table.display = ribbon.display = has_map
        words.display = not has_map
        if chosen.map is None:
            words.show(
                *[[(f" {line}", theme.style(theme.DIM))] for line in ("", *chosen.why_no_map())]
            )
            return
        table.show(chosen.map, chosen.address)
        ribbon.show(chosen.map, table.cursor)

    def _title(self, chosen: Chosen, width: int) -> Line:
        process = chosen.process
        if process is None:
            return []
        parts: list[Part] = [
            (f" {process.pid} ", theme.style(theme.DIM)),
            (units.printable(process.name), theme.style(theme.BRIGHT, bold=True)),
        ]
        more: list[list[Part]] = []
        if chosen.gone_at:
            more.append([(f" · gone at {chosen.gone_at}", theme.style(theme.ALARM, bold=True))])
        if chosen.map is not None:
            totals = chosen.map.totals
            for label, value in (("RSS ", totals.rss), ("PSS ", totals.pss), ("", totals.size)):
                if value is not None:
                    text = units.size(value, short=True) + (" mapped" if not label else "")
                    figure: Part = (text, theme.style(theme.FOREGROUND))
                    more.append([(f" · {label}", theme.style(theme.DIM)), figure])
        for group in more:
            if cells(parts) + cells(group) <= width:
                parts += group
        return parts
