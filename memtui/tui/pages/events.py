"""What happened, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual import events

from memtui.model.machine import Machine
from memtui.model.shortage.events import Event, Events
from memtui.tui import theme
from memtui.tui.widgets.lines import Table
from memtui.tui.widgets.timewindow import MomentWanted
from memtui.tui.words.cells import Column, Part


class EventTable(Table):
    """Events with their time of day."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            (
                Column("time", "TIME", 8, "<"),
                Column("mark", "", 1, "<"),
                Column("text", "WHAT HAPPENED", 0, "<"),
            ),
            id=id,
        )
        self._rows: list[Event] = []
        self._machine: Machine | None = None

    def show(self, happened: Events, machine: Machine) -> None:
        """The cursor stays with its event, or with the newest."""
        self._machine = machine
        before, self._rows = self._rows, list(happened)[::-1]
        came = 0
        if before:
            came = next((row for row, each in enumerate(self._rows) if each is before[0]), 0)
        if self.top:
            self.top += came
        self.set_cursor(self.cursor + came if self.cursor else 0)

    @property
    def current(self) -> Event | None:
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    def on_click(self, event: events.Click) -> None:
        row = self.top + event.y - 1
        if event.y and row < len(self._rows):
            self.post_message(MomentWanted(self._rows[row].time_s))

    def row_count(self) -> int:
        return len(self._rows)

    def empty_text(self) -> str:
        return "nothing yet: no threshold was crossed, nothing was killed, no tick was missed"

    def values(self) -> list[dict[str, Any]]:
        machine = self._machine
        return [
            {
                "time": machine.time_of_day(each.time_s),
                "time_s": each.time_s,
                "level": each.level,
                "text": each.text,
            }
            for each in self._rows
            if machine is not None
        ]

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        event, machine = self._rows[row], self._machine
        assert machine is not None
        return {
            "time": (machine.time_of_day(event.time_s), theme.style(theme.DIM)),
            "mark": theme.event_mark(event.level),
            "text": event.text,
        }
