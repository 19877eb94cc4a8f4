"""The head of an ELF file as it lies in a program's memory or on a disk: its segments and build id.

Format: elf(5); the note NT_GNU_BUILD_ID. 64-bit little-endian. Pure: the first bytes come in.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from memtui.kernel.files import Malformed

HEAD_BYTES: Final = 16_384  # that hold the headers and notes which all linkers put first

LOAD: Final = 1
NOTE: Final = 4
_PHDR: Final = 6
_BUILD_ID: Final = 3
_EXECUTE, _WRITE, _READ = 1, 2, 4
_PROGRAM_HEADER: Final = struct.Struct("<IIQQQQQQ")


class Loaded(NamedTuple):
    """A PT_LOAD: `perms` as in maps (`r-x`), places and sizes in bytes."""

    offset: int
    address: int
    file_bytes: int
    memory_bytes: int
    perms: str


class Head(NamedTuple):
    """`build_id` in hex, "" where it is not in these bytes. `headers_at`: the address that the file
    gives its own program headers, None where it does not.
    """

    loads: tuple[Loaded, ...]
    build_id: str
    headers_at: int | None


def parse_head(data: bytes) -> Head:
    """The first bytes of an ELF file. Raises Malformed, also for another class or byte order."""
    if data[:6] != b"\x7fELF\2\1" or len(data) < 64:
        raise Malformed("not a 64-bit little-endian ELF file")
    (at,) = struct.unpack_from("<Q", data, 32)
    stride, count = struct.unpack_from("<HH", data, 54)
    if stride != _PROGRAM_HEADER.size or at + stride * count > len(data):
        raise Malformed("program headers that are not right behind the header")
    loads, build_id, headers_at = [], "", None
    for type_, flags, offset, address, _, size, memory, align in _PROGRAM_HEADER.iter_unpack(
        data[at : at + stride * count]
    ):
        if type_ == LOAD:
            loads.append(Loaded(offset, address, size, memory, perms_of(flags)))
        elif type_ == NOTE and not build_id:
            build_id = _build_id(data[offset : offset + size], 8 if align == 8 else 4)
        elif type_ == _PHDR:
            headers_at = address
    return Head(tuple(loads), build_id, headers_at)


def perms_of(flags: int) -> str:
    """p_flags as maps writes permissions: `r-x`."""
    pairs = ((_READ, "r"), (_WRITE, "w"), (_EXECUTE, "x"))
    return "".join(letter if flags & bit else "-" for bit, letter in pairs)


def notes_in(data: bytes, align: int = 4) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, type and content of each whole note."""
    at = 0
    while at + 12 <= len(data):
        name_bytes, size, type_ = struct.unpack_from("<III", data, at)
        name = data[at + 12 : at + 12 + name_bytes]
        begin = -(-(at + 12 + name_bytes) // align) * align
        if begin + size > len(data):
            return
        yield name.rstrip(b"\0"), type_, data[begin : begin + size]
        at = -(-(begin + size) // align) * align


def _build_id(notes: bytes, align: int) -> str:
    found = notes_in(notes, align)
    return next(
        (data.hex() for name, type_, data in found if (name, type_) == (b"GNU", _BUILD_ID)), ""
    )
