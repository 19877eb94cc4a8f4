"""What a program's terminal shows: an emulator that takes any bytes, and the lines of its screen.

The emulation is pyte's, with what xterm-256color promises beyond it; what it does not know it skips.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable
from copy import copy
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import pyte
from pyte import modes
from rich.style import Style
from wcwidth import wcwidth

from memtui import units
from memtui.tui.words.cells import Part

# Sequences that pyte would print as text: private ones, with intermediate bytes or colons; and
# strings for the terminal itself: one that never ends would swallow all that comes.
_SKIPPED: Final = re.compile(
    r"\x1b\[[<=>][0-?]*[ -/]*[@-~]"
    r"|\x1b\[[0-?]*[ -/]+[@-~]"
    r"|\x1b\[[0-9;]*:[0-9;:]*[@-~]"
    r"|\x1b[PX^_\]][^\x1b\x07]*(?:\x1b\\|\x07)"
    r"|\x1b[*+\-./ ][0-~]"
    r"|\x1b[PX^_\]]|[\x80-\x9f]"
)
# The beginning of a sequence whose end is in the next piece.
_CUT_OFF: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[PX^_\]][^\x1b\x07]*\x1b?|[*+\-./ ()#%])?\Z")
_HELD_BACK: Final = 1 << 12  # characters of such a beginning; more is rubbish
# Text that runs on, with nothing but colours: of it the last lines alone are seen.
_RUNNING: Final = re.compile(rb"(?:[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]++|\x1b\[[0-9;]*m)*+")
_COLOURS: Final = re.compile(rb"\x1b\[[0-9;]*m")
_PIECE: Final = 4096  # bytes in a turn where each has to be looked at: some milliseconds
_REPEATED: Final = 9999

_CURSOR_KEYS: Final = 1 << 5  # private mode 1, as pyte keeps it
_BRACKETED_PASTE: Final = 2004 << 5
_MOUSE: Final = frozenset((1000 << 5, 1002 << 5, 1003 << 5))
_MOUSE_SGR: Final = 1006 << 5
_OTHER_SCREEN: Final = frozenset((47, 1047, 1049))
_NAMES: Final = {"brown": "yellow", "brightbrown": "bright_yellow"}


class _Stream(pyte.Stream):
    """With what xterm-256color has beyond pyte's sequences: scrolling, repeating, tabs backwards."""

    csi = pyte.Stream.csi | {
        "S": "scroll_up",
        "T": "scroll_down",
        "b": "repeat",
        "Z": "tab_back",
        "s": "save_cursor",
        "u": "restore_cursor",
    }


class _Screen(pyte.Screen):
    """Pyte's screen, with the other screen of full-screen programs and answers to questions."""

    def __init__(self, columns: int, rows: int, reply: Callable[[bytes], object]) -> None:
        self._reply = reply
        self._last = ""
        self._main: tuple[dict[int, Any], int, int] | None = None
        super().__init__(columns, rows)

    @property
    def is_other(self) -> bool:
        return self._main is not None

    def draw(self, data: str) -> None:
        if not (data.isascii() and data.isprintable()):
            data = "".join(map(_drawn, data))  # pyte drops all that is after one it cannot draw
        self._last = data[-1:] or self._last
        super().draw(data)

    def repeat(self, count: int = 1) -> None:
        if self._last:
            self.draw(self._last * min(max(count, 1), _REPEATED))

    def scroll_up(self, count: int = 1) -> None:
        self._scroll(count, down=False)

    def scroll_down(self, count: int = 1) -> None:
        self._scroll(count, down=True)

    def _scroll(self, count: int, *, down: bool) -> None:
        top, bottom = self.margins or (0, self.lines - 1)
        at, self.cursor.y = self.cursor.y, top if down else bottom
        for _ in range(min(max(count, 1), self.lines)):
            if down:
                self.reverse_index()
            else:
                self.index()
        self.cursor.y = at

    def tab_back(self, count: int = 1) -> None:
        for _ in range(min(max(count, 1), self.columns)):
            stops = [stop for stop in self.tabstops if stop < self.cursor.x]
            self.cursor.x = max(stops, default=0)

    def set_mode(self, *numbers: int, **which: Any) -> None:
        if which and self._main is None and not _OTHER_SCREEN.isdisjoint(numbers):
            lines = {y: copy(line) for y, line in self.buffer.items()}
            self._main = lines, self.cursor.x, self.cursor.y
            self.erase_in_display(2)
        super().set_mode(*numbers, **which)

    def reset_mode(self, *numbers: int, **which: Any) -> None:
        if which and self._main is not None and not _OTHER_SCREEN.isdisjoint(numbers):
            lines, x, y = self._main
            self._main = None
            self.buffer.clear()
            self.buffer.update(lines)
            self.cursor.x, self.cursor.y = min(x, self.columns), min(y, self.lines - 1)
            self.dirty.update(range(self.lines))
        super().reset_mode(*numbers, **which)

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Fewer lines are taken from below the cursor first: pyte takes them from the top."""
        if lines is not None and lines < self.lines:
            over = max(0, self.cursor.y - lines + 1)
            kept = {y - over: self.buffer[y] for y in range(over, over + lines)}
            self.buffer.clear()
            self.buffer.update(kept)
            self.cursor.y -= over
            self.lines = lines
            self.set_margins()
        super().resize(lines, columns)

    def write_process_input(self, data: str) -> None:
        self._reply(data.encode())


@lru_cache(maxsize=4096)
def _drawn(char: str) -> str:
    """A character, or what stands for it: nothing where it takes no cell and joins no other."""
    cells = wcwidth(char)
    if cells < 0 or (cells == 0 and not unicodedata.combining(char)):
        return ""
    return char if units.printable(char) == char else "\ufffd"


class _Forgiving:
    """A screen whose methods never fail: a sequence that pyte does not take is skipped."""

    def __init__(self, screen: _Screen) -> None:
        self._screen = screen

    def __getattr__(self, name: str) -> Callable[..., None]:
        method = getattr(self._screen, name)

        def call(*arguments: Any, **named: Any) -> None:
            try:
                method(*arguments, **named)
            except Exception:  # pyte's own, for parameters that nobody foresaw
                return

        return call


class Emulator:
    """A terminal's screen. `reply` is given what it answers to the program's questions."""

    def __init__(self, columns: int, rows: int, reply: Callable[[bytes], object]) -> None:
        self._screen = _Screen(columns, rows, reply)
        forgiving: Any = _Forgiving(self._screen)
        self._stream = _Stream(forgiving, strict=False)
        self._stream.use_utf8 = False  # or line drawing by the other character set is letters
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held_back = ""
        self._cursor_at = 0

    def feed(self, data: bytes) -> int:
        """Takes what a program has written, any bytes; how many of them, so that it takes no time."""
        running = 0
        if len(data) > _PIECE and not self._held_back and self._screen.margins is None:
            found = _RUNNING.match(data)
            running = found.end() if found else 0
        taken = max(running, min(_PIECE, len(data)))
        self._take(self._seen(data[:taken]) if running > _PIECE else data[:taken])
        return taken

    def _seen(self, data: bytes) -> bytes:
        """Text that runs on, without the lines that will have left the screen by the end of it."""
        at = len(data)
        for _ in range(self._screen.lines + 1):
            at = data.rfind(b"\r\n", 0, at)
            if at < 0:
                return data
        self._decoder.reset()
        return b"".join(_COLOURS.findall(data, 0, at)[-self._screen.lines :]) + data[at:]

    def _take(self, data: bytes) -> None:
        text = self._held_back + self._decoder.decode(data)
        cut_off = _CUT_OFF.search(text, max(0, len(text) - _HELD_BACK))
        self._held_back = cut_off[0] if cut_off else ""
        text = text[: len(text) - len(self._held_back)]
        self._stream.feed(_SKIPPED.sub("", text))

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        self._screen.dirty.update(range(rows))

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self._screen.columns, self._screen.lines

    @property
    def cursor_mode(self) -> bool:
        """Whether the program wants the other sequences of the cursor keys."""
        return _CURSOR_KEYS in self._screen.mode

    @property
    def bracketed_paste(self) -> bool:
        return _BRACKETED_PASTE in self._screen.mode

    @property
    def mouse(self) -> bool:
        """Whether the program wants to hear of the mouse, in the one way that is spoken here."""
        return _MOUSE_SGR in self._screen.mode and not _MOUSE.isdisjoint(self._screen.mode)

    @property
    def is_full_screen(self) -> bool:
        """Whether it is on the other screen, which has nothing to scroll back to."""
        return self._screen.is_other

    @property
    def cursor(self) -> tuple[int, int] | None:
        """Column and row; None where it is hidden."""
        if modes.DECTCEM not in self._screen.mode:
            return None
        cursor = self._screen.cursor
        return min(cursor.x, self._screen.columns - 1), cursor.y

    def take_changed(self) -> set[int]:
        """The rows that look otherwise than when this was asked last."""
        changed = {y for y in self._screen.dirty if 0 <= y < self._screen.lines}
        self._screen.dirty.clear()
        y = self._screen.cursor.y
        changed |= {y, self._cursor_at}  # the cursor makes none dirty
        self._cursor_at = y
        return changed

    def line(self, y: int, at_cursor: Style) -> list[Part]:
        """A row of the screen, as many cells wide as that is; the cursor in a style of its own."""
        row, columns = self._screen.buffer[y], self._screen.columns
        cursor = self.cursor
        cursor_x = cursor[0] if cursor is not None and cursor[1] == y else -1
        pieces: list[Part] = []
        x = 0
        while x < columns:
            char, style = row[x], style_of(row[x][1:])
            cells = units.width(char.data)
            text = char.data if cells == 1 else " "
            if x == cursor_x:
                style += at_cursor
            if cells == 2 and x + 1 < columns and row[x + 1].data == "":
                text, x = char.data, x + 1
            pieces.append((text, style))
            x += 1
        return [
            ("".join(text for text, _ in run), style)
            for style, run in groupby(pieces, key=itemgetter(1))
        ]


@lru_cache(maxsize=4096)
def style_of(attributes: tuple[Any, ...]) -> Style:
    """The style of pyte's attributes: colours, bold, italics, underline, struck through, reverse."""
    front, back, bold, italics, underlined, struck, reverse, *_ = attributes
    return Style(
        color=_colour(front),
        bgcolor=_colour(back),
        bold=bold or None,
        italic=italics or None,
        underline=underlined or None,
        strike=struck or None,
        reverse=reverse or None,
    )


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    if len(name) == 6 and all(each in "0123456789abcdef" for each in name):
        return f"#{name}"
    return _NAMES.get(name) or name.replace("bright", "bright_", 1)
