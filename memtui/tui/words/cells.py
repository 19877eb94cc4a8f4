"""Lines of styled text and columns of a table as cells: what widgets and the first figures draw.

Without Textual, whose import takes longer than all that stands before the first figures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from rich.style import Style

from memtui import units
from memtui.tui import theme

Part = tuple[str, Style]
Line = Sequence[Part]
Cell = str | Part | list[Part]  # a list is exactly as wide as its column

_PLAIN = theme.style(theme.FOREGROUND)
_PIECE: Final = re.compile(" +|[^ ]+")


def cells(parts: Line) -> int:
    """How many cells of a terminal a line takes."""
    return sum(units.width(text) for text, _ in parts)


def spread(left: Sequence[Part], right: Sequence[Part], width: int) -> Line:
    """Left and right ends of one line; the right one goes where both do not fit."""
    if not fits(left, right, width):
        return fitted(left or right, width)
    gap = width - cells(left) - cells(right)
    return [*left, (" " * gap, _PLAIN), *right]


def fits(left: Sequence[Part], right: Sequence[Part], width: int) -> bool:
    """Whether both ends have room in one line, a blank between them."""
    return cells(left) + cells(right) < width


def fitted(line: Line, width: int) -> Line:
    """A line that ends with … where it is too long; blanks at its end go without."""
    over = cells(line) - width
    if over <= 0:
        return line
    kept = [part for part in line if part[0]]
    while over > 0 and kept and kept[-1][0].endswith(" "):
        text, style = kept.pop()
        gone = min(over, len(text) - len(text.rstrip(" ")))
        over -= gone
        if gone < len(text):
            kept.append((text[: len(text) - gone], style))
    if over <= 0:
        return kept
    for at, (text, style) in enumerate(kept):
        if units.width(text) >= width:
            return [*kept[:at], (units.fit(f"{text}…", width), style)]
        width -= units.width(text)
    return kept


def whole_parts(parts: Sequence[tuple[int, Line]], width: int) -> Line:
    """Those parts of a line that have room together: of its numbers the highest go first, 0 never."""
    kept = list(parts)
    while sum(cells(part) for _, part in kept) > width:
        least = max(number for number, _ in kept)
        if not least:
            break
        kept = [each for each in kept if each[0] != least]
    return [each for _, part in kept for each in part]


def broken(line: Line, width: int) -> list[Line]:
    """A line as so many as it takes, broken at blanks, a cell away from both edges."""
    if cells(line) <= width:
        return [line]
    pieces = [(text, style) for part, style in line for text in _PIECE.findall(part)]
    lines: list[list[Part]] = [[]]
    blank: list[Part] = []
    for is_blank, run in groupby(pieces, key=lambda piece: piece[0].startswith(" ")):
        word = list(run)
        if is_blank:
            blank = word
            continue
        used = cells(lines[-1])
        if used > 1 and used + cells(blank) + cells(word) > width - 1:
            lines.append([])
            blank = [(" ", _PLAIN)]
            if word[0][0] == "·":  # it stood between two things
                continue
        lines[-1] += [*blank, *word]
        blank = []
    return list(lines)


class Column(NamedTuple):
    """A column of a table: `width` cells, 0 for what is left over; `priority` 0 never goes.

    What is left over is `least` cells as long as another column can go for it.
    """

    name: str
    title: str
    width: int
    align: str = ">"
    priority: int = 0
    least: int = 7


Fitted = Sequence[tuple[Column, int]]
"""Columns that fit, each with its width."""


def fit_columns(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that fit into `width` cells with a blank between.

    The last flexible one gets what is left over, others before it their least.
    """
    kept = list(columns)
    while len(kept) > 1:
        needed = sum(column.width or column.least for column in kept) + len(kept) - 1
        worst = max(kept, key=lambda column: column.priority)
        if needed <= width or worst.priority == 0:
            break
        kept.remove(worst)
    widths = [column.width or column.least for column in kept]
    flexible = [at for at, column in enumerate(kept) if not column.width]
    if flexible:
        widths[flexible[-1]] = max(1, width - sum(widths) - len(kept) + 1 + widths[flexible[-1]])
    return list(zip(kept, widths, strict=True))


def head_line(columns: Fitted, sorted_by: tuple[str, bool] | None, active: bool) -> list[Part]:
    """A table's head, an arrow at the column that it is sorted by; `active`: it has the keys."""
    plain = theme.style(theme.BRIGHT if active else theme.DIM, bold=active)
    parts: list[Part] = [(" ", plain)]
    for index, (column, cells) in enumerate(columns):
        title, style = column.title, plain
        if sorted_by and sorted_by[0] == column.name:
            arrow = "▼" if sorted_by[1] else "▲"
            title = title[: cells - 1] + arrow if column.align == "<" else arrow + title
            style = theme.style(theme.ACCENT, bold=active)
        parts.append(((" " if index else "") + units.fit(title, cells, column.align), style))
    return parts


def row_line(columns: Fitted, texts: Mapping[str, Cell], selected: bool) -> list[Part]:
    """A table's row of these texts, a mark before it where it is `selected`."""
    mark = theme.glyphs().bar if selected else " "
    parts: list[Part] = [(mark, theme.style(theme.ACCENT))]
    for index, (column, cells) in enumerate(columns):
        value = texts.get(column.name, "")
        if isinstance(value, list):
            parts += [(" " if index else "", Style.null()), *value]
            continue
        text, style = (value, Style.null()) if isinstance(value, str) else value
        parts.append(((" " if index else "") + units.fit(text, cells, column.align), style))
    return parts
