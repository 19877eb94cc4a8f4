"""What leaks, and what grew between two moments: of what is kept in memory, and of a replay."""

from __future__ import annotations

import time
from typing import ClassVar, Final, Literal, NamedTuple

from textual.binding import BindingType

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.processes.grew import Grown, grown, grown_by
from memtui.model.processes.leaks import Leak
from memtui.ondemand.question import Work
from memtui.recording.hunt import Hunt, hunt, looks_between
from memtui.recording.store import Unusable
from memtui.recording.times import EXPECTED, time_of
from memtui.session.past import Past
from memtui.session.session import Session
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.sheets.sheet import Sheet
from memtui.tui.widgets.page import Page, Row, Rows
from memtui.tui.words.cells import Column, Line, Part

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)

Way = Literal["leaks", "process", "name", "user", "cgroup"]
_WAYS: Final[dict[Way, str]] = {
    "leaks": "the leak hunt",
    "process": "what grew",
    "name": "what grew, by name",
    "user": "what grew, by user",
    "cgroup": "what grew, by control group",
}

_LEAKS = (
    Column("what", "WHAT", 7, "<"),
    Column("pid", "PID", 7),
    Column("name", "NAME", 15, "<"),
    Column("since", "SINCE", 8),
    Column("slope", "A MINUTE", 9),
    Column("grown", "GREW BY", 9),
    Column("sure", "SURE", 6),
    Column("eaten", "ALL EATEN IN", 12, priority=1),
    Column("place", "MAPPING", 0, "<", 2),
)
_PROCESSES = (
    Column("gain", "GAINED", 9),
    Column("before", "BEFORE", 9),
    Column("after", "AFTER", 9),
    Column("most", "MOST", 9, priority=1),
    Column("pid", "PID", 7),
    Column("what", "WHAT", 13, "<"),
    Column("name", "NAME", 0, "<"),
)
_GROUPS = (
    *_PROCESSES[:4],
    Column("count", "PROCESSES", 9),
    Column("born", "BORN", 6, priority=2),
    Column("ended", "ENDED", 6, priority=2),
    _PROCESSES[-1],
)


class _Found(NamedTuple):
    """What was found: by a hunt, or by a comparison of the moments at `first_s` and `last_s`."""

    first_s: float
    last_s: float
    hunt: Hunt | None = None
    grown: list[Grown] = []  # noqa: RUF012


class _Search(Work[_Found]):
    """Goes through what was kept, from one time to another, since the epoch; until it `is_stopped`."""

    __slots__ = ("_past", "_since_s", "_until_s", "_users", "_way", "is_stopped")

    def __init__(self, session: Session, past: Past, way: Way, since_s: float, until_s: float):
        self._past = past
        self._users = session.machine.users
        self._way = way
        self._since_s = since_s
        self._until_s = until_s
        self.is_stopped = False

    def work(self) -> _Found | Gap:
        try:
            recording = self._past.opened()
        except Unusable as error:
            return Gap("the past", "failed", str(error))
        try:
            if self._way == "leaks":
                found = hunt(recording, self._since_s, self._until_s, self._go_on)
                if found is None:
                    return Gap("the past", "absent", "nothing is kept of that time")
                return _Found(found.first.time_s, found.last.time_s, found)
            begins = self._since_s == float("-inf")
            before = recording.first if begins else recording.at(self._since_s)
            ends = self._until_s == float("inf")
            after = recording.last if ends else recording.at(self._until_s)
            if before is None or after is None or before.time_s >= after.time_s:
                return Gap("the past", "absent", "nothing is kept of that time")
            first, *between, last = looks_between(recording, before, after, self._go_on)
            if self._way == "process":
                rows = grown(first, last, between)
            else:
                rows = grown_by(first, last, self._way, self._users.name, between)
            return _Found(before.time_s, after.time_s, grown=rows)
        except Unusable as error:
            return Gap("the past", "failed", str(error))
        finally:
            recording.close()

    def _go_on(self, _done: int, _total: int) -> bool:
        return not self.is_stopped


class LeaksSheet(Sheet):
    """All that is kept until the moment that is shown, unless somebody says from when until when."""

    VIEW = "leaks"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._way: Way = "leaks"
        self._since_s = float("-inf")
        self._until_s: float | None = None
        self._search: _Search | None = None
        self._pids: list[int | None] = []

    def begin(self) -> None:
        past = self.session.past
        self._stop()
        self._pids = []
        if past is None:
            words = (
                "Nothing is kept here that could be looked through: memtui record FILE keeps it."
            )
            self.show(Page(self._title(None), [words]))
            return
        self.show(Page(self._title(None), ["going through what is kept …"]))
        self._search = _Search(self.session, past, self._way, self._since_s, self._end_s())
        self.fetch(self._search, self._draw)

    def _end_s(self) -> float:
        """Until when: what was asked for, else the moment that is shown."""
        if self._until_s is not None:
            return self._until_s
        moment = self.session.moment
        if moment is not None and moment.is_past and moment.at is not None:
            return moment.at
        return float("inf")

    def _stop(self) -> None:
        if self._search is not None:
            self._search.is_stopped = True

    def on_unmount(self) -> None:
        self._stop()
        super().on_unmount()

    def _title(self, found: _Found | None) -> Line:
        parts: list[Part] = [(f" {_WAYS[self._way]}", _ACCENT)]
        if found is not None:
            parts += [
                (f" from {_clock(found.first_s)} to {_clock(found.last_s)}", _BRIGHT),
                (f" · {units.duration(round(found.last_s - found.first_s))}", _DIM),
            ]
        return parts

    def _draw(self, found: _Found | Gap) -> None:
        if isinstance(found, Gap):
            self.show(Page(self._title(None), [f"Not to be told: {found.words}."]))
            return
        if found.hunt is not None:
            self._draw_hunt(found, found.hunt)
        else:
            self._draw_grown(found, found.grown)

    def _draw_hunt(self, found: _Found, hunted: Hunt) -> None:
        leaks = [*hunted.leaks, *hunted.plateaus]
        self._pids = [leak.series.pid for leak in leaks]
        head: list[str | Line] = [
            [(f" {hunted.words}", _DIM)],
        ]
        head += [] if hunted.leaks else ["Nothing grew steadily."]
        self.show(
            Page(
                self._title(found),
                head,
                _LEAKS if leaks else (),
                Rows(leaks, _leak_row),
                lambda at: [hunted.sentence(leaks[at])] if at < len(leaks) else [],
            )
        )

    def _draw_grown(self, found: _Found, rows: list[Grown]) -> None:
        changed = [each for each in rows if each.became != "same"]
        self._pids = [each.pid for each in changed]
        total = sum(each.gained_bytes for each in rows)
        head = f"RSS and swap, all together {units.change(total, short=False)}; / sets the two moments."
        self.show(
            Page(
                self._title(found),
                [head],
                _PROCESSES if self._way == "process" else _GROUPS,
                Rows(changed, _grown_row),
                empty="nothing grew or shrank",
            )
        )

    # What keys do.

    def action_grew(self) -> None:
        ways = list(_WAYS)
        self._way = ways[(ways.index(self._way) + 1) % len(ways)]
        self.table.set_cursor(0)
        self.begin()

    def action_again(self) -> None:
        self._until_s = None
        self.begin()

    async def action_span(self) -> None:
        from memtui.tui.widgets.prompt import ask

        await ask(self, "from when, until when: ", self._set_span, live=True)

    def _set_span(self, text: str, final: bool) -> str:
        """One time, or two; "" where they can be understood."""
        words = text.split()
        if len(words) > 2:
            return "one time or two: -30m, or 14:00 14:30"
        moment = self.session.moment
        now_s = time.time()
        if moment is not None and moment.is_past and moment.at is not None:
            now_s = moment.at
        booted_s, kept = self.session.machine.booted_s, self.session.kept
        there: tuple[float, ...] = ()
        if booted_s is not None and kept is not None:
            there = booted_s + kept[0], booted_s + kept[1]
        try:
            times = [time_of(word, now_s, *there) for word in words]
        except ValueError:
            return f"expected {EXPECTED}"
        if len(times) == 2 and times[0] >= times[1]:
            return "the second must be later"
        if final:
            self._since_s = times[0] if times else float("-inf")
            self._until_s = times[1] if len(times) == 2 else None
            self.begin()
        return ""

    @property
    def _pid(self) -> int | None:
        """Of the process under the cursor."""
        at = self.table.cursor
        return self._pids[at] if at < len(self._pids) else None

    @property
    def leads(self) -> bool:
        return self._pid is not None

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        if action in ("grew", "again", "span") and self.session.past is None:
            return "nothing is kept here that could be looked through"
        return super().refuses(action, parameters)

    async def action_goto(self) -> None:
        """The map of the process under the cursor."""
        await self.run_action(f"app.open_pid({self._pid})")


def _clock(time_s: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(time_s))


def _leak_row(leak: Leak) -> Row:
    series, growth = leak.series, leak.growth
    style = _DIM if leak.is_plateau else _PLAIN if series.what == "mapping" else _BRIGHT
    eaten = "no more" if leak.is_plateau else "ended" if series.has_ended else ""
    if leak.until_full_s is not None:
        eaten = units.duration(leak.until_full_s)
    name = f"{series.kind} {series.name}" if series.what == "group" else series.name
    grows = _DIM if leak.is_plateau else theme.style(theme.GROWS)
    return {
        "what": (series.what, _DIM),
        "pid": ("" if series.pid is None else str(series.pid), _DIM),
        "name": (name, style),
        "since": (_clock(growth.since_s), _DIM),
        "slope": (units.size(60 * growth.slope_per_s), grows),
        "grown": (units.size(growth.grown), style),
        "sure": (units.percent(100 * growth.certainty), style),
        "eaten": (eaten, style),
        "place": (series.place, _DIM),
    }


def _grown_row(each: Grown) -> Row:
    gained = each.gained_bytes
    colour = theme.GROWS if gained > 0 else theme.SHRINKS if gained < 0 else theme.DIM
    return {
        "gain": (units.change(gained, short=False), theme.style(colour)),
        "before": (units.size(each.before_bytes), _DIM),
        "after": (units.size(each.after_bytes), _PLAIN),
        "most": (units.size(each.most_bytes), _DIM),
        "pid": ("" if each.pid is None else str(each.pid), _DIM),
        "what": (each.became, _DIM if each.became in ("grew", "shrank") else _ACCENT),
        "count": (units.count(each.processes), _PLAIN),
        "born": (units.count(each.born), _DIM),
        "ended": (units.count(each.ended), _DIM),
        "name": (each.name, _BRIGHT if gained > 0 else _PLAIN),
    }
