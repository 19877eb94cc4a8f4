"""A core dump's mappings as /proc/PID/maps and smaps had them, as far as the dump tells.

Its program headers have the places and permissions, NT_FILE the files, the auxiliary vector where the
stack and the vdso are. What it does not tell: whether a file's mapping was shared (`s` where the name
tells, else `p`), devices and inodes (0 all of them), and names that programs gave.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from memtui.kernel.coredump import (
    AT_ENTRY,
    AT_EXECFN,
    AT_PAGESZ,
    AT_PHDR,
    AT_RANDOM,
    AT_SYSINFO_EHDR,
    CoreDump,
    DumpedFile,
    Segment,
)
from memtui.kernel.elfheads import HEAD_BYTES, Head, parse_head
from memtui.kernel.files import Malformed
from memtui.kernel.registers import Registers

# What of memory is in the dump: bytes from an address, fewer where it ends.
ReadDumped = Callable[[int, int], bytes]

_VSYSCALL: Final = 0xFFFF_FFFF_FF60_0000
_VVAR: Final = ("[vvar]", "[vvar_vclock]")  # below the vdso, of one or two parts
_VVAR_AT_MOST: Final = 1 << 20
_BRK_RANDOM: Final = 1 << 30  # where the heap begins is so far behind the bss at most
_SMALLEST_PAGE: Final = 4096
_SHARED: Final = re.compile(r"/(?:dev/zero|dev/shm/|SYSV[0-9a-f]{8}|memfd:)")
_AT_ONCE: Final = 1000
_WORD: Final = 1 << 64  # a damaged dump's offsets may be beyond


class Row(NamedTuple):
    """A line of maps, `perms` of four letters; `dumped_bytes`, from its start on, are in the dump."""

    start: int
    end: int
    perms: str
    offset_bytes: int
    path: str
    dumped_bytes: int


class Layout:
    """The mappings of a dump, and which of its files is the program."""

    def __init__(self, dump: CoreDump, read: ReadDumped) -> None:
        self._dump = dump
        self._read = read
        self._heads: dict[str, Head | None] = {}
        self._first = {each.path: each.start for each in dump.files if not each.offset_bytes}
        self.program: str = self._program()
        rows = [*self._of_segments(), *self._of_files_alone()]
        self.rows: tuple[Row, ...] = tuple(self._named(sorted(rows)))
        self._starts = [row.start for row in self.rows]

    def row_at(self, address: int) -> Row | None:
        at = bisect_right(self._starts, address) - 1
        return self.rows[at] if at >= 0 and address < self.rows[at].end else None

    def head_of(self, path: str) -> bytes:
        """The first bytes of a mapped file, as far as the dump holds them."""
        start = self._first.get(path)
        return b"" if start is None else self._read(start, HEAD_BYTES)

    def maps(self) -> Iterator[bytes]:
        """The text of maps, in pieces."""
        yield from _pieces(self.rows, lambda row: "")

    def smaps(self) -> Iterator[bytes]:
        """The text of smaps, with what is in the dump in place of what was in memory."""
        yield from _pieces(
            self.rows,
            lambda row: (
                f"Size: {(row.end - row.start) // 1024} kB\nDumped: {row.dumped_bytes // 1024} kB\n"
            ),
        )

    def _program(self) -> str:
        """The path of the file that holds the program's headers, or else its first instruction."""
        for key in (AT_PHDR, AT_ENTRY):
            address = self._dump.auxv.get(key, 0)
            for each in self._dump.files:
                if each.start <= address < each.end:
                    return each.path
        return ""

    def _head(self, path: str) -> Head | None:
        if path not in self._heads:
            try:
                self._heads[path] = parse_head(self.head_of(path))
            except Malformed:
                self._heads[path] = None
        return self._heads[path]

    def _of_segments(self) -> Iterator[Row]:
        """Segments, in pieces where several files share one."""
        files = self._dump.files
        ends = [each.end for each in files]
        for segment in self._dump.segments:
            at = segment.start
            first = bisect_right(ends, segment.start)
            for index in range(first, len(files)):
                file = files[index]
                if file.start >= segment.end:
                    break
                if at < file.start:
                    yield self._row(segment, at, file.start, None)
                begin = max(at, file.start)
                at = min(file.end, segment.end)
                if begin < at:
                    yield self._row(segment, begin, at, file)
            if at < segment.end:
                yield self._row(segment, at, segment.end, None)

    def _row(self, segment: Segment, start: int, end: int, file: DumpedFile | None) -> Row:
        dumped = max(0, min(end, segment.start + segment.dumped_bytes) - start)
        perms, path, offset = segment.perms, "", 0
        if file is not None:
            path, offset = file.path, file.offset_bytes + start - file.start
        elif self._dump.by_gdb and perms == "r--" and not any(self._read(start, _SMALLEST_PAGE)):
            # gdb writes R for memory without access too, in which nothing can have been written.
            perms = "---"
        return Row(start, end, perms + _shared(path), offset, path, dumped)

    def _of_files_alone(self) -> Iterator[Row]:
        """Mapped files that have no segment: gdb leaves out what the file has anyhow."""
        segments = self._dump.segments
        ends = [each.end for each in segments]
        last = 0
        for file in self._dump.files:
            at = max(last, file.start)
            for index in range(bisect_right(ends, at), len(segments)):
                segment = segments[index]
                if segment.start >= file.end:
                    break
                if at < segment.start:
                    yield self._alone(file, at, segment.start)
                at = max(at, segment.end)
            if at < file.end:
                yield self._alone(file, at, file.end)
            last = max(last, file.end)

    def _alone(self, file: DumpedFile, start: int, end: int) -> Row:
        offset = file.offset_bytes + start - file.start
        return Row(start, end, self._perms(file, start) + _shared(file.path), offset, file.path, 0)

    def _perms(self, file: DumpedFile, address: int) -> str:
        """What the file's own headers ask for at an address; readable where they do not tell."""
        head, first = self._head(file.path), self._first.get(file.path)
        if head is None or not head.loads or first is None:
            return "r--"
        bias = first - head.loads[0].address
        covering = (
            load.perms
            for load in head.loads
            if bias + load.address < address + _SMALLEST_PAGE
            and address < bias + load.address + load.memory_bytes
        )
        return next(covering, "r--")

    def _named(self, rows: list[Row]) -> list[Row]:
        """With the names that the kernel gives what is no file."""
        auxv = self._dump.auxv
        starts = [row.start for row in rows]
        names: dict[int, str] = {}

        def nameless_at(address: int | None) -> int | None:
            at = bisect_right(starts, address or 0) - 1
            is_in = at >= 0 and (address or 0) < rows[at].end and not rows[at].path
            return at if is_in else None

        vdso = nameless_at(auxv.get(AT_SYSINFO_EHDR))
        if vdso is not None:
            names[vdso] = "[vdso]"
            names.update(_vvar(rows, vdso))
        for address in (auxv.get(AT_EXECFN), auxv.get(AT_RANDOM), self._main_stack_pointer()):
            stack = nameless_at(address)
            if stack is not None:
                names[stack] = "[stack]"
                break
        vsyscall = nameless_at(_VSYSCALL)
        if vsyscall is not None:
            names[vsyscall] = "[vsyscall]"
        for at in self._heap(rows, starts):
            names.setdefault(at, "[heap]")
        return [row._replace(path=names[at]) if at in names else row for at, row in enumerate(rows)]

    def _main_stack_pointer(self) -> int | None:
        for thread in self._dump.threads:
            if thread.tid == self._dump.pid and isinstance(thread.registers, Registers):
                return thread.registers.stack_pointer
        return None

    def _heap(self, rows: Sequence[Row], starts: list[int]) -> Iterator[int]:
        """The first writable nameless memory behind the program's bss, and what touches it."""
        end = self._bss_end()
        if not end:
            return
        at = bisect_left([row.end for row in rows], end + 1)
        while at < len(rows) and rows[at].path == self.program:
            at += 1
        if at >= len(rows) or rows[at].start > end + _BRK_RANDOM or not _may_be_heap(rows[at]):
            return
        yield at
        while at + 1 < len(rows) and rows[at].end == starts[at + 1] and _may_be_heap(rows[at + 1]):
            at += 1
            yield at

    def _bss_end(self) -> int:
        """Where the heap begins at the earliest; 0 where that is not known."""
        own = [each for each in self._dump.files if each.path == self.program]
        if not own:
            return 0
        head, phdr = self._head(self.program), self._dump.auxv.get(AT_PHDR)
        page_bytes = page_bytes_of(self._dump)
        if head is None or not head.loads or phdr is None or head.headers_at is None:
            return own[-1].end
        end = phdr - head.headers_at + max(each.address + each.memory_bytes for each in head.loads)
        return -(-end // page_bytes) * page_bytes


def page_bytes_of(dump: CoreDump) -> int:
    """The size of a page, by AT_PAGESZ; the smallest that Linux has where that tells none."""
    told = dump.auxv.get(AT_PAGESZ, 0)
    return told if told >= _SMALLEST_PAGE and not told & (told - 1) else _SMALLEST_PAGE


def _shared(path: str) -> str:
    return "s" if _SHARED.match(path) else "p"


def _may_be_heap(row: Row) -> bool:
    return not row.path and row.perms.startswith("rw")


def _vvar(rows: Sequence[Row], vdso: int) -> dict[int, str]:
    """The kernel's data right below its code."""
    below: list[int] = []
    at = vdso - 1
    while at >= 0 and len(below) < len(_VVAR):
        row = rows[at]
        size = row.end - row.start
        if row.end != rows[at + 1].start or row.path or row.perms != "r--p" or size > _VVAR_AT_MOST:
            break
        below.append(at)
        at -= 1
    return dict(zip(reversed(below), _VVAR, strict=False))


def _pieces(rows: Sequence[Row], more: Callable[[Row], str]) -> Iterator[bytes]:
    for first in range(0, len(rows), _AT_ONCE):
        text = "".join(_line(row) + more(row) for row in rows[first : first + _AT_ONCE])
        yield text.encode("utf-8", "surrogateescape")


def _line(row: Row) -> str:
    path = row.path.replace("\n", "\\012")
    return (
        f"{row.start:08x}-{row.end:08x} {row.perms} {row.offset_bytes % _WORD:08x} 00:00 0 {path}".rstrip()
        + "\n"
    )
