"""`RecordedFiles`: a machine's /proc and /sys as a recording has them, at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, get_args

from memtui.kernel.files import (
    Allocation,
    Files,
    FileStat,
    Gap,
    Kept,
    Kind,
    Reason,
    Records,
    Space,
)
from memtui.kernel.process import parse_identity
from memtui.recording.here import is_of_here
from memtui.recording.noted import DIRECTORIES, GAP, NAMES, READ, STAT, names_in
from memtui.recording.store import Run

_PIECE: Final = 262_144
_NOT_RECORDED: Final[Reason] = "not recorded"
_REASONS: Final = frozenset(get_args(Reason))
# What is asked for only to tell more of what is known, and whose lack is no loss worth telling.
_BESIDES: Final = ("auxv", "exe", "root", "map_files", "fd", "ns")


class Contents(Protocol):
    """All that was known at a moment."""

    def get(self, name: str) -> bytes | None:
        """The content of that name; see noted.py."""

    def names(self) -> frozenset[str]:
        """Of all contents: the same object as long as they are the same."""


class View(NamedTuple):
    """A moment: its contents, when it was, since the epoch, in words and since boot, by which recorder,
    and how to come to the one before it, where there is one."""

    contents: Contents
    time_s: float
    words: str
    boot_s: float = 0.0
    run: Run | None = None
    earlier: Callable[[], View] | None = None


class RecordedFiles(Files):
    """`move_to` another moment, and the next reading is of that; a kept file is "gone" where its
    process was another one.

    What was not kept is a Gap "not recorded"; `missed` are the names of those that were asked for.
    """

    is_live = False

    def __init__(self, path: str, page_bytes: int, view: View) -> None:
        self.page_bytes = self._page_bytes = page_bytes
        self.missed: set[str] = set()
        self._path = path
        self.move_to(view)

    def move_to(self, view: View) -> None:
        self._contents = view.contents
        self._earlier = view.earlier
        self.time_s = view.time_s
        self._boot_s = view.boot_s
        self._run = view.run
        self._words = view.words
        self.root = f"{self._path} at {view.words}"
        self._starts: dict[int, int | None] = {}

    def read(self, name: str) -> bytes | Gap:
        found = self._contents.get(name)
        return found if found is not None else self._missing(name)

    def read_at(
        self, name: str, offset: int, length: int, of: FileStat | None = None
    ) -> bytes | Gap:
        if of is not None and self.stat(name) != of:
            return Gap(name, "gone", "it was changed or replaced meanwhile")
        data = self.read(name)
        return data if isinstance(data, Gap) else data[offset : offset + length]

    def pieces(self, name: str) -> Iterator[bytes | Gap]:
        data = self.read(name)
        if isinstance(data, Gap):
            yield data
            return
        at = 0
        while at < len(data):
            cut = data.rfind(b"\n", at, at + _PIECE) + 1
            end = cut if cut > at and at + _PIECE < len(data) else len(data)
            yield data[at:end]
            at = end

    def stat(self, name: str) -> FileStat | Gap:
        noted = self._contents.get(STAT + name)
        if noted is not None and (found := _stat_of(noted)) is not None:
            return found
        if name in self._directories:
            return FileStat("directory", (0, 0), 0, 0, 0)
        data = self._contents.get(name)
        if data is not None:
            return FileStat("file", (0, 0), 0, len(data), 0)
        return self._missing(name)

    def link(self, name: str) -> str | Gap:
        return Gap(name, _NOT_RECORDED)

    def allocation(self, name: str) -> Allocation | Gap:
        return Gap(name, _NOT_RECORDED)

    def space(self, name: str) -> Space | Gap:
        return Gap(name, _NOT_RECORDED)

    def pids(self) -> list[int]:
        return sorted(int(name) for name in self._directories.get("proc", ()) if name.isdecimal())

    def names(self, directory: str) -> list[str]:
        noted = self._contents.get(NAMES + directory)
        if noted is not None:
            return names_in(noted)
        return sorted(self._directories.get(directory.rstrip("/"), ()))

    def directories(self, directory: str) -> list[str]:
        noted = self._contents.get(DIRECTORIES + directory)
        if noted is not None:
            return names_in(noted)
        begin = directory.rstrip("/")
        below = self._directories.get(begin, ())
        return sorted(name for name in below if f"{begin}/{name}" in self._directories)

    def keep(self, name: str) -> Kept | Gap:
        found = self.read(name)
        return found if isinstance(found, Gap) else _KeptContent(self, name)

    def records(self, name: str, *, only_new: bool = False) -> Records | Gap:
        """Never: deaths that it told of are among the recording's events."""
        return Gap(name, _NOT_RECORDED, "deaths are among the recording's events")

    def earlier(self) -> Files | None:
        if self._earlier is None:
            return None
        return RecordedFiles(self._path, self._page_bytes, self._earlier())

    @property
    def has_our_users(self) -> bool:
        status = self._contents.get("proc/self/status")
        return self._run is not None and is_of_here(self._run, status or b"")

    @property
    def option(self) -> str:
        return f" --from {self._path} --at {self._words.replace(' ', 'T')}"

    def age_s(self, name: str) -> float | None:
        for of in (name, name.removesuffix("_rollup")):  # which are read together
            noted = self._contents.get(READ + of)
            if noted is not None and noted.isdigit():
                return max(0.0, self._boot_s - int(noted) / 1000)
        return None

    def started(self, pid: int) -> int | None:
        """When the process with that pid was started, in ticks; None: there is none, or it is not known."""
        if pid not in self._starts:
            data = self._contents.get(f"proc/{pid}/stat")
            try:
                self._starts[pid] = None if data is None else parse_identity(data).starttime
            except ValueError:
                self._starts[pid] = None
        return self._starts[pid]

    @property
    def _directories(self) -> Mapping[str, set[str]]:
        """What is in each directory."""
        return _tree_of(self._contents.names())

    def _missing(self, name: str) -> Gap:
        """Why there are no bytes: what was said when it was recorded, or that it was not."""
        noted = self._contents.get(GAP + name)
        if noted is not None:
            reason, _, detail = noted.decode("utf-8", "surrogateescape").partition("\0")
            if reason in _REASONS:
                return Gap(name, reason, detail)  # type: ignore[arg-type]
        parts = name.split("/")
        if parts[0] == "proc" and len(parts) > 1 and parts[1].isdecimal():
            if f"proc/{parts[1]}" not in self._directories:
                return Gap(name, "gone")
            if parts[2:3] and parts[2] in _BESIDES:
                return Gap(name, _NOT_RECORDED)
        if parts[0] in ("proc", "sys"):
            self.missed.add(name)
        return Gap(name, _NOT_RECORDED)


@lru_cache(maxsize=4)
def _tree_of(names: frozenset[str]) -> Mapping[str, set[str]]:
    """What is in each directory: 15 ms of 1,000 processes."""
    tree: dict[str, set[str]] = {}
    for name in names:
        above, _, last = name.rpartition("/")
        if ":" in name.split("/", 1)[0]:
            continue  # what is known about a file, and not its bytes
        while last not in tree.setdefault(above, set()):
            tree[above].add(last)
            if not above:
                break
            above, _, last = above.rpartition("/")
    return tree


class _KeptContent:
    """A file of the process that had the pid when it was first read."""

    __slots__ = ("_files", "_name", "_pid", "_started")

    def __init__(self, files: RecordedFiles, name: str) -> None:
        self._files = files
        self._name = name
        parts = name.split("/", 2)
        self._pid = int(parts[1]) if parts[0] == "proc" and parts[1].isdecimal() else None
        self._started = None if self._pid is None else files.started(self._pid)

    def read_record(self) -> bytes | Gap:
        return self.read()

    def read(self) -> bytes | Gap:
        if self._pid is not None and self._files.started(self._pid) != self._started:
            return Gap(self._name, "gone")
        return self._files.read(self._name)

    def close(self) -> None:
        """Nothing is open."""


def _stat_of(data: bytes) -> FileStat | None:
    words = data.decode("ascii", "replace").split()
    if len(words) != 6 or words[0] not in get_args(Kind):
        return None
    try:
        major, minor, inode, size, modified = map(int, words[1:])
    except ValueError:
        return None
    return FileStat(words[0], (major, minor), inode, size, modified)  # type: ignore[arg-type]
