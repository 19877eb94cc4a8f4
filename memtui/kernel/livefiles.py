"""`LiveFiles`: the only open() of anything in /proc and /sys, of this machine or below a root.

A file that waits, or has no end, is refused: whatever a root holds, a reading ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from typing import Final

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
    T,
)
from memtui.kernel.mounts import ProcMount, read_proc_mount

# One read call returns about a page of a seq_file, however much is asked for.
_CHUNK: Final = 65_536
_PIECE: Final = 262_144
# A read that could wait, for a pipe's other end, says so instead.
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
# What no file of a kernel's is longer than: one without an end is refused.
_FILE_AT_MOST: Final = 64 << 20
_PIECES_AT_MOST: Final = 2 << 30  # smaps of three million mappings
_KMSG: Final = os.makedev(1, 11)
_PID_DIGITS: Final = 10
_RECORD_BYTES: Final = 16_384  # the kernel's own limit is 8 KiB, and a shorter buffer an error
_PIDS_BY_NAME: Final = ("self", "thread-self")
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
                if offset > _FILE_AT_MOST:
                    return _endless(self._source)
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
        left = _FILE_AT_MOST
        with contextlib.suppress(OSError):  # what was read is still good
            while left > 0 and (part := os.read(self._descriptor, _CHUNK)):
                parts.append(part)
                left -= len(part)
        return ([b"".join(parts)] if parts else []), False


class LiveFiles(Files):
    """Below `root`: this machine's, a container's mount of its host's, a captured tree."""

    def __init__(self, root: str = "/") -> None:
        self.root = root
        self.is_live = os.path.realpath(root) == "/"
        self._prefix = root if root.endswith("/") else root + "/"
        self.keeps = 0  # files that are open
        self._keeps_at_most: int | None = None
        self._proc: ProcMount | None = None

    def read(self, name: str) -> bytes | Gap:
        descriptor = self._open(name)
        if isinstance(descriptor, Gap):
            return descriptor
        try:
            parts = []
            length = 0
            while part := os.read(descriptor, _CHUNK):
                parts.append(part)
                length += len(part)
                if length > _FILE_AT_MOST:
                    return _endless(name)
            return b"".join(parts)
        except OSError as error:
            return self._gap(name, error)
        finally:
            os.close(descriptor)

    def read_record(self, name: str) -> bytes | Gap:
        descriptor = self._open(name)
        if isinstance(descriptor, Gap):
            return descriptor
        try:
            return os.read(descriptor, _CHUNK)
        except OSError as error:
            return self._gap(name, error)
        finally:
            os.close(descriptor)

    def read_at(
        self, name: str, offset: int, length: int, of: FileStat | None = None
    ) -> bytes | Gap:
        descriptor = self._open(name)
        if isinstance(descriptor, Gap):
            return descriptor
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
        descriptor = self._open(name)
        if isinstance(descriptor, Gap):
            yield descriptor
            return
        try:
            parts: list[bytes] = []
            length = read = 0
            while True:
                part = os.read(descriptor, _CHUNK)
                if not part:
                    break
                read += len(part)
                if length + len(part) > _PIECE:
                    whole = b"".join(parts)
                    cut = whole.rfind(b"\n") + 1
                    if not cut or read > _PIECES_AT_MOST:
                        yield _endless(name)
                        return
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
        return self._looked(name, lambda path: _stat(os.stat(path)))

    def allocation(self, name: str) -> Allocation | Gap:
        return self._looked(name, lambda path: _allocation(os.stat(path)))

    def space(self, name: str) -> Space | Gap:
        return self._looked(name, lambda path: _space(os.stat(path), os.statvfs(path)))

    def link(self, name: str) -> str | Gap:
        try:
            return os.fsdecode(os.readlink(os.fsencode(self._prefix + name)))
        except OSError as error:
            return self._gap(name, error)
        except ValueError:  # a NUL in the name
            return Gap(name, "absent")

    def _looked(self, name: str, look: Callable[[bytes], T]) -> T | Gap:
        """What a name leads to, looked at but not opened."""
        path = os.fsencode(self._prefix + name)
        try:
            found = look(path)
            if not self.is_live and self._leads_out(name, path):
                return Gap(name, "absent", "a link leads out of the tree")
        except OSError as error:
            return self._gap(name, error)
        except ValueError:  # a NUL in the name
            return Gap(name, "absent")
        return found

    def pids(self) -> list[int]:
        try:
            return [
                int(name)
                for name in os.listdir(self._prefix + "proc")
                if name.isdecimal() and name.isascii() and len(name) <= _PID_DIGITS
            ]
        except OSError:
            return []

    def names(self, directory: str) -> list[str]:
        try:
            return sorted(os.listdir(self._prefix + directory))
        except (OSError, ValueError):  # a NUL in the name
            return []

    def directories(self, directory: str) -> list[str]:
        try:
            with os.scandir(self._prefix + directory) as entries:
                return sorted(each.name for each in entries if each.is_dir(follow_symlinks=False))
        except (OSError, ValueError):  # a NUL in the name
            return []

    def keep(self, name: str) -> Kept | Gap:
        if self._keeps_at_most is None:
            self._keeps_at_most = max(0, raise_descriptor_limit() - _SPARE_DESCRIPTORS)
        if self.keeps >= self._keeps_at_most:
            return Gap(name, "failed", "as many files as may be are kept")
        descriptor = self._open(name)
        return descriptor if isinstance(descriptor, Gap) else _KeptFile(descriptor, name, self)

    def records(self, name: str, *, only_new: bool = False) -> Records | Gap:
        path = self._prefix + name
        try:
            # Asked first, as merely opening some devices has effects.
            mode = os.stat(path)
            is_log = stat.S_ISCHR(mode.st_mode) and mode.st_rdev == _KMSG
            if not is_log and not stat.S_ISREG(mode.st_mode):
                return Gap(name, "unsupported", "not the kernel's log")
            descriptor = os.open(path, _READ)
            log = _Log(descriptor, name) if is_log else _SavedLog(descriptor, name)
            if only_new:
                os.lseek(descriptor, 0, os.SEEK_END)
        except OSError as error:
            return self._gap(name, error)
        except ValueError:  # a NUL in the name
            return Gap(name, "absent")
        return log

    def _open(self, name: str) -> int | Gap:
        """A descriptor of a regular file, as all of a kernel's own are that are read here.

        Elsewhere anything may have a file's name, and is asked for first what it is: merely opening
        some devices has effects, and others never end.
        """
        path = self._prefix + name
        try:
            if not self.is_live and not stat.S_ISREG(os.stat(path).st_mode):
                return Gap(name, "unsupported", "not a regular file")
            return os.open(path, _READ)
        except OSError as error:
            return self._gap(name, error)
        except ValueError:  # a NUL in the name
            return Gap(name, "absent")

    def _leads_out(self, name: str, path: bytes) -> bool:
        """Whether a name ends outside the root, by a copied link and not by one of the kernel's own.

        Those of /proc/PID/root, fd and map_files, and a thread's, say where they lead, and lead elsewhere,
        to the process's own files; their length is not that of what they say.
        """
        parts = name.split("/")
        at = 4 if parts[2:3] == ["task"] else 2  # of a thread, else of the process
        if parts[:1] == ["proc"] and parts[at : at + 1] in (["root"], ["fd"], ["map_files"]):
            end = at + 1 if parts[at] == "root" else at + 2
            link = os.fsencode(self._prefix + "/".join(parts[:end]))
            if os.path.islink(link) and os.lstat(link).st_size != len(os.readlink(link)):
                return False
        real = os.path.realpath(path) + b"/"
        # The tree's own proc and sys may be links, to where they really are.
        tops = [each for each in parts[:1] if each in ("proc", "sys")]
        within = (os.path.realpath(os.fsencode(self._prefix + each)) for each in ("", *tops))
        return not any(real.startswith(each.rstrip(b"/") + b"/") for each in within)

    def _gap(self, name: str, error: OSError) -> Gap:
        gap = _gap(name, error)
        parts = name.split("/", 2)
        if gap.reason != "absent" or parts[0] != "proc" or len(parts) == 1:
            return gap
        if not parts[1].isdecimal():
            # The mount hides what the kernel has.
            if parts[1] not in _PIDS_BY_NAME and self._proc_mount().has_only_pids:
                return Gap(name, "denied", "/proc is mounted with subset=pid, which hides it")
            return gap
        # A file missing from a process's directory is absent; with the directory, it is gone.
        if len(parts) == 2 or os.path.isdir(f"{self._prefix}proc/{parts[1]}"):
            return gap
        if self.is_live and self._proc_mount().hidepid and _is_somebodys(int(parts[1])):
            return Gap(name, "denied", "/proc is mounted with hidepid, which hides that process")
        return Gap(name, "gone")

    def _proc_mount(self) -> ProcMount:
        """How /proc is mounted, asked for when something is missing from it."""
        if self._proc is None:
            self._proc = ProcMount()  # also while it is looked for
            self._proc = read_proc_mount(self) or self._proc
        return self._proc


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


def _endless(source: str) -> Gap:
    return Gap(source, "malformed", "longer than a kernel's file is, or one line without an end")


def _is_somebodys(pid: int) -> bool:
    """Whether there is a process with this pid, in /proc or not: anybody may ask for its group."""
    try:
        os.getpgid(pid)
    except (OSError, OverflowError):
        return False
    return True


def _stat(found: os.stat_result) -> FileStat:
    mode = found.st_mode
    kind: Kind = "file" if stat.S_ISREG(mode) else "directory" if stat.S_ISDIR(mode) else "other"
    device = (os.major(found.st_dev), os.minor(found.st_dev))
    return FileStat(kind, device, found.st_ino, found.st_size, found.st_mtime_ns)


def _allocation(found: os.stat_result) -> Allocation:
    return Allocation(
        (os.major(found.st_dev), os.minor(found.st_dev)),
        found.st_ino,
        found.st_nlink,
        found.st_size,
        found.st_blocks * 512,
        found.st_blksize,
    )


def _space(found: os.stat_result, told: os.statvfs_result) -> Space:
    device = (os.major(found.st_dev), os.minor(found.st_dev))
    if not told.f_blocks:  # a tmpfs of any size counts nothing
        return Space(device, None, None)
    used = (told.f_blocks - told.f_bfree) * told.f_frsize
    return Space(device, max(0, used), told.f_blocks * told.f_frsize)


def _gap(source: str, error: OSError) -> Gap:
    reason = _REASONS.get(error.errno or 0, "failed")
    return Gap(source, reason, "" if reason != "failed" else os.strerror(error.errno or errno.EIO))
