"""The verdict in a line: a glyph and a word for its level, the stalls and the swap, the reason."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure
from memtui.model.system.free import Free
from memtui.tui import theme
from memtui.tui.words.cells import Line, Part, cells
from memtui.tui.words.frame import stall_parts, swap_parts, why_no_pressure

if TYPE_CHECKING:
    from memtui.model.shortage.rules import Level
    from memtui.model.shortage.verdict import Verdict

_LEAST_REASON: Final = 24  # cells, below which a cut sentence tells nothing

_GLYPHS: Final[dict[Level, str]] = {
    "reclaiming": "▲",
    "thrashing": "▲",
    "stalling": "■",
    "about_to_run_out": "▼",
    "being_killed": "†",
}


def level_colour(level: Level | None) -> str:
    """Calm, something to look at, or an alarm."""
    if level is None:
        return theme.DIM
    if level == "comfortable":
        return theme.SHRINKS
    if level == "reclaiming":
        return theme.ACCENT
    return theme.GROWS if level == "thrashing" else theme.ALARM


def level_glyph(level: Level) -> str:
    """What stands for its colour where there is none."""
    return theme.glyphs().live if level == "comfortable" else _GLYPHS[level]


def level_parts(verdict: Verdict | None) -> list[Part]:
    """`▲ reclaiming`."""
    if verdict is None:
        return [("…", theme.style(theme.DIM))]
    if verdict.level is None:
        return [("no verdict", theme.style(theme.DIM))]
    glyph = level_glyph(verdict.level)
    style = theme.style(level_colour(verdict.level), bold=verdict.level != "comfortable")
    return [(f"{glyph} {verdict.level.replace('_', ' ')}", style)]


def reason(verdict: Verdict | None) -> str:
    """The sentence without the level, which stands before it already."""
    if verdict is None:
        return ""
    head, colon, rest = verdict.sentence.partition(": ")
    return rest if colon and verdict.level is not None else head


def stalled_at_first(pressure: Pressure | Gap) -> float | None:
    """What stands for the last interval's stalls before there was one: the kernel's last 10 s."""
    some = pressure.some if isinstance(pressure, Pressure) else None
    return some.avg10_pct if some else None


def verdict_line(
    width: int,
    pressure: Pressure | Gap,
    stalled: float | None,
    free: Free,
    verdict: Verdict | None,
    skipped: int = 0,
) -> Line:
    """Level, stalls and swap in one line, the reason where there is room for it.

    `stalled` in per cent; ticks that were `skipped` lately are told of instead of the reason.
    """
    dim = theme.style(theme.DIM)
    narrow = width < 100
    dot: Part = (" · " if narrow else "  ·  ", dim)
    level: list[Part] = [(" ", dim), *level_parts(verdict), dot]
    stalls: list[Part] = [("stalled ", dim), *stall_parts(stalled)]
    if not isinstance(pressure, Pressure):
        stalls = [("stalls n/a: ", dim), (why_no_pressure(pressure), dim)]
    swap = swap_parts(free, 6 if narrow else 12, short=narrow)
    if skipped:
        late: Part = (f"{skipped} ticks skipped", theme.style(theme.GROWS))
        return [*level, *stalls, dot, *swap, dot, late]
    words = reason(verdict)
    calm = verdict is None or verdict.level in (None, "comfortable")
    bare = swap_parts(free, 0, short=narrow)
    brief = stalls if isinstance(pressure, Pressure) else [("stalls n/a", dim)]
    # Richest first; where all is well the figures say what the sentence does.
    forms = ((stalls, swap), (stalls, bare), (brief, bare[:3]))
    for figures in forms[:1] if calm else forms:
        parts = [*level, *figures[0], dot, *figures[1]]
        room = width - cells(parts) - cells([dot]) - 1
        if room >= units.width(words):
            break
    if room >= _LEAST_REASON and words:
        cut = textwrap.shorten(words, room, placeholder=" …")
        parts += [dot, (cut, theme.style(theme.FOREGROUND))]
    return parts
