"""Who holds the pages of memory: programs, files, and the kernel itself."""

from __future__ import annotations

from typing import Final

from memtui import units
from memtui.model.entry import Entry, Fact, Term, size
from memtui.model.explain.context import Context
from memtui.model.system.balance import balance


def _balance_here(context: Context) -> str:
    lines = [
        f"{line.label} {units.size(line.bytes)}"
        for line in balance(context.sample.system.meminfo).lines
        if line.bytes
    ]
    return f"Here, what meminfo alone tells: {'; '.join(lines)}." if lines else ""


def _ksm_here(context: Context) -> str:
    value = context.setting("ksm/run")
    return {
        None: "It is n/a here.",
        "0": "Here it is off.",
        "1": "Here it is on.",
        "2": "Here it is off, and what was merged has been taken apart.",
    }.get(value, "")


def _zswap_here(context: Context) -> str:
    value = context.setting("zswap/parameters/enabled")
    if value is None:
        return "The kernel has no zswap here, or does not tell."
    return f"Here it is {'on' if value in ('Y', '1') else 'off'}."


CONTENTS: Final[tuple[Term, ...]] = (
    Entry(
        "balance",
        "Balance sheet of memory",
        "A partition of all memory by what it holds: each page is counted once, and the parts sum "
        "to MemTotal. What no counter names is the line unaccounted.",
        "It is not free's table, whose columns overlap. It does not tell whose the pages are: for "
        "that there are the processes.",
        "/proc/meminfo",
        in_words="MemTotal = the sum of the sheet's lines",
        here=(_balance_here,),
        see=("unaccounted", "the rest", "anonymous", "page cache", "slab"),
        aliases=("balance sheet", "memory balance"),
    ),
    "unaccounted_bytes",
    "anon_bytes",
    Entry(
        "page cache",
        "Page cache",
        "Pages of files and block devices in memory, through which all ordinary reading, writing "
        "and mapping of files goes. It grows into whatever is free and gives way when programs want "
        "memory.",
        "It is no waste and no leak. Its clean pages go at once, but dirty ones must be written and "
        "those of tmpfs cannot go at all.",
        "/proc/meminfo Cached, Buffers, Shmem",
        size("Cached + Buffers − Shmem"),
        here=(
            Fact("Of it mapped by processes, shared memory included:", size("Mapped")),
            Fact("Changed and not yet written:", size("Dirty")),
        ),
        see=("buff/cache", "mapped", "dirty", "active file", "tmpfs"),
        aliases=("pagecache", "file cache"),
    ),
    "mapped_bytes",
    Entry(
        "tmpfs",
        "tmpfs",
        "A file system whose files live in memory and swap alone: /dev/shm, often /tmp and /run. "
        "System V shared memory and memfd are made of the same pages.",
        "It is no disk: what is written there takes memory until it is deleted, and is gone at "
        "reboot. It does not give way like other cache.",
        "/proc/meminfo Shmem",
        size("Shmem"),
        see=("shared", "cache", "swap"),
        aliases=("devshm", "ramfs", "memfd"),
    ),
    Entry(
        "KSM",
        "Kernel samepage merging",
        "A thread that finds pages with the same contents and lets one stand for all, until "
        "somebody writes to it. Only memory that a program has offered with madvise or prctl is "
        "looked at; virtual machines do that.",
        "It is not the sharing of libraries, which needs no search. What it saves can be wanted "
        "back at once when the pages change.",
        "/sys/kernel/mm/ksm/",
        here=(_ksm_here, Fact("Saved by it now:", size("pages_sharing × page_size"))),
        see=("copy-on-write", "anonymous"),
        aliases=("kernel samepage merging", "same page merging", "pages_sharing"),
    ),
    Entry(
        "zram",
        "zram",
        "A block device in memory that keeps what is written to it compressed, mostly used as swap. "
        "Pages put there take a third or so of their size.",
        "It is no more memory: what it stores it takes from the same memory. Swap used counts the "
        "size before compression.",
        "/sys/block/zram*/mm_stat",
        see=("swap", "zswap", "swappiness"),
        aliases=("compressed swap",),
    ),
    Entry(
        "zswap",
        "zswap",
        "A compressed cache in memory in front of a swap device. A page goes there first, and to "
        "the device only when the pool is full or the page stays unused.",
        "It is no swap device of its own: each page in it has its place on the device reserved, and "
        "so is counted in swap used.",
        "/proc/meminfo Zswap, Zswapped",
        size("Zswap"),
        here=(_zswap_here, Fact("What it holds, before compression:", size("Zswapped"))),
        see=("swap", "zram"),
        aliases=("Zswapped",),
    ),
    Entry(
        "memory cgroup",
        "Memory cgroup",
        "A group of processes whose memory the kernel counts together and can limit; containers and "
        "services are such groups. At the limit it reclaims within the group, and then the OOM "
        "killer takes one of its processes.",
        "free and MemAvailable know nothing of it: in a container they show the whole machine. Its "
        "usage has cache in it, so usage near the limit is no shortage by itself.",
        "memory.max and memory.current (v2), memory.limit_in_bytes and memory.usage_in_bytes (v1)",
        see=("OOM", "oom_score", "group scans", "available"),
        aliases=("cgroup", "memcg", "memory.max", "memory limit", "container limit"),
    ),
    "limit_hits_per_s",
)

KERNEL: Final[tuple[Term, ...]] = (
    "slab_bytes",
    "slab_reclaimable_bytes",
    "slab_unreclaimable_bytes",
    "kernel_stacks_bytes",
    "vmalloc_used_bytes",
    "percpu_bytes",
)

OTHERS: Final[tuple[Term, ...]] = (
    Entry(
        "clean cache",
        "Clean cache",
        "Pages of files and block devices whose contents are on disk as well. They give way at "
        "once, and are read again when somebody wants them.",
        "It is not all of the cache: dirty pages must be written first, and tmpfs has no disk.",
        "/proc/meminfo Cached, Buffers, Shmem, Dirty, Writeback",
        size("Cached + Buffers − Shmem − Dirty − Writeback − NFS_Unstable?"),
        see=("page cache", "dirty", "available", "balance"),
        aliases=("cache, clean",),
    ),
    Entry(
        "free lists",
        "Free pages on processors' lists",
        "Each processor keeps some free pages at hand, so as not to ask the zone each time. Newer "
        "kernels keep more of them after a large program has ended.",
        "They are not in MemFree, although nobody uses them, and are given back when memory is "
        "short.",
        "/proc/zoneinfo pagesets count",
        size("on_lists"),
        see=("free", "zone", "balance"),
        aliases=("free, on CPU lists", "pagesets", "pcp"),
    ),
    Entry(
        "ARC",
        "Cache of ZFS",
        "The adaptive replacement cache: ZFS keeps contents of files in memory of its own instead of "
        "the page cache.",
        "It is not in buff/cache, nor in the kernel's available, although all of it above c_min gives "
        "way when memory is short, if not as fast as the page cache. htop and btop add that part to "
        "available; here it is in what is left.",
        "/proc/spl/kstat/zfs/arcstats size, c_min",
        size("ARC"),
        here=(Fact("Of it gives way:", size("max(0, ARC − ARC_min)")),),
        see=("available", "left", "balance"),
        aliases=(
            "ZFS",
            "ZFS ARC",
            "arcstats",
            "ZFS ARC, reclaimable",
            "arc_reclaimable",
            "ZFS ARC, kept",
            "arc_kept",
        ),
    ),
    Entry(
        "kernel allocations",
        "Who in the kernel holds memory",
        "Since 6.10 a kernel can count for each line of its source what was allocated there and not "
        "freed since. A driver that leaks stands here by name.",
        "It is not another use beside slab and unaccounted: what those hold is told here by who asked "
        "for it, and pages of files and programs stand here as well. Most distributions build it in and "
        "leave it off: sysctl.vm.mem_profiling=1 at boot.",
        "/proc/allocinfo",
        see=("unaccounted", "slab", "balance"),
        aliases=("allocinfo", "memory allocation profiling"),
    ),
    Entry(
        "GPU",
        "Memory of graphics drivers",
        "System memory that graphics drivers hold, where the kernel counts it. Memory on the card "
        "itself is not the kernel's and stands nowhere here.",
        "A kernel without these lines tells nothing: what drivers hold is among the unaccounted.",
        "/proc/meminfo GPUActive, GPUReclaim",
        size("GPUActive + GPUReclaim?"),
        here=(Fact("Of it gives way, which no available counts:", size("GPUReclaim")),),
        see=("unaccounted", "balance", "left"),
        aliases=("GPUActive", "GPUReclaim", "graphics", "GPU, reclaimable", "gpu_reclaimable"),
    ),
    Entry(
        "direct map",
        "Direct map",
        "The kernel's own mapping of all memory, by the size of the pages it uses for it. Where "
        "parts need rights of their own, large pages are split into small ones.",
        "It is no use of memory: the same memory is free, or used, elsewhere in meminfo.",
        "/proc/meminfo DirectMap4k, DirectMap2M (DirectMap4M), DirectMap1G",
        size("DirectMap4k + DirectMap2M? + DirectMap4M? + DirectMap1G?"),
        see=("huge page", "TLB", "page table"),
        aliases=("DirectMap4k", "DirectMap2M", "DirectMap4M", "DirectMap1G"),
    ),
    Entry(
        "unaccepted memory",
        "Unaccepted memory",
        "Memory of a confidential virtual machine that its kernel has not yet accepted from the "
        "host. It is accepted piece by piece as it is wanted.",
        "It is not lost, and the kernel counts it as free.",
        "/proc/meminfo Unaccepted",
        size("Unaccepted"),
        see=("free", "balance"),
        aliases=("Unaccepted",),
    ),
    Entry(
        "CMA",
        "Contiguous memory allocator",
        "A part of memory that is kept so that devices can get large stretches of it in a row. "
        "Meanwhile pages that can be moved away may use it.",
        "It is not taken away from programs while no device wants it: CmaFree is part of free.",
        "/proc/meminfo CmaTotal, CmaFree",
        size("CmaTotal"),
        here=(Fact("Free of it:", size("CmaFree")),),
        see=("compaction", "zone", "fragmentation"),
        aliases=("free_cma", "free, for CMA", "CmaTotal", "CmaFree", "contiguous memory allocator"),
    ),
    Entry(
        "broken memory",
        "Memory taken out of use",
        "Pages in which the hardware found errors, and which the kernel therefore gives to nobody. "
        "A process that had such a page got SIGBUS.",
        "It is no use by anybody, and does not come back before the next boot.",
        "/proc/meminfo HardwareCorrupted",
        size("HardwareCorrupted"),
        see=("unaccounted", "SIGSEGV"),
        aliases=(
            "corrupted",
            "hardware corrupted",
            "HardwareCorrupted",
            "EarlyMemtestBad",
            "hwpoison",
        ),
    ),
    Entry(
        "balloon",
        "Balloon",
        "What a driver in a virtual machine has taken so that its host can use it elsewhere. Some "
        "drivers take it off MemTotal, others leave it in and show it here.",
        "It is no leak: the host gives it back when it can. Kernels without this line tell nothing.",
        "/proc/meminfo Balloon",
        size("Balloon"),
        see=("total", "unaccounted"),
        aliases=("lent memory", "ballooning", "virtio balloon"),
    ),
    Entry(
        "bounce buffers",
        "Bounce buffers and lines kept for old readers",
        "NFS_Unstable has been 0 since Linux 5.8 and stays for programs that look for it. Bounce "
        "counts copies for devices that cannot reach all memory, WritebackTmp those of FUSE while "
        "it writes; both are 0 on almost all machines.",
        "They are no sign of anything that an administrator could set.",
        "/proc/meminfo NFS_Unstable, Bounce, WritebackTmp",
        size("NFS_Unstable + Bounce + WritebackTmp"),
        see=("writeback", "dirty"),
        aliases=("NFS_Unstable", "Bounce", "WritebackTmp"),
    ),
)

HOLDERS: Final = (*CONTENTS, *KERNEL, *OTHERS)
