"""All memory control groups as a tree: what each uses, of which limit, and what happened in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.style import Style

from memtui import units
from memtui.kernel.cgroups import Tree
from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure
from memtui.model.cgroups.names import readable_group
from memtui.model.cgroups.tree import GroupRow, event_words, group_rows, parts
from memtui.tui import theme
from memtui.tui.pages.base import (
    BRIGHT,
    DIM,
    PLAIN,
    UNKNOWN,
    UNREAD,
    WARN,
    Arrangement,
    Facts,
    Section,
    SectionPage,
    Summary,
    Way,
    is_narrow,
    labelled,
    only_words,
    plain,
    size_cell,
    size_width,
    why,
    with_way,
)
from memtui.tui.widgets.page import Row, Rows
from memtui.tui.words.cells import Column, Line, Part

_TIGHT_SHARE: Final = 0.1
_BAR: Final = 8
_DEEPEST: Final = 6  # indented
_TREE: Final = "tree"
_SORTS: Final = {
    _TREE: False,
    "current": True,
    "headroom": False,
    "limit": False,
    "peak": True,
    "swap": True,
    "anon": True,
    "file": True,
    "kernel": True,
    "stalled": True,
    "kills": True,
    "name": False,
}


def into_group(path: str) -> Way:
    return Way("group", path, "its processes as the OOM killer ranks them, and how full it is")


def kills(row: GroupRow) -> int | None:
    """How many processes the OOM killer took in it."""
    events = row.group.events
    return None if isinstance(events, Gap) else events.get("oom_kill")


def stalled_pct(row: GroupRow) -> float | None:
    """The share of the last 10 s in which some task of it waited for memory."""
    pressure = row.group.pressure
    if not isinstance(pressure, Pressure) or pressure.some is None:
        return None
    return pressure.some.avg10_pct


def arranged(rows: list[GroupRow], how: Arrangement) -> list[GroupRow]:
    """Those that fit the filter: in the tree's order, or sorted; what is unknown comes last."""
    wanted = how.filter.casefold()
    found = [
        row for row in rows if wanted in row.name.casefold() or wanted in row.group.path.casefold()
    ]
    by: dict[str, Callable[[GroupRow], float | None]] = {
        "current": lambda row: row.group.current_bytes,
        "headroom": lambda row: row.headroom_bytes,
        "limit": lambda row: row.group.max_bytes,
        "peak": lambda row: row.group.peak_bytes,
        "swap": lambda row: row.group.swap_bytes,
        "anon": lambda row: parts(row.group)["anon"],
        "file": lambda row: parts(row.group)["file"],
        "kernel": lambda row: parts(row.group)["kernel"],
        "stalled": stalled_pct,
        "kills": kills,
    }
    if how.sort == "name":
        found.sort(key=lambda row: row.name.casefold(), reverse=how.downwards)
    elif how.sort in by:
        value = by[how.sort]
        known = [row for row in found if value(row) is not None]
        known.sort(key=lambda row: value(row) or 0, reverse=how.downwards)
        found = known + [row for row in found if value(row) is None]
    return found


def _summary(facts: Facts) -> Summary:
    tree = facts.system.cgroups
    if tree is None:
        return UNREAD
    if isinstance(tree, Gap):
        return plain("none", quiet=True) if tree.reason == "absent" else UNKNOWN
    count = units.count(len(tree.groups)) + ("+" if tree.is_cut else "")
    limited = sum(group.max_bytes is not None for group in tree.groups)
    return plain(f"{count} groups", f"{count} groups, {limited or 'none'} limited")


def _page(facts: Facts, width: int, how: Arrangement) -> SectionPage:
    tree = facts.system.cgroups
    if tree is None or isinstance(tree, Gap):
        return only_words(why(tree, "the control groups"))
    everyone = group_rows(tree)
    rows = arranged(everyone, how)
    is_tree = how.sort == _TREE and not how.filter

    def row(each: GroupRow) -> Row:
        return _row(each, width, is_tree=is_tree)

    def way(at: int) -> Way | None:
        return into_group(rows[at].group.path) if at < len(rows) else None

    return SectionPage(
        (),
        [_head(tree, everyone, rows, how)],
        _columns(tree, everyone, width),
        Rows(rows, row),
        lambda at: (
            with_way([*_about(rows[at]), *_at_odds(rows[at], everyone)], way(at))
            if at < len(rows)
            else []
        ),
        f"no group has “{units.printable(how.filter)}” in its path" if how.filter else "no groups",
        [each.group.path for each in rows],
        lambda at: "memory cgroup",
        None if how.sort == _TREE else (how.sort, how.downwards),
        way,
    )


def _columns(tree: Tree, rows: list[GroupRow], width: int) -> list[Column]:
    """The priorities say what goes first where there is no room; what nobody has is not there."""
    cells = size_width(width)
    columns = [
        Column("name", "GROUP", 0, "<", least=18 if is_narrow(width) else 24),
        Column("current", "CURRENT", max(7, cells)),
        Column("limit", "LIMIT", cells),
    ]
    if any(row.group.max_bytes is not None for row in rows):
        columns.append(Column("bar", "", _BAR, "<", 5))
    columns += [
        Column("headroom", "HEADROOM", max(9, cells + 1)),
        Column("peak", "PEAK", cells, priority=6),
        Column("swap", "SWAP", cells, priority=7),
        Column("anon", "ANON", cells, priority=8),
        Column("file", "FILE", cells, priority=9),
    ]
    if tree.version == 2:
        columns += [
            Column("kernel", "KERNEL", cells, priority=10),
            Column("slab", "SLAB", cells, priority=12),
            Column("sock", "SOCK", cells, priority=13),
        ]
    if any(stalled_pct(row) is not None for row in rows):
        columns.append(Column("stalled", "STALLED", 7, priority=3))
    if any(kills(row) is not None for row in rows):
        columns.append(Column("kills", "KILLS", 5, priority=2))
    return columns


def _head(
    tree: Tree, everyone: list[GroupRow], rows: list[GroupRow], how: Arrangement
) -> str | Line:
    count = units.count(len(everyone)) + (" and more" if tree.is_cut else "")
    killed = [kills(row) for row in everyone if row.depth == 0 or tree.version == 1]
    pairs = [("cgroup", f"v{tree.version}"), ("groups", count)]
    if how.filter:
        pairs += [
            ("shown", units.count(len(rows))),
            ("filter", f"{units.printable(how.filter)} · Esc: all"),
        ]
    if known := [each for each in killed if each is not None]:
        pairs.append(("killed", units.count(sum(known))))
    if how.sort != _TREE:
        pairs.append(("sorted by", how.sort))
    return labelled(*pairs)


def _row(each: GroupRow, width: int, *, is_tree: bool) -> Row:
    group, made = each.group, parts(each.group)
    share = _share(each)
    bound = each.limited_by not in (None, group.path)
    tight = share is not None and share > 1 - _TIGHT_SHARE
    room_style = WARN if tight else DIM if bound else PLAIN
    killed, stalled = kills(each), stalled_pct(each)
    name = "  " * min(each.depth, _DEEPEST) + each.name if is_tree else readable_group(group.path)
    cells: Row = {
        "name": (units.printable(name), BRIGHT if group.max_bytes else PLAIN),
        "limit": ("–", DIM) if group.max_bytes is None else size_cell(group.max_bytes, width),
        "bar": (
            "" if share is None else units.permille_bar(share, _BAR),
            theme.style(theme.GROWS if tight else theme.CACHE),
        ),
        "headroom": ("– ", DIM)
        if each.headroom_bytes is None
        else (
            units.size(each.headroom_bytes, short=is_narrow(width)) + ("^" if bound else " "),
            room_style,
        ),
        "stalled": _stalled(stalled),
        "kills": ("" if not killed else units.count(killed), WARN),
    }
    for name, value in (
        ("current", group.current_bytes),
        ("peak", group.peak_bytes),
        ("swap", group.swap_bytes),
        *made.items(),
    ):
        cells[name] = size_cell(value, width)
    return cells


def _share(each: GroupRow) -> float | None:
    """How full a limit of its own is."""
    group = each.group
    if not group.max_bytes or group.current_bytes is None:
        return None
    return group.current_bytes / group.max_bytes


def _stalled(value: float | None) -> Part:
    if value is None:
        return units.UNKNOWN, DIM
    style: Style = DIM if not value else WARN if value >= 1 else PLAIN
    return units.percent(value, 1), style


def _at_odds(each: GroupRow, everyone: list[GroupRow]) -> list[str | Line]:
    """Why a group can be smaller than one in it."""
    own, inside = each.group.current_bytes, each.group.path.rstrip("/") + "/"
    below = (
        other.group.current_bytes or 0
        for other in everyone
        if other is not each and other.group.path.startswith(inside)
    )
    if own is None or max(below, default=0) <= own:
        return []
    why = "They are read one after the other."
    if each.group.version == 1:
        why = (
            "Version 1 counts those in it only with memory.use_hierarchy, and in its root not all."
        )
    return ["", f"A group in it uses more than it does. {why}"]


def _about(each: GroupRow) -> list[str | Line]:
    """One group in words: where it is, what binds it, what is in it, what happened."""
    group, made = each.group, parts(each.group)
    lines: list[str | Line] = [[(f" {units.printable(readable_group(group.path))}", BRIGHT)]]
    lines.append(units.printable(group.path))
    share = _share(each)
    if group.max_bytes is None:
        lines.append("It has no limit of its own.")
    elif share is not None:
        lines.append(
            f"{units.percent(100 * share)} of its limit of {units.size(group.max_bytes)} is used."
        )
    if each.limited_by not in (None, group.path):
        lines.append(
            f"^ {units.printable(each.limited_by or '')} above it gives less room: "
            f"{units.size(each.headroom_bytes)}."
        )
    words_ = event_words(group)
    lines.append(f"Events: {words_}." if words_ else "Nothing has happened in it.")
    figures = [
        ("min", group.min_bytes),
        ("low", group.low_bytes),
        ("high" if group.version == 2 else "soft limit", group.high_bytes),
        ("peak", group.peak_bytes),
        ("swap", group.swap_bytes),
        ("swap limit", group.swap_max_bytes),
        *made.items(),
    ]
    lines += [
        labelled((name, units.size(value)))
        for name, value in figures
        if value is not None and (value or name not in ("min", "low"))
    ]
    pressure = group.pressure
    if isinstance(pressure, Pressure):
        for words, stall in (("some", pressure.some), ("all", pressure.full)):
            if stall is not None:
                spans = {
                    "10 s": stall.avg10_pct,
                    "1 min": stall.avg60_pct,
                    "5 min": stall.avg300_pct,
                }
                text = ", ".join(
                    f"{units.percent(value, 1)} of {span}" for span, value in spans.items()
                )
                lines.append(f"{words} waited {text}")
    return lines


CGROUPS: Final = Section(
    "cgroups",
    "All groups",
    "memory cgroup",
    ("cgroups",),
    _summary,
    _page,
    _SORTS,
    Arrangement(_TREE, False),
    "group",
)
