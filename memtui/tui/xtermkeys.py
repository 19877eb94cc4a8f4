"""Keys as a terminal sends them to its program: xterm's sequences, by Textual's names of keys.

Document: xterm's ctlseqs, "PC-Style Function Keys"; terminfo's xterm-256color.
"""

from __future__ import annotations

from typing import Final

_CURSOR: Final = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_FIRST_FOUR: Final = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
_NUMBERED: Final = {"insert": 2, "delete": 3, "pageup": 5, "pagedown": 6} | {
    "f5": 15,
    "f6": 17,
    "f7": 18,
    "f8": 19,
    "f9": 20,
    "f10": 21,
    "f11": 23,
    "f12": 24,
}
_PLAIN: Final = {"enter": "\r", "tab": "\t", "escape": "\x1b", "backspace": "\x7f", "space": " "}
_CONTROL: Final = {"@": "\0"} | {
    "at": "\0",
    "space": "\0",
    "left_square_bracket": "\x1b",
    "backslash": "\x1c",
    "right_square_bracket": "\x1d",
    "circumflex_accent": "\x1e",
    "underscore": "\x1f",
    "slash": "\x1f",
    "backspace": "\x08",
    "enter": "\r",
    "tab": "\t",
}
_MODIFIERS: Final = {"shift": 1, "alt": 2, "ctrl": 4}
_PASTE: Final = "\x1b[200~", "\x1b[201~"


def encoded(key: str, character: str | None, *, cursor_mode: bool = False) -> bytes:
    """What a program reads when a key is pressed; b"" for one that no terminal sends.

    `cursor_mode`: it has asked for the other sequences of the cursor keys (DECCKM).
    """
    *held, name = key.split("+")
    modifiers = sum(_MODIFIERS.get(each, 0) for each in held)
    text = _function_key(name, modifiers, cursor_mode)
    if not text:
        text = _character(name, held, character)
        if text and "alt" in held:
            text = "\x1b" + text
    return text.encode("utf-8", "replace")


def _function_key(name: str, modifiers: int, cursor_mode: bool) -> str:
    letter = _CURSOR.get(name) or _FIRST_FOUR.get(name)
    if letter:
        if modifiers:
            return f"\x1b[1;{modifiers + 1}{letter}"
        return f"\x1bO{letter}" if cursor_mode or name in _FIRST_FOUR else f"\x1b[{letter}"
    if name in _NUMBERED:
        number = _NUMBERED[name]
        return f"\x1b[{number};{modifiers + 1}~" if modifiers else f"\x1b[{number}~"
    return "\x1b[Z" if name == "tab" and modifiers == _MODIFIERS["shift"] else ""


def _character(name: str, held: list[str], character: str | None) -> str:
    if "ctrl" in held:
        if name in _CONTROL:
            return _CONTROL[name]
        return chr(ord(name) & 0x1F) if len(name) == 1 and name.isascii() else ""
    if name in _PLAIN:
        return _PLAIN[name]
    if character:
        return character
    if len(name) != 1:
        return ""
    return name.upper() if "shift" in held else name


def pointed(button: int, column: int, row: int, *, is_down: bool = True) -> bytes:
    """What a program reads that hears of the mouse (SGR, mode 1006): buttons from 0, 64 and 65 are the
    wheel's; columns and rows from 0."""
    return f"\x1b[<{button};{column + 1};{row + 1}{'M' if is_down else 'm'}".encode()


def pasted(text: str, *, bracketed: bool) -> bytes:
    """Pasted text as a program reads it: lines end as Enter ends them.

    `bracketed`: the program has asked to be told that it was not typed; text cannot pretend to end
    that.
    """
    text = text.replace("\r\n", "\r").replace("\n", "\r")
    if bracketed:
        text = text.replace("\x1b", "").join(_PASTE)
    return text.encode("utf-8", "replace")
