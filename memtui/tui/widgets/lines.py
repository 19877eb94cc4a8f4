"""Widgets that are drawn by line, so that 60,000 rows cost what the visible ones do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from memtui.tui import theme
from memtui.tui.words.cells import Cell, Column, Line, Part, cells, fit_columns, head_line, row_line


def strip(parts: Line, width: int, base: Style) -> Strip:
    """Parts as one line of exactly `width` cells over a base style; what does not fit is cut.

    Neighbours of one style become one: a terminal gets its colours once for all of them.
    """
    segments = [
        Segment("".join(text for text, _ in run), base + style)
        for style, run in groupby(parts, key=itemgetter(1))
    ]
    room = width - cells(parts)
    if room < 0:
        return Strip(segments).adjust_cell_length(width, base)
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

    def set_cursor(self, row: int) -> None:
        """Puts the cursor on a row and scrolls to it."""
        self.cursor = max(0, min(row, self.row_count() - 1))
        height = self.body_height
        if self.cursor < self.top:
            self.top = self.cursor
        elif self.cursor >= self.top + height:
            self.top = self.cursor - height + 1
        self.top = max(0, min(self.top, self.row_count() - height))
        self.repaint()

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
        self._go(self.cursor + step)

    def action_page(self, pages: int) -> None:
        self._go(self.cursor + pages * max(1, self.body_height - 1))

    def action_end(self, last: int) -> None:
        self._go(self.row_count() - 1 if last else 0)

    def _go(self, row: int) -> None:
        self.set_cursor(row)
        if self.follow is not None:
            self.follow()
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
        self.top = max(0, min(self.top + lines, self.row_count() - self.body_height))
        self.repaint()
        event.stop()

    def on_focus(self) -> None:
        self.repaint()

    def on_blur(self) -> None:
        self.repaint()

    def on_resize(self) -> None:
        self._heard_of = self.size
        self._drawn.clear()
        self._next.clear()
        self.set_cursor(self.cursor)
