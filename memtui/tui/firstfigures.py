"""The first figures: the Overview's frame, headline and list as text, before Textual is imported.

The interface then paints the same cells over them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from rich.color import Color, ColorSystem
from rich.style import Style

from memtui import units
from memtui.model.machine import Machine
from memtui.model.processes.choosing import ordered
from memtui.model.processes.columns import Facts
from memtui.model.sample import Sample
from memtui.model.system.free import free_figures
from memtui.session.history import GrowthTracker
from memtui.session.scope import scope_at_first, scopes_of
from memtui.tui import theme
from memtui.tui.colours import system
from memtui.tui.views import breadth
from memtui.tui.widgets.processcells import OVERVIEW_COLUMNS, digits_of, table_columns, texts
from memtui.tui.words.cells import Line, Part, fit_columns, head_line, row_line
from memtui.tui.words.frame import bound_by, header_line, headline
from memtui.tui.words.verdict import stalled_at_first, verdict_line

# As the style sheet has them: rows that frame the others, and the list's share of the width.
_FRAMES: Final = 4  # header, headline, verdict, footer


def first_figures(
    machine: Machine,
    sample: Sample,
    width: int,
    height: int,
    *,
    interval_s: float,
    is_replay: bool = False,
    readonly: bool = False,
    whole: bool = True,
) -> list[list[Part]]:
    """Every row of a terminal, `width` cells each, in the styles that the interface has there.

    None where there is only room for the interface's text screen. The list is left out unless it is
    the `whole` Overview that comes: it may be filtered, or another view.
    """
    room = breadth(width, height)
    if room["-tiny"]:
        return []
    has_rail = is_replay and not room["-low"]
    height -= has_rail
    samples = scopes_of(sample)
    scope = scope_at_first(samples)
    sample = samples[scope]
    ground = theme.style(theme.TEXT, theme.GROUND)
    frame = theme.style(theme.TEXT, theme.SURFACE)
    free = free_figures(sample.system.meminfo)
    pressure = sample.system.pressure
    rows = [_filled((), width, ground)] * height
    header = header_line(
        width,
        machine,
        sample,
        "REPLAY" if is_replay else "LIVE",
        interval_s,
        scope=scope,
        total_bytes=free.total,
        readonly=readonly,
    )
    rows[0] = _filled(header, width, frame)
    rows[1] = _filled(headline(width, free, None, bound_by(scope, sample)), width, ground)
    at = 2 + (height - _FRAMES) // 2
    stalled = stalled_at_first(pressure)
    rows[at] = _filled(verdict_line(width, pressure, stalled, free, None), width, frame)
    rows[-1] = _filled((), width, frame)
    if whole:
        share = 64 if room["-vast"] else width * 44 // 100 if room["-wide"] else 39
        list_ = _processes(machine, sample, share, height - at - 2)
        for y, line in enumerate(list_, at + 1):
            rows[y] = _filled(line, width, ground)
    if has_rail:
        rows.insert(1, _filled((), width, frame))
    return rows


def _processes(machine: Machine, sample: Sample, width: int, height: int) -> list[Line]:
    """The head of the list and the largest processes."""
    facts = Facts(sample, GrowthTracker(), machine.users.name, release=machine.release)
    largest = ordered(facts, list(sample.processes.values()), "rss", True)
    columns = fit_columns(table_columns(OVERVIEW_COLUMNS, digits_of(largest)), width - 1)
    names = [column.name for column, _ in columns]
    lines: list[Line] = [head_line(columns, ("rss", True), True)]
    for process in largest[: height - 1]:
        lines.append(row_line(columns, texts(facts, process, names), False))
    return lines


def _filled(line: Line, width: int, base: Style) -> list[Part]:
    """A line over a base style, cut or filled up to exactly `width` cells."""
    parts: list[Part] = []
    for text, style in line:
        while units.width(text) > width:
            text = text[:-1]
        width -= units.width(text)
        parts.append((text, base + style))
    return [*parts, (" " * width, base)]


def painted(rows: Sequence[Sequence[Part]]) -> str:
    """What draws these rows from a terminal's first on, in the colours that it has."""
    colours = _COLOUR_SYSTEMS[system()]
    grey = "NO_COLOR" in os.environ
    lines = []
    for y, row in enumerate(rows, 1):
        line = "".join(
            (greyed(style) if grey else style).render(text, color_system=colours)
            for text, style in row
        )
        lines.append(f"\x1b[{y};1H{line}")
    return "".join(lines)


def greyed(style: Style) -> Style:
    """A style without its colours, as Textual has it under NO_COLOR."""
    return style + Style(color=_grey(style.color), bgcolor=_grey(style.bgcolor))


def _grey(colour: Color | None) -> Color | None:
    if colour is None:
        return None
    red, green, blue = colour.get_truecolor()
    grey = round(red * 0.2126 + green * 0.7152 + blue * 0.0722)
    return Color.from_rgb(grey, grey, grey)


_COLOUR_SYSTEMS: Final = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
}
