"""Swap, the lists that reclaim takes from, and what waits to be written."""

from __future__ import annotations

from typing import Final

from memtui.model.entry import Entry, Fact, Term, number, per_s, size
from memtui.model.system.metrics.stalls import averages_here

LISTS: Final[tuple[Term, ...]] = (
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
    "active_bytes",
    "inactive_bytes",
    "active_anon_bytes",
    "inactive_anon_bytes",
    "active_file_bytes",
    "inactive_file_bytes",
    "unevictable_bytes",
    "mlocked_bytes",
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
    "refaults_pages_per_s",
    "refaults_anon_pages_per_s",
    "refaults_file_pages_per_s",
)

WRITING: Final[tuple[Term, ...]] = (
    "dirty_bytes",
    "writeback_bytes",
    "paged_in_bytes_per_s",
    "paged_out_bytes_per_s",
)

SWAPPING: Final[tuple[Term, ...]] = (
    Entry(
        "swap",
        "Swap",
        "Space on disks, or compressed in memory, for pages of programs and tmpfs that have no "
        "file of their own. The kernel puts there what was not used for long, and brings a page "
        "back at the fault that touches it.",
        "Swap is no emergency memory: without it the kernel must take pages of files instead, even "
        "those in use. Swap in use is no sign of shortage by itself. A process's own figure (VmSwap) "
        "leaves out shared memory, which its map counts for everyone who maps it.",
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
    "swap_cached_bytes",
    "swap_in_pages_per_s",
    "swap_out_pages_per_s",
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
