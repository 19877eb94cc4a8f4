"""The address space as a picture: the folded whole, or a window down to single pages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.layers import RESIDENT, Layer
from memtui.model.map.layout import (
    Window,
    WindowLine,
    cell_above,
    cell_beside,
    follow,
    mapped_runs,
    pan,
    window_lines,
    zoom_in,
    zoom_out,
)
from memtui.model.map.pages import PAGE_STATES
from memtui.ondemand.pages import PagesReading
from memtui.tui import theme
from memtui.tui.widgets.knownpages import KnownPages, reading_of
from memtui.tui.widgets.lines import Drawn, strip
from memtui.tui.widgets.spots import (
    Spot,
    cells_across,
    look,
    mini_look,
    picture,
    ribbon,
    scale_text,
    window_picture,
)
from memtui.tui.words.cells import Part

_PAGES_AT_MOST: Final = 1 << 18  # of a window that are asked for: 1 GiB in pages of 4 KiB
_HEAD: Final = 3  # lines above a window: the whole as a ribbon, its scale, what its shades mean
_HEADED: Final = 8  # lines that leave room for them; where there are fewer, one line has it all
_CAPTION: Final = 46  # cells of that line that are words


class Picture(Drawn, can_focus=True):
    """The picture of a map with a cursor, an address: arrows and the mouse move it and zoom."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "before", show=False),
        Binding("right", "step(1)", "after", show=False),
        Binding("up", "line(-1)", "line up", show=False),
        Binding("down", "line(1)", "line down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "end(0)", "first", show=False),
        Binding("end", "end(-1)", "last", show=False),
    ]

    class Pointed(Message):
        """The user moved the cursor to an address, which may be in a hole."""

        def __init__(self, picture: Picture) -> None:
            super().__init__()
            self.picture = picture

    class PagesWanted(Message):
        """`picture.pages_wanted` is something else now, and not None."""

        def __init__(self, picture: Picture) -> None:
            super().__init__()
            self.picture = picture

    def __init__(
        self,
        page_bytes: int,
        *,
        zoomable: bool = True,
        layer: Layer = RESIDENT,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._layer = layer
        self._page_bytes = page_bytes
        self._zoomable = zoomable
        self._map: AddressMap | None = None
        self._address: int | None = None
        self._lit: int | None = None
        self._view: Window | None = None
        # What is drawn: spots by line, the window's lines, and what they were laid out for.
        self._lines: list[list[Spot]] = []
        self._window_lines: list[WindowLine] = []
        self._mini: tuple[object, list[Spot]] = (None, [])
        self._drawn_for: object = None
        self._heard_of: object = None  # the size it has last been told of
        self._wheel_at: tuple[int, int] | None = None
        self._pages = KnownPages(page_bytes)
        # Told at once where the cursor went, as a table's.
        self.follow: Callable[[], None] | None = None

    # What it shows.

    @property
    def address(self) -> int | None:
        """Where the cursor is."""
        return self._address

    @property
    def zoomed(self) -> bool:
        return self._view is not None

    def show(self, map_: AddressMap | None, address: int | None, lit: int | None = None) -> None:
        """A map with its cursor; mappings of another kind than `lit` are dim."""
        before = self._cursor_span()
        if map_ is not self._map:
            if map_ is None or self._map is None or map_.key != self._map.key:
                self._view = None
                self._pages.forget()
            self._map = map_
            self._pages.grow_old()
        everything = lit != self._lit
        self._address, self._lit = address, lit
        if self._layout() or everything:
            self.refresh()
        elif before != self._cursor_span():
            self._refresh_lines(before, self._cursor_span())
        self._tell()

    def fold(self) -> None:
        """The folded whole again."""
        self._look_through(None)

    def show_pages(self, reading: PagesReading | Gap | None) -> None:
        """What came of asking for `pages_wanted`; None forgets what was read."""
        if reading is None:
            self._pages.forget()
        elif isinstance(reading, Gap) or (self._map and reading.key == self._map.key):
            self._pages.take(reading, self._map, self._window_lines)
        self._drawn_for = None
        self._layout()
        self.refresh()
        self._tell()

    @property
    def pages_wanted(self) -> tuple[int, int] | None:
        """The pages it lacks, as the address of the first and how many: of what is visible alone,
        one run at a time. None: none, or it shows so much that averages have to do."""
        view, map_ = self._view, self._map
        if view is None or map_ is None or view.size_bytes // self._page_bytes > _PAGES_AT_MOST:
            return None
        return self._pages.wanted(map_, self._window_lines, view.cell_bytes == self._page_bytes)

    def _tell(self) -> None:
        if self._pages.is_news(self.pages_wanted):
            self.post_message(self.PagesWanted(self))

    # Layout.

    def _layout(self) -> bool:
        """Lays out what is shown, where that has changed; whether it had."""
        map_, (width, height) = self._map, self.size
        if map_ is None or not len(map_) or width < 8 or not height:
            self._drawn_for, self._lines, self._window_lines = None, [], []
            return True
        if height < 2:
            self._view = None
        view = self._view
        if view is not None:
            across, lines = self._grid()
            view = view._replace(across=across, height=lines)
            view = self._view = follow(map_.mappings, view, self._here(map_))
        wanted = (self.size, map_, view)
        if wanted == self._drawn_for:
            return False
        self._drawn_for = wanted
        if view is None:
            self._window_lines = []
            self._lines = picture(map_, width, height, self._page_bytes, self._layer)
            return True
        self._window_lines = window_lines(map_.mappings, view)
        self._lines = self._head_lines(map_, width, height) + window_picture(
            map_,
            view,
            self._window_lines,
            width,
            self._page_bytes,
            self._pages.readings,
            self._layer,
        )
        return True

    def _grid(self) -> tuple[int, int]:
        """Cells across and lines of a window in this size."""
        width, height = self.size
        return cells_across(width), height - (_HEAD if height >= _HEADED else 1)

    def _head_lines(self, map_: AddressMap, width: int, height: int) -> list[list[Spot]]:
        """The whole as a ribbon; captions are put in as they are drawn."""
        words = 0 if height >= _HEADED else min(_CAPTION, width * 3 // 5)
        wanted = (map_, width - words)
        if self._mini[0] != wanted:
            self._mini = (wanted, ribbon(map_, width - words, 1, self._page_bytes, self._layer)[0])
        blanks = [Spot(" ", None, None, 0, 0, None)] * words
        return [blanks + self._mini[1], *([[]] * (_HEAD - 1 if height >= _HEADED else 0))]

    def _head_height(self) -> int:
        return 0 if self._view is None else len(self._lines) - len(self._window_lines)

    def _here(self, map_: AddressMap) -> int:
        return map_.mappings.starts[0] if self._address is None else self._address

    def on_resize(self) -> None:
        self._heard_of = self.size
        if self._layout():
            self.refresh()
        self._tell()

    # Drawing.

    def render_line(self, y: int) -> Strip:
        if self._heard_of != self.size:  # one that comes with being shown may not be told
            self.on_resize()
        base, width = self.base, self.size.width
        if self._map is None or y >= len(self._lines):
            return Strip.blank(width, base)
        caption = self._caption(y)
        parts: list[Part] = [(caption, theme.style(theme.DIM))]
        spots = self._lines[y][len(caption) :]
        if self._view is not None and y == 0:
            shown = self._window_lines[0].start, self._window_lines[-1].end
            looks = [mini_look(spot, *shown) for spot in spots]
        else:
            span = self._cursor_span()
            looks = [look(spot, span, self._lit) for spot in spots]
        for text, style in looks:
            if parts[-1][1] == style:
                parts[-1] = (parts[-1][0] + text, style)
            else:
                parts.append((text, style))
        return strip(parts, width, base)

    def _caption(self, y: int) -> str:
        """The words at the beginning of a line above the window."""
        view, head = self._view, self._head_height()
        if view is None or y >= head:
            return ""
        width = self.size.width
        if head == 1:
            width = len(self._lines[0]) - len(self._mini[1])
            scale = scale_text(view, 21)
            shade = self._shade_text(width - units.width(scale) - 4)
            return units.fit(f"{scale} · {shade}", width - 1) + " "
        return "" if y == 0 else scale_text(view, width) if y == 1 else self._shade_text(width)

    def _shade_text(self, width: int) -> str:
        """What the cursor's page is, where each cell is one; else what shades are made of."""
        map_, view = self._map, self._view
        assert map_ is not None
        assert view is not None
        spot = self._cursor_spot()
        if spot is not None and spot.state is not None:
            state = PAGE_STATES[spot.state]
            return f"{spot.character} {state.name.replace('_', ' ')}"
        if self._pages.gap is not None:
            gap = self._pages.gap
            is_bare = gap.reason == "absent" and not gap.detail
            why = "there is no page map" if is_bare else units.printable(gap.words)
            texts = (
                f"by mapping, no pages: {why}",
                f"no pages: {why}",
                why,
                "by mapping: no pages",
            )
            return next((text for text in texts if units.width(text) <= width), texts[-1])
        if view.size_bytes // self._page_bytes <= _PAGES_AT_MOST and (
            self.pages_wanted is None
            or all(
                reading_of(map_, line, self._pages.readings, self._page_bytes)
                for line in self._window_lines
                if mapped_runs(map_.mappings, [line])
            )
        ):
            return f"{self._layer.words} by page"
        if self._layer.of_mappings(map_.mappings) is None:
            return f"no {self._layer.words}: usage is unread"
        return f"{self._layer.words} by mapping"

    def _cursor_span(self) -> tuple[int, int, int]:
        """The cursor's address, and the mapping it is in, or nothing."""
        map_, address = self._map, self._address
        if map_ is None or address is None:
            return (-1, 0, 0)
        row = map_.row_at(address)
        if row is None:
            return (address, address, address)
        return (address, map_.mappings.starts[row], map_.mappings.ends[row])

    def _refresh_lines(self, *spans: tuple[int, int, int]) -> None:
        """Repaints the captions, and the lines that show any of these."""
        head = self._head_height()
        for y, line in enumerate(self._lines):
            shown = [spot for spot in line if spot.start < spot.end]
            if y < head or any(
                shown[0].start < max(end, at + 1) and min(start, at) < shown[-1].end
                for at, start, end in spans
                if shown
            ):
                self.refresh(Region(0, y, self.size.width, 1))

    # Zooming.

    def action_zoom(self, step: int) -> None:
        """Into the picture around the cursor (1), or out of it (-1)."""
        map_ = self._map
        if not self._zoomable or map_ is None or not len(map_) or self.size.height < 2:
            return
        address = self._here(map_)
        if step > 0:
            self._look_through(zoom_in(map_, self._view, address, *self._grid(), self._page_bytes))
        elif self._view is not None:
            self._look_through(zoom_out(map_, self._view, address))

    def _look_through(self, view: Window | None) -> None:
        self._view = view
        if self._layout():
            self.refresh()
        self._tell()

    # Pointing.

    def on_click(self, event: events.Click) -> None:
        if self._point(event.x, event.y) and event.chain == 2 and event.y >= self._head_height():
            self.action_zoom(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, step: int) -> None:
        """Zooms at the pointer; around the same address for as long as it stays where it is."""
        if not self._zoomable or (step < 0 and self._view is None):
            return
        event.stop()
        here = (event.x, event.y)
        if here != self._wheel_at:
            self._point(event.x, event.y)
            self._wheel_at = here
        self.action_zoom(step)

    def _point(self, x: int, y: int) -> bool:
        """The cursor to what is drawn there; whether anything is."""
        if self._map is None or not 0 <= y < len(self._lines) or not 0 <= x < len(self._lines[y]):
            return False
        spot = self._lines[y][x]
        if spot.row is not None:
            self._go(max(spot.start, self._map.mappings.starts[spot.row]))
        elif self._view is not None and self._is_hole(spot) and y >= self._head_height():
            self._go(spot.start)
        else:
            return False
        return True

    def _is_hole(self, spot: Spot) -> bool:
        """Whether it is one between mappings, and no label."""
        assert self._map is not None
        mappings = self._map.mappings
        return mappings.starts[0] <= spot.start < spot.end <= mappings.ends[-1]

    def _go(self, address: int) -> None:
        self._wheel_at = None
        self.show(self._map, address, self._lit)
        if self.follow is not None:
            self.follow()
        self.post_message(self.Pointed(self))

    def _cursor_spot(self) -> Spot | None:
        where = self._where()
        return None if where is None else self._lines[where[1]][where[0]]

    def _where(self) -> tuple[int, int] | None:
        """The place of the cursor."""
        if self._address is None:
            return None
        head = self._head_height()
        for y, line in enumerate(self._lines[head:], start=head):
            for x, spot in enumerate(line):
                if spot.start <= self._address < spot.end:
                    return x, y
        return None

    def action_step(self, step: int) -> None:
        """To the cell before or after; in the folded whole, to the mapping."""
        map_, view = self._map, self._view
        if map_ is None or self._address is None or not len(map_):
            return
        mappings = map_.mappings
        if view is None:
            row = bisect_right(mappings.starts, self._address) - 1
            row += step if step > 0 or self._address < mappings.ends[max(0, row)] else step + 1
            self._go(mappings.starts[max(0, min(row, len(map_) - 1))])
            return
        self._go(cell_beside(map_, view, self._address, step))

    def action_line(self, step: int) -> None:
        """To another line above or below; in the folded whole, to what else it shows."""
        map_, view = self._map, self._view
        if map_ is None or self._address is None or not len(map_):
            return
        if view is not None:
            self._go(cell_above(map_, view, self._address, step))
            return
        where = self._where()
        if where is None:
            return
        here = map_.row_at(self._address)
        x, y = where
        y += step
        while 0 <= y < len(self._lines):
            others = [at for at, spot in enumerate(self._lines[y]) if spot.row not in (None, here)]
            if others:
                self._point(min(others, key=lambda at: abs(at - x)), y)
                return
            y += step

    def action_page(self, step: int) -> None:
        """A window further on or back; in the folded whole, to its ends."""
        map_, view = self._map, self._view
        if view is None or map_ is None:
            self.action_end(-1 if step > 0 else 0)
        elif self._address is not None:
            lines = step * view.height
            self._view = pan(map_.mappings, view, lines)
            self._go(cell_above(map_, view, self._address, lines))

    def action_end(self, row: int) -> None:
        """To the first mapping (0) or the last (-1)."""
        if self._map is not None and len(self._map):
            self._go(self._map.mappings.starts[row])
