"""What opens over the map view: a screen of text above, a table, and text about its row below."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.screen import Screen

from memtui.kernel.files import Gap
from memtui.ondemand.question import Asked, Question, Work
from memtui.session.session import Session
from memtui.tui.asking import drop, look_up
from memtui.tui.keyed import Keyed
from memtui.tui.widgets.bars import Footer
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.page import Page, SheetTable, text_of, wrapped

T = TypeVar("T")


class Sheet(Keyed, Screen[None]):
    """Shows a `Page`; subclasses make it, from answers to what they ask."""

    VIEW: ClassVar[str]  # its name in the table of keys

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.chosen = session.chosen
        self._page = Page(())

    def compose(self) -> ComposeResult:
        yield Lines(id="sheet-title")
        yield Lines(id="sheet-head")
        yield SheetTable()
        yield Lines(id="sheet-about")
        yield Footer()

    @property
    def table(self) -> SheetTable:
        return self.query_one(SheetTable)

    def on_mount(self) -> None:
        self.screen.set_focus(self.table)
        self.query_one(Footer).update()
        self.begin()

    @property
    def is_open(self) -> bool:
        """Whether it is on the screen: one that is being closed has lost its widgets already."""
        return self in self.app.screen_stack

    def begin(self) -> None:
        """Takes the first reading."""

    def map_read(self) -> None:
        """The chosen process's map was read again."""

    def show(self, page: Page) -> None:
        """From now on this page."""
        if not self.is_open:
            return
        self._page = page
        self.query_one("#sheet-title", Lines).show(page.title)
        self.table.show(page)
        self.table.display = bool(page.columns)
        self._lay_out()
        self.refresh_bindings()

    def _lay_out(self) -> None:
        width = self.size.width
        head = self.query_one("#sheet-head", Lines)
        lines = wrapped(self._page.head, width)
        head.show(*lines)
        head.styles.height = len(lines)
        self._about()

    def _about(self) -> None:
        """The lines below the table, which is as high as its rows and gives them half at least."""
        about, page = self.query_one("#sheet-about", Lines), self._page
        rows = len(page.rows) if page.columns else 0
        lines = wrapped(page.about(self.table.cursor), self.size.width)
        about.show(*lines)
        about.display = bool(lines)  # it would take a line, and the sheet scroll for it
        room = self.room(page)
        self.table.styles.height = min(rows + 1, max(4, room // 2, room - len(lines)))

    def room(self, page: Page) -> int:
        """Lines for a page's table and what is below it: without title, head and footer and, where there
        is room for them, blank lines."""
        around = 2 if self.has_class("-low") else 5
        return self.size.height - around - len(wrapped(page.head, self.size.width))

    def on_resize(self) -> None:
        self.set_class(self.size.height < 30, "-low")
        if self.is_attached and self.query("#sheet-head"):
            self._lay_out()

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        self._about()

    async def on_table_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        await self.run_action("goto")

    def fetch(
        self,
        question: Question[T] | Work[T],
        then: Callable[[T | Gap], None],
        progress: Callable[[int, int], None] | None = None,
    ) -> Asked:
        """Asks something slow; of several of a type the last one is answered."""

        def tell(result: T | Gap) -> None:
            if self.is_open:
                then(result)

        return look_up(self, question, tell, progress)

    def on_unmount(self) -> None:
        drop(self)

    # What keys do.

    @property
    def leads(self) -> bool:
        """Whether Enter goes somewhere from the row under the cursor."""
        return False

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        if action == "goto" and not self.leads:
            return "there is nothing here to go to"
        return super().refuses(action, parameters)

    def action_close(self) -> None:
        self.dismiss()

    async def action_goto(self) -> None:
        """Nothing, where a row is no place."""

    def action_copy(self) -> None:
        page = self._page
        lines = [text_of(page.title), *map(text_of, wrapped(page.head, 100))]
        for row in page.rows:
            cells = (row.get(column.name, "") for column in page.columns)
            lines.append("\t".join(cell if isinstance(cell, str) else cell[0] for cell in cells))
        lines += map(text_of, wrapped(page.about(self.table.cursor) if page.rows else (), 100))
        self.app.copy_to_clipboard("\n".join(lines) + "\n")
