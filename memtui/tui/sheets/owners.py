"""Who holds shared memory: tmpfs mounts, System V segments, memfds, GPU buffers, by size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.system.owners import Holder, Owner, Owners
from memtui.ondemand.question import Asked
from memtui.ondemand.questions import ShmemOwners
from memtui.session.session import Session
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.sheets.sheet import Sheet
from memtui.tui.widgets.page import Page, Row, Rows
from memtui.tui.words.cells import Column, Line

_DIM = theme.style(theme.DIM)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_TITLE: Line = [(" who holds shared memory", theme.style(theme.ACCENT, bold=True))]
_HOLDERS_LISTED = 12
_BAR = 16

_COLUMNS = (
    Column("held", "HOLDS", 9),
    Column("share", "SHARE", 6),
    Column("bar", "", _BAR, "<", 6),
    Column("kind", "KIND", 8, "<"),
    Column("name", "WHAT", 0, "<", least=16),
    Column("limit", "SIZE", 9, priority=4),
    Column("swap", "SWAP", 9, priority=5),
    Column("holders", "HELD BY", 26, "<", 2),
)


class OwnersSheet(Sheet):
    """Goes through all processes on a thread; Esc stops it, and closes it when it has ended."""

    VIEW = "owners"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._asked: Asked | None = None
        self._found: Owners | None = None

    def begin(self) -> None:
        self.show(Page(_TITLE, ["looking …"]))
        self._asked = self.fetch(ShmemOwners(), self._done, self._progress)

    def _progress(self, done: int, total: int) -> None:
        words = f"{units.count(done)} of {units.count(total)} processes looked at · Esc stops"
        self.show(Page(_TITLE, [words]))

    def _done(self, found: Owners | Gap) -> None:
        if isinstance(found, Gap):
            self._found = Owners()
            self.show(Page(_TITLE, [f"Not to be told: {found}."]))
            return
        self._found = found
        sentences = [f"{each[:1].upper()}{each[1:]}." for each in found.words]
        self.show(
            Page(
                _TITLE,
                sentences,
                _COLUMNS,
                Rows(found.owners, lambda each: self._row(each, found)),
                lambda at: self._owner(found, at),
                "nothing is found that holds shared memory",
            )
        )

    def _row(self, each: Owner, found: Owners) -> Row:
        style = _BRIGHT if each.is_counted else _DIM
        share = None
        if each.is_counted and each.held_bytes is not None and found.shmem_bytes:
            share = each.held_bytes / max(found.shmem_bytes, found.named_bytes)
        holders = each.holders
        by = "" if not holders else f"{units.printable(holders[0].name)} ({holders[0].key.pid})"
        if len(holders) > 1:
            by += f" and {units.count(len(holders) - 1)} more"
        least = "≥" if each.is_least else ""
        return {
            "held": (least + units.size(each.held_bytes), style),
            "share": ("" if share is None else units.percent(100 * share), style),
            "bar": (
                "" if share is None else units.permille_bar(share, _BAR),
                theme.style(theme.CACHE),
            ),
            "kind": (each.kind, _DIM),
            "name": (units.printable(each.name), style),
            "limit": ("" if each.limit_bytes is None else units.size(each.limit_bytes), _DIM),
            "swap": ("" if each.swap_bytes is None else units.size(each.swap_bytes), _DIM),
            "holders": (by, _DIM),
        }

    def _owner(self, found: Owners, at: int) -> list[str | Line]:
        if at >= len(found.owners):
            return []
        each = found.owners[at]
        lines: list[str | Line] = [[(f" {units.printable(each.name)}", _BRIGHT)]]
        if each.words:
            lines.append("; ".join(each.words) + ".")
        name = self.session.machine.users.name
        listed = [
            f"{holder.name} ({holder.key.pid}, {name(holder.uid)})"
            for holder in each.holders[:_HOLDERS_LISTED]
        ]
        if more := len(each.holders) - len(listed):
            listed.append(f"{units.count(more)} more")
        if listed:
            lines.append("Open or mapped in " + ", ".join(listed) + ". Enter: the first one's map.")
        return lines

    @property
    def _holders(self) -> Sequence[Holder]:
        """Of the one under the cursor."""
        owners = self._found.owners if self._found else ()
        return owners[self.table.cursor].holders if owners else ()

    @property
    def leads(self) -> bool:
        return bool(self._holders)

    async def action_goto(self) -> None:
        await self.run_action(f"app.open_pid({self._holders[0].key.pid})")

    def action_close(self) -> None:
        if self._found is not None or self._asked is None or self._asked.is_stopped:
            super().action_close()
        else:
            self._asked.stop()
