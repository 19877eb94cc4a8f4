"""The graphs as text: bands under a line, holes left empty, ticks that say something."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from memtui.session.history import History
from memtui.tui import theme
from memtui.tui.widgets.graph import CURSOR, Band, Curve, TimeGraph
from memtui.tui.widgets.plotting import band_cells, gib_ticks, pct_ticks, runs, time_ticks
from memtui.tui.widgets.timewindow import MomentWanted, Wound
from tests.interface import running
from tests.samples import GIB, sample

EIGHTHS = " ▁▂▃▄▅▆▇"
Column = list[float | None]


def art(values: list[Column], top: float, height: int, bands: int) -> list[str]:
    """Bands as digits from the bottom, the eighth where two meet, a dot for nothing."""
    return [
        "".join("." if low is None else part or str(low) for low, _, part in row)
        for row in band_cells(values, top, height, EIGHTHS, bands)
    ]


def test_one_band_and_the_rest() -> None:
    assert art([[0, 50, 100]], 100, 2, 2) == ["110", "100"]
    assert art([[0, 50, 100]], 100, 2, 1) == ["..0", ".00"]


def test_bands_stack() -> None:
    assert art([[1, 1], [2, 3]], 4, 4, 3) == ["21", "11", "11", "00"]


def test_two_bands_meet_within_a_cell() -> None:
    assert art([[12.5, 25, 62.5, 87.5]], 100, 1, 2) == ["▁▂▅▇"]
    assert art([[50.0]], 100, 1, 2) == ["▄"]
    assert art([[50.0], [50.0]], 100, 1, 2) == ["▄"]


def test_what_bands_a_cell_is_painted_of() -> None:
    assert band_cells([[50.0]], 100, 1, EIGHTHS, 2) == [[(0, 1, "▄")]]
    assert band_cells([[100.0]], 100, 1, EIGHTHS, 2) == [[(0, 0, "")]]
    # The second band is thinner than an eighth: it is not seen, and nothing else takes its place.
    assert band_cells([[50.0], [0.1]], 100, 1, EIGHTHS, 3) == [[(0, 2, "▄")]]


def test_a_hole_is_empty_in_every_row() -> None:
    assert art([[50, None, 50]], 100, 2, 2) == ["1.1", "0.0"]
    assert art([[50, 50], [25, None]], 100, 2, 3) == ["▄.", "0."]


def test_too_much_stays_below_the_top() -> None:
    assert art([[300.0], [50.0]], 100, 2, 3) == ["0", "0"]
    assert art([[-5.0]], 100, 2, 2) == ["1", "1"]
    assert band_cells([], 100, 2, EIGHTHS, 1) == []


@given(
    st.lists(st.tuples(st.floats(0, 120), st.floats(0, 120)), min_size=1, max_size=8),
    st.integers(1, 12),
)
def test_bands_only_rise(columns: list[tuple[float, float]], height: int) -> None:
    """From the bottom up no band comes back, and every cell is of some band."""
    rows = band_cells([[a for a, _ in columns], [b for _, b in columns]], 100, height, EIGHTHS, 3)
    assert [len(row) for row in rows] == [len(columns)] * height
    for x in range(len(columns)):
        seen = [band for row in reversed(rows) for band in row[x][:2]]
        assert None not in seen
        assert seen == sorted(seen, key=lambda band: band or 0)


def test_lines_end_at_holes() -> None:
    assert runs([]) == []
    assert runs([None, None]) == []
    assert runs([1, 2, None, None, 3, None]) == [([0, 1], [1, 2]), ([4], [3])]


def test_ticks_of_time() -> None:
    def labels(window_s: int, dots: int) -> list[str]:
        return [label for _, label in time_ticks(window_s, dots)]

    assert labels(60, 100) == ["-60 s", "-45 s", "-30 s", "-15 s", "now"]
    assert labels(300, 100) == ["-5 min", "-4 min", "-3 min", "-2 min", "-1 min", "now"]
    assert labels(900, 100) == ["-15 min", "-10 min", "-5 min", "now"]
    assert labels(3600, 100) == ["-60 min", "-40 min", "-20 min", "now"]
    assert labels(3600, 300) == [*(f"-{at} min" for at in range(60, 0, -10)), "now"]
    positions = [at for at, _ in time_ticks(900, 100)]
    assert positions == [0, 33, 66, 99]


@pytest.mark.parametrize("window_s", [60, 300, 900, 3600])
@pytest.mark.parametrize("dots", [30, 159, 160, 800])
def test_ticks_of_time_are_true(window_s: int, dots: int) -> None:
    for at, label in time_ticks(window_s, dots):
        number, _, unit = label.removeprefix("-").partition(" ")
        ago = 0 if label == "now" else int(number) * {"s": 1, "min": 60}[unit]
        assert at == pytest.approx((dots - 1) * (1 - ago / window_s))


def test_ticks_of_size() -> None:
    def labels(total_gib: float, height: int) -> list[str]:
        return [label for _, label in gib_ticks(total_gib * GIB, height)]

    assert labels(23.5, 9) == ["0", "5.9", "11.8", "17.6", "23.5G"]
    assert labels(16, 17) == ["0", "4.0", "8.0", "12.0", "16.0G"]
    assert labels(0.5, 11) == ["0", "0.10", "0.20", "0.30", "0.40", "0.50G"]
    assert labels(1024, 2) == ["0", "1024.0G"]


@given(st.floats(2**29, 2**50), st.integers(2, 60))
def test_ticks_of_size_rise_and_have_room(top: float, height: int) -> None:
    ticks = gib_ticks(top, height)
    values = [value for value, _ in ticks]
    assert values[0] == 0
    assert values[-1] == top
    assert values == sorted(set(values))
    assert len(ticks) <= height + 1
    assert len({label for _, label in ticks}) == len(ticks)


def test_ticks_of_per_cent() -> None:
    assert pct_ticks(25.0, 5) == [(0.0, "0 %"), (25.0, "25 %")]


class GraphApp(App[None]):
    """A graph of free memory under a line of what is available."""

    def __init__(self, time_axis: bool = True) -> None:
        super().__init__()
        self.graph = TimeGraph(
            (Band("mem_free_bytes", "free", theme.FREE), Band("", "rest", theme.REST)),
            (Curve("mem_available_bytes", theme.BRIGHT, "min"),),
            lambda history: history.latest("mem_total_bytes"),
            gib_ticks,
            time_axis=time_axis,
        )

        self.pointed: list[float] = []

    def compose(self) -> ComposeResult:
        yield self.graph

    def on_moment_wanted(self, event: MomentWanted) -> None:
        self.pointed.append(event.time_s)


def rows(app: GraphApp) -> list[str]:
    """What the graph draws, as the screen has it."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips(app.size)]


def steady(free_gib: float, seconds: range) -> History:
    history = History()
    for at in seconds:
        history.record(sample(float(at), free=int(free_gib * GIB)))
    return history


async def test_a_graph_of_steady_memory() -> None:
    app = GraphApp()
    async with running(app, (40, 10)) as pilot:
        app.graph.show(steady(4, range(1000, 1061)), 60)
        await pilot.pause()
        drawn = rows(app)
        assert drawn[0].startswith("16.0G┤")
        assert drawn[-2][:6] == "     └"
        assert drawn[-1].split() == ["-60", "s", "-45", "s", "-30", "s", "-15", "s", "now"]
        assert any("free" in line for line in drawn)
        assert any("rest" in line for line in drawn)
        assert max(map(len, drawn)) <= 40
        # 9 GiB of 16 are available: the line is that far up, from one end to the other.
        (line,) = (line for line in drawn if sum(0x2800 < ord(char) < 0x2900 for char in line) > 30)
        assert drawn.index(line) == 3


async def test_a_graph_with_nothing_yet() -> None:
    app = GraphApp()
    async with running(app, (40, 10)) as pilot:
        app.graph.show(History(), 60)
        await pilot.pause()
        assert rows(app) == [""] * 10
        app.graph.show(steady(4, range(2)), 60)
        await pilot.pause()
        assert rows(app)[0].startswith("16.0G┤")


async def test_where_plotext_fails_the_screen_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ValueError("no such marker")

    app = GraphApp()
    monkeypatch.setattr(app.graph.plt, "build", fail)
    async with running(app, (80, 10)) as pilot:
        app.graph.show(steady(4, range(1000, 1061)), 60)
        await pilot.pause()
        assert re.fullmatch(
            r"no graph: a defect in memtui: \w+\.py:\d+: ValueError: no such marker", rows(app)[0]
        )
        monkeypatch.undo()
        app.graph.show(steady(5, range(1000, 1062)), 60)
        await pilot.pause()
        assert rows(app)[0].startswith("16.0G┤")


async def test_a_graph_larger_than_the_terminal_is_known_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """plotext asks the terminal how large it is: while that changes, Textual knows it later."""
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("LINES", "8")
    app = GraphApp()
    async with running(app, (100, 20)) as pilot:
        app.graph.show(steady(4, range(1000, 1061)), 60)
        await pilot.pause()
        drawn = rows(app)
        assert len(drawn) == 20
        assert drawn[-1].endswith("now")
        assert len(drawn[-1]) > 90


async def test_a_graph_is_drawn_anew_where_it_is_resized() -> None:
    app = GraphApp()
    async with running(app, (40, 10)) as pilot:
        app.graph.show(steady(4, range(1000, 1061)), 60)
        await pilot.resize_terminal(60, 12)
        await pilot.pause()
        assert rows(app)[-1].endswith("now")
        assert len(rows(app)[-1]) > 50
        await pilot.resize_terminal(12, 3)
        await pilot.pause()
        assert rows(app) == [""] * 3  # no room


async def test_what_no_dot_shows_is_not_drawn() -> None:
    app = GraphApp()
    async with running(app, (40, 10)) as pilot:
        history = steady(4, range(1000, 1061))
        app.graph.show(history, 3600)
        await pilot.pause()
        strips = app.graph._strips
        history.record(sample(1061.0, free=4 * GIB))
        app.graph.show(history, 3600)
        assert app.graph._strips is strips
        history.record(sample(1300.0, free=4 * GIB))
        app.graph.show(history, 3600)
        assert app.graph._strips is not strips


def clock(time_s: float) -> str:
    return f"t{time_s:.0f}"


async def test_a_moment_that_is_not_now_has_a_cursor_in_a_window_that_stays() -> None:
    app = GraphApp()
    async with running(app, (40, 10)) as pilot:
        history = steady(4, range(1000, 1121))
        history.until_s = 1045.0
        app.graph.show(history, 60, (), Wound(history.ending(1060.0), 1045.0, clock))
        await pilot.pause()
        (x,) = {row.index("│") for row in rows(app)[1:8]}
        assert x == pytest.approx(6 + 34 * 45 / 60, abs=1)
        assert "t1000" in rows(app)[-1]
        assert "now" not in rows(app)[-1]
        # What came after the moment is there, in its own colours.
        right = app.graph._strips[7].crop(36, 39)
        assert all(each.style and each.style.bgcolor for each in right)
        cursor = next(each for each in app.graph._strips[7] if each.text == "│")
        assert cursor.style is not None
        assert cursor.style.color == CURSOR.color
        assert cursor.style.bgcolor is not None
        history.until_s = None
        app.graph.show(history, 60)
        await pilot.pause()
        assert "│" not in rows(app)[7]
        assert rows(app)[-1].endswith("now")


async def test_a_cursor_outside_the_window_is_not_drawn() -> None:
    app = GraphApp()
    async with running(app, (40, 10)) as pilot:
        history = steady(4, range(1000, 1121))
        for at_s in (900.0, 1119.0):
            app.graph.show(history, 60, (), Wound(history.ending(1060.0), at_s, clock))
            await pilot.pause()
            assert "│" not in rows(app)[7]


async def test_a_click_is_the_moment_under_the_mouse() -> None:
    app = GraphApp()
    async with running(app, (40, 10)) as pilot:
        history = steady(4, range(1000, 1121))
        app.graph.show(history, 60)
        await pilot.pause()
        await pilot.click(TimeGraph, offset=(39, 4))
        await pilot.click(TimeGraph, offset=(22, 4))
        await pilot.click(TimeGraph, offset=(2, 4))  # the axis
        await pilot.pause()
        newest, middle = app.pointed
        assert newest == pytest.approx(1120, abs=2)
        assert middle == pytest.approx(1090, abs=2)
        # Where it went the cursor is, in the same cell.
        app.graph.show(history, 60, (), Wound(history, middle, clock))
        await pilot.pause()
        assert rows(app)[7][22] == "│"


async def test_without_colours_bands_differ_by_their_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = GraphApp()
    async with running(app, (40, 10)) as pilot:
        app.graph.show(steady(8, range(1000, 1061)), 60)
        await pilot.pause()
        text = "\n".join(rows(app))
        assert "█████" in text
        assert "▒▒▒▒▒" in text
        assert text.index("▒") < text.index("█")


async def test_a_console_without_braille(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "linux")
    app = GraphApp()
    async with running(app, (40, 10)) as pilot:
        app.graph.show(steady(4, range(1000, 1061)), 60)
        await pilot.pause()
        text = "".join(rows(app))
        assert not [char for char in text if 0x2800 <= ord(char) < 0x2900]
        assert "──────" in text
        assert not set("▁▂▃▅▆▇") & set(text)
