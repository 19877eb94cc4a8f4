"""`CoreFiles`: a core dump as the /proc of a machine with one process, which stands still.

Its memory is the dump's; of what the dump leaves out of mapped files the files themselves have it,
where the build id in the dumped first page says that they are the same. Cost: as `coredump`.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from memtui.kernel.coredump import CoreDump, DumpedThread, parse_core
from memtui.kernel.coremaps import Layout
from memtui.kernel.elfheads import HEAD_BYTES, Head, parse_head
from memtui.kernel.files import Files, FileStat, Gap, Kept, Malformed, Records
from memtui.kernel.registers import Registers

_DELETED: Final = " (deleted)"
_STATES: Final = "RSDTt"  # of those that have an address space
_DEBUG: Final = "usr/lib/debug/"  # what programs were stripped of, told by build id
_ANOTHER: Final = "the file of this name is another build than the one that was mapped"
_UNTOLD: Final = (
    "the dump lacks its first page, which would tell whether it is the file of this name"
)


def open_core(
    descriptor: int, path: str, disk: Files, program: str | None = None
) -> CoreFiles | Gap:
    """A dump that is open and can be seeked in. `program`: the executable, where it is not found by
    its path; `disk`: where mapped files are. The descriptor is CoreFiles' from then on.
    """
    core = CoreBytes(descriptor)
    try:
        dump = parse_core(core.read_at, core.size_bytes)
    except ValueError as error:
        return Gap(path, "malformed", str(error))
    return CoreFiles(core, dump, path, disk, program)


class CoreBytes:
    """The dump's own bytes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        found = os.fstat(descriptor)
        self.size_bytes = found.st_size
        self.written_s = found.st_mtime

    def read_at(self, offset: int, length: int) -> bytes:
        """Fewer than `length` at the end, and where the disk fails."""
        parts = []
        try:
            while length > 0 and (part := os.pread(self._descriptor, length, offset)):
                parts.append(part)
                offset, length = offset + len(part), length - len(part)
        except (OSError, OverflowError):  # an offset that no file has
            pass
        return b"".join(parts)

    def __del__(self) -> None:
        os.close(self._descriptor)


class CoreFiles(Files):
    """`dump` and `layout` are what was read of it; what `proc/PID` has is made of them.

    `written_s` is when the file was, in seconds since the epoch.
    """

    is_live = False
    vouches = True

    def __init__(
        self, core: CoreBytes, dump: CoreDump, path: str, disk: Files, program: str | None
    ) -> None:
        self.root = path
        self.written_s = core.written_s
        self.dump = dump
        self.gaps = list(dump.gaps)  # what of it could not be understood, or is missing
        self._core = core
        self._disk = disk
        self._given = None if program is None else os.path.abspath(program)
        self._starts = [segment.start for segment in dump.segments]
        self.layout = Layout(dump, self.dumped)
        self._own = f"proc/{dump.pid}"
        self._mapped: dict[str, tuple[str, FileStat] | Gap] = {}
        # The kernel writes private memory that was written to, or all of a file that was not: with
        # that filter off, a file tells nothing of what a program made of it.
        self._has_written = any(
            not row.path and row.perms.startswith("rw") and row.dumped_bytes
            for row in self.layout.rows
        )
        self._texts = self._made()

    # Memory.

    def dumped(self, address: int, length: int) -> bytes:
        """Memory as far as the dump itself has it, from an address on."""
        parts = []
        while length > 0:
            at = bisect_right(self._starts, address) - 1
            if at < 0:
                break
            segment = self.dump.segments[at]
            there = segment.start + segment.dumped_bytes - address
            if there <= 0:
                break
            part = self._core.read_at(segment.offset + address - segment.start, min(length, there))
            if not part:
                break
            parts.append(part)
            address, length = address + len(part), length - len(part)
        return b"".join(parts)

    def _memory(self, address: int, length: int) -> bytes:
        """Memory, what the filter left out of it as well."""
        parts = []
        while length > 0:
            part = self.dumped(address, length) or self._of_file(address, length)
            if not part:
                break
            parts.append(part)
            address, length = address + len(part), length - len(part)
        return b"".join(parts)

    def _of_file(self, address: int, length: int) -> bytes:
        row = self.layout.row_at(address)
        if row is None or not row.path.startswith("/") or self._is_cut(address):
            return b""
        if not self._has_written and row.perms[2] != "x":
            return b""
        found = self.mapped(row.path)
        if isinstance(found, Gap):
            return b""
        offset = row.offset_bytes + address - row.start
        data = self._disk.read_at(found[0], offset, min(length, row.end - address), found[1])
        return b"" if isinstance(data, Gap) else data

    def _is_cut(self, address: int) -> bool:
        """Whether the dump claims to have it, and ends before."""
        at = bisect_right(self._starts, address) - 1
        if at < 0:
            return False
        segment = self.dump.segments[at]
        return address < segment.start + segment.claimed_bytes

    # Files that were mapped.

    def mapped(self, path: str) -> tuple[str, FileStat] | Gap:
        """The name below `disk` of a mapped file, if it is the very same build that is there."""
        if path not in self._mapped:
            self._mapped[path] = self._find(path)
        return self._mapped[path]

    def _find(self, path: str) -> tuple[str, FileStat] | Gap:
        is_given = self._given is not None and path == self.layout.program
        place = self._given if is_given and self._given else path
        if place.endswith(_DELETED):
            return Gap(path, "gone", "it was deleted or replaced while it was mapped")
        name = place.lstrip("/")
        found = self._disk.stat(name)
        if isinstance(found, Gap):
            return Gap(path, found.reason, found.detail or "no such file on this machine")
        if found.kind != "file":
            return Gap(path, "unsupported", "not a regular file")
        theirs = self._disk.read_at(name, 0, HEAD_BYTES, found)
        if isinstance(theirs, Gap):
            return Gap(path, theirs.reason, theirs.detail)
        ours = self.layout.head_of(path)
        if not ours:
            return (name, found) if is_given else Gap(path, "unsupported", _UNTOLD)
        return (name, found) if _is_same(ours, theirs) else Gap(path, "gone", _ANOTHER)

    # As /proc has them.

    def read(self, name: str) -> bytes | Gap:
        if name == f"{self._own}/maps":
            return b"".join(self.layout.maps())
        if name == f"{self._own}/smaps":
            return b"".join(self.layout.smaps())
        found = self._texts.get(name)
        return self._missing(name) if found is None else found

    def read_at(
        self, name: str, offset: int, length: int, of: FileStat | None = None
    ) -> bytes | Gap:
        if name == f"{self._own}/mem":
            data = self._memory(offset, length)
            if data or not length:
                return data
            what = "nothing is mapped there"
            if self.layout.row_at(offset) is not None:
                what = "it is not in the dump"
            return Gap(name, "failed", what)
        found = self._map_file(name)
        if found is not None:
            return (
                found
                if isinstance(found, Gap)
                else self._disk.read_at(found[0], offset, length, of)
            )
        if name.startswith(_DEBUG):
            return self._disk.read_at(name, offset, length, of)
        whole = self.read(name)
        return whole if isinstance(whole, Gap) else whole[offset : offset + length]

    def pieces(self, name: str) -> Iterator[bytes | Gap]:
        if name == f"{self._own}/maps":
            yield from self.layout.maps()
        elif name == f"{self._own}/smaps":
            yield from self.layout.smaps()
        else:
            yield self.read(name)

    def stat(self, name: str) -> FileStat | Gap:
        found = self._map_file(name)
        if found is not None:
            return found if isinstance(found, Gap) else found[1]
        if name.startswith(_DEBUG):
            return self._disk.stat(name)
        data = self.read(name)
        if not isinstance(data, Gap):
            return FileStat("file", (0, 0), 0, len(data), 0)
        return FileStat("directory", (0, 0), 0, 0, 0) if self.names(name) else data

    def pids(self) -> list[int]:
        return [self.dump.pid]

    def names(self, directory: str) -> list[str]:
        begin = directory.rstrip("/") + "/"
        below = (name.removeprefix(begin) for name in self._texts if name.startswith(begin))
        return sorted({name.split("/")[0] for name in below})

    def directories(self, directory: str) -> list[str]:
        begin = directory.rstrip("/") + "/"
        return [name for name in self.names(directory) if begin + name not in self._texts]

    def keep(self, name: str) -> Kept | Gap:
        return Gap(name, "unsupported", "it does not change")

    def records(self, name: str, *, only_new: bool = False) -> Records | Gap:
        return self._missing(name)

    def _missing(self, name: str) -> Gap:
        is_pagemap = name == f"{self._own}/pagemap"
        words = "a dump has no page map" if is_pagemap else "a core dump has no such thing"
        return Gap(name, "absent", words)

    def _map_file(self, name: str) -> tuple[str, FileStat] | Gap | None:
        """What `map_files/START-END` leads to; None: it is another name."""
        begin = f"{self._own}/map_files/"
        if not name.startswith(begin):
            return None
        try:
            row = self.layout.row_at(int(name.removeprefix(begin).partition("-")[0], 16))
        except ValueError:
            row = None
        if row is None or not row.path.startswith("/"):
            return self._missing(name)
        return self.mapped(row.path)

    def _made(self) -> dict[str, bytes]:
        """The small files of the process, by name."""
        dump, own = self.dump, self._own
        program = dump.program
        name = program.name if program else ""
        state = program.state if program and program.state in _STATES else "S"
        parents = (program.ppid, program.pgrp, program.session) if program else (0, 0, 0)
        size = sum(row.end - row.start for row in self.layout.rows if row.path != "[vsyscall]")
        threads = max(1, len(dump.threads))
        numbers = [*parents, 0, -1, *[0] * 11, threads, 0, 0, size, *[0] * 29]
        texts = {
            "stat": f"{dump.pid} ({name}) {state} {' '.join(map(str, numbers))}\n",
            "comm": f"{name}\n",
            "cmdline": program.command if program else "",
            "status": _status(dump, name, state, size, threads),
        }
        made = {f"{own}/{file}": _bytes(text) for file, text in texts.items()}
        if dump.auxv_data:
            made[f"{own}/auxv"] = dump.auxv_data
        for thread in dump.threads:
            task = f"{own}/task/{thread.tid}"
            # A thread is called as its process until it takes another name, which no dump tells.
            made[f"{task}/comm"] = _bytes(f"{name}\n")
            made[f"{task}/syscall"] = _syscall(thread)
        return made


def _status(dump: CoreDump, name: str, state: str, size: int, threads: int) -> str:
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
    lines = [f"Name:\t{escaped}", f"State:\t{state}", f"Tgid:\t{dump.pid}", f"Pid:\t{dump.pid}"]
    if program := dump.program:
        lines += [f"PPid:\t{max(0, program.ppid)}"]
        lines += [f"{key}:\t" + "\t".join([str(value)] * 4) for key, value in _ids(dump)]
    return "\n".join([*lines, f"VmSize:\t{size // 1024} kB", f"Threads:\t{threads}", ""])


def _ids(dump: CoreDump) -> list[tuple[str, int]]:
    return [("Uid", dump.program.uid), ("Gid", dump.program.gid)] if dump.program else []


def _syscall(thread: DumpedThread) -> bytes:
    """As the kernel has it of a thread outside a system call."""
    registers = thread.registers
    if not isinstance(registers, Registers):
        return b"running\n"
    return f"-1 {registers.stack_pointer:#x} {registers.instruction_pointer:#x}\n".encode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_same(ours: bytes, theirs: bytes) -> bool:
    """Whether a file's first bytes are those that were mapped: by build id, else all there are."""
    one, other = _head(ours), _head(theirs)
    if one and other and (one.build_id or other.build_id):
        return one.build_id == other.build_id
    return theirs.startswith(ours) or ours.startswith(theirs)


def _head(data: bytes) -> Head | None:
    try:
        return parse_head(data)
    except Malformed:
        return None
