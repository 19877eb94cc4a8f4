"""The verdict as lines: a glyph and a word for its level, the sentence, the evidence."""

from __future__ import annotations

import textwrap
from typing import Final

from memtui import units
from memtui.history import History
from memtui.kernel.pressure import Pressure
from memtui.model.free import Free, free_figures
from memtui.model.pressure import LEVELS, Level
from memtui.model.sample import Sample
from memtui.model.verdict import Verdict
from memtui.tui import theme
from memtui.tui.seen import Seen
from memtui.tui.widgets.bars import cells, stall_parts, swap_parts, why_no_pressure
from memtui.tui.widgets.lines import Line, Lines, Part

_SKIPPED_SHOWN_S: Final = 60
_LEAST_REASON: Final = 24  # cells, below which a cut sentence tells nothing

_GLYPHS: Final[dict[Level, str]] = {
    "comfortable": "●",
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


def level_parts(verdict: Verdict | None) -> list[Part]:
    """`▲ reclaiming`."""
    if verdict is None or verdict.level is None:
        return [("  no verdict", theme.style(theme.DIM))]
    glyph = _GLYPHS[verdict.level]
    if glyph == "●":
        glyph = theme.glyphs().live
    style = theme.style(level_colour(verdict.level), bold=verdict.level != "comfortable")
    return [(f"{glyph} {LEVELS[verdict.level].label}", style)]


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

    def update(self, sample: Sample, history: History, free: Free, verdict: Verdict | None) -> None:
        if sample.skipped != self._skipped:
            self._skipped, self._skipped_at = sample.skipped, sample.time_s
        now = history.latest("stalled_some_pct")
        self.draw(lambda width: [self._line(sample, now, free, verdict, width)])

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
        parts: list[Part] = [(" ", dim), *level_parts(verdict), dot]
        pressure = sample.system.pressure
        if isinstance(pressure, Pressure):
            parts += [("stalled ", dim), *stall_parts(now)]
        else:
            parts += [("stalls n/a: ", dim), (why_no_pressure(pressure), dim)]
        parts += [dot, *swap_parts(free, 6 if narrow else 12, short=narrow)]
        if sample.skipped and sample.time_s - self._skipped_at < _SKIPPED_SHOWN_S:
            parts += [dot, (f"{sample.skipped} ticks skipped", theme.style(theme.GROWS))]
        elif (room := width - cells(parts) - cells([dot]) - 1) >= _LEAST_REASON:
            parts += [dot, (units.fit(reason(verdict), room), theme.style(theme.FOREGROUND))]
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
        room = max(20, width - indent - 1)
        rows = textwrap.wrap(reason(verdict), room, max_lines=2, placeholder=" …")
        lines: list[Line] = [[*head, (rows[0] if rows else "", plain)]]
        lines += [[(" " * indent + row, plain)] for row in rows[1:]]
        pieces: list[list[Part]] = [
            [
                (f"{each.label} ", dim),
                (each.text, theme.style(level_colour(verdict.level), bold=True)),
                ("   ", dim),
            ]
            for each in verdict.evidence
        ]
        pieces += [[(f"{words}   ", dim)] for words in verdict.lacks]
        line: list[Part] = [(" ", dim)]
        for piece in pieces:
            if cells(line) + cells(piece) > width:
                lines.append(line)
                line = [(" ", dim)]
            line += piece
        return [*lines, line][:3]


def tiny_lines(sample: Sample, seen: Seen, width: int) -> list[Line]:
    """All there is room for in a small terminal: what free says, the stalls and the verdict."""
    free = free_figures(sample.system.meminfo)
    dim, plain = theme.style(theme.DIM), theme.style(theme.FOREGROUND)
    bright = theme.style(theme.BRIGHT, bold=True)
    lines: list[Line] = [
        [(" ", dim), *level_parts(seen.verdict)],
        [
            (" available ", dim),
            (units.size(free.available), bright),
            (f" {units.percent(free.available_pct)}", bright),
        ],
    ]
    for label, value in (
        ("total", free.total),
        ("used", free.used),
        ("free", free.free),
        ("shared", free.shared),
        ("buff/cache", free.buff_cache),
    ):
        lines.append([(f" {label:<11}", dim), (f"{units.size(value):>9}", plain)])
    lines.append([(" ", dim), *swap_parts(free, 6)])
    stalled = seen.history.latest("stalled_some_pct")
    lines.append([(" stalled ", dim), *stall_parts(stalled, "now")])
    rows = textwrap.wrap(reason(seen.verdict), max(20, width - 2))
    lines += [[(f" {row}", plain)] for row in rows]
    lines.append([(" 60x15 shows the graph and the map", dim)])
    return lines
