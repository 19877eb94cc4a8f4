"""Figures of what the memory management does: the growth of vmstat's counters."""

from __future__ import annotations

from typing import Final

from memtui.model.sample import Sample
from memtui.model.system import vmrates
from memtui.model.system.metrics.base import Metric, Value, of_counter, per_second


def _efficiency(now: Sample, before: Sample | None) -> Value:
    if before is None:
        return None
    return vmrates.efficiency_pct(now.system.vmstat, before.system.vmstat)


def _killed(now: Sample, before: Sample | None) -> Value:
    if before is None:
        return None
    return vmrates.growth(now.system.vmstat, before.system.vmstat, vmrates.named("oom_kill"))


_FAULTS: Final = (
    Metric(
        "minor_faults_per_s",
        "minor faults",
        "per_s",
        "/proc/vmstat pgfault, pgmajfault",
        "Page faults that were answered from memory: a page touched for the first time, a copy on "
        "write, a page of a file that was there already. Thousands a second are normal.",
        "growth of (pgfault − pgmajfault) / time between the two readings",
        per_second(vmrates.minor_faults),
    ),
    of_counter(
        "major_faults_per_s",
        "major faults",
        "per_s",
        "pgmajfault",
        "Page faults for which something had to be read first, from a file or from swap: the task "
        "waits for the disk.",
    ),
)

_RECLAIM: Final = (
    of_counter(
        "kswapd_scanned_pages_per_s",
        "kswapd scans",
        "pages_per_s",
        "pgscan_kswapd",
        "Pages that kswapd looked at to find some to take back. It begins when a zone's free pages "
        "fall below its low watermark, and works beside the programs.",
    ),
    of_counter(
        "direct_scanned_pages_per_s",
        "direct scans",
        "pages_per_s",
        "pgscan_direct",
        "Pages that allocating tasks themselves had to look at, because kswapd was not fast enough: "
        "they wait meanwhile.",
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
    ),
    of_counter(
        "kswapd_stolen_pages_per_s",
        "kswapd takes",
        "pages_per_s",
        "pgsteal_kswapd",
        "Pages that kswapd took back.",
        vmrates.kswapd_stolen,
    ),
    of_counter(
        "direct_stolen_pages_per_s",
        "direct takes",
        "pages_per_s",
        "pgsteal_direct",
        "Pages that allocating tasks took back themselves.",
        vmrates.direct_stolen,
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
    ),
    of_counter(
        "allocation_stalls_per_s",
        "allocation stalls",
        "per_s",
        "allocstall",
        "Allocations that had to wait until their task itself had reclaimed memory; summed over the "
        "zones, by which the kernel counts them since 4.10.",
    ),
    of_counter(
        "refaults_anon_pages_per_s",
        "anon refaults",
        "pages_per_s",
        "workingset_refault_anon",
        "Pages of programs' own memory that came back from swap soon after they had been put out: "
        "they were still in use.",
    ),
    of_counter(
        "refaults_file_pages_per_s",
        "file refaults",
        "pages_per_s",
        "workingset_refault_file",
        "Pages of files that were read again soon after they had been evicted: the cache is too "
        "small for what is in use. Called workingset_refault before 5.9.",
        vmrates.refaults_file,
    ),
)

_COMING_BACK: Final = (
    of_counter(
        "refaults_pages_per_s",
        "refaults",
        "pages_per_s",
        "workingset_refault_anon, workingset_refault_file",
        "Pages that came back soon after they had been evicted, of programs and of files. Many of "
        "them, and tasks that wait, are thrashing.",
        vmrates.refaults,
    ),
    of_counter(
        "limit_hits_per_s",
        "limit hits",
        "per_s",
        "limit_hits",
        "How often the control group reached its limit and had to reclaim its own pages: failcnt in "
        "version 1, max of memory.events in version 2. Of a group alone.",
    )._replace(
        source="/sys/fs/cgroup: memory.failcnt (version 1), memory.events max (version 2)",
        formula="growth of failcnt, or of max / time between the two readings",
    ),
)

_TRAFFIC: Final = (
    of_counter(
        "swap_in_pages_per_s",
        "swap in",
        "pages_per_s",
        "pswpin",
        "Pages read back from swap: wanted again, or read ahead with one that was.",
    ),
    of_counter(
        "swap_out_pages_per_s",
        "swap out",
        "pages_per_s",
        "pswpout",
        "Pages written to swap. Alone it frees what nobody uses; together with swap in it is a sign "
        "of thrashing.",
    ),
    of_counter(
        "paged_in_bytes_per_s",
        "paged in",
        "bytes_per_s",
        "pgpgin",
        "What was read from block devices, for files, swap and everything else.",
        factor=1024,
    ),
    of_counter(
        "paged_out_bytes_per_s",
        "paged out",
        "bytes_per_s",
        "pgpgout",
        "What was written to block devices, for files, swap and everything else.",
        factor=1024,
    ),
)

_LARGE: Final = (
    of_counter(
        "compaction_stalls_per_s",
        "compaction stalls",
        "per_s",
        "compact_stall",
        "Allocations of several pages in a row whose task had to move pages together first.",
    ),
    of_counter(
        "compaction_success_per_s",
        "compaction successes",
        "per_s",
        "compact_success",
        "Compactions by an allocating task that made a large enough free block.",
    ),
    of_counter(
        "compaction_fails_per_s",
        "compaction failures",
        "per_s",
        "compact_fail",
        "Compactions by an allocating task that did not: memory is too fragmented, or too full.",
    ),
    of_counter(
        "thp_faults_per_s",
        "huge page faults",
        "per_s",
        "thp_fault_alloc",
        "Page faults that were answered with a transparent huge page.",
    ),
    of_counter(
        "thp_fallbacks_per_s",
        "huge page fallbacks",
        "per_s",
        "thp_fault_fallback",
        "Page faults that should have got a transparent huge page and got small pages, because none "
        "was free in one piece.",
    ),
)

_KILLS: Final = (
    Metric(
        "oom_kills",
        "OOM kills",
        "count",
        "/proc/vmstat oom_kill",
        "Processes that the OOM killer ended in the last interval, for the machine's memory or a "
        "control group's limit. Counted since 4.13.",
        "growth of oom_kill between the two readings",
        _killed,
    ),
)

TABLE: Final = _FAULTS + _RECLAIM + _COMING_BACK + _TRAFFIC + _LARGE + _KILLS
