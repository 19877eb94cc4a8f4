"""What the two-letter codes of a mapping's VmFlags line mean, in words.

Source: VmFlags in /proc/PID/smaps. Document: Documentation/filesystems/proc.rst, and the table in
fs/proc/task_mmu.c. Since: 3.8. The kernel writes the codes in the order of its bits.
"""

from __future__ import annotations

from typing import Final

VM_FLAGS: Final = {
    "rd": "may be read",
    "wr": "may be written",
    "ex": "may be executed",
    "sh": "shared: writes are seen by all who map it",
    "mr": "mprotect may make it readable",
    "mw": "mprotect may make it writable",
    "me": "mprotect may make it executable",
    "ms": "may be shared",
    "gd": "grows downwards, as a stack does",
    "pf": "page frames without the kernel's book-keeping, as device memory has",
    "lo": "locked in memory: never swapped out (mlock)",
    "io": "device memory: reading it may have effects",
    "sr": "read in sequence: read-ahead is eager (MADV_SEQUENTIAL)",
    "rr": "read at random: no read-ahead (MADV_RANDOM)",
    "dc": "not given to children at fork (MADV_DONTFORK)",
    "de": "mremap may not enlarge it",
    "lf": "locked in memory page by page, as they are touched (MLOCK_ONFAULT)",
    "ac": "counted against the commit limit",
    "nr": "not counted against the commit limit (MAP_NORESERVE)",
    "ht": "huge pages of the hugetlb pool",
    "sf": "page faults are synchronous with the file system (MAP_SYNC)",
    "ar": "a flag of this processor's architecture",
    "wf": "zeroed in children at fork (MADV_WIPEONFORK)",
    "dd": "left out of core dumps (MADV_DONTDUMP)",
    "bt": "branches may only go to marked targets (arm64 BTI)",
    "sd": "soft-dirty: new or written since the marks were cleared",
    "mm": "mixed map: pages with the kernel's book-keeping and without",
    "hg": "transparent huge pages wanted (MADV_HUGEPAGE)",
    "nh": "no transparent huge pages (MADV_NOHUGEPAGE)",
    "mg": "equal pages may be merged (MADV_MERGEABLE, KSM)",
    "um": "userfaultfd handles missing pages",
    "uw": "userfaultfd tracks writes",
    "ui": "userfaultfd handles minor faults",
    "mt": "memory tags are checked (arm64 MTE)",
    "ss": "shadow stack: return addresses that the processor checks",
    "dp": "droppable: freed without notice when memory is short (MAP_DROPPABLE)",
    "sl": "sealed: can be neither unmapped nor changed (mseal)",
    "gu": "may hold guard pages set by madvise (MADV_GUARD_INSTALL)",  # 6.19
    # Of older kernels.
    "dw": "writing to the file was denied meanwhile",  # to 5.15
    "nl": "non-linear mapping of a file (remap_file_pages)",  # to 3.19
    "mp": "bounds tables of Intel MPX",  # 3.19 to 5.5
    "??": "a flag for which this kernel has no code",
}


def decode(flags: tuple[str, ...]) -> list[str]:
    """The words for each code, in the same order; a code that is not known stays as it is."""
    return [VM_FLAGS.get(flag, flag) for flag in flags]
