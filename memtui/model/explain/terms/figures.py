"""The figures of free(1), and what other programs call by the same names."""

from __future__ import annotations

from typing import Final

from memtui.model.entry import Entry, Term, Tool, size

FIGURES: Final[tuple[Term, ...]] = (
    "mem_total_bytes",
    "mem_free_bytes",
    "mem_available_bytes",
    "available_pct",
    "left_bytes",
    "left_pct",
    "mem_used_bytes",
    "buff_cache_bytes",
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
    "shmem_bytes",
    "rest_bytes",
    "swap_total_bytes",
    "swap_used_bytes",
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
