"""The list of sections, and the rows of the one that is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from memtui import units
from memtui.tui import theme
from memtui.tui.sections.base import Facts, Section, SectionPage, Summary
from memtui.tui.widgets.lines import Column, Lines, Part, Table
from memtui.tui.widgets.page import Page, SheetTable, wrapped

_FIGURE_SHORT = 12
_LONG_FROM = 36


class SectionList(Table):
    """Every section with its figure; the cursor says which one is read."""

    def __init__(self, sections: Sequence[Section], *, id: str | None = None) -> None:
        super().__init__(
            (Column("name", "SECTION", 13, "<"), Column("figure", "AT A GLANCE", 0, ">")), id=id
        )
        self._sections = sections
        self._summaries: list[Summary] = []

    @property
    def current(self) -> Section:
        return self._sections[self.cursor]

    def update(self, facts: Facts) -> None:
        """The figures of a new sample."""
        self._summaries = [section.summary(facts) for section in self._sections]
        self.repaint()

    def row_count(self) -> int:
        return len(self._sections)

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        figure: Part = ("", theme.style(theme.DIM))
        if row < len(self._summaries):
            short, long = self._summaries[row]
            text, style = long if self.size.width >= _LONG_FROM else short
            figure = units.printable(text), style
        here = row == self.cursor
        name = theme.style(theme.BRIGHT if here else theme.FOREGROUND)
        return {"name": (self._sections[row].title, name), "figure": figure}


class SectionTable(SheetTable):
    """A section's rows: the cursor stays with its row when others come before it."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key: str | None = None
        self.follow = self._remember

    def open(self, page: SectionPage, key: str | None) -> None:
        """The page of another section, the cursor on the row of that key."""
        self._key = key
        self.top = self.cursor = 0
        self.show(page)

    def show(self, page: Page) -> None:
        if isinstance(page, SectionPage) and self._key in page.keys:
            at = page.keys.index(self._key)
            # Where the user has scrolled, the row keeps its place on the screen.
            if self.top:
                self.top = max(0, self.top + at - self.cursor)
            self.cursor = at
        super().show(page)
        self._remember()

    @property
    def key(self) -> str | None:
        """What the cursor is on."""
        return self._key

    def _remember(self) -> None:
        page = self.page
        if isinstance(page, SectionPage) and self.cursor < len(page.keys):
            self._key = page.keys[self.cursor]

    def sorted_by(self) -> tuple[str, bool] | None:
        return self.page.sorted_by if isinstance(self.page, SectionPage) else None

    @property
    def topic(self) -> str:
        """The name that the cursor's row is explained by."""
        page = self.page
        return page.topic(self.cursor) if isinstance(page, SectionPage) and page.keys else ""


class Head(Lines):
    """Text above a table, as high as it ever was at this width: the table below does not jump."""

    _height = 0
    _for: tuple[str, int] = ("", 0)

    def update(self, name: str, page: Page, width: int) -> None:
        """The head of a page; `name` says whose."""
        lines = wrapped(page.head, width)
        if (name, width) != self._for:
            self._for, self._height = (name, width), 0
        self._height = max(self._height, len(lines))
        self.show(*lines)
        self.styles.height = self._height if page.columns else "1fr"
        self.display = bool(lines)
