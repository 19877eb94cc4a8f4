"""How short memory is: PSI, the watermarks, and who reclaims."""

from __future__ import annotations

from functools import partial
from typing import Final

from memtui.model.explain.context import Context
from memtui.model.explain.entry import Entry, Fact, size
from memtui.model.shortage.rules import LEVELS, RULES, Level, rule_words

_RECLAIM: Final = ("kswapd", "direct reclaim", "reclaim efficiency", "watermark")


def averages_here(context: Context) -> str:
    pressure = context.pressure
    if pressure is None:
        return "PSI is n/a here: the kernel lacks it, or it is off (boot with psi=1)."
    lines = []
    for words, stall in (("some", pressure.some), ("full", pressure.full)):
        if stall is not None:
            lines.append(
                f"{words} {stall.avg10_pct:.2f} % over 10 s, {stall.avg60_pct:.2f} % over 60 s, "
                f"{stall.avg300_pct:.2f} % over 300 s, {stall.total_us / 1e6:.3f} s since boot"
            )
    return f"Here {'; '.join(lines)}."


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


PRESSURE: Final = (
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
    Entry(
        "some",
        "PSI: some",
        "It is made of the growth of the counter, so no stall between two readings is missed.",
        "It is no share of tasks: one that waits among a thousand that work gives 100 too.",
        here=(averages_here,),
        see=("full", "PSI", "direct reclaim"),
        metric="stalled_some_pct",
    ),
    Entry(
        "full",
        "PSI: full",
        "In that time nobody got anything done.",
        "It is no full memory: the word is about tasks.",
        here=(averages_here,),
        see=("some", "PSI", "thrashing"),
        metric="stalled_full_pct",
    ),
    *(
        Entry(
            f"{line} {seconds} s",
            f"PSI: {line}, averaged over {seconds} s",
            "",
            f"It is not the last {seconds} s: the mean fades, so a stall that has ended stays in it.",
            see=(line, "PSI"),
            metric=f"{line}_avg{seconds}_pct",
            aliases=(f"{line} avg{seconds}",),
        )
        for line in ("some", "full")
        for seconds in (10, 60, 300)
    ),
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
    Entry(
        "kswapd scans",
        "Pages kswapd looks at",
        "",
        "Scanned is not taken: the difference was in use or could not be had.",
        see=_RECLAIM,
        metric="kswapd_scanned_pages_per_s",
        aliases=("pgscan_kswapd",),
    ),
    Entry(
        "kswapd takes",
        "Pages kswapd takes back",
        "They are free then, or already given to the next that asks.",
        "It is not all that is reclaimed: direct reclaim takes pages too.",
        see=_RECLAIM,
        metric="kswapd_stolen_pages_per_s",
        aliases=("pgsteal_kswapd",),
    ),
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
    Entry(
        "direct scans",
        "Pages looked at in direct reclaim",
        "",
        "It does not count kswapd's looking, nor what cgroups at their limit do.",
        see=("direct reclaim", "direct takes", "kswapd scans"),
        metric="direct_scanned_pages_per_s",
        aliases=("pgscan_direct",),
    ),
    Entry(
        "direct takes",
        "Pages taken in direct reclaim",
        "The task then gets one of them, or another.",
        "It is not swap out: most often it is clean pages of files that go.",
        see=("direct reclaim", "direct scans", "reclaim efficiency"),
        metric="direct_stolen_pages_per_s",
        aliases=("pgsteal_direct",),
    ),
    Entry(
        "group scans",
        "Pages looked at for a cgroup's limit",
        "",
        "It is no shortage of the machine: one container at its limit is enough.",
        see=("memory cgroup", "direct reclaim"),
        metric="group_scanned_pages_per_s",
    ),
    Entry(
        "reclaim efficiency",
        "Reclaim efficiency",
        "",
        "It is no share of memory, and means nothing while hardly anything is scanned. sar called "
        "it %vmeff before it was dropped.",
        see=("kswapd", "direct reclaim", "thrashing"),
        metric="reclaim_efficiency_pct",
        aliases=("%vmeff", "vmeff"),
    ),
    Entry(
        "allocation stalls",
        "Allocation stalls",
        "It counts how often, not how long: that is for PSI to tell.",
        "It is no failed allocation: each of them got its memory in the end, or met the OOM killer.",
        see=("direct reclaim", "PSI", "compaction stalls"),
        metric="allocation_stalls_per_s",
        aliases=("allocstall",),
    ),
)
