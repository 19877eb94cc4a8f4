"""Where a figure is going, and when a falling one reaches zero, if that can be said at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import Final, NamedTuple

WINDOW_S: Final = 300.0  # what is older says nothing of the rate now
_LEAST_S: Final = 10.0
_LEAST_POINTS: Final = 10
_MOST_POINTS: Final = 60  # slopes of all pairs: 1,770, a third of a millisecond
_FURTHEST_S: Final = 2 * 3600.0
# How far ahead a trend may be drawn, in lengths of itself: a short one less far.
_AHEAD: Final = 6
_AHEAD_OF_LONG: Final = 24
_LONG_S: Final = 120.0
_PARTS: Final = 5
_LEAST_STEP: Final = 0.35  # of the average: each part must be lower than the one before it
_LEAST_AGREEING: Final = 0.7  # of all pairs
_NOISE: Final = 4.0  # the fall must exceed the scatter around it by this
_OFF: Final = 0.25  # of the fall: the last value may be so far above the line
_THERE: Final = 0.02  # of the fall: what has so little left has arrived


class Line(NamedTuple):
    """The line through points: its slope, its value at their end, how far they are from it, and the
    share of all pairs of points that rise and that fall."""

    slope_per_s: float
    level: float
    scatter: float
    rising: float
    falling: float

    def stands_out(self, span_s: float) -> bool:
        """Whether what it rises or falls by is more than the scatter around it."""
        agreeing = self.rising if self.slope_per_s > 0 else self.falling
        moved = abs(self.slope_per_s) * span_s
        return agreeing >= _LEAST_AGREEING and moved > 0 and moved >= _NOISE * 1.48 * self.scatter


def slope_per_s(times: Sequence[float], values: Sequence[float], least_s: float) -> float | None:
    """How fast a figure rises or falls over all of these times; 0 where that is not significant.

    None before `least_s`, or with fewer than ten values. Times ascend, in seconds.
    """
    if len(times) < _LEAST_POINTS or times[-1] - times[0] < least_s:
        return None
    line = line_of(list(zip(times, values, strict=True)))
    return line.slope_per_s if line.stands_out(times[-1] - times[0]) else 0.0


def line_of(points: list[tuple[float, float]]) -> Line:
    """By the median of the slopes between all pairs (Theil and Sen)."""
    now = points[-1][0]
    points = _thinned(points)
    slopes = [
        (late - early) / (then - time)
        for (time, early), (then, late) in combinations(points, 2)
        if then > time
    ]
    slope = median(slopes)
    level = median(value + slope * (now - time) for time, value in points)
    scatter = median(abs(value + slope * (now - time) - level) for time, value in points)
    rising = sum(each > 0 for each in slopes) / len(slopes)
    falling = sum(each < 0 for each in slopes) / len(slopes)
    return Line(slope, level, scatter, rising, falling)


def time_to_zero_s(times: Sequence[float], values: Sequence[float]) -> float | None:
    """Seconds from the last of `times` until `values` reach zero, at the rate of the last minutes.

    None unless they fall all the time, beyond their scatter, and reach zero within two hours; also
    where they are there already, or have just come back. A step, a heap that is collected now and
    then, or noise is no trend. Times ascend, in seconds; what is unknown is left out.
    """
    first = next((at for at, time in enumerate(times) if times[-1] - time <= WINDOW_S), 0)
    points = list(zip(times[first:], values[first:], strict=True))
    if len(points) < _LEAST_POINTS or points[-1][0] - points[0][0] < _LEAST_S:
        return None
    span = points[-1][0] - points[0][0]
    if not _falls_throughout(points):
        return None
    line = line_of(points)
    slope, level = line.slope_per_s, line.level
    if slope >= 0 or not line.stands_out(span):
        return None
    fall, last = -slope * span, values[-1]
    if not _THERE * fall < last < level + _OFF * fall:
        return None
    left_s = max(0.0, level) / -slope
    ahead = _AHEAD_OF_LONG if span >= _LONG_S else _AHEAD
    return left_s if left_s <= min(_FURTHEST_S, ahead * span) else None


def _falls_throughout(points: list[tuple[float, float]]) -> bool:
    """Whether each part of the time is lower than the one before, by about as much."""
    levels = [median(value for _, value in part) for part in parts_of(points, _PARTS)]
    if len(levels) < _PARTS:
        return False
    average = (levels[0] - levels[-1]) / (_PARTS - 1)
    steps = [early - late for early, late in pairwise(levels)]
    return average > 0 and min(steps) >= _LEAST_STEP * average


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most sixty points: the medians of equal spans of time."""
    if len(points) <= _MOST_POINTS:
        return points
    return [
        (median(time for time, _ in part), median(value for _, value in part))
        for part in parts_of(points, _MOST_POINTS)
    ]


def parts_of(points: list[tuple[float, float]], count: int) -> list[list[tuple[float, float]]]:
    """The points by equal spans of time; spans without any are left out."""
    start, span = points[0][0], points[-1][0] - points[0][0]
    parts: list[list[tuple[float, float]]] = [[] for _ in range(count)]
    for point in points:
        parts[min(count - 1, int(count * (point[0] - start) / span))].append(point)
    return [part for part in parts if part]


def median(values: Iterable[float]) -> float:
    # Not statistics.median: that module takes longer to import than all of this one's work.
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
