"""`Files`: a machine's /proc and /sys by name; `livefiles` has those of this one.

A protocol without descriptors, so that what was read of a machine, or a machine elsewhere, can stand
where this one does. What cannot be read is a value, never an exception: a `Gap` that says which
source and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, NamedTuple, Protocol, TypeVar

from memtui.defects import defect

T = TypeVar("T")

Reason = Literal["absent", "denied", "gone", "unsupported", "malformed", "failed", "not recorded"]
Kind = Literal["file", "directory", "other"]

_WORDS: Final[Mapping[Reason, str]] = {
    "absent": "there is none",
    "denied": "it may not be read",
    "gone": "it is gone",
    "unsupported": "it does not tell that here",
    "malformed": "it cannot be understood",
    "failed": "it could not be read",
    "not recorded": "it was not recorded",
}


class Gap(NamedTuple):
    """A source that gave no value, and why. `source` is a path below the root."""

    source: str
    reason: Reason
    detail: str = ""

    @property
    def words(self) -> str:
        """Why, for people, in words that may be somebody else's: raw."""
        return self.detail or _WORDS[self.reason]

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}" + (f" ({self.detail})" if self.detail else "")


class Malformed(ValueError):
    """Bytes that this kernel source cannot have meant; the message quotes them."""


class FileStat(NamedTuple):
    """What a name leads to. "file" is a regular one, and the same bytes as long as all this is equal.

    `device` is its major and minor number.
    """

    kind: Kind
    device: tuple[int, int]
    inode: int
    size_bytes: int
    modified_ns: int


class Allocation(NamedTuple):
    """What a file takes, in memory and swapped out where it is on a tmpfs; `links`: its names."""

    device: tuple[int, int]
    inode: int
    links: int
    size_bytes: int
    allocated_bytes: int
    block_bytes: int


class Space(NamedTuple):
    """How full a file system is; `limit_bytes` None: it has none, and then nothing is told."""

    device: tuple[int, int]
    used_bytes: int | None
    limit_bytes: int | None


class Kept(Protocol):
    """A file that is read again and again: of one task, and of no other that gets its pid.

    For files bound to a task (stat, statm, status, oom_score): after its death they are "gone". Not
    for maps, smaps, smaps_rollup or pagemap: these are bound to one address space, which ends at an
    exec.
    """

    def read_record(self) -> bytes | Gap:
        """The first record, up to a page: a whole statm, stat or oom_score in one system call."""

    def read(self) -> bytes | Gap:
        """The whole file, from its start."""

    def close(self) -> None:
        """It is read no more; may be called again."""


class Records(Protocol):
    """A log that is read on from where the last reading ended. Never waits."""

    def read(self, at_most: int) -> tuple[list[bytes], bool] | Gap:
        """Records that came since, in pieces of one or more; and whether older ones were lost,
        overwritten before they were read.
        """

    def close(self) -> None:
        """It is read no more; may be called again."""


class Files(Protocol):
    """`/proc` and `/sys` of a machine. Names are relative to its root: `proc/meminfo`, `proc/42/statm`.

    `root` says in words where that is: the directory. `is_live`: they are of the kernel that memtui
    itself runs on, whose clock, page size, users and rights are those of the files. `vouches`: what
    it has in a process's map_files is the mapped file, although devices and inodes do not tell.
    """

    root: str
    is_live: bool
    vouches: bool = False
    page_bytes: int | None = None  # of their machine, where that is known beforehand
    time_s: float | None = None  # when it was so, since the epoch; None: now, or not known

    @property
    def has_our_users(self) -> bool:
        """Whether its users have the names that they have here."""
        return self.is_live

    @property
    def option(self) -> str:
        """What of a command line leads to them: ` --root DIR`; "" where nothing need be said."""
        return "" if self.is_live else f" --root {self.root}"

    def read(self, name: str) -> bytes | Gap:
        """A file to its end."""

    def read_record(self, name: str) -> bytes | Gap:
        """A file of one record, up to 64 KiB: status, oom_score; in one reading where `read` takes two."""
        return self.read(name)

    def read_at(
        self, name: str, offset: int, length: int, of: FileStat | None = None
    ) -> bytes | Gap:
        """`length` bytes from `offset`, both in bytes; shorter where the file ends before.

        `of`: only while it is still that very file, and never waiting for a pipe or a device.
        """

    def pieces(self, name: str) -> Iterator[bytes | Gap]:
        """A long file in pieces of at most 256 KiB, cut at ends of lines.

        Nobody who parses while reading then holds the interpreter for long, whatever the length. A
        failure comes as the last piece: what was read before it is still good.
        """

    def stat(self, name: str) -> FileStat | Gap:
        """What a name leads to, without opening it, which has effects with some devices.

        Absent too where a link in a copied tree leads out of it, to what is another machine's.
        """

    def link(self, name: str) -> str | Gap:
        """What a symbolic link says, which is not followed."""
        return Gap(name, "unsupported")

    def allocation(self, name: str) -> Allocation | Gap:
        """What the file that a name leads to takes; as `stat`, without opening it."""
        return Gap(name, "unsupported")

    def space(self, name: str) -> Space | Gap:
        """How full the file system is that a name leads to."""
        return Gap(name, "unsupported")

    def pids(self) -> list[int]:
        """Every process's pid, in the directory's order; empty where there is no /proc."""

    def names(self, directory: str) -> list[str]:
        """What a directory holds, sorted; empty where it cannot be read."""

    def directories(self, directory: str) -> list[str]:
        """The directories in a directory, sorted, links left out; empty where it cannot be read.

        In one call: a control group has some 50 files, and `stat` of each would cost more than its
        figures do.
        """

    def keep(self, name: str) -> Kept | Gap:
        """A file to be read at every tick. A Gap also where no more can be kept: it may be read."""

    def records(self, name: str, *, only_new: bool = False) -> Records | Gap:
        """The kernel's log, or a file that holds one. `only_new`: what was there before is left out."""

    def earlier(self) -> Files | None:
        """The same machine a moment before, where that is known too."""
        return None

    def age_s(self, name: str) -> float | None:
        """How long ago it was read what is read of a file; None: now, or it is not known."""
        return None

    def parsed(self, name: str, parse: Callable[[bytes], T]) -> T | Gap:
        """A file's meaning: one that is missing, denied or malformed costs this source alone."""
        data = self.read(name)
        return data if isinstance(data, Gap) else parsed(name, data, parse)


def parsed(source: str, data: bytes, parse: Callable[[bytes], T]) -> T | Gap:
    """`parse(data)`, or the Gap that says what was malformed in it."""
    try:
        return parse(data)
    except ValueError as error:  # Malformed, or a number longer than Python converts
        return Gap(source, "malformed", str(error))


def defect_gap(source: str, error: Exception) -> Gap:
    """A defect of memtui's own in a reading, as what a reading may give: it is told, not fatal."""
    return Gap(source, "failed", defect(error))
