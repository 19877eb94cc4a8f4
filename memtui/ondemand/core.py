"""Opens a core dump's file: as it is, or compressed as systemd-coredump leaves it.

What is compressed cannot be seeked in: it is decompressed to a file without a name, zeros left out,
which is gone with its descriptor, whatever happens. By what the file begins with, not by its name.
Cost: 2 to 4 s a GiB; an uncompressed dump costs what its headers do.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from typing import BinaryIO, Final, NamedTuple, Protocol

from memtui import units
from memtui.kernel.corefiles import CoreFiles, open_core
from memtui.kernel.files import Files, Gap
from memtui.model.keys import ProcessKey
from memtui.ondemand.questions import CrashOf

# Told how much of how much of the compressed file is read.
Progress = Callable[[int, int], None]

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # never waits for a pipe's other end
_AT_ONCE: Final = 1 << 20
_HOLE: Final = bytes(1 << 16)  # zeros that are skipped at once
_CHECKED_EVERY: Final = 64 << 20
_LEFT_FREE: Final = 64 << 20  # of the disk
_CUT: Final = "the compressed file is cut off"


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Unpacked(NamedTuple):
    descriptor: int
    is_cut: bool
    written_s: float


def open_dump(path: str, program: str | None, disk: Files, progress: Progress) -> CoreFiles | Gap:
    """A core dump that can be read. `program` and `disk` are as `open_core` takes them.

    A KeyboardInterrupt leaves nothing behind.
    """
    try:
        descriptor = os.open(path, _READ)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no name that a file can have"
        is_denied = isinstance(error, PermissionError)
        return Gap(path, "denied" if is_denied else "failed", reason)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return Gap(path, "unsupported", "not a regular file")
        kind = _compression(os.pread(descriptor, 8, 0))
        if not kind:
            return open_core(os.dup(descriptor), path, disk, program)
        with open(os.dup(descriptor), "rb") as packed:
            unpacked = _unpacked(kind, packed, path, progress)
    except OSError as error:
        return Gap(path, "failed", error.strerror or str(error))
    finally:
        os.close(descriptor)
    if isinstance(unpacked, Gap):
        return unpacked
    files = open_core(unpacked.descriptor, path, disk, program)
    if isinstance(files, Gap):
        return files._replace(detail=f"{_CUT}: {files.detail}") if unpacked.is_cut else files
    files.written_s = unpacked.written_s
    if unpacked.is_cut:
        files.gaps.append(Gap(path, "malformed", _CUT))
    return files


def key_of(files: CoreFiles) -> ProcessKey:
    """The process of a dump."""
    return ProcessKey(files.dump.pid, 0)


def crash_in(files: CoreFiles) -> CrashOf | None:
    """How it died, to be asked; None: no signal ended it."""
    death = files.dump.death
    if death is None or death.siginfo is None:
        return None
    return CrashOf(key_of(files), death.tid, death.siginfo, death.registers)


def _compression(head: bytes) -> str:
    magics = ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4"), (b"\xfd7zXZ\0", "xz"))
    return next((name for magic, name in magics if head.startswith(magic)), "")


def _unpacked(kind: str, packed: BinaryIO, path: str, progress: Progress) -> _Unpacked | Gap:
    """All of it, in a file without a name."""
    told = os.fstat(packed.fileno())
    size = told.st_size
    directory = _directory()
    try:
        reader, errors = _reader(kind, packed)
    except ModuleNotFoundError as error:
        return Gap(path, "unsupported", f"for {kind} this Python lacks {error.name}")
    is_cut = False
    with tempfile.TemporaryFile(dir=directory) as plain:
        descriptor = plain.fileno()
        end = written = checked = 0
        try:
            while True:
                try:
                    data = reader.read(_AT_ONCE)
                except EOFError:
                    is_cut = True
                    break
                except errors as error:
                    return Gap(path, "malformed", f"it is no sound {kind} file: {error}")
                if not data:
                    break
                written += _write(descriptor, data, end)
                end += len(data)
                if written - checked >= _CHECKED_EVERY:
                    checked = written
                    _check_room(descriptor)
                progress(packed.tell(), size)
            os.ftruncate(descriptor, end)
        except OSError as error:
            return Gap(
                path,
                "failed",
                f"cannot decompress it to {directory}: {error.strerror}, after "
                f"{units.size(end)}; TMPDIR may name another directory",
            )
        return _Unpacked(os.dup(descriptor), is_cut, told.st_mtime)


def _reader(kind: str, packed: BinaryIO) -> tuple[_Reader, tuple[type[Exception], ...]]:
    """What reads it decompressed, and what that raises of damaged files."""
    if kind == "xz":
        import lzma

        return lzma.LZMAFile(packed), (lzma.LZMAError,)
    if kind == "lz4":
        import lz4.frame

        return lz4.frame.LZ4FrameFile(packed), (RuntimeError, ValueError)
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdFile(packed), (zstd.ZstdError,)


def _write(descriptor: int, data: bytes, offset: int) -> int:
    """Writes what is not zeros; how much that was."""
    written = 0
    for first in range(0, len(data), len(_HOLE)):
        piece = data[first : first + len(_HOLE)]
        if piece == _HOLE[: len(piece)]:
            continue
        view = memoryview(piece)
        while view:
            done = os.pwrite(descriptor, view, offset + first + len(piece) - len(view))
            view = view[done:]
        written += len(piece)
    return written


def _check_room(descriptor: int) -> None:
    """Stops before the disk is full, for the others that write to it. Raises OSError."""
    import errno

    disk = os.fstatvfs(descriptor)
    if disk.f_bavail * disk.f_frsize < _LEFT_FREE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _directory() -> str:
    """Where large files go: /tmp is memory on many machines."""
    told = os.environ.get("TMPDIR")
    return told or ("/var/tmp" if os.access("/var/tmp", os.W_OK) else tempfile.gettempdir())
