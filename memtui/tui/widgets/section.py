"""The list of sections, and a section as it is read: title, text, rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from memtui import units
from memtui.tui import theme
from memtui.tui.pages.base import Arrangement, Facts, Section, SectionPage, Summary, Way
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.page import Page, SheetTable, wrapped
from memtui.tui.words.cells import Column, Part

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

    def choose(self, section: Section) -> None:
        """As if the user had moved there."""
        self._go(self._sections.index(section))

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


class Place(NamedTuple):
    """What the cursor was on, and the first row that was shown."""

    key: str | None = None
    top: int = 0


class SectionTable(SheetTable):
    """A section's rows: the cursor stays with its row when others come before it."""

    def __init__(self) -> None:
        super().__init__(id=None)
        self._key: str | None = None
        self.follow = self._remember

    def open(self, page: SectionPage, place: Place) -> None:
        """The page of another section as it was left."""
        self.page = Page(())
        self.top = self.cursor = 0
        self._key = place.key
        self.show(page)
        self.go_back(place)

    def go_back(self, place: Place) -> None:
        """To where it was left."""
        page = self.page
        if isinstance(page, SectionPage) and place.key in page.keys:
            self.set_cursor(page.keys.index(place.key), reveal=False)
            self._remember()
        self._reveals = False
        self.show_from(place.top)

    @property
    def key(self) -> str | None:
        """What the cursor is on."""
        return self._key

    @property
    def place(self) -> Place:
        """Where it is left."""
        return Place(self._key, self.top)

    def show(self, page: Page) -> None:
        before = self.sorted_by()
        at = self.cursor
        if isinstance(page, SectionPage) and self._key in page.keys:
            at = self.keep_place(page.keys.index(self._key))
        self.page = page
        self.set_columns(page.columns or (Column("", "", 0),))
        self.set_cursor(at)
        if before not in (None, self.sorted_by()):
            self.show_first()
        self._remember()

    def _remember(self) -> None:
        page = self.page
        if isinstance(page, SectionPage) and 0 <= self.cursor < len(page.keys):
            self._key = page.keys[self.cursor]

    def sorted_by(self) -> tuple[str, bool] | None:
        return self.page.sorted_by if isinstance(self.page, SectionPage) else None

    @property
    def topic(self) -> str:
        """The name that the cursor's row is explained by."""
        page = self.page
        return page.topic(self.cursor) if isinstance(page, SectionPage) and page.keys else ""

    @property
    def way(self) -> Way | None:
        """Where Enter on the cursor's row leads."""
        page = self.page
        return page.way(self.cursor) if isinstance(page, SectionPage) and page.keys else None


class StillTable(SectionTable, can_focus=False):
    """Rows to look at, without a cursor."""

    def set_cursor(self, row: int, *, reveal: bool | None = None) -> None:
        self.cursor, self.top = -1, 0
        self.repaint()


class SectionPanel(Vertical):
    """One section in full. The head is as high as it ever was at its width: nothing jumps."""

    def __init__(
        self,
        rows: SectionTable | None = None,
        *,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._head = Lines(classes="section-head")
        self._title = Lines(classes="section-title")
        self.rows = rows or SectionTable()
        self._shown: tuple[str, int] = ("", 0)
        self._head_height = 0
        self._places: dict[str, Place] = {}
        self._last: tuple[Section, Facts, Arrangement] | None = None

    def compose(self) -> ComposeResult:
        yield self._title
        yield self._head
        yield self.rows

    @property
    def shown(self) -> str:
        """The name of the section that it shows."""
        return self._shown[0]

    def update(self, section: Section, facts: Facts, arrangement: Arrangement) -> int:
        """A section of a sample; how many lines all of it takes."""
        self._last = section, facts, arrangement
        width = self.content_size.width
        page = section.page(facts, width, arrangement)
        self._title.show(_title(section, facts))
        lines = wrapped(page.head, width)
        if self._shown != (section.name, width):
            self._head_height = 0
        if page.columns:
            self._head_height = max(self._head_height, len(lines))
        self._head.show(*lines)
        self._head.styles.height = self._head_height if page.columns else len(lines)
        self._head.display = bool(lines)
        self.rows.display = bool(page.columns)
        if self._shown[0] == section.name:
            self.rows.show(page)
        else:
            self._places[self._shown[0]] = self.rows.place
            self.rows.open(page, self._places.get(section.name, Place()))
        self._shown = section.name, width
        rows = 1 + max(len(page.rows), 2 if page.empty else 0) if page.columns else 0
        return 1 + max(self._head_height, len(lines)) + rows

    def on_resize(self) -> None:
        """Text is wrapped for a width, of which a panel hears after it was shown."""
        if self._last is not None and self._shown[1] != self.content_size.width:
            self.update(*self._last)


def _title(section: Section, facts: Facts) -> list[Part]:
    title: list[Part] = [(f" {section.title}", theme.style(theme.ACCENT, bold=True))]
    if facts.is_group:
        words = " · of the group" if section.of_group else " · of the whole machine"
        title.append((words, theme.style(theme.DIM)))
    return title


class Companion(SectionPanel):
    """A section beside the one that is read: a click makes it that one."""

    class Picked(Message):
        """The user clicked it."""

        def __init__(self, section: Section) -> None:
            super().__init__()
            self.section = section

    def __init__(self, section: Section) -> None:
        super().__init__(StillTable(), classes="companion")
        self.section = section

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Picked(self.section))
