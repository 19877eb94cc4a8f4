"""What happened, the newest first."""

from __future__ import annotations

import time
from collections.abc import Sequence

from memtui.model.alerts import Event, Events
from memtui.tui import theme
from memtui.tui.widgets.lines import Column, Part, Table


class EventTable(Table):
    """Events with their time of day; the clock's time and the boot's are taken together."""

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
        self._booted_s = 0.0

    def show(self, events: Events) -> None:
        """The cursor stays with its event, or with the newest."""
        at, self._rows = self.current, list(events)[::-1]
        # Apart by a hair at each look, or by more where the clock was set.
        booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        if abs(booted_s - self._booted_s) > 0.5:
            self._booted_s = booted_s
        cursor = self.cursor
        if cursor and at is not None:
            cursor = next((row for row, each in enumerate(self._rows) if each is at), cursor)
            self.top += cursor - self.cursor if self.top else 0
        self.set_cursor(cursor)

    @property
    def current(self) -> Event | None:
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    def row_count(self) -> int:
        return len(self._rows)

    def empty_text(self) -> str:
        return "nothing yet: no threshold was crossed, nothing was killed, no tick was missed"

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        event = self._rows[row]
        clock = time.strftime("%H:%M:%S", time.localtime(self._booted_s + event.time_s))
        return {
            "time": (clock, theme.style(theme.DIM)),
            "mark": theme.event_mark(event.level),
            "text": event.text,
        }
