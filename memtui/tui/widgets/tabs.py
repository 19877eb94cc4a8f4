"""A line of names of which one is open; each may be clicked."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from memtui import units
from memtui.tui import theme
from memtui.tui.widgets.lines import Lines
from memtui.tui.words.cells import Line, Part


class Tabs(Lines):
    """Not focusable: the view's own keys step through it."""

    class Picked(Message):
        """The user clicked a name."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.names = tuple(names)
        self.open = self.names[0]
        self._notes: dict[str, str] = {}
        self._spans: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        self.draw(self._lines_of)

    def pick(self, name: str) -> None:
        self.open = name
        self.draw(self._lines_of)

    def step(self, by: int) -> str:
        """The name that many places on, round the ends."""
        return self.names[(self.names.index(self.open) + by) % len(self.names)]

    def note(self, name: str, text: str) -> None:
        """A word behind a name: how many there are."""
        if self._notes.get(name, "") != text:
            self._notes[name] = text
            self.draw(self._lines_of)

    def _lines_of(self, width: int) -> list[Line]:
        parts: list[Part] = [(" ", theme.style(theme.DIM))]
        self._spans = []
        x = 1
        for name in self.names:
            is_open = name == self.open
            note = self._notes.get(name, "")
            text = f"{name} {note}".rstrip()
            marked = f"[{text}]" if is_open else f" {text} "
            style = theme.style(theme.ACCENT if is_open else theme.DIM, bold=is_open)
            parts.append((marked, style))
            self._spans.append((x, x + units.width(marked), name))
            x += units.width(marked)
        hint = "← → turn the page "
        if x + len(hint) < width:
            parts += [(" " * (width - x - len(hint)), style), (hint, theme.style(theme.DIM))]
        return [parts]

    def on_click(self, event: events.Click) -> None:
        for start, end, name in self._spans:
            if start <= event.x < end:
                self.post_message(self.Picked(name))
