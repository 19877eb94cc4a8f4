"""Figures of swap, of disks, and of what is wanted in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from memtui.model.entry import Entry, Fact, Tool, size
from memtui.model.system.metrics.base import Metric, of_counter, of_free, of_meminfo

if TYPE_CHECKING:
    from memtui.model.explain.context import Context


def _dirty_here(context: Context) -> str:
    """What sets the two thresholds: bytes win over shares where they are not 0."""
    parts = []
    for words, name in (("writers wait", "dirty"), ("writing begins", "dirty_background")):
        in_bytes, ratio = context.setting(f"{name}_bytes"), context.setting(f"{name}_ratio")
        if in_bytes not in (None, "0"):
            parts.append(f"{words} from {in_bytes} bytes on")
        elif ratio is not None:
            parts.append(f"{words} from {ratio} % of the memory that can be dirtied on")
    return f"Here {' and '.join(parts)}." if parts else ""


def _compacting(name: str, title: str, counter: str) -> Entry:
    return Entry(
        name,
        title,
        "kcompactd's own work in the background is not counted in it.",
        "It is no sign of little memory, but of memory in small pieces.",
        see=("compaction", "fragmentation", "THP"),
        aliases=(counter,),
    )


TABLE: Final = (
    of_counter(
        "swap_in_pages_per_s",
        "swap in",
        "pages_per_s",
        "pswpin",
        "Pages read back from swap: wanted again, or read ahead with one that was.",
        group="swap",
        topic="Swap, lists and writing",
        entry=Entry(
            "swap in",
            "Pages swapped in",
            "A fault brings its neighbours on the device along (page-cluster says how many): not each was "
            "waited for.",
            "It is not paged in, which counts all reading. Pages that come from zram count here too, "
            "though no disk moves.",
            see=("swap out", "anon refaults", "thrashing", "major faults"),
            aliases=(
                "pswpin",
                "si",
            ),
        ),
    ),
    of_counter(
        "swap_out_pages_per_s",
        "swap out",
        "pages_per_s",
        "pswpout",
        "Pages written to swap. Alone it frees what nobody uses; together with swap in it is a sign "
        "of thrashing.",
        group="swap",
        topic="Swap, lists and writing",
        entry=Entry(
            "swap out",
            "Pages swapped out",
            "",
            "It is not paged out, which counts all writing.",
            see=("swap in", "swappiness", "thrashing", "kswapd"),
            aliases=(
                "pswpout",
                "so",
            ),
        ),
    ),
    Metric(
        "swap_used_bytes",
        "swap used",
        "bytes",
        "/proc/meminfo SwapTotal, SwapFree",
        "Swap that holds pages which were put out of memory.",
        "SwapTotal − SwapFree, not below 0",
        of_free("swap_used"),
        group="swap",
        topic="Figures of free",
        entry=Entry(
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
        ),
    ),
    of_counter(
        "paged_in_bytes_per_s",
        "paged in",
        "bytes_per_s",
        "pgpgin",
        "What was read from block devices, for files, swap and everything else.",
        factor=1024,
        group="disk",
        topic="Swap, lists and writing",
        entry=Entry(
            "paged in",
            "Read from block devices",
            "vmstat counts it in KiB, whatever the page size.",
            "It is not swap in, though that is part of it, and no sign of shortage by itself: reading "
            "files does it.",
            see=("paged out", "major faults", "swap in", "page cache"),
            aliases=("pgpgin",),
        ),
    ),
    of_counter(
        "paged_out_bytes_per_s",
        "paged out",
        "bytes_per_s",
        "pgpgout",
        "What was written to block devices, for files, swap and everything else.",
        factor=1024,
        group="disk",
        topic="Swap, lists and writing",
        entry=Entry(
            "paged out",
            "Written to block devices",
            "vmstat counts it in KiB, whatever the page size.",
            "It is not swap out, though that is part of it: writing files does it.",
            see=("paged in", "dirty", "swap out"),
            aliases=("pgpgout",),
        ),
    ),
    of_meminfo(
        "dirty_bytes",
        "dirty",
        "Dirty",
        "Pages of files that were changed and are not yet written: they must be written before they "
        "can give way.",
        group="disk",
        topic="Swap, lists and writing",
        entry=Entry(
            "dirty",
            "Dirty pages",
            "The kernel writes them after some 30 s, when they are too many, or on fsync.",
            "Dirty is no harm and no loss by itself, but it is lost when the power fails. Memory of "
            "programs is not counted, nor is what is being written already.",
            formula=size("Dirty"),
            here=(Fact("Being written:", size("Writeback")), _dirty_here),
            see=("writeback", "page cache", "buff/cache"),
            aliases=(
                "dirty_ratio",
                "dirty_background_ratio",
                "dirty pages",
                "cache_dirty",
            ),
        ),
    ),
    of_meminfo(
        "writeback_bytes",
        "writeback",
        "Writeback",
        "Pages that are being written to disk or swap now.",
        group="disk",
        topic="Swap, lists and writing",
        entry=Entry(
            "writeback",
            "Writeback",
            "They cannot be taken or changed freely until the device has answered.",
            "It is no rate: it tells what is on its way this moment.",
            formula=size("Writeback"),
            here=(Fact("Waiting to be written:", size("Dirty")),),
            see=("dirty", "paged out", "swap out"),
        ),
    ),
    of_counter(
        "compaction_stalls_per_s",
        "compaction stalls",
        "per_s",
        "compact_stall",
        "Allocations of several pages in a row whose task had to move pages together first.",
        group="large",
        topic="Zones, blocks and huge pages",
        entry=_compacting("compaction stalls", "Compaction stalls", "compact_stall"),
    ),
    of_counter(
        "compaction_success_per_s",
        "compaction successes",
        "per_s",
        "compact_success",
        "Compactions by an allocating task that made a large enough free block.",
        group="large",
        topic="Zones, blocks and huge pages",
        entry=_compacting("compaction successes", "Compactions that succeeded", "compact_success"),
    ),
    of_counter(
        "compaction_fails_per_s",
        "compaction failures",
        "per_s",
        "compact_fail",
        "Compactions by an allocating task that did not: memory is too fragmented, or too full.",
        group="large",
        topic="Zones, blocks and huge pages",
        entry=_compacting("compaction failures", "Compactions that failed", "compact_fail"),
    ),
    of_counter(
        "thp_faults_per_s",
        "huge page faults",
        "per_s",
        "thp_fault_alloc",
        "Page faults that were answered with a transparent huge page.",
        group="large",
        topic="Zones, blocks and huge pages",
        entry=Entry(
            "huge page faults",
            "Faults answered with a huge page",
            "Each spares up to 511 further faults where a huge page is 512 small ones.",
            "It does not count what khugepaged joins later.",
            see=("THP", "huge page fallbacks", "page fault"),
            aliases=("thp_fault_alloc",),
        ),
    ),
    of_counter(
        "thp_fallbacks_per_s",
        "huge page fallbacks",
        "per_s",
        "thp_fault_fallback",
        "Page faults that should have got a transparent huge page and got small pages, because none "
        "was free in one piece.",
        group="large",
        topic="Zones, blocks and huge pages",
        entry=Entry(
            "huge page fallbacks",
            "Faults that had to do with small pages",
            "The program notices nothing but the time.",
            "It is no error, and no shortage: memory may be free in small blocks.",
            see=("THP", "fragmentation", "compaction"),
            aliases=("thp_fault_fallback",),
        ),
    ),
)
