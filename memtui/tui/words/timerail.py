"""All of a recording as one line: what there is of it, what happened, and where it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from memtui import units
from memtui.model.shortage.events import LEVELS, Level
from memtui.tui import theme
from memtui.tui.words.cells import Line, Part
from memtui.tui.words.time import PAST

_DIM: Final = theme.style(theme.DIM)
_LEAST: Final = 20  # cells between the ends' times


class Kept(NamedTuple):
    """What there is, all in seconds of one clock: from when to when, between which times nothing, and
    what happened, with how bad that was."""

    first_s: float
    last_s: float
    holes: Sequence[tuple[float, float]] = ()
    marks: Sequence[tuple[float, Level]] = ()


class Rail(NamedTuple):
    """A drawn line, and the cells of it in which time is."""

    line: Line
    cells: range


NO_RAIL: Final = Rail((), range(0))


def rail(width: int, kept: Kept, at_s: float, clock: Callable[[float], str]) -> Rail:
    """`14:00:01 ────◆──◀──····───── 15:02:33`; without the times where it is narrow."""
    begin, end = f" {clock(kept.first_s)} ", f" {clock(kept.last_s)} "
    room = width - units.width(begin) - units.width(end)
    if room < _LEAST:
        begin, end, room = " ", " ", width - 2
    if room < 1:
        return NO_RAIL
    cells: list[Part] = [("─", _DIM)] * room
    for since_s, until_s in kept.holes:
        for x in range(_cell(since_s, kept, room), _cell(until_s, kept, room) + 1):
            cells[x] = (theme.glyphs().hole, _DIM)
    worst: dict[int, Level] = {}
    for time_s, level in kept.marks:
        x = _cell(time_s, kept, room)
        worst[x] = max(worst.get(x, "note"), level, key=LEVELS.index)
    for x, level in worst.items():
        cells[x] = theme.event_mark(level)
    cells[_cell(at_s, kept, room)] = (theme.glyphs().past, PAST)
    return Rail([(begin, _DIM), *cells, (end, _DIM)], range(len(begin), len(begin) + room))


def time_at(cell: int, kept: Kept, cells: int) -> float:
    """The last time that is in a cell."""
    return kept.first_s + (kept.last_s - kept.first_s) * (cell + 1) / cells


def _cell(time_s: float, kept: Kept, cells: int) -> int:
    length_s = kept.last_s - kept.first_s
    share = (time_s - kept.first_s) / length_s if length_s > 0 else 1.0
    return max(0, min(cells - 1, int(share * cells)))
