"""The address space as a picture: every mapping in order, holes folded and labelled."""

from __future__ import annotations

from heapq import nlargest
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from memtui import units
from memtui.model.addressmap import AddressMap
from memtui.model.kinds import KINDS
from memtui.model.layout import Region, region_cells, regions, share_cells
from memtui.tui import theme
from memtui.tui.widgets.lines import Part, strip


class Spot(NamedTuple):
    """One character of the picture and what of the address space [start, end) it stands for.

    `kind` is None for holes and labels; `row` the mapping it shows, None for none.
    """

    character: str
    kind: int | None
    resident: float | None
    start: int
    end: int
    row: int | None


_LABEL = 6  # "7f31… " left of a line of the block


def picture(map_: AddressMap, width: int, height: int, page: int) -> list[list[Spot]]:
    """The picture as lines of spots, low addresses first; a ribbon where it has one line."""
    if not len(map_):
        return []
    return [_ribbon(map_, width, page)] if height < 3 else _block(map_, width, height, page)


def _ribbon(map_: AddressMap, width: int, page: int) -> list[Spot]:
    parts = regions(map_.mappings, max(2, width // 6))
    # Only the largest holes say their size, or there would be no room for what is between them.
    told = nlargest(max(1, width // 14), range(len(parts)), key=lambda at: parts[at].hole_before)
    labels = [
        _hole_label(part.hole_before) if at in told else "~" * bool(part.hole_before)
        for at, part in enumerate(parts)
    ]
    room = max(len(parts), width - sum(map(len, labels)))
    line: list[Spot] = []
    counts = share_cells(map_.mappings, parts, room, page)
    for part, label, count in zip(parts, labels, counts, strict=True):
        start = map_.mappings.starts[part.first]
        line += [Spot(char, None, None, start - part.hole_before, start, None) for char in label]
        line += _spots(map_, part.first, part.last, count, page)
    return line


def _block(map_: AddressMap, width: int, height: int, page: int) -> list[list[Spot]]:
    across = max(1, width - _LABEL)
    parts = regions(map_.mappings, max(1, (height + 1) // 3))
    rows = max(len(parts), height - (len(parts) - 1))
    lines: list[list[Spot]] = []
    counts = share_cells(map_.mappings, parts, rows, page)
    for part, count in zip(parts, counts, strict=True):
        start = map_.mappings.starts[part.first]
        if part.hole_before:
            label = f"{'':{_LABEL}}{_hole_label(part.hole_before, ' '):^{across}}"
            lines.append(
                [Spot(char, None, None, start - part.hole_before, start, None) for char in label]
            )
        spots = _spots(map_, part.first, part.last, count * across, page)
        for at in range(0, len(spots), across):
            piece = spots[at : at + across]
            label = f"{units.address(piece[0].start)[:4]}… "
            lines.append(
                [Spot(char, None, None, piece[0].start, piece[0].end, None) for char in label]
                + piece
            )
    return lines


def _spots(map_: AddressMap, first: int, last: int, count: int, page: int) -> list[Spot]:
    hole = theme.glyphs().hole
    return [
        Spot(
            hole if cell.kind is None else KINDS[cell.kind].letter,
            cell.kind,
            cell.resident,
            cell.start,
            cell.end,
            cell.row,
        )
        for cell in region_cells(map_, Region(first, last, 0), count, page)
    ]


def _hole_label(size: int, blank: str = "") -> str:
    """`~83T~`: how much nothing there is between two regions."""
    if not size:
        return ""
    text = units.size(size, short=not blank)
    number, _, unit = text.partition(" ")
    if not blank:
        number, unit = text[:-1], text[-1]
    if len(number) > 3 and "." in number:
        number = number.split(".")[0]
    return f"~{blank}{number}{blank}{unit}{blank}~"


class Picture(Widget, can_focus=True):
    """The picture of a map, lit where the cursor's mapping is; arrows and the mouse move it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "before", show=False),
        Binding("right", "step(1)", "after", show=False),
        Binding("up", "line(-1)", "line up", show=False),
        Binding("down", "line(1)", "line down", show=False),
    ]

    class Pointed(Message):
        """The user pointed at a mapping that begins at `address`."""

        def __init__(self, picture: Picture, address: int) -> None:
            super().__init__()
            self.picture = picture
            self.address = address

    def __init__(self, page: int, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._page = page
        self._map: AddressMap | None = None
        self._row: int | None = None
        self._lines: list[list[Spot]] = []
        self._drawn_for: object = None

    def show(self, map_: AddressMap | None, row: int | None) -> None:
        """A map with a mapping lit."""
        if map_ is not self._map:
            self._map = map_
            self._drawn_for = None
        if row != self._row or self._drawn_for is None:
            self._row = row
            self._layout()
            self.refresh()

    def _layout(self) -> None:
        wanted = (self.size, self._map)
        if wanted != self._drawn_for:
            self._drawn_for = wanted
            width, height = self.size
            drawn = self._map is not None and width >= 8 and height
            self._lines = (
                picture(self._map, width, height, self._page) if drawn and self._map else []
            )

    def on_resize(self) -> None:
        self._layout()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        base, width = self.rich_style, self.size.width
        if self._map is None or y >= len(self._lines):
            return Strip.blank(width, base)
        starts, ends = self._map.mappings.starts, self._map.mappings.ends
        here = (0, 0)
        if self._row is not None and self._row < len(self._map):
            here = (starts[self._row], ends[self._row])
        return strip([self._look(spot, here) for spot in self._lines[y]], width, base)

    def _look(self, spot: Spot, here: tuple[int, int]) -> Part:
        if spot.kind is None:
            return spot.character, theme.style(theme.DIM)
        colour = KINDS[spot.kind].colour
        if spot.start < here[1] and here[0] < spot.end:
            # Its beginning in the cursor's colour, the rest of it underlined in its own.
            if here[0] >= spot.start:
                return spot.character, theme.style(theme.BACKGROUND, theme.ACCENT, bold=True)
            if not theme.glyphs().coloured:
                return spot.character, theme.style(theme.BRIGHT, bold=True, underline=True)
            return spot.character, theme.style(theme.BACKGROUND, colour, bold=True, underline=True)
        resident = 0.4 if spot.resident is None else spot.resident
        if not theme.glyphs().coloured:
            return spot.character, theme.style(colour, bold=resident >= 0.5)
        shaded = theme.shade(colour, 0.16 + 0.6 * resident)
        return spot.character, theme.style(
            theme.shade(colour, 0.85) if resident < 0.45 else theme.BACKGROUND, shaded
        )

    # Pointing.

    def on_click(self, event: events.Click) -> None:
        self._point(event.x, event.y)

    def _point(self, x: int, y: int) -> None:
        if self._map is None or not 0 <= y < len(self._lines) or not 0 <= x < len(self._lines[y]):
            return
        row = self._lines[y][x].row
        if row is not None:
            self.post_message(self.Pointed(self, self._map.mappings.starts[row]))

    def _where(self) -> tuple[int, int] | None:
        """The first spot that is lit."""
        if self._map is None or self._row is None:
            return None
        start = self._map.mappings.starts[self._row]
        for y, line in enumerate(self._lines):
            for x, spot in enumerate(line):
                if spot.kind is not None and spot.start <= start < spot.end:
                    return x, y
        return None

    def action_step(self, step: int) -> None:
        """To the mapping before or after."""
        if self._map is not None and self._row is not None:
            row = max(0, min(self._row + step, len(self._map) - 1))
            self.post_message(self.Pointed(self, self._map.mappings.starts[row]))

    def action_line(self, step: int) -> None:
        """To what another line above or below shows."""
        where = self._where()
        if where is None:
            return
        x, y = where
        y += step
        while 0 <= y < len(self._lines):
            line = self._lines[y]
            others = [at for at, spot in enumerate(line) if spot.row not in (None, self._row)]
            if others:
                self._point(min(others, key=lambda at: abs(at - x)), y)
                return
            y += step
