"""Deaths in words: on the Overview's line for a while, and all that is known of one."""

from __future__ import annotations

from typing import Final

from memtui import units
from memtui.kernel.deaths import OomKill
from memtui.kernel.files import Gap
from memtui.model.obituary import Obituary
from memtui.model.oom import signed
from memtui.tui import theme
from memtui.tui.clock import time_of_day
from memtui.tui.sections.base import ALARM, BRIGHT, DIM, PLAIN, WARN
from memtui.tui.seen import Seen
from memtui.tui.widgets.lines import Column, Line, Part
from memtui.tui.widgets.page import Page, Row

SHOWN_S: Final = 900.0
_NAME_CELLS: Final = 15
_CAUSES: Final = {
    "oom": "The machine had run out of memory, and the kernel chose it.",
    "oom in cgroup": "Its memory cgroup was full, and the kernel chose it.",
    "segfault": "It touched memory that was not its own.",
}
_SOURCES: Final = {
    "kernel log": "The kernel's log says so.",
    "inferred": "Inferred: the kernel counted a kill, and this one vanished. Its log is not read.",
}


def lately(seen: Seen, now_s: float) -> list[Part]:
    """`† java 12:03 +2`: the last that was killed in these fifteen minutes; empty without one."""
    killed = [
        each
        for each in seen.obituaries.values()
        if each.cause != "segfault" and 0 <= now_s - each.time_s < SHOWN_S
    ]
    if not killed:
        return []
    last = killed[-1]
    name = units.fit(units.printable(last.name) or "?", _NAME_CELLS).rstrip()
    more = f" +{len(killed) - 1}" if len(killed) > 1 else ""
    return [(f"† {name}", ALARM), (f" {time_of_day(last.time_s)[:5]}{more} ", DIM)]


def log_words(log: Gap | None) -> str:
    """Why the kernel's log is not read, and what is done instead; empty where it is read."""
    if log is None:
        return ""
    words = f"The kernel's log is not read: {units.printable(log.detail or log.reason)}."
    if log.reason == "denied":
        words = (
            "The kernel's log may not be read by this user "
            f"({units.printable(log.detail)}; dmesg_restrict keeps it from other users)."
        )
    return f"{words} Kills are inferred from their count and from who vanished; segfaults are not seen."


def obituary_page(obituary: Obituary) -> Page:
    """All that is known of one death."""
    died = "crashed" if obituary.cause == "segfault" else "was killed"
    who = units.printable(obituary.name) or "a process"
    pid = f" ({obituary.pid})" if obituary.pid is not None else ""
    title: list[Part] = [
        (" † " if obituary.cause != "segfault" else " ! ", ALARM),
        (f"{who}{pid}", BRIGHT),
        (f" {died} at {time_of_day(obituary.time_s)}", PLAIN),
    ]
    head: list[str | Line] = [f"{obituary.sentence}.", [], *map(_fact, _facts(obituary))]
    if obituary.others:
        head.append(f"It may have been: {', '.join(obituary.others)}.")
    head += [[], _CAUSES[obituary.cause], _SOURCES[obituary.source], []]
    if obituary.map is None:
        head.append("Its map had not been looked at: that is read of the chosen process alone.")
        return Page(title, head)
    totals = obituary.map.totals
    head.append(
        [
            (" ITS MAP AT THE LAST LOOK", DIM),
            (f"  {units.count(len(obituary.map))} mappings", DIM),
        ]
    )
    columns = (
        Column("kind", "KIND", 32, "<"),
        Column("count", "MAPPINGS", 9),
        Column("size", "SIZE", 10),
        Column("rss", "RSS", 10),
        Column("bar", "", 20, "<", 1),
    )
    rows: list[Row] = []
    for kind, sums in obituary.map.by_kind.items():
        share = None
        if sums.rss is not None and totals.rss:
            share = sums.rss / totals.rss
        rows.append(
            {
                "kind": (f"{kind.letter} {kind.words}", theme.style(kind.colour)),
                "count": (units.count(sums.mappings), DIM),
                "size": (units.size(sums.size), PLAIN),
                "rss": (units.size(sums.rss), PLAIN if sums.rss else DIM),
                "bar": (units.permille_bar(share, 20), theme.style(theme.CACHE)),
            }
        )
    return Page(title, head, columns, rows)


def _facts(obituary: Obituary) -> list[tuple[str, str]]:
    """Names and values, those that are known."""
    death = obituary.death
    facts: list[tuple[str, str | None]] = [("command", obituary.command)]
    facts.append(("cgroup", obituary.group))
    if obituary.cause != "segfault":
        facts.append(("in memory", units.size(obituary.rss_bytes)))
        if isinstance(death, OomKill):
            parts = (
                ("anon", death.anon_rss_bytes),
                ("file", death.file_rss_bytes),
                ("shmem", death.shmem_rss_bytes),
            )
            known = [f"{name} {units.size(size)}" for name, size in parts if size is not None]
            facts.append(("when it died", ", ".join(known)))
        facts.append(("in swap", units.size(obituary.swap_bytes)))
        facts.append(("page tables", units.size(obituary.page_tables_bytes)))
    if isinstance(death, OomKill):
        facts.append(("mapped", units.size(death.total_vm_bytes)))
        if death.oom_score_adj is not None:
            facts.append(("oom_score_adj", signed(death.oom_score_adj)))
        facts.append(("asked for by", death.invoked_by))
        facts.append(("full cgroup", death.oom_group))
        facts.append(("constraint", death.constraint))
    return [(name, units.printable(value)) for name, value in facts if value]


def _fact(fact: tuple[str, str]) -> Line:
    name, value = fact
    return [(f" {name:<14}", DIM), (value, WARN if value == "inferred" else PLAIN)]
