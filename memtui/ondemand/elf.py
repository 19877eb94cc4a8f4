"""The ELF file behind a mapping: the very file that is mapped, or a reason.

Source: /proc/PID/map_files (Linux 3.3; needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN), which
reaches deleted files too, else the path below /proc/PID/root (needs ptrace access), whose inode
must be the mapping's. Format: elf(5). pyelftools knows the headers' layouts and names; what they
point to is read here, never more than the file holds, and no more than a sound file needs.
Cost of node's 107,000 symbols: 0.3 s, of which nothing holds the interpreter for over 20 ms.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from memtui.kernel.files import Files, FileStat, Gap
from memtui.kernel.maps import Mappings
from memtui.kernel.process import read_identity
from memtui.kernel.threads import living
from memtui.model.keys import ProcessKey
from memtui.model.map.image import Image, Section, Segment, Symbols, text_at

_DELETED: Final = " (deleted)"
_KINDS: Final = {
    "ET_EXEC": "executable at fixed addresses",
    "ET_DYN": "shared library",
    "ET_REL": "object file",
    "ET_CORE": "core dump",
}
_SHF_LETTERS: Final = (
    (0x1, "W"),
    (0x2, "A"),
    (0x4, "X"),
    (0x10, "M"),
    (0x20, "S"),
    (0x40, "I"),
    (0x80, "L"),
    (0x100, "O"),
    (0x200, "G"),
    (0x400, "T"),
    (0x800, "C"),
    (0x20_0000, "R"),
    (0x1000_0000, "l"),
    (0x8000_0000, "E"),
)
_SHF_ALLOC: Final = 0x2
_NOTYPE, _OBJECT, _FUNC, _IFUNC = 0, 1, 2, 10  # the types of symbols that are places
_DT_FLAGS_1: Final = 0x6FFF_FFFB
_DF_1_PIE: Final = 0x0800_0000
_NT_GNU_BUILD_ID: Final = 3
# Section numbers from here on are none: absolute values and the like. Only object files have so
# many sections, and no process maps one to run it.
_SHN_LORESERVE: Final = 0xFF00
# A sparse file may claim any size.
_SYMBOLS_AT_MOST: Final = 4_000_000
_STRINGS_AT_MOST: Final = 64 << 20
_HEADERS_AT_MOST: Final = 10_000
_SMALL: Final = 1 << 20  # notes, dynamic tags
_BUFFER: Final = 65_536  # headers are read field by field


def read_image(
    files: Files, key: ProcessKey, mappings: Mappings, row: int
) -> tuple[Image, Symbols] | Gap:
    """The ELF file that a mapping is of, and its symbols: of .symtab, else of .dynsym, or none."""
    path = mappings.paths[row]
    maps = f"proc/{key.pid}/maps"
    if not path.startswith("/"):
        return Gap(maps, "unsupported", "no file is behind this mapping")
    found = mapped_file(files, key.pid, mappings, row)
    # Only now: a process that is there after it was there when the file was found.
    stat = read_identity(files, key.pid)
    if isinstance(stat, Gap) or stat.starttime != key.start_time_ticks:
        return Gap(maps, "gone", "the process has ended")
    if isinstance(found, Gap):
        return found
    return image_of(path, opened(files, *found))


def opened(files: Files, name: str, found: FileStat) -> io.BufferedReader:
    """A file as a stream, as long as it is that very one; what cannot be read raises OSError."""
    return io.BufferedReader(_Reading(files, name, found), _BUFFER)


def image_of(path: str, file: BinaryIO) -> tuple[Image, Symbols] | Gap:
    """What a stream that should be an ELF file says; `path` is for the words."""
    try:
        if file.read(4) != b"\x7fELF":
            return Gap(path, "unsupported", "not an ELF file")
        return _image(path, file)
    except _Unreadable as error:
        return error.gap
    # A file of somebody's making: pyelftools answers bad ones with nearly any exception.
    except Exception as error:
        return Gap(path, "malformed", f"{type(error).__name__}: {error}"[:120])


class _Unreadable(OSError):
    def __init__(self, gap: Gap) -> None:
        super().__init__(str(gap))
        self.gap = gap


class _Reading(io.RawIOBase):
    """One file as a stream: what pyelftools reads from. Raises _Unreadable, also where it changed."""

    def __init__(self, files: Files, name: str, found: FileStat) -> None:
        self._files = files
        self._name = name
        self._found = found
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._found.size_bytes}
        self._at = max(0, begin[whence] + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._files.read_at(self._name, self._at, len(buffer), self._found)
        if isinstance(data, Gap):
            raise _Unreadable(data)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def mapped_file(files: Files, pid: int, mappings: Mappings, row: int) -> tuple[str, FileStat] | Gap:
    """The name of the mapped file itself, and which file it is."""
    path, start, end = mappings.paths[row], mappings.starts[row], mappings.ends[row]
    name = f"proc/{pid}/map_files/{start:x}-{end:x}"
    found = _regular(files, name)
    # A copied tree's links are links like others, and may lead anywhere.
    if not isinstance(found, Gap) and (files.is_live or is_mapped(found, mappings, row)):
        return name, found
    # The kernel writes a newline in a name as \012, which may as well be the name itself.
    gap = found if isinstance(found, Gap) else Gap(path, "absent")
    for written in dict.fromkeys((path, path.replace("\\012", "\n"))):
        for name in (f"{living(files, pid)}/root{written}", written.lstrip("/")):
            found = _regular(files, name)
            if isinstance(found, Gap):
                gap = found
                continue
            if is_mapped(found, mappings, row):
                return name, found
            gap = Gap(path, "gone", "another file has this name now; root can read the mapped one")
    if path.endswith(_DELETED):
        return Gap(
            path,
            "gone",
            "the file was deleted or replaced while it is mapped; root can still read it",
        )
    return gap


def _regular(files: Files, name: str) -> FileStat | Gap:
    found = files.stat(name)
    if isinstance(found, Gap) or found.kind == "file":
        return found
    return Gap(name, "unsupported", "not a regular file")


def is_mapped(found: FileStat, mappings: Mappings, row: int) -> bool:
    """Whether it is the mapped file by inode, and by device unless one of both is anonymous.

    Of btrfs and overlayfs stat(2) gives another, anonymous one than maps.
    """
    major, _, minor = mappings.devs[row].partition(":")
    mapped = (int(major, 16), int(minor, 16))
    own = found.device
    return found.inode == mappings.inodes[row] and (own == mapped or 0 in (own[0], mapped[0]))


def _image(path: str, file: BinaryIO) -> tuple[Image, Symbols]:
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(file)
    order = "<" if elf.little_endian else ">"
    is_64 = elf.elfclass == 64
    segments = tuple(
        _segment(each)
        for each in _headers(
            file, elf.structs.Elf_Phdr, elf["e_phoff"], elf["e_phnum"], elf["e_phentsize"]
        )
    )
    headers = _headers(
        file, elf.structs.Elf_Shdr, elf["e_shoff"], elf["e_shnum"], elf["e_shentsize"]
    )
    names = _strings(file, headers, elf["e_shstrndx"]) or b""
    kind = _KINDS.get(elf["e_type"], str(elf["e_type"]))
    interpreter = build_id = None
    for segment in segments:
        if segment.type == "INTERP":
            interpreter = text_at(_read(file, segment.offset, segment.file_size, _SMALL), 0)
        elif segment.type == "NOTE":
            notes = _read(file, segment.offset, segment.file_size, _SMALL)
            build_id = build_id or _build_id(notes, order, 8 if segment.align == 8 else 4)
        elif segment.type == "DYNAMIC":
            # libc.so.6 has an interpreter and is a library all the same.
            tags = _read(file, segment.offset, segment.file_size, _SMALL)
            if _dynamic(tags, order + ("qQ" if is_64 else "iI"), _DT_FLAGS_1) & _DF_1_PIE:
                kind = "position-independent executable"
    image = Image(
        path,
        kind,
        str(elf["e_machine"]).removeprefix("EM_"),
        elf.elfclass,
        elf["e_entry"],
        build_id,
        interpreter,
        segments,
        tuple(_section(at, each, names) for at, each in enumerate(headers)),
    )
    return image, _symbols(file, headers, names, order, is_64, elf["e_machine"] == "EM_ARM")


def _read(file: BinaryIO, offset: int, size: int, at_most: int) -> bytes:
    """What the file has of a part of it: shorter than claimed at its end, or than `at_most`."""
    length = file.seek(0, os.SEEK_END)
    if offset >= length:
        return b""
    file.seek(offset)
    return file.read(min(size, length - offset, at_most))


def _headers(file: BinaryIO, layout: Any, offset: int, count: int, stride: int) -> list[Any]:
    """Program or section headers, all of them. Raises ValueError where the file has not."""
    if not offset or not count:
        return []
    if stride != layout.sizeof() or count > _HEADERS_AT_MOST:
        raise ValueError("headers of a size or number that no sound file has")
    table = _read(file, offset, count * stride, count * stride)
    if len(table) < count * stride:
        raise ValueError("the file ends before its headers do")
    return [layout.parse(table[at : at + stride]) for at in range(0, len(table), stride)]


def _segment(each: Any) -> Segment:
    flags = each["p_flags"]
    letters = "".join(
        letter if flags & bit else " " for bit, letter in ((4, "R"), (2, "W"), (1, "E"))
    )
    return Segment(
        _name(each["p_type"], "PT_"),
        each["p_offset"],
        each["p_vaddr"],
        each["p_filesz"],
        each["p_memsz"],
        letters,
        each["p_align"],
    )


def _section(index: int, each: Any, names: bytes) -> Section:
    flags = each["sh_flags"]
    return Section(
        index,
        text_at(names, each["sh_name"]),
        _name(each["sh_type"], "SHT_"),
        each["sh_addr"],
        each["sh_offset"],
        each["sh_size"],
        "".join(letter for bit, letter in _SHF_LETTERS if flags & bit),
        bool(flags & _SHF_ALLOC),
    )


def _name(value: object, prefix: str) -> str:
    """A constant as readelf names it; those unknown to pyelftools are numbers."""
    if isinstance(value, int):
        return f"{value:#x}"
    name = str(value).removeprefix(prefix).replace("AMD64_", "X86_64_")
    return name.removeprefix("GNU_").upper() if name.startswith("GNU_ver") else name


def _build_id(notes: bytes, order: str, align: int) -> str | None:
    at = 0
    while at + 12 <= len(notes):
        name_size, size, type_ = struct.unpack_from(order + "III", notes, at)
        begin = -(-(at + 12 + name_size) // align) * align
        if type_ == _NT_GNU_BUILD_ID and notes[at + 12 : at + 12 + name_size] == b"GNU\0":
            return notes[begin : begin + size].hex()
        at = -(-(begin + size) // align) * align
    return None


def _dynamic(tags: bytes, layout: str, wanted: int) -> int:
    """The value of a dynamic tag; 0 where there is none."""
    whole = len(tags) - len(tags) % struct.calcsize(layout)
    for tag, value in struct.iter_unpack(layout, tags[:whole]):
        if tag in (0, wanted):
            return int(value)
    return 0


def _strings(file: BinaryIO, headers: list[Any], index: int) -> bytes | None:
    """A string table; None where that section is none."""
    if index >= len(headers) or headers[index]["sh_type"] != "SHT_STRTAB":
        return None
    return _read(file, headers[index]["sh_offset"], headers[index]["sh_size"], _STRINGS_AT_MOST)


def _symbols(
    file: BinaryIO, headers: list[Any], names: bytes, order: str, is_64: bool, is_arm: bool
) -> Symbols:
    """The symbols of the fuller table there is; .symtab is stripped from most."""
    for type_ in ("SHT_SYMTAB", "SHT_DYNSYM"):
        for header in headers:
            if header["sh_type"] != type_:
                continue
            strings = _strings(file, headers, header["sh_link"])
            if strings is None:
                continue
            layout = struct.Struct(order + ("IBBHQQ" if is_64 else "IIIBBH"))
            most = _SYMBOLS_AT_MOST * layout.size
            data = _read(file, header["sh_offset"], header["sh_size"], most)
            entries = _places(data, layout, strings, is_64, is_arm)
            return Symbols(text_at(names, header["sh_name"]), entries, strings)
    return Symbols("", [], b"")


def _places(
    data: bytes, layout: struct.Struct, names: bytes, is_64: bool, is_arm: bool
) -> Iterator[tuple[int, int, int]]:
    """Address, size and offset of the name of each defined symbol that is a place."""
    whole = len(data) - len(data) % layout.size
    length, functions = len(names), (_FUNC, _IFUNC)
    types = (_NOTYPE, _OBJECT, *functions)
    for fields in layout.iter_unpack(data[:whole]):
        if is_64:
            at, info, _, section, address, size = fields
        else:
            at, address, size, info, _, section = fields
        type_ = info & 15
        if not (0 < section < _SHN_LORESERVE and type_ in types and 0 < at < length):
            continue
        if type_ == _NOTYPE and names[at] == ord("$"):
            continue  # "$x", "$d" on ARM and RISC-V: whether code or data follows
        # On ARM the lowest bit says that a function is in Thumb code.
        yield address & ~1 if is_arm and type_ in functions else address, size, at
