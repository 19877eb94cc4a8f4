"""View 2: every process, alone, in groups or as a tree; what the chosen one is; acting on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from memtui import units
from memtui.kernel.details import DETAIL_FILES, Shares
from memtui.kernel.files import Gap
from memtui.live.plan import Plan
from memtui.model.keys import ProcessKey
from memtui.model.oom.prospects import prospects_of
from memtui.model.processes.columns import COLUMNS, Prospect
from memtui.model.processes.groups import GROUPINGS, group_of, grouped
from memtui.model.sample import ProcessSample, Sample
from memtui.ondemand.place import Place
from memtui.ondemand.questions import PlaceOf
from memtui.session.chosen import Chosen
from memtui.session.session import Moment, Session
from memtui.tui import theme
from memtui.tui.acting import Acting
from memtui.tui.asking import look_up
from memtui.tui.keys import bindings
from memtui.tui.views.view import View
from memtui.tui.widgets.groups import GroupTable
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.processcells import DEFAULT_COLUMNS
from memtui.tui.widgets.processes import ProcessList
from memtui.tui.words.cells import Line, Part, spread
from memtui.tui.words.frame import filter_parts
from memtui.tui.words.processes import group_panel, panel

_PLACE_AGAIN_S = 5.0  # limits and groups of the chosen process are read again after this
_ROWS_AHEAD = 6
_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)


class FullList(ProcessList):
    """The list with all columns; `g` groups it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("g", "group", show=False)]

    def on_screen(self) -> frozenset[ProcessKey]:
        """Those on the screen, and some below that are there when one above ends."""
        rows = self._rows[self.top : self.top + self.body_height + _ROWS_AHEAD]
        return frozenset(row.key for row in rows)


class ProcessesView(View):
    """One list of processes or groups; the application decides which process is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("processes")]

    def __init__(self, session: Session) -> None:
        super().__init__(session, id="processes")
        self._moment: Moment | None = None
        self._grouping = ""
        self._within: tuple[str, str] | None = None  # a group whose members are shown
        self._asked_s: float | None = None  # since when all PSS is being read
        self._place: Place | Gap | None = None
        self._place_of: ProcessKey | None = None  # whose that is, or is waited for
        self._place_due_s = 0.0

    def compose(self) -> ComposeResult:
        yield Lines(id="processes-title")
        yield FullList(DEFAULT_COLUMNS, least=14, id="process-list")
        yield GroupTable(id="process-groups")
        yield Lines(id="process-panel")

    def on_mount(self) -> None:
        self._acting = Acting(self, self.processes)
        self._group("")

    @property
    def processes(self) -> ProcessList:
        return self.query_one("#process-list", ProcessList)

    @property
    def groups(self) -> GroupTable:
        return self.query_one(GroupTable)

    @property
    def main(self) -> Table:
        return self.groups if self._grouping else self.processes

    @property
    def topics(self) -> Sequence[str]:
        shown = (COLUMNS[column.name] for column, _ in self.processes.columns())
        return [column.topic for column in shown if column.topic]

    # What it wants read.

    @property
    def wanted(self) -> Plan:
        """The rows on the screen, and every process where sums or the order need all."""
        processes = self.processes
        if self._grouping:
            files = frozenset({"cgroup"}) if self._grouping in ("unit", "cgroup") else frozenset()
            return Plan(
                every_detail=True,
                details=files | {"cmdline"},
                shares=self._sharing(),
                hurry=self._hurry,
            )
        visible, needs = processes.on_screen(), processes.needs
        details = needs & DETAIL_FILES
        every_detail = processes.needs_every_detail
        shares: Set[ProcessKey] = frozenset()
        if processes.needs_every_share or self._hurry:
            shares = self._sharing()
        elif "shares" in needs:
            shares = self._sharing(visible)
        within = self._within is not None and self._within[0] != "program"
        return Plan(
            visible,
            every_detail=every_detail or within,
            details=details,
            shares=shares,
            hurry=self._hurry,
        )

    @property
    def _hurry(self) -> bool:
        return self._asked_s is not None

    def _sharing(self, keys: Set[ProcessKey] | None = None) -> frozenset[ProcessKey]:
        """Those that have memory to share."""
        if self._sample is None:
            return frozenset()
        everyone = self._sample.processes
        among = everyone.values() if keys is None else map(everyone.get, keys)
        return frozenset(each.key for each in among if each is not None and each.rss_bytes)

    # What is shown.

    @property
    def _sample(self) -> Sample | None:
        return self._moment.sample if self._moment else None

    def update(self, moment: Moment) -> None:
        self._moment = moment
        prospects: Mapping[ProcessKey, Prospect] = {}
        if self.processes.needs_ranks:
            prospects = prospects_of(moment.sample, moment.machine.page_bytes)
        self.processes.learn(moment, prospects)
        self._rearrange()

    def _rearrange(self) -> None:
        if self._sample is None:
            return
        processes = self.processes
        facts = processes.facts
        if facts is None:
            return
        if self._within is not None:
            grouping, name = self._within
            everyone = self._sample.processes.values()
            processes.within = frozenset(
                each.key for each in everyone if group_of(facts, each, grouping) == name
            )
        else:
            processes.within = None
        if self._grouping:
            rows = processes.fitting(self._sample.processes.values())
            self.groups.show(
                grouped(facts, rows, self._grouping), self._grouping, self.processes.counted_s
            )
        else:
            processes.rearrange()
        self._show_title()
        self._show_panel()

    def _show_title(self) -> None:
        self.query_one("#processes-title", Lines).draw(lambda width: [self._title(width)])

    def _title(self, width: int) -> Line:
        processes = self.processes
        if self._sample is None or processes.facts is None:
            return []
        total = len(self._sample.processes)
        left: list[Part] = [(" ", _DIM)]
        if self._grouping:
            left += [(units.count(self.groups.row_count()), _BRIGHT), (" groups by ", _DIM)]
            left += [(self._grouping, _ACCENT), (f" of {units.count(total)} processes", _DIM)]
        else:
            count = processes.row_count()
            # One that has ended keeps its row for as long as the cursor is on it.
            shown = units.count(count) + (f" of {units.count(total)}" if count < total else "")
            left += [(shown, _BRIGHT), (" process" if shown == "1" else " processes", _DIM)]
            if self._within is not None:
                grouping, name = self._within
                left += [(f" · {grouping} ", _DIM), (units.printable(name), _ACCENT)]
            if processes.as_tree:
                left.append((" · tree", _ACCENT))
        if processes.filter:
            left += [(" ·", _DIM), *filter_parts(processes.filter)]
        right: list[Part] = []
        if self._hurry:
            done, all_ = self._progress()
            right = [
                ("reading PSS ", _DIM),
                (f"{units.count(done)} of {units.count(all_)} ", _ACCENT),
            ]
        elif not self._grouping:
            sort, downwards = processes.sorted_by() or ("rss", True)
            right = [("by ", _DIM), (f"{sort} {'▼' if downwards else '▲'} ", _PLAIN)]
        else:
            right = [("≤: at most, PSS of some is not read · P reads all ", _DIM)]
            if all(group.is_exact for group in self.groups.rows):
                right = [("PSS: no page counts twice ", _DIM)]
        return spread(left, right, width)

    def _progress(self) -> tuple[int, int]:
        """How many of those that have memory were read since that was asked for."""
        if self._sample is None or self._asked_s is None:
            return 0, 0
        wanted, shares = self._sharing(), self._sample.shares
        done = 0
        for key in wanted:
            found = shares.get(key)
            if found is not None and not (
                isinstance(found, Shares) and found.time_s < self._asked_s
            ):
                done += 1
        return done, len(wanted)

    def _show_panel(self) -> None:
        lines = self.query_one("#process-panel", Lines)
        processes = self.processes
        facts, process = processes.facts, processes.current
        if self._hurry:
            done, all_ = self._progress()
            if done >= all_:
                self._asked_s = None
                self._show_title()
                self.post_message(self.Turned())
        group = self.groups.current if self._grouping else None
        if facts is not None and group is not None:
            lines.draw(lambda width: group_panel(facts, group, width))
            return
        if self._grouping or facts is None or process is None:
            lines.show()
            return
        self._read_place(process)
        place = self._place if self._place_of == process.key else None
        chosen = self.session.chosen
        lines.draw(lambda width: panel(facts, process, place, chosen, width))

    def _read_place(self, process: ProcessSample) -> None:
        """Limits and group of the process under the cursor, now and then."""
        key, sample = process.key, self._sample
        if sample is None or (key == self._place_of and sample.time_s < self._place_due_s):
            return
        if key != self._place_of:
            self._place, self._place_of = None, key
        self._place_due_s = sample.time_s + _PLACE_AGAIN_S

        def then(place: Place | Gap) -> None:
            self._place = place
            self._show_panel()

        look_up(self, PlaceOf(key), then)

    def show_map(self, chosen: Chosen) -> None:
        if chosen.key is not None and self.processes.selected != chosen.key:
            self.processes.select(chosen.key, reveal=not chosen.by_itself)
        self._show_panel()

    # What its widgets tell; what concerns the list goes on to the application.

    def on_table_moved(self, event: Table.Moved) -> None:
        if isinstance(event.table, GroupTable):
            event.stop()
        self._show_panel()

    async def on_table_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        if isinstance(event.table, ProcessList):
            self.post_message(Table.Moved(event.table))
        await self.run_action("enter")

    def on_table_head_clicked(self, event: Table.HeadClicked) -> None:
        event.stop()
        self._sort_by(event.column)

    def _told(self) -> None:
        """Other rows are on the screen, and maybe another under the cursor."""
        self._rearrange()
        if not self._grouping:
            self.post_message(Table.Moved(self.processes))
        self.post_message(self.Turned())

    # What keys do.

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        if action in ("signal", "adjust"):
            return self._acting.why_not(self._acted_on)
        if action == "undo":
            return self._acting.why_no_undo()
        if action == "read_all" and self.session.is_past:
            return "this is the past: only what was read then is known of it"
        if action == "enter" and self._grouping and self.groups.current is None:
            return "no group is listed"
        return super().refuses(action, parameters)

    async def action_enter(self) -> None:
        group = self.groups.current
        if not self._grouping:
            await self.run_action("app.view('map')")
        elif group is not None:
            self._within = (self._grouping, group.name)
            self._group("")

    async def action_back(self) -> None:
        processes = self.processes
        if processes.filter:
            self._set_filter("", True)
        elif self._within is not None:
            grouping, self._within = self._within[0], None
            self._group(grouping)
        elif self._grouping:
            self._group("")
        elif processes.as_tree:
            self.action_tree()
        else:
            await self.run_action("app.view('overview')")

    def action_group(self) -> None:
        """To the next way of grouping, and after the last to single processes."""
        ways = ("", *GROUPINGS)
        now = self._within[0] if self._within else self._grouping
        self._within = None
        self._group(ways[(ways.index(now) + 1) % len(ways)])

    def _group(self, grouping: str) -> None:
        self._grouping = grouping
        self.processes.display = not grouping
        self.groups.display = bool(grouping)
        if self.app.focused in (self.processes, self.groups, None):
            self.screen.set_focus(self.main)
        self._told()

    def action_tree(self) -> None:
        self.processes.set_tree(not self.processes.as_tree)
        self._within = None
        self._group("")

    async def action_filter(self) -> None:
        from memtui.tui.widgets.prompt import ask

        await ask(self, "filter: ", self._set_filter, self.processes.filter, live=True)

    def _set_filter(self, text: str, final: bool) -> str:
        complaint = self.processes.set_filter(text)
        self._told()
        return "" if final else complaint

    def action_sort(self) -> None:
        from memtui.tui.sheets.choice import Choice, ChoiceSheet

        if self._grouping:
            choices = [Choice(name, words) for name, words in GroupTable.WORDS.items()]
        else:
            names = dict.fromkeys((*self.processes.names, *COLUMNS))
            choices = [Choice(name, COLUMNS[name].words) for name in names if name != "trend"]
        here = self.main.sorted_by() or ("rss", True)
        self.app.push_screen(
            ChoiceSheet("sort by", choices, (here[0],)),
            lambda taken: self._sort_by(taken[0]) if taken else None,
        )

    def _sort_by(self, name: str) -> None:
        if self._grouping:
            self.groups.sort_by(name)
        else:
            self.processes.sort_by("gain" if name == "trend" else name)
        self._told()

    def show_by(self, column: str) -> None:
        """All processes, the largest of that figure first."""
        self._within = None
        self.processes.set_filter("")
        if self.processes.as_tree:
            self.processes.set_tree(False)
        self.processes.lead_with(column)
        self._group("")

    def action_invert(self) -> None:
        (self.groups if self._grouping else self.processes).invert()
        self._told()

    def action_columns(self) -> None:
        from memtui.tui.sheets.choice import Choice, ChoiceSheet

        def choose(taken: list[str] | None) -> None:
            if taken:
                self.processes.choose_columns(taken)
                self._told()

        choices = [Choice(column.name, column.words) for column in COLUMNS.values()]
        self.app.push_screen(
            ChoiceSheet("columns", choices, self.processes.names, several=True), choose
        )

    async def action_leaks(self) -> None:
        from memtui.tui.sheets.leaks import LeaksSheet

        await self.app.push_screen(LeaksSheet(self.session))

    def action_read_all(self) -> None:
        """Reads the PSS of all, whatever that costs, and shows how far it is."""
        if self._sample is not None:
            self._asked_s = self._sample.time_s
            self._told()

    # Acting on the process under the cursor. Each asks before it does anything.

    @property
    def _acted_on(self) -> ProcessSample | None:
        return None if self._grouping else self.processes.current

    def action_signal(self) -> None:
        self._acting.signal(self._acted_on)

    async def action_adjust(self) -> None:
        await self._acting.adjust(self._acted_on)

    def action_undo(self) -> None:
        self._acting.undo()
