"""`NotedFiles`: files that note what was read of them, so that a recording has just that.

A *content* is what one question to the files was answered with. Its name is the file's own for bytes
that were read, else begins with what was asked: `gap:proc/kmsg`, `stat:proc/self/ns/pid`,
`names:sys/block`, `directories:sys/fs/cgroup`. `read:proc/PID/smaps` is when that was read last, in
milliseconds since boot: it changes where the file itself may not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from memtui.kernel.files import (
    Allocation,
    Files,
    FileStat,
    Gap,
    Kept,
    Records,
    Space,
)

GAP: Final = "gap:"
STAT: Final = "stat:"
NAMES: Final = "names:"
DIRECTORIES: Final = "directories:"
READ: Final = "read:"
_SEPARATOR: Final = b"\0"
_STAT_FILE: Final = "proc/stat"  # of which the time of boot alone is kept


class NotedFiles(Files):
    """Another machine's files, or this one's; `contents` is what was last read of each.

    For one thread. Parts of files are not noted: neither a log's records.
    """

    def __init__(self, files: Files, *, commands: bool = True) -> None:
        """Without `commands` no command line is noted."""
        self._files = files
        self._commands = commands
        self.root = files.root
        self.is_live = files.is_live
        self.contents: dict[str, bytes] = {}
        self._changes: dict[str, bytes | None] = {}
        self._by_pid: dict[int, set[str]] = {}

    def changes(self) -> dict[str, bytes | None]:
        """What changed since the last time that this was asked."""
        changes, self._changes = self._changes, {}
        return changes

    def forget(self, pid: int) -> None:
        """The process is there no more: nor is anything that was read of it."""
        for name in self._by_pid.pop(pid, ()):
            if self.contents.pop(name, None) is not None:
                self._changes[name] = None

    def note_read(self, name: str, boot_s: float) -> None:
        """A file was read at a time, where it could be."""
        if name in self.contents:
            self._note(READ + name, b"%d" % round(boot_s * 1000))

    def _note(self, name: str, data: bytes) -> None:
        if self.contents.get(name) == data:
            return
        if name not in self.contents and (pid := _pid_of(name)) is not None:
            self._by_pid.setdefault(pid, set()).add(name)
        self.contents[name] = self._changes[name] = data

    def _drop(self, name: str) -> None:
        if self.contents.pop(name, None) is not None:
            self._changes[name] = None

    def _noted(self, name: str, found: bytes | Gap) -> bytes | Gap:
        """`found`, after it has been noted."""
        if isinstance(found, Gap):
            if found.reason == "gone" and _pid_of(name) is not None:
                return found
            self._drop(name)
            self._note(GAP + name, gap_bytes(found))
        elif self._commands or not name.endswith("/cmdline"):
            if GAP + name in self.contents:
                self._drop(GAP + name)
            self._note(name, found if name != _STAT_FILE else _boot_time(found))
        return found

    def read(self, name: str) -> bytes | Gap:
        return self._noted(name, self._files.read(name))

    def read_record(self, name: str) -> bytes | Gap:
        return self._noted(name, self._files.read_record(name))

    def read_at(
        self, name: str, offset: int, length: int, of: FileStat | None = None
    ) -> bytes | Gap:
        found = self._files.read_at(name, offset, length, of)
        if offset == 0 and (isinstance(found, Gap) or len(found) < length):
            self._noted(name, found)
        return found

    def pieces(self, name: str) -> Iterator[bytes | Gap]:
        parts: list[bytes] = []
        for piece in self._files.pieces(name):
            if isinstance(piece, Gap):
                if not parts:
                    self._noted(name, piece)
                yield piece
                return
            parts.append(piece)
            yield piece
        self._noted(name, b"".join(parts))

    def stat(self, name: str) -> FileStat | Gap:
        found = self._files.stat(name)
        if isinstance(found, Gap):
            self._drop(STAT + name)
            self._note(GAP + name, gap_bytes(found))
        else:
            self._note(STAT + name, stat_bytes(found))
        return found

    def link(self, name: str) -> str | Gap:
        return self._files.link(name)

    def allocation(self, name: str) -> Allocation | Gap:
        return self._files.allocation(name)

    def space(self, name: str) -> Space | Gap:
        return self._files.space(name)

    def pids(self) -> list[int]:
        pids = self._files.pids()
        for pid in self._by_pid.keys() - set(pids):
            self.forget(pid)
        return pids

    def names(self, directory: str) -> list[str]:
        found = self._files.names(directory)
        self._note(NAMES + directory, names_bytes(found))
        return found

    def directories(self, directory: str) -> list[str]:
        found = self._files.directories(directory)
        self._note(DIRECTORIES + directory, names_bytes(found))
        return found

    def keep(self, name: str) -> Kept | Gap:
        kept = self._files.keep(name)
        return kept if isinstance(kept, Gap) else _NotedKept(kept, name, self)

    def records(self, name: str, *, only_new: bool = False) -> Records | Gap:
        return self._files.records(name, only_new=only_new)


class _NotedKept:
    """A kept file, each reading of which is noted; most are as the one before."""

    __slots__ = ("_files", "_kept", "_last", "_name")

    def __init__(self, kept: Kept, name: str, files: NotedFiles) -> None:
        self._kept = kept
        self._name = name
        self._files = files
        self._last: bytes | None = None

    def read_record(self) -> bytes | Gap:
        return self._noted(self._kept.read_record())

    def read(self) -> bytes | Gap:
        return self._noted(self._kept.read())

    def close(self) -> None:
        self._kept.close()

    def _noted(self, found: bytes | Gap) -> bytes | Gap:
        if found != self._last:
            if isinstance(found, Gap):
                pid = _pid_of(self._name)
                if found.reason == "gone" and pid is not None:
                    # Whoever has its pid now is another process, and read anew.
                    self._files.forget(pid)
                self._last = None
            else:
                self._last = found
            self._files._noted(self._name, found)
        return found


def _pid_of(name: str) -> int | None:
    """The process that a content is of."""
    parts = name.partition(":")[2].split("/", 2) if ":" in name[:12] else name.split("/", 2)
    if len(parts) < 3 or parts[0] != "proc" or not parts[1].isdecimal():
        return None
    return int(parts[1])


def _boot_time(data: bytes) -> bytes:
    """Of /proc/stat the line that is read here: the rest are thousands of bytes about processors."""
    lines = [line for line in data.splitlines(keepends=True) if line.startswith(b"btime ")]
    return b"".join(lines)


def gap_bytes(gap: Gap) -> bytes:
    return f"{gap.reason}\0{gap.detail}".encode("utf-8", "surrogateescape")


def stat_bytes(found: FileStat) -> bytes:
    major, minor = found.device
    numbers = f"{major} {minor} {found.inode} {found.size_bytes} {found.modified_ns}"
    return f"{found.kind} {numbers}".encode()


def names_bytes(names: list[str]) -> bytes:
    return _SEPARATOR.join(name.encode("utf-8", "surrogateescape") for name in names)
