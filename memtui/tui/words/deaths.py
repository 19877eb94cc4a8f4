"""Deaths in words: on the Overview's line for a while, and all that is known of one."""

from __future__ import annotations

import textwrap
from typing import Final

from memtui import units
from memtui.kernel.deaths import OomKill, Poisoned
from memtui.kernel.files import Gap
from memtui.model.machine import Machine
from memtui.model.oom.obituary import Obituary
from memtui.model.oom.ranking import signed
from memtui.session.session import Moment
from memtui.tui import theme
from memtui.tui.pages.base import ALARM, BRIGHT, DIM, PLAIN
from memtui.tui.widgets.page import Page, Row
from memtui.tui.words.cells import Column, Line, Part

SHOWN_S: Final = 900.0
_NAME_CELLS: Final = 15
_LABEL: Final = 9
_CAUSES: Final = {
    "oom": "the machine was out of memory",
    "oom in cgroup": "its memory cgroup was full",
    "oom on nodes": "the NUMA nodes that may be used had no memory left",
    "by hand": "somebody asked for it (SysRq f)",
    "memory failure": "a page of its memory had errors",
    "segfault": "it touched memory that was not its own",
}
_SOURCES: Final = {
    "kernel log": "from the kernel's log",
    "inferred": "inferred: the kernel counted a kill, and this one vanished; its log is not read",
}


def lately(moment: Moment) -> list[Part]:
    """`† java 12:03 +2`: the last that was killed in these fifteen minutes; empty without one."""
    now_s = moment.sample.time_s
    killed = [
        each
        for each in moment.seen.obituaries.values()
        if each.was_killed and 0 <= now_s - each.time_s < SHOWN_S
    ]
    if not killed:
        return []
    last = killed[-1]
    name = units.fit(units.printable(last.name) or "?", _NAME_CELLS).rstrip()
    more = f" +{len(killed) - 1}" if len(killed) > 1 else ""
    return [(f"† {name}", ALARM), (f" {moment.machine.time_of_day(last.time_s)[:5]}{more} ", DIM)]


def log_words(log: Gap | None) -> str:
    """Why the kernel's log is not read, and what is done instead; empty where it is read."""
    if log is None:
        return ""
    words = f"The kernel's log is not read: {units.printable(log.words)}."
    if log.reason == "denied":
        words = (
            "The kernel's log may not be read by this user "
            f"({units.printable(log.detail)}; dmesg_restrict keeps it from other users)."
        )
    return f"{words} Kills are inferred from their count and from who vanished; segfaults are not seen."


def obituary_page(obituary: Obituary, machine: Machine, width: int) -> Page:
    """All that is known of one death."""
    died = "was killed"
    if not obituary.was_killed:
        died = "crashed" if obituary.cause == "segfault" else "was sent SIGBUS"
    who = units.printable(obituary.name) or "a process"
    pid = f" ({obituary.pid})" if obituary.pid is not None else ""
    title: list[Part] = [
        (" † " if obituary.was_killed else " ! ", ALARM),
        (f"{who}{pid}", BRIGHT),
        (f" {died} at {machine.time_of_day(obituary.time_s)}", PLAIN),
        (f" · {_CAUSES[obituary.cause]}", DIM),
    ]
    head: list[str | Line] = [f"{obituary.sentence}."]
    for name, value in _facts(obituary, machine.page_bytes):
        rows = textwrap.wrap(units.printable(value), max(20, width - _LABEL - 2), max_lines=3)
        for at, row in enumerate(rows):
            head.append([(f" {'' if at else name:<{_LABEL}}", DIM), (row, PLAIN)])
    head.append([])
    if obituary.map is None:
        head.append("Its map was not looked at before: that is read of the chosen process alone.")
        return Page(title, head)
    totals = obituary.map.totals
    rest = f" at the last look: {units.count(len(obituary.map))} mappings"
    head.append([(" ITS MAP", DIM), (rest, DIM)])
    columns = (
        Column("kind", "KIND", 32, "<"),
        Column("count", "MAPPINGS", 9),
        Column("size", "SIZE", 10),
        Column("rss", "RSS", 10),
        Column("bar", "", 20, "<", 1),
    )
    rows_: list[Row] = []
    for kind, sums in obituary.map.by_kind.items():
        share = None
        if sums.rss is not None and totals.rss:
            share = sums.rss / totals.rss
        rows_.append(
            {
                "kind": (f"{kind.letter} {kind.words}", theme.style(kind.colour)),
                "count": (units.count(sums.mappings), DIM),
                "size": (units.size(sums.size), PLAIN),
                "rss": (units.size(sums.rss), PLAIN if sums.rss else DIM),
                "bar": (units.permille_bar(share, 20).rstrip("░"), theme.style(kind.colour)),
            }
        )
    return Page(title, head, columns, rows_)


def _facts(obituary: Obituary, page_bytes: int) -> list[tuple[str, str]]:
    """Names and values, those that are known."""
    death = obituary.death
    facts: list[tuple[str, str | None]] = [
        ("command", obituary.command),
        ("cgroup", obituary.group),
    ]
    if obituary.cause not in ("segfault", "memory failure"):
        memory = [units.size(obituary.rss_bytes)]
        if isinstance(death, OomKill):
            parts = {
                "anon": death.anon_rss_bytes,
                "file": death.file_rss_bytes,
                "shmem": death.shmem_rss_bytes,
            }
            known = [
                f"{name} {units.size(size)}" for name, size in parts.items() if size is not None
            ]
            if known:
                memory.append(f"{', '.join(known)} when it died")
        memory.append(f"swap {units.size(obituary.swap_bytes)}")
        memory.append(f"page tables {units.size(obituary.page_tables_bytes)}")
        if isinstance(death, OomKill):
            memory.append(f"{units.size(death.total_vm_bytes)} mapped")
        facts.append(("memory", " · ".join(memory)))
    if isinstance(death, OomKill):
        if death.oom_score_adj is not None:
            facts.append(("adj", signed(death.oom_score_adj)))
        asks = death.invoked_by is not None and not death.is_manual
        asked = [f"{death.invoked_by} asked for more"] if asks else []
        asked += [] if death.oom_group is None else [f"{death.oom_group} was full"]
        asked += [] if death.constraint is None else [death.constraint]
        facts.append(("why", " · ".join(asked)))
    if isinstance(death, Poisoned) and death.page_frame is not None:
        facts.append(
            ("page", f"{death.page_frame:#x}, in bytes {death.page_frame * page_bytes:#x}")
        )
    if obituary.others:
        facts.append(("or", ", ".join(obituary.others)))
    facts.append(("known", _SOURCES[obituary.source]))
    return [(name, value) for name, value in facts if value]
