"""Bytes, rates, durations, addresses and other people's text, as text: the only formatter.

Widths are terminal cells. Unknown (None) is always "n/a", never 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

UNKNOWN = "n/a"

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")

# Control characters, bidirectional and zero-width formatting, line separators, lone surrogates
# (bytes that are not UTF-8) and tag characters: shown as escapes, never sent to a terminal.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff9-\uffff"
    "\U000e0000-\U000e0fff]"
)
_SHORT_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\x1b": "\\e"}


def size(value: float | None, *, short: bool = False) -> str:
    """A number of bytes in IEC units: `18.2 GiB`, or `18.2G` where `short`."""
    if value is None:
        return UNKNOWN
    if value < 0:
        return "-" + size(-value, short=short)
    if value == 0:
        return "0"
    scaled, step = float(value), 0
    # 1023.95 would print as "1024": the next unit starts where rounding says so.
    while round(scaled) >= 1000 and step < len(_UNITS) - 1:
        scaled /= 1024
        step += 1
    # 99.95 would print as "100.0", a digit more than there is room for.
    places = 0 if step == 0 or scaled >= 99.95 else 1 if scaled >= 0.995 else 2
    digits = f"{scaled:.{places}f}"
    return digits + _UNITS[step][0] if short else f"{digits} {_UNITS[step]}"


def change(value: float | None, *, short: bool = True) -> str:
    """A signed number of bytes: `+12.0M`, `-3.1G`; `–` where nothing changed."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "–"
    return ("+" if value > 0 else "-") + size(abs(value), short=short)


def percent(value: float | None, digits: int = 0) -> str:
    """0 to 100 as `29 %`; nothing is `0 %`, however many digits others have."""
    if value is None:
        return UNKNOWN
    return f"{value:.{digits}f} %" if value else "0 %"


def count(value: int | None) -> str:
    """A plain number with a blank between thousands: `60 000`."""
    return UNKNOWN if value is None else f"{value:,}".replace(",", " ")


def quantity(value: float) -> str:
    """A number in at most four cells: `310`, `4.2k`, `12M`; powers of 1000."""
    scaled, step = value, 0
    while round(scaled) >= 1000 and step < 4:
        scaled /= 1000
        step += 1
    places = 0 if (step == 0 and scaled == int(scaled)) or scaled >= 9.95 else 1
    return f"{scaled:.{places}f}{('', 'k', 'M', 'G', 'T')[step]}"


def duration(seconds: float | None) -> str:
    """The two leading units: `3 d 4 h`, `12 min 5 s`, `0.4 s`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = int(seconds)
    parts: list[str] = []
    for name, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        part, whole = divmod(whole, length)
        if part or parts:
            parts.append(f"{part} {name}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 "))


def elapsed(seconds: float | None) -> str:
    """As `duration`, and milliseconds below a second: `1.2 ms`, `340 ms`."""
    if seconds is None or round(seconds, 3) >= 1:
        return duration(seconds)
    milliseconds = 1000 * seconds
    return f"{milliseconds:.{1 if milliseconds < 10 else 0}f}".removesuffix(".0") + " ms"


def brief(seconds: float | None) -> str:
    """The leading unit alone, in at most six cells: `12 s`, `59 min`, `400 d`."""
    if seconds is None:
        return UNKNOWN
    for name, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {name}"
    return f"{int(seconds)} s"


def address(value: int) -> str:
    """A virtual address in the twelve digits of a 47-bit space, sixteen where it needs them."""
    return f"{value:012x}"


def permille_bar(share: float | None, width: int) -> str:
    """A bar of `width` cells, `share` (0 to 1) of it filled."""
    if share is None:
        return " " * width
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "░" * (width - filled)


def printable(text: str) -> str:
    """Other people's text with everything a terminal would obey turned into visible escapes.

    Control characters become `\\n` or `\\x07`, bidirectional overrides `\\u202e`, and bytes that
    were not UTF-8 (surrogateescape) `\\xff`.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width(text: str) -> int:
    """Terminal cells of printable text: wide characters count 2, combining ones 0."""
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def _char_width(char: str) -> int:
    # Hangul medial and final jamo join the syllable before them: 한글 decomposed is as wide.
    if "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7ff":
        return 0
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, cells: int, align: str = "<") -> str:
    """Text cut (with `…`) or padded to exactly `cells`; align `<` or `>`."""
    if cells <= 0:
        return ""
    length = width(text)
    if length > cells:
        kept, length = "", 0
        for char in text:
            step = _char_width(char)
            if length + step > cells - 1:
                break
            kept += char
            length += step
        text, length = kept + "…", length + 1
    blank = " " * (cells - length)
    return blank + text if align == ">" else text + blank


def sizes(values: Sequence[float | None]) -> list[str]:
    """Numbers of bytes for a sum: all in the largest one's unit with three places, so that they add up.

    One that would have fewer than two digits there keeps its own unit.
    """
    largest = max((abs(value) for value in values if value is not None), default=0)
    step = 0
    while largest >= 1000 and step < len(_UNITS) - 1:
        largest /= 1024
        step += 1
    texts = []
    for value in values:
        scaled = 0.0 if value is None else abs(value) / 1024**step
        if step and value is not None and scaled >= 0.01:
            texts.append(f"{'-' if value < 0 else ''}{scaled:.3f} {_UNITS[step]}")
        else:
            texts.append(size(value))
    return texts
