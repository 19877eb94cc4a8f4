"""How short memory is: PSI, the watermarks, and who reclaims."""

from __future__ import annotations

from functools import partial
from typing import Final

from memtui.model.entry import Entry, Fact, Term, size
from memtui.model.explain.context import Context
from memtui.model.shortage.rules import LEVELS, RULES, Level, rule_words
from memtui.model.system.metrics.stalls import averages_here


def _zones_here(context: Context) -> str:
    zones = context.known_zones
    if not zones:
        return ""
    lines = [
        f"{zone.zone} of node {zone.node}: free {zone.fields.get('free', 'n/a')}, "
        f"min {zone.fields.get('min', 'n/a')}, low {zone.fields.get('low', 'n/a')}, "
        f"high {zone.fields.get('high', 'n/a')}"
        for zone in zones
        if zone.fields.get("managed", 1)
    ]
    return f"In pages: {'; '.join(lines)}." if lines else ""


def _level_here(level: Level, _context: Context) -> str:
    words = LEVELS[level]
    rules = "; or ".join(rule_words(rule) for rule in RULES if rule.level == level)
    label = words.label[0].upper() + words.label[1:]
    return f"{label}: {words.meaning}" + (f" When {rules}." if rules else "")


PRESSURE: Final[tuple[Term, ...]] = (
    Entry(
        "verdict",
        "The verdict",
        "How short memory is, in one of six levels, with the figures that decided it. The worst level "
        "of which a rule holds counts; it is reached when two looks agree and left when its rules have "
        "failed, even with limits made easier by 1.4, for ten seconds.",
        "It is no forecast: a machine can be comfortable and full in a second. It says nothing of "
        "whose fault it is: the processes and the groups tell that.",
        "/proc/meminfo, /proc/vmstat, /proc/pressure/memory, over the last ten seconds",
        here=tuple(partial(_level_here, level) for level in LEVELS),
        see=("PSI", "thrashing", "refault", "direct reclaim", "OOM killer"),
        aliases=("level", "levels", "rules"),
    ),
    Entry(
        "PSI",
        "Pressure stall information",
        "The share of time in which tasks waited for memory: for reclaim, for pages read back, for "
        "compaction. some counts the time in which at least one task waited, full that in which all "
        "that could have run did.",
        "It is no fill level: a full machine may have no pressure, and a half empty cgroup much. "
        "The averages lag behind; memtui's now comes from the growth of the total.",
        "/proc/pressure/memory",
        here=(averages_here,),
        see=("some", "full", "thrashing", "direct reclaim"),
        aliases=("pressure", "memory pressure", "pressure stall information", "stalls", "stalled"),
    ),
    "stalled_some_pct",
    "stalled_full_pct",
    *(f"{line}_avg{seconds}_pct" for line in ("some", "full") for seconds in (10, 60, 300)),
    Entry(
        "watermark",
        "Watermarks",
        "Three levels of free pages in each zone: below low kswapd wakes, at high it goes back to "
        "sleep, and below min ordinary allocations must reclaim themselves. min comes from "
        "min_free_kbytes, the steps between from watermark_scale_factor.",
        "They are no limits on programs, and are kept by zone: one zone may be below while the "
        "machine has plenty. What lies below min is for the kernel's own emergencies.",
        "/proc/zoneinfo min, low, high",
        size("low"),
        here=(
            Fact("All zones together, min:", size("min")),
            Fact("high:", size("high")),
            _zones_here,
        ),
        see=("kswapd", "direct reclaim", "zone", "available"),
        aliases=(
            "watermarks",
            "min_free_kbytes",
            "watermark_scale_factor",
            "low watermark",
            "high watermark",
            "min watermark",
        ),
    ),
    Entry(
        "kswapd",
        "kswapd",
        "The kernel's thread, one for each NUMA node, that takes pages back before anybody has to "
        "wait for it. It wakes below a zone's low watermark and works until the high one is reached.",
        "Its being busy is no fault: it is there so that programs need not reclaim. It uses swap "
        "only as swappiness and the state of the lists have it.",
        "/proc/vmstat pgscan_kswapd, pgsteal_kswapd",
        here=(
            Fact("Looked at since boot:", size("pgscan_kswapd × page_size")),
            Fact("Taken since boot:", size("pgsteal_kswapd × page_size")),
        ),
        see=("kswapd scans", "kswapd takes", "direct reclaim", "watermark"),
        aliases=("background reclaim",),
    ),
    "kswapd_scanned_pages_per_s",
    "kswapd_stolen_pages_per_s",
    Entry(
        "direct reclaim",
        "Direct reclaim",
        "What a task does itself when it asks for memory and too little is free: it looks for pages "
        "to take back before it gets its own. It waits meanwhile, which PSI counts.",
        "It is not swapping: most often it drops clean pages of files. A little of it in a burst "
        "is no shortage.",
        "/proc/vmstat pgscan_direct, pgsteal_direct, allocstall_*",
        here=(
            Fact("Looked at since boot:", size("pgscan_direct × page_size")),
            Fact("Taken since boot:", size("pgsteal_direct × page_size")),
        ),
        see=("direct scans", "direct takes", "allocation stalls", "kswapd", "PSI"),
        aliases=("reclaim",),
    ),
    "direct_scanned_pages_per_s",
    "direct_stolen_pages_per_s",
    "group_scanned_pages_per_s",
    "reclaim_efficiency_pct",
    "allocation_stalls_per_s",
)
