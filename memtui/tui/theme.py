"""Colours and glyphs. Every state that has a colour has a glyph or a word too."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.color import Color, blend_rgb
from rich.color_triplet import ColorTriplet
from rich.style import Style

from memtui.tui import palettes
from memtui.tui.colours import colours

if TYPE_CHECKING:
    from textual.theme import Theme

_SHADED_FROM: Final = 256  # colours: fewer are no shades of each other
_PALETTE: Final = palettes.palette(few=colours() < _SHADED_FROM)
BACKGROUND: Final = _PALETTE.background
PANEL: Final = _PALETTE.panel
FOREGROUND: Final = _PALETTE.foreground
BRIGHT: Final = _PALETTE.bright
DIM: Final = _PALETTE.dim
FRAME: Final = _PALETTE.frame
ACCENT: Final = _PALETTE.accent
SELECTED: Final = _PALETTE.selected
SELECTED_AWAY: Final = _PALETTE.selected_away
FREE: Final = _PALETTE.free
CACHE: Final = _PALETTE.cache
REST: Final = _PALETTE.rest
GROWS: Final = _PALETTE.grows
SHRINKS: Final = _PALETTE.shrinks
ALARM: Final = _PALETTE.alarm
PAST: Final = _PALETTE.past

# What the style sheet's $background, $surface and $foreground come to: the default theme leaves them
# as Textual has them.
GROUND: Final = "#121212" if palettes.chosen == "memtui" else BACKGROUND
SURFACE: Final = "#1e1e1e" if palettes.chosen == "memtui" else PANEL
TEXT: Final = "#e0e0e0" if palettes.chosen == "memtui" else FOREGROUND


def textual_theme() -> Theme:
    """The theme as Textual takes it."""
    from textual.theme import Theme

    return Theme(
        name=palettes.chosen,
        primary=ACCENT,
        secondary=CACHE,
        foreground=FOREGROUND,
        background=BACKGROUND,
        surface=PANEL,
        panel=PANEL,
        success=SHRINKS,
        warning=GROWS,
        error=ALARM,
        dark=_PALETTE.dark,
    )


_FILL_CONTRAST: Final = 3.0  # of a coloured area to the background


@lru_cache(maxsize=4096)
def style(
    color: str | None = None,
    bg: str | None = None,
    bold: bool | None = None,
    dim: bool | None = None,
    underline: bool | None = None,
) -> Style:
    """A cell's style, made once for each combination; text that the theme keeps legible."""
    if color is not None and _PALETTE.contrast:
        # A row may be the chosen one, whose ground is the nearest to its text.
        color = legible(color, SELECTED if bg is None else bg, _PALETTE.contrast)
    return Style(color=color, bgcolor=bg, bold=bold, dim=dim, underline=underline)


@lru_cache(maxsize=256)
def blocks(color: str, bg: str | None = None) -> Style:
    """The style of a block that fills its cell or a part of it: colours as they are."""
    return Style(color=color, bgcolor=bg)


@lru_cache(maxsize=1024)
def shade(colour: str, share: float) -> str:
    """A colour on the way from the background (0) to itself (1)."""
    if _PALETTE.contrast:
        colour = legible(colour, BACKGROUND, _FILL_CONTRAST)
    return _mixed(BACKGROUND, colour, share)


def legible(colour: str, ground: str, least: float) -> str:
    """The colour, moved towards black or white until it has this contrast to what is behind it."""
    if contrast(colour, ground) >= least:
        return colour
    end = max("#000000", "#ffffff", key=lambda each: contrast(each, ground))
    mixes = (_mixed(colour, end, step / 16) for step in range(1, 16))
    return next((mix for mix in mixes if contrast(mix, ground) >= least), end)


def contrast(one: str, other: str) -> float:
    """1 (the same) to 21 (black on white), as WCAG 2 defines it."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in Color.parse(colour).get_truecolor().normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mixed(low: str, high: str, share: float) -> str:
    mixed: ColorTriplet = blend_rgb(
        Color.parse(low).get_truecolor(), Color.parse(high).get_truecolor(), share
    )
    return mixed.hex


# On the line of an event or at its time in a graph: glyphs that the Linux console has too.
_EVENT_MARKS: Final = {
    "note": ("·", FOREGROUND),
    "warning": ("!", GROWS),
    "alarm": ("◆", ALARM),
}


def event_mark(level: str) -> tuple[str, Style]:
    """The glyph of an event, note, warning or alarm, and its style."""
    glyph, colour = _EVENT_MARKS[level]
    return glyph, style(colour, PANEL, bold=True)


class Glyphs(NamedTuple):
    """What the terminal can draw; `shaded`: a colour in many shades.

    `fills` are the three bands of the memory graph where colour cannot tell them apart, else
    blanks on coloured backgrounds with `eighths` where two meet; `line` is plotext's marker;
    `heights` is nothing up to all of a cell, and never empty; `ticks` are right and wrong, `past` and
    `plays` stand before a moment that is not now.
    """

    coloured: bool
    shaded: bool
    fills: tuple[str, str, str]
    eighths: str
    line: str
    dots_across: int
    bar: str
    live: str
    hole: str
    heights: str
    ticks: tuple[str, str]
    past: str
    plays: str


HEIGHTS: Final = "▁▂▃▄▅▆▇█"

_LEAST_COLOURS: Final = 8  # that tell three bands, an alarm and a cursor apart
_RICH: Final = Glyphs(
    *(True, True, (" ", " ", " "), " ▁▂▃▄▅▆▇", "braille", 2, "▌", "●", "·", HEIGHTS, ("✓", "✗")),
    *("◀", "▶"),
)
_GREY: Final = _RICH._replace(coloured=False, shaded=False, fills=("█", "▒", " "))
# The Linux console's fonts have no braille, of the eighths only the half, and of ticks none.
_CONSOLE: Final = Glyphs(
    *(False, False, ("█", "▒", " "), "    ▄▄▄▄", "─", 1, "▌", "*", ".", "_▄█", ("√", "x")),
    *("<", ">"),
)


def glyphs() -> Glyphs:
    """What this terminal can draw, from its environment."""
    term = os.environ.get("TERM", "")
    if term in ("linux", "vt100", "vt102", "vt220", "ansi", "cons25"):
        return _CONSOLE
    return _GREY if os.environ.get("NO_COLOR") else _glyphs_in(colours())


@lru_cache
def _glyphs_in(count: int) -> Glyphs:
    return _RICH._replace(shaded=count >= _SHADED_FROM) if count >= _LEAST_COLOURS else _GREY
