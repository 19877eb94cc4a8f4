"""What is expensive to read, together, costs 5 % of a core at most: maps, shares, all groups, ranks."""

from __future__ import annotations

import threading
from typing import Final, NamedTuple

from memtui.live.clock import Clock, SystemClock

COST_FACTOR: Final = 20
# On request all is read as soon as may be: the readings then take half a core.
_HASTE_FACTOR: Final = 1
_LOOK_AGAIN_S: Final = 0.1  # for one whose turn it is not


class _Waiting(NamedTuple):
    since_s: float
    until_s: float  # it asks again before, or has given up


class Budget:
    """One for a machine, for all threads. A reader asks whether it `may`, reads, and is charged.

    Each in turn: of those that wait the one that has waited longest. What somebody has just opened is
    read without asking, and charged all the same: everything rests the longer for it.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._rested_s = 0.0
        self._waiting: dict[str, _Waiting] = {}

    def may(self, who: str, again_s: float = 1.0) -> bool:
        """Whether `who` may read now; if not, it keeps its place if it asks again within `again_s`
        after all has rested.
        """
        with self._lock:
            now_s = self._clock.monotonic_s()
            self._waiting = {
                each: waiting for each, waiting in self._waiting.items() if now_s <= waiting.until_s
            }
            before = self._waiting.get(who)
            since_s = now_s if before is None else before.since_s
            until_s = max(now_s, self._rested_s) + 2 * again_s
            self._waiting[who] = _Waiting(since_s, until_s)
            return now_s >= self._rested_s and self._first() == who

    def charge(self, who: str, cost_s: float, *, hurry: bool = False) -> None:
        """`who` has read, which took so long; nothing is read before twenty times that has passed."""
        with self._lock:
            self._waiting.pop(who, None)
            begin_s = max(self._rested_s, self._clock.monotonic_s())
            self._rested_s = begin_s + cost_s * (_HASTE_FACTOR if hurry else COST_FACTOR)

    def leave(self, who: str) -> None:
        """`who` wants nothing any more."""
        with self._lock:
            self._waiting.pop(who, None)

    def wait_s(self, who: str) -> float:
        """How long until it is worth while for `who` to ask again."""
        with self._lock:
            rest_s = max(0.0, self._rested_s - self._clock.monotonic_s())
            return rest_s if self._first() in (who, None) else rest_s + _LOOK_AGAIN_S

    def _first(self) -> str | None:
        waiting = self._waiting
        return min(waiting, key=lambda who: waiting[who].since_s, default=None)
