"""View 1: the graph, pressure, every process, and beside them the map of the chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from memtui import units
from memtui.kernel.details import DETAIL_FILES
from memtui.kernel.pressure import Pressure
from memtui.live.plan import Plan
from memtui.model.sample import Sample
from memtui.session.chosen import Chosen
from memtui.session.session import Moment, Session
from memtui.settings.table import WINDOWS_S
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.views.view import View
from memtui.tui.widgets.bars import Headline, StallTable, SwapLine
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.mapbeside import MapBeside
from memtui.tui.widgets.processes import ProcessList
from memtui.tui.widgets.timewindow import TimeWindow
from memtui.tui.widgets.verdictlines import VerdictLine
from memtui.tui.words.cells import Line, fitted
from memtui.tui.words.frame import filter_parts

if TYPE_CHECKING:
    from memtui.tui.widgets.graph import TimeGraph


BALANCE_LINES = 9
TOPICS = (
    *("available", "free", "buff/cache", "the rest", "used", "verdict", "stalled_some_pct"),
    *("stalled_full_pct", "PSI", "swap used", "swap total", "RSS", "PSS", "oom_score", "thrashing"),
)


class Overview(View):
    """Draws what it is handed; the application decides what is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("overview")]

    def __init__(self, session: Session) -> None:
        # The classes of what will be drawn first: no style is applied for it twice.
        lacking = _lacking(session.moment).items() if session.moment else ()
        classes = " ".join(name for name, is_so in lacking if is_so)
        super().__init__(session, id="overview", classes=classes)
        self._moment: Moment | None = None
        self._window_s = session.settings.window_s
        self._graphs: list[TimeGraph] = []
        self._time_window = TimeWindow()

    def compose(self) -> ComposeResult:
        yield Headline(id="headline")
        with Horizontal(id="top"):
            yield Vertical(id="memory-graph")
            with Vertical(id="side"):
                yield StallTable(id="stalls")
                yield Vertical(id="stall-graph")
                yield SwapLine(id="swap")
                yield Vertical(id="swap-graph")
                yield Lines(id="balance-lines")
        yield VerdictLine(id="verdict-line")
        with Horizontal(id="bottom"):
            with Vertical(id="top-list"):
                yield Lines(id="top-filter")
                yield ProcessList(id="top-processes")
            yield MapBeside(self.session)

    def _mount_graphs(self) -> None:
        from memtui.tui.widgets.graph import memory_graph, stall_graph, swap_graph

        places = ("#memory-graph", "#stall-graph", "#swap-graph")
        for name, graph in zip(places, (memory_graph(), stall_graph(), swap_graph()), strict=True):
            place = self.query_one(name)
            if not place.is_attached:
                return  # the program is ending
            place.mount(graph)
            self._graphs.append(graph)

    def _show_graphs(self) -> None:
        # plotext is imported when there is something to draw: not for the first frame, whose
        # figures come first, nor where another view or only text is shown.
        if self._moment is None or not len(self._moment.history):
            return
        if not self._graphs:
            self._mount_graphs()
        moment, window_s = self._moment, self._window_s
        wound = self._time_window.wound(moment, window_s)
        for graph in self._graphs:
            graph.show(moment.history, window_s, list(moment.seen.marks), wound)

    def update(self, moment: Moment) -> None:
        self._moment = moment
        sample = moment.sample
        self.query_one(Headline).update(moment, self._window_s)
        self.query_one(VerdictLine).update(moment, self._killed_lately(moment))
        self.query_one(StallTable).update(sample)
        self.query_one(SwapLine).update(moment.free)
        for name, is_so in _lacking(moment).items():
            self.set_class(is_so, name)
        if self.screen.has_class("-vast") and sample.system.accounts is not None:
            self._show_balance(sample)
        self._show_graphs()
        self.query_one(ProcessList).update(moment)
        self._show_filter()

    def _show_filter(self) -> None:
        """What rows are left out by, for as long as any are, and the way out."""
        processes, line = self.query_one(ProcessList), self.query_one("#top-filter", Lines)
        line.display = bool(processes.filter)
        if processes.filter:
            rows = filter_parts(processes.filter, units.count(processes.row_count()))
            line.draw(lambda width: [fitted(rows, width)])

    @staticmethod
    def _killed_lately(moment: Moment) -> Line:
        if not moment.seen.obituaries:
            return ()
        from memtui.tui.words.deaths import lately

        return lately(moment)

    def _show_balance(self, sample: Sample) -> None:
        """Where all memory is, the largest parts first; all of it is in the physical view."""
        from memtui.model.system.balance import balance_of

        sheet = balance_of(sample.system)
        lines = sorted(
            (line for line in sheet.lines if line.bytes), key=lambda line: -(line.bytes or 0)
        )
        dim, plain = theme.style(theme.DIM), theme.style(theme.FOREGROUND)
        shown: list[Line] = [[(" WHERE ALL MEMORY IS", dim)]]
        for line in lines[:BALANCE_LINES]:
            bar = units.permille_bar((line.share_pct or 0) / 100, 10)
            shown.append(
                [
                    (f" {line.label:<22}", plain),
                    (f"{units.size(line.bytes):>9} ", theme.style(theme.BRIGHT)),
                    (f"{units.percent(line.share_pct, 1):>7} ", dim),
                    (bar, theme.style(theme.CACHE)),
                ]
            )
        self.query_one("#balance-lines", Lines).show(*shown)

    @property
    def wanted(self) -> Plan:
        processes = self.query_one(ProcessList)
        return Plan(
            processes.on_screen(),
            every_detail=processes.needs_every_detail,
            details=(processes.needs & DETAIL_FILES) or None,
        )

    @property
    def main(self) -> ProcessList:
        return self.query_one(ProcessList)

    @property
    def topics(self) -> Sequence[str]:
        return TOPICS

    # What its widgets tell; what concerns the list of processes goes on to the application.

    async def on_table_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        self.post_message(Table.Moved(event.table))
        await self.run_action("enter")

    def on_table_head_clicked(self, event: Table.HeadClicked) -> None:
        if isinstance(event.table, ProcessList):
            event.table.sort_by(event.column)
            self._rearranged()

    # What keys do.

    async def action_enter(self) -> None:
        await self.run_action("app.view('map')")

    def action_back(self) -> None:
        self._set_filter("", True)

    async def action_filter(self) -> None:
        from memtui.tui.widgets.prompt import ask

        before = self.query_one(ProcessList).filter
        await ask(self, "filter: ", self._set_filter, before, live=True)

    def _set_filter(self, text: str, final: bool) -> str:
        complaint = self.query_one(ProcessList).set_filter(text)
        self._rearranged()
        return "" if final else complaint

    def action_sort(self) -> None:
        self.query_one(ProcessList).sort_next()
        self._rearranged()

    def action_invert(self) -> None:
        self.query_one(ProcessList).invert()
        self._rearranged()

    def _rearranged(self) -> None:
        """Other rows are on the screen, and maybe another under the cursor."""
        processes = self.query_one(ProcessList)
        self._show_filter()
        self.post_message(Table.Moved(processes))

    def action_zoom(self, step: int) -> None:
        at = WINDOWS_S.index(self._window_s) - step
        self._window_s = WINDOWS_S[max(0, min(at, len(WINDOWS_S) - 1))]
        if self._moment is not None:
            self.query_one(Headline).update(self._moment, self._window_s)
        self._show_graphs()

    def action_scale(self) -> None:
        if self._graphs:
            self._graphs[0].zoomed = not self._graphs[0].zoomed
            self._show_graphs()

    def show_map(self, chosen: Chosen) -> None:
        """The chosen process's map, its state, or why there is none."""
        processes = self.query_one(ProcessList)
        if chosen.key is not None and processes.selected != chosen.key:
            processes.select(chosen.key, reveal=not chosen.by_itself)  # another view has gone to it
        self.query_one(MapBeside).show(chosen)


def _lacking(moment: Moment) -> dict[str, bool]:
    """The style classes of what a machine does not have."""
    return {
        "-no-psi": not isinstance(moment.sample.system.pressure, Pressure),
        "-no-swap": not moment.free.swap_total,
    }
