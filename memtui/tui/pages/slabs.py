"""The kernel's caches of objects, as slabtop has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from rich.style import Style

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.slabs import Slab
from memtui.tui import theme
from memtui.tui.pages.base import (
    BRIGHT,
    DIM,
    PLAIN,
    UNKNOWN,
    Arrangement,
    Facts,
    Section,
    SectionPage,
    Summary,
    labelled,
    only_words,
    plain,
    size_cell,
    size_width,
    why,
)
from memtui.tui.widgets.page import Row, Rows
from memtui.tui.words.cells import Column, Line

_SORTS: Final = {
    "size": True,
    "use": False,
    "objects": True,
    "active": True,
    "object": True,
    "name": False,
}


def used_pct(slab: Slab) -> float | None:
    """The share of a cache's objects that are in use; None without objects."""
    active = slab.active_objects
    return 100 * active / slab.objects if slab.objects and active is not None else None


def arranged(slabs: Sequence[Slab], how: Arrangement, page_bytes: int) -> list[Slab]:
    """Those that fit the filter, in the order that is asked for; equal ones by name."""
    by: dict[str, Callable[[Slab], Any]] = {
        "size": lambda slab: slab.size_bytes(page_bytes),
        # An empty cache wastes nothing: it counts as full.
        "use": lambda slab: 100.0 if (used := used_pct(slab)) is None else used,
        "objects": lambda slab: slab.objects,
        "active": lambda slab: slab.active_objects,
        "object": lambda slab: slab.object_bytes,
        "name": lambda slab: slab.name.casefold(),
    }
    wanted = how.filter.casefold()
    rows = [slab for slab in slabs if wanted in slab.name.casefold()]
    rows.sort(key=lambda slab: slab.name.casefold())
    rows.sort(key=by.get(how.sort, by["size"]), reverse=how.downwards)
    return rows


def _summary(facts: Facts) -> Summary:
    meminfo = facts.meminfo
    total = meminfo.get("Slab")
    if total is None:
        parts = (meminfo.get("SReclaimable"), meminfo.get("SUnreclaim"))
        total = None if None in parts else sum(filter(None, parts))
    if total is None:
        return UNKNOWN
    gives_way = meminfo.get("SReclaimable")
    share = f", {100 * gives_way / total:.0f} % gives way" if gives_way and total else ""
    return plain(units.size(total), units.size(total) + share)


def _page(facts: Facts, width: int, how: Arrangement) -> SectionPage:
    slabs = facts.system.slabs
    if slabs is None or isinstance(slabs, Gap):
        return only_words(why(slabs, "the slab caches"), *_sums(facts))
    page_bytes = facts.page_bytes
    rows = arranged(slabs, how, page_bytes)
    cells = size_width(width)
    columns = (
        Column("name", "CACHE", 0, "<", least=16),
        Column("size", "SIZE", cells),
        Column("use", "USE", 5),
        Column("objects", "OBJECTS", 10),
        Column("active", "ACTIVE", 10, priority=2),
        Column("object", "OBJECT", cells, priority=1),
        Column("per", "PER SLAB", 8, priority=4),
        Column("slabs", "SLABS", 9, priority=3),
    )

    def row(slab: Slab) -> Row:
        used = used_pct(slab)
        return {
            "name": (slab.name, PLAIN if slab.objects else DIM),
            "size": size_cell(slab.size_bytes(page_bytes), width),
            "use": (units.percent(used), _use_style(slab, used, page_bytes)),
            "objects": (units.count(slab.objects), PLAIN if slab.objects else DIM),
            "active": (units.count(slab.active_objects), PLAIN if slab.active_objects else DIM),
            "object": size_cell(slab.object_bytes, width),
            "per": (units.count(slab.objects_per_slab), DIM),
            "slabs": (units.count(slab.slabs), DIM),
        }

    def about(at: int) -> list[str | Line]:
        return _about(rows[at], page_bytes) if at < len(rows) else []

    return SectionPage(
        (),
        [_head(slabs, rows, how, page_bytes)],
        columns,
        Rows(rows, row),
        about,
        f"no cache has “{units.printable(how.filter)}” in its name" if how.filter else "no caches",
        [slab.name for slab in rows],
        lambda at: "slab",
        (how.sort, how.downwards),
    )


def _use_style(slab: Slab, used: float | None, page_bytes: int) -> Style:
    """A large cache that is half empty is worth a look."""
    if used is None:
        return DIM
    wasted = (slab.size_bytes(page_bytes) or 0) * (100 - used) / 100
    return theme.style(theme.GROWS) if used < 50 and wasted >= 1 << 20 else PLAIN


def _head(slabs: Sequence[Slab], rows: Sequence[Slab], how: Arrangement, page_bytes: int) -> Line:
    sizes = units.size(sum(slab.size_bytes(page_bytes) or 0 for slab in rows))
    objects = sum(slab.objects or 0 for slab in rows)
    active = sum(slab.active_objects or 0 for slab in rows)
    share = units.percent(100 * active / objects if objects else None)
    caches = units.count(len(rows))
    if how.filter:
        caches += f" of {units.count(len(slabs))}"
    pairs = [("caches", caches), ("size", sizes), ("in use", share)]
    if how.filter:
        pairs.append(("filter", f"{units.printable(how.filter)} · Esc: all"))
    return labelled(*pairs)


def _about(slab: Slab, page_bytes: int) -> list[str | Line]:
    per = slab.pages_per_slab
    objects, active = slab.objects, slab.active_objects
    unused = None if objects is None or active is None else objects - active
    unused_bytes = None if unused is None else unused * slab.object_bytes
    return [
        [(f" {units.printable(slab.name)}", BRIGHT)],
        f"{units.count(slab.slabs)} slabs of {units.count(per)} page{'' if per == 1 else 's'}, "
        f"each cut into {units.count(slab.objects_per_slab)} objects of "
        f"{units.count(slab.object_bytes)} bytes.",
        f"{units.count(active)} of {units.count(objects)} objects are in use; "
        f"the other {units.count(unused)} hold {units.size(unused_bytes)}.",
        [],
        "/proc/slabinfo",
    ]


def _sums(facts: Facts) -> list[str | Line]:
    """What anyone may know of them."""
    total, gives_way = facts.meminfo.get("Slab"), facts.meminfo.get("SReclaimable")
    if total is None:
        return []
    words = f"All of them take {units.size(total)}"
    return [[], words + (f", of which {units.size(gives_way)} give way." if gives_way else ".")]


SLABS: Final = Section("slabs", "Slabs", "slab", ("slabs",), _summary, _page, _SORTS)
