"""Inside a mapping: what it is, its flags in words and, of an ELF file, what the linker put there."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.columns import available, value
from memtui.model.map.image import (
    Image,
    Section,
    Segment,
    Symbols,
    explain_address,
    load_bias,
    relro_range,
    section_at,
    sections_over,
    segments_over,
    symbol_at,
)
from memtui.model.map.labels import flags, label
from memtui.model.map.vmflags import decode
from memtui.ondemand.questions import ImageBehind
from memtui.session.chosen import Chosen
from memtui.session.session import Session
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.sheets.sheet import Sheet
from memtui.tui.widgets.page import Page, Row
from memtui.tui.words.cells import Column, Line, Part

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ALARM = theme.style(theme.ALARM, bold=True)
_ACCENT = theme.style(theme.ACCENT)

_SURE = {
    "certain": "the kernel says so",
    "likely": "likely: told from where it lies and what is next to it",
    "guess": "a guess, from the habits of programs",
}
_COLUMNS = (
    Column("what", "", 7, "<"),
    Column("name", "NAME", 19, "<"),
    Column("type", "TYPE", 12, "<", 3),
    Column("flags", "FLAGS", 5, "<", 1),
    Column("own", "IN THE FILE'S ADDRESSES", 23, "<", 2),
    Column("range", "IN MEMORY", 25, "<"),
    Column("size", "SIZE", 8),
    Column("offset", "AT OFFSET", 9, priority=4),
    Column("note", "", 0, "<", 5),
)


# Of what is no part of a program: every figure that smaps has of it.
_FIGURE_COLUMNS = (
    Column("name", "FIGURE", 20, "<"),
    Column("value", "", 12),
    Column("words", "", 0, "<"),
)


class InsideSheet(Sheet):
    """The mapping at the cursor. Its rows are places: Enter goes to one in the map."""

    VIEW = "inside"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._starts: list[int] = []

    def begin(self) -> None:
        map_, address = self.chosen.map, self.chosen.address
        if map_ is None or address is None or (row := map_.row_at(address)) is None:
            self.show(Page(_title(self.chosen), ["Nothing is mapped here: t shows the walk."]))
            return
        title, head = _title(self.chosen), _head(map_, row)
        if not map_.mappings.paths[row].startswith("/") and map_.kind(row).name != "bss":
            self.show(Page(title, head, _FIGURE_COLUMNS, _figure_rows(map_, row)))
            return
        self.show(Page(title, [*head, "Reading the file …"]))
        # The anonymous tail of a data segment has no file of its own: that before it.
        of = row - 1 if not map_.mappings.paths[row] and row else row
        self.fetch(
            ImageBehind(map_.key, map_.mappings, of),
            lambda found: self._draw(map_, row, of, address, found),
        )

    def _draw(
        self, map_: AddressMap, row: int, of: int, address: int, found: tuple[Image, Symbols] | Gap
    ) -> None:
        title, head = _title(self.chosen), _head(map_, row)
        if isinstance(found, Gap):
            head.append(f"What the file says is not known: {found.words}.")
            self.show(Page(title, head, _FIGURE_COLUMNS, _figure_rows(map_, row)))
            return
        image, symbols = found
        mappings = map_.mappings
        page_bytes = self.session.machine.page_bytes
        bias = load_bias(image, mappings, of, page_bytes)
        if bias is None:
            words = "No segment of the file covers this part: it was not mapped by a loader."
            head += [_image_line(image, symbols), words]
            self.show(Page(title, head, _FIGURE_COLUMNS, _figure_rows(map_, row)))
            return
        start, end = mappings.starts[row], mappings.ends[row]
        segments = segments_over(image, bias, start, end)
        sections = sections_over(image, bias, start, end)
        relro = relro_range(image, bias, page_bytes)
        rows = [_segment_row(segment, bias) for segment in segments]
        self._starts = [max(start, bias + segment.vaddr) for segment in segments]
        if relro and relro[0] < end and start < relro[1]:
            rows.append(_relro_row(image, relro, bias))
            self._starts.append(max(start, relro[0]))
        rows += [_section_row(section, bias, address) for section in sections]
        self._starts += [max(start, bias + section.address) for section in sections]
        head += [_image_line(image, symbols), _bias_line(image, bias)]
        if not image.sections:
            head.append("The section headers were stripped: only the program headers are left.")

        def about(at: int) -> list[str | Line]:
            # The cursor's own address while it stands on what holds it, else where the row begins.
            place = self._starts[at]
            here = address if self.table.cursor == self._first else place
            return _about(image, symbols, bias, here)

        holding = [
            at
            for at, section in enumerate(sections, start=len(rows) - len(sections))
            if bias + section.address <= address < bias + section.address + section.size
        ]
        self._first = self.table.cursor = holding[0] if holding else 0
        self.show(Page(title, head, _COLUMNS, rows, about))

    @property
    def leads(self) -> bool:
        return bool(self._starts)

    async def action_goto(self) -> None:
        self.chosen.address = self._starts[self.table.cursor]
        self.dismiss()


def _figure_rows(map_: AddressMap, row: int) -> list[Row]:
    rows: list[Row] = []
    for column in available(map_):
        found = value(map_, row, column.name)
        if column.type in ("bytes", "count", "percent") and found is not None:
            assert not isinstance(found, str)
            text = _figure(column.name, column.type, found)
            rows.append(
                {
                    "name": column.name.replace("_", " "),
                    "value": (text, _BRIGHT if found else _DIM),
                    "words": (column.words, _DIM),
                }
            )
    return rows


def _figure(name: str, measure: str, found: float) -> str:
    if name == "offset":
        return f"{int(found):#x}"
    if measure == "bytes":
        return units.size(found)
    return units.percent(found) if measure == "percent" else str(found)


def _title(chosen: Chosen) -> Line:
    map_, address = chosen.map, chosen.address
    parts: list[Part] = [(" inside ", _DIM)]
    if map_ is not None and address is not None:
        row = map_.row_at(address)
        if row is not None:
            mappings = map_.mappings
            span = f"{units.address(mappings.starts[row])}–{units.address(mappings.ends[row])} "
            name = units.printable(mappings.paths[row]) or label(map_, row).words
            parts += [(span, _BRIGHT), (name, theme.style(map_.kind(row).colour))]
        else:
            parts.append((units.address(address), _BRIGHT))
    return parts


def _head(map_: AddressMap, row: int) -> list[str | Line]:
    named, kind = label(map_, row), map_.kind(row)
    lines: list[str | Line] = [
        [
            (f" {kind.letter} {units.printable(named.words)}", theme.style(kind.colour, bold=True)),
            (f" · {_SURE[named.sure]}", _DIM),
        ]
    ]
    lines += [[(f" ! {warning}", _ALARM)] for warning in flags(map_, row)]
    vm_flags = map_.mappings.vm_flags(row)
    if map_.totals.dumped is not None:
        lines.append([(" A core dump does not have the kernel's flags of it.", _DIM)])
    elif vm_flags is None:
        lines.append([(" The kernel's flags of it have not been read.", _DIM)])
    else:
        lines.append(f"The kernel's flags: {', '.join(decode(vm_flags))}.")
    return lines


def _image_line(image: Image, symbols: Symbols) -> Line:
    known = f"{units.count(len(symbols))} symbols in {symbols.table}" if symbols.table else "none"
    return [
        (f" {image.kind}", _PLAIN),
        (f" · {image.machine}, {image.bits} bit · entry {image.entry:#x}", _DIM),
        (f" · {known}" if symbols.table else " · no symbol table", _DIM),
        (f" · build id {image.build_id[:12]}" if image.build_id else "", _DIM),
    ]


def _bias_line(image: Image, bias: int) -> Line:
    if not bias:
        return [(" load bias 0: addresses in the file are those in memory", _DIM)]
    return [
        (" load bias ", _DIM),
        (f"{bias:#x}", _ACCENT),
        (": added to each address that readelf prints, which are virtual addresses", _DIM),
    ]


def _segment_row(segment: Segment, bias: int) -> Row:
    start, end = segment.vaddr, segment.vaddr + segment.mem_size
    beyond = segment.mem_size - segment.file_size
    return {
        "what": ("segment", _ACCENT),
        "name": "program header",
        "type": segment.type,
        "flags": segment.flags,
        "own": f"{start:#x}–{end:#x}",
        "range": f"{units.address(bias + start)}–{units.address(bias + end)}",
        "size": units.size(segment.mem_size),
        "offset": f"{segment.offset:#x}",
        "note": (f"{units.size(beyond)} of zeros at its end" if beyond else "", _DIM),
    }


def _relro_row(image: Image, relro: tuple[int, int], bias: int) -> Row:
    header = next(segment for segment in image.segments if segment.type == "GNU_RELRO")
    start, end = header.vaddr, header.vaddr + header.mem_size
    return {
        "what": ("relro", _ACCENT),
        "name": "program header",
        "type": header.type,
        "flags": header.flags,
        "own": f"{start:#x}–{end:#x}",
        "range": f"{units.address(bias + start)}–{units.address(bias + end)}",
        "size": units.size(header.mem_size),
        "offset": f"{header.offset:#x}",
        "note": (
            f"read-only after relocation, in whole pages: {units.size(relro[1] - relro[0])}",
            _DIM,
        ),
    }


def _section_row(section: Section, bias: int, address: int) -> Row:
    start, end = bias + section.address, bias + section.address + section.size
    return {
        "what": ("section", _DIM),
        "name": (units.printable(section.name), _BRIGHT),
        "type": section.type,
        "flags": section.flags,
        "own": f"{section.address:#x}–{section.address + section.size:#x}",
        "range": f"{units.address(start)}–{units.address(end)}",
        "size": units.size(section.size),
        "offset": "–" if section.type == "NOBITS" else f"{section.offset:#x}",
        "note": ("← the cursor's address" if start <= address < end else "", _ACCENT),
    }


def _about(image: Image, symbols: Symbols, bias: int, address: int) -> list[str | Line]:
    own = address - bias
    section = section_at(image, own)
    symbol = symbol_at(image, symbols, own)
    line: list[Part] = [(f" {units.address(address)} ", _BRIGHT)]
    if section is not None:
        line.append((f"is in {units.printable(section.name)}", _PLAIN))
    elif image.sections:
        line.append(("is in no section: padding, or headers", _DIM))
    if symbol is not None:
        behind = f" + {own - symbol.address:#x}" if own != symbol.address else ""
        line.append((f" · {units.printable(symbol.name)}{behind}", _ACCENT))
    return [line, *explain_address(image, bias, address)]
