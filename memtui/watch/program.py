"""The program that is to be watched: where it is, whether it may be, and how it is started."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import stat
import termios
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, NoReturn

from memtui.kernel.ptrace import die_with_parent

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
_FAILED, _NOT_PERMITTED = 1, 3
_CAPABILITIES: Final = "security.capability"
# Python ignores these for itself, and what it starts would inherit that.
_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)


class NotStarted(Exception):
    """The program is not there or cannot be run: one line, and the exit status a shell would give."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Streams(NamedTuple):
    """What the program has for input and output.

    `terminal`: a pty's slave that becomes its terminal; None: memtui's own. `output`: where standard
    output and error go instead.
    """

    terminal: int | None
    output: int | None


def find_program(name: str) -> str:
    """The path that a shell would run. Raises NotStarted."""
    directories = [""] if "/" in name else [each or "." for each in os.get_exec_path()]
    candidates = [os.path.join(each, name) for each in directories]
    is_there = False
    shown = name or repr(name)
    for path in candidates:
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError):
            continue
        if name and stat.S_ISREG(mode) and os.access(path, os.X_OK):
            return path
        is_there = bool(name)
    if is_there:
        raise NotStarted(f"{shown}: not executable: chmod +x makes a program so", NOT_EXECUTABLE)
    where = "no such file" if "/" in name else "no such command in PATH"
    raise NotStarted(f"{shown}: {where}", NOT_FOUND)


@contextlib.contextmanager
def new_file(path: str) -> Iterator[int]:
    """The descriptor of a file that was not there, for what a program prints; one that does not start
    leaves none. Raises NotStarted.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        words = f"{path} exists, and is not written over: choose another name"
        raise NotStarted(words, _FAILED) from None
    except OSError as error:
        status = _NOT_PERMITTED if isinstance(error, PermissionError) else _FAILED
        raise NotStarted(f"{path}: {error.strerror}", status) from None
    except ValueError:
        raise NotStarted(f"{path!r} is no name for a file", _FAILED) from None
    try:
        yield descriptor
    except NotStarted:
        os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def gains_privileges(path: str) -> str:
    """By what a program has more rights than whoever starts it: `set-uid`; "": it has not."""
    user = os.geteuid()
    if user == 0:
        return ""
    try:
        found = os.stat(path)
        if os.statvfs(path).f_flag & os.ST_NOSUID:
            return ""
        if found.st_mode & stat.S_ISUID and found.st_uid != user:
            return "set-uid"
        is_setgid = found.st_mode & stat.S_ISGID and found.st_mode & stat.S_IXGRP
        if is_setgid and found.st_gid != os.getegid():
            return "set-gid"
        os.getxattr(path, _CAPABILITIES)
    except OSError:  # mostly ENODATA: it has no capabilities
        return ""
    return "given capabilities"


def become(
    path: str,
    command: Sequence[str],
    streams: Streams,
    go: int,
    said: int,
    mask: Iterable[int],
) -> NoReturn:
    """In a new child: waits for a byte from `go`, then becomes the program.

    What failed goes to `said` as an errno. Never returns.
    """
    try:
        die_with_parent()
        for number in _IGNORED_BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
        _take_streams(streams)
        if not os.read(go, 1):
            os._exit(NOT_EXECUTABLE)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            os.execv(path, list(command))
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            # A script that does not say by what: by sh, as everybody does since 1979.
            os.execv("/bin/sh", ["sh", path, *command[1:]])
    except OSError as error:
        os.write(said, str(error.errno).encode())
    finally:
        os._exit(NOT_EXECUTABLE)


def _take_streams(streams: Streams) -> None:
    terminal = streams.terminal
    if terminal is not None:
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(terminal, descriptor)
    if streams.output is not None:
        for descriptor in (1, 2):
            os.dup2(streams.output, descriptor)


def let_go_of(streams: Streams) -> None:
    """The program's ends of pipes and of its terminal are the program's alone."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for stream in (null, streams.terminal, streams.output):
        if stream is not None and stream > 2:
            with contextlib.suppress(OSError):
                os.close(stream)


def pipe() -> tuple[int, int]:
    """Both ends; never in the place of a standard stream that a shell has closed."""
    ends = os.pipe()
    reading, writing = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in ends)
    for end in ends:
        os.close(end)
    return reading, writing
