"""The terminal of a program under watch, from the side of whoever shows it: a pty's master."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
import time
from collections.abc import Callable
from typing import Final

_AT_ONCE: Final = 1 << 18  # bytes read in a turn
_READ: Final = 1 << 16
_TYPED: Final = 1 << 20  # bytes that wait for a program that does not read: more are lost


def open_terminal(columns: int, rows: int) -> tuple[int, int]:
    """A pty of that size: its master and its slave. Raises OSError."""
    master, slave = os.openpty()
    set_size(slave, columns, rows)
    return master, slave


def set_size(descriptor: int, columns: int, rows: int) -> None:
    """Tells a terminal its size, and its program by SIGWINCH."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Pseudoterminal:
    """Hands on what the program writes, and to it what is typed. Of the interface's thread.

    What it shows takes half of that thread's time at most, however much the program writes, which
    then waits for its terminal.
    """

    def __init__(self, master: int) -> None:
        self._master = master
        os.set_blocking(master, False)
        self._take: Callable[[bytes], int] = len
        self._waiting = b""
        self._typed = b""
        self._is_over = False

    def begin(self, take: Callable[[bytes], int]) -> None:
        """From now on what comes goes to `take`, which says how many bytes of it it took."""
        self._take = take
        self._listen()

    def _listen(self) -> None:
        if not self._is_over:
            asyncio.get_running_loop().add_reader(self._master, self._readable)

    def _readable(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        self._waiting = self._read()
        self._turn()

    def _read(self) -> bytes:
        """What is there, which comes in pieces of 4 KiB."""
        data = bytearray()
        while len(data) < _AT_ONCE:
            try:
                piece = os.read(self._master, _READ)
            except BlockingIOError:
                break
            except OSError:  # EIO: nobody has the terminal any more
                piece = b""
            if not piece:
                self._is_over = True
                break
            data += piece
        return bytes(data)

    def _turn(self) -> None:
        began_s = time.monotonic()
        if self._waiting:
            self._waiting = self._waiting[self._take(self._waiting) :]
        spent_s = time.monotonic() - began_s
        loop = asyncio.get_running_loop()
        if self._waiting:
            loop.call_later(spent_s, self._turn)
        else:
            loop.call_later(spent_s, self._listen)

    def write(self, data: bytes) -> None:
        """Types it; what the program does not read yet waits."""
        waits = bool(self._typed)
        self._typed = (self._typed + data)[:_TYPED]
        if not waits:
            self._write()

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._typed = self._typed[os.write(self._master, self._typed) :]
        except BlockingIOError:
            pass
        except OSError:  # nobody reads it any more
            self._typed = b""
        if self._typed and not self._is_over:
            loop.add_writer(self._master, self._write)
        else:
            loop.remove_writer(self._master)

    def resize(self, columns: int, rows: int) -> None:
        set_size(self._master, columns, rows)

    def end(self) -> None:
        """Nobody looks any more. The program is told that its terminal is gone."""
        self._is_over = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
