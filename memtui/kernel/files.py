"""`Files`: a machine's /proc and /sys by name; and `LiveFiles`, the only open() of anything in them.

A protocol without descriptors, so that what was read of a machine, or a machine elsewhere, can stand
where this one does. What cannot be read is a value, never an exception: a `Gap` that says which
source and why.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple, Protocol, TypeVar

from memtui.defects import defect

T = TypeVar("T")

Reason = Literal["absent", "denied", "gone", "unsupported", "malformed", "failed", "not recorded"]
Kind = Literal["file", "directory", "other"]

# One read call returns about a page of a seq_file, however much is asked for.
_CHUNK: Final = 65_536
_PIECE: Final = 262_144
_READ: Final = os.O_RDONLY | os.O_CLOEXEC
_KMSG: Final = os.makedev(1, 11)
_RECORD_BYTES: Final = 16_384  # the kernel's own limit is 8 KiB, and a shorter buffer an error
_SPARE_DESCRIPTORS: Final = 128  # that are never kept

_REASONS: Final[dict[int, Reason]] = {
    errno.ENOENT: "absent",
    errno.ENOTDIR: "absent",
    errno.ESRCH: "gone",
    errno.ENODEV: "gone",  # a file of a control group that was removed
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EOPNOTSUPP: "unsupported",  # /proc/pressure with psi=0
}


class Gap(NamedTuple):
    """A source that gave no value, and why. `source` is a path below the root."""

    source: str
    reason: Reason
    detail: str = ""

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
    itself runs on, whose clock, page size, users and rights are those of the files.
    """

    root: str
    is_live: bool

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

    def parsed(self, name: str, parse: Callable[[bytes], T]) -> T | Gap:
        """A file's meaning: one that is missing, denied or malformed costs this source alone."""
        data = self.read(name)
        return data if isinstance(data, Gap) else parsed(name, data, parse)


class _KeptFile:
    """A descriptor, read from its start by pread: after its task's death that says ESRCH."""

    __slots__ = ("_descriptor", "_files", "_source")

    def __init__(self, descriptor: int, source: str, files: LiveFiles) -> None:
        self._descriptor = descriptor
        self._source = source
        self._files = files
        files.keeps += 1

    def read_record(self) -> bytes | Gap:
        try:
            return os.pread(self._descriptor, 4096, 0)
        except OSError as error:
            return _gap(self._source, error)

    def read(self) -> bytes | Gap:
        parts: list[bytes] = []
        offset = 0
        try:
            while part := os.pread(self._descriptor, _CHUNK, offset):
                parts.append(part)
                offset += len(part)
        except OSError as error:
            return _gap(self._source, error)
        return b"".join(parts)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._files.keeps -= 1


class _Log:
    """/dev/kmsg, of which each reading is one record."""

    def __init__(self, descriptor: int, source: str) -> None:
        self._descriptor = descriptor
        self._source = source

    def read(self, at_most: int) -> tuple[list[bytes], bool] | Gap:
        records: list[bytes] = []
        lost = False
        for _ in range(at_most):
            try:
                data = os.read(self._descriptor, _RECORD_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.EPIPE:
                    # Overwritten under the reader: the next one is the oldest that is left.
                    lost = True
                    continue
                if records:
                    break
                return _gap(self._source, error)
            if not data:
                break
            records.append(data)
        return records, lost

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _SavedLog(_Log):
    """A plain file of records, which may grow."""

    def read(self, at_most: int) -> tuple[list[bytes], bool] | Gap:
        parts = []
        with contextlib.suppress(OSError):  # what was read is still good
            while part := os.read(self._descriptor, _CHUNK):
                parts.append(part)
        return ([b"".join(parts)] if parts else []), False


class LiveFiles(Files):
    """Below `root`: this machine's, a container's mount of its host's, a captured tree."""

    def __init__(self, root: str = "/") -> None:
        self.root = root
        self.is_live = os.path.realpath(root) == "/"
        self._prefix = root if root.endswith("/") else root + "/"
        self.keeps = 0  # files that are open
        self._keeps_at_most: int | None = None

    def read(self, name: str) -> bytes | Gap:
        try:
            descriptor = os.open(self._prefix + name, _READ)
        except OSError as error:
            return self._gap(name, error)
        try:
            parts = []
            while part := os.read(descriptor, _CHUNK):
                parts.append(part)
            return b"".join(parts)
        except OSError as error:
            return self._gap(name, error)
        finally:
            os.close(descriptor)

    def read_record(self, name: str) -> bytes | Gap:
        try:
            descriptor = os.open(self._prefix + name, _READ)
        except OSError as error:
            return self._gap(name, error)
        try:
            return os.read(descriptor, _CHUNK)
        except OSError as error:
            return self._gap(name, error)
        finally:
            os.close(descriptor)

    def read_at(
        self, name: str, offset: int, length: int, of: FileStat | None = None
    ) -> bytes | Gap:
        flags = _READ if of is None else _READ | os.O_NONBLOCK
        try:
            descriptor = os.open(self._prefix + name, flags)
        except OSError as error:
            return self._gap(name, error)
        try:
            if of is not None and _stat(os.fstat(descriptor)) != of:
                return Gap(name, "gone", "it was changed or replaced meanwhile")
            parts = []
            while length > 0 and (part := os.pread(descriptor, length, offset)):
                parts.append(part)
                offset += len(part)
                length -= len(part)
            return b"".join(parts)
        except OSError as error:
            return self._gap(name, error)
        finally:
            os.close(descriptor)

    def pieces(self, name: str) -> Iterator[bytes | Gap]:
        try:
            descriptor = os.open(self._prefix + name, _READ)
        except OSError as error:
            yield self._gap(name, error)
            return
        try:
            parts: list[bytes] = []
            length = 0
            while True:
                part = os.read(descriptor, _CHUNK)
                if not part:
                    break
                if length + len(part) > _PIECE:
                    whole = b"".join(parts)
                    cut = whole.rfind(b"\n") + 1
                    if cut:
                        yield whole[:cut]
                        parts, length = [whole[cut:]], len(whole) - cut
                parts.append(part)
                length += len(part)
            if length:
                yield b"".join(parts)
        except OSError as error:
            if length:
                yield b"".join(parts)
            yield self._gap(name, error)
        finally:
            os.close(descriptor)

    def stat(self, name: str) -> FileStat | Gap:
        path = os.fsencode(self._prefix + name)
        try:
            found = _stat(os.stat(path))
            if not self.is_live and self._leads_out(name, path):
                return Gap(name, "absent", "a link leads out of the tree")
        except OSError as error:
            return self._gap(name, error)
        except ValueError:  # a NUL in the name
            return Gap(name, "absent")
        return found

    def pids(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self._prefix + "proc") if name.isdecimal()]
        except OSError:
            return []

    def names(self, directory: str) -> list[str]:
        try:
            return sorted(os.listdir(self._prefix + directory))
        except OSError:
            return []

    def directories(self, directory: str) -> list[str]:
        try:
            with os.scandir(self._prefix + directory) as entries:
                return sorted(each.name for each in entries if each.is_dir(follow_symlinks=False))
        except OSError:
            return []

    def keep(self, name: str) -> Kept | Gap:
        if self._keeps_at_most is None:
            self._keeps_at_most = max(0, raise_descriptor_limit() - _SPARE_DESCRIPTORS)
        if self.keeps >= self._keeps_at_most:
            return Gap(name, "failed", "as many files as may be are kept")
        try:
            descriptor = os.open(self._prefix + name, _READ)
        except OSError as error:
            return self._gap(name, error)
        return _KeptFile(descriptor, name, self)

    def records(self, name: str, *, only_new: bool = False) -> Records | Gap:
        path = self._prefix + name
        try:
            # Asked first, as merely opening some devices has effects.
            mode = os.stat(path)
            is_log = stat.S_ISCHR(mode.st_mode) and mode.st_rdev == _KMSG
            if not is_log and not stat.S_ISREG(mode.st_mode):
                return Gap(name, "unsupported", "not the kernel's log")
            descriptor = os.open(path, _READ | os.O_NONBLOCK)
            log = _Log(descriptor, name) if is_log else _SavedLog(descriptor, name)
            if only_new:
                os.lseek(descriptor, 0, os.SEEK_END)
        except OSError as error:
            return self._gap(name, error)
        return log

    def _leads_out(self, name: str, path: bytes) -> bool:
        """Whether a name ends outside the root, by a copied link and not by one of the kernel's own.

        Those of /proc/PID/root and map_files say where they lead, and lead elsewhere, to the process's
        own files; their length is not that of what they say.
        """
        parts = name.split("/")
        if parts[:1] == ["proc"] and parts[2:3] in (["root"], ["map_files"]):
            link = os.fsencode(self._prefix + "/".join(parts[: 3 if parts[2] == "root" else 4]))
            if os.path.islink(link) and os.lstat(link).st_size != len(os.readlink(link)):
                return False
        real = os.path.realpath(path) + b"/"
        # The tree's own proc and sys may be links, to where they really are.
        tops = [each for each in parts[:1] if each in ("proc", "sys")]
        within = (os.path.realpath(os.fsencode(self._prefix + each)) for each in ("", *tops))
        return not any(real.startswith(each.rstrip(b"/") + b"/") for each in within)

    def _gap(self, name: str, error: OSError) -> Gap:
        gap = _gap(name, error)
        # A file missing from a process's directory is absent; with the directory, it is gone.
        parts = name.split("/", 2)
        if (
            gap.reason == "absent"
            and parts[0] == "proc"
            and len(parts) == 3
            and parts[1].isdecimal()
            and not os.path.isdir(f"{self._prefix}proc/{parts[1]}")
        ):
            return Gap(name, "gone")
        return gap


def parsed(source: str, data: bytes, parse: Callable[[bytes], T]) -> T | Gap:
    """`parse(data)`, or the Gap that says what was malformed in it."""
    try:
        return parse(data)
    except ValueError as error:  # Malformed, or a number longer than Python converts
        return Gap(source, "malformed", str(error))


def defect_gap(source: str, error: Exception) -> Gap:
    """A defect of memtui's own in a reading, as what a reading may give: it is told, not fatal."""
    return Gap(source, "failed", defect(error))


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one; what it is now.

    Kept descriptors are one a process; select(2) users, who need the low limit, are none of ours.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass
    return soft


def _stat(found: os.stat_result) -> FileStat:
    mode = found.st_mode
    kind: Kind = "file" if stat.S_ISREG(mode) else "directory" if stat.S_ISDIR(mode) else "other"
    device = (os.major(found.st_dev), os.minor(found.st_dev))
    return FileStat(kind, device, found.st_ino, found.st_size, found.st_mtime_ns)


def _gap(source: str, error: OSError) -> Gap:
    reason = _REASONS.get(error.errno or 0, "failed")
    return Gap(source, reason, "" if reason != "failed" else os.strerror(error.errno or errno.EIO))
