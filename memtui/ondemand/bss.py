"""Where each library's zero-initialised data ends, as the ELF file's own program headers say.

Behind a file's data lies its bss, anonymous, and the kernel makes one mapping of it and of any other
anonymous memory right behind: in a Python, libpython's 300 KiB of bss and 38 MiB of arenas.
Format: elf(5). Cost: some 40 µs a file, once; 10 µs where it is known already.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from memtui.kernel.files import Files, FileStat, Gap, Malformed, parsed
from memtui.kernel.maps import Mappings
from memtui.model.map.kinds import rows_behind_data
from memtui.ondemand.elf import mapped_file

_HEAD: Final = 4096  # holds the header, and the program headers that all linkers put behind it
_PT_LOAD: Final = 1
_PF_W: Final = 2
_FILES_AT_MOST: Final = 500  # in one address space
_KNOWN_AT_MOST: Final = 2000


class Load(NamedTuple):
    """A writable PT_LOAD: from `offset` so many bytes of the file, and so many in memory."""

    offset: int
    file_bytes: int
    memory_bytes: int


_known: dict[FileStat, tuple[Load, ...]] = {}  # as good as long as all of a FileStat is the same


def read_bss_ends(files: Files, pid: int, mappings: Mappings) -> dict[int, int]:
    """Of anonymous mappings right behind a file's data, by row, the address where the bss ends.

    At or below the start of those that have none. Left out where the file cannot be read.
    """
    ends = {}
    for row in rows_behind_data(mappings)[:_FILES_AT_MOST]:
        loads = _loads_of(files, pid, mappings, row - 1)
        if loads is not None:
            ends[row] = _bss_end(loads, mappings, row - 1)
    return ends


def _loads_of(files: Files, pid: int, mappings: Mappings, row: int) -> tuple[Load, ...] | None:
    found = mapped_file(files, pid, mappings, row)
    if isinstance(found, Gap):
        return None
    name, stat = found
    known = _known.get(stat)
    if known is None:
        data = files.read_at(name, 0, _HEAD, stat)
        loads = data if isinstance(data, Gap) else parsed(name, data, parse_loads)
        if isinstance(loads, Gap):
            return None
        known = loads
        if len(_known) >= _KNOWN_AT_MOST:
            _known.clear()
        _known[stat] = known
    return known


def _bss_end(loads: tuple[Load, ...], mappings: Mappings, row: int) -> int:
    """The end, rounded up to a page, of what the header says follows the data mapped in a row."""
    offset, end = mappings.offsets[row], mappings.ends[row]
    last = offset + end - mappings.starts[row]  # in the file, the first byte that is not mapped
    for load in reversed(loads):  # that of RELRO may end in the same page of the file
        if offset < load.offset + load.file_bytes <= last:
            ends = end - last + load.offset + load.memory_bytes
            return -(-ends // 4096) * 4096
    return end


def parse_loads(data: bytes) -> tuple[Load, ...]:
    """The writable segments in an ELF file's first bytes. Raises Malformed."""
    if data[:4] != b"\x7fELF" or data[4:5] not in (b"\1", b"\2"):
        raise Malformed("not an ELF file")
    order = ">" if data[5:6] == b"\2" else "<"
    is_64 = data[4] == 2
    layout = struct.Struct(order + ("IIQQQQQ" if is_64 else "7I"))
    loads = []
    try:
        (at,) = struct.unpack_from(order + ("Q" if is_64 else "I"), data, 32 if is_64 else 28)
        stride, count = struct.unpack_from(order + "HH", data, 54 if is_64 else 42)
        if at + stride * count > len(data):
            raise Malformed("program headers that are not right behind the header")
        for number in range(count):
            fields = layout.unpack_from(data, at + stride * number)
            if is_64:
                type_, flags, offset, _, _, size, memory = fields
            else:
                type_, offset, _, _, size, memory, flags = fields
            if type_ == _PT_LOAD and flags & _PF_W:
                loads.append(Load(offset, size, memory))
    except struct.error as error:
        raise Malformed(str(error)) from None
    return tuple(loads)
