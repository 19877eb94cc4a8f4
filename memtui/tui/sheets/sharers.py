"""Who else maps what the cursor is on, and what share of it each pays."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.map.labels import label
from memtui.ondemand.question import Asked
from memtui.ondemand.questions import WhoMaps
from memtui.ondemand.sharers import Sharer, Sharers
from memtui.session.session import Session
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.sheets.sheet import Sheet
from memtui.tui.widgets.page import Page, Row, Rows
from memtui.tui.words.cells import Column, Line

_DIM = theme.style(theme.DIM)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)

_COLUMNS = (
    Column("pid", "PID", 7),
    Column("name", "NAME", 16, "<"),
    Column("user", "USER", 10, "<", 2),
    Column("pss", "PSS", 8),
    Column("share", "PAYS", 5),
    Column("rss", "RSS", 8),
    Column("private", "PRIVATE", 8, priority=3),
    Column("shared", "SHARED", 8, priority=4),
    Column("swap", "SWAP", 8, priority=5),
    Column("size", "SIZE", 8, priority=1),
    Column("path", "ITS NAME FOR IT", 0, "<", 6),
)


class SharersSheet(Sheet):
    """Goes through all processes on a thread; Esc stops it, and closes it when it has ended."""

    VIEW = "sharers"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._asked: Asked | None = None
        self._is_done = False
        self._found = Sharers()
        self._what: Line = ()

    def begin(self) -> None:
        map_, row = self.chosen.map, self.chosen.row()
        if map_ is None:
            self.dismiss()
            return
        mappings, kind = map_.mappings, map_.kind(row)
        words = units.printable(mappings.paths[row] or label(map_, row).words)
        self._what = [(" who maps ", _DIM), (words, theme.style(kind.colour, bold=True))]
        dev, inode, path = mappings.devs[row], mappings.inodes[row], mappings.paths[row]
        self._draw("looking …")
        self._asked = self.fetch(WhoMaps(dev, inode, path), self._done, self._progress)

    def _progress(self, done: int, total: int) -> None:
        self._draw(f"{units.count(done)} of {units.count(total)} processes looked at · Esc stops")

    def _done(self, found: Sharers | Gap) -> None:
        self._is_done = True
        self._found = Sharers(reason=str(found)) if isinstance(found, Gap) else found
        self._draw("")

    def _draw(self, progress: str) -> None:
        found = self._found
        words = found.words if self._is_done else [progress]
        total = found.pss_bytes
        sentences = [each[:1].upper() + each[1:] + ("" if progress else ".") for each in words]
        self.show(
            Page(
                self._what,
                sentences,
                _COLUMNS if found.processes else (),
                Rows(found.processes, lambda each: self._row(each, total)),
            )
        )

    def _row(self, each: Sharer, total: int | None) -> Row:
        own = each.key == self.chosen.key
        share = None if not total or each.pss_bytes is None else 100 * each.pss_bytes / total
        return {
            "pid": (str(each.key.pid), _BRIGHT if own else _DIM),
            "name": (units.printable(each.name), _BRIGHT) if own else units.printable(each.name),
            "user": (self.session.machine.users.name(each.uid), _DIM),
            "pss": (units.size(each.pss_bytes), _BRIGHT),
            "share": units.percent(share),
            "rss": units.size(each.rss_bytes),
            "private": units.size(each.private_bytes),
            "shared": units.size(each.shared_bytes),
            "swap": (units.size(each.swap_bytes), _DIM),
            "size": (units.size(each.size_bytes), _DIM),
            "path": (units.printable(each.path), _DIM),
        }

    @property
    def leads(self) -> bool:
        return bool(self._found.processes)

    async def action_goto(self) -> None:
        pid = self._found.processes[self.table.cursor].key.pid
        await self.run_action(f"app.open_pid({pid})")

    def action_close(self) -> None:
        if self._is_done or self._asked is None or self._asked.is_stopped:
            super().action_close()
        else:
            self._asked.stop()
