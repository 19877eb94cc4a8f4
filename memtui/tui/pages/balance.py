"""The balance: where all of MemTotal is, and what nobody accounts for."""

from __future__ import annotations

from typing import Final, NamedTuple

from rich.style import Style

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.system.balance import UNACCOUNTED, Balance, balance_of
from memtui.model.system.balance import Line as Entry
from memtui.tui import theme
from memtui.tui.pages.base import (
    ALARM,
    BRIGHT,
    DIM,
    PLAIN,
    UNKNOWN,
    WARN,
    Arrangement,
    Facts,
    Item,
    Section,
    SectionPage,
    Summary,
    Way,
    only_words,
    page_of,
    size_cell,
    size_width,
    why,
)
from memtui.tui.widgets.page import wrapped
from memtui.tui.words.cells import Column, Line, Part

_STILL_BYTES: Final = 1 << 20  # a minute: less is not worth an arrow
_MINUTES_S: Final = 300.0  # that what is moved a minute is made of
_CONTRADICTIONS_SHOWN: Final = 2


class _Group(NamedTuple):
    """Lines that are one segment of the bar."""

    label: str
    colour: str
    lines: tuple[str, ...]


_GROUPS: Final = (
    _Group("free", theme.FREE, ("free", "free_cma", "free_lists")),
    _Group("cache", theme.CACHE, ("cache_clean", "cache_dirty")),
    _Group("ARC", "#3c6fa0", ("arc_reclaimable", "arc_kept")),
    _Group("shared", "#2f7f8c", ("shmem",)),
    _Group("programs", "#6a5a9c", ("anon", "swap_cache")),
    _Group(
        "kernel",
        "#8a6a3c",
        (
            *("slab_reclaimable", "slab_unreclaimable", "other_reclaimable", "kernel_stacks"),
            *("page_tables", "percpu", "vmalloc", "bounce", "corrupted", "gpu", "gpu_reclaimable"),
            "balloon",
        ),
    ),
    _Group("huge", "#8c4a6e", ("huge_used", "huge_reserved", "huge_free", "huge_other")),
    _Group("packed", "#4d7f57", ("zswap", "zram")),
    _Group("?", theme.REST, (UNACCOUNTED,)),
)
_GROUP_OF: Final = {name: group for group in _GROUPS for name in group.lines}

# What explains a line: the metric or term of the explanations.
_TOPICS: Final = {
    "free": "mem_free_bytes",
    "free_cma": "mem_free_bytes",
    "cache_clean": "page cache",
    "cache_dirty": "dirty_bytes",
    "shmem": "shmem_bytes",
    "anon": "anon_bytes",
    "swap_cache": "swap_cached_bytes",
    "slab_reclaimable": "slab_reclaimable_bytes",
    "slab_unreclaimable": "slab_unreclaimable_bytes",
    "kernel_stacks": "kernel_stacks_bytes",
    "page_tables": "page_tables_bytes",
    "percpu": "percpu_bytes",
    "vmalloc": "vmalloc_used_bytes",
    "huge_used": "huge page pool",
    "huge_reserved": "huge page pool",
    "huge_free": "huge_pages_free_bytes",
    "huge_other": "huge page pool",
    "zswap": "zswap",
    "zram": "zram",
    "free_lists": "free, on CPU lists",
    "arc_reclaimable": "ARC",
    "arc_kept": "ARC",
    "gpu": "GPU",
    "gpu_reclaimable": "GPU",
    UNACCOUNTED: "unaccounted_bytes",
}

_SLABS: Final = Way("section", "slabs", "the caches that the kernel keeps its objects in")
_POOL: Final = Way("section", "hugepages", "the pools of huge pages")
# Who holds what is in a line.
_WAYS: Final = {
    "anon": Way("processes", "anon", "processes by their anonymous memory"),
    "swap_cache": Way("processes", "swap", "processes by what of them is swapped out"),
    "page_tables": Way("processes", "tables", "processes by their page tables"),
    "kernel_stacks": Way("processes", "threads", "processes by their threads, each with a stack"),
    "shmem": Way("owners", words="who holds it: tmpfs, System V, memfds, GPU buffers"),
    "gpu": Way("owners", words="who holds GPU buffers, where their driver tells"),
    "slab_reclaimable": _SLABS,
    "slab_unreclaimable": _SLABS,
    "huge_used": Way("processes", "hugetlb", "processes by their huge pages"),
    "huge_reserved": _POOL,
    "huge_free": _POOL,
    "huge_other": _POOL,
    "zram": Way("section", "swap", "swap, zram and zswap"),
    "zswap": Way("section", "swap", "swap, zram and zswap"),
    "cache_clean": Way("section", "cgroups", "control groups, with the files of each"),
    "cache_dirty": Way("section", "cgroups", "control groups, with the files of each"),
    "free": Way("section", "zones", "the zones that it is in"),
}


def _summary(facts: Facts) -> Summary:
    made = balance_of(facts.system)
    lost = made.line(UNACCOUNTED)
    if lost.bytes is None:
        return UNKNOWN
    style = WARN if made.contradictions else PLAIN
    mark = "!" if made.contradictions else ""
    digits = 0 if mark else 1
    return Summary(
        (f"{mark}unacc. {units.percent(lost.share_pct, digits)}", style),
        (f"{mark}{units.size(lost.bytes)} unaccounted", style),
    )


def _page(facts: Facts, width: int, _arrangement: Arrangement) -> SectionPage:
    meminfo = facts.system.meminfo
    if isinstance(meminfo, Gap):
        return only_words(why(meminfo, "the balance"))
    made = balance_of(facts.system)
    if made.total_bytes is None:
        return only_words(
            "There is no MemTotal here, which the balance is of.", *made.contradictions
        )
    bar = max(6, min(24, width - 44)) if width >= 50 else 6
    columns = (
        Column("label", "WHERE MEMORY IS", 0, "<", least=20),
        Column("bytes", "BYTES", size_width(width)),
        Column("share", "SHARE", 6),
        Column("bar", "", bar, "<", 1),
    )
    items = [_item(line, bar, width, facts) for line in made.lines]
    head: list[str | Line] = [bar_of(made, width), _lost(made, facts, width)]
    shown = made.contradictions[:_CONTRADICTIONS_SHOWN]
    head += wrapped([f"! {each}" for each in shown], width, ALARM)
    if more := len(made.contradictions) - len(shown):
        head.append([(f" ! and {more} more contradictions", ALARM)])
    return page_of(columns, items, head)


def _item(line: Entry, bar: int, width: int, facts: Facts) -> Item:
    group = _GROUP_OF.get(line.name)
    is_lost = line.name == UNACCOUNTED
    named = BRIGHT if is_lost else PLAIN if line.bytes else DIM
    share = None if line.share_pct is None else line.share_pct / 100
    filled = round((share or 0) * bar)
    cut = " !" if line.cut_bytes else ""
    about: list[str | Line] = [[(f" {line.label}", BRIGHT)], line.words]
    if line.cut_bytes:
        about.append(
            f"The kernel says {units.size((line.bytes or 0) + line.cut_bytes)}: "
            f"{units.size(line.cut_bytes)} of it do not fit into MemTotal and were cut."
        )
    if is_lost:
        about.append(
            f"Per minute {_moved(_minute(facts))}, per hour {_moved(facts.lost_per_hour)}."
        )
    about.append([])
    about.append(line.source)
    return Item(
        line.name,
        {
            "label": (line.label + cut, ALARM if cut else named),
            "bytes": size_cell(line.bytes, width),
            "share": (units.percent(line.share_pct, 1), PLAIN if line.bytes else DIM),
            "bar": ("█" * max(filled, 1 if share and share >= 0.002 else 0), _colour(group)),
        },
        about,
        _TOPICS.get(line.name, "balance"),
        _WAYS.get(line.name),
    )


def _colour(group: _Group | None) -> Style:
    return theme.style(group.colour if group else theme.REST)


def bar_of(made: Balance, width: int) -> Line:
    """All of MemTotal as one bar, its segments named where there is room."""
    total = made.total_bytes or 0
    room = max(1, width - 2)
    sums = [(group, _sum(made, group)) for group in _GROUPS]
    parts: list[Part] = [(" ", PLAIN)]
    at, so_far = 0, 0
    coloured = theme.glyphs().coloured
    for group, value in sums:
        so_far += value
        end = min(room, round(room * so_far / total)) if total else room
        cells = end - at
        at = end
        if cells <= 0:
            continue
        label = group.label if len(group.label) < cells else ""
        text = units.fit(f" {label}" if coloured else f"│{label}", cells)
        parts.append((text, theme.style(theme.BRIGHT, bg=group.colour if coloured else None)))
    return parts


def _sum(made: Balance, group: _Group) -> int:
    return sum(line.bytes or 0 for line in made.lines if line.name in group.lines)


def _minute(facts: Facts) -> float | None:
    return facts.history.trend_per_minute("unaccounted_bytes", _MINUTES_S)


def _moved(value: float | None) -> str:
    """A trend in words."""
    if value is None:
        return "not known yet"
    if abs(value) < _STILL_BYTES:
        return "steady"
    return f"{'+' if value > 0 else '−'}{units.size(abs(value))}"


def _lost(made: Balance, facts: Facts, width: int) -> Line:
    """What is unaccounted, and where it is going."""
    lost = made.line(UNACCOUNTED)
    parts: list[Part] = [
        (" unaccounted ", DIM),
        (units.size(lost.bytes), BRIGHT),
        (f" {units.percent(lost.share_pct, 1)}", PLAIN),
    ]
    for value, span in ((_minute(facts), "min"), (facts.lost_per_hour, "h")):
        if value is None:
            continue
        if abs(value) < _STILL_BYTES:
            parts.append((f"  steady/{span}", DIM))
        else:
            arrow, colour = ("▲", theme.GROWS) if value > 0 else ("▼", theme.SHRINKS)
            parts.append((f"  {arrow} {units.size(abs(value))}/{span}", theme.style(colour)))
    right = f"of {units.size(made.total_bytes)} "
    used = sum(units.width(text) for text, _ in parts)
    if width - used - len(right) >= 2:
        parts.append((" " * (width - used - len(right)) + right, DIM))
    return parts


BALANCE: Final = Section(
    "balance", "Balance", "balance", ("accounts",), _summary, _page, of_group=True
)
