"""Which part of time graphs show, and where in it the moment is that a view is wound back to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from textual.message import Message

from memtui.session.history import History
from memtui.session.session import Moment


class MomentWanted(Message):
    """The user has pointed at a moment, in seconds since boot: to be shown by every view."""

    def __init__(self, time_s: float) -> None:
        super().__init__()
        self.time_s = time_s


class Wound(NamedTuple):
    """Of graphs while a moment is shown that is not now: what they show, which may go on after it; that
    moment, in seconds since boot; and a clock on the wall for such times."""

    history: History
    at_s: float
    clock: Callable[[float], str]

    def cell(self, span_s: float, last_cell: int, cells: int) -> int:
        """The cell of a graph that the moment is in; `last_cell` counts spans since boot."""
        return math.floor(self.at_s / span_s) - last_cell + cells - 1


class TimeWindow:
    """Where the graphs of one view end: they stay as they are while the moment is in them."""

    def __init__(self) -> None:
        self._end_s: float | None = None

    def wound(self, moment: Moment, window_s: float) -> Wound | None:
        """None: it ends now. Half a window of what came after where the moment was outside."""
        if not moment.is_past:
            self._end_s = None
            return None
        history, at_s = moment.history, moment.sample.time_s
        now_s = max(at_s, history.newest_s)
        end_s = now_s if self._end_s is None else self._end_s
        if not end_s - window_s < at_s <= end_s:
            end_s = min(now_s, at_s + window_s / 2)
        self._end_s = end_s
        return Wound(history.ending(end_s), at_s, moment.machine.time_of_day)
