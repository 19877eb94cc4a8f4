"""What an experiment of the lab makes of its own on this machine, and takes away again: a directory,
a memory cgroup, a swap file. With `writes` all that changes a machine.

Source: mkdir(2), Documentation/admin-guide/cgroup-v1/memory.rst, swapon(2), mm/swapfile.c. Since:
2.6. Permission: the directory anyone, the group whoever may write there, swap CAP_SYS_ADMIN.
Each is a context: at its end it is gone. Names tell whose they are, so that what a maker that was
killed has left can be swept away. Failures in making raise OSError.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from memtui.kernel.process import parse_identity

MARK: Final = "memtui-lab"
SWAP_NAME: Final = "swap"
_PLACES: Final = (
    "/var/tmp",
    tempfile.gettempdir(),
)  # the first is on a disk, where /tmp may be none
_EMPTIES_S: Final = 10.0  # the dead leave their group at once, unless the machine stands still
_BLOCK: Final = bytes(1 << 20)


def place() -> str:
    """Where directories are made."""
    return next((each for each in _PLACES if os.access(each, os.W_OK | os.X_OK)), _PLACES[-1])


def mark_of(pid: int) -> str:
    """The name for what this process makes: its pid, when it began, and whose pids these are."""
    return f"{MARK}-{pid}-{_began(pid)}-{_namespace()}"


def _namespace() -> int:
    """The number of the PID namespace: containers may share a disk, and have each other's pids."""
    return os.stat("/proc/self/ns/pid").st_ino


def _began(pid: int) -> int:
    """In clock ticks since boot; 0: there is no such process."""
    try:
        found = parse_identity(Path(f"/proc/{pid}/stat").read_bytes())
    except (OSError, ValueError):
        return 0
    return 0 if found.has_ended else found.starttime


@contextmanager
def own_directory(mark: str) -> Iterator[Path]:
    """Open to its owner alone."""
    directory = Path(place(), mark)
    directory.mkdir(mode=0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def own_group(parent: Path, mark: str, limit_bytes: int, swappiness: int) -> Iterator[Path]:
    """A v1 memory cgroup below another; who is still in it at its end is killed."""
    group = parent / mark
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(limit_bytes))
        (group / "memory.swappiness").write_text(str(swappiness))
        yield group
    finally:
        _remove_group(group)


def _remove_group(group: Path) -> None:
    until = time.monotonic() + _EMPTIES_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError):
            for pid in map(int, (group / "cgroup.procs").read_text().split()):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):  # what files it has in memory would outlive it
            (group / "memory.force_empty").write_text("0")
        try:
            group.rmdir()
        except (FileNotFoundError, PermissionError):
            return
        except OSError:
            time.sleep(0.01)
        else:
            return


@contextmanager
def own_swap(directory: Path, size_bytes: int, page_bytes: int) -> Iterator[Path]:
    """A swap file in use."""
    file = directory / SWAP_NAME
    with open(file, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as writing:
        # Written through: a swap file has no holes.
        for _ in range(size_bytes // len(_BLOCK)):
            writing.write(_BLOCK)
        writing.seek(0)
        writing.write(_swap_header(size_bytes // len(_BLOCK) * len(_BLOCK), page_bytes))
        writing.flush()
        os.fsync(writing.fileno())
    _swap("swapon", file, 0)
    try:
        yield file
    finally:
        with contextlib.suppress(OSError):
            _swap("swapoff", file)


def _swap_header(size_bytes: int, page_bytes: int) -> bytes:
    """The first page, as include/linux/swap.h's union swap_header has it."""
    info = struct.pack("<III", 1, size_bytes // page_bytes - 1, 0)  # version, last page, bad ones
    page = bytes(1024) + info  # the boot block is left to others
    return page.ljust(page_bytes - 10, b"\0") + b"SWAPSPACE2"


def _swap(call: str, file: Path, *flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, call)(os.fsencode(file), *flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(file))


def sweep(parent: Path | None) -> None:
    """Takes away what makers that have been killed left: directories, swap, groups below `parent`."""
    for directory in _left(Path(place())):
        with contextlib.suppress(OSError):
            if directory.lstat().st_uid != os.geteuid():
                continue
            if (directory / SWAP_NAME).exists():
                _swap("swapoff", directory / SWAP_NAME)
        shutil.rmtree(directory, ignore_errors=True)
    for group in _left(parent) if parent else ():
        _remove_group(group)


def _left(parent: Path) -> Iterator[Path]:
    for each in parent.glob(f"{MARK}-*-*-{_namespace()}"):
        pid, began, _ = each.name.removeprefix(f"{MARK}-").split("-", 2)
        if pid.isdecimal() and began.isdecimal() and _began(int(pid[:10])) != int(began[:20]):
            yield each
