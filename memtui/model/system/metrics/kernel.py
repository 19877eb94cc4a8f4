"""Figures of the lists that reclaim takes from, and of the kernel's own memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from memtui.kernel.files import Gap
from memtui.kernel.zones import ZoneMarks
from memtui.model.entry import Entry, Fact, Tool, share, size
from memtui.model.sample import Sample
from memtui.model.system.balance import UNACCOUNTED, account
from memtui.model.system.metrics.base import Metric, Value, of_meminfo

if TYPE_CHECKING:
    from memtui.model.explain.context import Context

_LISTS: Final = ("active and inactive", "working set", "refault", "kswapd")


def _unaccounted(now: Sample, _before: Sample | None) -> Value:
    return account(now.system).get(UNACCOUNTED)


def _short_zones(now: Sample) -> list[ZoneMarks] | None:
    accounts = now.system.accounts
    if accounts is None or isinstance(accounts, Gap) or not accounts.zones:
        return None
    # Of these some can have no other: devices that reach no further, and the kernel below highmem.
    # Whoever is refused in another zone goes on to the next lower one.
    names = {"DMA", "DMA32"}
    if any(zone.zone == "HighMem" for zone in accounts.zones):
        names.add("Normal")
    return [zone for zone in accounts.zones if zone.is_below_min and zone.zone in names]


def _zones_below_min(now: Sample, _before: Sample | None) -> Value:
    short = _short_zones(now)
    return None if short is None else len(short)


def _low_zones_below_min(now: Sample, _before: Sample | None) -> Value:
    short = _short_zones(now)
    return None if short is None else sum(zone.zone == "Normal" for zone in short)


def _huge_pages(
    name: str, label: str, key: str, definition: str, *, group: str, topic: str, entry: Entry
) -> Metric:
    def value(now: Sample, _before: Sample | None) -> Value:
        meminfo = now.system.meminfo
        if isinstance(meminfo, Gap):
            return None
        pages, page_bytes = meminfo.get(key), meminfo.get("Hugepagesize")
        return None if pages is None or page_bytes is None else pages * page_bytes

    source, formula = f"/proc/meminfo {key}, Hugepagesize", f"{key} × Hugepagesize"
    return Metric(name, label, "bytes", source, definition, formula, value, group, topic, entry)


def walk_here(_context: Context) -> str:
    return "Map (3): t walks the page table of the address under the cursor, live."


def paging_here(context: Context) -> str:
    return f"This machine: {context.paging}." if context.paging else ""


TABLE: Final = (
    of_meminfo(
        "active_bytes",
        "active",
        "Active",
        "Pages used more than once of late: reclaim leaves them alone at first.",
        group="lists",
        topic="Swap, lists and writing",
        entry=Entry(
            "active",
            "Active pages",
            "sar shows them as kbactive.",
            "It is no measure of what programs need: a page stays active until the lists are balanced, "
            "however long ago it was used.",
            formula=size("Active"),
            here=(Fact("Its parts:", size("Active(anon) + Active(file)")),),
            see=("inactive", "active anon", "active file", *_LISTS),
        ),
    ),
    of_meminfo(
        "inactive_bytes",
        "inactive",
        "Inactive",
        "Pages not used of late: the first that reclaim looks at.",
        group="lists",
        topic="Swap, lists and writing",
        entry=Entry(
            "inactive",
            "Inactive pages",
            "sar shows them as kbinact.",
            "It is not free and not always cheap to take: those of programs must go to swap, and dirty "
            "ones be written.",
            formula=size("Inactive"),
            here=(Fact("Its parts:", size("Inactive(anon) + Inactive(file)")),),
            see=("active", "inactive anon", "inactive file", *_LISTS),
        ),
    ),
    of_meminfo(
        "active_anon_bytes",
        "active anon",
        "Active(anon)",
        "Programs' own and shared memory that is on the active list.",
        group="lists",
        topic="Swap, lists and writing",
        entry=Entry(
            "active anon",
            "Active anonymous pages",
            "tmpfs and shared memory are on this list too.",
            "It is not AnonPages: shared memory is on these lists too, and locked pages are on neither.",
            formula=size("Active(anon)"),
            see=("active", "inactive anon", "anonymous", "shared", "swap"),
        ),
    ),
    of_meminfo(
        "inactive_anon_bytes",
        "inactive anon",
        "Inactive(anon)",
        "Programs' own and shared memory that would be swapped out first.",
        group="lists",
        topic="Swap, lists and writing",
        entry=Entry(
            "inactive anon",
            "Inactive anonymous pages",
            "tmpfs and shared memory are on this list too.",
            "Without swap they cannot be taken at all, however inactive they are.",
            formula=size("Inactive(anon)"),
            see=("inactive", "active anon", "anonymous", "swappiness"),
        ),
    ),
    of_meminfo(
        "active_file_bytes",
        "active file",
        "Active(file)",
        "Pages of files that were used more than once: the cache's working set.",
        group="lists",
        topic="Swap, lists and writing",
        entry=Entry(
            "active file",
            "Active pages of files",
            "Losing them shows at once as refaults.",
            "It is not what is mapped: pages that were read twice are here as well.",
            formula=size("Active(file)"),
            see=("active", "inactive file", "mapped", "page cache", "refault"),
        ),
    ),
    of_meminfo(
        "inactive_file_bytes",
        "inactive file",
        "Inactive(file)",
        "Pages of files used once or long ago: the cheapest to take back.",
        group="lists",
        topic="Swap, lists and writing",
        entry=Entry(
            "inactive file",
            "Inactive pages of files",
            "Clean ones are simply dropped.",
            "It is not all of the cache that gives way: available also counts active pages of files.",
            formula=size("Inactive(file)"),
            see=("inactive", "active file", "available", "page cache"),
        ),
    ),
    of_meminfo(
        "swap_cached_bytes",
        "swap cached",
        "SwapCached",
        "Pages that are in memory and still have their copy in swap: they can be put out again "
        "without writing.",
        group="lists",
        topic="Swap, lists and writing",
        entry=Entry(
            "swap cached",
            "Swap cache",
            "It is counted neither in Cached nor in swap free.",
            "It is no cache of swap devices: only pages that came back, or are just leaving, are in it.",
            formula=size("SwapCached"),
            differs=(
                Tool("sar kbswpcad", size("SwapCached")),
                Tool("sar %swpcad", share("100 × SwapCached / (SwapTotal − SwapFree)")),
            ),
            see=("swap", "swap used"),
            aliases=(
                "SwapCached",
                "swap cache",
                "swap cache, unmapped",
            ),
        ),
    ),
    of_meminfo(
        "slab_bytes",
        "slab",
        "Slab",
        "The kernel's own small objects: inodes, directory entries, sockets, buffers.",
        group="kernel",
        topic="Who holds memory",
        entry=Entry(
            "slab",
            "Slabs",
            "slabtop shows them by cache, as root.",
            "It is not all of the kernel's memory: page tables, stacks, vmalloc and pages that drivers "
            "take are beside it.",
            formula=size("Slab"),
            differs=(Tool("sar kbslab", size("Slab")),),
            here=(Fact("Its parts:", size("SReclaimable + SUnreclaim")),),
            see=("slab reclaimable", "slab unreclaimable", "unaccounted"),
            aliases=(
                "slabs",
                "slabinfo",
                "slabtop",
            ),
        ),
    ),
    of_meminfo(
        "slab_reclaimable_bytes",
        "slab reclaimable",
        "SReclaimable",
        "Slabs that give way when memory is short, mostly cached inodes and directory entries.",
        group="kernel",
        topic="Who holds memory",
        entry=Entry(
            "slab reclaimable",
            "Reclaimable slabs",
            "free counts them as cache.",
            "Reclaimable is not at once: one object in use keeps its whole page.",
            formula=size("SReclaimable"),
            here=(Fact("With other kernel memory that gives way:", size("KReclaimable")),),
            see=("slab", "cache", "available"),
            aliases=("other_reclaimable", "kernel, reclaimable", "SReclaimable", "KReclaimable"),
        ),
    ),
    of_meminfo(
        "slab_unreclaimable_bytes",
        "slab unreclaimable",
        "SUnreclaim",
        "Slabs that the kernel needs. One that only grows is a leak in the kernel or a driver.",
        group="memory",
        topic="Who holds memory",
        entry=Entry(
            "slab unreclaimable",
            "Unreclaimable slabs",
            "",
            "It is no leak while it follows the load: sockets and processes need it.",
            formula=size("SUnreclaim"),
            see=("slab", "unaccounted"),
            aliases=("SUnreclaim",),
        ),
    ),
    of_meminfo(
        "page_tables_bytes",
        "page tables",
        "PageTables",
        "The lowest level of all processes' page tables, which say for each page where it is.",
        group="memory",
        topic="Addresses, page tables and faults",
        entry=Entry(
            "page table",
            "Page tables",
            "It is a tree, walked from its root by nine bits of the address at each level on x86-64: "
            "PGD, PUD, PMD and PTE, with P4D between where there are five levels. Newer kernels count "
            "the upper levels too.",
            "It is in no RSS of the process, although large ones weigh: each 2 MiB of small pages that "
            "are touched takes a table of 4 KiB, and each process that maps them its own.",
            formula=size("PageTables"),
            differs=(Tool("sar kbpgtbl", size("PageTables")),),
            here=(
                paging_here,
                Fact("Page tables of devices and virtual machines:", size("SecPageTables")),
                walk_here,
            ),
            see=("PTE", "MMU", "TLB", "huge page", "oom_score"),
            aliases=(
                "PageTables",
                "PGD",
                "PUD",
                "PMD",
                "P4D",
                "SecPageTables",
                "page walk",
            ),
        ),
    ),
    of_meminfo(
        "kernel_stacks_bytes",
        "kernel stacks",
        "KernelStack",
        "A stack in the kernel for each thread, 16 KiB on most machines.",
        group="kernel",
        topic="Who holds memory",
        entry=Entry(
            "kernel stack",
            "Kernel stacks",
            "It is used while the thread is in the kernel, and exists as long as the thread.",
            "It is not the stack of the program, which is anonymous memory of its process.",
            formula=size("KernelStack"),
            differs=(Tool("sar kbkstack", size("KernelStack")),),
            see=("vmalloc", "slab", "balance"),
            aliases=(
                "kernel_stacks",
                "KernelStack",
                "ShadowCallStack",
                "stack of the kernel",
            ),
        ),
    ),
    of_meminfo(
        "percpu_bytes",
        "per-CPU",
        "Percpu",
        "Kernel data kept once for each processor.",
        "since 4.20",
        group="kernel",
        topic="Who holds memory",
        entry=Entry(
            "per-CPU",
            "Per-CPU memory",
            "It grows with the number of processors, of cgroups and of network devices.",
            "It is not the pages that each processor keeps at hand for allocations: those are free.",
            formula=size("Percpu"),
            see=("balance", "slab unreclaimable", "memory cgroup"),
            aliases=("Percpu",),
        ),
    ),
    of_meminfo(
        "vmalloc_used_bytes",
        "vmalloc",
        "VmallocUsed",
        "Kernel memory that is contiguous in addresses only: modules, large tables, and the kernel "
        "stacks where they are mapped this way. Always 0 from 4.4 to 5.2.",
        group="kernel",
        topic="Who holds memory",
        entry=Entry(
            "vmalloc",
            "vmalloc memory",
            "",
            "VmallocTotal is address space and no memory, hence its huge number.",
            formula=size("VmallocUsed"),
            differs=(Tool("sar kbvmused", size("VmallocUsed")),),
            here=(Fact("Address space for it:", size("VmallocTotal")),),
            see=("kernel stack", "balance", "fragmentation"),
            aliases=(
                "VmallocUsed",
                "VmallocTotal",
                "VmallocChunk",
            ),
        ),
    ),
    _huge_pages(
        "huge_pages_total_bytes",
        "huge page pool",
        "HugePages_Total",
        "Memory set aside as huge pages of the default size. Nothing else may use it, even while it "
        "is free.",
        group="huge pages",
        topic="Zones, blocks and huge pages",
        entry=Entry(
            "huge page pool",
            "Pool of huge pages",
            "Programs get at it by hugetlbfs, or by mmap with MAP_HUGETLB.",
            "It is not what is used of it, and not transparent huge pages. MemFree does not have it, "
            "even while it is free.",
            formula=size("HugePages_Total × Hugepagesize"),
            differs=(
                Tool("sar kbhugfree + kbhugused", size("HugePages_Total × Hugepagesize")),
                Tool("pools of all sizes, Hugetlb of meminfo", size("Hugetlb")),
            ),
            here=(
                Fact("In use:", size("(HugePages_Total − HugePages_Free) × Hugepagesize")),
                Fact("Beyond the set number:", size("HugePages_Surp × Hugepagesize")),
            ),
            see=("huge page", "huge pages free", "THP"),
            aliases=(
                "huge pages, used",
                "huge_used",
                "huge pages, other sizes",
                "huge_other",
                "HugePages_Total",
                "Hugetlb",
                "HugePages_Surp",
            ),
        ),
    ),
    _huge_pages(
        "huge_pages_free_bytes",
        "huge pages free",
        "HugePages_Free",
        "Huge pages of the pool that nobody uses, reserved ones included.",
        group="huge pages",
        topic="Zones, blocks and huge pages",
        entry=Entry(
            "huge pages free",
            "Free huge pages of the pool",
            "Reserved means promised to a mapping that has not touched it yet.",
            "It is not part of free memory, and not available to programs that ask for small pages.",
            formula=size("HugePages_Free × Hugepagesize"),
            differs=(
                Tool("sar kbhugfree", size("HugePages_Free × Hugepagesize")),
                Tool(
                    "free and not promised",
                    size("(HugePages_Free − HugePages_Rsvd) × Hugepagesize"),
                ),
            ),
            see=("huge page pool", "huge page"),
            aliases=(
                "huge pages, reserved",
                "huge_reserved",
                "huge_free",
                "HugePages_Free",
                "HugePages_Rsvd",
            ),
        ),
    ),
    Metric(
        "zones_below_min",
        "zones below min",
        "count",
        "/proc/zoneinfo free, min",
        "How many of the zones that somebody cannot do without (DMA, DMA32, and low memory where there "
        "is highmem) have less free than their min watermark. Whoever needs memory of such a zone must "
        "take some back first, even if other zones have plenty.",
        "DMA, DMA32 and, below highmem, Normal zones with free < min",
        _zones_below_min,
        field="accounts",
        group="left",
        topic="Zones, blocks and huge pages",
        entry=Entry(
            "zones below min",
            "Zones below their min watermark",
            "",
            "It is no sum: available is of all zones together, and does not tell that one of them is "
            "empty that a device, or a 32-bit kernel, cannot do without.",
            see=("watermark", "zone", "direct reclaim"),
        ),
    ),
    Metric(
        "low_zones_below_min",
        "low memory below min",
        "count",
        "/proc/zoneinfo free, min",
        "On a 32-bit machine with highmem: whether low memory, the only one that the kernel itself can "
        "use, is below its min watermark.",
        "Normal zones with free < min, where there is highmem",
        _low_zones_below_min,
        field="accounts",
        group="left",
        topic="Zones, blocks and huge pages",
        entry=Entry(
            "low memory",
            "Low memory of 32-bit machines",
            "Such a kernel addresses less than a GiB directly; all above is highmem, for programs and "
            "files alone. When low memory runs out the OOM killer acts, however much highmem is free.",
            "It is not the low watermark.",
            see=("zones below min", "zone", "OOM killer"),
            aliases=("lowmem", "highmem", "LowFree"),
        ),
    ),
    Metric(
        "unaccounted_bytes",
        "unaccounted",
        "bytes",
        "/proc/meminfo, /proc/zoneinfo, /sys/block/zram*/mm_stat, /proc/spl/kstat/zfs/arcstats",
        "Memory that is neither free nor in any use that somebody counts: pages that drivers, GPUs and "
        "the network took directly. A few per cent are normal; if it only grows for hours a driver "
        "leaks.",
        "MemTotal − all other lines of the balance, free pages on CPU lists, zram and ZFS's ARC among "
        "them",
        _unaccounted,
        field="accounts",
        group="kernel",
        topic="Who holds memory",
        entry=Entry(
            "unaccounted",
            "Unaccounted memory",
            "",
            "It is no error by itself: some is there on every machine. One that only grows is a leak "
            "in a driver.",
            see=("balance", "slab unreclaimable", "vmalloc", "the rest"),
            aliases=("leftover", "missing memory"),
        ),
    ),
)
