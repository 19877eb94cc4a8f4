"""A page of figures: text, a table, and text about the row under its cursor."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, overload

from rich.style import Style

from memtui import units
from memtui.tui import theme
from memtui.tui.widgets.lines import Table
from memtui.tui.words.cells import Cell, Column, Line, Part, broken

T = TypeVar("T")
Row = dict[str, str | Part]

_PLAIN = theme.style(theme.FOREGROUND)


class Rows(Sequence[Row]):
    """A row of the table for each of some things, made when it comes on the screen."""

    def __init__(self, things: Sequence[T], make: Callable[[T], Row]) -> None:
        def row(at: int) -> Row:
            return make(things[at])

        self._row = row
        self._count = len(things)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | Sequence[Row]:
        if isinstance(at, slice):
            return [self._row(each) for each in range(*at.indices(self._count))]
        if not 0 <= at < self._count:
            raise IndexError(at)
        return self._row(at)


@dataclass
class Page:
    """All that a sheet shows. `about` gives the lines below the table for the row under the cursor."""

    title: Line
    head: Sequence[str | Line] = ()
    columns: Sequence[Column] = ()
    rows: Sequence[Row] = ()
    about: Callable[[int], Sequence[str | Line]] = field(default=lambda row: ())
    empty: str = ""


class SheetTable(Table):
    """A table of ready-made rows."""

    def __init__(self, *, id: str | None = "sheet-table") -> None:
        super().__init__((Column("", "", 0),), id=id)
        self.page = Page(())

    def show(self, page: Page) -> None:
        self.page = page
        self.set_columns(page.columns or (Column("", "", 0),))
        self.set_cursor(self.cursor)

    def row_count(self) -> int:
        return len(self.page.rows)

    def row_texts(self, row: int, names: Sequence[str]) -> Mapping[str, Cell]:
        # Whoever makes a row may have forgotten that names are other people's.
        return {
            name: units.printable(part)
            if isinstance(part, str)
            else (units.printable(part[0]), part[1])
            for name, part in self.page.rows[row].items()
        }

    def empty_text(self) -> str:
        return self.page.empty


def text_of(line: Line) -> str:
    return "".join(text for text, _ in line)


def wrapped(paragraphs: Sequence[str | Line], width: int, style: Style = _PLAIN) -> list[Line]:
    """Sentences, and lines that are too long, broken at blanks, a cell away from both edges."""
    lines: list[Line] = []
    for paragraph in paragraphs:
        if isinstance(paragraph, str):
            pieces = textwrap.wrap(units.printable(paragraph), max(20, width - 2)) or [""]
            lines += [[(f" {piece}", style)] for piece in pieces]
        else:
            lines += broken(paragraph, width) if width else [paragraph]  # not laid out yet
    return lines
