"""The only open() of anything in /proc and /sys, under a root that can be moved.

What cannot be read is a value, never an exception: a `Gap` that says which source and why.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, Literal, NamedTuple, TypeVar

from memtui.defects import defect

T = TypeVar("T")

Reason = Literal["absent", "denied", "gone", "unsupported", "malformed", "failed", "unrecorded"]

# One read call returns about a page of a seq_file, however much is asked for.
_CHUNK: Final = 65_536
_PIECE: Final = 262_144
_KMSG: Final = os.makedev(1, 11)

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


class KeptFile:
    """A file kept open, to be read again from its start by pread.

    For files bound to a task (stat, statm, status, oom_score): after its death pread says ESRCH, and
    a pid that comes back cannot be mistaken for it. Not for maps, smaps, smaps_rollup or pagemap:
    these are bound to one address space and go stale at an exec.
    """

    __slots__ = ("_descriptor", "source")

    def __init__(self, descriptor: int, source: str) -> None:
        self._descriptor = descriptor
        self.source = source

    def read_record(self) -> bytes | Gap:
        """The first record, up to a page: a whole statm, stat or oom_score in one system call."""
        try:
            return os.pread(self._descriptor, 4096, 0)
        except OSError as error:
            return _gap(self.source, error)

    def read(self) -> bytes | Gap:
        """The whole file, from its start."""
        parts: list[bytes] = []
        offset = 0
        try:
            while part := os.pread(self._descriptor, _CHUNK, offset):
                parts.append(part)
                offset += len(part)
        except OSError as error:
            return _gap(self.source, error)
        return b"".join(parts)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class KernelFiles:
    """`/proc` and `/sys` below `root`: this machine's, a container's mount of its host's, a capture.

    Names are relative to the root: `proc/meminfo`, `proc/42/statm`.
    """

    def __init__(self, root: str = "/") -> None:
        self.root = root
        self._prefix = root if root.endswith("/") else root + "/"
        self.is_live = os.path.realpath(root) == "/"

    def path(self, name: str) -> str:
        return self._prefix + name

    def has_proc(self) -> bool:
        return os.path.isdir(self.path("proc"))

    def exists(self, name: str) -> bool:
        return os.path.exists(self.path(name))

    def read(self, name: str) -> bytes | Gap:
        """A file to its end."""
        try:
            descriptor = os.open(self._prefix + name, os.O_RDONLY | os.O_CLOEXEC)
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
        """A file of one record, up to 64 KiB: status, oom_score; in one reading where `read` takes two."""
        try:
            descriptor = os.open(self._prefix + name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            return self._gap(name, error)
        try:
            return os.read(descriptor, _CHUNK)
        except OSError as error:
            return self._gap(name, error)
        finally:
            os.close(descriptor)

    def read_at(self, name: str, offset: int, length: int) -> bytes | Gap:
        """`length` bytes from `offset`, both in bytes; shorter where the file ends before."""
        try:
            descriptor = os.open(self._prefix + name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            return self._gap(name, error)
        try:
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

    def parsed(self, name: str, parse: Callable[[bytes], T]) -> T | Gap:
        """A file's meaning: one that is missing, denied or malformed costs this source alone."""
        data = self.read(name)
        return data if isinstance(data, Gap) else parsed(name, data, parse)

    def keep(self, name: str) -> KeptFile | Gap:
        """A file opened once, to be read at every tick."""
        try:
            return KeptFile(os.open(self._prefix + name, os.O_RDONLY | os.O_CLOEXEC), name)
        except OSError as error:
            return self._gap(name, error)

    def open_regular(self, name: str) -> BinaryIO | Gap:
        """A regular file, to be closed by the caller; never waits for a pipe or a device."""
        path = os.fsencode(self._prefix + name)
        try:
            # Asked first, as merely opening some devices has effects.
            if not stat.S_ISREG(os.stat(path).st_mode):
                return Gap(name, "unsupported", "not a regular file")
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            return self._gap(name, error)
        except ValueError:  # a NUL in the name
            return Gap(name, "absent")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return Gap(name, "unsupported", "not a regular file")
        return os.fdopen(descriptor, "rb")

    def is_within(self, name: str) -> bool:
        """Whether a name leads to what is below the root, and not by some copied link out of it.

        The kernel's own /proc/PID/root, which has no length, leads where it should.
        """
        if self.is_live:
            return True
        parts = name.split("/")
        try:
            if parts[:1] == ["proc"] and parts[2:3] == ["root"]:
                link = os.lstat(self._prefix + "/".join(parts[:3]))
                if stat.S_ISLNK(link.st_mode) and not link.st_size:
                    return True
            real = os.path.realpath(os.fsencode(self._prefix + name))
        except (OSError, ValueError):
            return False
        return real.startswith(os.path.realpath(os.fsencode(self.root)).rstrip(b"/") + b"/")

    def may_read(self, name: str) -> bool:
        """Whether opening succeeds, which for maps and smaps is where the kernel decides."""
        kept = self.keep(name)
        if isinstance(kept, Gap):
            return False
        kept.close()
        return True

    def pieces(self, name: str) -> Iterator[bytes | Gap]:
        """A long file in pieces of at most 256 KiB, cut at ends of lines.

        Nobody who parses while reading then holds the interpreter for long, whatever the length. A
        failure comes as the last piece: what was read before it is still good.
        """
        try:
            descriptor = os.open(self._prefix + name, os.O_RDONLY | os.O_CLOEXEC)
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

    def pids(self) -> list[int]:
        """Every process's pid, in the directory's order; empty where there is no /proc."""
        try:
            return [int(name) for name in os.listdir(self._prefix + "proc") if name.isdecimal()]
        except OSError:
            return []

    def names(self, directory: str) -> list[str]:
        """What a directory holds, sorted; empty where it cannot be read."""
        try:
            return sorted(os.listdir(self._prefix + directory))
        except OSError:
            return []

    def directories(self, directory: str) -> list[str]:
        """The directories in a directory, sorted, links left out; empty where it cannot be read."""
        try:
            with os.scandir(self._prefix + directory) as entries:
                return sorted(each.name for each in entries if each.is_dir(follow_symlinks=False))
        except OSError:
            return []

    def open_log(self, name: str) -> int | Gap:
        """A descriptor of the kernel's log, or of a file that holds one; to be closed by the caller.

        Reading from it never waits. Nothing else is opened: merely that has effects with some devices.
        """
        path = self._prefix + name
        try:
            mode = os.stat(path)
            is_log = stat.S_ISCHR(mode.st_mode) and mode.st_rdev == _KMSG
            if not is_log and not stat.S_ISREG(mode.st_mode):
                return Gap(name, "unsupported", "not the kernel's log")
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            return self._gap(name, error)

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


def _gap(source: str, error: OSError) -> Gap:
    reason = _REASONS.get(error.errno or 0, "failed")
    return Gap(source, reason, "" if reason != "failed" else os.strerror(error.errno or errno.EIO))
