"""The verdict as lines: a glyph and a word for its level, the sentence, the evidence."""

from __future__ import annotations

import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from memtui import units
from memtui.kernel.pressure import Pressure
from memtui.model.sample import Sample
from memtui.model.system.free import Free
from memtui.session.session import Moment
from memtui.tui import theme
from memtui.tui.widgets.bars import cells, spread, stall_parts, swap_parts, why_no_pressure
from memtui.tui.widgets.lines import Line, Lines, Part

if TYPE_CHECKING:
    from memtui.model.shortage.rules import Level
    from memtui.model.shortage.verdict import Verdict

_SKIPPED_SHOWN_S: Final = 60
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


class VerdictLine(Lines):
    """Level, stalls and swap in one line, the reason where there is room for it.

    For a while it tells of ticks that came too late to be taken instead.
    """

    _skipped = 0
    _skipped_at = 0.0

    def update(self, moment: Moment, late: Line = ()) -> None:
        """`late` stands at the right end whatever else there is: who was killed lately."""
        sample, free, verdict = moment.sample, moment.free, moment.seen.verdict
        if sample.skipped != self._skipped:
            self._skipped, self._skipped_at = sample.skipped, sample.time_s
        now = moment.history.latest("stalled_some_pct")
        room = cells(late)

        def lines(width: int) -> list[Line]:
            line = self._line(sample, now, free, verdict, width - room)
            return [spread(line, list(late), width) if late else line]

        self.draw(lines)

    def _line(
        self,
        sample: Sample,
        now: float | None,
        free: Free,
        verdict: Verdict | None,
        width: int,
    ) -> Line:
        dim = theme.style(theme.DIM)
        narrow = width < 100
        dot: Part = (" · " if narrow else "  ·  ", dim)
        level: list[Part] = [(" ", dim), *level_parts(verdict), dot]
        pressure = sample.system.pressure
        stalls: list[Part] = [("stalled ", dim), *stall_parts(now)]
        if not isinstance(pressure, Pressure):
            stalls = [("stalls n/a: ", dim), (why_no_pressure(pressure), dim)]
        swap = swap_parts(free, 6 if narrow else 12, short=narrow)
        if sample.skipped and sample.time_s - self._skipped_at < _SKIPPED_SHOWN_S:
            late: Part = (f"{sample.skipped} ticks skipped", theme.style(theme.GROWS))
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


class VerdictBanner(Lines):
    """The whole sentence, and below it the evidence, figure by figure: three lines in all."""

    def update(self, verdict: Verdict | None) -> None:
        self.draw(lambda width: self._lines_of(verdict, width))

    def _lines_of(self, verdict: Verdict | None, width: int) -> list[Line]:
        dim, plain = theme.style(theme.DIM), theme.style(theme.FOREGROUND)
        head: list[Part] = [(" ", dim), *level_parts(verdict), ("  ", dim)]
        if verdict is None:
            return [head]
        indent = cells(head)
        rows = textwrap.wrap(
            reason(verdict),
            max(20, width - 1),
            initial_indent=" " * min(indent, max(20, width - 1) - 1),
            subsequent_indent="   ",
            max_lines=3,
            placeholder=" …",
        )
        lines: list[Line] = [[*head, (rows[0].lstrip() if rows else "", plain)]]
        lines += [[(row, plain)] for row in rows[1:]]
        pieces: list[list[Part]] = [
            [
                (f"{each.label} ", dim),
                (each.text, theme.style(level_colour(verdict.level), bold=True)),
                ("   ", dim),
            ]
            for each in verdict.evidence
        ]
        # Without its file, which the graph that lacks it names.
        pieces += [[(f"{words.partition(' (')[0]}   ", dim)] for words in verdict.lacks]
        line: list[Part] = [(" ", dim)]
        for piece in pieces:
            if cells(line) + cells(piece) > width:
                lines.append(line)
                line = [(" ", dim)]
            line += piece
        return [*lines, line][:3]


def tiny_lines(moment: Moment, width: int, height: int) -> list[Line]:
    """All there is room for in a small terminal, the most important first: how much is left, who
    waits, the verdict, what else free says."""
    free, seen = moment.free, moment.seen
    dim, plain = theme.style(theme.DIM), theme.style(theme.FOREGROUND)
    bright = theme.style(theme.BRIGHT, bold=True)
    stalled = seen.history.latest("stalled_some_pct")
    lines: list[Line] = [
        [
            (" available ", dim),
            (units.size(free.available), bright),
            (f" {units.percent(free.available_pct)}", bright),
        ],
        [
            (" ", dim),
            *level_parts(seen.verdict),
            (" · stalled ", dim),
            *stall_parts(stalled, "now"),
        ],
        [(" ", dim), *swap_parts(free, 6)],
    ]
    figures = (
        ("total", free.total),
        ("used", free.used),
        ("free", free.free),
        ("buff/cache", free.buff_cache),
        ("shared", free.shared),
    )
    short = width < 44
    pairs = [
        (f" {label:<11}", f"{units.size(value, short=short):>{6 if short else 9}}")
        for label, value in figures
    ]
    rows = textwrap.wrap(reason(seen.verdict), max(20, width - 2))
    lines[2:2] = [[(f" {row}", plain)] for row in rows]
    for left, right in zip_longest(pairs[::2], pairs[1::2], fillvalue=("", "")):
        lines.append([(left[0], dim), (left[1], plain), (f"  {right[0]}", dim), (right[1], plain)])
    if len(lines) < height:
        lines.append([(" 60x15 shows the graph and the map", dim)])
    return lines
