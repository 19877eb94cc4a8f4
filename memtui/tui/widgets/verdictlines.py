"""The verdict as lines: a glyph and a word for its level, the sentence, the evidence."""

from __future__ import annotations

import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from memtui import units
from memtui.session.session import Moment
from memtui.tui import theme
from memtui.tui.widgets.lines import Lines
from memtui.tui.words.cells import Line, Part, cells, spread
from memtui.tui.words.frame import stall_parts, swap_parts
from memtui.tui.words.verdict import (
    level_colour,
    level_parts,
    reason,
    stalled_at_first,
    verdict_line,
)

if TYPE_CHECKING:
    from memtui.model.shortage.verdict import Verdict

_SKIPPED_SHOWN_S: Final = 60


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
        if now is None and len(moment.history) < 2:
            now = stalled_at_first(sample.system.pressure)
        room = cells(late)
        lately = sample.time_s - self._skipped_at < _SKIPPED_SHOWN_S
        skipped = sample.skipped if lately else 0

        def lines(width: int) -> list[Line]:
            pressure = sample.system.pressure
            line = verdict_line(width - room, pressure, now, free, verdict, skipped)
            return [spread(line, list(late), width) if late else line]

        self.draw(lines)


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
                (
                    each.text,
                    theme.style(level_colour(verdict.level), bold=True) if each.decides else plain,
                ),
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
