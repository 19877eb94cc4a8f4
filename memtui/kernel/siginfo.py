"""What the kernel hands to whoever is told of a signal: `siginfo_t`, of ptrace and of a core dump.

Source: PTRACE_GETSIGINFO; the note NT_SIGINFO. Document: sigaction(2), asm-generic/siginfo.h: the same
layout on all 64-bit processors but MIPS. Since: 2.6; the note since 3.7. Cost: 2 µs.
"""

from __future__ import annotations

import signal
import struct
from typing import Final, NamedTuple

from memtui.kernel.files import Malformed


class SigInfo(NamedTuple):
    """A signal, and where it comes from.

    `code` is si_code. `address`: of the access, for the signals of a fault that tell one; `key`: the
    protection key that forbade it (SEGV_PKUERR). `sender_pid`, `sender_uid`: who sent it, where a
    process did.
    """

    signal: int
    code: int
    address: int | None = None
    key: int | None = None
    sender_pid: int | None = None
    sender_uid: int | None = None

    @property
    def name(self) -> str:
        """SIGSEGV, or SIG 64 for one without a name."""
        return signal_name(self.signal)

    @property
    def code_name(self) -> str:
        """SEGV_MAPERR, SI_USER, or the number."""
        return _CODES.get((self.signal, self.code)) or _SENT.get(self.code) or str(self.code)

    @property
    def was_sent(self) -> bool:
        """By a process (kill, tgkill, a queue), and not by what the program itself did."""
        return self.code <= 0


def signal_name(number: int) -> str:
    """As signal(7) has it; `SIG 64` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG {number}"


# What ends a program by its own doing, and so is explained.
FAULTS: Final = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE))
CRASHES: Final = FAULTS | {signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS}

_SEGV, _BUS, _ILL, _FPE = signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE
_CODES: Final[dict[tuple[int, int], str]] = {
    (_SEGV, 1): "SEGV_MAPERR",
    (_SEGV, 2): "SEGV_ACCERR",
    (_SEGV, 3): "SEGV_BNDERR",
    (_SEGV, 4): "SEGV_PKUERR",
    (_SEGV, 8): "SEGV_MTEAERR",
    (_SEGV, 9): "SEGV_MTESERR",
    (_SEGV, 10): "SEGV_CPERR",
    (_BUS, 1): "BUS_ADRALN",
    (_BUS, 2): "BUS_ADRERR",
    (_BUS, 3): "BUS_OBJERR",
    (_BUS, 4): "BUS_MCEERR_AR",
    (_BUS, 5): "BUS_MCEERR_AO",
    (_ILL, 1): "ILL_ILLOPC",
    (_ILL, 2): "ILL_ILLOPN",
    (_ILL, 3): "ILL_ILLADR",
    (_ILL, 4): "ILL_ILLTRP",
    (_ILL, 5): "ILL_PRVOPC",
    (_ILL, 6): "ILL_PRVREG",
    (_ILL, 7): "ILL_COPROC",
    (_ILL, 8): "ILL_BADSTK",
    (_FPE, 1): "FPE_INTDIV",
    (_FPE, 2): "FPE_INTOVF",
    (_FPE, 3): "FPE_FLTDIV",
    (_FPE, 4): "FPE_FLTOVF",
    (_FPE, 5): "FPE_FLTUND",
    (_FPE, 6): "FPE_FLTRES",
    (_FPE, 7): "FPE_FLTINV",
    (_FPE, 8): "FPE_FLTSUB",
    (signal.SIGTRAP, 1): "TRAP_BRKPT",
    (signal.SIGTRAP, 2): "TRAP_TRACE",
    (signal.SIGSYS, 1): "SYS_SECCOMP",
}
_SENT: Final[dict[int, str]] = {
    0: "SI_USER",
    -1: "SI_QUEUE",
    -2: "SI_TIMER",
    -3: "SI_MESGQ",
    -4: "SI_ASYNCIO",
    -5: "SI_SIGIO",
    -6: "SI_TKILL",
    0x80: "SI_KERNEL",
}
_SI_KERNEL: Final = 0x80
_PKUERR: Final = (_SEGV, 4)


def parse_siginfo(data: bytes) -> SigInfo:
    """A `siginfo_t`, of which at least the first 24 bytes are there. Raises Malformed."""
    if len(data) < 24:
        raise Malformed(f"siginfo of {len(data)} bytes")
    number, _errno, code = struct.unpack_from("<iii", data)
    if not 0 < number <= 64:
        raise Malformed(f"signal {number}")
    if code > 0:
        if number not in FAULTS or code == _SI_KERNEL:
            return SigInfo(
                number, code
            )  # the kernel tells no address, as with one that can be none
        (address,) = struct.unpack_from("<Q", data, 16)
        key = None
        if (number, code) == _PKUERR and len(data) >= 36:
            (key,) = struct.unpack_from("<I", data, 32)
        return SigInfo(number, code, address, key)
    if code in (0, -1, -6):
        pid, uid = struct.unpack_from("<iI", data, 16)
        return SigInfo(number, code, sender_pid=pid, sender_uid=uid)
    return SigInfo(number, code)
