"""The pane that shows a program's terminal, and hands it every key while it has them."""

from __future__ import annotations

import time
from typing import Final

from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.strip import Strip

from memtui.tui.pseudoterminal import Pseudoterminal
from memtui.tui.widgets.emulator import Emulator
from memtui.tui.widgets.lines import Drawn, strip
from memtui.tui.xtermkeys import encoded, pasted, pointed

LEAVES: Final = "f12"
_FRAME_S: Final = 1 / 30
_CURSOR: Final = Style(reverse=True)
_CURSOR_AWAY: Final = Style(underline=True)


class TerminalPane(Drawn, can_focus=True):
    """A terminal of the size that there is room for. All keys but F12 are the program's."""

    def __init__(self, terminal: Pseudoterminal, size: tuple[int, int], *, id: str) -> None:
        super().__init__(id=id)
        self._terminal = terminal
        self._emulator = Emulator(*size, terminal.write)
        self._painted_s = 0.0
        self._will_paint = False

    def on_mount(self) -> None:
        self._terminal.begin(self._feed)

    def on_unmount(self) -> None:
        self._terminal.end()

    def _feed(self, data: bytes) -> int:
        taken = self._emulator.feed(data)
        if not self._will_paint:
            self._will_paint = True
            wait_s = self._painted_s + _FRAME_S - time.monotonic()
            if wait_s > 0:
                self.set_timer(wait_s, self._paint)
            else:
                self._paint()
        return taken

    def _paint(self) -> None:
        self._will_paint, self._painted_s = False, time.monotonic()
        width = self.size.width
        if rows := self._emulator.take_changed():
            self.refresh(*(Region(0, y, width, 1) for y in rows))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= self._emulator.size[1]:
            return Strip.blank(width, self.base)
        cursor = _CURSOR if self.has_focus else _CURSOR_AWAY
        return strip(self._emulator.line(y, cursor), width, self.base)

    def on_resize(self) -> None:
        width, height = self.size
        if width and height and (width, height) != self._emulator.size:
            self._emulator.resize(width, height)
            self._terminal.resize(width, height)
            self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return key != LEAVES and self.can_focus

    def on_key(self, event: events.Key) -> None:
        if not self.check_consume_key(event.key, event.character):
            return
        # Before any binding, of the pane or around it.
        event.stop()
        event.prevent_default()
        mode = self._emulator.cursor_mode
        self._terminal.write(encoded(event.key, event.character, cursor_mode=mode))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if self._emulator.mouse:
            self._terminal.write(pointed(event.button - 1, event.x, event.y))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._emulator.mouse:
            self._terminal.write(pointed(event.button - 1, event.x, event.y, is_down=False))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 64, "up")

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, 65, "down")

    def _wheel(self, event: events.MouseEvent, button: int, key: str) -> None:
        """To whom hears of it; a full-screen program has cursor keys instead, as xterm does."""
        event.stop()
        emulator = self._emulator
        if emulator.mouse:
            self._terminal.write(pointed(button, event.x, event.y))
        elif emulator.is_full_screen:
            self._terminal.write(3 * encoded(key, None, cursor_mode=emulator.cursor_mode))

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self._terminal.write(pasted(event.text, bracketed=self._emulator.bracketed_paste))
