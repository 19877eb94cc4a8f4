"""Forks of an experiment's program. `program` sees to it that they die with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from memtui.lab.tools import libc

_PR_SET_DUMPABLE: Final = 4
_NUMBER_BYTES: Final = 8


class Child:
    """A fork of the program that does what it is told: a number goes in, a number comes out."""

    def __init__(self, work: Callable[[int], int]) -> None:
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
        """What its work makes of the number; None: it has died of it."""
        try:
            os.write(self._asks, _packed(number))
        except BrokenPipeError:
            return None
        data = os.read(self._answers, _NUMBER_BYTES)
        return int.from_bytes(data, "little", signed=True) if data else None

    def end(self) -> int:
        """Kills it where it still lives. Returns the signal that it died of."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """Waits for its end. Returns the signal that it died of; 0: none."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self._asks)
        os.close(self._answers)
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


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
