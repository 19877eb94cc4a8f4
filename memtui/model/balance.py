"""Where all memory is: one exclusive partition of MemTotal, and what nobody accounts for.

Each page is in one line only, so the lines sum to MemTotal. Where figures contradict each other, as
in a container that sees its own total and its host's kernel, the least trusted ones are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from memtui import units
from memtui.kernel.files import Gap

if TYPE_CHECKING:
    # Read only while it is shown, and its module imported then.
    from memtui.kernel.zones import Zone

Meminfo = Mapping[str, int]

UNACCOUNTED: Final = "unaccounted"
# What other files tell stands beside meminfo's keys, under names that none of them can have.
_ZRAM: Final = ":zram"
_LISTS: Final = ":lists"
_MISSING: Final = "This kernel does not tell; what there is of it is among the unaccounted."


class Line(NamedTuple):
    """One part of MemTotal. `bytes` None: not told, and so among the unaccounted.

    `cut_bytes` is what the kernel said above that and does not fit into MemTotal.
    """

    name: str
    label: str
    bytes: int | None
    share_pct: float | None
    source: str
    words: str
    cut_bytes: int = 0


class Balance(NamedTuple):
    """The sheet. All lines sum to `total_bytes`; None, with all lines, where MemTotal is unknown.

    `contradictions`: each says which figures cannot both be true, and what was made of it.
    """

    total_bytes: int | None
    lines: tuple[Line, ...]
    contradictions: tuple[str, ...]

    def line(self, name: str) -> Line:
        """The line of that name. Raises KeyError."""
        for line in self.lines:
            if line.name == name:
                return line
        raise KeyError(name)


class _Part(NamedTuple):
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


def _vmalloc(meminfo: Meminfo) -> int | None:
    used = meminfo.get("VmallocUsed")
    # 0 from 4.4 to 5.2, when nobody counted; before, with VmallocChunk, addresses of devices too.
    if not used or meminfo.get("VmallocChunk"):
        return None
    stacks = meminfo.get("KernelStack", 0)
    for inside in (stacks + meminfo.get("ShadowCallStack", 0), stacks):
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


_PARTS: Final = (
    _Part(
        "free",
        "free",
        "/proc/meminfo MemFree, CmaFree",
        "Holds nothing at all, and any allocation may take it.",
        _free,
    ),
    _Part(
        "free_cma",
        "free, for CMA",
        "/proc/meminfo CmaFree",
        "Free, but kept for devices that need contiguous memory: meanwhile only movable pages, of "
        "programs and files, may use it. Part of MemFree. What of CMA is in use is in the lines of "
        "its users.",
        _free_cma,
    ),
    _Part(
        "free_lists",
        "free, on CPU lists",
        "/proc/zoneinfo pagesets count",
        "Free pages that each processor keeps at hand: not in MemFree, hundreds of MiB after a large "
        "program has ended, and given back when memory is short.",
        _sum(_LISTS),
        "zoneinfo was not read; what there is of it is among the unaccounted.",
    ),
    _Part(
        "cache_clean",
        "cache, clean",
        "/proc/meminfo Cached, Buffers, Shmem, Dirty, Writeback",
        "Contents of files and block devices that are on disk as well: gives way at once, and is "
        "read again when it is needed.",
        _cache_clean,
    ),
    _Part(
        "cache_dirty",
        "cache, dirty",
        "/proc/meminfo Dirty, Writeback, NFS_Unstable",
        "Contents of files that are not on disk yet, or being written: gives way after that. Pages "
        "on their way to swap count as being written too.",
        _cache_dirty,
        "This kernel does not tell; what is dirty is counted as clean cache.",
    ),
    _Part(
        "shmem",
        "shared memory, tmpfs",
        "/proc/meminfo Shmem",
        "Files in tmpfs, shared memory and memfds. The kernel counts it in Cached, but it has no "
        "disk behind it: it can only be swapped out or deleted.",
        _shmem,
        "This kernel does not tell (before 2.6.32); it is counted as clean cache.",
    ),
    _Part(
        "anon",
        "anonymous",
        "/proc/meminfo AnonPages",
        "Programs' own memory: heaps, stacks, private copies; transparent huge pages are in it, "
        "shared memory is not. It can only be swapped out.",
        _sum("AnonPages"),
    ),
    _Part(
        "swap_cache",
        "swap cache, unmapped",
        "/proc/meminfo SwapCached, Active(anon), Inactive(anon), AnonPages, Shmem",
        "Pages read from swap, or about to be written there, that no process maps now. The rest of "
        "SwapCached is mapped and so among the anonymous. An estimate, rather too low: what the "
        "anon lists hold above anonymous and shared memory, at most SwapCached.",
        _swap_cache,
    ),
    _Part(
        "slab_reclaimable",
        "slab, reclaimable",
        "/proc/meminfo SReclaimable",
        "The kernel's cached inodes, directory entries and the like: gives way when memory is short.",
        _slab_reclaimable,
        "This kernel does not tell (before 2.6.19); it is among the unreclaimable.",
    ),
    _Part(
        "slab_unreclaimable",
        "slab, unreclaimable",
        "/proc/meminfo SUnreclaim",
        "Small objects that the kernel needs: tasks, sockets, buffers. Steady growth is a leak in "
        "the kernel or a driver. All of Slab where the kernel does not divide it (before 2.6.19).",
        _slab_unreclaimable,
    ),
    _Part(
        "other_reclaimable",
        "kernel, reclaimable",
        "/proc/meminfo KReclaimable, SReclaimable",
        "Other kernel memory that gives way when asked: KReclaimable less reclaimable slab.",
        _other_reclaimable,
    ),
    _Part(
        "kernel_stacks",
        "kernel stacks",
        "/proc/meminfo KernelStack, ShadowCallStack",
        "A stack in the kernel for each thread, with the shadow stacks of arm64.",
        _sum("KernelStack", "ShadowCallStack"),
    ),
    _Part(
        "page_tables",
        "page tables",
        "/proc/meminfo PageTables, SecPageTables",
        "The tables that say where each process's pages are, and those of virtual machines and "
        "devices.",
        _sum("PageTables", "SecPageTables", "Quicklists"),
    ),
    _Part(
        "percpu",
        "per-CPU",
        "/proc/meminfo Percpu",
        "Kernel data kept once for each processor. Many control groups or processors make it large.",
        _sum("Percpu"),
    ),
    _Part(
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
    _Part(
        "huge_used",
        "huge pages, used",
        "/proc/meminfo HugePages_Total, HugePages_Free, Hugepagesize",
        "Huge pages of the default size that programs have. They are in no process's RSS.",
        _huge_used,
    ),
    _Part(
        "huge_reserved",
        "huge pages, reserved",
        "/proc/meminfo HugePages_Rsvd, Hugepagesize",
        "Huge pages that are promised to programs and not touched yet.",
        _huge_reserved,
    ),
    _Part(
        "huge_free",
        "huge pages, free",
        "/proc/meminfo HugePages_Free, HugePages_Rsvd, Hugepagesize",
        "Huge pages of the pool that nobody uses or has been promised. Nothing else may use them: "
        "lower vm.nr_hugepages to get them back.",
        _huge_free,
    ),
    _Part(
        "huge_other",
        "huge pages, other sizes",
        "/proc/meminfo Hugetlb, HugePages_Total, Hugepagesize",
        "Pools of other page sizes than the default one, used or free.",
        _huge_other,
    ),
    _Part(
        "zswap",
        "zswap",
        "/proc/meminfo Zswap",
        "Pages that would be in swap, compressed in memory: this is the compressed size.",
        _sum("Zswap"),
    ),
    _Part(
        "zram",
        "zram",
        "/sys/block/zram*/mm_stat mem_used_total",
        "What the compressed block devices in memory take, often for swap.",
        _sum(_ZRAM),
        "There is no zram, or it was not read; what there is of it is among the unaccounted.",
    ),
    _Part(
        "bounce",
        "bounce buffers",
        "/proc/meminfo Bounce, WritebackTmp",
        "Copies for devices that cannot reach all memory, and for FUSE while it writes.",
        _any("Bounce", "WritebackTmp"),
    ),
    _Part(
        "corrupted",
        "hardware corrupted",
        "/proc/meminfo HardwareCorrupted",
        "Pages that the kernel put out of use because the hardware reported errors in them.",
        _sum("HardwareCorrupted"),
    ),
    _Part(
        "gpu",
        "GPU",
        "/proc/meminfo GPUActive, GPUReclaim",
        "System memory that graphics drivers hold. Kernels that do not count it leave it among the "
        "unaccounted.",
        _any("GPUActive", "GPUReclaim"),
    ),
    _Part(
        "balloon",
        "balloon",
        "/proc/meminfo Balloon",
        "Memory that this virtual machine has lent back to its host. Most balloons make MemTotal "
        "smaller instead: it counts here at most as far as nothing else explains what is missing.",
        _balloon,
    ),
)
_UNACCOUNTED_WORDS: Final = (
    "What is in no other line: pages that drivers, GPUs and the network took directly, and what this "
    "kernel does not tell. A few per cent are normal; steady growth is a leak in a driver."
)

# Of these the kernel's own come first: a container sees the host's, beside its own total.
_CUT_FIRST: Final = (
    *("balloon", "gpu", "zram", "zswap", "vmalloc", "other_reclaimable", "percpu", "page_tables"),
    *("kernel_stacks", "corrupted", "bounce", "huge_other", "swap_cache", "slab_unreclaimable"),
    *("slab_reclaimable", "huge_free", "huge_reserved", "huge_used", "shmem", "cache_dirty"),
    *("anon", "cache_clean", "free_lists", "free_cma", "free"),
)
_EXPECTED_TO_BE_CUT: Final = frozenset(("balloon",))
_USED_KEYS: Final = frozenset(
    word.rstrip(",")
    for part in _PARTS
    if part.source.startswith("/proc/meminfo ")
    for word in part.source.split()[1:]
) | {"MemTotal", "Slab"}

# The smaller of each pair is a part of the larger.
_WITHIN: Final = (
    ("CmaFree", "MemFree"),
    ("Shmem", "Cached"),
    ("Dirty", "Cached"),
    ("SReclaimable", "KReclaimable"),
    ("HugePages_Free", "HugePages_Total"),
    ("HugePages_Rsvd", "HugePages_Free"),
)


def per_cpu_free_bytes(zones: Iterable[Zone], page_bytes: int) -> int | None:
    """Free pages on the processors' own lists, which MemFree does not count; None without any."""
    counts = [pages.get("count", 0) for zone in zones for pages in zone.pagesets]
    return sum(counts) * page_bytes if counts else None


def balance(
    meminfo: Meminfo | Gap, zram_bytes: int | None = None, lists_bytes: int | None = None
) -> Balance:
    """The sheet of a meminfo in bytes.

    `zram_bytes` is what all zram devices take, `lists_bytes` what `per_cpu_free_bytes` gives; None:
    unknown.
    """
    known = _known(meminfo, zram_bytes, lists_bytes)
    total = known.get("MemTotal")
    parts, cuts = ({}, {}) if total is None else _partition(known, total)
    lines = []
    for part in _PARTS:
        value = parts.get(part.name)
        words = part.missing if value is None else part.words
        cut = cuts.get(part.name, 0)
        lines.append(
            Line(part.name, part.label, value, _share(value, total), part.source, words, cut)
        )
    rest = None if total is None else total - sum(parts.values())
    source = "/proc/meminfo MemTotal less all the others"
    lines.append(
        Line(UNACCOUNTED, UNACCOUNTED, rest, _share(rest, total), source, _UNACCOUNTED_WORDS)
    )
    contradictions = [] if isinstance(meminfo, Gap) else _contradictions(meminfo, known)
    contradictions += [
        f"{part.label}: the kernel says {units.size(parts[part.name] + cuts[part.name])}, but beside "
        f"the rest only {units.size(parts[part.name])} fit into MemTotal: counted as that"
        for part in _PARTS
        if cuts.get(part.name) and part.name not in _EXPECTED_TO_BE_CUT
    ]
    return Balance(total, tuple(lines), tuple(contradictions))


def unaccounted_bytes(
    meminfo: Meminfo | Gap, zram_bytes: int | None = None, lists_bytes: int | None = None
) -> int | None:
    """The sheet's last line alone, for each sample."""
    known = _known(meminfo, zram_bytes, lists_bytes)
    total = known.get("MemTotal")
    return None if total is None else total - sum(_partition(known, total)[0].values())


def _known(
    meminfo: Meminfo | Gap, zram_bytes: int | None, lists_bytes: int | None
) -> dict[str, int]:
    """What can be true of it: a negative size is as good as none."""
    if isinstance(meminfo, Gap):
        return {}
    known = {key: value for key, value in meminfo.items() if value >= 0}
    for key, value in ((_ZRAM, zram_bytes), (_LISTS, lists_bytes)):
        if value is not None and value >= 0:
            known[key] = value
    return known


def _partition(meminfo: Meminfo, total: int) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes by line, no more than `total` together, and what was cut for that."""
    parts = {}
    for part in _PARTS:
        value = part.measure(meminfo)
        if value is not None:
            parts[part.name] = value
    excess = sum(parts.values()) - total
    cuts: dict[str, int] = {}
    for name in _CUT_FIRST:
        if excess <= 0:
            break
        if cut := min(excess, parts.get(name, 0)):
            parts[name] -= cut
            cuts[name] = cut
            excess -= cut
    return parts, cuts


def _contradictions(meminfo: Meminfo, known: Meminfo) -> list[str]:
    found = [
        f"{key} is negative: taken as unknown"
        for key in sorted(_USED_KEYS & (meminfo.keys() - known.keys()))
    ]
    for part, whole in _WITHIN:
        small, large = known.get(part), known.get(whole)
        if small is None or large is None:
            continue
        if whole == "Cached":
            large += known.get("Buffers", 0)
        if small > large:
            found.append(f"{part} is larger than {whole}, of which it is a part: cut to fit")
    return found


def _share(value: int | None, total: int | None) -> float | None:
    return None if value is None or not total else 100 * value / total
