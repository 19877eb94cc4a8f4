"""What alerts do in the interface, and events as lines of text."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final, Literal

from textual.app import App

from memtui import units
from memtui.model.alerts import AlertSettings, Event, Events, Level, State, watch
from memtui.model.sample import Sample
from memtui.tui import theme
from memtui.tui.widgets.lines import Line

_SEVERITIES: Final[dict[Level, Literal["information", "warning", "error"]]] = {
    "note": "information",
    "warning": "warning",
    "alarm": "error",
}
_TOAST_S: Final = 8.0


class Alerting:
    """Watches each sample, lists what it tells, and does what the settings say.

    `events` is everything, for a list; `marks` what is to be marked in the graphs.
    """

    def __init__(self, app: App[None], settings: AlertSettings) -> None:
        self.events = Events()
        self.marks = Events()
        self._app = app
        self._settings = settings
        self._state = State()

    def take(self, sample: Sample, before: Sample | None, verdict: str | None) -> list[Event]:
        """Takes a sample in, with the one before it and the verdict on it; what it told."""
        self._state, found = watch(self._state, self._settings, sample, before, verdict)
        for event in found:
            actions = self._settings.actions_of(event)
            self.events.add(event)
            if "mark" in actions:
                self.marks.add(event)
            if "notify" in actions:
                self._app.notify(
                    event.text,
                    severity=_SEVERITIES[event.level],
                    timeout=_TOAST_S,
                    markup=False,
                )
            if "bell" in actions:
                self._app.bell()
        return found


def event_lines(
    events: Iterable[Event], now_s: float, width: int, wall_s: float | None = None
) -> list[Line]:
    """Events as lines, the newest first: time of day, glyph, what happened.

    `now_s` is the time since boot at which the clock on the wall said `wall_s` (None: says now).
    """
    wall = time.time() if wall_s is None else wall_s
    lines: list[Line] = []
    for event in reversed(list(events)):
        at = time.localtime(wall - (now_s - event.time_s))
        glyph, style = theme.event_mark(event.level)
        lines.append(
            [
                (f" {time.strftime('%H:%M:%S', at)} ", theme.style(theme.DIM)),
                (glyph, style),
                (" " + units.fit(event.text, width - 12), theme.style(theme.FOREGROUND)),
            ]
        )
    return lines
