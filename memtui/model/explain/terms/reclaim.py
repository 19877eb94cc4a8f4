"""Swap, the lists that reclaim takes from, and what waits to be written."""

from __future__ import annotations

from typing import Final

from memtui.model.explain.context import Context
from memtui.model.explain.entry import Entry, Fact, Tool, number, per_s, share, size
from memtui.model.explain.terms.pressure import averages_here


def _swappiness_here(context: Context) -> str:
    value = context.setting("swappiness")
    return f"Here swappiness is {'n/a' if value is None else value}."


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


_LISTS = ("active and inactive", "working set", "refault", "kswapd")

LISTS: Final = (
    Entry(
        "active and inactive",
        "Active and inactive pages",
        "Two lists for memory of programs and two for pages of files, by which the kernel guesses "
        "what is in use. A page that is used again moves to an active list, and reclaim takes from the "
        "ends of the inactive ones.",
        "Active is not in use this moment, and inactive is not free: both hold data that somebody "
        "may want. Kernels with the multi-generational LRU fit its generations to these names.",
        "/proc/meminfo Active, Inactive",
        size("Active + Inactive"),
        here=(
            Fact("Active:", size("Active(anon) + Active(file)")),
            Fact("Inactive:", size("Inactive(anon) + Inactive(file)")),
            Fact("On no such list, as it cannot be reclaimed:", size("Unevictable")),
        ),
        see=("active", "inactive", "working set", "refault", "swappiness"),
        aliases=("LRU", "lru lists", "active/inactive"),
    ),
    Entry(
        "active",
        "Active pages",
        "sar shows them as kbactive.",
        "It is no measure of what programs need: a page stays active until the lists are balanced, "
        "however long ago it was used.",
        formula=size("Active"),
        here=(Fact("Its parts:", size("Active(anon) + Active(file)")),),
        see=("inactive", "active anon", "active file", *_LISTS),
        metric="active_bytes",
    ),
    Entry(
        "inactive",
        "Inactive pages",
        "sar shows them as kbinact.",
        "It is not free and not always cheap to take: those of programs must go to swap, and dirty "
        "ones be written.",
        formula=size("Inactive"),
        here=(Fact("Its parts:", size("Inactive(anon) + Inactive(file)")),),
        see=("active", "inactive anon", "inactive file", *_LISTS),
        metric="inactive_bytes",
    ),
    Entry(
        "active anon",
        "Active anonymous pages",
        "tmpfs and shared memory are on this list too.",
        "It is not AnonPages: shared memory is on these lists too, and locked pages are on neither.",
        formula=size("Active(anon)"),
        see=("active", "inactive anon", "anonymous", "shared", "swap"),
        metric="active_anon_bytes",
    ),
    Entry(
        "inactive anon",
        "Inactive anonymous pages",
        "tmpfs and shared memory are on this list too.",
        "Without swap they cannot be taken at all, however inactive they are.",
        formula=size("Inactive(anon)"),
        see=("inactive", "active anon", "anonymous", "swappiness"),
        metric="inactive_anon_bytes",
    ),
    Entry(
        "active file",
        "Active pages of files",
        "Losing them shows at once as refaults.",
        "It is not what is mapped: pages that were read twice are here as well.",
        formula=size("Active(file)"),
        see=("active", "inactive file", "mapped", "page cache", "refault"),
        metric="active_file_bytes",
    ),
    Entry(
        "inactive file",
        "Inactive pages of files",
        "Clean ones are simply dropped.",
        "It is not all of the cache that gives way: available also counts active pages of files.",
        formula=size("Inactive(file)"),
        see=("inactive", "active file", "available", "page cache"),
        metric="inactive_file_bytes",
    ),
    Entry(
        "unevictable",
        "Unevictable pages",
        "Reclaim does not even look at them.",
        "It is not only mlock: that part is mlocked. The kernel's own memory is not in it.",
        formula=size("Unevictable"),
        see=("mlocked", "active and inactive", "available"),
        metric="unevictable_bytes",
    ),
    Entry(
        "mlocked",
        "Locked pages",
        "RLIMIT_MEMLOCK limits it for each process without CAP_IPC_LOCK.",
        "Locked memory is no faster; it only never waits for a disk.",
        formula=size("Mlocked"),
        see=("unevictable", "page fault", "mmap"),
        metric="mlocked_bytes",
        aliases=("mlock",),
    ),
    Entry(
        "working set",
        "Working set",
        "The pages that a program, or all of them, keep using over some stretch of time. While it "
        "fits into memory reclaim is cheap; when it does not, each page taken is soon read again.",
        "It is no figure of the kernel, and not RSS: much that is resident is never touched again. "
        "Referenced in smaps and refaults tell something of it.",
        "/proc/PID/smaps Referenced; /proc/vmstat workingset_*",
        see=("refault", "thrashing", "active and inactive", "RSS"),
        aliases=("workingset",),
    ),
    Entry(
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
        metric="refaults_pages_per_s",
    ),
    Entry(
        "anon refaults",
        "Refaults of anonymous pages",
        "Many together with swap out are thrashing.",
        "It is not all of swap in: pages that were put out long ago are forgotten by the counter.",
        see=("refault", "swap in", "thrashing"),
        metric="refaults_anon_pages_per_s",
        aliases=("workingset_refault_anon",),
    ),
    Entry(
        "file refaults",
        "Refaults of pages of files",
        "",
        "It is not every reading of a file: what was never in the cache does not count.",
        see=("refault", "page cache", "thrashing"),
        metric="refaults_file_pages_per_s",
        aliases=("workingset_refault_file",),
    ),
)

WRITING: Final = (
    Entry(
        "dirty",
        "Dirty pages",
        "The kernel writes them after some 30 s, when they are too many, or on fsync.",
        "Dirty is no harm and no loss by itself, but it is lost when the power fails. Memory of "
        "programs is not counted, nor is what is being written already.",
        formula=size("Dirty"),
        here=(Fact("Being written:", size("Writeback")), _dirty_here),
        see=("writeback", "page cache", "buff/cache"),
        metric="dirty_bytes",
        aliases=(
            "dirty_ratio",
            "dirty_background_ratio",
            "dirty pages",
            "cache_dirty",
        ),
    ),
    Entry(
        "writeback",
        "Writeback",
        "They cannot be taken or changed freely until the device has answered.",
        "It is no rate: it tells what is on its way this moment.",
        formula=size("Writeback"),
        here=(Fact("Waiting to be written:", size("Dirty")),),
        see=("dirty", "paged out", "swap out"),
        metric="writeback_bytes",
    ),
    Entry(
        "paged in",
        "Read from block devices",
        "vmstat counts it in KiB, whatever the page size.",
        "It is not swap in, though that is part of it, and no sign of shortage by itself: reading "
        "files does it.",
        see=("paged out", "major faults", "swap in", "page cache"),
        metric="paged_in_bytes_per_s",
        aliases=("pgpgin",),
    ),
    Entry(
        "paged out",
        "Written to block devices",
        "vmstat counts it in KiB, whatever the page size.",
        "It is not swap out, though that is part of it: writing files does it.",
        see=("paged in", "dirty", "swap out"),
        metric="paged_out_bytes_per_s",
        aliases=("pgpgout",),
    ),
)

SWAPPING: Final = (
    Entry(
        "swap",
        "Swap",
        "Space on disks, or compressed in memory, for pages of programs and tmpfs that have no "
        "file of their own. The kernel puts there what was not used for long, and brings a page "
        "back at the fault that touches it.",
        "Swap is no emergency memory: without it the kernel must take pages of files instead, even "
        "those in use. Swap in use is no sign of shortage by itself.",
        "/proc/meminfo SwapTotal, SwapFree; /proc/swaps",
        size("SwapTotal"),
        here=(
            Fact("In use:", size("max(0, SwapTotal − SwapFree)")),
            Fact("Swapped in since boot:", size("pswpin × page_size")),
            Fact("Swapped out since boot:", size("pswpout × page_size")),
        ),
        see=("swap used", "swappiness", "swap in", "zram", "zswap", "thrashing"),
        aliases=("swapping", "swap space"),
    ),
    Entry(
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
        metric="swap_cached_bytes",
        aliases=(
            "SwapCached",
            "swap cache",
            "swap cache, unmapped",
        ),
    ),
    Entry(
        "swap in",
        "Pages swapped in",
        "A fault brings its neighbours on the device along (page-cluster says how many): not each was "
        "waited for.",
        "It is not paged in, which counts all reading. Pages that come from zram count here too, "
        "though no disk moves.",
        see=("swap out", "anon refaults", "thrashing", "major faults"),
        metric="swap_in_pages_per_s",
        aliases=(
            "pswpin",
            "si",
        ),
    ),
    Entry(
        "swap out",
        "Pages swapped out",
        "",
        "It is not paged out, which counts all writing.",
        see=("swap in", "swappiness", "thrashing", "kswapd"),
        metric="swap_out_pages_per_s",
        aliases=(
            "pswpout",
            "so",
        ),
    ),
    Entry(
        "swappiness",
        "Swappiness",
        "How the kernel weighs taking pages of programs against taking pages of files: from 0 to "
        "200, where 100 says that both cost the same. Before Linux 5.8 it ended at 100; 60 is the "
        "default, and above 100 suits swap in memory.",
        "It is no share of memory at which swapping begins. At 0 the kernel still swaps rather "
        "than fail when pages of files run out.",
        "/proc/sys/vm/swappiness",
        number("swappiness"),
        see=("swap", "active and inactive", "zram"),
        aliases=("vm.swappiness",),
    ),
    Entry(
        "thrashing",
        "Thrashing",
        "The state in which pages are needed again as soon as they are put out, so that tasks wait "
        "for the disk more than they work. The signs are refaults, major faults and PSI's full, all "
        "high at once.",
        "It is no high use of swap, and no full memory: both can be calm. No file of the kernel "
        "says thrashing in so many words, it is judged from these rates.",
        "/proc/vmstat workingset_refault_*, pgmajfault; /proc/pressure/memory",
        per_s("(workingset_refault_anon + workingset_refault_file) / uptime"),
        here=(averages_here,),
        see=("refault", "PSI", "working set", "swap in", "OOM killer"),
        aliases=("thrash",),
    ),
)

RECLAIM: Final = (*SWAPPING, *LISTS, *WRITING)
