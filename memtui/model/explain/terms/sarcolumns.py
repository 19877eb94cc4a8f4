"""The columns of sar, by sysstat's names: what the table of columns does not say of them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from memtui.model.entry import Entry, Tool, share, size
from memtui.model.formula import Formula
from memtui.model.system.sar import COLUMNS, SarColumn

_USED_12 = size("max(0, MemTotal − MemFree − Buffers − Cached − Slab)")
_USED_11 = size("MemTotal − MemFree")

# A column's formula that is a sum of what the kernel tells; anything else is words.
_SUM: Final = re.compile(r"[\w() −+×/]*")


class _Note(NamedTuple):
    """`see` are names of other entries, `is_not` what the column does not mean."""

    is_not: str
    see: tuple[str, ...]
    older: tuple[Tool, ...] = ()


_NOTES: Final[dict[str, _Note]] = {
    "kbmemfree": _Note(
        "It is not what programs can still get: that is kbavail.", ("free", "kbavail")
    ),
    "kbavail": _Note("It is an estimate and no promise.", ("available", "kbmemfree")),
    "kbmemused": _Note(
        "It is not what programs use, and its meaning has changed twice: compare recordings of one "
        "version only.",
        ("used", "%memused", "kbavail"),
        (
            Tool("sysstat 11.7.4 to 12.7.7", _USED_12),
            Tool("before sysstat 11.7.4 (with buffers and cache)", _USED_11),
        ),
    ),
    "%memused": _Note(
        "It is no measure of shortage: at 90 a machine may be idle, at 50 it may stall.",
        ("used", "kbmemused", "PSI"),
        (
            Tool(
                "sysstat 11.7.4 to 12.7.7",
                share("100 × max(0, MemTotal − MemFree − Buffers − Cached − Slab) / MemTotal"),
            ),
            Tool("before sysstat 11.7.4", share("100 × (MemTotal − MemFree) / MemTotal")),
        ),
    ),
    "kbbuffers": _Note("It is no queue of writes.", ("buffers", "kbcached")),
    "kbcached": _Note(
        "It has no slabs in it, unlike free's cache, but tmpfs and shared memory, which do not give "
        "way.",
        ("cache", "page cache", "kbshmem"),
    ),
    "kbcommit": _Note("It is not memory in use.", ("commit", "%commit")),
    "kbactive": _Note("It is not in use this moment.", ("active", "kbinact")),
    "kbinact": _Note("It is not free.", ("inactive", "kbactive")),
    "kbdirty": _Note("It is no loss and no fault, unless the power fails.", ("dirty", "writeback")),
    "kbshmem": _Note("It does not give way like other cache.", ("shared", "tmpfs", "kbcached")),
    "kbanonpg": _Note("It is not the sum of RSS.", ("anonymous", "RSS")),
    "kbslab": _Note("It is not all of the kernel's memory.", ("slab", "slab reclaimable")),
    "kbkstack": _Note("It is not the programs' own stacks.", ("kernel stack",)),
    "kbpgtbl": _Note("It is in no process's RSS.", ("page table", "PTE")),
    "kbvmused": _Note("A 0 may mean that the kernel does not count it.", ("vmalloc",)),
    "pgpgin/s": _Note("It is not swap in, and reading files makes it.", ("paged in", "swap in")),
    "pgpgout/s": _Note(
        "It is not swap out, and writing files makes it.", ("paged out", "swap out")
    ),
    "fault/s": _Note("It is no sign of shortage: most are minor.", ("page fault", "majflt/s")),
    "majflt/s": _Note(
        "It does not count every reading of a file, only what faults had to wait for.",
        ("major faults", "refault"),
    ),
    "pgfree/s": _Note(
        "It is not reclaim: programs that end free pages too.", ("free", "pgsteal/s")
    ),
    "pgscank/s": _Note("Scanned is not reclaimed.", ("kswapd scans", "kswapd", "pgsteal/s")),
    "pgscand/s": _Note(
        "Scanned is not reclaimed.", ("direct scans", "direct reclaim", "pgsteal/s")
    ),
    "pgsteal/s": _Note(
        "It is no theft from anybody who used the page of late. Before sysstat 12.7.9 it counted "
        "each page twice on kernels that count by type as well.",
        ("kswapd takes", "direct takes", "reclaim efficiency"),
    ),
    "pgprom/s": _Note("It is nothing on machines with one kind of memory.", ("NUMA", "pgdem/s")),
    "pgdem/s": _Note("It is not swap: the page stays in memory.", ("NUMA", "pgprom/s")),
    "kbswpfree": _Note("It is no memory to count on.", ("swap free", "swap")),
    "kbswpused": _Note("It is no sign of shortage by itself.", ("swap used", "pswpin/s")),
    "%swpused": _Note("It is no sign of shortage by itself.", ("swap used", "thrashing")),
    "kbswpcad": _Note("It is no cache of the swap device.", ("swap cached",)),
    "%swpcad": _Note("It is no share of all swap, only of what is used.", ("swap cached",)),
    "pswpin/s": _Note("It is in pages, not in KiB.", ("swap in", "refault")),
    "pswpout/s": _Note("It is in pages, not in KiB.", ("swap out", "swappiness")),
    "kbhugfree": _Note("It is no free memory for others.", ("huge pages free", "huge page pool")),
    "kbhugused": _Note("Transparent huge pages are not in it.", ("huge page pool", "THP")),
    "%hugused": _Note("It is a share of the pool, not of memory.", ("huge page pool",)),
    "kbhugrsvd": _Note("It is not in use yet, and part of kbhugfree.", ("huge pages free",)),
    "kbhugsurp": _Note("It is part of the pool's total.", ("huge page pool",)),
}

# The kernel's counters of these names are explained with their rates.
_ELSEWHERE: Final = ("fault", "majflt", "pgpgin", "pgpgout", "pswpin", "pswpout")

_SECOND: Final = {
    "kB": "sar {} prints it in KiB, which it calls kB.",
    "percent": "sar {} prints it in per cent.",
    "per_s": "sar {} prints it for each second of the interval.",
}


def _entry(column: SarColumn) -> Entry:
    note = _NOTES.get(column.name)
    if note is None:  # PSI: eight of one kind
        line = "some" if column.name.startswith("%s") else "full"
        note = _Note("It is no share of memory, and of no number of tasks.", (line, "PSI"))
    words = column.words
    if not words.startswith("kb"):  # another column's name, or kB
        words = words[0].upper() + words[1:]
    short = column.name.removesuffix("/s")
    return Entry(
        column.name,
        f"{column.name} of sar {column.section}",
        f"{words}. {_SECOND[column.unit].format(column.section)}",
        note.is_not,
        formula=_formula(column),
        older=note.older,
        see=note.see,
        aliases=() if short in _ELSEWHERE else (short,),
        column=column.name,
    )


def _formula(column: SarColumn) -> Formula | None:
    if column.is_growth or column.section == "-q" or not _SUM.fullmatch(column.formula):
        return None
    return Formula(column.formula, "bytes" if column.unit == "kB" else "pct")


SAR: Final = tuple(_entry(column) for column in COLUMNS.values() if column.name != "%commit")
