"""A core dump: what a process was when the kernel, or gdb's gcore, wrote it down.

Source: the file; by the kernel of a process that a signal ended, by gcore of one that lives on.
Document: core(5), elf(5); linux/elfcore.h (elf_prstatus, elf_prpsinfo), fs/binfmt_elf.c
(fill_files_note). Since: NT_FILE and NT_SIGINFO 3.7, more than 65,534 program headers 2.6.34.
64-bit little-endian. Permission: the file's own. Cost: 60 µs and 3 µs a mapping; what a dump holds of
memory is not read.

Pure: what reads the file comes in. Its sizes may lie, and a sparse file may claim any: no more is read
than a dump can have of headers and notes.
"""

from __future__ import annotations

import signal
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, TypeVar

from memtui.frozen import FrozenDict
from memtui.kernel.elfheads import LOAD, NOTE, perms_of
from memtui.kernel.files import Gap, Malformed
from memtui.kernel.registers import Processor, Registers, parse_registers
from memtui.kernel.siginfo import CRASHES, SigInfo, parse_siginfo

# Bytes from an offset of the file; fewer at its end.
ReadAt = Callable[[int, int], bytes]

_ET_CORE: Final = 4
_TYPES: Final = {1: "an object file", 2: "an executable", 3: "an executable or a shared library"}
_MACHINES: Final[dict[int, Processor]] = {62: "x86_64", 183: "aarch64"}
_PN_XNUM: Final = 0xFFFF  # so many headers that section header 0 tells the number
_PROGRAM_HEADER: Final = struct.Struct("<IIQQQQQQ")
_HEADERS_AT_MOST: Final = 2_000_000  # vm.max_map_count goes up to a million in some distributions
_HEADERS_AT_ONCE: Final = 16_384
_ADDRESSES: Final = 1 << 64

_NT_PRSTATUS: Final = 1
_NT_PRPSINFO: Final = 3
_NT_AUXV: Final = 6
_NT_FILE: Final = 0x46494C45
_NT_SIGINFO: Final = 0x53494749
_NOTES_AT_MOST: Final = 1_000_000
_NOTE_BYTES_AT_MOST: Final = 64 << 20  # the kernel's own limit for NT_FILE is 4 MiB, or 16
_WINDOW: Final = 1 << 20

_SI_KERNEL: Final = 0x80
_ENDING: Final = CRASHES | {signal.SIGQUIT, signal.SIGXCPU, signal.SIGXFSZ}  # signal(7): Core

_SIGNAL: Final = 12  # pr_cursig in elf_prstatus
_TID: Final = 32  # pr_pid
_REGISTERS: Final = 112  # pr_reg

AT_PHDR: Final = 3
AT_PAGESZ: Final = 6
AT_ENTRY: Final = 9
AT_RANDOM: Final = 25
AT_EXECFN: Final = 31
AT_SYSINFO_EHDR: Final = 33


class Segment(NamedTuple):
    """A mapping as the dump has it: [start, end), permissions (`r-x`), and where in the dump so many
    of its bytes are; `claimed_bytes` ought to be.
    """

    start: int
    end: int
    perms: str
    offset: int
    dumped_bytes: int
    claimed_bytes: int


class DumpedFile(NamedTuple):
    """A file that was mapped at [start, end), from `offset_bytes` on. `path` is raw."""

    start: int
    end: int
    offset_bytes: int
    path: str


_Part = TypeVar("_Part", Segment, DumpedFile)


class DumpedThread(NamedTuple):
    """A thread; `signal` is what it had been stopped by, 0 nothing."""

    tid: int
    signal: int
    registers: Registers | Gap
    siginfo: SigInfo | None = None


class Program(NamedTuple):
    """Who the process was. `name` is its comm, `command` at most 80 bytes of its arguments: raw."""

    pid: int
    ppid: int
    pgrp: int
    session: int
    state: str
    uid: int
    gid: int
    name: str
    command: str


class CoreDump(NamedTuple):
    """All that a dump tells beside what was in memory.

    `segments` and `files` are in the order of addresses; of `threads` the first is the one that the
    signal hit. `auxv`: the auxiliary vector's values by their keys. `by_gdb`: gcore wrote it, which
    leaves permissions and mappings out. `gaps`: what of it could not be understood.
    """

    processor: Processor | None
    segments: tuple[Segment, ...]
    files: tuple[DumpedFile, ...]
    threads: tuple[DumpedThread, ...]
    program: Program | None
    auxv: Mapping[int, int]
    auxv_data: bytes
    by_gdb: bool
    gaps: tuple[Gap, ...]

    @property
    def death(self) -> DumpedThread | None:
        """The thread in which a signal ended it; None: gcore wrote it of a process that lived on."""
        if not self.threads:
            return None
        first = self.threads[0]
        siginfo = first.siginfo or SigInfo(first.signal, _SI_KERNEL)  # before 3.7: no address
        return first._replace(siginfo=siginfo) if siginfo.signal in _ENDING else None

    @property
    def cut(self) -> tuple[tuple[int, int], ...]:
        """[start, end) of memory that the dump claims to have, and ends before."""
        return tuple(
            (each.start, each.end)
            for each in self.segments
            if each.dumped_bytes < each.claimed_bytes
        )

    @property
    def pid(self) -> int:
        return self.program.pid if self.program else self.threads[0].tid


def parse_core(read_at: ReadAt, size_bytes: int) -> CoreDump:
    """A dump of this size. Raises Malformed where it is none that can be understood at all."""
    head = read_at(0, 64)
    machine, headers_at, count = _parse_header(head, read_at)
    segments: list[Segment] = []
    notes: list[tuple[int, int]] = []
    for type_, flags, offset, address, _, file_bytes, memory, _ in _headers(
        read_at, headers_at, count, size_bytes
    ):
        if type_ == NOTE:
            notes.append((offset, file_bytes))
        elif type_ == LOAD and memory and address + memory < _ADDRESSES:
            claimed = min(file_bytes, memory)
            there = max(0, min(claimed, size_bytes - offset))
            segments.append(
                Segment(address, address + memory, perms_of(flags), offset, there, claimed)
            )
    processor = _MACHINES.get(machine)
    found = _Notes(processor)
    for offset, length in notes:
        for name, type_, data in _notes(read_at, offset, min(length, size_bytes - offset)):
            found.take(name, type_, data)
    if any(offset + length > size_bytes for offset, length in notes):
        found.gaps.append(Gap("notes", "malformed", "the dump is cut off in them"))
    if not found.threads and found.program is None:
        raise Malformed("no process in it: its notes are missing, or the dump is cut off")
    return CoreDump(
        processor,
        tuple(_in_order(segments)),
        tuple(_in_order(found.files)),
        tuple(found.threads),
        found.program,
        FrozenDict(found.auxv),
        found.auxv_data,
        found.by_gdb,
        tuple(found.gaps),
    )


def _parse_header(head: bytes, read_at: ReadAt) -> tuple[int, int, int]:
    """The machine, where the program headers are, and how many."""
    if head[:4] != b"\x7fELF":
        raise Malformed("not an ELF file, and so no core dump")
    if head[5:6] == b"\2":
        raise Malformed("a big-endian ELF file; dumps of little-endian processors can be opened")
    if head[4:5] == b"\1":
        raise Malformed("a 32-bit ELF file; dumps of 64-bit programs can be opened")
    if head[4:6] != b"\2\1" or len(head) < 64:
        raise Malformed("cut off in its ELF header")
    type_, machine = struct.unpack_from("<HH", head, 16)
    if type_ != _ET_CORE:
        raise Malformed(f"no core dump: {_TYPES.get(type_, 'another kind of ELF file')}")
    headers_at, sections_at = struct.unpack_from("<QQ", head, 32)
    stride, count = struct.unpack_from("<HH", head, 54)
    if count == _PN_XNUM and sections_at:
        first = read_at(sections_at, 64)
        if len(first) < 64:
            raise Malformed("cut off before it tells how many mappings it has")
        (count,) = struct.unpack_from("<I", first, 44)  # sh_info
    if not count or stride != _PROGRAM_HEADER.size:
        raise Malformed("no program headers that could be understood")
    return machine, headers_at, count


def _headers(
    read_at: ReadAt, offset: int, count: int, size_bytes: int
) -> Iterator[tuple[int, ...]]:
    stride = _PROGRAM_HEADER.size
    if count > _HEADERS_AT_MOST or offset + count * stride > size_bytes:
        raise Malformed("cut off in its program headers, or their number cannot be")
    for first in range(0, count, _HEADERS_AT_ONCE):
        length = min(_HEADERS_AT_ONCE, count - first) * stride
        data = read_at(offset + first * stride, length)
        if len(data) < length:
            raise Malformed("cut off in its program headers")
        yield from _PROGRAM_HEADER.iter_unpack(data)


def _in_order(parts: list[_Part]) -> Iterator[_Part]:
    """By address, without those that begin in another."""
    last = 0
    for part in sorted(parts):
        if part.start >= last:
            yield part
            last = part.end


def _notes(read_at: ReadAt, offset: int, length: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, type and content of each note; the content only of those that are of use."""
    window = _Window(read_at)
    end = offset + length
    for _ in range(_NOTES_AT_MOST):
        if offset + 12 > end:
            return
        name_bytes, size, type_ = struct.unpack("<III", window.read(offset, 12) or bytes(12))
        # All have a name: zeros are a hole of a file that was never written.
        if (
            not 0 < name_bytes <= 64
            or (begin := offset + 12 + -(-name_bytes // 4) * 4) + size > end
        ):
            return
        name = window.read(offset + 12, name_bytes).rstrip(b"\0")
        if name == b"CORE" and type_ in _Notes.WANTED and size <= _NOTE_BYTES_AT_MOST:
            yield name, type_, window.read(begin, size)
        offset = begin + -(-size // 4) * 4


class _Window:
    """Reads in few pieces what is asked for in many."""

    def __init__(self, read_at: ReadAt) -> None:
        self._read_at = read_at
        self._offset = 0
        self._data = b""

    def read(self, offset: int, length: int) -> bytes:
        """So many bytes, or none where the file ends before."""
        at = offset - self._offset
        if at < 0 or at + length > len(self._data):
            self._offset, self._data = offset, self._read_at(offset, max(length, _WINDOW))
            at = 0
        found = self._data[at : at + length]
        return found if len(found) == length else b""


class _Notes:
    """What the notes tell, as they come."""

    WANTED: Final = frozenset((_NT_PRSTATUS, _NT_PRPSINFO, _NT_AUXV, _NT_FILE, _NT_SIGINFO))

    def __init__(self, processor: Processor | None) -> None:
        self._processor = processor
        self.threads: list[DumpedThread] = []
        self.program: Program | None = None
        self.files: list[DumpedFile] = []
        self.auxv: dict[int, int] = {}
        self.auxv_data = b""
        self.by_gdb = False
        self.gaps: list[Gap] = []

    def take(self, name: bytes, type_: int, data: bytes) -> None:
        """One that is malformed costs itself alone."""
        try:
            if type_ == _NT_PRSTATUS:
                self.threads.append(parse_prstatus(data, self._processor))
            elif type_ == _NT_PRPSINFO:
                # The kernel begins with the thread that the signal hit.
                self.by_gdb = not self.threads
                self.program = parse_prpsinfo(data)
            elif type_ == _NT_SIGINFO and self.threads:
                self.threads[-1] = self.threads[-1]._replace(siginfo=parse_siginfo(data))
            elif type_ == _NT_AUXV:
                whole = data[: len(data) // 16 * 16]
                self.auxv_data, self.auxv = whole, dict(struct.iter_unpack("<QQ", whole))
            elif type_ == _NT_FILE:
                self.files = parse_files_note(data)
        except (ValueError, struct.error) as error:
            if type_ != _NT_SIGINFO or any(data):  # gdb's is empty of one without a signal
                self.gaps.append(Gap(_NAMES[type_], "malformed", str(error)))


_NAMES: Final = {
    _NT_PRSTATUS: "NT_PRSTATUS",
    _NT_PRPSINFO: "NT_PRPSINFO",
    _NT_AUXV: "NT_AUXV",
    _NT_FILE: "NT_FILE",
    _NT_SIGINFO: "NT_SIGINFO",
}


def parse_prstatus(data: bytes, processor: Processor | None) -> DumpedThread:
    """`struct elf_prstatus`. Raises Malformed."""
    if len(data) < _REGISTERS:
        raise Malformed(f"elf_prstatus of {len(data)} bytes")
    (number,) = struct.unpack_from("<h", data, _SIGNAL)
    (tid,) = struct.unpack_from("<i", data, _TID)
    if tid <= 0:
        raise Malformed(f"a thread with the id {tid}")
    registers: Registers | Gap
    if processor is None:
        registers = Gap("registers", "unsupported", "of this processor they are not known")
    else:
        try:
            registers = parse_registers(data[_REGISTERS:], processor)
        except Malformed as error:
            registers = Gap("registers", "malformed", str(error))
    return DumpedThread(tid, max(0, number), registers)


def parse_prpsinfo(data: bytes) -> Program:
    """`struct elf_prpsinfo`. Raises Malformed."""
    if len(data) < 136:
        raise Malformed(f"elf_prpsinfo of {len(data)} bytes")
    uid, gid, pid, ppid, pgrp, session = struct.unpack_from("<IIiiii", data, 16)
    if pid <= 0:
        raise Malformed(f"a process with the id {pid}")
    name, command = (
        part.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        for part in (data[40:56], data[56:136])
    )
    state = chr(data[1])
    return Program(pid, ppid, pgrp, session, state, uid, gid, name, command.rstrip(" "))


def parse_files_note(data: bytes) -> list[DumpedFile]:
    """NT_FILE: the mapped files. Raises Malformed."""
    if len(data) < 16:
        raise Malformed(f"{len(data)} bytes")
    count, page_bytes = struct.unpack_from("<QQ", data)
    names_at = 16 + 24 * count
    if names_at > len(data):
        raise Malformed(f"{count} files in {len(data)} bytes")
    names = data[names_at:].split(b"\0")
    places = struct.iter_unpack("<QQQ", data[16:names_at])
    return [
        DumpedFile(start, end, (pages * page_bytes) % _ADDRESSES, _text(name))
        for (start, end, pages), name in zip(places, names, strict=False)
        if start < end
    ]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
