"""Who in the kernel holds memory: the largest call sites of allocations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from memtui import units
from memtui.kernel.allocations import Allocation
from memtui.kernel.files import Gap
from memtui.tui.pages.base import (
    BRIGHT,
    DIM,
    PLAIN,
    UNREAD,
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

_SORTS: Final = {"size": True, "calls": True, "name": False}
_OFF: Final = (
    "It needs Linux 6.10, built with CONFIG_MEM_ALLOC_PROFILING and switched on when it boots: "
    "sysctl.vm.mem_profiling=1."
)


def arranged(sites: Sequence[Allocation], how: Arrangement) -> list[Allocation]:
    """Those that fit the filter, in the order that is asked for."""
    by: dict[str, Callable[[Allocation], Any]] = {
        "size": lambda site: site.bytes,
        "calls": lambda site: site.calls,
        "name": lambda site: site.function.casefold(),
    }
    wanted = how.filter.casefold()
    rows = [
        site for site in sites if wanted in f"{site.function} {site.module} {site.file}".casefold()
    ]
    rows.sort(key=by.get(how.sort, by["size"]), reverse=how.downwards)
    return rows


def _summary(facts: Facts) -> Summary:
    sites = facts.system.allocations
    if sites is None:
        return UNREAD
    if isinstance(sites, Gap):
        return plain("root only" if sites.reason == "denied" else "not counted", quiet=True)
    return plain(units.size(sum(site.bytes for site in sites)))


def _page(facts: Facts, width: int, how: Arrangement) -> SectionPage:
    sites = facts.system.allocations
    if sites is None or isinstance(sites, Gap):
        absent = sites is not None and sites.reason == "absent"
        return only_words(why(sites, "who in the kernel holds memory"), *([_OFF] if absent else []))
    rows = arranged(sites, how)
    columns = (
        Column("name", "WHO ALLOCATED", 0, "<", least=16),
        Column("size", "SIZE", size_width(width)),
        Column("calls", "HELD", 10),
        Column("module", "MODULE", 14, "<", priority=2),
        Column("place", "WHERE", 34, "<", priority=3),
    )

    def row(site: Allocation) -> Row:
        return {
            "name": (site.function, PLAIN),
            "size": size_cell(site.bytes, width),
            "calls": (units.count(site.calls), PLAIN),
            "module": (site.module, PLAIN),
            "place": (f"{site.file}:{site.line}", DIM),
        }

    def about(at: int) -> list[str | Line]:
        return _about(rows[at]) if at < len(rows) else []

    total = units.size(sum(site.bytes for site in rows))
    pairs = [("call sites", units.count(len(rows))), ("hold", total)]
    if how.filter:
        pairs.append(("filter", units.printable(how.filter)))
    return SectionPage(
        (),
        [labelled(*pairs)],
        columns,
        Rows(rows, row),
        about,
        f"no call site has “{units.printable(how.filter)}” in it" if how.filter else "none",
        [f"{site.file}:{site.line} {site.module} {site.function}" for site in rows],
        lambda at: "kernel allocations",
        (how.sort, how.downwards),
    )


def _about(site: Allocation) -> list[str | Line]:
    whose = f"module {units.printable(site.module)}" if site.module else "the kernel itself"
    return [
        [(f" {units.printable(site.function)}", BRIGHT)],
        f"{units.size(site.bytes)} in {units.count(site.calls)} allocations that are not freed yet, "
        f"made by {whose} in {units.printable(site.file)}, line {site.line}.",
        [],
        "/proc/allocinfo",
    ]


ALLOCATIONS: Final = Section(
    "allocations",
    "Kernel memory",
    "kernel allocations",
    ("allocations",),
    _summary,
    _page,
    _SORTS,
    row="call site",
)
