"""What has changed in an address space since the mark: new, gone, grown, shrunk, re-protected."""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from textual.binding import BindingType

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.map.change import WHAT, Change, Difference, Snapshot
from memtui.ondemand.questions import WhatChanged
from memtui.session.session import Session
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.sheets.sheet import Sheet
from memtui.tui.widgets.page import Page, Row, Rows
from memtui.tui.words.cells import Column, Line, Part

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)

_Field = Literal["size", "rss", "pss", "swap"]

_COLUMNS = (
    Column("kind", "", 1),
    Column("what", "WHAT", 12, "<"),
    Column("range", "START – END", 25, "<"),
    Column("size", "SIZE", 8),
    Column("size_gain", "Δ SIZE", 10),
    Column("rss_gain", "Δ RSS", 10),
    Column("pss_gain", "Δ PSS", 10, priority=2),
    Column("swap_gain", "Δ SWAP", 10, priority=3),
    Column("perms", "PERM", 9, "<", 1),
    Column("name", "NAME", 0, "<"),
)


class DifferenceSheet(Sheet):
    """The changes since the mark, the largest in memory first; made anew with every reading."""

    VIEW = "difference"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._changes: list[Change] = []

    def begin(self) -> None:
        map_, mark = self.chosen.map, self.chosen.trail.mark
        if map_ is None or mark is None:
            self.show(Page(self._title(None), ["Its map has not been read yet: a moment."]))
            return
        if mark is self.chosen.trail.last:
            # A process of many mappings is read every few seconds.
            words = "It has not been read again since: as soon as it is, this shows what is new."
            self.show(Page(self._title(mark), [words]))
            return
        self.fetch(WhatChanged(mark, map_, self.chosen.read_at or 0.0), self._draw)

    def map_read(self) -> None:
        self.begin()

    def _title(self, mark: Snapshot | None) -> Line:
        process = self.chosen.process
        name = f"{process.pid} {units.printable(process.name)}" if process else ""
        parts: list[Part] = [(" what changed in ", _DIM), (name, _BRIGHT)]
        if mark is not None:
            age = units.duration(max(0, round(time.monotonic() - mark.time_s)))
            trail = self.chosen.trail
            since = "it was first looked at"
            if trail.is_marked:
                since = "the mark"
            elif trail.is_after_exec:
                since = "it became another program (exec)"
            parts.append((f" since {since}, {age} ago", _DIM))
        return parts

    def _draw(self, found: Difference | Gap) -> None:
        here = self._changes[self.table.cursor] if self._changes else None
        head: list[str | Line]
        if isinstance(found, Gap):
            self._changes, head = [], [f"It cannot be told: {found.detail}."]
        else:
            self._changes, head = sorted(found.changes, key=_weight), _head(found)
        page = Page(
            self._title(self.chosen.trail.mark),
            head,
            _COLUMNS if self._changes else (),
            Rows(self._changes, _row),
            lambda row: _about(self._changes[row]) if self._changes else (),
        )
        # The cursor stays with its mapping: the order goes by figures that move.
        if here is not None:
            starts = [change.side.start for change in self._changes]
            if here.side.start in starts:
                self.table.cursor = starts.index(here.side.start)
        self.show(page)

    @property
    def leads(self) -> bool:
        return bool(self._changes)

    async def action_goto(self) -> None:
        self.chosen.address = self._changes[self.table.cursor].side.start
        self.dismiss()


def _weight(change: Change) -> tuple[int, int, int]:
    return (
        -abs(change.gain("rss") or 0),
        -abs(change.gain("size") or 0),
        change.side.start,
    )


def _head(found: Difference) -> list[str | Line]:
    if not found.changes:
        return ["Nothing: the same mappings, with as much of each in memory."]
    lines: list[str | Line] = [
        [
            (f" {'all in all':<18}", _BRIGHT),
            *_gains(found.gain.size, found.gain.rss, found.gain.pss, found.gain.swap),
        ]
    ]
    for what, sums in found.by_what.items():
        lines.append(
            [
                (f" {sums.count:>4} {what:<13}", _PLAIN),
                *_gains(sums.size, sums.rss, sums.pss, sums.swap),
                (f"  {WHAT[what]}", _DIM),
            ]
        )
    return lines


def _gains(*values: int | None) -> list[Part]:
    parts: list[Part] = []
    for name, value in zip(("size", "RSS", "PSS", "swap"), values, strict=True):
        parts += [(f" {name} ", _DIM), _gain(value, 9)]
    return parts


def _gain(value: int | None, width: int = 0) -> Part:
    colour = theme.GROWS if (value or 0) > 0 else theme.SHRINKS if (value or 0) < 0 else theme.DIM
    return f"{units.change(value, short=False):>{width}}", theme.style(colour)


def _row(change: Change) -> Row:
    side, kind = change.side, change.side.kind
    perms = side.perms
    if change.before and change.after and change.before.perms != perms:
        perms = f"{change.before.perms}→{perms}"
    row: Row = {
        "kind": (kind.letter, theme.style(kind.colour, bold=True)),
        "what": (change.what, _BRIGHT),
        "range": f"{units.address(side.start)}–{units.address(side.end)}",
        "size": units.size(side.size),
        "perms": perms,
        "name": (units.printable(side.path) or kind.words, theme.style(kind.colour)),
    }
    fields: tuple[_Field, ...] = ("size", "rss", "pss", "swap")
    for field in fields:
        row[f"{field}_gain"] = _gain(change.gain(field))
    return row


def _about(change: Change) -> list[str | Line]:
    """Before and after, side by side."""
    lines: list[str | Line] = [f"{change.what}: {WHAT[change.what]}."]
    for words, side in (("before", change.before), ("after ", change.after)):
        if side is None:
            lines.append([(f" {words}  not mapped", _DIM)])
            continue
        pieces = f" in {side.pieces} mappings" if side.pieces > 1 else ""
        lines.append(
            [
                (f" {words}  ", _DIM),
                (f"{units.address(side.start)}–{units.address(side.end)} {side.perms}", _PLAIN),
                (f"  size {units.size(side.size)}{pieces} · RSS {units.size(side.rss)}", _PLAIN),
                (f" · PSS {units.size(side.pss)} · swap {units.size(side.swap)}", _DIM),
            ]
        )
    return lines
