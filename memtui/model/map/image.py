"""An ELF file and where a loader put it: segments, sections and symbols over a mapping.

The addresses in the file, which readelf prints, are virtual: a position-independent file is laid
out from 0, and the loader adds one number to all of them, the load bias.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from memtui import units
from memtui.kernel.maps import Mappings

_LAST: Final = (1 << 64) - 1


class Segment(NamedTuple):
    """A program header: what the loader maps. Types as readelf names them; flags like `R E`."""

    type: str
    offset: int
    vaddr: int
    file_size: int
    mem_size: int
    flags: str
    align: int


class Section(NamedTuple):
    """A section header: what the linker knew. `is_loaded`: it has a place in memory (SHF_ALLOC).

    `address` is virtual, before the load bias; NOBITS (.bss) has no bytes in the file.
    """

    number: int
    name: str
    type: str
    address: int
    offset: int
    size: int
    flags: str
    is_loaded: bool


class Symbol(NamedTuple):
    """A function or an object; `address` is the file's own, before the load bias."""

    name: str
    address: int
    size: int


_ENCLOSING_AT_MOST: Final = 10_000  # symbols that are looked at for the one an address is in


class Symbols:
    """The symbols of one table in the order of addresses; names are decoded when asked for."""

    def __init__(self, table: str, entries: Iterable[tuple[int, int, int]], names: bytes) -> None:
        """`entries` are (address, size, offset of the name in `names`), in any order."""
        self.table = table
        self._addresses, self._ends, self._names_at = array("Q"), array("Q"), array("I")
        self._names = names
        # Half a million in one sort hold the interpreter for a tenth of a second: 64 KiB at a time.
        parts: defaultdict[int, list[int]] = defaultdict(list)
        for row, (address, size, name_at) in enumerate(entries):
            self._addresses.append(address)
            self._ends.append(min(address + size, _LAST))
            self._names_at.append(name_at)
            parts[address >> 16].append(row)
        self._order = array("I")
        for part in sorted(parts):
            self._order.extend(sorted(parts[part], key=self._place))
        # How far any of the symbols up to this one goes.
        self._reach = array("Q")
        reach = 0
        for row in self._order:
            reach = max(reach, self._ends[row])
            self._reach.append(reach)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Symbol]:
        return map(self._symbol, self._order)

    def at(self, address: int) -> Symbol | None:
        """The symbol that an address is in, the innermost of several; else the nearest one below
        if it has no size.
        """
        after = bisect_right(self._order, address, key=self._addresses.__getitem__)
        for at in range(after - 1, max(-1, after - 1 - _ENCLOSING_AT_MOST), -1):
            if self._reach[at] <= address:
                break
            if address < self._ends[self._order[at]]:
                return self._symbol(self._order[at])
        if not after:
            return None
        # Of several at one address, those without a size come first.
        nearest = self._addresses[self._order[after - 1]]
        first = bisect_left(self._order, nearest, key=self._addresses.__getitem__)
        row = self._order[first]
        return self._symbol(row) if self._ends[row] == nearest else None

    def names_at(self, address: int) -> list[str]:
        """All names of what begins at an address: a function may have several."""
        found = []
        at = bisect_left(self._order, address, key=self._addresses.__getitem__)
        while at < len(self._order) and self._addresses[self._order[at]] == address:
            found.append(text_at(self._names, self._names_at[self._order[at]]))
            at += 1
        return found

    def _place(self, row: int) -> tuple[int, int]:
        return self._addresses[row], self._ends[row]

    def _symbol(self, row: int) -> Symbol:
        address = self._addresses[row]
        name = text_at(self._names, self._names_at[row])
        return Symbol(name, address, self._ends[row] - address)


def text_at(names: bytes, at: int) -> str:
    """A text of a string table, of at most 4,096 bytes: nothing says that it must end."""
    text, _, _ = names[at : at + 4096].partition(b"\0")
    return text.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Image:
    """What an ELF file says. `kind` in words; `sections` is empty where they were stripped."""

    path: str
    kind: str
    machine: str
    bits: int
    entry: int
    build_id: str | None
    interpreter: str | None
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]

    @property
    def loads(self) -> list[Segment]:
        return [segment for segment in self.segments if segment.type == "LOAD"]


def load_bias(image: Image, mappings: Mappings, row: int, page_bytes: int) -> int | None:
    """What the loader added to the file's addresses to put them where this mapping is.

    Where a page of the file is in two segments, each gives another bias: that one is right which
    most of the file's mappings agree on. None: not a loader's mapping of the file, or no part that
    it asks for.
    """
    votes: Counter[int] = Counter()
    for other in _same_file(mappings, row):
        votes.update(_biases(image, mappings, other, page_bytes))
    own = _biases(image, mappings, row, page_bytes)
    if not own:
        # glibc maps a library as a whole first, and what is between its segments stays so.
        start = mappings.starts[row]
        low = min((segment.vaddr for segment in image.loads), default=0)
        high = max((segment.vaddr + segment.mem_size for segment in image.loads), default=0)
        own = [bias for bias in votes if bias + low <= start < bias + high]
    return max(own, key=votes.__getitem__, default=None)


def _biases(image: Image, mappings: Mappings, row: int, page_bytes: int) -> list[int]:
    """The biases by which segments explain both the first page of a mapping and its last."""
    start, end, offset = mappings.starts[row], mappings.ends[row], mappings.offsets[row]
    first = _page_biases(image, start, offset, page_bytes)
    last = _page_biases(image, end - page_bytes, offset + end - page_bytes - start, page_bytes)
    return [bias for bias in first if bias in last]


def _page_biases(image: Image, address: int, offset: int, page_bytes: int) -> list[int]:
    found: list[int] = []
    for segment in image.loads:
        low = segment.offset - segment.offset % page_bytes
        high = segment.offset + segment.file_size
        bias = address - (segment.vaddr + offset - segment.offset)
        if low <= offset < high and bias % page_bytes == 0 and bias not in found:
            found.append(bias)
    return found


def _same_file(mappings: Mappings, row: int) -> list[int]:
    dev, inode, path = mappings.devs[row], mappings.inodes[row], mappings.paths[row]
    return [
        other
        for other, its_inode in enumerate(mappings.inodes)
        if its_inode == inode and mappings.devs[other] == dev and mappings.paths[other] == path
    ]


def segments_over(image: Image, bias: int, start: int, end: int) -> list[Segment]:
    """The LOAD segments that have a part in [start, end) of memory."""
    return [
        segment
        for segment in image.loads
        if max(start, bias + segment.vaddr) < min(end, bias + segment.vaddr + segment.mem_size)
    ]


def sections_over(image: Image, bias: int, start: int, end: int) -> list[Section]:
    """The sections that have a part in [start, end) of memory, in the order of addresses.

    Thread-local zeros (.tbss) take no place: only a template of each thread's own.
    """
    found = [
        section
        for section in image.sections
        if section.is_loaded
        and not (section.type == "NOBITS" and "T" in section.flags)
        and max(start, bias + section.address) < min(end, bias + section.address + section.size)
    ]
    return sorted(found, key=lambda section: section.address)


def section_at(image: Image, address: int) -> Section | None:
    """The section that one of the file's own addresses is in."""
    found = sections_over(image, 0, address, address + 1)
    return found[0] if found else None


def symbol_at(image: Image, symbols: Symbols, address: int) -> Symbol | None:
    """The function or object that one of the file's own addresses is in."""
    symbol = symbols.at(address)
    # One without a size, of assembler's making, ends with its section at the latest.
    if symbol and not symbol.size and image.sections:
        here = section_at(image, address)
        if here is None or here != section_at(image, symbol.address):
            return None
    return symbol


def relro_range(image: Image, bias: int, page_bytes: int) -> tuple[int, int] | None:
    """[start, end) of memory that the loader write-protects after relocation, in whole pages."""
    for segment in image.segments:
        if segment.type == "GNU_RELRO":
            start = bias + segment.vaddr
            end = start + segment.mem_size
            # As the loader does it: what is not a whole page at the end stays writable.
            start, end = start - start % page_bytes, end - end % page_bytes
            return (start, end) if start < end else None
    return None


def file_offset(image: Image, address: int) -> int | None:
    """Where in the file one of its own addresses has its bytes; None: nowhere, as .bss."""
    for segment in image.loads:
        if segment.vaddr <= address < segment.vaddr + segment.file_size:
            return segment.offset + address - segment.vaddr
    return None


def explain_address(image: Image, bias: int, address: int) -> list[str]:
    """An address in memory, and the same one as readelf prints it, said plainly."""
    own = address - bias
    name = units.printable(image.path.rpartition("/")[2])
    if bias:
        sentences = [
            f"readelf calls this address {own:#x}: the addresses it prints are virtual, counted "
            f"from the file's own 0. The loader put that 0 at {bias:#x} (the load bias), so "
            f"{own:#x} + {bias:#x} = {address:#x}."
        ]
    else:
        sentences = [
            f"{name} is laid out for fixed addresses: what readelf prints is where it is in "
            f"memory, {address:#x}. These addresses are virtual ones too."
        ]
    offset = file_offset(image, own)
    if offset is not None:
        sentences.append(f"Its byte is in the file, at offset {offset:#x}.")
        return sentences
    for segment in image.loads:
        if segment.vaddr <= own < segment.vaddr + segment.mem_size:
            sentences.append(
                "It has no byte in the file: the segment is longer in memory than there "
                f"({units.size(segment.mem_size)} and {units.size(segment.file_size)}), and what "
                "is beyond is zeros (.bss)."
            )
            return sentences
    sentences.append(
        "No segment asks for this byte: mappings are whole pages, and a loader may keep what is "
        "between two segments."
    )
    return sentences
