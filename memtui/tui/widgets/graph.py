"""Graphs over time: plotext draws axes and lines, the bands are painted underneath as backgrounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final, Literal, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual_plotext import PlotextPlot

from memtui.defects import defect
from memtui.model.shortage.events import Event, Level
from memtui.session.history import Buckets, History
from memtui.tui import theme
from memtui.tui.widgets.plotting import (
    BandCell,
    band_cells,
    clock_ticks,
    cut_ticks,
    event_marks,
    gib_ticks,
    pct_ticks,
    runs,
    time_ticks,
    whole_cells,
)
from memtui.tui.widgets.timewindow import MomentWanted, Wound

CURSOR: Final = theme.style(theme.PAST, bold=True)
_JUST_S: Final = 0.001


class Band(NamedTuple):
    """A metric stacked on those before it, in a colour, with its label inside where there is room."""

    metric: str
    label: str
    colour: str


class Curve(NamedTuple):
    """A metric as a line; `keep` says which of several values in one dot is drawn."""

    metric: str
    colour: str
    keep: Literal["last", "min", "max"] = "last"


class TimeGraph(PlotextPlot):
    """Bands and curves over the last minutes, on one axis.

    `top(history)` is the axis's upper end (None: nothing to draw yet), `tick(value)` its labels.
    The last band may be given without a metric: it is the rest up to the top. Zoomed, the axis is
    cut to where bands and curves move, which its labels say.
    """

    def __init__(
        self,
        bands: Sequence[Band],
        curves: Sequence[Curve],
        top: Callable[[History], float | None],
        ticks: Callable[[float, int], list[tuple[float, str]]],
        *,
        time_axis: bool = True,
    ) -> None:
        super().__init__()
        self._bands = tuple(bands)
        self._curves = tuple(curves)
        self._top = top
        self._ticks = ticks
        self._time_axis = time_axis
        self.window_s = 300
        self.zoomed = False
        self._drawn_for: object = None
        self._size_drawn: object = None
        self._strips: list[Strip] = []
        self._history: History | None = None
        self._events: Sequence[Event] = ()
        self._wound: Wound | None = None
        self._canvas = range(0)  # the columns in which time is
        self._last_cell = 0  # the rightmost of them, counted in their spans of time since boot

    def on_mount(self) -> None:
        # Its theme belongs to plotext's own colours, which are not used.
        pass

    def plot(
        self,
        curves: Sequence[Curve],
        top: Callable[[History], float | None],
        ticks: Callable[[float, int], list[tuple[float, str]]],
    ) -> None:
        """Other curves from the next `show` on."""
        self._curves, self._top, self._ticks = tuple(curves), top, ticks
        self._drawn_for = None

    def show(
        self,
        history: History,
        window_s: int,
        events: Sequence[Event] = (),
        wound: Wound | None = None,
    ) -> None:
        """Draws the history, if anything that a dot shows has changed.

        `events`, oldest first, are marked in the top row, each at its time. `wound`: a moment that is
        not now has a cursor, in the history that is told there.
        """
        self._history, self.window_s, self._events = history, window_s, events
        if wound is not None:
            self._history = wound.history
        self._wound = wound
        if self._draw():
            self.refresh()

    def on_click(self, event: events.Click) -> None:
        if event.x in self._canvas:
            cell = self._last_cell - (self._canvas[-1] - event.x)
            span_s = self.window_s / len(self._canvas)
            # The last that is in that cell, as what is drawn there is.
            self.post_message(MomentWanted((cell + 1) * span_s - _JUST_S))

    def render_line(self, y: int) -> Strip:
        if self._size_drawn != self.size:  # a repaint comes with every new size
            self._draw()
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.rich_style)

    def _draw(self) -> bool:
        history, (width, height) = self._history, self.size
        self._size_drawn = self.size
        top = self._top(history) if history else None
        if history is None or not top or height < 3 + self._time_axis or width < 16:
            changed = bool(self._strips)
            self._strips, self._drawn_for, self._canvas = [], None, range(0)
            return changed
        low, high = self._range(history, top) if self.zoomed else (0.0, top)
        rows = height - 2 * self._time_axis
        ticks = self._ticks(top, rows) if not self.zoomed else cut_ticks(low, high, rows)
        label_width = max(4, max((len(label) for _, label in ticks), default=0))
        cells = width - label_width - 1
        glyphs = theme.glyphs()
        dots = cells * glyphs.dots_across
        wound = self._wound
        curves = [
            history.buckets(curve.metric, self.window_s, dots, curve.keep, glyphs.dots_across)
            for curve in self._curves
        ]
        bands = [
            history.buckets(band.metric, self.window_s, cells)
            for band in self._bands
            if band.metric
        ]
        # What a dot or an eighth of a cell can show: less than that is no reason to draw.
        step = (high - low) / (8 * height)
        seen = [[v if v is None else round(v / step) for v in b.values] for b in (*curves, *bands)]
        spans = [buckets.last_span for buckets in (*curves, *bands)]
        last_cell = spans[0] if not curves else spans[0] // glyphs.dots_across
        span_s = self.window_s / cells
        marks = event_marks(self._events, span_s, last_cell, cells)
        cursor = wound.cell(span_s, last_cell, cells) if wound else None
        is_now = wound is None
        self._last_cell = last_cell
        origin = history.origin(self.window_s)
        end = None
        if origin is not None:
            end = math.floor(origin[0] / span_s) - last_cell + cells - 1
        shown = (marks, end, cursor, is_now)
        wanted = (width, height, low, high, seen, spans, self.window_s, *shown)
        if wanted == self._drawn_for:
            return False
        self._drawn_for = wanted
        try:
            characters, canvas, columns = self._chart(
                width, height, (low, high), ticks, label_width, curves, dots
            )
        except Exception as error:  # plotext's, and no reason to end
            self._strips = [Strip([Segment(f"no graph: {defect(error)}"[:width])])]
            return True
        values = [part.values for part in bands]
        if glyphs.coloured:
            painted = band_cells(values, high, len(canvas), glyphs.eighths, len(self._bands), low)
        else:
            painted = whole_cells(values, high, len(canvas), len(self._bands), low)
        labels = self._labels(characters, canvas, columns, painted)
        if origin is not None and end is not None:
            labels |= _caption(f"{origin[1]} ┊", end, characters, canvas, columns, painted, labels)
        self._canvas = columns
        self._strips = self._paint(characters, canvas, columns, painted, glyphs, marks, labels)
        if cursor is not None and cursor in range(len(columns)):
            for y in canvas:
                self._strips[y] = self._with_cursor(self._strips[y], columns[cursor])
        return True

    @staticmethod
    def _with_cursor(strip: Strip, x: int) -> Strip:
        """A row of the canvas with the cursor on what is behind it."""
        before, cell, after = strip.divide([x, x + 1, strip.cell_length])
        style = next((each.style for each in cell if each.style), Style.null())
        return Strip.join([before, Strip([Segment("│", style + CURSOR)], 1), after])

    def _range(self, history: History, top: float) -> tuple[float, float]:
        """What of the axis the edges between bands and the curves were in, with room around them."""
        edges: list[float] = []
        stacked = [each.metric for each in self._bands if each.metric]
        values = [history.series(name, self.window_s)[1] for name in stacked]
        edges += [
            sum(column)
            for count in range(1, len(values) + 1)
            for column in zip(*values[:count], strict=False)
        ]
        for curve in self._curves:
            edges += history.series(curve.metric, self.window_s)[1]
        if not edges:
            return 0.0, top
        # In steps, so that it seldom changes, and none of them too fine to be a change.
        room = max((max(edges) - min(edges)) / 4, top / 200)
        step = 2.0 ** math.ceil(math.log2(room))
        low = math.floor((min(edges) - room) / step) * step
        high = math.ceil((max(edges) + room) / step) * step
        return max(0.0, low), min(top, high)

    def _chart(
        self,
        width: int,
        height: int,
        ends: tuple[float, float],
        ticks: list[tuple[float, str]],
        label_width: int,
        curves: list[Buckets],
        dots: int,
    ) -> tuple[list[list[tuple[str, str]]], range, range]:
        """plotext's picture as rows of (character, colour) from the top, and where its canvas is."""
        plt: Any = self.plt  # its attributes come from plotext, which has no types
        plt.clear_figure()
        plt.plotsize(width, height)
        # plotsize() keeps to the terminal that plotext was imported in, which may have grown.
        plt._set_size(width, height)
        plt.theme("clear")
        plt.xaxes(self._time_axis, False)
        plt.yaxes(True, False)
        plt.xlim(0, dots - 1)
        low, top = ends
        plt.ylim(low, top)
        plt.yticks([value for value, _ in ticks], [f"{label:>{label_width}}" for _, label in ticks])
        if self._time_axis:
            at = time_ticks(self.window_s, dots)
            if self._wound is not None:
                at = clock_ticks(
                    at, self.window_s, dots, self._wound.history.end_s, self._wound.clock
                )
            plt.xticks([position for position, _ in at], [label for _, label in at])
        else:
            plt.xticks([], [])
        marker = theme.glyphs().line
        for index, buckets in enumerate(curves):
            colour = (index, 0, 0)  # only told apart by it; None would be plotext's own choice
            for xs, ys in runs(buckets.values):
                plt.plot(xs, [max(low, min(y, top)) for y in ys], marker=marker, color=colour)
        if not any(value is not None for buckets in curves for value in buckets.values):
            plt.plot([0], [low - top], marker=marker)  # axes are only drawn around something
        plt.build()
        matrix = plt.monitor.matrix
        rows: list[list[tuple[str, str]]] = []
        for markers, colours in zip(
            reversed(matrix.marker), reversed(matrix.fullground), strict=True
        ):
            rows.append(
                [
                    (
                        character,
                        self._curves[colour[0]].colour if isinstance(colour, tuple) else theme.DIM,
                    )
                    for character, colour in zip(markers, colours, strict=True)
                ]
            )
        canvas = matrix.Rows_canvas
        return rows, range(height - canvas.stop, height - canvas.start), matrix.Cols_canvas

    def _paint(
        self,
        characters: list[list[tuple[str, str]]],
        rows: range,
        columns: range,
        painted: list[list[BandCell]],
        glyphs: theme.Glyphs,
        marks: Mapping[int, Level],
        labels: Mapping[tuple[int, int], str],
    ) -> list[Strip]:
        base = self.rich_style
        strips = []
        # A chart has thousands of cells of a few dozen kinds.
        cell_of = lru_cache(maxsize=None)(partial(self._cell, glyphs=glyphs))
        for y, line in enumerate(characters):
            # Cells of one look become one segment.
            segments: list[Segment] = []
            text, look = "", Style.null()
            for x, (character, colour) in enumerate(line):
                if not (painted and y in rows and x in columns):
                    style = theme.style(colour)
                else:
                    cell = painted[y - rows.start][x - columns.start]
                    label = labels.get((x, y))
                    character, style = cell_of(cell, character, colour, label)
                if y == rows.start and x - columns.start in marks:
                    character, style = theme.event_mark(marks[x - columns.start])
                if style is not look:
                    segments.append(Segment(text, base + look))
                    text, look = "", style
                text += character
            segments.append(Segment(text, base + look))
            strips.append(Strip(segments, len(line)))
        return strips

    def _cell(
        self,
        cell: BandCell,
        character: str,
        colour: str,
        label: str | None,
        glyphs: theme.Glyphs,
    ) -> tuple[str, Style]:
        lower, upper, eighth = cell
        if lower is None or upper is None:
            return character, theme.style(colour)
        most = self._bands[lower if eighth in ("", *"▄▅▆▇") else upper]
        if character != " ":
            bg = most.colour if glyphs.coloured else None
            return character, theme.style(colour, bg, bold=not glyphs.coloured)
        if label:
            if glyphs.coloured:
                return label, theme.style(theme.shade(theme.BRIGHT, 0.75), most.colour)
            return label, theme.style(theme.BRIGHT, bold=True)
        if not glyphs.coloured:
            index = self._bands.index(most)
            fill = glyphs.fills[index] if len(self._bands) > 1 else glyphs.fills[0]
            return fill, theme.style(
                most.colour if fill == "█" else theme.FOREGROUND, dim=fill == "▒"
            )
        if not eighth:
            return " ", theme.style(bg=self._bands[lower].colour)
        return eighth, theme.blocks(self._bands[lower].colour, self._bands[upper].colour)

    def _labels(
        self,
        characters: list[list[tuple[str, str]]],
        rows: range,
        columns: range,
        painted: list[list[BandCell]],
    ) -> dict[tuple[int, int], str]:
        """A band's name, inside it, at the left end of what is drawn, where nothing crosses it.

        The first row is for the marks of events.
        """
        placed: dict[tuple[int, int], str] = {}
        for index, band in enumerate(self._bands):
            text = f" {band.label} "
            places = []
            for y, cells in enumerate(painted):
                if cells.count((index, index, "")) < len(text) or not y:
                    continue
                row = characters[rows.start + y]
                run = 0
                for x, cell in enumerate(cells):
                    clear = row[columns.start + x][0] == " "
                    run = run + 1 if cell == (index, index, "") and clear else 0
                    if run == len(text):
                        places.append((x - run + 1, y))
                        break
            if places:
                x, y = places[len(places) // 2]
                for step, character in enumerate(text):
                    placed[columns.start + x + step, rows.start + y] = character
        return placed


def _caption(
    text: str,
    end: int,
    characters: list[list[tuple[str, str]]],
    rows: range,
    columns: range,
    painted: list[list[BandCell]],
    labels: Mapping[tuple[int, int], str],
) -> dict[tuple[int, int], str]:
    """Where a text stands that ends in a column of the canvas: in the first row below that of the marks
    in which nothing crosses it; without room for all of it its last character."""
    text = text if end >= len(text) - 1 else text[-1:]
    cells = range(max(0, end - len(text) + 1), end + 1)
    for y in range(1, len(painted)):
        places = [(columns.start + x, rows.start + y) for x in cells if x < len(painted[y])]
        is_clear = all(
            painted[y][x][0] == painted[y][x][1] is not None and not painted[y][x][2]
            for x in cells
            if x < len(painted[y])
        )
        is_clear = is_clear and all(
            characters[row][x][0] == " " and (x, row) not in labels for x, row in places
        )
        if is_clear:
            return dict(zip(places, text, strict=False))
    return {}


def memory_graph() -> TimeGraph:
    """free and buff/cache stacked, the rest up to MemTotal, and available as a line."""
    return TimeGraph(
        (
            Band("mem_free_bytes", "free", theme.FREE),
            Band("buff_cache_bytes", "buff/cache", theme.CACHE),
            Band("", "the rest, in use", theme.REST),
        ),
        (Curve("mem_available_bytes", theme.BRIGHT, "min"),),
        lambda history: history.latest("mem_total_bytes"),
        gib_ticks,
    )


def stall_graph(*, time_axis: bool = False) -> TimeGraph:
    """The shares of time in which some and in which all tasks waited for memory."""
    return TimeGraph(
        (),
        (
            Curve("stalled_some_pct", theme.GROWS, "max"),
            Curve("stalled_full_pct", theme.ALARM, "max"),
        ),
        _stall_top,
        pct_ticks,
        time_axis=time_axis,
    )


def swap_graph() -> TimeGraph:
    """Swap in use, stacked to all there is."""
    return TimeGraph(
        (Band("swap_used_bytes", "swap used", theme.CACHE), Band("", "unused", theme.REST)),
        (),
        lambda history: history.latest("swap_total_bytes"),
        gib_ticks,
        time_axis=False,
    )


def _stall_top(history: History) -> float | None:
    """A round upper end above the worst stall of the hour, so that small ones are seen."""
    worst = history.highest("stalled_some_pct")
    if worst is None:
        return None
    return next((top for top in (5.0, 10.0, 25.0, 50.0) if worst <= top), 100.0)
