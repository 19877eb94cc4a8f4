"""The page of the OOM killer's ranking: read while it is open, seldom enough to cost little."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical

from memtui import units
from memtui.kernel.cgroups import Confinement
from memtui.kernel.files import Gap
from memtui.model.oom.ranking import ADJ_MAX, ADJ_MIN
from memtui.ondemand.oom import Outlook
from memtui.ondemand.questions import OutlookIn, TightestGroup
from memtui.session.session import Moment
from memtui.targets import meant
from memtui.tui.asking import look_up, may_look_again
from memtui.tui.pages.base import only_words, why
from memtui.tui.pages.ranking import RankTable, Trial, policy_lines, ranking_page, stepped
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.page import wrapped

_LEAST_ROWS = 8


class OomPage(Vertical):
    """Who would be taken, everybody in the kernel's order, one process's points, the policy."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._group: str | None = None
        self._inside: str | None = None  # the group that was gone into
        self._outlook: Outlook | Gap | None = None
        self._trial: Trial | None = None
        self._moment: Moment | None = None
        self._is_due, self._waits = True, False
        self._then_s: float | None = None  # the moment that it is of, None: now
        self._about_width = self._about_height = 0
        self.rows = RankTable()

    def compose(self) -> ComposeResult:
        yield Lines(id="oom-head")
        yield self.rows
        yield Lines(id="oom-about")
        yield Lines(id="oom-policy")

    @property
    def outlook(self) -> Outlook | None:
        """What was read last."""
        return self._outlook if isinstance(self._outlook, Outlook) else None

    def look(self, moment: Moment) -> None:
        """Shows the ranking of the machine, of the group that is looked at, or of the one that was
        gone into; reads it again when due."""
        self._moment = moment
        confinement = moment.sample.system.confinement
        group = None
        if moment.scope == "group" and isinstance(confinement, Confinement):
            group = confinement.group.path
        group = self._inside or group
        if group != self._group:
            # What there was stays until the other is read, and says itself where it is of.
            self._group, self._trial, self._is_due = group, None, True
        then_s = moment.sample.time_s if moment.is_past else None
        if then_s != self._then_s:
            self._then_s, self._is_due = then_s, True
        # One at a time: a recording is played faster than answers come.
        is_due = self._is_due or may_look_again(self)
        if is_due and not moment.is_frozen and not self._waits:
            self._is_due, self._waits = False, True
            look_up(self, OutlookIn(group), self._took)
        self._show()

    @property
    def _is_frozen(self) -> bool:
        return self._moment is not None and self._moment.is_frozen

    def _took(self, found: Outlook | Gap) -> None:
        self._waits = False
        if not self._is_frozen:
            self._outlook = found
            self._show()
        if self._is_due and self._moment is not None:
            self.look(self._moment)

    def _show(self) -> None:
        if not self.is_attached or not self.display:
            return
        width = self.size.width
        outlook = self._outlook
        head = self.query_one("#oom-head", Lines)
        if isinstance(outlook, Outlook):
            page = ranking_page(outlook, width, self._trial)
        elif outlook is not None:
            page = only_words(why(outlook, "the ranking"))
        else:
            page = only_words("frozen: nothing is read" if self._is_frozen else "reading …")
        lines = wrapped(page.head, width)
        head.show(*lines)
        head.styles.height = len(lines)
        self.rows.display = bool(page.columns)
        self.rows.show(page)
        if self.rows.display and self.screen.focused is None:
            self.screen.set_focus(self.rows)  # it lost the keys while it was hidden
        self._lay_out(len(lines))

    def _lay_out(self, head: int) -> None:
        """The row's detail always, the policy where the rows keep enough room."""
        width, outlook = self.size.width, self._outlook
        about, policy = self.query_one("#oom-about", Lines), self.query_one("#oom-policy", Lines)
        about.display = policy.display = isinstance(outlook, Outlook)
        if not isinstance(outlook, Outlook):
            return
        words = wrapped(self.rows.page.about(self.rows.cursor), width)
        rules = policy_lines(outlook, width)
        about.show(*words)
        if width != self._about_width:
            self._about_width, self._about_height = width, 0
        # As high as it ever was at this width: nothing jumps.
        self._about_height = max(self._about_height, len(words))
        about.styles.height = self._about_height
        policy.show(*rules)
        policy.styles.height = len(rules)
        room = self.size.height - head - self._about_height - 1
        policy.display = room - len(rules) - 1 >= _LEAST_ROWS

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._show)

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        outlook = self.outlook
        if outlook is not None and self._trial is not None and self._trial.pid != self._pid():
            self._trial = None
        self._show()

    def _pid(self) -> int | None:
        outlook, at = self.outlook, self.rows.cursor
        if outlook is None or at >= len(outlook.ranking.candidates):
            return None
        return outlook.ranking.candidates[at].pid

    # What keys do.

    def try_step(self, by: int) -> None:
        """The next round adj for the process under the cursor."""
        outlook, pid = self.outlook, self._pid()
        candidate = None if outlook is None or pid is None else outlook.ranking.of(pid)
        if candidate is not None:
            self._trial = stepped(candidate, self._trial, by)
            self._show()

    def try_adj(self, text: str) -> str:
        """That adj for it; what is wrong with the text."""
        pid = self._pid()
        try:
            adj = int(text.replace("−", "-"))
        except ValueError:
            return "a number from -1000 to 1000"
        if not ADJ_MIN <= adj <= ADJ_MAX:
            return "from -1000 to 1000"
        if pid is not None:
            self._trial = Trial(pid, adj)
            self._show()
        return ""

    def find(self, text: str) -> str:
        """The cursor to the first of the ranking that is or is named so; what is wrong with it."""
        outlook = self.outlook
        found = meant(text, outlook.ranking.candidates) if outlook is not None and text else []
        if outlook is None or not found:
            return f"no process is or is named {units.printable(text)!r}" if text else ""
        self.rows.go(outlook.ranking.candidates.index(found[0]))
        return ""

    def enter(self) -> None:
        """Into the group around the process under the cursor that is nearest to its limit."""
        pid = self._pid()
        if pid is not None and self._is_frozen:
            self.notify("frozen: nothing is read", timeout=3)
        elif pid is not None:
            look_up(self, TightestGroup(pid), self._go_into)

    def _go_into(self, path: str | Gap | None) -> None:
        if path is None or isinstance(path, Gap):
            self.notify("it is in no memory cgroup that can be seen here", timeout=3)
        elif self._moment is not None:
            self._inside = path
            self.look(self._moment)

    def back(self) -> bool:
        """Takes back the adj that is tried, or leaves the group; whether there was either."""
        if self._trial is not None:
            self._trial = None
            self._show()
            return True
        inside, self._inside = self._inside, None
        return inside is not None
