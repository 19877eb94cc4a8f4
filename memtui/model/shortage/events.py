"""What happened, and a bounded list of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

Level = Literal["note", "warning", "alarm"]
LEVELS: Final[tuple[Level, ...]] = ("note", "warning", "alarm")  # the worst last

EVENTS_KEPT: Final = 500


class Event(NamedTuple):
    """Something that happened. `time_s` counts from boot, as samples do; whoever shows it turns it
    into a time of day. `metric` names the figure it is about, empty where there is none."""

    time_s: float
    kind: str
    level: Level
    text: str
    metric: str = ""


class Events:
    """The newest events, oldest first; the oldest go when there are too many."""

    def __init__(self, kept: int = EVENTS_KEPT) -> None:
        self._events: deque[Event] = deque(maxlen=kept)

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def __copy__(self) -> Events:
        events = Events()
        events._events = self._events.copy()
        return events

    def add(self, event: Event) -> None:
        self._events.append(event)

    def until(self, time_s: float) -> Events:
        """Those not newer."""
        events = Events()
        events._events.extend(event for event in self._events if event.time_s <= time_s)
        return events

    def since(self, time_s: float) -> list[Event]:
        """Those not older, oldest first."""
        found = []
        for event in reversed(self._events):
            if event.time_s < time_s:
                break
            found.append(event)
        found.reverse()
        return found
