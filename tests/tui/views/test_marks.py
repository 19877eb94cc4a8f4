"""Events in graphs: a glyph in the top row at their time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.model.shortage.events import LEVELS, Event, Level
from memtui.tui import theme
from memtui.tui.widgets.plotting import event_marks
from tests.interface import running
from tests.tui.widgets.test_graph import GraphApp, rows, steady


def event(time_s: float, level: Level = "alarm") -> Event:
    return Event(time_s, "kind", level, "text")


def test_a_mark_stands_in_the_cell_of_its_time() -> None:
    # Ten cells of 6 s; the rightmost is the span from 600 to 606.
    assert event_marks([event(600)], 6, 100, 10) == {9: "alarm"}
    assert event_marks([event(605.9)], 6, 100, 10) == {9: "alarm"}
    assert event_marks([event(546)], 6, 100, 10) == {0: "alarm"}
    assert event_marks([event(545.9), event(606)], 6, 100, 10) == {}


def test_the_worst_of_a_cell_is_marked() -> None:
    several = [event(600, "note"), event(601, "alarm"), event(602, "warning")]
    assert event_marks(several, 6, 100, 10) == {9: "alarm"}


@given(st.lists(st.tuples(st.floats(0, 1e6), st.sampled_from(LEVELS))), st.integers(1, 300))
def test_marks_are_within_the_graph(events: list[tuple[float, Level]], cells: int) -> None:
    marks = event_marks([event(*each) for each in sorted(events)], 2.5, 1000, cells)
    assert all(0 <= at < cells for at in marks)
    shown = {level for time_s, level in events if 1000 - cells < time_s // 2.5 <= 1000}
    assert set(marks.values()) <= shown
    assert bool(marks) == bool(shown)


@pytest.mark.parametrize("no_color", ["", "1"])
async def test_a_graph_with_events(no_color: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    app = GraphApp()
    async with running(app, (66, 10)) as pilot:
        history = steady(4, range(1000, 1061))
        # Sixty cells of a second, the last of them at 1060.
        events = [event(1001.0, "note"), event(1030.5, "warning"), event(1060.0, "alarm")]
        app.graph.show(history, 60)
        await pilot.pause()
        plain = rows(app)
        app.graph.show(history, 60, events)
        await pilot.pause()
        marked = rows(app)
        cells = range(6, 66)
        found = {at - 6: marked[0][at] for at in cells if marked[0][at : at + 1] in tuple("·!◆")}
        assert found == {0: "·", 29: "!", 59: "◆"}
        assert marked[1:] == plain[1:]
        strips = app.graph._strips
        app.graph.show(history, 60, list(events))
        assert app.graph._strips is strips  # the same events are no reason to draw
        app.graph.show(history, 60, events[:1])
        assert app.graph._strips is not strips


def test_marks_differ_without_colour_too() -> None:
    assert len({theme.event_mark(level)[0] for level in LEVELS}) == len(LEVELS)
