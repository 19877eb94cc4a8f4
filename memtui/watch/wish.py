"""What memtui wants of its watcher: words by a pipe, each with a number."""

from __future__ import annotations

import fcntl
import os
from typing import Final, Literal

Wish = Literal["kill", "signal", "let go"]
_WISHES: Final[dict[str, Wish]] = {"kill": "kill", "signal": "signal", "let go": "let go"}


def written(wish: Wish, number: int = 0) -> bytes:
    """A wish as it goes over the pipe."""
    return f"{wish}:{number}\n".encode()


class Wishes:
    """The watcher's end; SIGIO comes with each, and when memtui is gone: `is_closed`."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._data = b""
        self.is_closed = False

    def ask_for_signals(self) -> None:
        """To this process, from now on."""
        fcntl.fcntl(self._descriptor, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)

    def take(self) -> list[tuple[Wish, int]]:
        """Those that have come. Never waits."""
        try:
            while data := os.read(self._descriptor, 4096):
                self._data += data
            self.is_closed = True
        except BlockingIOError:
            pass
        *lines, self._data = self._data.split(b"\n")
        words = [line.decode().rpartition(":") for line in lines]
        return [(_WISHES[word], int(number)) for word, _, number in words]
