"""A list to choose from: one thing to sort by, or several columns to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from memtui import units
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.words.cells import Column, Part


class Choice(NamedTuple):
    """What is chosen, and what it means."""

    name: str
    words: str


class ChoiceTable(Table):
    def __init__(self, choices: Sequence[Choice], taken: Sequence[str], several: bool) -> None:
        columns = [Column("name", "", 18, "<"), Column("words", "", 0, "<")]
        super().__init__(
            [Column("mark", "", 3, "<"), *columns] if several else columns, id="choices"
        )
        self.choices = list(choices)
        self.taken = list(taken)
        at = next((at for at, each in enumerate(choices) if each.name in taken[:1]), 0)
        self.set_cursor(0 if several else at, reveal=True)

    def toggle(self) -> None:
        """The choice under the cursor, into those taken or out of them, in the list's order."""
        name = self.choices[self.cursor].name
        if name in self.taken:
            self.taken.remove(name)
        else:
            self.taken.append(name)
        self.repaint()

    def row_count(self) -> int:
        return len(self.choices)

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        choice = self.choices[row]
        taken = choice.name in self.taken
        return {
            "mark": ("[x]" if taken else "[ ]", theme.style(theme.ACCENT if taken else theme.DIM)),
            "name": (choice.name.replace("_", " ") or "address", theme.style(theme.BRIGHT)),
            "words": (choice.words, theme.style(theme.DIM)),
        }


class ChoiceSheet(ModalScreen[list[str]]):
    """Gives back the names that were taken; nothing where it was left with Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("choice"),
        # A modal screen hides the application's own keys.
        Binding("ctrl+c", "app.quit", "quit", show=False),
        Binding("ctrl+z", "app.suspend_process", "suspend", show=False),
    ]

    def __init__(
        self,
        question: str,
        choices: Sequence[Choice],
        taken: Sequence[str],
        *,
        several: bool = False,
    ) -> None:
        super().__init__()
        self._question = question
        self._several = several
        self._table = ChoiceTable(choices, taken, several)
        self._spans: list[tuple[int, int, Callable[[], object]]] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="choice"):
            yield Lines(id="choice-question")
            yield self._table

    def on_mount(self) -> None:
        question = f" {self._question}"
        keys = [("Enter is done" if self._several else "Enter takes it", self.action_done)]
        keys.append(("Esc leaves all as it was", self.action_close))
        parts: list[Part] = [(question, theme.style(theme.ACCENT, bold=True))]
        at = units.width(question)
        if self._several:
            keys.insert(0, ("Space chooses", self._table.toggle))
        for index, (words, do) in enumerate(keys):
            before = ", " if index else "   "
            parts.append((before + words, theme.style(theme.DIM)))
            self._spans.append((at + len(before), at + len(before + words), do))
            at += len(before + words)
        self.query_one("#choice-question", Lines).show(parts)
        height = len(self._table.choices) + 4
        self.query_one("#choice").styles.height = min(height, self.size.height)
        self.screen.set_focus(self._table)

    def on_click(self, event: events.Click) -> None:
        """The mouse has all that the keys have: beside the list it leaves."""
        line = self.query_one("#choice-question").region
        x, y = event.screen_x, event.screen_y
        if not self.query_one("#choice").region.contains(x, y):
            self.action_close()
        elif y == line.y:
            for start, end, do in self._spans:
                if start <= x - line.x < end:
                    do()

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()

    def on_table_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        if self._several:
            self._table.toggle()
        else:
            self.action_done()

    def action_take(self) -> None:
        if self._several:
            self._table.toggle()

    def action_done(self) -> None:
        # Of several, those shown before keep their order, and new ones stand behind them.
        here = self._table.choices[self._table.cursor].name
        self.dismiss(list(self._table.taken) if self._several else [here])

    def action_close(self) -> None:
        self.dismiss([])
