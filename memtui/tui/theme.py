"""Colours and glyphs. Every state that has a colour has a glyph or a word too."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final, NamedTuple

from rich.color import Color, blend_rgb
from rich.color_triplet import ColorTriplet
from rich.style import Style
from textual.theme import Theme

BACKGROUND: Final = "#101317"
PANEL: Final = "#181c22"
FOREGROUND: Final = "#c9d1d9"
BRIGHT: Final = "#f0f3f6"
DIM: Final = "#7d8590"
FRAME: Final = "#3a4049"
ACCENT: Final = "#ffb454"
SELECTED: Final = "#24436b"
SELECTED_AWAY: Final = "#252b35"
FREE: Final = "#2f7d4f"
CACHE: Final = "#2a5c8a"
REST: Final = "#414857"
GROWS: Final = "#ff9e64"
SHRINKS: Final = "#7dcfa0"
ALARM: Final = "#ff6b6b"

THEME: Final = Theme(
    name="memtui",
    primary=ACCENT,
    secondary=CACHE,
    foreground=FOREGROUND,
    background=BACKGROUND,
    surface=PANEL,
    panel=PANEL,
    success=SHRINKS,
    warning=GROWS,
    error=ALARM,
    dark=True,
)


@lru_cache(maxsize=4096)
def style(
    color: str | None = None,
    bg: str | None = None,
    bold: bool | None = None,
    dim: bool | None = None,
    underline: bool | None = None,
) -> Style:
    """A cell's style, made once for each combination."""
    return Style(color=color, bgcolor=bg, bold=bold, dim=dim, underline=underline)


@lru_cache(maxsize=1024)
def shade(colour: str, share: float) -> str:
    """A colour on the way from the background (0) to itself (1)."""
    low = Color.parse(BACKGROUND).get_truecolor()
    high = Color.parse(colour).get_truecolor()
    mixed: ColorTriplet = blend_rgb(low, high, share)
    return mixed.hex


class Glyphs(NamedTuple):
    """What the terminal can draw.

    `fills` are the three bands of the memory graph where colour cannot tell them apart, else
    blanks on coloured backgrounds with `eighths` where two meet; `line` is plotext's marker.
    """

    coloured: bool
    fills: tuple[str, str, str]
    eighths: str
    line: str
    dots_across: int
    bar: str
    live: str
    hole: str


_RICH: Final = Glyphs(True, (" ", " ", " "), " ▁▂▃▄▅▆▇", "braille", 2, "▌", "●", "·")
_GREY: Final = Glyphs(False, ("█", "▒", " "), " ▁▂▃▄▅▆▇", "braille", 2, "▌", "●", "·")
# The Linux console's fonts have no braille and of the eighths only the half.
_CONSOLE: Final = Glyphs(False, ("█", "▒", " "), "    ▄▄▄▄", "─", 1, "▌", "*", ".")


def glyphs() -> Glyphs:
    """What this terminal can draw, from its environment."""
    term = os.environ.get("TERM", "")
    if term in ("linux", "vt100", "vt102", "vt220", "ansi", "cons25"):
        return _CONSOLE
    return _GREY if os.environ.get("NO_COLOR") else _RICH
