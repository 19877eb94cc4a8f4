"""Physical memory itself: zones and nodes, free blocks, huge pages."""

from __future__ import annotations

from typing import Final

from memtui import units
from memtui.model.entry import Entry, Fact, Term, share, size
from memtui.model.explain.context import Context


def _orders_here(context: Context) -> str:
    blocks = context.all_blocks
    if blocks is None:
        return "buddyinfo is n/a here."
    counts = ", ".join(
        f"{'over ' if order in blocks.overflows else ''}{units.count(count)} of order {order}"
        for order, count in enumerate(blocks.counts)
    )
    return f"Free blocks, all zones: {counts}."


def _thp_here(context: Context) -> str:
    value = context.setting("transparent_hugepage/enabled")
    return f"Here it is set to: {value}." if value else "Its setting is n/a here."


def _nodes_here(context: Context) -> str:
    if context.nodes is None:
        return ""
    return f"This machine has {context.nodes} {'node' if context.nodes == 1 else 'nodes'}."


def _zones_here(context: Context) -> str:
    zones = context.known_zones
    if not zones or not context.page_bytes:
        return ""
    page = context.page_bytes
    parts = [
        f"{zone.zone} of node {zone.node}, {units.size(zone.fields.get('managed', 0) * page)} "
        f"with {units.size(zone.fields.get('free', 0) * page)} free"
        for zone in zones
        if zone.fields.get("managed")
    ]
    return f"Here: {'; '.join(parts)}." if parts else ""


ZONES: Final[tuple[Term, ...]] = (
    Entry(
        "zone",
        "Zones",
        "Parts of a node's memory by what can use them: DMA and DMA32 for devices that reach only "
        "low addresses, Normal, Movable for pages that can be moved. Each has its own free lists, "
        "watermarks and reserve.",
        "A zone is no limit of a process, which gets pages from any. Free pages of one zone do not "
        "help an allocation that may only use another.",
        "/proc/zoneinfo",
        here=(_zones_here,),
        see=("watermark", "NUMA", "fragmentation"),
        aliases=("zones", "memory zone"),
    ),
    Entry(
        "NUMA",
        "NUMA nodes",
        "Memory that is nearer to some processors than to others; a node is what is near to one "
        "group of them. A page from another node works just as well and only takes longer.",
        "A full node is no full machine: by default the kernel goes on to the next, unless a policy "
        "binds the process.",
        "/sys/devices/system/node/node*/meminfo, numastat",
        here=(_nodes_here,),
        see=("zone", "kswapd", "OOM"),
        aliases=("numa node", "node", "numastat"),
    ),
    Entry(
        "fragmentation",
        "Fragmentation",
        "The scattering of free memory into small blocks, so that many pages in a row cannot be had "
        "although enough pages are free. The buddy allocator keeps free blocks of 2^order pages: a "
        "block of order 1 is two neighbouring pages, and so on up.",
        "It does not hurt ordinary pages of programs, which need not be neighbours. The number here "
        "is the unusable index: free memory in blocks too small for a huge page.",
        "/proc/buddyinfo",
        share("100 × (free_in_blocks − free_in_huge_blocks) / free_in_blocks"),
        here=(
            _orders_here,
            Fact("Free in blocks of a huge page or more:", size("free_in_huge_blocks")),
        ),
        see=("compaction", "huge page", "THP", "page", "kernel stack"),
        aliases=(
            "buddy",
            "buddyinfo",
            "order",
            "buddy allocator",
            "external fragmentation",
            "unusable index",
        ),
    ),
    Entry(
        "compaction",
        "Compaction",
        "The kernel's moving pages together so that larger free blocks arise. kcompactd does it in "
        "the background, and a task that needs a large block at once does it itself and waits.",
        "It frees nothing: it only moves. Pages that the kernel itself holds can mostly not be "
        "moved.",
        "/proc/vmstat compact_*",
        see=("compaction stalls", "compaction successes", "compaction failures", "fragmentation"),
        aliases=("compact", "kcompactd", "memory compaction"),
    ),
    "compaction_stalls_per_s",
    "compaction_success_per_s",
    "compaction_fails_per_s",
)

HUGE: Final[tuple[Term, ...]] = (
    Entry(
        "huge page",
        "Huge pages",
        "A page larger than the base page, on x86-64 2 MiB or 1 GiB, mapped by a single entry of an "
        "upper level of the page table. It spares page tables and TLB misses; there is a pool that "
        "is set aside (hugetlb), and transparent huge pages that the kernel uses by itself.",
        "Pages of the pool are in no RSS and no PSS, and never swapped. While free they still help "
        "nobody else.",
        "/proc/meminfo Hugepagesize, HugePages_*",
        size("Hugepagesize"),
        here=(
            Fact("The pool:", size("HugePages_Total × Hugepagesize")),
            Fact("Reserved of the free ones:", size("HugePages_Rsvd × Hugepagesize")),
            Fact("Transparent, of programs' own memory:", size("AnonHugePages")),
        ),
        see=("huge page pool", "THP", "TLB", "page size", "page table"),
        aliases=("hugepage", "huge pages", "hugepages", "Hugepagesize", "large page"),
    ),
    "huge_pages_total_bytes",
    "huge_pages_free_bytes",
    Entry(
        "THP",
        "Transparent huge pages",
        "Huge pages that the kernel gives to ordinary memory by itself: at a fault, or later by "
        "khugepaged, which joins small ones. The setting says whether always, only where a program "
        "asks with madvise, or never.",
        "It is not the pool of huge pages: these are in RSS and PSS and can be split and swapped. A "
        "program that touches one byte of each 2 MiB may grow much by them.",
        "/sys/kernel/mm/transparent_hugepage/enabled; /proc/meminfo AnonHugePages",
        size("AnonHugePages"),
        here=(
            _thp_here,
            Fact("Of shared memory:", size("ShmemHugePages")),
            Fact("Of files:", size("FileHugePages")),
        ),
        see=("huge page faults", "huge page fallbacks", "huge page", "compaction", "RSS"),
        aliases=(
            "transparent huge page",
            "transparent huge pages",
            "transparent hugepage",
            "AnonHugePages",
            "khugepaged",
            "ShmemHugePages",
            "FileHugePages",
            "ShmemPmdMapped",
            "FilePmdMapped",
        ),
    ),
    "thp_faults_per_s",
    "thp_fallbacks_per_s",
)

PHYSICAL: Final = (*ZONES, *HUGE)
