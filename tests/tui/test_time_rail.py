"""A recording as one line of cells."""

from __future__ import annotations

from memtui.tui.words.cells import cells
from memtui.tui.words.time import PAST
from memtui.tui.words.timerail import Kept, rail, time_at

HOUR = Kept(0.0, 3600.0, ((1800.0, 2699.0),), ((900.0, "alarm"),))


def clock(time_s: float) -> str:
    return f"{time_s / 60:02.0f}:00"


def drawn(width: int, at_s: float, kept: Kept = HOUR) -> str:
    return "".join(text for text, _ in rail(width, kept, at_s, clock).line)


def test_holes_marks_and_the_moment() -> None:
    assert drawn(54, 3000.0) == " 00:00 ──────────◆─────────··········───◀────── 60:00 "


def test_it_is_as_wide_as_there_is_room() -> None:
    for width in range(3, 200):
        found = rail(width, HOUR, 1000.0, clock)
        assert cells(found.line) == width
        assert "◀" in "".join(text for text, _ in found.line)
    assert rail(2, HOUR, 1000.0, clock).line == ()


def test_the_ends_are_the_ends() -> None:
    assert drawn(40, -5.0)[7] == "◀"
    assert drawn(40, 9999.0)[-8] == "◀"


def test_of_one_moment_there_is_a_line_too() -> None:
    assert "◀" in drawn(40, 10.0, Kept(10.0, 10.0))


def test_a_cell_leads_to_the_time_that_is_drawn_in_it() -> None:
    found = rail(80, HOUR, 0.0, clock)
    for cell in range(len(found.cells)):
        at_s = time_at(cell, HOUR, len(found.cells)) - 0.001
        line = rail(80, HOUR, at_s, clock).line
        (x,) = [at for at, (_, style) in enumerate(line) if style == PAST]
        assert x - 1 == cell  # what stands before the first is one part
