"""Figures of what memory is used for: meminfo's."""

from __future__ import annotations

from typing import Final

from memtui.kernel.files import Gap
from memtui.model.sample import Sample
from memtui.model.system.balance import unaccounted_bytes
from memtui.model.system.free import allocatable_bytes, free_figures
from memtui.model.system.metrics.base import Metric, Value, of_free, of_meminfo


def _available_pct(now: Sample, _before: Sample | None) -> Value:
    return free_figures(now.system.meminfo).available_pct


def _left(now: Sample) -> int | None:
    """What programs can still allocate, swap included."""
    free, available = free_figures(now.system.meminfo), allocatable_bytes(now.system.meminfo)
    # A container may have more swap free than there is.
    swap = (free.swap_total or 0) - (free.swap_used or 0)
    return None if available is None else available + swap


def _left_bytes(now: Sample, _before: Sample | None) -> Value:
    return _left(now)


def _left_pct(now: Sample, _before: Sample | None) -> Value:
    left, free = _left(now), free_figures(now.system.meminfo)
    if left is None or not free.total:
        return None
    return 100 * left / (free.total + (free.swap_total or 0))


def _commit_pct(now: Sample, _before: Sample | None) -> Value:
    meminfo = now.system.meminfo
    if isinstance(meminfo, Gap):
        return None
    committed, total, swap = map(meminfo.get, ("Committed_AS", "MemTotal", "SwapTotal"))
    if committed is None or total is None or swap is None or total + swap <= 0:
        return None
    return 100 * committed / (total + swap)


def _unaccounted(now: Sample, _before: Sample | None) -> Value:
    return unaccounted_bytes(now.system.meminfo)


def _huge_pages(name: str, label: str, key: str, definition: str) -> Metric:
    def value(now: Sample, _before: Sample | None) -> Value:
        meminfo = now.system.meminfo
        if isinstance(meminfo, Gap):
            return None
        pages, page_bytes = meminfo.get(key), meminfo.get("Hugepagesize")
        return None if pages is None or page_bytes is None else pages * page_bytes

    source, formula = f"/proc/meminfo {key}, Hugepagesize", f"{key} × Hugepagesize"
    return Metric(name, label, "bytes", source, definition, formula, value)


_FREE: Final = (
    of_meminfo(
        "mem_total_bytes",
        "total",
        "MemTotal",
        "All memory the kernel manages: what is installed less what firmware and the kernel's own "
        "image keep.",
    ),
    Metric(
        "mem_available_bytes",
        "available",
        "bytes",
        "/proc/meminfo MemAvailable",
        "The kernel's estimate of how much programs can still allocate without swapping: free memory "
        "and what of the cache gives way, less the reserves.",
        "MemAvailable; MemFree where the kernel lacks it (before 3.14) or it exceeds MemTotal",
        of_free("available"),
    ),
    of_meminfo(
        "mem_free_bytes",
        "free",
        "MemFree",
        "Memory that holds nothing at all. Little of it is normal: the kernel keeps files in memory "
        "that nobody else wants.",
    ),
    Metric(
        "buff_cache_bytes",
        "buff/cache",
        "bytes",
        "/proc/meminfo Buffers, Cached, SReclaimable",
        "Contents of files and of block devices kept in memory, and the kernel's reclaimable slabs. "
        "Most of it gives way when programs want memory; tmpfs and shared memory, which are in it, "
        "do not.",
        "Buffers + Cached + SReclaimable",
        of_free("buff_cache"),
    ),
    Metric(
        "rest_bytes",
        "the rest",
        "bytes",
        "/proc/meminfo MemTotal, MemFree, Buffers, Cached, SReclaimable",
        "What is neither free nor buff/cache: programs' own memory, page tables, kernel stacks, "
        "unreclaimable slabs.",
        "MemTotal − MemFree − buff/cache",
        of_free("rest"),
    ),
    Metric(
        "mem_used_bytes",
        "used",
        "bytes",
        "/proc/meminfo MemTotal, MemAvailable",
        "free(1)'s used, as procps 4 defines it. It overlaps buff/cache by the part of the cache "
        "that does not give way.",
        "MemTotal − available",
        of_free("used"),
    ),
    of_meminfo(
        "swap_total_bytes",
        "swap total",
        "SwapTotal",
        "The size of all swap devices and files in use.",
    ),
    Metric(
        "swap_used_bytes",
        "swap used",
        "bytes",
        "/proc/meminfo SwapTotal, SwapFree",
        "Swap that holds pages which were put out of memory.",
        "SwapTotal − SwapFree, not below 0",
        of_free("swap_used"),
    ),
)

_LEFT: Final = (
    Metric(
        "available_pct",
        "available, share",
        "pct",
        "/proc/meminfo MemAvailable, MemTotal",
        "How much of all memory programs can still allocate without swapping.",
        "available / MemTotal",
        _available_pct,
    ),
    Metric(
        "left_bytes",
        "available and free swap",
        "bytes",
        "/proc/meminfo MemAvailable, SwapFree",
        "What is left before the OOM killer must act: what programs can still allocate, and the swap "
        "that others' memory could be put into.",
        "available + SwapFree; without MemAvailable (before 3.14) also buff/cache − shared",
        _left_bytes,
    ),
    Metric(
        "left_pct",
        "available and free swap, share",
        "pct",
        "/proc/meminfo MemAvailable, MemTotal, SwapTotal, SwapFree",
        "What is left before the OOM killer must act, as a share of memory and swap.",
        "(available + SwapFree) / (MemTotal + SwapTotal)",
        _left_pct,
    ),
)

_PROGRAMS: Final = (
    of_meminfo(
        "anon_bytes",
        "anonymous",
        "AnonPages",
        "Programs' own memory: heaps, stacks, private copies, with transparent huge pages. It can "
        "only be swapped out. Shared memory and tmpfs are not in it.",
    ),
    of_meminfo(
        "shmem_bytes",
        "shared memory",
        "Shmem",
        "Shared memory, tmpfs and memfd files. The kernel counts it as cache, but it does not give "
        "way: without swap it stays until somebody deletes it.",
    ),
    of_meminfo(
        "mapped_bytes",
        "mapped",
        "Mapped",
        "Pages of files, shared memory included, that some process has in its address space.",
    ),
    of_meminfo(
        "mlocked_bytes",
        "mlocked",
        "Mlocked",
        "Pages that a program locked into memory with mlock.",
    ),
    of_meminfo(
        "unevictable_bytes",
        "unevictable",
        "Unevictable",
        "Pages that reclaim never takes: locked ones, ramfs, secret memory.",
    ),
    of_meminfo(
        "committed_bytes",
        "committed",
        "Committed_AS",
        "What programs were promised: all writable private memory they asked for, touched or not. "
        "If all used it, this much would be needed.",
    ),
    of_meminfo(
        "commit_limit_bytes",
        "commit limit",
        "CommitLimit",
        "How much may be promised in strict mode (overcommit_memory 2); in the other modes it limits "
        "nothing.",
    ),
    Metric(
        "commit_pct",
        "%commit",
        "pct",
        "/proc/meminfo Committed_AS, MemTotal, SwapTotal",
        "What was promised as a share of memory and swap. Above 100 more was promised than there is, "
        "which does no harm as long as not all of it is touched.",
        "Committed_AS / (MemTotal + SwapTotal)",
        _commit_pct,
    ),
)

_LISTS: Final = (
    of_meminfo(
        "active_bytes",
        "active",
        "Active",
        "Pages used more than once of late: reclaim leaves them alone at first.",
    ),
    of_meminfo(
        "inactive_bytes",
        "inactive",
        "Inactive",
        "Pages not used of late: the first that reclaim looks at.",
    ),
    of_meminfo(
        "active_anon_bytes",
        "active anon",
        "Active(anon)",
        "Programs' own and shared memory that is on the active list.",
    ),
    of_meminfo(
        "inactive_anon_bytes",
        "inactive anon",
        "Inactive(anon)",
        "Programs' own and shared memory that would be swapped out first.",
    ),
    of_meminfo(
        "active_file_bytes",
        "active file",
        "Active(file)",
        "Pages of files that were used more than once: the cache's working set.",
    ),
    of_meminfo(
        "inactive_file_bytes",
        "inactive file",
        "Inactive(file)",
        "Pages of files used once or long ago: the cheapest to take back.",
    ),
    of_meminfo(
        "dirty_bytes",
        "dirty",
        "Dirty",
        "Pages of files that were changed and are not yet written: they must be written before they "
        "can give way.",
    ),
    of_meminfo(
        "writeback_bytes",
        "writeback",
        "Writeback",
        "Pages that are being written to disk or swap now.",
    ),
    of_meminfo(
        "swap_cached_bytes",
        "swap cached",
        "SwapCached",
        "Pages that are in memory and still have their copy in swap: they can be put out again "
        "without writing.",
    ),
)

_KERNEL: Final = (
    of_meminfo(
        "slab_bytes",
        "slab",
        "Slab",
        "The kernel's own small objects: inodes, directory entries, sockets, buffers.",
    ),
    of_meminfo(
        "slab_reclaimable_bytes",
        "slab reclaimable",
        "SReclaimable",
        "Slabs that give way when memory is short, mostly cached inodes and directory entries.",
    ),
    of_meminfo(
        "slab_unreclaimable_bytes",
        "slab unreclaimable",
        "SUnreclaim",
        "Slabs that the kernel needs. One that only grows is a leak in the kernel or a driver.",
    ),
    of_meminfo(
        "page_tables_bytes",
        "page tables",
        "PageTables",
        "The lowest level of all processes' page tables, which say for each page where it is.",
    ),
    of_meminfo(
        "kernel_stacks_bytes",
        "kernel stacks",
        "KernelStack",
        "A stack in the kernel for each thread, 16 KiB on most machines.",
    ),
    of_meminfo(
        "percpu_bytes",
        "per-CPU",
        "Percpu",
        "Kernel data kept once for each processor.",
        "since 4.20",
    ),
    of_meminfo(
        "vmalloc_used_bytes",
        "vmalloc",
        "VmallocUsed",
        "Kernel memory that is contiguous in addresses only: modules, large tables, and the kernel "
        "stacks where they are mapped this way. Always 0 from 4.4 to 5.2.",
    ),
    _huge_pages(
        "huge_pages_total_bytes",
        "huge page pool",
        "HugePages_Total",
        "Memory set aside as huge pages of the default size. Nothing else may use it, even while it "
        "is free.",
    ),
    _huge_pages(
        "huge_pages_free_bytes",
        "huge pages free",
        "HugePages_Free",
        "Huge pages of the pool that nobody uses, reserved ones included.",
    ),
    Metric(
        "unaccounted_bytes",
        "unaccounted",
        "bytes",
        "/proc/meminfo MemTotal less every use that it tells",
        "Memory that is neither free nor in any use the kernel counts: pages that drivers, GPUs and "
        "the network took directly, zram's, and free pages on the processors' own lists. A few per "
        "cent are normal; if it only grows for hours a driver leaks.",
        "MemTotal − all other lines of the balance that meminfo tells",
        _unaccounted,
    ),
)

TABLE: Final = _FREE + _LEFT + _PROGRAMS + _LISTS + _KERNEL
