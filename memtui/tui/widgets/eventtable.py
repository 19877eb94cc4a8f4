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

    def show(self, events: Events, now_s: float) -> None:
        self._booted_s = time.time() - now_s
        self._rows = list(events)[::-1]
        self.set_cursor(self.cursor)

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
