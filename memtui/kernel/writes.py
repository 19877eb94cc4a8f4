"""What memtui can change of others: a process by a signal, and how willing the OOM killer is to take it.
What it makes of its own, and takes away again, is in `ground`.

Source: kill(2), pidfd_send_signal(2), /proc/PID/oom_score_adj. Document:
Documentation/filesystems/proc.rst. Since: oom_score_adj 2.6.36, pidfds 5.3; before them there is a
moment in which a pid may be reused between the check and the signal. Permission: signals go to one's
own processes, else CAP_KILL; the owner may raise oom_score_adj, lowering it takes CAP_SYS_RESOURCE.
Always of the live kernel, whatever root is looked at; never where /proc is another PID namespace's,
whose pids are other processes' here.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from memtui.kernel.files import Gap, Reason, parsed
from memtui.kernel.hidden import FOREIGN, is_own_proc
from memtui.kernel.process import parse_identity, parse_int

if TYPE_CHECKING:
    from collections.abc import Iterator

ADJ_LEAST = -1000  # never taken
ADJ_MOST = 1000

_ANOTHER: Final = "another process"
_REASONS: Final[dict[int, Reason]] = {
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.ENOENT: "gone",
    errno.ESRCH: "gone",
}


class Change(NamedTuple):
    """Something that can be done to the machine. `words` say what, and go before the process: `TERM to`.

    `do` does it and gives what went wrong; where the process has ended that is "gone", with a detail
    if its pid is another's now, which is left alone. `undo` is what puts it back as it was when this
    was made; None where nothing does.
    """

    words: str
    do: Callable[[], Gap | None]
    undo: Change | None


class Changes:
    """The one way to a `Change`. `readonly`: none is done, whoever asks for it."""

    def __init__(self, *, readonly: bool) -> None:
        self._readonly = readonly

    def signal(self, pid: int, start_time_ticks: int, name: str) -> Change:
        """Sends a signal, by its name without SIG, to the process that began then, and no other."""

        def change_to(name: str, undo: Change | None) -> Change:
            number = signal.Signals[f"SIG{name}"]
            return self._change(
                f"{name} to",
                f"proc/{pid}",
                lambda: _send(pid, start_time_ticks, number),
                undo,
            )

        back = {"STOP": "CONT", "CONT": "STOP"}.get(name)
        return change_to(name, None if back is None else change_to(back, None))

    def oom_score_adj(self, pid: int, start_time_ticks: int, value: int) -> Change:
        """Gives it to the process that began then, and no other."""
        source = f"proc/{pid}/oom_score_adj"

        def change_to(value: int, undo: Change | None) -> Change:
            return self._change(
                f"oom_score_adj {value:+d} for",
                source,
                lambda: _write_adj(pid, start_time_ticks, value),
                undo,
            )

        before = _read_adj(pid, start_time_ticks)
        return change_to(value, None if before is None else change_to(before, None))

    def _change(
        self, words: str, source: str, act: Callable[[], None], undo: Change | None = None
    ) -> Change:
        def do() -> Gap | None:
            if self._readonly:
                return Gap(source, "denied", "read-only")
            try:
                with open("/proc/self/status", "rb") as status:
                    if not is_own_proc(status.read(), os.getpid()):
                        return Gap(source, "denied", FOREIGN)
                act()
            except _Another:
                return Gap(source, "gone", _ANOTHER)
            except OSError as error:
                reason = _REASONS.get(error.errno or 0, "failed")
                return Gap(source, reason, (error.strerror or "") if reason == "failed" else "")
            return None

        return Change(words, do, undo)


class _Another(Exception):
    """The pid is another process's by now."""


def _send(pid: int, start_time_ticks: int, number: signal.Signals) -> None:
    try:
        # It stays that of one process, which is the one that was meant if that one is there after.
        process = os.pidfd_open(pid)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        with _directory(pid, start_time_ticks):
            os.kill(pid, number)
        return
    try:
        with _directory(pid, start_time_ticks):
            signal.pidfd_send_signal(process, number)
    finally:
        os.close(process)


def _write_adj(pid: int, start_time_ticks: int, value: int) -> None:
    with _directory(pid, start_time_ticks) as directory:
        file = os.open("oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.write(file, str(value).encode())
        finally:
            os.close(file)


def _read_adj(pid: int, start_time_ticks: int) -> int | None:
    try:
        with _directory(pid, start_time_ticks) as directory:
            found = parsed("oom_score_adj", _read("oom_score_adj", directory), parse_int)
    except (_Another, OSError):
        return None
    return None if isinstance(found, Gap) else found


@contextmanager
def _directory(pid: int, start_time_ticks: int) -> Iterator[int]:
    """The directory of the process that began then, which stays that process's: a pid that comes
    back is not meant. Raises _Another, and OSError where there is none."""
    directory = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        stat = parsed("stat", _read("stat", directory), parse_identity)
        if isinstance(stat, Gap) or stat.starttime != start_time_ticks:
            raise _Another
        yield directory
    finally:
        os.close(directory)


def _read(name: str, directory: int) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
