"""The picture of an address space as characters: the folded whole, a window, and labels."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from heapq import nlargest
from typing import Final, NamedTuple

from memtui import units
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.kinds import KINDS
from memtui.model.map.layers import RESIDENT, Layer
from memtui.model.map.layout import (
    Cell,
    Region,
    Window,
    WindowLine,
    line_cells,
    region_cells,
    regions,
    share_cells,
)
from memtui.model.map.pages import PAGE_STATE_INDEX, PAGE_STATES, page_states
from memtui.ondemand.pages import PagesReading
from memtui.tui import theme
from memtui.tui.widgets.knownpages import reading_of
from memtui.tui.words.cells import Part


class Spot(NamedTuple):
    """One character of the picture and what of the address space [start, end) it stands for.

    `kind` is None for holes and labels; `share` is the layer's; `row` the mapping it shows, None
    for none; `state` an index into `PAGE_STATES` where it is one page. What only labels stands for
    nothing: start == end.
    """

    character: str
    kind: int | None
    share: float | None
    start: int
    end: int
    row: int | None
    state: int | None = None


_LETTERS: Final = [kind.letter for kind in KINDS]
_LABEL: Final = 6  # "7f31… " left of a line of the block
_WINDOW_LABEL: Final = 10  # at least; "7f31c0a8… " where 32 cells of pages are right of it
_STRIP: Final = 3  # lines that are too few for a block


def picture(
    map_: AddressMap, width: int, height: int, page_bytes: int, layer: Layer = RESIDENT
) -> list[list[Spot]]:
    """The folded whole as lines of spots, low addresses first; a ribbon where lines are few."""
    if not len(map_):
        return []
    if height <= _STRIP:
        return ribbon(map_, width, height, page_bytes, layer)
    return _block(map_, width, height, page_bytes, layer)


def ribbon(
    map_: AddressMap, width: int, height: int, page_bytes: int, layer: Layer = RESIDENT
) -> list[list[Spot]]:
    """The folded whole as one band of cells, broken into lines; holes within it are labelled."""
    cells = width * height
    parts = regions(map_.mappings, max(2, cells // 6))
    # Only the largest holes say their size, or there would be no room for what is between them.
    told = nlargest(max(1, cells // 14), range(len(parts)), key=lambda at: parts[at].hole_before)
    labels = [
        _hole_label(part.hole_before) if at in told else "~" * bool(part.hole_before)
        for at, part in enumerate(parts)
    ]
    # A label is not broken: each line but the last may end before one.
    spare = (height - 1) * max(map(len, labels))
    room = max(len(parts), cells - sum(map(len, labels)) - spare)
    lines: list[list[Spot]] = [[]]
    counts = share_cells(map_.mappings, parts, room, page_bytes)
    for part, label, count in zip(parts, labels, counts, strict=True):
        start = map_.mappings.starts[part.first]
        if len(lines[-1]) + len(label) > width:
            lines.append([])
        lines[-1] += _text(label, start - part.hole_before, start)
        for spot in _spots(map_, part, count, page_bytes, layer):
            if len(lines[-1]) == width:
                lines.append([])
            lines[-1].append(spot)
    return lines


def _block(
    map_: AddressMap, width: int, height: int, page_bytes: int, layer: Layer
) -> list[list[Spot]]:
    across = max(1, width - _LABEL)
    parts = regions(map_.mappings, max(1, (height + 1) // 3))
    rows = max(len(parts), height - (len(parts) - 1))
    lines: list[list[Spot]] = []
    counts = share_cells(map_.mappings, parts, rows, page_bytes)
    for part, count in zip(parts, counts, strict=True):
        start = map_.mappings.starts[part.first]
        if part.hole_before:
            lines.append(_hole_line(_LABEL, across, start - part.hole_before, start))
        spots = _spots(map_, part, count * across, page_bytes, layer)
        for at in range(0, len(spots), across):
            piece = spots[at : at + across]
            lines.append(_text(f"{units.address(piece[0].start)[:4]}… ") + piece)
    return lines


def _spots(map_: AddressMap, part: Region, count: int, page_bytes: int, layer: Layer) -> list[Spot]:
    hole = theme.glyphs().hole
    return [_spot(cell, hole) for cell in region_cells(map_, part, count, page_bytes, layer)]


def _spot(cell: Cell, hole: str, share: float | None = None) -> Spot:
    """A cell as a spot; `share` where that is known better than from its mappings."""
    start, end, kind, average, row, _ = cell
    character = hole if kind is None else _LETTERS[kind]
    return Spot(character, kind, average if share is None else share, start, end, row)


def _text(text: str, start: int = 0, end: int = 0) -> list[Spot]:
    return [Spot(char, None, None, start, end, None) for char in text]


def _hole_line(before: int, across: int, start: int, end: int) -> list[Spot]:
    text = _hole_label(end - start, " ")
    left = before + max(0, across - len(text)) // 2
    right = max(0, before + across - left - len(text))
    return [*_text(" " * left), *_text(text, start, end), *_text(" " * right)]


def _hole_label(size: int, blank: str = "") -> str:
    """`~83T~`: how much nothing there is between two regions."""
    if not size:
        return ""
    text = units.size(size, short=not blank)
    number, _, unit = text.partition(" ")
    if not blank:
        number, unit = text[:-1], text[-1]
    if len(number) > 3 and "." in number:
        number = f"{float(number):.0f}"  # 0.98 is 1, not 0
    return f"~{blank}{number}{blank}{unit}{blank}~"


# A window.


def cells_across(width: int) -> int:
    """How many cells a window's line has beside its label: a power of two, so that addresses of
    lines are round."""
    return int(1 << max(0, (width - _WINDOW_LABEL).bit_length() - 1))


def window_picture(
    map_: AddressMap,
    window: Window,
    lines: Sequence[WindowLine],
    width: int,
    page_bytes: int,
    readings: Sequence[PagesReading],
    layer: Layer = RESIDENT,
) -> list[list[Spot]]:
    """A window's lines as spots. Where a reading has a line's pages its shades are theirs, and at a
    page a cell its characters are their states; elsewhere shades are the mappings' averages."""
    room = width - window.across
    drawn = []
    for line in lines:
        if line.is_hole:
            drawn.append(_hole_line(room, window.across, line.start, line.end))
            continue
        label = _text(_line_label(line.start, window.line_bytes, room))
        drawn.append(label + _window_line(map_, window, line, page_bytes, readings, layer))
    return drawn


def _line_label(address: int, line_bytes: int, width: int) -> str:
    """The digits of a line's address, without the last ones where these are 0 on every line."""
    text, room = units.address(address), width - 1
    if len(text) > room:
        zeros = (line_bytes.bit_length() - 1) // 4
        fits = len(text) - zeros <= room - 1
        text = text[: room - 1] + "…" if fits else "…" + text[1 - room :]
    return f"{text:<{width}}"


def _window_line(
    map_: AddressMap,
    window: Window,
    line: WindowLine,
    page_bytes: int,
    readings: Sequence[PagesReading],
    layer: Layer,
) -> list[Spot]:
    by_page = window.cell_bytes == page_bytes
    hole = " " if by_page else theme.glyphs().hole
    cells = line_cells(map_, line, window.cell_bytes, layer)
    reading = reading_of(map_, line, readings, page_bytes)
    if reading is None:
        return [_spot(cell, hole) for cell in cells]
    entries, huge = _pages_of(reading, line, page_bytes)
    if by_page:
        letters = [state.letter.replace("·", theme.glyphs().hole) for state in PAGE_STATES]
        return [
            _spot(cell, hole)
            if cell.row is None
            else Spot(letters[state], cell.kind, None, cell.start, cell.end, cell.row, state)
            for cell, state in zip(cells, page_states(entries, huge), strict=True)
        ]
    shares = layer.of_pages(entries, window.cell_bytes // page_bytes)
    return [
        _spot(cell, hole, share * window.cell_bytes / cell.mapped if cell.mapped else None)
        for cell, share in zip(cells, shares, strict=True)
    ]


def _pages_of(
    reading: PagesReading, line: WindowLine, page_bytes: int
) -> tuple[array[int], bytes | None]:
    """A reading's pages on a line; nothing is mapped where the line goes beyond it."""
    first, beyond = (
        (line.start - reading.start) // page_bytes,
        (line.end - reading.start) // page_bytes,
    )
    count = len(reading.entries)
    before, after = max(0, -first), max(0, beyond - count)
    inside = slice(max(0, first), beyond)
    entries = array("Q", bytes(8 * before)) + reading.entries[inside] + array("Q", bytes(8 * after))
    if reading.huge is None:
        return entries, None
    return entries, bytes(before) + reading.huge[inside] + bytes(after)


def scale_text(window: Window, width: int) -> str:
    """How much a cell and the window hold, in the longest words that fit."""
    cell, all_of_it = (_round(size) for size in (window.cell_bytes, window.size_bytes))
    texts = (
        f"1 cell = {cell} · window {all_of_it}",
        f"cell {cell} · {all_of_it}",
        f"cell {cell}",
    )
    return next((text for text in texts if len(text) <= width), texts[-1])


def _round(size: int) -> str:
    return units.size(size).replace(".0 ", " ")


# Looks.

_ABSENT: Final = PAGE_STATE_INDEX["absent"]
_CURSOR: Final = theme.style(theme.BACKGROUND, theme.ACCENT, bold=True)


def look(spot: Spot, cursor: tuple[int, int, int], lit: int | None) -> Part:
    """A spot as it is drawn, with the cursor's address, and the mapping [start, end) it is in.

    Kinds other than `lit` are dim; None: none is.
    """
    address, low, high = cursor
    if spot.start <= address < spot.end:
        return spot.character, _CURSOR
    if spot.kind is None:
        return spot.character, theme.style(theme.DIM)
    colour = KINDS[spot.kind].colour
    share = 0.4 if spot.share is None else spot.share
    if spot.state is not None:
        colour = PAGE_STATES[spot.state].colour
        share = 0.0 if spot.state == _ABSENT else 0.8
    shaded = theme.glyphs().shaded
    if spot.start < high and low < spot.end:
        # The cursor's mapping: underlined in its own colour.
        if not shaded:
            return spot.character, theme.style(theme.BRIGHT, bold=True, underline=True)
        return spot.character, theme.style(theme.BACKGROUND, colour, bold=True, underline=True)
    if lit is not None and spot.kind != lit:
        return spot.character, theme.style(theme.FRAME)
    if not shaded:
        return spot.character, theme.style(colour, bold=share >= 0.5)
    # In sixteen steps: shades are kept, and cells of one shade are sent as one.
    ground = theme.shade(colour, 0.16 + 0.6 * round(share * 16) / 16)
    return spot.character, theme.style(
        theme.shade(colour, 0.85) if share < 0.45 else theme.BACKGROUND, ground
    )


def mini_look(spot: Spot, start: int, end: int) -> Part:
    """A spot of the whole above a window that shows [start, end)."""
    if spot.start < end and start < spot.end:
        return spot.character, _CURSOR
    colour = theme.DIM if spot.kind is None else theme.shade(KINDS[spot.kind].colour, 0.7)
    return spot.character, theme.style(colour)
