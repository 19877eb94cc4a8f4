"""View 1: the graph, pressure, every process, and beside them the map of the chosen one."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from memtui import units
from memtui.history import History
from memtui.model.free import free_figures
from memtui.model.sample import Sample
from memtui.tui import theme
from memtui.tui.chosen import Chosen
from memtui.tui.widgets.bars import Headline, PressureLine, StallTable, SwapLine
from memtui.tui.widgets.graph import Band, Curve, TimeGraph, gib_ticks, pct_ticks
from memtui.tui.widgets.lines import Line, Lines, Part
from memtui.tui.widgets.mappings import BESIDE_COLUMNS, MappingTable
from memtui.tui.widgets.picture import Picture
from memtui.tui.widgets.processes import ProcessList


def _stall_top(history: History) -> float | None:
    """A round upper end above the worst stall of the hour, so that small ones are seen."""
    worst = history.highest("stalled_some_pct")
    if worst is None:
        return None
    return next((top for top in (5.0, 10.0, 25.0, 50.0) if worst <= top), 100.0)


class Overview(Vertical):
    """Draws what it is handed; the application decides what is chosen."""

    def __init__(self, history: History, page: int) -> None:
        super().__init__(id="overview")
        self._history = history
        self._page = page

    def compose(self) -> ComposeResult:
        yield Headline(id="headline")
        with Horizontal(id="top"):
            yield TimeGraph(
                (
                    Band("mem_free_bytes", "free", theme.FREE),
                    Band("buff_cache_bytes", "buff/cache", theme.CACHE),
                    Band("", "the rest, in use", theme.REST),
                ),
                (Curve("mem_available_bytes", theme.BRIGHT, "min"),),
                lambda history: history.latest("mem_total_bytes"),
                gib_ticks,
                id="memory",
            )
            with Vertical(id="side"):
                yield StallTable(id="stalls")
                yield TimeGraph(
                    (),
                    (
                        Curve("stalled_some_pct", theme.GROWS, "max"),
                        Curve("stalled_full_pct", theme.ALARM, "max"),
                    ),
                    _stall_top,
                    pct_ticks,
                    time_axis=False,
                    id="stall-graph",
                )
                yield SwapLine(id="swap")
                yield TimeGraph(
                    (
                        Band("swap_used_bytes", "swap used", theme.CACHE),
                        Band("", "free", theme.REST),
                    ),
                    (),
                    lambda history: history.latest("swap_total_bytes"),
                    gib_ticks,
                    time_axis=False,
                    id="swap-graph",
                )
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

    def update(self, sample: Sample, window_s: int) -> None:
        """A new sample, or another window."""
        free = free_figures(sample.system.meminfo)
        self.query_one(Headline).update(self._history, free)
        self.query_one(PressureLine).update(sample, self._history, free)
        self.query_one("#memory", TimeGraph).show(self._history, window_s)
        if self.query_one("#side").display and self.size.width >= 100:
            self.query_one(StallTable).update(sample)
            self.query_one("#stall-graph", TimeGraph).show(self._history, window_s)
            self.query_one(SwapLine).update(sample)
            self.query_one("#swap-graph", TimeGraph).show(self._history, window_s)
        self.query_one(ProcessList).update(sample)

    def show_map(self, chosen: Chosen) -> None:
        """The chosen process's map, its state, or why there is none."""
        table = self.query_one("#beside-table", MappingTable)
        ribbon = self.query_one(Picture)
        words = self.query_one("#beside-words", Lines)
        self.query_one("#beside-title", Lines).show(self._title(chosen))
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

    def _title(self, chosen: Chosen) -> Line:
        process = chosen.process
        if process is None:
            return []
        parts: list[Part] = [
            (f" {process.pid} ", theme.style(theme.DIM)),
            (units.printable(process.name), theme.style(theme.BRIGHT, bold=True)),
        ]
        if chosen.gone_at:
            parts.append((f" · gone at {chosen.gone_at}", theme.style(theme.ALARM, bold=True)))
        if chosen.map is not None:
            totals = chosen.map.totals
            parts.append(
                (f" · {units.size(totals.size, short=True)}", theme.style(theme.FOREGROUND))
            )
            for label, value in (("RSS", totals.rss), ("PSS", totals.pss)):
                if value is not None:
                    parts += [
                        (f" · {label} ", theme.style(theme.DIM)),
                        (units.size(value, short=True), theme.style(theme.FOREGROUND)),
                    ]
        return parts
