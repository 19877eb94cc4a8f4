"""The figures of free(1), and what other programs call by the same names."""

from __future__ import annotations

from typing import Final

from memtui.model.explain.context import Context
from memtui.model.explain.entry import Entry, Fact, Tool, share, size

_USED_WITH_CACHE = size("MemTotal − MemFree")
_USED_3 = size("MemTotal − MemFree − Buffers − Cached − SReclaimable?")
_USED_3_FIRST = size("MemTotal − MemFree − Buffers − Cached − Slab")
_USED_SAR_12 = size("max(0, MemTotal − MemFree − Buffers − Cached − Slab)")
_AVAILABLE_RULE = size("MemFree + Buffers + Cached")


def _not_told(context: Context) -> str:
    if not context.meminfo or "MemAvailable" in context.meminfo:
        return ""
    return "This kernel does not tell it (before 3.14): MemFree stands for it, as in free."


def _allocatable(context: Context) -> str:
    if "MemAvailable" in context.meminfo:
        return "allocatable is available here."
    return "allocatable is MemFree + buff/cache − shared: this kernel tells no available."


FIGURES: Final = (
    Entry(
        "total",
        "Total memory",
        "The figure is fixed from boot on, unless memory is plugged in or a balloon driver takes some.",
        "It is not what is installed: what firmware, the kernel's image and reservations for crash "
        "dumps or graphics keep is missing. It is no limit of a container either.",
        formula=size("MemTotal"),
        see=("free", "available", "used", "memory cgroup"),
        aliases=("MemTotal", "memory total"),
        metric="mem_total_bytes",
    ),
    Entry(
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
        metric="mem_free_bytes",
    ),
    Entry(
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
        metric="mem_available_bytes",
    ),
    Entry(
        "available share",
        "Available memory as a share",
        "It is the figure to set an alert on, where machines of several sizes are watched.",
        "It is not 100 less sar's %memused before sysstat 12.7.8, which took all cache for free.",
        formula=share("100 × available / MemTotal"),
        see=("available", "left", "%memused"),
        metric="available_pct",
    ),
    Entry(
        "left",
        "What is left",
        "The two are not the same: memory can be had at once, swap only by writing others' pages there.",
        "It is no promise of speed: long before it is used up a machine may thrash.",
        formula=size("allocatable + min(SwapFree, SwapTotal)"),
        here=(_allocatable,),
        see=("available", "swap free", "OOM killer", "thrashing"),
        metric="left_bytes",
    ),
    Entry(
        "left share",
        "What is left as a share",
        "It falls to 0 where nothing can be reclaimed and all swap is full.",
        "It is no time: how long it lasts depends on how fast it falls.",
        formula=share("100 × (allocatable + min(SwapFree, SwapTotal)) / (MemTotal + SwapTotal)"),
        here=(_allocatable,),
        see=("left", "available share", "OOM killer"),
        metric="left_pct",
    ),
    Entry(
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
            Tool("htop 3", size("MemTotal − MemFree − Buffers − Cached − SReclaimable? + Shmem?")),
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
        metric="mem_used_bytes",
    ),
    Entry(
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
        metric="buff_cache_bytes",
    ),
    Entry(
        "buffers",
        "Buffers",
        "The part of the page cache that belongs to block devices themselves: metadata of file "
        "systems, and devices that are read without one. Pages of files are not in it, those are in "
        "cache.",
        "It is no queue of writes: what waits to be written is dirty.",
        "/proc/meminfo Buffers",
        size("Buffers"),
        differs=(Tool("free -w, htop, sar kbbuffers", size("Buffers")),),
        see=("cache", "buff/cache", "page cache", "dirty"),
    ),
    Entry(
        "cache",
        "Cache",
        "Pages of files kept in memory, tmpfs and shared memory with them, and the kernel's "
        "reclaimable slabs. free -w shows it as a column of its own, beside buffers.",
        "It is not wasted: without it every reading of a file would wait for the disk. It is not "
        "all reclaimable either: tmpfs and shared memory are in it.",
        "/proc/meminfo Cached, SReclaimable",
        size("Cached + SReclaimable?"),
        differs=(
            Tool("free -w cache", size("Cached + SReclaimable?")),
            Tool("htop cache", size("Cached + SReclaimable? − Shmem?")),
            Tool("btop cached, sar kbcached", size("Cached")),
        ),
        older=(
            Tool("free, procps 3.3.10 (all slabs)", size("Cached + Slab")),
            Tool("free, procps 3.3.9 and before", size("Cached")),
        ),
        see=("page cache", "buffers", "buff/cache", "shared", "slab"),
        aliases=("Cached",),
    ),
    Entry(
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
        metric="shmem_bytes",
    ),
    Entry(
        "the rest",
        "The rest",
        "It is the band of the graph above free and buff/cache, and the three of them stack to the total.",
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
        metric="rest_bytes",
    ),
    Entry(
        "swap total",
        "Swap space",
        "Each device and file has a priority, and the highest is filled first.",
        "It is not memory: a page must come back before it can be used. Without swap, memory of "
        "programs that nobody touches stays in memory for good.",
        formula=size("SwapTotal"),
        see=("swap", "swap used", "zram", "swappiness"),
        aliases=("SwapTotal",),
        metric="swap_total_bytes",
    ),
    Entry(
        "swap used",
        "Swap in use",
        "A page may lie there and in memory at the same time, ready to be dropped.",
        "Swap in use is no sign of shortage by itself: pages that nobody has touched for hours do "
        "no harm there. What hurts is traffic, pages swapped in again and again.",
        formula=size("max(0, SwapTotal − SwapFree)"),
        differs=(
            Tool("free, btop, sar kbswpused", size("max(0, SwapTotal − SwapFree)")),
            Tool(
                "htop (what is also in memory stands apart)",
                size("SwapTotal − SwapFree − SwapCached"),
            ),
        ),
        here=(
            Fact("Of it also in memory:", size("SwapCached")),
            Fact("Pages swapped in since boot:", size("pswpin × page_size")),
            Fact("Pages swapped out since boot:", size("pswpout × page_size")),
        ),
        see=("swap", "thrashing", "refault", "swappiness"),
        metric="swap_used_bytes",
    ),
    Entry(
        "swap free",
        "Free swap",
        "The part of all swap devices and files that holds no page. When it is used up, anonymous "
        "memory can only stay in memory, and the OOM killer comes nearer.",
        "Free swap is no memory that programs may count on: filling it is slow.",
        "/proc/meminfo SwapFree",
        size("SwapFree"),
        see=("swap", "swap used", "OOM killer"),
        aliases=("SwapFree",),
    ),
)
