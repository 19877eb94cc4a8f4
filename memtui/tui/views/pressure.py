"""View 4: what waits for memory, what reclaim does about it, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from memtui import units
from memtui.kernel.files import Gap
from memtui.live.plan import Plan
from memtui.model.system.metrics import METRICS
from memtui.session.seen import Seen
from memtui.session.session import Moment, Session
from memtui.settings.table import WINDOWS_S
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.pages.base import Arrangement, Facts
from memtui.tui.pages.events import EventTable
from memtui.tui.pages.figures import FigureTable
from memtui.tui.pages.oom import OomPage
from memtui.tui.pages.sar import SarTable
from memtui.tui.pages.zones import ZONES
from memtui.tui.views.view import View
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.page import wrapped
from memtui.tui.widgets.section import SectionPanel, SectionTable
from memtui.tui.widgets.tabs import Tabs
from memtui.tui.widgets.timewindow import MomentWanted, TimeWindow
from memtui.tui.widgets.verdictlines import VerdictBanner
from memtui.tui.words.cells import Line
from memtui.tui.words.deaths import log_words
from memtui.tui.words.frame import why_no_pressure
from memtui.tui.words.verdict import level_colour, level_glyph

if TYPE_CHECKING:
    from memtui.model.oom.obituary import Obituary
    from memtui.tui.widgets.graph import TimeGraph

_STALLS = ("stalled_some_pct", "stalled_full_pct")
_INSTEAD = "mem_available_bytes"
_EVENT_HEAD = 13  # cells of an event's time and mark
_PAGES = {
    "figures": "stalls, reclaim, refaults, faults, swap traffic, with their past",
    "sar": "what sar -r -B -S -W -H -q tell",
    "watermarks": "each zone's distance to its watermarks",
    "OOM": "whom the OOM killer would take, and the policy in force",
    "events": "what happened: kills, segfaults, thresholds, stalls",
}
PAGES = tuple(_PAGES)

OOM_TOPICS = (
    *("OOM killer", "oom_score", "oom_score_adj", "OOM", "overcommit", "panic_on_oom"),
    *("oom_kill_allocating_task", "memory cgroup"),
)


class PressureView(View):
    """The verdict, the stalls and the figure under the cursor as graphs, and pages of tables."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("pressure")]
    PAGES: ClassVar[Mapping[str, str]] = _PAGES

    def __init__(self, session: Session) -> None:
        super().__init__(session, id="pressure")
        self._window_s = session.settings.window_s
        self._moment: Moment | None = None
        self._graphs: list[TimeGraph] = []
        self._graphed = ""
        self._time_window = TimeWindow()
        self._page_name = PAGES[0]

    def compose(self) -> ComposeResult:
        yield VerdictBanner(id="verdict")
        with Horizontal(id="pressure-graphs"):
            with Vertical(id="pressure-stalls"):
                yield Lines(id="stalls-title")
            with Vertical(id="pressure-figure"):
                yield Lines(id="figure-title")
        yield Tabs(PAGES, id="pressure-tabs")
        yield FigureTable(id="figures")
        yield SarTable(id="sar")
        yield SectionPanel(id="watermarks")
        yield OomPage(id="OOM")
        yield EventTable(id="events")
        yield Lines(id="event-words")

    def on_mount(self) -> None:
        self._mount_graphs()
        self._turn_to(PAGES[0])

    def _mount_graphs(self) -> None:
        from memtui.tui.widgets.graph import stall_graph

        for place in ("#pressure-stalls", "#pressure-figure"):
            graph = stall_graph(time_axis=True)
            self.query_one(place).mount(graph)
            self._graphs.append(graph)

    @property
    def main(self) -> Table:
        page = self.query_one(f"#{self._page_name}")
        if isinstance(page, OomPage):
            return page.rows
        return page.rows if isinstance(page, SectionPanel) else self.query_one(f"#{page.id}", Table)

    @property
    def view_part(self) -> str:
        return self._page_name

    @property
    def wanted(self) -> Plan:
        fields = {"zones"} if self._page_name == "watermarks" else ()
        return Plan(fields=frozenset(fields))

    @property
    def topics(self) -> Sequence[str]:
        table = self.main
        if isinstance(table, FigureTable):
            return (table.metric,)
        if isinstance(table, SarTable):
            return (table.rows[table.cursor].name,)
        if self._page_name == "OOM":
            return OOM_TOPICS
        if isinstance(table, SectionTable):
            return (table.topic or "watermark",)
        event = table.current if isinstance(table, EventTable) else None
        return (event.metric,) if event and event.metric else ("verdict", "PSI", "OOM killer")

    def update(self, moment: Moment) -> None:
        self._moment = moment
        seen = moment.seen
        self.query_one(SarTable).show(seen.follow_sar(), moment.machine)
        self.set_class(isinstance(moment.sample.system.pressure, Gap), "-no-psi")
        events = self.query_one("#pressure-tabs", Tabs)
        events.note("events", str(len(seen.events)) if seen.events else "")
        self.query_one(VerdictBanner).update(seen.verdict)
        self._show_page()
        self._show_graphs()

    def _show_page(self) -> None:
        moment, table = self._moment, self.main
        if moment is None:
            return
        if isinstance(table, FigureTable):
            colours, glyph = self._evidence(moment.seen)
            only_known = moment.scope == "group"
            table.show(moment.history, self._window_s, colours, glyph, only_known=only_known)
        elif isinstance(table, EventTable):
            table.show(moment.seen.events, moment.machine)
            self._show_event()
        elif self._page_name == "OOM":
            self.query_one(OomPage).look(moment)
        elif isinstance(table, SectionTable):
            self.query_one(SectionPanel).update(ZONES, Facts.of(moment), Arrangement())

    @property
    def _obituary(self) -> Obituary | None:
        """Of the event under the cursor, where that is a death."""
        event = self.query_one(EventTable).current
        if event is None or self._moment is None:
            return None
        return self._moment.seen.obituaries.get(event)

    def _show_event(self) -> None:
        """The event under the cursor in full, and what is not seen."""
        if self._moment is None:
            return
        event, signs = self.query_one(EventTable).current, self._moment.sample.signs
        said: list[str | Line] = []
        if event is not None and self._obituary is not None:
            dim = theme.style(theme.DIM)
            said += [event.text, [(" Enter: all that is known of it", dim)]]
        elif event is not None and units.width(event.text) > self.size.width - _EVENT_HEAD:
            said.append(event.text)
        if signs is not None and (words := log_words(signs.log)):
            said += [[], words] if said else [words]
        words_ = self.query_one("#event-words", Lines)
        lines = wrapped(said, self.size.width)
        words_.show(*lines)
        words_.styles.height = len(lines)
        words_.display = bool(lines) and self._page_name == "events"

    @staticmethod
    def _evidence(seen: Seen) -> tuple[dict[str, str], str]:
        """The figures that made the verdict what it is, with its colour; its glyph."""
        verdict = seen.verdict
        if verdict is None or verdict.level in (None, "comfortable"):
            return {}, ""
        colour = level_colour(verdict.level)
        deciding = {each.metric: colour for each in verdict.evidence if each.decides}
        return deciding, level_glyph(verdict.level)

    def _turn_to(self, name: str) -> None:
        """Opens a page of tables."""
        self._page_name = name
        self.query_one("#pressure-tabs", Tabs).pick(name)
        for each in PAGES:
            self.query_one(f"#{each}").display = each == name
        self.query_one("#event-words").display = False
        self.set_class(name == "OOM", "-oom")
        self._show_page()
        self.post_message(self.Turned())

    def on_tabs_picked(self, event: Tabs.Picked) -> None:
        event.stop()
        self._turn_to(event.name)
        self.screen.set_focus(self.main)

    def open_page(self, name: str) -> None:
        self._turn_to(name)
        self.screen.set_focus(self.main)

    def action_turn(self, by: int) -> None:
        self._turn_to(self.query_one("#pressure-tabs", Tabs).step(by))
        self.screen.set_focus(self.main)

    def _show_graphs(self) -> None:
        """The stalls where there is room, and beside them the figure under the cursor."""
        from memtui.tui.widgets.graph import Curve
        from memtui.tui.widgets.plotting import figure_ticks, figure_top

        moment = self._moment
        if moment is None or not self._graphs:
            return
        dim = theme.style(theme.DIM)
        self.query_one("#stalls-title", Lines).show(
            [
                (" tasks waited for memory: ", dim),
                ("some", theme.style(theme.GROWS, bold=True)),
                (" above, ", dim),
                ("all", theme.style(theme.ALARM, bold=True)),
                (" below", dim),
            ]
        )
        name, why_other = self._graphed_figure()
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
                (why_other, dim),
                (f" {metric.label} ", theme.style(theme.BRIGHT, bold=True)),
                (metric.text(moment.history.latest(name)), theme.style(theme.ACCENT)),
            ]
        )
        wound = self._time_window.wound(moment, self._window_s)
        for graph in self._graphs:
            graph.show(moment.history, self._window_s, list(moment.seen.marks), wound)

    def _graphed_figure(self) -> tuple[str, str]:
        """The figure under the cursor, or available where that has no graph of its own: the stalls
        beside it are drawn already, or its source gave nothing, which is said."""
        name = self.query_one(FigureTable).metric
        assert self._moment is not None
        system = self._moment.sample.system
        source = METRICS[name].source.split()[0]
        gap = {
            "/proc/pressure/memory": system.pressure,
            "/proc/vmstat": system.vmstat,
            "/proc/meminfo": system.meminfo,
        }.get(source)
        if isinstance(gap, Gap):
            words = why_no_pressure(gap) if gap is system.pressure else str(gap)
            return _INSTEAD, f" {METRICS[name].label} n/a: {words} ·"
        is_beside = self.screen.has_class("-wide") and name in _STALLS
        return (_INSTEAD, "") if is_beside else (name, "")

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        if event.table is self.main and isinstance(event.table, EventTable):
            self._show_event()
        self._show_graphs()

    async def on_table_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        await self.action_enter()

    async def action_enter(self) -> None:
        from memtui.tui.sheets.obituary import ObituarySheet

        if self._page_name == "OOM":
            self.query_one(OomPage).enter()
            return
        event = self.query_one(EventTable).current if self._page_name == "events" else None
        if event is None:
            return
        if self._obituary is not None:
            await self.app.push_screen(ObituarySheet(self.session, self._obituary))
        else:
            self.post_message(MomentWanted(event.time_s))

    def action_back(self) -> None:
        if self._page_name == "OOM" and self.query_one(OomPage).back():
            self._show_page()

    async def action_find(self) -> None:
        from memtui.tui.widgets.prompt import ask

        page = self.query_one(OomPage)
        if self._page_name != "OOM":
            self._turn_to("OOM")
            self.screen.set_focus(self.main)
        await ask(self, "process: ", lambda text, final: page.find(text))

    async def action_what_if(self) -> None:
        from memtui.tui.widgets.prompt import ask

        page = self.query_one(OomPage)
        if self._page_name != "OOM":
            self._turn_to("OOM")
            self.screen.set_focus(self.main)
        await ask(self, "oom_score_adj to try: ", lambda text, final: page.try_adj(text))

    async def action_policy(self) -> None:
        from memtui.tui.sheets.policy import PolicySheet

        outlook = self.query_one(OomPage).outlook
        if outlook is None:
            self._turn_to("OOM")
            self.screen.set_focus(self.main)
        else:
            await self.app.push_screen(PolicySheet(self.session, outlook))

    def action_zoom(self, step: int) -> None:
        if self._page_name == "OOM":
            self.query_one(OomPage).try_step(step)
            return
        at = WINDOWS_S.index(self._window_s) - step
        self._window_s = WINDOWS_S[max(0, min(at, len(WINDOWS_S) - 1))]
        if self._moment is not None:
            self.update(self._moment)
