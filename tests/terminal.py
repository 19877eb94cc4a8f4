"""A program in a pseudo-terminal, what a terminal emulator shows of it, and a child to look at."""

from __future__ import annotations

import codecs
import fcntl
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyte

PROJECT: Final = Path(__file__).parent.parent
DEADLINE_S: Final = 20.0

KEYS: Final = {
    "Enter": "\r",
    "Esc": "\x1b",
    "Tab": "\t",
    "Space": " ",
    "Up": "\x1b[A",
    "Down": "\x1b[B",
    "Right": "\x1b[C",
    "Left": "\x1b[D",
    "Home": "\x1b[H",
    "End": "\x1b[F",
    "PgUp": "\x1b[5~",
    "PgDn": "\x1b[6~",
    "^C": "\x03",
    "^Z": "\x1a",
}

# Queries and private modes that pyte does not know and would print as text.
# At conjoining vowels and finals of Hangul, which take no cell, it drops the rest of the text.
_UNKNOWN_TO_PYTE = re.compile(
    r"\x1b\[[<>=][0-9;]*[A-Za-z]|\x1b\[\?[0-9;]*\$p|\x1bP[^\x1b]*\x1b\\"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\u1160-\u11ff]"
)
# The beginning of a sequence whose end is in the next piece.
_CUT_OFF = re.compile(r"\x1b(?:\[[0-9;?<>=$]*|[P\]][^\x07\x1b]*\x1b?)?\Z")
# Private modes that a program may leave switched on or off: cursor, mouse, paste, screen …
_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
# What a dashboard may use, each with the state that the next program expects.
_MODES_AS_FOUND: Final = {
    25: True,  # the cursor is shown
    **dict.fromkeys((9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016), False),  # mouse
    **dict.fromkeys((47, 1047, 1049), False),  # the alternate screen
    2004: False,  # bracketed paste
    2048: False,  # resizes reported in-band
}


class Terminal:
    """Runs `argv` with a terminal of its own; use it in `with`, which ends the program."""

    def __init__(
        self,
        argv: Sequence[str],
        columns: int = 120,
        rows: int = 40,
        environment: Mapping[str, str] | None = None,
        *,
        emulate: bool = True,
        directory: Path | str = PROJECT,
    ) -> None:
        self.screen: Any = pyte.Screen(columns, rows)
        self._stream: Any = pyte.Stream(self.screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._emulate = emulate
        self._held_back = ""
        self.output = bytearray()
        self.fd, self._tty = os.openpty()
        self._set_size(columns, rows)
        self.settings_before = self.settings()
        settled = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        inherited = {
            name: value
            for name, value in os.environ.items()
            # Each of these would have a program draw another picture.
            if name not in ("COLUMNS", "LINES", "NO_COLOR", "TEXTUAL", "PYTHONUNBUFFERED")
        }
        self.started_s = time.perf_counter()
        self.process = subprocess.Popen(
            argv,
            cwd=directory,
            env={**inherited, **settled, **(environment or {})},
            stdin=self._tty,
            stdout=self._tty,
            stderr=self._tty,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if isinstance(error, AssertionError):
            error.add_note(f"the screen then:\n{self.text}")

    def close(self) -> None:
        """Ends the program and gives the terminal back."""
        if self.process.poll() is None:
            # The session's other members go with the terminal; this one might be stopped.
            self.process.kill()
            self.process.wait()
        for descriptor in (self.fd, self._tty):
            if descriptor >= 0:
                os.close(descriptor)
        self.fd = self._tty = -1

    # What it says.

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def lines(self) -> list[str]:
        """The screen, without blanks at the ends of lines."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def settings(self) -> list[Any]:
        """The line discipline's settings, as tcgetattr gives them."""
        return termios.tcgetattr(self._tty)

    def modes_left(self) -> dict[int, bool]:
        """The private modes in which the program left the terminal otherwise than expected."""
        left: dict[int, bool] = {}
        for match in _MODE.finditer(self.output):
            for mode in match[1].split(b";"):
                left[int(mode)] = match[2] == b"h"
        return {mode: on for mode, on in left.items() if on is not _MODES_AS_FOUND.get(mode, on)}

    # What one does with it.

    def type(self, *keys: str) -> None:
        """Keys by their names in KEYS, anything else letter by letter."""
        for key in keys:
            os.write(self.fd, KEYS.get(key, key).encode())

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def pump(self, seconds: float) -> bool:
        """Takes in what the program writes, waiting at most so long for any; whether there was."""
        # Not select(): beside a sampler of a thousand processes its number may be too large.
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        if not poll.poll(1000 * seconds):
            return False
        data = os.read(self.fd, 1 << 16)
        self.output += data
        if self._emulate:
            self.take(data)
        return True

    def take(self, data: bytes) -> None:
        """Shows what a program wrote."""
        text = self._held_back + self._decoder.decode(data)
        cut_off = _CUT_OFF.search(text)
        self._held_back = cut_off[0] if cut_off else ""
        text = text.removesuffix(self._held_back)
        self._stream.feed(_UNKNOWN_TO_PYTE.sub("", text))

    def wait_until(self, condition: Callable[[], object], what: str = "") -> None:
        """Takes in output until the condition holds; AssertionError at the deadline."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"never {what or 'so'}"
            # All there is before the next look: a screen is searched slower than it is drawn.
            if self.pump(0.02):
                while self.pump(0):
                    pass

    def wait_for(self, *texts: str) -> None:
        """Until all the texts stand on the screen at once."""
        self.wait_until(lambda: all(text in self.text for text in texts), f"{texts}")

    def wait_exit(self) -> int:
        """Its exit status, when it has ended and all it wrote is taken in."""
        self.wait_until(lambda: self.process.poll() is not None, "ended")
        while self.pump(0):
            pass
        return self.process.returncode

    def hang_up(self) -> None:
        """Closes our end, as a terminal's window or a lost connection does."""
        os.close(self.fd)
        os.close(self._tty)
        self.fd = self._tty = -1

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def memtui(*words: str, columns: int = 120, rows: int = 40, **environment: str) -> Terminal:
    """memtui on a terminal."""
    return Terminal([sys.executable, "-m", "memtui", *words], columns, rows, environment)


def wait_until(condition: Callable[[], object], what: str = "") -> None:
    """Polls, away from any terminal."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"never {what or 'so'}"
        time.sleep(0.01)


def state(pid: int) -> str:
    """The letter of a process's state; empty: it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2][0]
    except OSError:
        return ""


def cursor_pid(terminal: Terminal) -> str:
    """The pid of the process row that the cursor is on; empty in the middle of a repaint."""
    for line in terminal.lines:
        if found := re.match(r"▌ *(\d+) ", line):
            return found[1]
    return ""


def pid_beside(terminal: Terminal) -> str:
    """The pid whose map is beside the list."""
    for line in terminal.lines:
        # Beside the list's head, or what filters it.
        if found := re.match(r" (?: +PID |filter ).*▏ (\d+) ", line):
            return found[1]
    return ""


def names(terminal: Terminal) -> list[str]:
    """The names in the list of processes; empty in the middle of a repaint."""
    found: list[str] = []
    rows = iter(terminal.lines[:-1])
    for line in rows:
        if re.match(r" +PID NAME", line):
            found = [row[1] for row in (re.match(r"[▌ ] *\d+ (\S+)", each) for each in rows) if row]
    return found


def starts(terminal: Terminal) -> None:
    """Waits for the overview, with a process chosen and what is beside it, and the last line."""
    terminal.wait_until(
        lambda: (
            "available" in terminal.text
            and cursor_pid(terminal) != ""
            and cursor_pid(terminal) == pid_beside(terminal)
            # A line comes in pieces: its end too.
            and terminal.lines[-1].startswith(" 1 Overview")
            and "quit" in terminal.lines[-1]
        ),
        "the overview",
    )


# Waits for a line, then becomes another program; before that it may call itself something.
_SLEEPER = """
import os, sys
if sys.argv[1]:
    open("/proc/self/comm", "w").write(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
os.execv(sys.argv[2], ["sleep", "1000"])
"""
SLEEP = shutil.which("sleep") or "/bin/sleep"


@contextmanager
def sleeper(name: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A child that sleeps, and turns into sleep(1) when it is given a line."""
    with subprocess.Popen(
        [sys.executable, "-c", _SLEEPER, name, SLEEP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        try:
            assert child.stdout
            assert child.stdout.readline() == b"ready\n"
            yield child
        finally:
            child.kill()
