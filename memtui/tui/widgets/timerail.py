"""A row that shows all of a recording, and leads to any moment of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events

from memtui.tui.widgets.lines import Lines
from memtui.tui.widgets.timewindow import MomentWanted
from memtui.tui.words.cells import Line
from memtui.tui.words.timerail import NO_RAIL, Kept, rail, time_at


class TimeRail(Lines):
    """There while a recording is replayed, where there is room for a row more."""

    def __init__(self) -> None:
        super().__init__(id="rail")
        self._kept: Kept | None = None
        self._rail = NO_RAIL

    def update(self, kept: Kept, at_s: float, clock: Callable[[float], str]) -> None:
        """What there is, and the moment that is shown; `clock` tells the time of day of both."""
        self._kept = kept

        def lines(width: int) -> Sequence[Line]:
            self._rail = rail(width, kept, at_s, clock)
            return [self._rail.line]

        self.draw(lines)

    def on_click(self, event: events.Click) -> None:
        if self._kept is not None and event.x in self._rail.cells:
            cells = self._rail.cells
            self.post_message(MomentWanted(time_at(event.x - cells.start, self._kept, len(cells))))
