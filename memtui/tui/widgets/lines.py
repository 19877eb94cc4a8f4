"""Widgets that are drawn by line, so that 60,000 rows cost what the visible ones do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from memtui.tui import theme
from memtui.tui.words.cells import (
    Cell,
    Column,
    Line,
    Part,
    cells,
    fit_columns,
    fitted,
    head_line,
    row_line,
)


def strip(parts: Line, width: int, base: Style) -> Strip:
    """Parts as one line of exactly `width` cells over a base style; what does not fit ends with ….

    Neighbours of one style become one: a terminal gets its colours once for all of them.
    """
    room = width - cells(parts)
    if room < 0:
        parts, room = fitted(parts, width), 0
    segments = [
        Segment("".join(text for text, _ in run), base + style)
        for style, run in groupby(parts, key=itemgetter(1))
    ]
    if room:
        segments.append(Segment(" " * room, base))
    return Strip(segments, width)


class Lines(Widget):
    """A few lines of text that repaint only where they changed: headers, footers, legends."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._make: Callable[[int], Sequence[Line]] = lambda width: ()
        self._made_for = -1
        self._lines: list[list[Part]] = []

    def draw(self, make: Callable[[int], Sequence[Line]]) -> None:
        """From now on what `make(width)` gives: asked now, and again for every other width."""
        self._make = make
        self._remake()

    def show(self, *lines: Line) -> None:
        """From now on these lines, whatever the width."""
        self.draw(lambda width: lines)

    def _remake(self) -> None:
        before = self._lines
        self._made_for = self.size.width
        self._lines = [list(line) for line in self._make(self._made_for)]
        changed = [
            Region(0, y, self.size.width, 1)
            for y in range(max(len(before), len(self._lines)))
            if before[y : y + 1] != self._lines[y : y + 1]
        ]
        if changed:
            self.refresh(*changed)

    def on_resize(self) -> None:
        self._remake()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if width != self._made_for:  # drawn before it heard of its size
            self._made_for = width
            self._lines = [list(line) for line in self._make(width)]
        line = self._lines[y] if y < len(self._lines) else ()
        return strip(line, width, self.rich_style)


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell.strip()
    return (cell[0] if isinstance(cell, tuple) else "".join(text for text, _ in cell)).strip()


class Drawn(Widget):
    """A widget that is drawn by line over a style of its own."""

    _base: Style | None = None

    @property
    def base(self) -> Style:
        """That style, which takes Textual a fifth of a millisecond to tell."""
        if self._base is None:
            self._base = self.rich_style
        return self._base

    def notify_style_update(self) -> None:
        self._base = None
        super().notify_style_update()


class Table(Drawn, can_focus=True):
    """Rows with a cursor, drawn by line. Subclasses say how many rows there are and draw one.

    Columns go by priority, highest first, where the width does not do for all.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", "end(0)", "first", show=False),
        Binding("end,G", "end(1)", "last", show=False),
    ]

    class Moved(Message):
        """The user moved the cursor of `table`."""

        def __init__(self, table: Table) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> Table:
            return self.table

    class Chosen(Moved):
        """The user double-clicked a row."""

    class HeadClicked(Message):
        """The user clicked the head of a column."""

        def __init__(self, table: Table, column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

        @property
        def control(self) -> Table:
            return self.table

    def __init__(
        self, columns: Sequence[Column], *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.all_columns = tuple(columns)
        self.cursor = 0
        self.top = 0
        self._shown_rows = 0  # how many there was room for; 0 before it is laid out
        self._squeezed: int | None = None  # the first row before there was so little room
        self._reveals = False  # whether the cursor is to be in sight when it is
        # Told at once where the cursor went: a message may come after the next reading, which
        # would put the cursor back to where it was.
        self.follow: Callable[[], None] | None = None
        self._drawn: dict[int, tuple[object, Strip]] = {}
        # What will be drawn of lines that changed: made for `repaint`, used once.
        self._next: dict[int, tuple[object, ...]] = {}
        self._fitted: tuple[int, list[tuple[Column, int]]] = (-1, [])
        self._heard_of: Size | None = None  # the size it has last been told of

    # What a subclass provides.

    def row_count(self) -> int:
        raise NotImplementedError

    def row_texts(self, row: int, names: Sequence[str]) -> Mapping[str, Cell]:
        """The text of a row's columns, with a style where it has one of its own."""
        raise NotImplementedError

    def empty_text(self) -> str:
        """What to say where there are no rows."""
        return ""

    def sorted_by(self) -> tuple[str, bool] | None:
        """The column the rows are sorted by, and whether downwards."""
        return None

    def values(self) -> list[dict[str, Any]]:
        """Its rows for a file: what the columns show, or the figures behind that."""
        names = [column.name for column, _ in self.columns() if column.title]
        rows = (self.row_texts(row, names) for row in range(self.row_count()))
        return [{name: _text(row.get(name, "")) for name in names} for row in rows]

    def cursor_is_exact(self) -> bool:
        """Whether the cursor's row is what is meant, and not only near it."""
        return True

    # What it does.

    @property
    def body_height(self) -> int:
        return max(1, self.size.height - 1)

    def columns(self) -> list[tuple[Column, int]]:
        """The columns that fit, each with its width."""
        width = self.size.width
        if self._fitted[0] != width:
            self._fitted = (width, fit_columns(self.all_columns, width - 1))
        return self._fitted[1]

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Other columns from now on, or the same in other widths or with other titles."""
        before, self.all_columns = self.all_columns, tuple(columns)
        if self.all_columns == before:
            return
        self._fitted = (-1, [])
        if [each._replace(title="") for each in before] != [
            each._replace(title="") for each in self.all_columns
        ]:
            self._drawn.clear()
            self._next.clear()

    @property
    def cursor_in_sight(self) -> bool:
        return self.top <= self.cursor < self.top + self._shown_rows

    def set_cursor(self, row: int, *, reveal: bool | None = None) -> None:
        """Puts the cursor on a row, and scrolls to it (`reveal`) or leaves what is shown (False).

        None: it stays in sight where it was. What is not laid out yet scrolls when it is.
        """
        if reveal is not None:
            self._reveals, self._squeezed = reveal, None
        elif self._shown_rows:
            self._reveals = self.cursor_in_sight
        self.cursor = max(0, min(row, self.row_count() - 1))
        self.show_from(self.top)

    def show_first(self) -> None:
        """Scrolls to the first row, wherever the cursor is: in another order it is what counts."""
        self._reveals, self._squeezed = False, None
        self.show_from(0)

    def show_from(self, top: int) -> None:
        """As near to that as there are rows, and the cursor in sight where it is to be."""
        if height := self._shown_rows:
            if self._reveals:
                top = max(self.cursor - height + 1, min(top, self.cursor))
            top = max(0, min(top, self.row_count() - height))
            self._reveals = False
        self.top = top
        self.repaint()

    def keep_place(self, row: int) -> int:
        """The row that the cursor goes to, at its place on the screen: where the list is scrolled
        and the cursor in sight. At the top the first rows stay instead."""
        if self.top and self.cursor_in_sight:
            self.top = max(0, self.top + row - self.cursor)
        return row

    def repaint(self) -> None:
        """Repaints the lines that changed, and only these."""
        width, height = self.size
        self._next.clear()
        if not self.is_attached or not height:
            return
        if not self._drawn:
            self.refresh()
            return
        for y in range(height):
            content = self._content(y, width)
            if y not in self._drawn or self._drawn[y][0] != content:
                self._next[y] = content
        if self._next:
            self.refresh(*(Region(0, y, width, 1) for y in self._next))

    def _content(self, y: int, width: int) -> tuple[object, ...]:
        """All that a line's look depends on."""
        if y == 0:
            titles = tuple(column.title for column in self.all_columns)
            return ("head", width, self.has_focus, self.sorted_by(), self.base, titles)
        row = self.top + y - 1
        count = self.row_count()
        if row >= count:
            return ("empty", self.empty_text() if count == 0 and y == 2 else "", self.base)
        columns = self.columns()
        texts = self.row_texts(row, [column.name for column, _ in columns])
        selected = row == self.cursor
        return (
            tuple(texts.items()),
            width,
            selected,
            selected and self.has_focus and self.cursor_is_exact(),
            self.base,
        )

    def render_line(self, y: int) -> Strip:
        if self._heard_of != self.size:  # one that comes with being shown may not be told
            self.on_resize()
        content = self._next.pop(y, None) or self._content(y, self.size.width)
        cached = self._drawn.get(y)
        if cached is not None and cached[0] == content:
            return cached[1]
        line = self._draw(y, content)
        self._drawn[y] = (content, line)
        return line

    def _draw(self, y: int, content: tuple[object, ...]) -> Strip:
        base, width = self.base, self.size.width
        if content[0] == "head":
            head = head_line(self.columns(), self.sorted_by(), self.has_focus)
            return strip(head, width, base)
        if content[0] == "empty":
            return strip([(" " + str(content[1]), theme.style(theme.DIM))], width, base)
        items: tuple[tuple[str, Cell], ...] = content[0]  # type: ignore[assignment]
        texts = dict(items)
        selected, active = content[2], content[3]
        parts = row_line(self.columns(), texts, bool(selected))
        if selected:
            base = base + theme.style(
                bg=theme.SELECTED if active else theme.SELECTED_AWAY, bold=bool(active)
            )
        return strip(parts, width, base)

    # Keys and mouse.

    def action_move(self, step: int) -> None:
        self._step(step, 1)

    def action_page(self, pages: int) -> None:
        self._step(pages, max(1, self.body_height - 1))

    def _step(self, way: int, rows: int) -> None:
        """On from the cursor, or where that is out of sight, to what is in sight."""
        if self._shown_rows and not self.cursor_in_sight:
            self._go(self.top if way > 0 else self.top + self._shown_rows - 1)
        else:
            self._go(self.cursor + way * rows)

    def action_end(self, last: int) -> None:
        self._go(self.row_count() - 1 if last else 0)

    def _go(self, row: int) -> None:
        self.set_cursor(row, reveal=True)
        if self.follow is not None:
            self.follow()
        self.refresh_bindings()  # what Enter does goes by the row
        self.post_message(self.Moved(self))

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            at = 1
            for column, cells in self.columns():
                if event.x < at + cells:
                    self.post_message(self.HeadClicked(self, column.name))
                    return
                at += cells + 1
        elif (row := self.top + event.y - 1) < self.row_count():
            self._go(row)
            if event.chain == 2:
                self.post_message(self.Chosen(self))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._scroll(3, event)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._scroll(-3, event)

    def _scroll(self, lines: int, event: events.MouseEvent) -> None:
        self._reveals, self._squeezed = False, None
        self.show_from(self.top + lines)
        event.stop()

    def on_focus(self) -> None:
        self.repaint()

    def on_blur(self) -> None:
        self.repaint()

    def on_resize(self) -> None:
        self._heard_of = self.size
        self._drawn.clear()
        self._next.clear()
        if self._shown_rows:
            self._reveals = self.cursor_in_sight
        self._shown_rows = max(0, self.size.height - 1)
        # Views that change places are squeezed for a moment, and so is all by a small window.
        top = self.top if self._squeezed is None else self._squeezed
        self.show_from(top)
        self._squeezed = top if self.top != top else None
