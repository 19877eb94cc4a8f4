"""Forks of an experiment's program. `program` sees to it that they die with it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Final

from memtui.lab.tools import libc

_PR_SET_DUMPABLE: Final = 4
_NUMBER_BYTES: Final = 8
_LOOKS_EVERY_S: Final = 0.01
_KILLED_WITHIN_S: Final = 10.0


class Child:
    """A fork of the program that does what it is told: a number goes in, a number comes out."""

    def __init__(self, work: Callable[[int], int]) -> None:
        self._signal: int | None = None
        asked, self._asks = os.pipe()
        self._answers, answer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._asks)
            os.close(self._answers)
            _serve(work, asked, answer)
        os.close(asked)
        os.close(answer)

    def ask(self, number: int) -> int | None:
        """What its work makes of the number; None: it has died of it, or become another program."""
        try:
            os.write(self._asks, _packed(number))
        except BrokenPipeError:
            return None
        data = os.read(self._answers, _NUMBER_BYTES)
        return int.from_bytes(data, "little", signed=True) if data else None

    def end(self) -> int | None:
        """Kills it where it still lives, and waits for that; the signal it died of. Once."""
        if self._signal is None:
            os.kill(self.pid, signal.SIGKILL)
            self.signal_within(_KILLED_WITHIN_S)
        os.close(self._asks)
        os.close(self._answers)
        return self._signal

    def signal_within(self, seconds: float) -> int | None:
        """The signal that it dies of, 0 where it ends by itself; None: it lives on."""
        until = time.monotonic() + seconds
        while self._signal is None and time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            else:
                time.sleep(_LOOKS_EVERY_S)
        return self._signal


def set_dumpable(*, dumpable: bool) -> None:
    """Whether others of the same user may look into the caller, and whether it leaves a core dump."""
    libc.prctl(_PR_SET_DUMPABLE, int(dumpable), 0, 0, 0)


def signal_of(work: Callable[[], object]) -> int:
    """The signal that a fork of the program dies of when it does the work; 0: none."""
    child = os.fork()
    if not child:
        set_dumpable(dumpable=False)
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _serve(work: Callable[[int], int], asked: int, answer: int) -> None:
    """The child's whole life."""
    try:
        while data := os.read(asked, _NUMBER_BYTES):
            os.write(answer, _packed(work(int.from_bytes(data, "little", signed=True))))
    finally:
        os._exit(1)


def _packed(number: int) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "little", signed=True)
