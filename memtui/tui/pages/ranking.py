"""The OOM killer's ranking as rows, each with a bar of what its points are made of."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rich.style import Style

from memtui import units
from memtui.model.cgroups.names import readable_group
from memtui.model.oom.ranking import (
    ADJ_MAX,
    ADJ_MIN,
    CandidateOom,
    OomScope,
    Ranking,
    signed,
    what_if,
    with_adj,
)
from memtui.ondemand.oom import Outlook
from memtui.tui import theme
from memtui.tui.pages.base import ALARM, BRIGHT, DIM, PLAIN, WARN, SectionPage
from memtui.tui.widgets.page import Row, Rows
from memtui.tui.widgets.section import SectionTable
from memtui.tui.words.cells import Cell, Column, Line, Part

_STEP: Final = 100
_LEAST_BAR: Final = 8
# Told apart by their glyphs where there is no colour; all are in the Linux console's fonts too.
_RSS, _SWAP, _TABLES, _ADJ, _SPARED = "█", "▓", "▒", "+", "-"


class Trial(NamedTuple):
    """Another oom_score_adj for one process, to see what it would do."""

    pid: int
    adj: int


@dataclass
class RankingPage(SectionPage):
    """`bar` gives a row's, in the glyphs of its parts; None for the immune and the unknown."""

    bar: Callable[[int], list[Part] | None] = field(default=lambda at: None)


class RankTable(SectionTable):
    """The rows, with their bars."""

    def go(self, row: int) -> None:
        """As if the user had moved there."""
        self._go(row)

    def row_texts(self, row: int, names: Sequence[str]) -> Mapping[str, Cell]:
        texts = super().row_texts(row, names)
        bar = self.page.bar(row) if isinstance(self.page, RankingPage) else None
        return texts if bar is None else {**texts, "bar": bar}


def stepped(candidate: CandidateOom, trial: Trial | None, by: int) -> Trial:
    """The next round adj above or below the one that is tried, or in force."""
    now = trial.adj if trial is not None and trial.pid == candidate.pid else candidate.adj or 0
    steps = now // _STEP + by if by > 0 else -(-now // _STEP) + by
    return Trial(candidate.pid, max(ADJ_MIN, min(ADJ_MAX, steps * _STEP)))


def bar_parts(candidate: CandidateOom, most: int, cells: int) -> list[Part] | None:
    """The points as a bar of `cells` cells, `most` filling it: RSS, swap, page tables, and what adj
    adds; what a negative adj takes away is drawn as taken away."""
    sizes = (candidate.rss_pages, candidate.swap_pages, candidate.page_table_pages)
    points = candidate.points
    if points is None or most <= 0 or None in sizes:
        return None
    size = sum(each or 0 for each in sizes)
    glyphs = (_RSS, _SWAP, _TABLES)
    colours = (theme.CACHE, theme.GROWS, theme.FOREGROUND)
    ends: list[tuple[int, str, Style]] = []
    end = 0
    for pages, glyph, colour in zip(sizes, glyphs, colours, strict=True):
        end += pages or 0
        ends.append((end, glyph, theme.style(colour)))
    if points > size:
        ends.append((points, _ADJ, theme.style(theme.ACCENT)))
    text: list[Part] = []
    drawn = 0
    for end, glyph, style in ends:
        upto = min(cells, round(end * cells / most))
        if upto > drawn:
            text.append((glyph * (upto - drawn), style))
            drawn = upto
    if points < size:
        # From the right: these pages are there, and do not count.
        left = max(0, round(max(0, points) * cells / most))
        text = [*_cut(text, left), (_SPARED * (drawn - left), DIM)]
    return [*text, (" " * (cells - drawn), DIM)]


def _cut(parts: Sequence[Part], cells: int) -> list[Part]:
    kept: list[Part] = []
    for text, style in parts:
        if cells > 0:
            kept.append((text[:cells], style))
        cells -= len(text)
    return kept


def legend() -> Line:
    """What the bar's glyphs are."""
    return [
        (" ", DIM),
        (_RSS, theme.style(theme.CACHE)),
        (" RSS  ", DIM),
        (_SWAP, theme.style(theme.GROWS)),
        (" swap  ", DIM),
        (_TABLES, PLAIN),
        (" page tables  ", DIM),
        (_ADJ, theme.style(theme.ACCENT)),
        (" added by adj  ", DIM),
        (_SPARED, DIM),
        (" taken off by adj", DIM),
    ]


def head(outlook: Outlook) -> list[str | Line]:
    """Who would be taken, and what the rows are."""
    prediction = outlook.prediction
    mark = "†" if prediction.victim is not None else "·"
    words = f"{mark} {prediction.sentence}."
    if outlook.ranking.scope.path is not None:
        words += " Esc: the whole machine."
    return [words, legend()]


def ranking_page(outlook: Outlook, width: int, trial: Trial | None) -> SectionPage:
    """Everybody: those who can die, the first first, then the unknown and the immune."""
    ranking, page_bytes = outlook.ranking, outlook.page_bytes
    candidates = ranking.candidates
    most = max((_reach(each) for each in candidates if each.points is not None), default=0)
    columns, bar = _columns(width)

    def pages(count: int | None) -> Part:
        return units.size(None if count is None else count * page_bytes), PLAIN if count else DIM

    def row(each: CandidateOom) -> Row:
        is_first = each.rank == 1
        tried = trial is not None and trial.pid == each.pid
        adj = trial.adj if trial is not None and tried else each.adj
        cells: Row = {
            "rank": (str(each.rank) if each.rank is not None else "–", ALARM if is_first else DIM),
            "pid": (str(each.pid), DIM),
            "name": (units.printable(each.name), BRIGHT if is_first else PLAIN),
            "points": (units.count(each.points) if each.points is not None else "–", PLAIN),
            "rss": pages(each.rss_pages),
            "swap": pages(each.swap_pages),
            "tables": pages(each.page_table_pages),
            "adj": (
                units.UNKNOWN if adj is None else signed(adj) + ("?" if tried else ""),
                theme.style(theme.ACCENT, bold=True) if tried else PLAIN if adj else DIM,
            ),
            "score": _score(each),
            "group": (
                "" if each.group is None else units.printable(readable_group(each.group)),
                DIM,
            ),
        }
        if each.rank is None:
            why = each.immune or "unknown: too little of it may be read"
            cells["name"] = (units.printable(each.name), DIM)
            cells["bar"] = (why, DIM)
        return cells

    return RankingPage(
        (),
        head(outlook),
        columns,
        Rows(candidates, row),
        lambda at: about(outlook, at, trial),
        "no process is there that could be killed",
        [str(each.pid) for each in candidates],
        lambda at: "OOM killer",
        bar=lambda at: bar_parts(candidates[at], most, bar),
    )


def _reach(each: CandidateOom) -> int:
    """How far its bar goes: its points, or its size where adj takes some of that off."""
    sizes = (each.rss_pages, each.swap_pages, each.page_table_pages)
    return max(each.points or 0, sum(size or 0 for size in sizes))


def _columns(width: int) -> tuple[list[Column], int]:
    """The columns that there is room for, and how wide the bar is."""
    before = [
        Column("rank", "RANK", 4),
        Column("pid", "PID", 7),
        Column("name", "NAME", 15, "<"),
        Column("points", "POINTS", 10),
    ]
    after = [Column("adj", "ADJ", 6), Column("score", "SCORE", 6)]
    if width >= 110:
        after += [
            Column("rss", "RSS", 9),
            Column("swap", "SWAP", 9),
            Column("tables", "TABLES", 9),
        ]
    if width >= 160:
        after.append(Column("group", " GROUP", 28, "<"))
    fixed = sum(column.width + 1 for column in (*before, *after))
    bar = max(_LEAST_BAR, width - fixed - 2)
    return [*before, Column("bar", "", bar, "<"), *after], bar


def _score(each: CandidateOom) -> Part:
    """The kernel's own, marked where another one follows from the sizes."""
    if each.oom_score is None:
        return units.UNKNOWN, DIM
    return (f"{each.oom_score}!", WARN) if each.differs else (f"{each.oom_score} ", PLAIN)


def about(outlook: Outlook, at: int, trial: Trial | None) -> list[str | Line]:
    """One process: its points part by part, the kernel's own score, and what another adj would do."""
    ranking = outlook.ranking
    if at >= len(ranking.candidates):
        return []
    each = ranking.candidates[at]
    title: list[Part] = [(f" {units.printable(each.name)} ({each.pid})", BRIGHT)]
    if each.rank is not None:
        title.append((f" · rank {each.rank} of {len(ranking.ranked)}", DIM))
    if each.group is not None:
        title.append((f" · {units.printable(each.group)}", DIM))
    lines: list[str | Line] = [title]
    if each.immune is not None:
        lines.append(f"It is never taken: {each.immune}.")
    elif each.points is None:
        lines.append("Too little of it may be read to know its points.")
    else:
        lines.append(_sum(each, ranking.scope, outlook.page_bytes))
    lines.append(_agreement(each))
    lines.append(_tried(ranking, each, trial))
    return lines


def _sum(each: CandidateOom, scope: OomScope, page_bytes: int) -> str:
    def size(pages: int | None) -> str:
        return units.size(None if pages is None else pages * page_bytes)

    step = scope.total_pages // 1000
    words = f"RSS {size(each.rss_pages)} + swap {size(each.swap_pages)}"
    words += f" + page tables {size(each.page_table_pages)}"
    if each.adj:
        sign = "−" if each.adj < 0 else "+"
        words += f" {sign} adj {abs(each.adj)} × {size(step)}"
    points = each.points or 0
    share = units.percent(100 * points / max(1, scope.total_pages), 1)
    whole = "RAM and swap"
    if scope.path is not None and scope.is_limited:
        whole = "the group's limit and swap"
    total = f"{size(points)}, {units.count(points)} pages"
    return f"{words} = {total}: {share} of {whole}, {size(scope.total_pages)}."


def _agreement(each: CandidateOom) -> str:
    if each.oom_score is None:
        return "The kernel's own oom_score is not to be read."
    if each.differs:
        return (
            f"! The kernel's own oom_score is {each.oom_score}, but {each.expected_score} follows "
            "from its sizes on the whole machine."
        )
    return f"The kernel's own oom_score on the whole machine, {each.oom_score}, agrees."


def _tried(ranking: Ranking, each: CandidateOom, trial: Trial | None) -> str:
    if trial is None or trial.pid != each.pid:
        return "+ - or w: what another adj would do, nothing is changed. Enter: the ranking in its group."
    found = what_if(ranking, each.pid, trial.adj)
    if found is None:
        return ""
    sentence = found.sentence[:1].upper() + found.sentence[1:]
    first = with_adj(ranking, each.pid, trial.adj).ranked[:1]
    if first and ranking.ranked and first[0].pid != ranking.ranked[0].pid:
        sentence += f", and {units.printable(first[0].name)} ({first[0].pid}) would be the first"
    return f"{sentence}. Nothing is changed; Esc takes it back."


def policy_lines(outlook: Outlook, width: int) -> list[Line]:
    """Each setting with its value and what that does."""
    names = max(len(line.name) for line in outlook.lines)
    made: list[Line] = [[(" THE POLICY IN FORCE", DIM)]]
    for line in outlook.lines:
        value = "" if line.value is None else str(line.value)
        start = f" {line.name:<{names}} {value:>4}  "
        rows = textwrap.wrap(units.printable(line.words), max(20, width - len(start) - 1)) or [""]
        made.append([(start, DIM), (rows[0], PLAIN)])
        made += [[(" " * len(start) + row, PLAIN)] for row in rows[1:]]
    return made
