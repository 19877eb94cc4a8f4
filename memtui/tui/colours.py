"""How many colours the terminal has: what it says of itself, then what its description says."""

from __future__ import annotations

import os
from typing import Final

TRUECOLOR: Final = 1 << 24
# What a terminal without a description is taken to have.
_UNDESCRIBED: Final = 8
_SYSTEMS: Final = {"truecolor": TRUECOLOR, "256": 256, "standard": 16}


def colours() -> int:
    """0 (none), 8, 16, 256 or 1 << 24, whatever NO_COLOR says.

    From TEXTUAL_COLOR_SYSTEM, which decides for Textual too, COLORTERM, and terminfo's `colors`.
    """
    asked = os.environ.get("TEXTUAL_COLOR_SYSTEM", "")
    if asked in _SYSTEMS:
        return _SYSTEMS[asked]
    if os.environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return TRUECOLOR
    return max(0, min(TRUECOLOR, _described()))


def _described() -> int:
    name = os.environ.get("TERM", "")
    try:
        import curses

        curses.setupterm(name, 1)
    except (ImportError, OSError, curses.error):
        # Names of entries that lack in old databases say it, as terminals' own do: xterm-kitty.
        return 256 if name.endswith(("256color", "kitty")) else _UNDESCRIBED
    return curses.tigetnum("colors")


def system() -> str:
    """The same as TEXTUAL_COLOR_SYSTEM has it."""
    count = colours()
    return next((name for name, least in _SYSTEMS.items() if count >= least), "standard")
