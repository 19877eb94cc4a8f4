"""When samples are due."""

from __future__ import annotations

import math

from memtui.live.budget import COST_FACTOR


class Ticks:
    """A grid without drift: a tick that comes too late is skipped and counted, not made up.

    Where there is so much to read that it would take too much of a core, ticks are longer than was
    asked for. All in seconds, on a monotonic clock.
    """

    def __init__(self, asked_s: float, due_s: float) -> None:
        self.asked_s = asked_s
        self.interval_s = asked_s
        self.due_s = due_s
        self.skipped = 0
        self._cost_s = 0.0

    def taken(self, now_s: float, cost_s: float) -> None:
        """The one that was due has been taken, and cost so much; the next is due later than now."""
        late = max(0, int((now_s - self.due_s) // self.interval_s))
        self.skipped += late
        longer = affordable(self.asked_s, self.interval_s, cost_s)
        self.due_s += late * self.interval_s + longer
        if self.due_s <= now_s:  # a shorter interval's, of which none has been missed
            self.due_s += ((now_s - self.due_s) // longer + 1) * longer
        self.interval_s = longer
        self._cost_s = cost_s

    def restart(self, asked_s: float, now_s: float) -> None:
        """Something else is wanted from now on: a tick at once, and the grid from there."""
        self.asked_s = asked_s
        self.interval_s = affordable(asked_s, asked_s, self._cost_s)
        self.due_s = now_s


def affordable(asked_s: float, now_s: float, cost_s: float) -> float:
    """The interval for ticks that take so much: the one asked for, or a multiple of it.

    It gets longer at once and shorter when there is room to spare, so that it does not swing.
    """
    times = max(1, math.ceil(cost_s * COST_FACTOR / asked_s))
    if now_s > asked_s and times * asked_s < now_s:
        times = max(1, math.ceil(1.3 * cost_s * COST_FACTOR / asked_s))
    return times * asked_s if times * asked_s > now_s else min(now_s, times * asked_s)
