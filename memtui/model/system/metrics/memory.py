"""Figures of what memory is used for, and of what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.entry import Entry, Fact, Tool, share, size
from memtui.model.sample import Sample
from memtui.model.system.balance import gives_way_bytes
from memtui.model.system.free import allocatable_bytes, free_figures
from memtui.model.system.metrics.base import Metric, Value, of_free, of_meminfo

if TYPE_CHECKING:
    from memtui.model.explain.context import Context

_USED_WITH_CACHE = size("MemTotal − MemFree")
_USED_3 = size("MemTotal − MemFree − Buffers − Cached − SReclaimable?")
_USED_3_FIRST = size("MemTotal − MemFree − Buffers − Cached − Slab")
_USED_SAR_12 = size("max(0, MemTotal − MemFree − Buffers − Cached − Slab)")
_AVAILABLE_RULE = size("MemFree + Buffers + Cached")


def _available_pct(now: Sample, _before: Sample | None) -> Value:
    return free_figures(now.system.meminfo).available_pct


def _left(now: Sample) -> int | None:
    """What programs can still allocate, swap included."""
    free, available = free_figures(now.system.meminfo), allocatable_bytes(now.system.meminfo)
    if available is None:
        return None
    gives_way = available + gives_way_bytes(now.system)
    if free.swap_total is None or free.swap_used is None:
        return gives_way
    return gives_way + free.swap_total - free.swap_used


def _left_bytes(now: Sample, _before: Sample | None) -> Value:
    return _left(now)


def _left_pct(now: Sample, _before: Sample | None) -> Value:
    left, free = _left(now), free_figures(now.system.meminfo)
    if left is None or not free.total:
        return None
    return 100 * left / (free.total + (free.swap_total or 0))


def _with_arc(context: Context) -> str:
    accounts = context.sample.system.accounts
    arc = None if accounts is None or isinstance(accounts, Gap) else accounts.arc
    if arc is None or not arc.gives_way_bytes:
        return ""
    return (
        f"ZFS's cache would give back {units.size(arc.gives_way_bytes)} of its "
        f"{units.size(arc.size_bytes)}. htop and btop count that as available; the kernel and free do "
        "not, and nor does memtui: it stands in the headline and the balance, and in what is left."
    )


def _not_told(context: Context) -> str:
    if not context.meminfo or "MemAvailable" in context.meminfo:
        return ""
    return "This kernel does not tell it (before 3.14): MemFree stands for it, as in free."


def _allocatable(context: Context) -> str:
    beside = "gives_way is what ZFS's ARC and GPU drivers would give back."
    if "MemAvailable" in context.meminfo:
        return f"allocatable is available here; {beside}"
    told = "allocatable is MemFree + buff/cache − shared: this kernel tells no available"
    return f"{told}; {beside}"


TABLE: Final = (
    of_meminfo(
        "mem_total_bytes",
        "total",
        "MemTotal",
        "All memory the kernel manages: what is installed less what firmware and the kernel's own "
        "image keep.",
        group="totals",
        topic="Figures of free",
        entry=Entry(
            "total",
            "Total memory",
            "The figure is fixed from boot on, unless memory is plugged in or a balloon driver takes some.",
            "It is not what is installed: what firmware, the kernel's image and reservations for crash "
            "dumps or graphics keep is missing. It is no limit of a container either.",
            formula=size("MemTotal"),
            see=("free", "available", "used", "memory cgroup"),
            aliases=("MemTotal", "memory total"),
        ),
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
        group="memory",
        topic="Figures of free",
        entry=Entry(
            "available",
            "Available memory",
            "",
            "It is an estimate and no promise: taking a cache that is in use costs time later. Swap is "
            "not in it, nor is a container's limit. It may be below free, as the reserve is taken off.",
            formula=size("available"),
            differs=(
                Tool("free, btop, htop, sar kbavail", size("available")),
                Tool("kernel, /proc/meminfo as it stands", size("MemAvailable")),
            ),
            older=(
                Tool("rule of thumb before Linux 3.14", _AVAILABLE_RULE),
                Tool("free's line -/+ buffers/cache, procps 3.3.9 and before", _AVAILABLE_RULE),
            ),
            here=(
                _not_told,
                _with_arc,
                Fact(
                    "How the kernel arrives at it, from the zones' low watermarks and reserve:",
                    size(
                        "max(0, MemFree − reserve + Active(file) + Inactive(file) "
                        "− min((Active(file) + Inactive(file)) / 2, low) "
                        "+ KReclaimable − min(KReclaimable / 2, low))"
                    ),
                ),
            ),
            see=("free", "used", "buff/cache", "watermark", "memory cgroup"),
            aliases=("MemAvailable", "avail"),
        ),
    ),
    of_meminfo(
        "mem_free_bytes",
        "free",
        "MemFree",
        "Memory that holds nothing at all. Little of it is normal: the kernel keeps files in memory "
        "that nobody else wants.",
        group="memory",
        topic="Figures of free",
        entry=Entry(
            "free",
            "Free memory",
            "",
            "Free is not available: available also counts the cache that gives way when programs want "
            "memory. Little free memory alone is no sign of shortage.",
            formula=size("MemFree"),
            differs=(
                Tool("sar kbmemfree, btop free", size("MemFree")),
                Tool("free's line -/+ buffers/cache, procps 3.3.9 and before", _AVAILABLE_RULE),
            ),
            here=(
                Fact("Free pages below which kswapd wakes, all zones:", size("low")),
                Fact("Memory the kernel holds back from available:", size("reserve")),
            ),
            see=("available", "buff/cache", "watermark", "fragmentation"),
            aliases=("MemFree", "kernel free"),
        ),
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
        group="memory",
        topic="Figures of free",
        entry=Entry(
            "buff/cache",
            "Buffers and cache",
            "",
            "It is not used up: clean pages of files are given up at once when programs want memory. "
            "But not all of it gives way: tmpfs and shared memory can only go to swap, and dirty pages "
            "must be written first.",
            formula=size("Buffers + Cached + SReclaimable?"),
            differs=(
                Tool("free", size("Buffers + Cached + SReclaimable?")),
                Tool("htop cache (buffers stand apart)", size("Cached + SReclaimable? − Shmem?")),
                Tool("btop cached", size("Cached")),
                Tool("sar kbbuffers + kbcached", size("Buffers + Cached")),
            ),
            older=(
                Tool("free, procps 3.3.10 (all slabs)", size("Buffers + Cached + Slab")),
                Tool("free, procps 3.3.9 and before (no slabs)", size("Buffers + Cached")),
            ),
            here=(
                Fact("Buffers, pages of block devices:", size("Buffers")),
                Fact("Contents of files on disk:", size("Cached − Shmem")),
                Fact("tmpfs and shared memory:", size("Shmem")),
                Fact("Slabs that can be reclaimed:", size("SReclaimable")),
                Fact("Of the pages, those changed but not yet written:", size("Dirty")),
            ),
            see=("available", "buffers", "cache", "shared", "page cache", "slab", "dirty"),
            aliases=("buffers/cache", "buffer cache"),
        ),
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
        group="totals",
        topic="Figures of free",
        entry=Entry(
            "the rest",
            "The rest",
            "It is the band of the graph above free and buff/cache, and the three of them stack to "
            "the total.",
            "It is not used: since procps 4 that is what is not available, and overlaps the cache.",
            formula=size("max(0, MemTotal − MemFree − (Buffers + Cached + SReclaimable?))"),
            differs=(
                Tool("free's used in the last procps 3.3", _USED_3),
                Tool("free's used in procps 4.0.1 and later", size("MemTotal − available")),
            ),
            here=(
                Fact("Programs' own memory in it:", size("AnonPages")),
                Fact("Slabs that cannot be reclaimed:", size("SUnreclaim")),
                Fact("Page tables:", size("PageTables")),
                Fact("Kernel stacks:", size("KernelStack")),
            ),
            see=("used", "buff/cache", "balance", "unaccounted"),
            aliases=("rest",),
        ),
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
        group="totals",
        topic="Figures of free",
        entry=Entry(
            "used",
            "Used memory",
            "",
            "It is not what programs use: the kernel's own memory and its reserve are in it, and so is "
            "the part of the cache that does not give way, such as tmpfs. Therefore used + free + "
            "buff/cache need not give the total.",
            formula=size("MemTotal − available"),
            differs=(
                Tool("free and top of procps 4.0.1 and later", size("MemTotal − available")),
                Tool("btop", size("MemTotal − available")),
                Tool(
                    "htop 3", size("MemTotal − MemFree − Buffers − Cached − SReclaimable? + Shmem?")
                ),
                Tool("sar kbmemused, sysstat 12.7.8 and later", size("MemTotal − available")),
                Tool("sar kbmemused, sysstat 11.7.4 to 12.7.7", _USED_SAR_12),
                Tool("psutil 7.2", size("MemTotal − available")),
            ),
            older=(
                Tool("free, procps 3.3.9 and before (with buffers and cache)", _USED_WITH_CACHE),
                Tool(
                    "the same, its line -/+ buffers/cache",
                    size("MemTotal − MemFree − Buffers − Cached"),
                ),
                Tool("free, procps 3.3.10 (all slabs are cache)", _USED_3_FIRST),
                Tool("free, last procps 3.3 to 4.0.0", _USED_3),
                Tool("sar kbmemused before sysstat 11.7.4", _USED_WITH_CACHE),
            ),
            see=("available", "buff/cache", "the rest", "shared", "RSS"),
            aliases=("MemUsed", "memory used", "-/+ buffers/cache"),
        ),
    ),
    of_meminfo(
        "swap_total_bytes",
        "swap total",
        "SwapTotal",
        "The size of all swap devices and files in use.",
        group="totals",
        topic="Figures of free",
        entry=Entry(
            "swap total",
            "Swap space",
            "Each device and file has a priority, and the highest is filled first.",
            "It is not memory: a page must come back before it can be used. Without swap, memory of "
            "programs that nobody touches stays in memory for good.",
            formula=size("SwapTotal"),
            see=("swap", "swap used", "zram", "swappiness"),
            aliases=("SwapTotal",),
        ),
    ),
    Metric(
        "available_pct",
        "available, share",
        "pct",
        "/proc/meminfo MemAvailable, MemTotal",
        "How much of all memory programs can still allocate without swapping.",
        "available / MemTotal",
        _available_pct,
        group="left",
        topic="Figures of free",
        entry=Entry(
            "available share",
            "Available memory as a share",
            "It is the figure to set an alert on, where machines of several sizes are watched.",
            "It is not 100 less sar's %memused before sysstat 12.7.8, which took all cache for free.",
            formula=share("100 × available / MemTotal"),
            see=("available", "left", "%memused"),
        ),
    ),
    Metric(
        "left_bytes",
        "available and free swap",
        "bytes",
        "/proc/meminfo MemAvailable, SwapFree",
        "What is left before the OOM killer must act: what programs can still allocate, the caches "
        "of ZFS and of graphics drivers that give way, and the swap that others' memory could be put "
        "into.",
        "available + SwapFree + reclaimable parts of ZFS's ARC and of GPU drivers; without "
        "MemAvailable (before 3.14) also buff/cache − shared",
        _left_bytes,
        field="accounts",
        group="left",
        topic="Figures of free",
        entry=Entry(
            "left",
            "What is left",
            "The two are not the same: memory can be had at once, swap only by writing others' pages "
            "there.",
            "It is no promise of speed: long before it is used up a machine may thrash.",
            formula=size("allocatable + gives_way + min(SwapFree?, SwapTotal?)"),
            here=(_allocatable,),
            see=("available", "swap free", "OOM killer", "thrashing"),
        ),
    ),
    Metric(
        "left_pct",
        "available and free swap, share",
        "pct",
        "/proc/meminfo MemAvailable, MemTotal, SwapTotal, SwapFree",
        "What is left before the OOM killer must act, as a share of memory and swap.",
        "left / (MemTotal + SwapTotal)",
        _left_pct,
        field="accounts",
        group="left",
        topic="Figures of free",
        entry=Entry(
            "left share",
            "What is left as a share",
            "It falls to 0 where nothing can be reclaimed and all swap is full.",
            "It is no time: how long it lasts depends on how fast it falls.",
            formula=share(
                "100 × (allocatable + gives_way + min(SwapFree?, SwapTotal?))"
                " / (MemTotal + SwapTotal?)"
            ),
            here=(_allocatable,),
            see=("left", "available share", "OOM killer"),
        ),
    ),
    of_meminfo(
        "anon_bytes",
        "anonymous",
        "AnonPages",
        "Programs' own memory: heaps, stacks, private copies, with transparent huge pages. It can "
        "only be swapped out. Shared memory and tmpfs are not in it.",
        group="memory",
        topic="Who holds memory",
        entry=Entry(
            "anonymous",
            "Anonymous memory",
            "Its pages begin at a fault and end when the program gives them back.",
            "It is not the sum of RSS, which has pages of files in it and counts shared pages again and "
            "again. A copy of it in swap is not in it.",
            formula=size("AnonPages"),
            differs=(Tool("sar kbanonpg", size("AnonPages")),),
            here=(Fact("Of it in transparent huge pages:", size("AnonHugePages")),),
            see=("swap", "RSS", "copy-on-write", "malloc", "shared"),
            aliases=(
                "AnonPages",
                "anon",
                "anonymous memory",
            ),
        ),
    ),
    of_meminfo(
        "shmem_bytes",
        "shared memory",
        "Shmem",
        "Shared memory, tmpfs and memfd files. The kernel counts it as cache, but it does not give "
        "way: without swap it stays until somebody deletes it.",
        group="memory",
        topic="Figures of free",
        entry=Entry(
            "shared",
            "Shared memory",
            "System V and POSIX shared memory and shared anonymous mappings are made of it.",
            "It is not all that processes share: code and libraries that many map are pages of files. "
            "It is part of cache and not a sum beside it.",
            formula=size("Shmem"),
            differs=(Tool("free shared, htop shared, sar kbshmem", size("Shmem")),),
            see=("tmpfs", "cache", "PSS", "swap"),
            aliases=(
                "Shmem",
                "shared memory, tmpfs",
            ),
        ),
    ),
    of_meminfo(
        "mapped_bytes",
        "mapped",
        "Mapped",
        "Pages of files, shared memory included, that some process has in its address space.",
        group="programs",
        topic="Who holds memory",
        entry=Entry(
            "mapped",
            "Mapped pages of files",
            "A page counts once, however many processes map it.",
            "It is not the size of the mappings: only pages that are in memory and in a page table "
            "count. Programs' own memory is anonymous and not in it.",
            formula=size("Mapped"),
            see=("page cache", "mmap", "PSS", "shared"),
            aliases=("file mapped",),
        ),
    ),
    of_meminfo(
        "mlocked_bytes",
        "mlocked",
        "Mlocked",
        "Pages that a program locked into memory with mlock.",
        group="programs",
        topic="Swap, lists and writing",
        entry=Entry(
            "mlocked",
            "Locked pages",
            "RLIMIT_MEMLOCK limits it for each process without CAP_IPC_LOCK.",
            "Locked memory is no faster; it only never waits for a disk.",
            formula=size("Mlocked"),
            see=("unevictable", "page fault", "mmap"),
            aliases=("mlock",),
        ),
    ),
    of_meminfo(
        "unevictable_bytes",
        "unevictable",
        "Unevictable",
        "Pages that reclaim never takes: locked ones, ramfs, secret memory.",
        group="programs",
        topic="Swap, lists and writing",
        entry=Entry(
            "unevictable",
            "Unevictable pages",
            "Reclaim does not even look at them.",
            "It is not only mlock: that part is mlocked. The kernel's own memory is not in it.",
            formula=size("Unevictable"),
            see=("mlocked", "active and inactive", "available"),
        ),
    ),
)
