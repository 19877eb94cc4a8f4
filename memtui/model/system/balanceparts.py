"""The lines of the balance sheet, but the last: how each is measured, and what it says of itself.

Measures take meminfo in bytes, without what is negative, and give None where it is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

Meminfo = Mapping[str, int]

# What other files tell stands beside meminfo's keys, under names that none of them can have.
ZRAM: Final = ":zram"
LISTS: Final = ":lists"
ARC: Final = ":arc"
ARC_KEPT: Final = ":arc kept"
_MISSING: Final = "This kernel does not tell; what there is of it is among the unaccounted."


class Part(NamedTuple):
    """A line before it is measured; `missing` is said instead of `words` where it is not told."""

    name: str
    label: str
    source: str
    words: str
    measure: Callable[[Meminfo], int | None]
    missing: str = _MISSING


def _sum(first: str, *more: str) -> Callable[[Meminfo], int | None]:
    """`first` and what there is of the others; None without `first`."""

    def measure(meminfo: Meminfo) -> int | None:
        value = meminfo.get(first)
        return None if value is None else value + sum(meminfo.get(key, 0) for key in more)

    return measure


def _any(*keys: str) -> Callable[[Meminfo], int | None]:
    """What there is of the keys; None without any."""

    def measure(meminfo: Meminfo) -> int | None:
        values = [meminfo[key] for key in keys if key in meminfo]
        return sum(values) if values else None

    return measure


def _free(meminfo: Meminfo) -> int | None:
    free = meminfo.get("MemFree")
    return None if free is None else free - (_free_cma(meminfo) or 0)


def _free_cma(meminfo: Meminfo) -> int | None:
    free, cma = meminfo.get("MemFree"), meminfo.get("CmaFree")
    return None if free is None or cma is None else min(free, cma)


def _files(meminfo: Meminfo) -> int | None:
    """Page cache with buffers, shared memory included: the swap cache is not in Cached."""
    cached = meminfo.get("Cached")
    return None if cached is None else cached + meminfo.get("Buffers", 0)


def _shmem(meminfo: Meminfo) -> int | None:
    shmem, files = meminfo.get("Shmem"), _files(meminfo)
    # Without Cached nothing else holds it.
    return shmem if shmem is None or files is None else min(shmem, files)


def _cache_dirty(meminfo: Meminfo) -> int | None:
    files, dirty = _files(meminfo), _sum("Dirty", "Writeback", "NFS_Unstable")(meminfo)
    if files is None or dirty is None:
        return None
    return min(dirty, files - (_shmem(meminfo) or 0))


def _cache_clean(meminfo: Meminfo) -> int | None:
    files = _files(meminfo)
    if files is None:
        return None
    return files - (_shmem(meminfo) or 0) - (_cache_dirty(meminfo) or 0)


def _swap_cache(meminfo: Meminfo) -> int | None:
    keys = ("SwapCached", "Active(anon)", "Inactive(anon)", "AnonPages", "Shmem")
    cached, active, inactive, anon, shmem = map(meminfo.get, keys)
    if cached is None or active is None or inactive is None or anon is None or shmem is None:
        return None
    # Most of it is mapped and so in AnonPages: what the lists hold above that is not.
    return max(0, min(cached, active + inactive - anon - shmem))


def _slab_reclaimable(meminfo: Meminfo) -> int | None:
    return meminfo.get("SReclaimable")


def _slab_unreclaimable(meminfo: Meminfo) -> int | None:
    value = meminfo.get("SUnreclaim")
    if value is None and "Slab" in meminfo:  # before 2.6.19: undivided
        value = max(0, meminfo["Slab"] - meminfo.get("SReclaimable", 0))
    return value


def _other_reclaimable(meminfo: Meminfo) -> int | None:
    everything, slab = meminfo.get("KReclaimable"), meminfo.get("SReclaimable")
    return None if everything is None or slab is None else max(0, everything - slab)


def _kernel_stacks(meminfo: Meminfo) -> int | None:
    stacks, shadow = meminfo.get("KernelStack"), meminfo.get("ShadowCallStack", 0)
    # "ShadowCallStack:10373888 kB" beside 44416 kB: bytes that are called kB. A thread's shadow stack
    # is never larger than its stack.
    return stacks if stacks is None or shadow > stacks else stacks + shadow


def _vmalloc(meminfo: Meminfo) -> int | None:
    used = meminfo.get("VmallocUsed")
    # 0 from 4.4 to 5.2, when nobody counted; before, with VmallocChunk, addresses of devices too.
    if not used or meminfo.get("VmallocChunk"):
        return None
    stacks = meminfo.get("KernelStack", 0)
    for inside in (_kernel_stacks(meminfo) or 0, stacks):
        if inside <= used:
            return used - inside
    return used


def _huge_used(meminfo: Meminfo) -> int | None:
    pool, free = _huge(meminfo, "HugePages_Total"), _huge(meminfo, "HugePages_Free")
    return None if pool is None or free is None else max(0, pool - free)


def _huge_reserved(meminfo: Meminfo) -> int | None:
    pool, free = _huge(meminfo, "HugePages_Total"), _huge(meminfo, "HugePages_Free")
    reserved = _huge(meminfo, "HugePages_Rsvd")
    return None if pool is None or free is None or reserved is None else min(reserved, free, pool)


def _huge_free(meminfo: Meminfo) -> int | None:
    pool, free = _huge(meminfo, "HugePages_Total"), _huge(meminfo, "HugePages_Free")
    if pool is None or free is None:
        return None
    return min(free, pool) - (_huge_reserved(meminfo) or 0)


def _huge_other(meminfo: Meminfo) -> int | None:
    everything, pool = meminfo.get("Hugetlb"), _huge(meminfo, "HugePages_Total")
    return None if everything is None else max(0, everything - (pool or 0))


def _huge(meminfo: Meminfo, key: str) -> int | None:
    pages, page_bytes = meminfo.get(key), meminfo.get("Hugepagesize")
    return None if pages is None or page_bytes is None else pages * page_bytes


def _balloon(meminfo: Meminfo) -> int | None:
    return meminfo.get("Balloon")


PARTS: Final = (
    Part(
        "free",
        "free",
        "/proc/meminfo MemFree, CmaFree",
        "Holds nothing at all, and any allocation may take it.",
        _free,
    ),
    Part(
        "free_cma",
        "free, for CMA",
        "/proc/meminfo CmaFree",
        "Free, but kept for devices that need contiguous memory: meanwhile only movable pages, of "
        "programs and files, may use it. Part of MemFree. What of CMA is in use is in the lines of "
        "its users.",
        _free_cma,
    ),
    Part(
        "free_lists",
        "free, on CPU lists",
        "/proc/zoneinfo pagesets count",
        "Free pages that each processor keeps at hand: not in MemFree, hundreds of MiB after a large "
        "program has ended, and given back when memory is short.",
        _sum(LISTS),
        "zoneinfo was not read; what there is of it is among the unaccounted.",
    ),
    Part(
        "cache_clean",
        "cache, clean",
        "/proc/meminfo Cached, Buffers, Shmem, Dirty, Writeback",
        "Contents of files and block devices that are on disk as well: gives way at once, and is "
        "read again when it is needed.",
        _cache_clean,
    ),
    Part(
        "cache_dirty",
        "cache, dirty",
        "/proc/meminfo Dirty, Writeback, NFS_Unstable",
        "Contents of files that are not on disk yet, or being written: gives way after that. Pages "
        "on their way to swap count as being written too.",
        _cache_dirty,
        "This kernel does not tell; what is dirty is counted as clean cache.",
    ),
    Part(
        "shmem",
        "shared memory, tmpfs",
        "/proc/meminfo Shmem",
        "Files in tmpfs, shared memory and memfds. The kernel counts it in Cached, but it has no "
        "disk behind it: it can only be swapped out or deleted.",
        _shmem,
        "This kernel does not tell (before 2.6.32); it is counted as clean cache.",
    ),
    Part(
        "anon",
        "anonymous",
        "/proc/meminfo AnonPages",
        "Programs' own memory: heaps, stacks, private copies; transparent huge pages are in it, "
        "shared memory is not. It can only be swapped out.",
        _sum("AnonPages"),
    ),
    Part(
        "swap_cache",
        "swap cache, unmapped",
        "/proc/meminfo SwapCached, Active(anon), Inactive(anon), AnonPages, Shmem",
        "Pages read from swap, or about to be written there, that no process maps now. The rest of "
        "SwapCached is mapped and so among the anonymous. An estimate, rather too low: what the "
        "anon lists hold above anonymous and shared memory, at most SwapCached.",
        _swap_cache,
    ),
    Part(
        "slab_reclaimable",
        "slab, reclaimable",
        "/proc/meminfo SReclaimable",
        "The kernel's cached inodes, directory entries and the like: gives way when memory is short.",
        _slab_reclaimable,
        "This kernel does not tell (before 2.6.19); it is among the unreclaimable.",
    ),
    Part(
        "slab_unreclaimable",
        "slab, unreclaimable",
        "/proc/meminfo SUnreclaim",
        "Small objects that the kernel needs: tasks, sockets, buffers. Steady growth is a leak in "
        "the kernel or a driver. All of Slab where the kernel does not divide it (before 2.6.19).",
        _slab_unreclaimable,
    ),
    Part(
        "other_reclaimable",
        "kernel, reclaimable",
        "/proc/meminfo KReclaimable, SReclaimable",
        "Other kernel memory that gives way when asked: KReclaimable less reclaimable slab.",
        _other_reclaimable,
    ),
    Part(
        "kernel_stacks",
        "kernel stacks",
        "/proc/meminfo KernelStack, ShadowCallStack",
        "A stack in the kernel for each thread, with the shadow stacks of arm64.",
        _kernel_stacks,
    ),
    Part(
        "page_tables",
        "page tables",
        "/proc/meminfo PageTables, SecPageTables",
        "The tables that say where each process's pages are, and those of virtual machines and "
        "devices.",
        _sum("PageTables", "SecPageTables", "Quicklists"),
    ),
    Part(
        "percpu",
        "per-CPU",
        "/proc/meminfo Percpu",
        "Kernel data kept once for each processor. Many control groups or processors make it large.",
        _sum("Percpu"),
    ),
    Part(
        "vmalloc",
        "vmalloc",
        "/proc/meminfo VmallocUsed, KernelStack",
        "Kernel memory that is contiguous in addresses only: modules, large tables. VmallocUsed "
        "holds the kernel stacks as well where these are mapped that way, as on nearly all machines: "
        "they are taken off here where they fit into it.",
        _vmalloc,
        "This kernel does not count it (4.4 to 5.2), or with addresses of devices (before 4.4); what "
        "there is of it is among the unaccounted.",
    ),
    Part(
        "huge_used",
        "huge pages, used",
        "/proc/meminfo HugePages_Total, HugePages_Free, Hugepagesize",
        "Huge pages of the default size that programs have. They are in no process's RSS.",
        _huge_used,
    ),
    Part(
        "huge_reserved",
        "huge pages, reserved",
        "/proc/meminfo HugePages_Rsvd, Hugepagesize",
        "Huge pages that are promised to programs and not touched yet.",
        _huge_reserved,
    ),
    Part(
        "huge_free",
        "huge pages, free",
        "/proc/meminfo HugePages_Free, HugePages_Rsvd, Hugepagesize",
        "Huge pages of the pool that nobody uses or has been promised. Nothing else may use them: "
        "lower vm.nr_hugepages to get them back.",
        _huge_free,
    ),
    Part(
        "huge_other",
        "huge pages, other sizes",
        "/proc/meminfo Hugetlb, HugePages_Total, Hugepagesize",
        "Pools of other page sizes than the default one, used or free.",
        _huge_other,
    ),
    Part(
        "zswap",
        "zswap",
        "/proc/meminfo Zswap",
        "Pages that would be in swap, compressed in memory: this is the compressed size.",
        _sum("Zswap"),
    ),
    Part(
        "zram",
        "zram",
        "/sys/block/zram*/mm_stat mem_used_total",
        "What the compressed block devices in memory take, often for swap.",
        _sum(ZRAM),
        "There is no zram, or it was not read; what there is of it is among the unaccounted.",
    ),
    Part(
        "arc_reclaimable",
        "ZFS ARC, reclaimable",
        "/proc/spl/kstat/zfs/arcstats size, c_min, data_size, metadata_size",
        "ZFS's cache of files, as far as it gives way when memory is short. The kernel's available does "
        "not count it; htop's and btop's do. What of it lies in slabs is among the slabs.",
        _sum(ARC),
        "There is no ZFS, or it was not read.",
    ),
    Part(
        "arc_kept",
        "ZFS ARC, kept",
        "/proc/spl/kstat/zfs/arcstats size, c_min, data_size, metadata_size",
        "The part of ZFS's cache below which it does not shrink.",
        _sum(ARC_KEPT),
        "There is no ZFS, or it was not read.",
    ),
    Part(
        "bounce",
        "bounce buffers",
        "/proc/meminfo Bounce, WritebackTmp",
        "Copies for devices that cannot reach all memory, and for FUSE while it writes.",
        _any("Bounce", "WritebackTmp"),
    ),
    Part(
        "corrupted",
        "hardware corrupted",
        "/proc/meminfo HardwareCorrupted",
        "Pages that the kernel put out of use because the hardware reported errors in them.",
        _sum("HardwareCorrupted"),
    ),
    Part(
        "gpu",
        "GPU",
        "/proc/meminfo GPUActive",
        "System memory that graphics drivers have in use. Kernels that do not count it (before 7.1) "
        "leave it among the unaccounted.",
        _sum("GPUActive"),
    ),
    Part(
        "gpu_reclaimable",
        "GPU, reclaimable",
        "/proc/meminfo GPUReclaim",
        "Pages that graphics drivers keep at hand and give back when memory is short. The kernel's "
        "available does not count it.",
        _sum("GPUReclaim"),
    ),
    Part(
        "balloon",
        "balloon",
        "/proc/meminfo Balloon",
        "Memory that this virtual machine has lent back to its host. Most balloons make MemTotal "
        "smaller instead: it counts here at most as far as nothing else explains what is missing.",
        _balloon,
    ),
)
