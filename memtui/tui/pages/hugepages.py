"""Huge pages: the pools that are set aside, and the transparent ones."""

from __future__ import annotations

from typing import Final

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.hugepages import HugePool, ThpSettings
from memtui.tui.pages.base import (
    BRIGHT,
    DIM,
    PLAIN,
    UNKNOWN,
    Arrangement,
    Facts,
    Item,
    Section,
    SectionPage,
    Summary,
    only_words,
    page_of,
    plain,
    rate,
    why,
)
from memtui.tui.words.cells import Column, Line

_THP: Final = "/sys/kernel/mm/transparent_hugepage/"
_THP_IN_USE: Final = (
    ("AnonHugePages", "anonymous", "Programs' own memory in transparent huge pages."),
    ("ShmemHugePages", "shared", "Shared memory and tmpfs in transparent huge pages."),
    ("FileHugePages", "files", "Page cache in transparent huge pages."),
)
_ENABLED: Final = {
    "always": "All programs get huge pages where a stretch of memory is long enough.",
    "madvise": "Only memory for which a program asks (MADV_HUGEPAGE) gets huge pages.",
    "never": "No program gets transparent huge pages.",
}
_DEFRAG: Final = {
    "always": "A fault waits until memory has been compacted for it.",
    "defer": "A fault takes small pages; kswapd and kcompactd make room for later.",
    "defer+madvise": "As defer, but memory that asks for huge pages waits for them.",
    "madvise": "Only faults in memory that asks for huge pages wait for compaction.",
    "never": "A fault never waits: it takes a huge page only if there is one.",
}


def _summary(facts: Facts) -> Summary:
    meminfo = facts.meminfo
    pages, page_bytes = meminfo.get("HugePages_Total"), meminfo.get("Hugepagesize")
    thp = meminfo.get("AnonHugePages")
    pool = meminfo.get("Hugetlb")
    if pool is None and pages is not None and page_bytes is not None:
        pool = pages * page_bytes
    if pool is None and thp is None:
        return UNKNOWN
    if not pool and thp is None:
        return plain("none", quiet=True)
    short = f"pool {units.size(pool, short=True)}" if pool else f"THP {units.size(thp, short=True)}"
    long = f"pool {units.size(pool)}, THP {units.size(thp)}"
    return plain(short, long, quiet=not pool and not thp)


def _page(facts: Facts, width: int, _arrangement: Arrangement) -> SectionPage:
    pools, thp = facts.system.huge_pools, facts.system.thp
    if pools is None or thp is None or isinstance(thp, Gap):
        return only_words(why(thp if isinstance(thp, Gap) else None, "huge pages"))
    items: list[Item] = []
    if isinstance(pools, Gap):
        items.append(Item("pools", {"name": "pools", "more": (why(pools, "the pools"), DIM)}))
    else:
        items += [_pool(pool) for pool in pools]
    items += _transparent(thp, facts)
    columns = (
        Column("name", "WHAT", 18, "<"),
        Column("value", "VALUE", 13),
        Column("more", "", 0, "<", 1, least=28),
    )
    head: list[str | Line] = []
    if not pools and facts.meminfo.get("HugePages_Total"):
        head.append("meminfo tells of a pool of huge pages; of which sizes it is cannot be read.")
    elif not pools:
        head.append("This kernel has no pools of huge pages.")
    return page_of(columns, items, head)


def _pool(pool: HugePool) -> Item:
    total, free, reserved = pool.total, pool.free, pool.reserved
    used = None if total is None or free is None else max(0, total - free)
    size = units.size(pool.page_bytes).replace(".0 ", " ")
    words = (
        f"{units.count(total)} pages: {units.count(used)} used, {units.count(free)} free"
        f", {units.count(reserved)} reserved, {units.count(pool.surplus)} surplus"
    )
    style = PLAIN if total else DIM
    return Item(
        f"pool {pool.page_bytes}",
        {
            "name": (f"pool of {size}", style),
            "value": (units.size(None if total is None else total * pool.page_bytes), style),
            "more": (f" {words}", style),
        },
        [
            [(f" pool of {size} pages", BRIGHT)],
            words + ".",
            "Set aside for hugetlbfs: nothing else may use it, and it is in no RSS. Reserved ones "
            "are free, but promised.",
            f"Surplus allowed: {units.count(pool.overcommit)}.",
            [],
            "/sys/kernel/mm/hugepages/",
        ],
        "huge page pool",
    )


def _transparent(thp: ThpSettings, facts: Facts) -> list[Item]:
    if thp.enabled is None:
        words = "This kernel has no transparent huge pages."
        return [
            Item(
                "thp",
                {"name": ("THP", DIM), "value": ("none", DIM), "more": (f" {words}", DIM)},
                [words],
                "THP",
            )
        ]
    items = [
        _setting("THP", thp.enabled, _ENABLED.get(thp.enabled, ""), "enabled"),
        _setting("THP defrag", thp.defrag, _DEFRAG.get(thp.defrag or "", ""), "defrag"),
        _setting("THP shared memory", thp.shmem_enabled, "In shared memory.", "shmem_enabled"),
    ]
    others = {size: word for size, word in thp.sizes.items() if word != "never"}
    if thp.sizes:
        words = ", ".join(f"{units.size(size)} {word}" for size, word in others.items())
        value = f"{len(others)} of {len(thp.sizes)} on"
        items.append(_setting("THP other sizes", value, words or "all of them never", ""))
    for key, name, words in _THP_IN_USE:
        if key in facts.meminfo:
            value = units.size(facts.meminfo[key])
            items.append(_figure(f"THP {name}", value, words, f"/proc/meminfo {key}"))
    for counter, name, words, topic in (
        ("thp_fault_alloc", "THP faults", "Page faults that got a huge page.", "huge page faults"),
        (
            "thp_fault_fallback",
            "THP fallbacks",
            "Page faults that had to take small pages.",
            "huge page fallbacks",
        ),
    ):
        value = rate(facts.per_s(counter))
        items.append(_figure(name, value, words, f"/proc/vmstat {counter}", topic))
    scan = (
        f"looks at {units.count(thp.pages_to_scan)} pages, then sleeps "
        f"{units.duration(None if thp.scan_sleep_ms is None else thp.scan_sleep_ms / 1000)}; "
        f"{units.count(thp.full_scans)} rounds done"
    )
    made = f"{units.count(thp.pages_collapsed)} made"
    items.append(_figure("khugepaged", made, scan, f"{_THP}khugepaged/"))
    return items


def _setting(name: str, value: str | None, words: str, file: str) -> Item:
    return _figure(name, units.printable(value or units.UNKNOWN), words, _THP + file)


def _figure(name: str, value: str, words: str, source: str, topic: str = "THP") -> Item:
    quiet = DIM if value in ("0", units.UNKNOWN, "0/s", "never") else PLAIN
    return Item(
        name,
        {"name": (name, PLAIN), "value": (value, quiet), "more": (f" {words}", DIM)},
        [[(f" {name}", BRIGHT)], words, [], source],
        topic,
    )


HUGE_PAGES: Final = Section(
    "hugepages", "Huge pages", "huge page", ("huge_pools", "thp"), _summary, _page
)
