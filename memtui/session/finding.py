"""Finds the next thing that happened, from a time on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from memtui import units
from memtui.model.shortage.events import Event

GROWTH: Final = "growth"
_SPAN_S: Final = 60.0
_SAME_S: Final = 0.001


def next_event(
    events: Iterable[Event], now_s: float, forward: bool, kinds: Collection[str]
) -> float | None:
    """The time of the event after, or before, a time; see Session.find_event."""
    times = [event.time_s for event in events if not kinds or event.kind in kinds]
    if forward:
        return min((each for each in times if each > now_s + _SAME_S), default=None)
    return max((each for each in times if each < now_s - _SAME_S), default=None)


def largest_growth(times: Sequence[float], available: Sequence[float]) -> list[Event]:
    """When available memory had fallen most within a minute, or from one value to the next; nothing
    where it never fell."""
    best, at_s, start = 0.0, 0.0, 0
    for at, now_s in enumerate(times):
        while start < at - 1 and now_s - times[start] > _SPAN_S:
            start += 1
        fell = max(available[start:at], default=available[at]) - available[at]
        if fell > best:
            best, at_s = fell, now_s
    if not best:
        return []
    words = f"the largest growth: {units.size(best)} less available within a minute"
    return [Event(at_s, GROWTH, "note", words, "mem_available_bytes")]
