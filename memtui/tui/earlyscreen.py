"""The terminal's other screen before Textual is there to enter it, and left as it was found."""

from __future__ import annotations

import os
import signal
import termios
from contextlib import suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from textual.drivers.linux_driver import LinuxDriver

_ENTER: Final = "\x1b[?1049h"
_LEAVE: Final = "\x1b[?1049l"
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class EarlyScreen:
    """Shows a picture on the other screen until the interface paints over it; use it in `with`.

    Keys are not echoed meanwhile, and wait for the interface; Ctrl+C, Ctrl+Z and what else ends
    a program give the terminal back first. What is written goes where Textual writes.
    """

    def __init__(self, keys: int = 0, screen: int = 2) -> None:
        """The descriptors of the terminal that keys come from, and of the screen."""
        self._keys, self._screen = keys, screen
        self._attributes: list[Any] = []
        self._handlers: dict[int, Any] = {}
        self._picture = ""
        self.is_shown = False

    def size(self) -> tuple[int, int] | None:
        """Columns and lines, as the interface will see them; None where it is no terminal."""
        if not os.isatty(self._keys) or not os.isatty(self._screen):
            return None
        try:
            given = int(os.environ.get("COLUMNS", 0)), int(os.environ.get("LINES", 0))
            real = os.get_terminal_size(1)
        except (ValueError, OSError):
            return None
        return given[0] or real[0], given[1] or real[1]

    def show(self, picture: str) -> None:
        """Enters the other screen, with this on it."""
        self._picture = picture
        self._handlers = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGINT, self._ended),
                (signal.SIGTERM, self._ended),
                (signal.SIGHUP, self._ended),
                (signal.SIGTSTP, self._stopped),
            )
        }
        self._enter()

    def _enter(self) -> None:
        self.is_shown = True
        self._attributes = termios.tcgetattr(self._keys)
        quiet = termios.tcgetattr(self._keys)
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        # Without waiting, which also is without forgetting what has been typed.
        termios.tcsetattr(self._keys, termios.TCSANOW, quiet)
        self._write(_ENTER + _HIDE_CURSOR + self._picture)

    def leave(self) -> None:
        """Gives the terminal back as it was found, unless the interface has done so."""
        if self.is_shown:
            self.is_shown = False
            self._write(_LEAVE + _SHOW_CURSOR)
            termios.tcsetattr(self._keys, termios.TCSANOW, self._attributes)

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        while data:
            data = data[os.write(self._screen, data) :]

    def _ended(self, number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def _stopped(self, _number: int, _frame: FrameType | None) -> None:
        self.leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._enter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def driver(self) -> type[LinuxDriver]:
        """Textual's driver for a terminal on whose other screen it finds itself."""
        from textual.drivers.linux_driver import LinuxDriver

        early = self

        class Driver(LinuxDriver):
            """Takes over what is shown, if anything is, and gives back what was before it."""

            def __init__(self, *arguments: Any, **named: Any) -> None:
                super().__init__(*arguments, **named)
                self._file: Any = _Perhaps(self._file)

            def write(self, data: str) -> None:
                # Some terminals clear the other screen when they are told to enter it again.
                if not (data == _ENTER and early.is_shown):
                    super().write(data)

            def start_application_mode(self) -> None:
                super().start_application_mode()  # type: ignore[no-untyped-call]
                if early.is_shown:
                    self.attrs_before = early._attributes

            def stop_application_mode(self) -> None:
                early.is_shown = False
                super().stop_application_mode()

        return Driver


class _Perhaps:
    """A terminal that may be gone. Textual's writing thread would end at an error, and whoever writes
    wait for it for ever.
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()

    def fileno(self) -> int:
        return int(self._file.fileno())
