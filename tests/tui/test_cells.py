"""Lines of text where they are too long: what goes, and that it is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from memtui.tui.widgets.lines import strip
from memtui.tui.words.cells import Part, broken, cells, fitted, spread, whole_parts

ONE, OTHER = Style.parse("red"), Style.parse("blue")
LINE: list[Part] = [("resident ", ONE), ("한글 19.1 MiB", OTHER), (" · swap 0  ", ONE)]


def text(line: object) -> str:
    return "".join(part[0] for part in line)  # type: ignore[attr-defined]


def test_what_is_cut_says_so_but_for_blanks() -> None:
    assert fitted(LINE, 33) == LINE
    assert text(fitted(LINE, 31)) == text(LINE).rstrip()
    assert text(fitted(LINE, 30)) == "resident 한글 19.1 MiB · swap…"
    assert text(fitted(LINE, 22)) == "resident 한글 19.1 Mi…"  # between two parts
    assert text(fitted(LINE, 11)) == "resident … "  # half of a wide letter is none


@given(st.integers(1, 40))
def test_every_line_that_is_drawn_is_as_wide_as_its_place(width: int) -> None:
    drawn = strip(LINE, width, Style.null())
    assert drawn.cell_length == width
    assert ("…" in drawn.text) == (cells(LINE) - 2 > width)


def test_an_end_that_has_no_room_is_left_out_and_a_beginning_cut() -> None:
    assert text(spread([("left", ONE)], [("right", OTHER)], 10)) == "left right"
    assert text(spread([("left", ONE)], [("right", OTHER)], 9)) == "left"
    assert text(spread([("left", ONE)], [("right", OTHER)], 3)) == "le…"


@pytest.mark.parametrize(
    ("width", "kept"),
    [(12, "aa bb cc dd"), (10, "aa bb dd"), (8, "aa bb dd"), (5, "aa"), (1, "aa")],
)
def test_whole_parts_go_the_least_first(width: int, kept: str) -> None:
    parts = [(0, [("aa", ONE)]), (2, [(" bb", ONE)]), (3, [(" cc", ONE)]), (2, [(" dd", ONE)])]
    assert text(whole_parts(parts, width)) == kept


def test_a_long_line_is_broken_at_blanks_and_keeps_its_styles() -> None:
    line: list[Part] = [(" likely: told", ONE), (" from where it lies · and (", OTHER), ("x)", ONE)]
    assert broken(line, 60) == [line]
    lines = broken(line, 23)
    assert list(map(text, lines)) == [" likely: told from", " where it lies · and", " (x)"]
    assert (("told", ONE) in lines[0], ("from", OTHER) in lines[0]) == (True, True)
    assert list(map(text, broken([(" one thing · two", ONE)], 12))) == [" one thing", " two"]
