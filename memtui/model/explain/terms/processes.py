"""A process's memory: its figures, its mappings, how it gets memory, and who may reach in."""

from __future__ import annotations

from typing import Final

from memtui.model.entry import Entry, Term, number
from memtui.model.explain.context import Context

_SCOPES: Final = {
    "0": "the ordinary rules alone hold",
    "1": "one may only attach to one's own descendants, or to who allows it",
    "2": "only with CAP_SYS_PTRACE",
    "3": "nobody may attach, until the next boot",
}


def _map_here(context: Context) -> str:
    return "Map (3) shows it of every mapping, and its sums by kind."


def _yama_here(context: Context) -> str:
    value = context.setting("ptrace_scope")
    if value is None:
        return "Yama, which can restrict this further, is not in this kernel or its setting is n/a."
    return f"Here Yama's ptrace_scope is {value}: {_SCOPES.get(value, 'unknown to memtui')}."


PROCESSES: Final[tuple[Term, ...]] = (
    Entry(
        "RSS",
        "Resident set size",
        "The pages of a process that are in memory and in its page table: anonymous ones, those of "
        "mapped files, and of shared memory. statm and status give it at once, smaps by mapping.",
        "It counts shared pages in full in every process: the sum of all RSS may exceed all memory. "
        "Swapped pages, page tables, kernel memory and the hugetlb pool are not in it.",
        "/proc/PID/statm, field 2; /proc/PID/status VmRSS",
        in_words="RSS = RssAnon + RssFile + RssShmem",
        here=(_map_here,),
        see=("PSS", "USS", "VSZ", "working set", "anonymous"),
        aliases=("resident", "resident set size", "VmRSS", "RES", "resident memory"),
    ),
    Entry(
        "PSS",
        "Proportional set size",
        "As RSS, but a page that n processes map counts as an nth in each. The sum over all "
        "processes is what they hold together, each page counted once.",
        "It is not what would be free if the process ended: that is nearer to USS. It changes when "
        "another process maps or leaves the same pages. It may stand above RSS for a while: it is read "
        "less often, and the kernel brings RSS up to date in batches.",
        "/proc/PID/smaps_rollup Pss, before 4.14 the sum over smaps",
        in_words="PSS = sum of page size / number of mappings, over its resident pages",
        here=(_map_here,),
        see=("RSS", "USS", "mapped", "copy-on-write"),
        aliases=("proportional set size", "proportional"),
    ),
    Entry(
        "USS",
        "Unique set size",
        "The pages that this process alone maps: what would come back if it ended. The kernel does "
        "not name it; it is the sum of the private parts of smaps.",
        "It is no lower bound of what the process needs: shared libraries are missing from it. "
        "Memory in swap is not in it, nor, as in RSS and PSS, pages of the hugetlb pools: those have a "
        "column of their own, HUGETLB.",
        "/proc/PID/smaps_rollup (before 4.14 smaps) Private_Clean, Private_Dirty",
        in_words="USS = Private_Clean + Private_Dirty",
        here=(_map_here,),
        see=("PSS", "RSS", "copy-on-write"),
        aliases=("unique set size", "private memory"),
    ),
    Entry(
        "VSZ",
        "Virtual size",
        "The length of all mappings of a process together, whether anything stands behind them or "
        "not. ps calls it VSZ, top VIRT, status VmSize.",
        "It is no use of memory: reservations, guard pages and whole mapped files are in it. "
        "Programs with sanitizers or large runtimes show terabytes.",
        "/proc/PID/statm, field 1; /proc/PID/status VmSize",
        in_words="VSZ = sum of (end − start) over the mappings, less [vsyscall]",
        here=(_map_here,),
        see=("virtual memory", "RSS", "commit", "mmap"),
        aliases=("VIRT", "VmSize", "virtual size", "VSS"),
    ),
    Entry(
        "/proc/PID/maps",
        "The list of mappings",
        "One line for each mapping of a process: its range, rights (r, w, x, and p for private or s "
        "for shared), offset, device, inode and name. smaps adds what of each is in memory.",
        "It shows ranges and no pages: a mapping may have nothing behind it. Reading it needs the "
        "right to inspect the process.",
        "/proc/PID/maps, /proc/PID/smaps",
        here=(lambda context: "Map (3) is this file, drawn to scale.",),
        see=("mmap", "virtual address", "RSS", "reaching in", "SIGSEGV"),
        aliases=("maps", "proc maps", "smaps", "mapping", "VMA", "address map"),
    ),
    Entry(
        "mmap",
        "mmap",
        "The system call that adds a mapping to an address space: of a file, or of nothing "
        "(anonymous), private or shared. It only notes the range; pages come at the faults that "
        "touch them.",
        "It takes no memory by itself, and munmap gives all back at once. A shared mapping of a "
        "file is the page cache itself and no copy.",
        "/proc/PID/maps",
        number("max_map_count"),
        here=(lambda context: "The number is the most mappings that a process may have.",),
        see=("/proc/PID/maps", "page fault", "brk", "malloc", "commit"),
        aliases=("munmap", "max_map_count", "mapping a file"),
    ),
    Entry(
        "brk",
        "brk",
        "The system call that moves the end of the heap, the mapping that maps calls [heap]. malloc "
        "uses it for its main arena, and can give back only what lies at the very end.",
        "It is not all of what malloc hands out: large blocks and other arenas come from mmap.",
        "/proc/PID/maps [heap]",
        see=("malloc", "arena", "mmap", "ASLR"),
        aliases=("sbrk", "heap", "program break"),
    ),
    Entry(
        "malloc",
        "malloc: how memory is allocated",
        "The C library carves small blocks out of larger ones that it has from brk or mmap; glibc "
        "asks mmap for each block from 128 KiB on, a threshold that grows up to 32 MiB as such "
        "blocks are freed. The kernel then gives a page at the first touch of each.",
        "free() often gives nothing back to the kernel: one block in use keeps what is below it on "
        "the heap. Success is no proof of memory, as the kernel overcommits.",
        "malloc(3), mallopt(3), malloc_info(3)",
        see=("brk", "mmap", "arena", "overcommit", "page fault", "fragmentation"),
        aliases=("allocation", "allocator", "malloc_trim", "calloc", "allocate memory"),
    ),
    Entry(
        "arena",
        "Arenas of malloc",
        "Heaps that glibc keeps apart so that threads need not wait for each other: the main one by "
        "brk, others by mmap in reservations of 64 MiB each on 64-bit machines. There are at most "
        "eight for each processor there, or what MALLOC_ARENA_MAX says.",
        "A reservation is no memory in use: only the written part of an arena is resident. Much "
        "freed in one arena does not serve another.",
        "/proc/PID/maps: anonymous mappings that begin at multiples of 64 MiB",
        here=(
            lambda context: "Map (3) names mappings that look like arenas, and how sure that is.",
        ),
        see=("malloc", "VSZ", "brk"),
        aliases=("arenas", "MALLOC_ARENA_MAX", "malloc arena"),
    ),
    Entry(
        "reaching in",
        "Reaching into another process's memory",
        "Three ways lead there: ptrace, process_vm_readv and process_vm_writev, and reading or "
        "writing /proc/PID/mem. All need the same user and group ids as the target, which must be "
        "dumpable and have no capability that the reader lacks, or else CAP_SYS_PTRACE; security "
        "modules such as Yama may refuse more.",
        "Reading maps needs less than reading the memory itself. process_vm_writev keeps to the "
        "rights of the pages, while ptrace and /proc/PID/mem can write even where the process "
        "itself may not.",
        "ptrace(2), process_vm_readv(2); /proc/sys/kernel/yama/ptrace_scope",
        here=(_yama_here,),
        see=("/proc/PID/maps", "virtual address", "SIGSEGV"),
        aliases=(
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "/proc/PID/mem",
            "mem",
            "ptrace_scope",
            "yama",
            "other process",
            "debugger",
        ),
    ),
)
