"""ptrace(2): a thread under watch is stopped, asked and let go on.

Document: ptrace(2). Since: 3.4 (SEIZE, EVENT_STOP), 3.8 (EXITKILL). Cost: 3 µs a request.

All requests for a thread come from the one that seized it, or they fail with ESRCH: there is one
thread in memtui that uses this module, and never the interface's.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
from typing import Final

from memtui.kernel.files import Gap
from memtui.kernel.registers import (
    PROCESSORS,
    Processor,
    Registers,
    parse_registers,
    register_bytes,
)
from memtui.kernel.siginfo import SigInfo, parse_siginfo

_CONT: Final = 7
_DETACH: Final = 17
_SETOPTIONS: Final = 0x4200
_GETEVENTMSG: Final = 0x4201
_GETSIGINFO: Final = 0x4202
_GETREGSET: Final = 0x4204
_SEIZE: Final = 0x4206
_INTERRUPT: Final = 0x4207
_LISTEN: Final = 0x4208

FORK, VFORK, CLONE, EXEC, VFORK_DONE, EXIT, STOP = 1, 2, 3, 4, 5, 6, 128  # events
FOLLOW: Final = (1 << FORK) | (1 << VFORK) | (1 << CLONE) | (1 << EXEC) | (1 << EXIT)
EXIT_KILL: Final = 1 << 20  # whoever is watched dies with the watcher

_NT_PRSTATUS: Final = 1
_SIGINFO_BYTES: Final = 128
_PR_SET_PDEATHSIG: Final = 1


class _Piece(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


_libc = ctypes.CDLL(None, use_errno=True)
_ptrace = _libc.ptrace
_ptrace.restype = ctypes.c_long
_ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def _request(request: int, tid: int, address: int = 0, data: object = 0) -> None:
    if _ptrace(request, tid, address, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def seize(tid: int, options: int) -> None:
    """Begins to watch, without stopping it. PermissionError where that is not allowed."""
    _request(_SEIZE, tid, 0, options)


def go_on(tid: int, number: int = 0) -> None:
    """Lets it run, with a signal delivered. ProcessLookupError: it has died meanwhile."""
    _request(_CONT, tid, 0, number)


def listen(tid: int) -> None:
    """Leaves it stopped by job control, until SIGCONT."""
    _request(_LISTEN, tid)


def interrupt(tid: int) -> None:
    """Stops it, with event STOP."""
    _request(_INTERRUPT, tid)


def detach(tid: int, number: int = 0) -> None:
    """Lets it run unwatched."""
    _request(_DETACH, tid, 0, number)


def event_message(tid: int) -> int:
    """Of fork, vfork and clone the new one's id; of exec the former one's; of exit the wait status."""
    value = ctypes.c_ulong()
    _request(_GETEVENTMSG, tid, 0, ctypes.byref(value))
    return value.value


def signal_info(tid: int) -> SigInfo | Gap:
    """Why it is stopped by a signal."""
    buffer = ctypes.create_string_buffer(_SIGINFO_BYTES)
    try:
        _request(_GETSIGINFO, tid, 0, buffer)
        return parse_siginfo(buffer.raw)
    except (OSError, ValueError) as error:
        return Gap(f"ptrace {tid}", "failed", str(error))


def processor() -> Processor | None:
    """This machine's, where its registers are known."""
    machine = platform.machine()
    return next((each for each in PROCESSORS if each == machine), None)


def registers(tid: int) -> Registers | Gap:
    """Those of a stopped thread; a Gap on a processor whose registers are not known."""
    kind = processor()
    if kind is None:
        return Gap("registers", "unsupported", f"of {platform.machine()} they are not known")
    size = register_bytes(kind)
    buffer = ctypes.create_string_buffer(size)
    piece = _Piece(ctypes.cast(buffer, ctypes.c_void_p), size)
    try:
        _request(_GETREGSET, tid, _NT_PRSTATUS, ctypes.byref(piece))
    except OSError as error:
        return Gap("registers", "failed", error.strerror or "")
    if piece.length != size:
        return Gap("registers", "unsupported", "it is a 32-bit program")
    return parse_registers(buffer.raw, kind)


def die_with_parent() -> None:
    """From now on this process is killed when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
