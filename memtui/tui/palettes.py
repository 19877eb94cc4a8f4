"""The themes' colours. `chosen` is set before the widgets are imported, which take them as they are.

Not in theme.py, whose constants are one of these: a name that is imported is fixed from then on.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Palette(NamedTuple):
    """A theme. `contrast` is the least that text has to what is behind it, as WCAG counts it, 1 to
    21; 0: every colour as it is given."""

    dark: bool
    contrast: float
    background: str
    panel: str
    foreground: str
    bright: str
    dim: str
    frame: str
    accent: str
    selected: str
    selected_away: str
    free: str
    cache: str
    rest: str
    grows: str
    shrinks: str
    alarm: str
    past: str  # of what says that this is not now, and of nothing else


PALETTES: Final = {
    "memtui": Palette(
        dark=True,
        contrast=0,
        background="#101317",
        panel="#181c22",
        foreground="#c9d1d9",
        bright="#f0f3f6",
        dim="#7d8590",
        frame="#3a4049",
        accent="#ffb454",
        selected="#24436b",
        selected_away="#252b35",
        free="#2f7d4f",
        cache="#2a5c8a",
        rest="#414857",
        grows="#ff9e64",
        shrinks="#7dcfa0",
        alarm="#ff6b6b",
        past="#e07bff",
    ),
    "light": Palette(
        dark=False,
        contrast=4.5,
        background="#fbfbf9",
        panel="#eceff2",
        foreground="#2b3138",
        bright="#000000",
        dim="#5c646d",
        frame="#aeb5bd",
        accent="#8f4700",
        selected="#cbe1f8",
        selected_away="#e0e5ea",
        free="#9fd8b0",
        cache="#9cc4ec",
        rest="#d2d6dd",
        grows="#a84300",
        shrinks="#17724a",
        alarm="#b81d1a",
        past="#8b1fb8",
    ),
    "high-contrast": Palette(
        dark=True,
        contrast=7,
        background="#000000",
        panel="#000000",
        foreground="#ffffff",
        bright="#ffffff",
        dim="#d0d0d0",
        frame="#ffffff",
        accent="#ffd700",
        selected="#00438c",
        selected_away="#303030",
        free="#00662b",
        cache="#0047a8",
        rest="#4a4a4a",
        grows="#ffb000",
        shrinks="#5fffa0",
        alarm="#ff8787",
        past="#ff9cff",
    ),
}

chosen = "memtui"


def palette(*, few: bool) -> Palette:
    """The chosen theme's; `few`: for a terminal that has no shades."""
    found = PALETTES[chosen]
    if not few:
        return found
    # Of eight colours those that tell the bands apart: the nearest to theirs would be one grey.
    return found._replace(
        free="#00aa00", cache="#0000aa" if found.dark else "#00aaaa", rest="#aa5500"
    )
