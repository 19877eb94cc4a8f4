"""A control group: how full it is and until when, and its processes as the OOM killer ranks them."""

from __future__ import annotations

import time
from typing import ClassVar

from textual.binding import BindingType

from memtui import units
from memtui.kernel.cgroups import Level
from memtui.kernel.files import Gap
from memtui.model.cgroups.names import readable_group
from memtui.model.oom.ranking import CandidateOom, signed
from memtui.model.shortage.trend import WINDOW_S, time_to_zero_s
from memtui.ondemand.oom import GroupNow, Outlook
from memtui.ondemand.questions import InsideGroup
from memtui.session.session import Session
from memtui.tui import theme
from memtui.tui.asking import may_look_again
from memtui.tui.keys import bindings
from memtui.tui.pages.base import why
from memtui.tui.pages.ranking import about
from memtui.tui.sheets.sheet import Sheet
from memtui.tui.widgets.page import Page, Row, Rows
from memtui.tui.words.cells import Column, Line

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_WARN = theme.style(theme.GROWS, bold=True)
_ALARM = theme.style(theme.ALARM, bold=True)
_TIGHT_SHARE = 0.9
_EVERY_S = 1.0

_COLUMNS = (
    Column("rank", "RANK", 4),
    Column("pid", "PID", 7),
    Column("name", "NAME", 15, "<"),
    Column("rss", "RSS", 9),
    Column("swap", "SWAP", 9, priority=3),
    Column("tables", "TABLES", 9, priority=4),
    Column("points", "POINTS", 10, priority=1),
    Column("adj", "ADJ", 5, priority=2),
    Column("group", " ITS GROUP", 0, "<", 5),
)


class GroupSheet(Sheet):
    """Read again while it is open, as the budget of such readings allows."""

    VIEW = "group"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def __init__(self, session: Session, path: str) -> None:
        super().__init__(session)
        self._path = path
        self._now: GroupNow | Gap | None = None
        self._rooms: list[tuple[float, float]] = []  # what was left, and when

    def begin(self) -> None:
        self._draw()
        self._ask()
        self.set_interval(_EVERY_S, self._ask_again)

    def _ask_again(self) -> None:
        if may_look_again(self):
            self._ask()

    def _ask(self) -> None:
        self.fetch(InsideGroup(self._path), self._took)

    def _took(self, now: GroupNow | Gap) -> None:
        pid = self._pid()
        self._now = now
        if isinstance(now, GroupNow) and now.room_bytes is not None:
            at = time.monotonic()
            self._rooms.append((at, float(now.room_bytes)))
            self._rooms = [each for each in self._rooms if at - each[0] <= WINDOW_S]
        pids = [each.pid for each in self._candidates()]
        if pid in pids:
            self.table.cursor = pids.index(pid)
        self._draw()

    def _candidates(self) -> list[CandidateOom]:
        outlook = self._now.outlook if isinstance(self._now, GroupNow) else None
        return list(outlook.ranking.candidates) if isinstance(outlook, Outlook) else []

    def _pid(self) -> int | None:
        candidates, at = self._candidates(), self.table.cursor
        return candidates[at].pid if at < len(candidates) else None

    def _draw(self) -> None:
        title: Line = [
            (" control group ", _DIM),
            (units.printable(readable_group(self._path)), theme.style(theme.ACCENT, bold=True)),
        ]
        now = self._now
        if now is None:
            self.show(Page(title, ["reading …"]))
            return
        if isinstance(now, Gap):
            self.show(Page(title, [f"The group is gone, or cannot be read: {now}."]))
            return
        head: list[str | Line] = [units.printable(self._path)]
        head += [gauge(each, each is now.tightest, self.size.width) for each in now.levels]
        head.append(self._pace())
        outlook = now.outlook
        if isinstance(outlook, Gap):
            self.show(Page(title, [*head, why(outlook, "the ranking")]))
            return
        head.append(f"† {outlook.prediction.sentence}.")
        candidates = self._candidates()
        self.show(
            Page(
                title,
                head,
                _COLUMNS,
                Rows(candidates, lambda each: self._row(each, outlook)),
                # Without the line of what another adj would do, which is tried elsewhere.
                lambda at: about(outlook, at, None)[:-1],
                "no process is in it",
            )
        )

    def _pace(self) -> str:
        """When it is full."""
        if not self._rooms:
            return (
                "Neither it nor a group above it has a limit: nothing here can run out by itself."
            )
        times, rooms = zip(*self._rooms, strict=True)
        if not rooms[-1]:
            return "It is at its limit: what it takes more must be given back by reclaim first."
        left_s = time_to_zero_s(times, rooms)
        watched = units.duration(times[-1] - times[0])
        if left_s is not None:
            left = units.duration(left_s)
            return f"At the pace of the last {watched} it is full in {left}."
        return f"It does not fill steadily, as far as {watched} of watching tell."

    def _row(self, each: CandidateOom, outlook: Outlook) -> Row:
        def size(pages: int | None) -> str:
            return units.size(None if pages is None else pages * outlook.page_bytes)

        first = each.rank == 1
        style = _BRIGHT if first else _PLAIN if each.rank is not None else _DIM
        inner = "" if each.group in (None, self._path) else readable_group(each.group or "")
        return {
            "rank": (str(each.rank) if each.rank is not None else "–", _ALARM if first else _DIM),
            "pid": (str(each.pid), _DIM),
            "name": (units.printable(each.name), style),
            "rss": (size(each.rss_pages), style),
            "swap": (size(each.swap_pages), _DIM),
            "tables": (size(each.page_table_pages), _DIM),
            "points": (units.count(each.points) if each.points is not None else "–", style),
            "adj": (units.UNKNOWN if each.adj is None else signed(each.adj), _DIM),
            "group": (" " + units.printable(each.immune or inner), _DIM),
        }

    def on_resize(self) -> None:
        super().on_resize()
        if self.is_attached and self.query("#sheet-head"):
            self._draw()

    @property
    def leads(self) -> bool:
        return self._pid() is not None

    async def action_goto(self) -> None:
        await self.run_action(f"app.open_pid({self._pid()})")


def gauge(level: Level, is_tightest: bool, width: int) -> Line:
    """How full a group is: a bar, what it uses of which limit, and what is left."""
    name = units.fit(units.printable(level.path.rstrip("/").rpartition("/")[2] or "/"), 24)
    used, limit = level.current_bytes, level.limit_bytes
    if limit is None or used is None:
        return [(f" {name} ", _DIM), (units.size(used), _PLAIN), (" · no limit of its own", _DIM)]
    share = used / limit if limit else 1.0
    full = share >= _TIGHT_SHARE
    bar = max(8, min(40, width - 80))
    return [
        (f" {name} ", _BRIGHT if is_tightest else _DIM),
        (units.permille_bar(share, bar), theme.style(theme.GROWS if full else theme.CACHE)),
        (f" {units.percent(100 * share)}", _WARN if full else _PLAIN),
        (f"  {units.size(used)} of {units.size(limit)}", _PLAIN),
        (f"  {units.size(max(0, limit - used))} left", _WARN if full else _DIM),
    ]
