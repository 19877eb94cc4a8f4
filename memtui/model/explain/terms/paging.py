"""From a virtual address to a byte of memory, and what happens when there is no way."""

from __future__ import annotations

from typing import Final

from memtui.model.entry import Entry, Fact, Term, Tool, number, per_s, size
from memtui.model.explain.context import Context
from memtui.model.system.metrics.kernel import paging_here, walk_here

_RANDOM: Final = {
    "0": "addresses are not randomised",
    "1": "stack, mappings, vdso and shared objects are randomised, the heap's start is not",
    "2": "the heap's start is randomised with the rest",
}


def _aslr_here(context: Context) -> str:
    value = context.setting("randomize_va_space")
    if value is None:
        return "randomize_va_space is n/a here."
    return f"Here randomize_va_space is {value}: {_RANDOM.get(value, 'unknown to memtui')}."


PAGING: Final[tuple[Term, ...]] = (
    Entry(
        "virtual memory",
        "Virtual memory",
        "Each process sees an address space of its own, and the page table says for each page of it "
        "which frame of memory stands behind, if any. So processes are kept apart, pages can be "
        "shared, come from a file, go to swap, or exist only once they are touched.",
        "It is not swap, and not memory: a process may have terabytes of addresses and hardly any "
        "pages.",
        "/proc/PID/maps",
        here=(walk_here,),
        see=("virtual address", "MMU", "page table", "page fault", "VSZ", "overcommit"),
        aliases=("virtual address space", "address space", "vm", "VmallocSpace"),
    ),
    Entry(
        "virtual address",
        "Virtual address",
        "A number by which a program names a byte; the MMU turns its upper bits into a frame and "
        "leaves the lowest as the place in the page. In an ELF file readelf shows addresses from "
        "the file's own base, and where it is mapped the load bias is added to them.",
        "It says nothing of where in memory the byte is, and the same number means another byte in "
        "another process.",
        "/proc/PID/maps; readelf -l FILE",
        in_words="address in the process = address in the ELF file + load bias",
        here=(paging_here, walk_here),
        see=("load bias", "ASLR", "page table", "/proc/PID/maps"),
        aliases=("address", "canonical address", "linear address"),
    ),
    Entry(
        "load bias",
        "Load bias",
        "The difference between where an ELF file is mapped and the addresses written in it. It is "
        "a whole number of pages, and 0 for a program that is not position independent.",
        "It is not the offset in the file: a segment's place in the file and its address may differ "
        "too.",
        "/proc/PID/maps and readelf -l (LOAD)",
        in_words="load bias = start of the first mapping − its LOAD segment's address, rounded down "
        "to a page",
        here=(lambda context: "Map (3): Enter on a mapping of a file shows its load bias.",),
        see=("virtual address", "ASLR", "/proc/PID/maps"),
        aliases=("readelf", "load address", "ELF", "PIE"),
    ),
    Entry(
        "ASLR",
        "Address space layout randomisation",
        "The kernel puts stack, libraries, heap and position independent programs at addresses that "
        "differ at each start, so that an attacker cannot know them. randomize_va_space sets how "
        "much of it is done.",
        "It does not move what runs already: children of fork keep their parent's layout. It hides "
        "addresses and protects nothing else.",
        "/proc/sys/kernel/randomize_va_space",
        here=(_aslr_here,),
        see=("virtual address", "load bias", "brk"),
        aliases=("randomize_va_space", "address randomisation", "address randomization"),
    ),
    Entry(
        "MMU",
        "Memory management unit",
        "The part of the processor that translates each virtual address by the page table, and "
        "checks at the same time whether the access is allowed. Where there is no translation, or "
        "no right, it raises a page fault and the kernel decides.",
        "It allocates nothing and knows nothing of files or swap: it only follows tables that the "
        "kernel writes.",
        here=(paging_here, walk_here),
        see=("TLB", "page table", "page fault", "virtual address"),
        aliases=("memory management unit",),
    ),
    Entry(
        "TLB",
        "Translation lookaside buffer",
        "A small cache in each processor core of translations that the MMU has found lately. A miss "
        "costs a walk of the page table; huge pages make its entries cover more.",
        "A TLB miss is no page fault: the hardware serves it alone on most processors, and nothing "
        "in /proc counts it (perf stat -e dTLB-load-misses does).",
        see=("MMU", "page table", "huge page"),
        aliases=("translation lookaside buffer", "TLB miss"),
    ),
    Entry(
        "page",
        "Page",
        "The unit in which memory is translated, given out and taken back: a stretch of addresses "
        "of the page size, at a multiple of it. The stretch of memory behind it is a frame.",
        "A page of a process need not be in memory, and a frame may stand behind pages of many "
        "processes.",
        "the kernel's page size, getconf PAGE_SIZE",
        number("MemTotal / page_size"),
        here=(Fact("A page here:", size("page_size")),),
        see=("page size", "page table", "page fault", "huge page"),
        aliases=("frame", "page frame", "pages"),
    ),
    Entry(
        "page size",
        "Page size",
        "How long a base page is: 4 KiB on x86-64, 4, 16 or 64 KiB on arm64, often 64 KiB on "
        "ppc64. It is fixed when the kernel is built or booted, and all counters in pages are in "
        "this unit.",
        "It is not the huge page size, and not to be taken for granted as 4096.",
        "the kernel's page size, getconf PAGE_SIZE",
        size("page_size"),
        here=(Fact("A huge page:", size("Hugepagesize")),),
        see=("page", "huge page", "page table"),
        aliases=("pagesize", "PAGE_SIZE"),
    ),
    "page_tables_bytes",
    Entry(
        "PTE",
        "Page table entry",
        "The lowest level's entry for one page: a frame's number and flags. On x86-64 it has 64 "
        "bits: bit 0 present, 1 writable, 2 user, 5 accessed, 6 dirty, 8 global, 12 to 51 the frame, "
        "63 no execution; where present is 0, the rest is the kernel's, such as a place in swap.",
        "No file shows it: pagemap tells what the kernel makes of it. A table of 4 KiB pages holds "
        "512 entries of 8 bytes.",
        "/proc/PID/pagemap",
        in_words="address = frame × page size + the address's lowest bits (12 with pages of 4 KiB)",
        here=(paging_here, walk_here),
        see=("page table", "page fault", "page", "swap"),
        aliases=("page table entry", "pagemap", "present bit", "accessed bit"),
    ),
    Entry(
        "page fault",
        "Page fault",
        "What the processor raises when an access finds no valid entry in the page table, or one "
        "that forbids it; the kernel then makes the page present, copies it, or sends SIGSEGV. "
        "Served from memory it is minor; if something must be read first it is major.",
        "It is no error: every page that a program touches for the first time costs one. Only a "
        "fault that the kernel cannot serve ends in a signal.",
        "/proc/vmstat pgfault, pgmajfault",
        per_s("pgfault / uptime"),
        differs=(
            Tool("sar fault/s, on average since boot", per_s("pgfault / uptime")),
            Tool("sar majflt/s, on average since boot", per_s("pgmajfault / uptime")),
        ),
        here=(
            Fact("Since boot:", number("pgfault")),
            Fact("Of them major:", number("pgmajfault")),
        ),
        see=("minor faults", "major faults", "copy-on-write", "SIGSEGV", "PTE"),
        aliases=("fault", "pgfault", "page faults"),
    ),
    "minor_faults_per_s",
    "major_faults_per_s",
    Entry(
        "copy-on-write",
        "Copy on write",
        "Two mappings share a page that both see as private and that is write protected; the first "
        "that writes gets a copy at the fault. So fork copies page tables and hardly any memory, "
        "and private mappings of a file start from the file's own pages.",
        "It is no sharing for good: memory may grow long after the fork, one page for each write. "
        "The kernel promises for the worst case, which commit shows.",
        "/proc/PID/smaps Private_Dirty, Shared_Clean, Shared_Dirty",
        see=("page fault", "commit", "PSS", "KSM", "anonymous"),
        aliases=("COW", "copy on write"),
    ),
    Entry(
        "SIGSEGV",
        "Segmentation fault",
        "The signal for an access that the kernel will not serve. si_code tells why: SEGV_MAPERR, "
        "nothing is mapped at the address; SEGV_ACCERR, something is, but not for this kind of "
        "access, such as writing to code.",
        "It is no lack of memory: that ends in the OOM killer's SIGKILL. A page of a mapping beyond "
        "the end of its file gives SIGBUS instead.",
        "the signal's siginfo; the kernel's log",
        here=(
            lambda context: (
                "Map (3): @ goes to the address of the fault and shows whether anything is there."
            ),
        ),
        see=("page fault", "/proc/PID/maps", "virtual address", "OOM killer"),
        aliases=("segfault", "segmentation fault", "SEGV", "SEGV_MAPERR", "SEGV_ACCERR", "SIGBUS"),
    ),
)
