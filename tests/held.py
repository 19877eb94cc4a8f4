"""Programs held under ptrace at the signal that ends them."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from memtui.kernel import ptrace
from memtui.kernel.files import Gap
from memtui.kernel.registers import Registers
from memtui.kernel.siginfo import CRASHES, SigInfo
from memtui.model.crash.crash import Crash
from memtui.model.keys import ProcessKey
from memtui.ondemand.crash import read_crash
from tests.programs import LIVE, key_of

PAGE = os.sysconf("SC_PAGE_SIZE")
_WALL = 0x40000000  # __WALL: threads too; of its process group, as the test has other children
_ADDR_NO_RANDOMIZE = 0x0040000


class Held(NamedTuple):
    """A thread that stands still before its end."""

    key: ProcessKey
    tid: int
    siginfo: SigInfo
    registers: Registers | Gap

    def crash(self, lines_s: float = 60.0) -> Crash:
        return read_crash(LIVE, self.key, self.tid, self.siginfo, self.registers, PAGE, lines_s)


@contextmanager
def held(command: Sequence[str | Path]) -> Iterator[Held]:
    """Runs a program until the signal that ends it, and holds it for the block; killed after it.

    It has no environment, and its addresses are the same each time, as under gdb.
    """
    begin, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            os.setpgid(0, 0)
            os.read(begin, 1)
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            ctypes.CDLL(None).personality(_ADDR_NO_RANDOMIZE)
            os.execve(command[0], list(map(str, command)), {})
        os._exit(127)
    with suppress(OSError):
        os.setpgid(pid, pid)
    try:
        try:
            ptrace.seize(pid, ptrace.FOLLOW | ptrace.EXIT_KILL)
        except PermissionError:
            pytest.skip("ptrace is not permitted here")
        os.write(told, b"x")
        yield _until_fatal(pid)
    finally:
        for descriptor in (begin, told):
            os.close(descriptor)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while True:
                tid, status = os.waitpid(-pid, _WALL)
                if os.WIFSTOPPED(status):  # at its exit, of which it tells once more
                    with suppress(ProcessLookupError):
                        ptrace.go_on(tid, 0)


def _until_fatal(pid: int) -> Held:
    while True:
        tid, status = os.waitpid(-pid, _WALL)
        if not os.WIFSTOPPED(status):
            assert tid != pid, f"it ended by itself: {status:#x}"
            continue
        number, event = os.WSTOPSIG(status), status >> 16
        if event or number not in CRASHES:
            with suppress(ProcessLookupError):
                ptrace.go_on(tid, 0 if event else number)
            continue
        siginfo = ptrace.signal_info(tid)
        assert isinstance(siginfo, SigInfo)
        return Held(key_of(pid), tid, siginfo, ptrace.registers(tid))
