"""The control groups around memtui: what each uses of which limit."""

from __future__ import annotations

from typing import Final

from memtui import units
from memtui.kernel.cgroups import Confinement, Level, MemoryGroup
from memtui.kernel.files import Gap
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
    Item,
    Section,
    SectionPage,
    Summary,
    is_narrow,
    labelled,
    only_words,
    page_of,
    plain,
    size_cell,
    size_width,
    why,
)
from memtui.tui.words.cells import Column, Line

_TIGHT_SHARE: Final = 0.1


def headroom(level: Level) -> int | None:
    """What a group can still take; None without a limit."""
    if level.limit_bytes is None or level.current_bytes is None:
        return None
    return max(0, level.limit_bytes - level.current_bytes)


def tightest(confinement: Confinement) -> Level | None:
    """The group that gives the least room; None where none has a limit."""
    known = [(room, level) for level in confinement.levels if (room := headroom(level)) is not None]
    return min(known, key=lambda item: item[0])[1] if known else None


def _summary(facts: Facts) -> Summary:
    confinement = facts.system.confinement
    if confinement is None:
        return UNREAD
    if isinstance(confinement, Gap):
        return plain("none", quiet=True) if confinement.reason == "absent" else UNKNOWN
    room, limit = confinement.headroom_bytes, confinement.limit_bytes
    if room is None or limit is None:
        return plain("no limit", quiet=True)
    style = WARN if room < _TIGHT_SHARE * limit else PLAIN
    return Summary(
        (f"{units.size(room, short=True)} left", style),
        (f"{units.size(room)} left of {units.size(limit, short=True)}", style),
    )


def _page(facts: Facts, width: int, _arrangement: Arrangement) -> SectionPage:
    confinement = facts.system.confinement
    if confinement is None or isinstance(confinement, Gap):
        return only_words(why(confinement, "memtui's control group"))
    cells = size_width(width)
    bar = max(6, min(20, width - 60))
    columns = (
        Column("path", "GROUP", 0, "<", least=14),
        Column("current", "CURRENT", max(7, cells)),
        Column("limit", "LIMIT", max(8, cells)),
        Column("room", "HEADROOM", max(8, cells)),
        Column("bar", "", bar, "<", 1),
        Column("mark", "", 8, "<", 2),
    )
    tight = tightest(confinement)
    items = [
        _item(level, depth, tight, confinement, bar, width)
        for depth, level in enumerate(reversed(confinement.levels))
    ]
    head: list[str | Line] = [
        f"cgroup v{confinement.version}: memtui is in {units.printable(confinement.levels[0].path)}"
    ]
    if tight is None:
        head.append("None of its groups has a limit: the machine's memory is all it is bound by.")
    else:
        head.append("c switches between the host and the group whose limit is the smallest.")
    return page_of(columns, items, head)


def _item(
    level: Level,
    depth: int,
    tight: Level | None,
    confinement: Confinement,
    bar: int,
    width: int,
) -> Item:
    name = level.path.rstrip("/").rpartition("/")[2] or "/"
    room = headroom(level)
    share = None
    if level.limit_bytes and level.current_bytes is not None:
        share = level.current_bytes / level.limit_bytes
    is_tight = level is tight
    marks = ["tightest"] if is_tight else []
    about: list[str | Line] = [[(f" {units.printable(level.path)}", BRIGHT)]]
    if level.limit_bytes is None:
        about.append("It has no limit of its own.")
    elif share is not None:
        about.append(f"{units.percent(100 * share)} of its limit is used.")
    if is_tight and len(confinement.levels) > 1:
        about.append("Of all groups around memtui this one gives the least room.")
    if level.path == confinement.group.path:
        about += _about_group(confinement.group)
    about += [[], f"/{units.printable(level.directory)}"]
    return Item(
        level.path,
        {
            "path": ("  " * min(depth, 4) + name, BRIGHT if is_tight else PLAIN),
            "current": size_cell(level.current_bytes, width),
            "limit": ("none", DIM)
            if level.limit_bytes is None
            else size_cell(level.limit_bytes, width),
            "room": ("–", DIM)
            if room is None
            else (units.size(room, short=is_narrow(width)), WARN if is_tight else PLAIN),
            "bar": (
                "" if share is None else units.permille_bar(share, bar),
                theme.style(theme.GROWS if share and share > 0.9 else theme.CACHE),
            ),
            "mark": (" ".join(marks), WARN),
        },
        about,
        "memory cgroup",
    )


def _about_group(group: MemoryGroup) -> list[str | Line]:
    """What the controller says beyond current and limit."""
    pairs: list[Line] = [
        labelled((label, units.size(value)))
        for label, value in (
            ("highest so far", group.peak_bytes),
            ("high" if group.version == 2 else "soft limit", group.high_bytes),
            ("swap", group.swap_bytes),
            ("swap limit", group.swap_max_bytes),
        )
        if value is not None
    ]
    events = {} if isinstance(group.events, Gap) else group.events
    hits = events.get("failcnt" if group.version == 1 else "max")
    for label, count in (("limit hits", hits), ("OOM kills", events.get("oom_kill"))):
        if count is not None:
            pairs.append(labelled((label, units.count(count))))
    return list(pairs)


CGROUP: Final = Section(
    "cgroup",
    "Control group",
    "memory cgroup",
    (),
    _summary,
    _page,
    at_a_glance=("confinement",),
    of_group=True,
)
