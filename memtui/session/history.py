"""The last hour in memory: bounded series; holes are None.

One thread writes and reads it: the interface's.
"""

from __future__ import annotations

import copy
import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from memtui.model.keys import ProcessKey
from memtui.model.sample import Sample

if TYPE_CHECKING:
    from memtui.recording.earlier import Earlier

ENTRIES = 3600  # an hour at one second
Keep = Literal["last", "min", "max"]
_NAN = math.nan
_STEP_S = 0.5  # of what processes were: changes are no closer together


class History:
    """A ring of the last 3,600 entries of every metric.

    Entries are at least a second apart (a faster interval overwrites the current second's), so an
    hour fits whatever the interval, and no hour is bigger than another.
    """

    def __init__(self, entries: int = ENTRIES) -> None:
        self._entries = entries
        # Rings that grow to `entries`: 60 whole ones would be 1.7 MB before the first screen.
        self._times = array("d")
        self._intervals = array("d")
        self._series: dict[str, array[float]] = {}
        self._next = 0
        self._count = 0
        self._last: Sample | None = None
        self._entry_start = -math.inf
        self._until_s: float | None = None
        self._hidden = 0  # entries that are newer
        self._origin: tuple[float, str] | None = None
        self._ends: float | None = None  # where that is after the last sample

    def __len__(self) -> int:
        return self._count

    @property
    def last(self) -> Sample | None:
        return self._last

    @property
    def until_s(self) -> float | None:
        """Where everything that is asked for ends, instead of now: where the screen was frozen."""
        return self._until_s

    @until_s.setter
    def until_s(self, time_s: float | None) -> None:
        self._until_s, self._hidden = time_s, 0
        while time_s is not None and self._hidden < self._count:
            if self._times[(self._next - 1 - self._hidden) % self._entries] <= time_s:
                break
            self._hidden += 1

    @property
    def newest_s(self) -> float:
        """The time of the newest entry, hidden or filled in as it may be; 0 without one."""
        return self._times[(self._next - 1) % self._entries] if self._count else 0.0

    def ending(self, time_s: float) -> History:
        """The same, where everything that is asked for ends elsewhere; as long as nothing is recorded."""
        history = copy.copy(self)
        history.until_s, history._ends = time_s, time_s
        return history

    def until(self, time_s: float) -> History:
        """As it is now, for somebody who stands at a time of it, whatever is recorded after."""
        history = copy.copy(self)
        history._times, history._intervals = self._times[:], self._intervals[:]
        history._series = {name: series[:] for name, series in self._series.items()}
        history.until_s = time_s
        return history

    @property
    def end_s(self) -> float:
        """The time of the newest sample that is to be seen; 0 before there is one."""
        last_s = self._last.time_s if self._last else 0.0
        if self._ends is not None:
            return self._ends
        return last_s if self._until_s is None else min(last_s, self._until_s)

    def record(self, sample: Sample) -> None:
        """Adds a sample; one that is not later than the last begins a new history."""
        # Sixty figures with their formulas: not before the first screen.
        from memtui.model.system.metrics import METRICS

        if not self._series:
            self._series = {name: array("d") for name in METRICS}
        before = self._last
        if before is not None and sample.time_s <= before.time_s:
            self._forget()
            before = None
        # What the frozen screen shows is not overwritten either.
        begins = self._count == 0 or (self._until_s is not None and self._hidden == 0)
        if begins or sample.time_s - self._entry_start > 0.999 or sample.interval_s >= 1:
            slot = self._new_slot()
            self._entry_start = sample.time_s
            if self._until_s is not None:
                self._hidden = min(self._count, self._hidden + 1)
        else:
            slot = (self._next - 1) % self._entries
        self._times[slot] = sample.time_s
        self._intervals[slot] = max(1.0, sample.interval_s)
        for metric, series in zip(METRICS.values(), self._series.values(), strict=True):
            value = metric.value(sample, before)
            series[slot] = _NAN if value is None else value
        self._last = sample

    def learn(self, earlier: Earlier) -> None:
        """Puts what somebody else kept before what was recorded here, as far as there is room for it."""
        from memtui.model.system.metrics import METRICS

        if not self._count or self._count == self._entries:
            return
        # Not one ring has been gone round yet.
        first_s = self._times[0]
        fitting = [each for each in earlier.entries if each.time_s < first_s]
        fitting = fitting[-(self._entries - self._count) :]
        if not fitting:
            return
        self._times[:0] = array("d", [each.time_s for each in fitting])
        self._intervals[:0] = array("d", [each.interval_s for each in fitting])
        for name in METRICS:
            values = array("d", [each.figures.get(name, _NAN) for each in fitting])
            self._series[name][:0] = values
        self._count += len(fitting)
        self._next = self._count % self._entries
        if earlier.origin:
            self._origin = first_s, earlier.origin

    def origin(self, window_s: float) -> tuple[float, str] | None:
        """Until when in the last `window_s` figures are somebody else's, and whose, in a word."""
        if self._origin is None or self._origin[0] <= self.end_s - window_s:
            return None
        return self._origin

    def fill(self, time_s: float, interval_s: float, figures: Mapping[str, float]) -> None:
        """Adds what is known of a time after the last without a sample of it: that stands for so long."""
        from memtui.model.system.metrics import METRICS

        if not self._series:
            self._series = {name: array("d") for name in METRICS}
        slot = self._new_slot()
        self._times[slot], self._intervals[slot] = time_s, interval_s
        for name, series in self._series.items():
            series[slot] = figures.get(name, _NAN)

    def _new_slot(self) -> int:
        """Of the next entry: a new one, or that of the oldest."""
        slot = self._next
        self._next = (slot + 1) % self._entries
        if self._count < self._entries:
            self._count += 1
            for ring in (self._times, self._intervals, *self._series.values()):
                ring.append(_NAN)
        return slot

    def _forget(self) -> None:
        self._origin = None
        for series in (self._times, self._intervals, *self._series.values()):
            del series[:]
        self._count = self._next = self._hidden = 0
        self._entry_start = -math.inf

    def _ring(self, name: str) -> array[float]:
        return self._series[name] if self._count else array("d")

    def latest(self, name: str) -> float | None:
        """The newest value of a metric."""
        if self._hidden >= self._count:
            return None
        value = self._series[name][(self._next - 1 - self._hidden) % self._entries]
        return None if math.isnan(value) else value

    def highest(self, name: str) -> float | None:
        """The largest value of the hour."""
        series: Iterable[float] = self._ring(name)
        if self._hidden:
            series = (self._series[name][slot] for slot in self._slots_since(-math.inf))
        known = [value for value in series if not math.isnan(value)]
        return max(known, default=None)

    def mean(self, name: str, window_s: float) -> float | None:
        """The average of a metric's values in the last `window_s`."""
        known = self._known(name, window_s)
        return sum(known) / len(known) if known else None

    def total(self, name: str, window_s: float) -> float | None:
        """The sum of a metric's values in the last `window_s`: of what is counted, how many."""
        known = self._known(name, window_s)
        return sum(known) if known else None

    def _known(self, name: str, window_s: float) -> list[float]:
        since, times, series = self.end_s - window_s, self._times, self._ring(name)
        return [
            series[slot]
            for slot in self._slots_since(since)
            if times[slot] > since and not math.isnan(series[slot])
        ]

    def trend_per_minute(self, name: str, window_s: float) -> float | None:
        """How fast a metric rises or falls over the last `window_s`; 0 where that is only noise.

        None before a sixth of the window, at least fifteen seconds, has been seen.
        """
        from memtui.model.shortage.trend import slope_per_s  # not before there is a history

        slope = slope_per_s(*self.series(name, window_s), least_s=max(15.0, window_s / 6))
        return None if slope is None else slope * 60

    def series(self, name: str, window_s: float) -> tuple[list[float], list[float]]:
        """Times and values of a metric in the last `window_s`, oldest first; holes are left out."""
        times: list[float] = []
        values: list[float] = []
        if self._last is not None:
            ring, since = self._series[name], self.end_s - window_s
            for slot in self._slots_since(since):
                if self._times[slot] >= since and not math.isnan(ring[slot]):
                    times.append(self._times[slot])
                    values.append(ring[slot])
        return times, values

    def buckets(
        self, name: str, window_s: float, count: int, keep: Keep = "last", align: int = 1
    ) -> Buckets:
        """A metric over the last `window_s`, as one value for each of `count` spans of time.

        Spans begin at multiples of their length since boot, so that a value stays in its span and a
        graph of them moves without shimmering. `keep` says which value of a span stands for it.
        A span in which nothing was measured holds the value before it until a tick was missed (half
        an interval late), and is None after that. The last span is the last of `align` that belong
        together, dots of one cell, and may lie in the future.
        """
        span = window_s / count
        until_s = self.end_s
        now = math.floor(until_s / span)
        end = now - now % align + align - 1
        first = end - count + 1
        series = self._ring(name)
        values: list[float | None] = [None] * count
        holds = [-1] * count
        held, held_until = None, -1
        for slot in self._slots_since((first - 1) * span):
            value, time = series[slot], self._times[slot]
            if math.isnan(value) or time > until_s:
                continue
            at = math.floor(time / span) - first
            until = math.floor((time + 1.5 * self._intervals[slot]) / span) - first
            if at < 0:
                held, held_until = value, until
                continue
            old = values[at]
            values[at] = value if old is None else _KEEP[keep](old, value)
            holds[at] = until
        for at, known in enumerate(values):
            if known is not None:
                held, held_until = known, holds[at]
            elif at <= held_until and first + at <= now:
                values[at] = held
        return Buckets(end, values)

    def _slots_since(self, time_s: float) -> list[int]:
        """Slots of entries not older than `time_s` and the one before them, oldest first."""
        slots = []
        for back in range(1 + self._hidden, self._count + 1):
            slot = (self._next - back) % self._entries
            slots.append(slot)
            if self._times[slot] < time_s:
                break
        slots.reverse()
        return slots


class GrowthTracker:
    """What each process's RSS gained in the last minute.

    Only changes are kept, at most two a second, so that a process that does nothing costs nothing.
    What is kept does not depend on when it began: the past is told by what is read of it later.
    """

    def __init__(self, window_s: float = 60.0) -> None:
        self._window_s = window_s
        # Lists: of a thousand processes most change never, and an empty deque takes 600 bytes.
        self._changes: dict[ProcessKey, list[tuple[float, int]]] = {}
        self._now = 0.0
        self._began: float | None = None

    @property
    def counted_s(self) -> float:
        """How long is counted so far: the window, or less before that has passed."""
        return 0.0 if self._began is None else min(self._window_s, self._now - self._began)

    def record(self, sample: Sample) -> None:
        """Adds a sample; one that is not later than the last begins anew."""
        if sample.time_s <= self._now:
            self._changes.clear()
            self._began = None
        self._now = sample.time_s
        if self._began is None:
            self._began = sample.time_s
        changes, oldest = self._changes, sample.time_s - self._window_s
        for key, process in sample.processes.items():
            history, rss = changes.get(key), process.rss_bytes
            if rss is None:
                continue
            if history is None:
                changes[key] = [(sample.time_s, rss)]
                continue
            _note(history, sample.time_s, rss)
            # The newest value from before the window is where it began.
            while len(history) > 1 and history[1][0] <= oldest:
                del history[0]
        if len(changes) > len(sample.processes):
            for key in changes.keys() - sample.processes.keys():
                del changes[key]

    @property
    def since_s(self) -> float:
        """Before when the first value lies that counts, where there is one so old."""
        return math.floor((self._now - self._window_s) / _STEP_S) * _STEP_S

    def remember(
        self, began_s: float, now_s: float, sizes: Mapping[ProcessKey, Sequence[tuple[float, int]]]
    ) -> None:
        """Begins anew with what processes were by their times, oldest first: as if all of it had been
        recorded, from the last that is before `since_s` on."""
        self._began, self._now = began_s, now_s
        self._changes = {}
        oldest = now_s - self._window_s
        for key, values in sizes.items():
            if not values:
                continue
            history = self._changes[key] = [values[0]]
            for time_s, rss in values[1:]:
                _note(history, time_s, rss)
            while len(history) > 1 and history[1][0] <= oldest:
                del history[0]

    def still(self) -> GrowthTracker:
        """As it is now, whatever is recorded after."""
        growth = copy.copy(self)
        growth._changes = {key: changes[:] for key, changes in self._changes.items()}
        return growth

    def gained_bytes(self, key: ProcessKey) -> int:
        """RSS now less RSS a minute ago, or less the first one seen since; 0 if never seen."""
        history = self._changes.get(key)
        return history[-1][1] - history[0][1] if history else 0

    def last_minute(self, key: ProcessKey, count: int) -> list[int | None]:
        """The most that RSS was in each of `count` spans of the window; None before it was seen.

        Spans begin at multiples of their length, so that a row of them does not shimmer.
        """
        values: list[int | None] = [None] * count
        history = self._changes.get(key)
        if not history:
            return values
        span = self._window_s / count
        first = math.floor(self._now / span) - count + 1
        held: int | None = None
        at = 0
        for time_s, rss in history:
            slot = math.floor(time_s / span) - first
            while at < min(slot, count):
                values[at] = held
                at += 1
            if 0 <= slot < count:
                known = values[slot] if at > slot else held
                values[slot] = rss if known is None else max(known, rss)
                at = max(at, slot + 1)
            held = rss
        for rest in range(at, count):
            values[rest] = held
        return values


def _note(history: list[tuple[float, int]], time_s: float, rss: int) -> None:
    """Adds a change: of those of half a second the newest stands for it."""
    last_s, last = history[-1]
    if last == rss:
        return
    if len(history) > 1 and math.floor(last_s / _STEP_S) == math.floor(time_s / _STEP_S):
        history.pop()
    history.append((time_s, rss))


class Buckets(NamedTuple):
    """Values of equal spans of time; the last one's number, counted in spans since boot."""

    last_span: int
    values: list[float | None]


def _last(old: float, new: float) -> float:
    return new


_KEEP: dict[Keep, Callable[[float, float], float]] = {"last": _last, "min": min, "max": max}
