"""Down to the page table: how one virtual address is translated, and what an access to it does."""

from __future__ import annotations

from array import array
from typing import ClassVar

from textual.binding import BindingType

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.map.labels import label
from memtui.model.map.pages import PAGE_STATES, page_states
from memtui.model.map.pagetable import Paging, Step
from memtui.ondemand.questions import WalkTo
from memtui.ondemand.walk import COMPUTED, Walk
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.sheets.sheet import Sheet
from memtui.tui.widgets.page import Page, Row, wrapped
from memtui.tui.words.cells import Column, Line, Part

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)

# One colour for the bits of each level, wherever they are shown.
_LEVEL_COLOURS = ("#5fafff", "#af87ff", "#5fd7d7", "#87d75f", "#ffd75f")
_OFFSET_COLOUR = "#ff875f"

_COLUMNS = (
    Column("level", "LEVEL", 5, "<"),
    Column("bits", "ADDRESS BITS", 12, "<"),
    Column("binary", "IN BINARY", 16, "<"),
    Column("index", "INDEX", 6),
    Column("covers", "AN ENTRY COVERS", 15),
    Column("range", "THIS ONE", 0, "<", 2),
    Column("how", "", 0, "<", 1),
)


class PageTableSheet(Sheet):
    """The walk for the cursor's address; the arrows go on to the pages before and after."""

    VIEW = "pagetable"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def begin(self) -> None:
        key, map_, address = self.chosen.key, self.chosen.map, self.chosen.address
        if key is None or map_ is None or address is None:
            self.dismiss()
            return
        self.fetch(WalkTo(map_, address), self._draw)

    def map_read(self) -> None:
        self.begin()

    def action_step(self, pages: int) -> None:
        address = self.chosen.address or 0
        page_bytes = self.session.machine.page_bytes
        moved = address - address % page_bytes + pages * page_bytes
        if 0 <= moved < 1 << 64:
            self.chosen.address = moved
            self.begin()

    def _draw(self, found: Walk | Gap) -> None:
        map_ = self.chosen.map
        if isinstance(found, Gap):
            self.show(Page([(" page table ", _DIM)], [f"Not to be told: {found}."]))
            return
        if map_ is None or found.address != self.chosen.address:
            return
        title: list[Part] = [
            (" page table ", _DIM),
            (units.address(found.address), _BRIGHT),
            (f" of {found.key.pid} ", _DIM),
        ]
        if found.row is not None:
            path = map_.mappings.paths[found.row] or label(map_, found.row).words
            title.append((units.printable(path), theme.style(map_.kind(found.row).colour)))
        else:
            title.append(("not mapped", theme.style(theme.ALARM, bold=True)))
        rows = [_step_row(at, step) for at, step in enumerate(found.steps)]
        if rows:
            rows.append(_offset_row(found))
        head = _head(found)
        if self.chosen.gone_s is not None:
            gone = self.session.machine.time_of_day(self.chosen.gone_s)
            head.append(f"The process has ended at {gone}: this is its last map.")
        is_low = self.has_class("-low")
        page = Page(
            title,
            head,
            _columns(found) if rows else (),
            rows,
            lambda row: _about(found, self.size.width, short=is_low),
        )
        if 1 + len(rows) + len(wrapped(page.about(0), self.size.width)) > self.room(page):
            page.rows = rows[:-1]  # the byte in the page: its bits are in the line above, too
        self.show(page)


def _head(found: Walk) -> list[str | Line]:
    if isinstance(found.paging, Gap):
        return [f"The levels cannot be told: {found.paging.detail}."]
    words = (found.paging.words, _PLAIN)
    if not found.steps:
        return [[(" ", _DIM), words, (": the CPU does not translate this address", _DIM)]]
    return [
        [(" ", _DIM), words, (": how the CPU takes it apart", _DIM)],
        _in_colours(found, found.paging),
    ]


def _in_colours(found: Walk, paging: Paging) -> Line:
    """The address in binary, the bits of each level in its colour."""
    line: list[Part] = [(" ", _DIM)]
    unused = 64 - paging.va_bits
    line.append((f"{'·' * min(unused, 4)} ", _DIM))
    for at, step in enumerate(found.steps):
        bits = f"{step.index:0{step.level.bits}b}"
        line.append((bits + " ", theme.style(_LEVEL_COLOURS[at], bold=True)))
    line.append((f"{found.offset:0{paging.page_bits}b}", theme.style(_OFFSET_COLOUR, bold=True)))
    return line


def _columns(found: Walk) -> tuple[Column, ...]:
    """That of ranges as wide as the widest: where addresses have 64 bits, they are longer."""
    ranges = [*map(_range, found.steps), _in_page(found)]
    width = max(map(units.width, ranges))
    return tuple(each._replace(width=width) if each.name == "range" else each for each in _COLUMNS)


def _range(step: Step) -> str:
    return f"{units.address(step.start)}–{units.address(step.end)}"


def _in_page(found: Walk) -> str:
    return f"in the page at {units.address(found.page_start)}"


def _step_row(at: int, step: Step) -> Row:
    level, colour = step.level, theme.style(_LEVEL_COLOURS[at], bold=True)
    return {
        "level": (level.name, colour),
        "bits": f"{level.shift + level.bits - 1}–{level.shift}",
        "binary": (f"{step.index:0{level.bits}b}", colour),
        "index": (str(step.index), _BRIGHT),
        "covers": units.size(level.covers_bytes),
        "range": (_range(step), _DIM),
        "how": (COMPUTED, _DIM),
    }


def _offset_row(found: Walk) -> Row:
    bits = (found.page_bytes - 1).bit_length()
    colour = theme.style(_OFFSET_COLOUR, bold=True)
    return {
        "level": ("byte", colour),
        "bits": f"{bits - 1}–0",
        "binary": (f"{found.offset:0{bits}b}", colour),
        "index": (str(found.offset), _BRIGHT),
        "covers": "1 B",
        "range": (_in_page(found), _DIM),
        "how": (COMPUTED, _DIM),
    }


def _about(found: Walk, width: int, *, short: bool) -> list[str | Line]:
    """What was read of the page, and what an access to it does."""
    lines: list[str | Line] = []
    if found.hole is None:
        lines.append([(" READ FROM THE KERNEL", _ACCENT), (" (pagemap)", _DIM)])
        if isinstance(found.entry, int):
            state = PAGE_STATES[page_states(_as_array(found.entry))[0]]
            lines.append(
                [
                    (f" entry {found.entry:016x}  ", _PLAIN),
                    (state.words, theme.style(state.colour, bold=True)),
                ]
            )
            if short:
                names = ", ".join(bit.name.lower() for bit in found.bits)
                lines.append([(f"   {names or 'no bit is set'}", _DIM)])
            else:
                lines += [
                    [(f"   {bit.name.lower():<16}", _PLAIN), (bit.words, _DIM)]
                    for bit in found.bits
                ]
        lines.append([(" frame ", _DIM), (found.frame_words, _PLAIN), *_frame_parts(found)])
        if isinstance(found.flags, int):
            flags = ", ".join(
                f"{bit.name.lower()} ({bit.words})" if width >= 100 else bit.name.lower()
                for bit in found.flag_bits
            )
            lines += wrapped([f"kpageflags: {flags or 'none set'}"], width, _DIM)
        elif isinstance(found.flags, Gap):
            lines.append([(f" kpageflags: {found.flags}", _DIM)])
        if found.huge:
            lines.append([(f" {found.huge}", _PLAIN)])
        if found.swap_words:
            lines.append([(f" swap: {found.swap_words}", _PLAIN)])
    lines.append([(" WHAT AN ACCESS DOES", _ACCENT)])
    return [*lines, *found.sentences]


def _frame_parts(found: Walk) -> list[Part]:
    parts: list[Part] = []
    if found.physical_address is not None:
        parts.append((f" · physical address {found.physical_address:#x}", _PLAIN))
    if isinstance(found.map_count, int):
        times = "once" if found.map_count == 1 else f"{found.map_count} times"
        parts.append((f" · mapped {times}", _PLAIN))
    if found.place is not None:
        parts.append((f" · zone {found.place.zone} of node {found.place.node}", _PLAIN))
    return parts


def _as_array(entry: int) -> array[int]:
    return array("Q", (entry,))
