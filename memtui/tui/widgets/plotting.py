"""What a graph over time is drawn of: cells of bands, runs of curves, ticks of axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from memtui import units
from memtui.model.shortage.events import LEVELS, Event, Level
from memtui.model.system.metrics import Metric
from memtui.session.history import History

BandCell = tuple[int | None, int | None, str]
"""The band below, the band above, and the eighth block where they meet in the cell ("": one band)."""


def band_cells(
    values: Sequence[Sequence[float | None]],
    top: float,
    height: int,
    eighths: str,
    bands: int,
    bottom: float = 0.0,
) -> list[list[BandCell]]:
    """Stacked values as rows of cells from the top; where any is None there is a hole.

    `values` are one list a band, from the bottom, `bands` how many there are: one more than lists
    where the last is the rest up to `top`. What is below `bottom` is cut off.
    """
    rows: list[list[BandCell]] = [[] for _ in range(height)]
    if not values:
        return []
    for column in zip(*values, strict=True):
        edges: list[int] = []
        total = 0.0
        for value in column:
            if value is None:
                break
            total += value
            at = (total - bottom) / (top - bottom)
            edges.append(max(0, min(height * 8, round(at * height * 8))))
        else:
            for row in range(height):
                low = (height - 1 - row) * 8
                below = sum(edge <= low for edge in edges)
                above = sum(edge < low + 8 for edge in edges)
                if below >= bands:
                    rows[row].append((None, None, ""))
                elif above == below or above >= bands + (below >= bands):
                    rows[row].append((below, below, ""))
                else:
                    part = eighths[edges[below] - low]
                    rows[row].append((below, min(above, bands - 1), part))
            continue
        for row in range(height):
            rows[row].append((None, None, ""))
    return rows


_LEAST: Final = 1 / 16  # of a cell: a band that has less is none


def whole_cells(
    values: Sequence[Sequence[float | None]],
    top: float,
    height: int,
    bands: int,
    bottom: float = 0.0,
) -> list[list[BandCell]]:
    """As `band_cells`, of whole cells: what tells bands apart by glyphs can draw no part of one.

    A thin band has a cell all the same, of the largest's.
    """
    if not values:
        return []
    rows: list[list[BandCell]] = [[] for _ in range(height)]
    for column in zip(*values, strict=True):
        known = [value for value in column if value is not None]
        if len(known) < len(column):
            for row in rows:
                row.append((None, None, ""))
            continue
        edges, total = [0.0], 0.0
        for value in known:
            total += value
            at = (total - bottom) / (top - bottom) * height
            edges.append(max(0.0, min(float(height), at)))
        edges += [float(height)] * (bands + 1 - len(edges))
        exact = [above - below for below, above in pairwise(edges)]
        ends = [round(edge) for edge in edges]
        counts = [above - below for below, above in pairwise(ends)]
        for band, part in enumerate(exact):
            if not counts[band] and part >= _LEAST and max(counts) > 1:
                counts[counts.index(max(counts))] -= 1
                counts[band] = 1
        drawn: list[BandCell] = [
            (band, band, "") for band, count in enumerate(counts) for _ in range(count)
        ]
        drawn += [(None, None, "")] * (height - len(drawn))
        for row, cell in zip(reversed(rows), drawn, strict=True):
            row.append(cell)
    return rows


def event_marks(
    events: Sequence[Event], span_s: float, last_cell: int, cells: int
) -> dict[int, Level]:
    """The cells of a graph in which something happened, with the worst of it.

    A cell is `span_s` of time; the rightmost is `last_cell`, counted in spans since boot.
    """
    marks: dict[int, Level] = {}
    for event in reversed(events):
        at = math.floor(event.time_s / span_s) - last_cell + cells - 1
        if at < 0:
            break
        if at < cells:
            marks[at] = max(marks.get(at, "note"), event.level, key=LEVELS.index)
    return marks


def runs(values: Sequence[float | None]) -> list[tuple[list[int], list[float]]]:
    """Positions and values between holes: a line is never drawn across one."""
    found: list[tuple[list[int], list[float]]] = []
    open_run = False
    for at, value in enumerate(values):
        if value is None:
            open_run = False
            continue
        if not open_run:
            found.append(([], []))
            open_run = True
        found[-1][0].append(at)
        found[-1][1].append(value)
    return found


def time_ticks(window_s: int, dots: int) -> list[tuple[float, str]]:
    """Where the axis says how long ago: `-5 min` … `now`."""
    parts = 4 if window_s == 60 else 5 if window_s == 300 else 3
    if dots >= 160:
        parts = {60: 6, 300: 5, 900: 5, 3600: 6}.get(window_s, parts)
    ticks = []
    for part in range(parts + 1):
        ago = window_s * (parts - part) // parts
        label = f"-{ago} s" if window_s == 60 else f"-{ago // 60} min"
        ticks.append(((dots - 1) * part / parts, "now" if not ago else label))
    return ticks


def clock_ticks(
    ticks: Sequence[tuple[float, str]],
    window_s: float,
    dots: int,
    end_s: float,
    clock: Callable[[float], str],
) -> list[tuple[float, str]]:
    """The same places with what a clock on the wall showed there, of a window that does not end now."""
    return [(at, clock(end_s - window_s * (1 - at / (dots - 1)))) for at, _ in ticks]


_PARTS: Final = (4, 5, 3, 6, 7, 2)


def gib_ticks(top: float, height: int) -> list[tuple[float, str]]:
    """Equal parts of a machine's total in GiB, which stands at the top with the unit."""
    total = top / 2**30
    # As many as leave the same number of rows between any two.
    parts = next((each for each in _PARTS if each < height and not (height - 1) % each), 1)
    digits = 1 if total >= 4 or parts == 1 else 2
    ticks = [(top * part / parts, f"{total * part / parts:.{digits}f}") for part in range(parts)]
    return [(0.0, "0"), *ticks[1:], (top, f"{total:.{digits}f}G")]


def cut_ticks(low: float, high: float, height: int) -> list[tuple[float, str]]:
    """Both ends of a part of an axis of sizes, and a half where there is room; ≈ says that it is cut."""
    shares = (0, 0.5, 1) if height >= 5 else (0, 1)
    values = [low + (high - low) * share for share in shares]
    return [(value, f"≈{value / 2**30:.2f}G") for value in values]


def pct_ticks(top: float, height: int) -> list[tuple[float, str]]:
    """0 and the top in per cent."""
    return [(0.0, "0 %"), (top, f"{top:.0f} %")]


def figure_ticks(metric: Metric) -> Callable[[float, int], list[tuple[float, str]]]:
    """0, a half where there is room, and the top, in the metric's unit."""

    def label(value: float) -> str:
        if metric.unit in ("bytes", "bytes_per_s"):
            return units.size(value, short=True)
        if metric.unit == "pct":
            return f"{value:g} %"
        return units.quantity(value)

    def ticks(top: float, height: int) -> list[tuple[float, str]]:
        values = (0.0, top / 2, top) if height >= 6 else (0.0, top)
        return [(value, label(value)) for value in values]

    return ticks


def figure_top(metric: Metric) -> Callable[[History], float | None]:
    """A round upper end above the hour's largest value, so that it seldom changes."""

    def top(history: History) -> float | None:
        most = history.highest(metric.name)
        if most is None:
            return None
        least = 5.0 if metric.unit == "pct" else 1.0
        base = 1024.0 if metric.unit in ("bytes", "bytes_per_s") else 1000.0
        unit = base ** max(0, math.floor(math.log(max(1.0, most), base)))
        if base == 1024:
            steps: Sequence[float] = [2**power for power in range(11)]
        else:
            steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
        return max(least, next(unit * step for step in steps if most <= unit * step))

    return top
