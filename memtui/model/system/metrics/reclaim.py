"""Figures of page faults, of reclaim, and of what comes back too soon."""

from __future__ import annotations

from typing import Final

from memtui.model.entry import Entry, Fact, number, per_s
from memtui.model.sample import Sample
from memtui.model.system import vmrates
from memtui.model.system.metrics.base import Metric, Value, counted, of_counter, per_second

_RECLAIM: Final = ("kswapd", "direct reclaim", "reclaim efficiency", "watermark")


def _efficiency(now: Sample, before: Sample | None) -> Value:
    if before is None:
        return None
    return vmrates.efficiency_pct(now.system.vmstat, before.system.vmstat)


TABLE: Final = (
    Metric(
        "minor_faults_per_s",
        "minor faults",
        "per_s",
        "/proc/vmstat pgfault, pgmajfault",
        "Page faults that were answered from memory: a page touched for the first time, a copy on "
        "write, a page of a file that was there already. Thousands a second are normal.",
        "growth of (pgfault − pgmajfault) / time between the two readings",
        per_second(vmrates.minor_faults),
        raw=counted(vmrates.minor_fault_count),
        group="faults",
        topic="Addresses, page tables and faults",
        entry=Entry(
            "minor faults",
            "Minor faults",
            "",
            "They are no sign of shortage and cost a microsecond or so each.",
            here=(Fact("On average since boot:", per_s("(pgfault − pgmajfault) / uptime")),),
            see=("page fault", "major faults", "copy-on-write"),
            aliases=("minor fault", "minflt"),
        ),
    ),
    of_counter(
        "major_faults_per_s",
        "major faults",
        "per_s",
        "pgmajfault",
        "Page faults for which something had to be read first, from a file or from swap: the task "
        "waits for the disk.",
        group="faults",
        topic="Addresses, page tables and faults",
        entry=Entry(
            "major faults",
            "Major faults",
            "vmstat counts them in pgmajfault, and in pgfault too.",
            "They are no sign of shortage while programs start: their code is read that way. Reading by "
            "read() waits for the disk too and is no fault.",
            here=(Fact("On average since boot:", per_s("pgmajfault / uptime")),),
            see=("page fault", "minor faults", "refault", "thrashing"),
            aliases=(
                "major fault",
                "majflt",
                "pgmajfault",
            ),
        ),
    ),
    of_counter(
        "kswapd_scanned_pages_per_s",
        "kswapd scans",
        "pages_per_s",
        "pgscan_kswapd",
        "Pages that kswapd looked at to find some to take back. It begins when a zone's free pages "
        "fall below its low watermark, and works beside the programs.",
        group="reclaim",
        topic="Pressure and reclaim",
        entry=Entry(
            "kswapd scans",
            "Pages kswapd looks at",
            "",
            "Scanned is not taken: the difference was in use or could not be had.",
            see=_RECLAIM,
            aliases=("pgscan_kswapd",),
        ),
    ),
    of_counter(
        "kswapd_stolen_pages_per_s",
        "kswapd takes",
        "pages_per_s",
        "pgsteal_kswapd",
        "Pages that kswapd took back.",
        vmrates.kswapd_stolen,
        group="reclaim",
        topic="Pressure and reclaim",
        entry=Entry(
            "kswapd takes",
            "Pages kswapd takes back",
            "They are free then, or already given to the next that asks.",
            "It is not all that is reclaimed: direct reclaim takes pages too.",
            see=_RECLAIM,
            aliases=("pgsteal_kswapd",),
        ),
    ),
    of_counter(
        "direct_scanned_pages_per_s",
        "direct scans",
        "pages_per_s",
        "pgscan_direct",
        "Pages that allocating tasks themselves had to look at, because kswapd was not fast enough: "
        "they wait meanwhile.",
        group="reclaim",
        topic="Pressure and reclaim",
        entry=Entry(
            "direct scans",
            "Pages looked at in direct reclaim",
            "",
            "It does not count kswapd's looking, nor what cgroups at their limit do.",
            see=("direct reclaim", "direct takes", "kswapd scans"),
            aliases=("pgscan_direct",),
        ),
    ),
    of_counter(
        "direct_stolen_pages_per_s",
        "direct takes",
        "pages_per_s",
        "pgsteal_direct",
        "Pages that allocating tasks took back themselves.",
        vmrates.direct_stolen,
        group="reclaim",
        topic="Pressure and reclaim",
        entry=Entry(
            "direct takes",
            "Pages taken in direct reclaim",
            "The task then gets one of them, or another.",
            "It is not swap out: most often it is clean pages of files that go.",
            see=("direct reclaim", "direct scans", "reclaim efficiency"),
            aliases=("pgsteal_direct",),
        ),
    ),
    Metric(
        "group_scanned_pages_per_s",
        "group scans",
        "pages_per_s",
        "/proc/vmstat pgscan_anon, pgscan_file, pgscan_kswapd, pgscan_direct, pgscan_khugepaged",
        "Pages that were looked at because a memory control group was at its limit, however much "
        "the machine has left.",
        "growth of (pgscan_anon + pgscan_file − those of kswapd, direct reclaim and khugepaged) / "
        "time between the two readings",
        per_second(vmrates.group_scanned),
        raw=counted(vmrates.group_scan_count),
        group="reclaim",
        topic="Pressure and reclaim",
        entry=Entry(
            "group scans",
            "Pages looked at for a cgroup's limit",
            "",
            "It is no shortage of the machine: one container at its limit is enough.",
            see=("memory cgroup", "direct reclaim"),
        ),
    ),
    Metric(
        "reclaim_efficiency_pct",
        "reclaim efficiency",
        "pct",
        "/proc/vmstat pgscan_anon, pgscan_file, pgsteal_anon, pgsteal_file",
        "The share of the pages looked at that could be taken back. Near 100 the cache gives way "
        "easily; a few per cent mean that nearly everything is in use.",
        "growth of (pgsteal_anon + pgsteal_file) / growth of (pgscan_anon + pgscan_file); by "
        "reclaimer where the kernel lacks these (before 5.8)",
        _efficiency,
        group="reclaim",
        topic="Pressure and reclaim",
        entry=Entry(
            "reclaim efficiency",
            "Reclaim efficiency",
            "",
            "It is no share of memory, and means nothing while hardly anything is scanned. sar called "
            "it %vmeff before it was dropped.",
            see=("kswapd", "direct reclaim", "thrashing"),
            aliases=("%vmeff", "vmeff"),
        ),
    ),
    of_counter(
        "refaults_anon_pages_per_s",
        "anon refaults",
        "pages_per_s",
        "workingset_refault_anon",
        "Pages of programs' own memory that came back from swap soon after they had been put out: "
        "they were still in use.",
        group="refaults",
        topic="Swap, lists and writing",
        entry=Entry(
            "anon refaults",
            "Refaults of anonymous pages",
            "Many together with swap out are thrashing.",
            "It is not all of swap in: pages that were put out long ago are forgotten by the counter.",
            see=("refault", "swap in", "thrashing"),
            aliases=("workingset_refault_anon",),
        ),
    ),
    of_counter(
        "refaults_file_pages_per_s",
        "file refaults",
        "pages_per_s",
        "workingset_refault_file",
        "Pages of files that were read again soon after they had been evicted: the cache is too "
        "small for what is in use. Called workingset_refault before 5.9.",
        vmrates.refaults_file,
        group="refaults",
        topic="Swap, lists and writing",
        entry=Entry(
            "file refaults",
            "Refaults of pages of files",
            "",
            "It is not every reading of a file: what was never in the cache does not count.",
            see=("refault", "page cache", "thrashing"),
            aliases=("workingset_refault_file",),
        ),
    ),
    of_counter(
        "refaults_pages_per_s",
        "refaults",
        "pages_per_s",
        "workingset_refault_anon, workingset_refault_file",
        "Pages that came back soon after they had been evicted, of programs and of files. Many of "
        "them, and tasks that wait, are thrashing.",
        vmrates.refaults,
        group="thrashing",
        topic="Swap, lists and writing",
        entry=Entry(
            "refault",
            "Refault",
            "The kernel remembers for a while what it has put out, and so knows that it took it too soon.",
            "It is no error, and a few are the price of finding out what is in use. A page read for "
            "the first time is no refault.",
            here=(
                Fact(
                    "Pages since boot:",
                    number("workingset_refault_anon + workingset_refault_file"),
                ),
                Fact(
                    "Of them taken as active at once:",
                    number("workingset_activate_anon + workingset_activate_file"),
                ),
            ),
            see=("anon refaults", "file refaults", "thrashing", "working set", "major faults"),
            aliases=("workingset_refault",),
        ),
    ),
    of_counter(
        "limit_hits_per_s",
        "limit hits",
        "per_s",
        "limit_hits",
        "How often the control group reached its limit and had to reclaim its own pages: failcnt in "
        "version 1, max of memory.events in version 2. Of a group alone.",
        group="limits",
        topic="Who holds memory",
        entry=Entry(
            "limit hits",
            "A cgroup at its limit",
            "",
            "It is no kill and no error: most often clean cache of the group goes, and work goes on.",
            see=("memory cgroup", "group scans", "OOM"),
            aliases=("failcnt",),
        ),
    )._replace(
        source="/sys/fs/cgroup: memory.failcnt (version 1), memory.events max (version 2)",
        formula="growth of failcnt, or of max / time between the two readings",
    ),
)
