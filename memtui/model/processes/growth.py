"""How a size moved over a long time: in a line upwards, up to a plateau, up and down, or by chance.

What counts is the last piece that one line fits: what was before, a start or a load that came, is no
part of it. A heap that is collected now and then is judged by what is left after each collection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from memtui.model.shortage.trend import Line, line_of, median, parts_of

Shape = Literal["leak", "plateau", "sawtooth", "chance"]
Point = tuple[float, float]

SURE: Final = 0.9  # from here on it is called a leak
LEAST_POINTS: Final = 6
_LEAST_S: Final = 10.0  # for so long it must go on
_LONG_S: Final = 60.0  # what has gone on for less may still end soon: so much less sure it is
_SHORT: Final = 0.9
_MOST_POINTS: Final = 60  # of a piece: more are the least of equal spans
_POINTS_A_SPAN: Final = 3
_STEPS: Final = 12  # a piece is that many, to see whether each goes up
_LEAST_STEPS: Final = 5
_CUTS: Final = 3  # what is before each of them is left off
_BETTER: Final = 0.35  # of the squares that are left: with no less gain there is no cut
_SLOWED: Final = 0.5  # the second half's slope, less than that of the first's: a curve that ends
_PACE: Final = 4.0  # times slower or faster it may have been before, and be the same leak
_TOOTH: Final = 0.2  # of the range: so deep falls are of a sawtooth
_TEETH: Final = 2
_FLOOR: Final = 0.2  # of the range: so much the troughs must rise
_NEW: Final = 0.5  # of what it grew: so much must be above all that was before


class Growth(NamedTuple):
    """What came of a series. `since_s` is when the line began, `until_s` when it ended: for a leak the
    last moment; `grown` and `slope_per_s` are of that time.

    `certainty`: 0 to 1, how far the pairs of values agree that it rises, and how unlikely chance alone
    would have made such steps.
    """

    shape: Shape
    since_s: float
    until_s: float
    slope_per_s: float
    grown: float
    certainty: float


def growth_of(times: Sequence[float], values: Sequence[float]) -> Growth | None:
    """What became of a size. Times ascend, in seconds; None: there is too little of them to tell."""
    points = list(zip(times, values, strict=True))
    if len(points) < LEAST_POINTS or points[-1][0] <= points[0][0]:
        return None
    troughs = _troughs(points)
    if troughs is not None:
        found = _of_sawtooth(points, troughs)
        # Where the line outgrows the teeth, or they are only noise, it is a line all the same.
        return found if found.shape == "leak" else _line_or(found, points)
    piece, before = _last_piece(points)
    found = _judged(piece)
    if found.shape == "leak" and _was_there_before(points, found):
        found = found._replace(shape="chance")
    if before is None:
        return found
    earlier = _judged(before)
    if earlier.slope_per_s <= 0 or earlier.certainty < SURE * _SHORT:
        return found
    if found.shape == "leak":
        # Slower than before, and not for long: the curve of a warm-up, cut where it bends.
        is_slower = found.slope_per_s < earlier.slope_per_s
        is_short = 2 * (piece[-1][0] - piece[0][0]) < points[-1][0] - points[0][0]
        if is_slower and is_short:
            return found._replace(shape="plateau")
        return found
    # It goes on no more: what was before is what grew.
    return earlier._replace(shape="plateau")


def _line_or(found: Growth, points: list[Point]) -> Growth:
    whole = _judged(points)
    return whole if whole.shape == "leak" else found


def _judged(points: list[Point]) -> Growth:
    """What one piece is by itself."""
    floors = _floors(points)
    line = line_of(floors)
    first_s, last_s = points[0][0], points[-1][0]
    slope = line.slope_per_s
    certainty = _certainty(floors, line)
    shape: Shape = "chance"
    if slope > 0 and certainty >= SURE and last_s - first_s >= _LEAST_S:
        shape = "plateau" if _slows(floors) else "leak"
    span_s = last_s - first_s
    certainty *= min(1.0, _SHORT + (1 - _SHORT) * span_s / _LONG_S)
    return Growth(shape, first_s, last_s, slope, slope * span_s, certainty)


def _certainty(points: list[Point], line: Line) -> float:
    """How sure it is that a piece rises: 0 to 1."""
    agreement = max(0.0, line.rising - line.falling)
    return agreement * _no_chance(_steps(points))


def _steps(points: list[Point]) -> list[float]:
    """By how much each part of a piece is above the one before."""
    count = max(_LEAST_STEPS, min(_STEPS, len(points) // 2)) + 1
    levels = [median(value for _, value in part) for part in parts_of(points, count)]
    return [late - early for early, late in pairwise(levels)]


def _no_chance(steps: list[float]) -> float:
    """How unlikely steps that go up as often as down would make such a rise: Student's t of them.

    A walk by chance has long rises too, but no equal steps.
    """
    count = len(steps)
    if count < 2:
        return 0.0
    mean = sum(steps) / count
    if mean <= 0:
        return 0.0
    scatter = math.sqrt(sum((step - mean) ** 2 for step in steps) / (count - 1))
    if not scatter:
        return 1.0
    freedom = count - 1
    t = mean / (scatter / math.sqrt(count))
    # Student's distribution as a normal one: Abramowitz and Stegun 26.7.8.
    z = t * (1 - 1 / (4 * freedom)) / math.sqrt(1 + t * t / (2 * freedom))
    return math.erf(z / math.sqrt(2))


def _slows(points: list[Point]) -> bool:
    """Whether the second half rises so much less than the first that it is the curve of a warm-up."""
    middle = (points[0][0] + points[-1][0]) / 2
    halves = (
        [each for each in points if each[0] <= middle],
        [each for each in points if each[0] >= middle],
    )
    if min(map(len, halves)) < 3:
        return False
    first, second = (line_of(half).slope_per_s for half in halves)
    return second < _SLOWED * first


def _was_there_before(points: list[Point], found: Growth) -> bool:
    """Whether it had nearly as much before it began to grow."""
    before = [value for time_s, value in points if time_s < found.since_s]
    if not before:
        return False
    # The second largest: one value alone may be anything.
    most = sorted(before)[-2:][0]
    return points[-1][1] - most < _NEW * found.grown


def _last_piece(points: list[Point]) -> tuple[list[Point], list[Point] | None]:
    """The end of a series that one line fits, and the piece before it, where there is one."""
    before: list[Point] | None = None
    for _ in range(_CUTS):
        cut_s = _break(_floors(points))
        if cut_s is None:
            break
        late = [each for each in points if each[0] >= cut_s]
        if len(late) < LEAST_POINTS or late[-1][0] <= late[0][0]:
            break
        early = [each for each in points if each[0] <= cut_s]
        if _goes_on(early, late):
            break
        before = early if len(early) >= LEAST_POINTS else before
        points = late
    return points, before


def _goes_on(early: list[Point], late: list[Point]) -> bool:
    """Whether it rose before at much the same pace: it is one leak then."""
    if len(early) < LEAST_POINTS or early[-1][0] <= early[0][0]:
        return False
    before, after = (line_of(_floors(each)).slope_per_s for each in (early, late))
    return before > 0 and 1 / _PACE < after / before < _PACE


def _floors(points: list[Point]) -> list[Point]:
    """The least of equal spans of time: what comes and goes within one counts for nothing."""
    count = min(_MOST_POINTS, max(2 * _STEPS, len(points) // _POINTS_A_SPAN))
    if len(points) <= count:
        return points
    return [min(part, key=lambda each: each[1]) for part in parts_of(points, count)]


def _break(points: list[Point]) -> float | None:
    """Where a line that bends once fits far better than one that does not."""
    least = LEAST_POINTS
    if len(points) < 2 * least:
        return None
    whole = _squares(points, None)
    best, best_s = whole, None
    for time_s, _ in points[3 : 1 - least]:
        squares = _squares(points, time_s)
        if squares < best:
            best, best_s = squares, time_s
    return best_s if best < _BETTER * whole else None


def _squares(points: list[Point], bend_s: float | None) -> float:
    """What is left of the values, squared, beside the line through them that bends there."""
    start, span = points[0][0], points[-1][0] - points[0][0]
    rows = []
    for time_s, value in points:
        row = [1.0, (time_s - start) / span]
        if bend_s is not None:
            row.append(max(0.0, time_s - bend_s) / span)
        rows.append((row, value))
    size = len(rows[0][0])
    matrix = [[sum(row[i] * row[j] for row, _ in rows) for j in range(size)] for i in range(size)]
    right = [sum(row[i] * value for row, value in rows) for i in range(size)]
    found = _solved(matrix, right)
    if found is None:
        return math.inf
    return sum(
        (value - sum(a * b for a, b in zip(row, found, strict=True))) ** 2 for row, value in rows
    )


def _solved(matrix: list[list[float]], right: list[float]) -> list[float] | None:
    """By elimination; None: there is more than one solution."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for at in range(size):
        pivot = max(range(at, size), key=lambda row: abs(rows[row][at]))
        if abs(rows[pivot][at]) < 1e-9:
            return None
        rows[at], rows[pivot] = rows[pivot], rows[at]
        for row in range(at + 1, size):
            factor = rows[row][at] / rows[at][at]
            rows[row] = [a - factor * b for a, b in zip(rows[row], rows[at], strict=True)]
    found = [0.0] * size
    for at in reversed(range(size)):
        rest = sum(rows[at][other] * found[other] for other in range(at + 1, size))
        found[at] = (rows[at][size] - rest) / rows[at][at]
    return found


def _troughs(points: list[Point]) -> list[Point] | None:
    """What is left after each deep fall; None: it does not rise and fall so deep again and again."""
    values = [value for _, value in points]
    deep = _TOOTH * (max(values) - min(values))
    if not deep:
        return None
    troughs = [points[0]]
    high, low = points[0], points[0]
    falls = False
    for point in points:
        if falls:
            if point[1] < low[1]:
                low = point
            elif point[1] - low[1] >= deep:  # it rises again
                troughs.append(low)
                falls, high = False, point
        elif point[1] > high[1]:
            high = point
        elif high[1] - point[1] >= deep:
            falls, low = True, point
    return troughs if len(troughs) > _TEETH else None


def _of_sawtooth(points: list[Point], troughs: list[Point]) -> Growth:
    """A leak where the troughs rise as a line does."""
    first_s, last_s = troughs[0][0], points[-1][0]
    values = [value for _, value in points]
    if len(troughs) >= LEAST_POINTS:
        found = _judged(troughs)
        grown = found.slope_per_s * (last_s - first_s)
        # Less may be where in a tooth the trough happened to be seen.
        if found.shape == "leak" and grown >= _FLOOR * (max(values) - min(values)):
            return found._replace(until_s=last_s, grown=grown)
    slope = line_of(troughs).slope_per_s
    return Growth("sawtooth", first_s, last_s, slope, max(0.0, slope * (last_s - first_s)), 0.0)
