"""One address down to its frame: what page table, kernel and an access would say of it.

The levels and their indices are computed from the address: no file shows a page table. What was
read is pagemap's digest of the last level, the frame's flags and counts, and its zone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from memtui.kernel.cpuinfo import read_cpu_words
from memtui.kernel.files import Files, Gap
from memtui.kernel.limits import read_stack_limit_bytes
from memtui.kernel.pagemap import (
    BITS,
    EXCLUSIVE,
    FILE_OR_SHARED,
    FLAGS,
    GUARD,
    KPF_HUGE,
    KPF_NOPAGE,
    KPF_THP,
    KPF_ZERO_PAGE,
    PRESENT,
    SWAPPED,
    UFFD_WP,
    Bit,
    frame,
    is_hidden,
    read_map_count,
    read_page_flags,
    swap_place,
)
from memtui.kernel.swaps import parse_swaps
from memtui.kernel.zones import parse_zoneinfo
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.pagetable import Paging, Step, paging_of, split
from memtui.ondemand.pages import is_huge, read_pages
from memtui.units import size

COMPUTED: Final = "computed, not read"

# The stack_guard_gap of a kernel that was started without that option.
_STACK_GUARD_PAGES: Final = 256
_ADDRESSES: Final = 1 << 64
_HALF: Final = 1 << 63


class Hole(NamedTuple):
    """An address range [start, end) without a mapping, within the process's or the kernel's half;
    `below` and `above` are the rows of the mappings next to it."""

    start: int
    end: int
    below: int | None
    above: int | None


class FramePlace(NamedTuple):
    """The node and zone that a frame belongs to."""

    node: int
    zone: str


@dataclass(slots=True)
class Walk:
    """What is known of one address of one process. None: does not apply, or is not known.

    `steps` and `offset` are computed. `row` is the mapping, or else there is a `hole`. `entry` is
    pagemap's, None where it has none for this address. `last_level` names the level whose entry
    holds the frame: PTE, or one above it for a huge page.
    """

    key: ProcessKey
    address: int
    page_bytes: int
    paging: Paging | Gap
    steps: tuple[Step, ...] = ()
    row: int | None = None
    hole: Hole | None = None
    entry: int | Gap | None = None
    flags: int | Gap | None = None
    map_count: int | Gap | None = None
    place: FramePlace | None = None
    last_level: str | None = None
    huge: str | None = None
    swap_name: str | None = None
    sentences: tuple[str, ...] = ()

    @property
    def offset(self) -> int:
        """The byte in its page."""
        return self.address % self.page_bytes

    @property
    def page_start(self) -> int:
        return self.address - self.offset

    @property
    def bits(self) -> tuple[Bit, ...]:
        """What is set in pagemap's entry."""
        return _bits_of(self.entry, BITS)

    @property
    def flag_bits(self) -> tuple[Bit, ...]:
        """What is set in the frame's flags."""
        return _bits_of(self.flags, FLAGS)

    @property
    def frame(self) -> int | None:
        return frame(self.entry) if isinstance(self.entry, int) else None

    @property
    def physical_address(self) -> int | None:
        return None if self.frame is None else self.frame * self.page_bytes + self.offset

    @property
    def swap(self) -> tuple[int, int] | None:
        """Number of the swap device and page in it."""
        return swap_place(self.entry) if isinstance(self.entry, int) else None

    @property
    def frame_words(self) -> str:
        """The frame number, or why there is none."""
        if isinstance(self.entry, Gap):
            return f"unknown: {self.entry}"
        if self.entry is None:
            return "none: pagemap has no entry for this address"
        if self.frame is not None:
            return f"{self.frame:#x}"
        if self.entry & PRESENT:
            return "hidden: the kernel shows it only to readers with CAP_SYS_ADMIN"
        return "none: the page is not in memory"

    @property
    def swap_words(self) -> str | None:
        """Where in swap the page is; None where it is not in swap."""
        if not isinstance(self.entry, int) or self.entry & GUARD or not self.entry & SWAPPED:
            return None
        if self.swap is not None:
            type_, offset = self.swap
            return f"page {offset} of {self.swap_name or f'swap device {type_}'}"
        if is_hidden(self.entry):
            return "hidden: the kernel shows it only to readers with CAP_SYS_ADMIN"
        return "no swap device: a page being moved, found broken, on a device, or a marker"


def walk(files: Files, machine: Machine, map_: AddressMap, address: int) -> Walk:
    """All about one address; `map_` tells mappings, and better of huge pages where it has usage."""
    key, page_bytes = map_.key, machine.page_bytes
    ends = map_.mappings.ends
    highest = next((end for end in reversed(ends) if end <= _HALF), 0)
    architecture, has_la57 = _architecture(files, machine, map_, highest)
    paging = paging_of(architecture, page_bytes, has_la57, highest)
    found = Walk(key, address, page_bytes, paging)
    if isinstance(found.paging, Paging):
        found.steps = split(found.paging, address)
    found.row = map_.row_at(address)
    if found.row is None:
        found.hole = _hole(map_, address, found.paging)
    reading = read_pages(files, key, address, 1, page_bytes, detailed=False)
    if isinstance(reading, Gap):
        found.entry = reading
    elif reading.entries:
        found.entry = reading.entries[0]
    if found.frame is not None:
        found.flags = read_page_flags(files, found.frame)
        found.map_count = read_map_count(files, found.frame)
        found.place = _place(files, found.frame)
        if found.row is not None:
            found.last_level, found.huge = _end_of_walk(files, found, map_, found.row)
    if found.swap is not None:
        swaps = files.parsed("proc/swaps", parse_swaps)
        # Devices are numbered as they are turned on, and the list leaves out those turned off.
        if not isinstance(swaps, Gap) and len(swaps) == 1:
            found.swap_name = swaps[0].name
    if found.hole is not None:
        found.sentences = tuple(_on_hole(files, found, map_, found.hole))
    elif found.row is not None:
        found.sentences = tuple(_on_mapping(found, map_, found.row))
    return found


def _bits_of(value: int | Gap | None, table: tuple[Bit, ...]) -> tuple[Bit, ...]:
    return tuple(bit for bit in table if value & bit.mask) if isinstance(value, int) else ()


def _architecture(
    files: Files, machine: Machine, map_: AddressMap, highest: int
) -> tuple[str, bool | None]:
    """The machine as uname -m names it, "" where a captured tree does not tell; and its la57."""
    words = read_cpu_words(files)
    has_la57 = None if words is None else b"la57" in words
    if machine.architecture:
        return machine.architecture, has_la57
    if words and b"lm" in words and highest > 1 << 32:
        return "x86_64", has_la57
    if words and words >= {b"CPU", b"architecture:"} and words & {b"8", b"AArch64"}:
        return "aarch64", False
    if "[vsyscall]" in map_.mappings.paths:
        return "x86_64", has_la57
    for architecture, names in _IN_RELEASES.items():
        if any(name in machine.release for name in names):
            return architecture, has_la57
    return "", has_la57


# Distributions put it at the end of the kernel's release: 6.12.9-amd64, 5.14.0-570.el9.aarch64.
_IN_RELEASES: Final = {
    "x86_64": ("x86_64", "amd64"),
    "aarch64": ("aarch64", "arm64"),
    "i686": ("i686", "i386", "686"),
}


def _hole(map_: AddressMap, address: int, paging: Paging | Gap) -> Hole:
    start, end = 0, _ADDRESSES
    if isinstance(paging, Paging):
        start = next((at for at in (paging.kernel_start, paging.user_end) if address >= at), start)
        end = next((at for at in (paging.user_end, paging.kernel_start) if address < at), end)
    starts, ends = map_.mappings.starts, map_.mappings.ends
    above = bisect_right(starts, address)
    below = above - 1
    has_below = below >= 0 and ends[below] > start
    has_above = above < len(starts) and starts[above] < end
    return Hole(
        ends[below] if has_below else start,
        starts[above] if has_above else end,
        below if has_below else None,
        above if has_above else None,
    )


def _place(files: Files, pfn: int) -> FramePlace | None:
    """From the spans of all zones, which on machines with interleaved nodes may overlap."""
    zones = files.parsed("proc/zoneinfo", parse_zoneinfo)
    if isinstance(zones, Gap):
        return None
    found = []
    for zone in zones:
        start, spanned = (zone.fields.get(name, 0) for name in ("start_pfn", "spanned"))
        if start <= pfn < start + spanned:
            found.append(FramePlace(zone.node, zone.zone))
    return found[0] if len(found) == 1 else None


def _end_of_walk(
    files: Files, found: Walk, map_: AddressMap, row: int
) -> tuple[str | None, str | None]:
    """The last level, where flags and smaps settle it, and words on huge pages."""
    flags, paging, pfn = found.flags, found.paging, found.frame
    if not isinstance(flags, int) or isinstance(paging, Gap) or pfn is None or flags & KPF_NOPAGE:
        return None, None
    mappings, page_bytes = map_.mappings, found.page_bytes
    pte, pmd = paging.levels[-1], paging.levels[-2]
    if flags & KPF_HUGE:
        covered = mappings.get(row, "KernelPageSize")
        name = next((each.name for each in paging.levels if each.covers_bytes == covered), None)
        of = "" if covered is None else f" of {size(covered)}"
        return name, f"part of a huge page{of} of the hugetlb pool"
    if not flags & KPF_THP:
        return pte.name, None
    if not is_huge(files, pfn, flags, page_bytes):
        return pte.name, "part of a folio of several pages, each mapped by its own entry"
    words = f"part of a transparent huge page of {size(pmd.covers_bytes)}"
    start = found.address // pmd.covers_bytes * pmd.covers_bytes
    fits = mappings.starts[row] <= start and start + pmd.covers_bytes <= mappings.ends[row]
    aligned = (found.address // page_bytes - pfn) % (pmd.covers_bytes // page_bytes) == 0
    rss, by_pmd = mappings.get(row, "Rss"), mappings.get(row, "AnonHugePages")
    if by_pmd is not None:
        by_pmd += sum(mappings.get(row, f"{kind}PmdMapped") or 0 for kind in ("Shmem", "File"))
    if not fits or not aligned or (by_pmd == 0 and not flags & KPF_ZERO_PAGE):
        return pte.name, f"{words}, mapped here page by page"
    if by_pmd == rss is not None or flags & KPF_ZERO_PAGE:
        return pmd.name, f"{words}, mapped here by one {pmd.name} entry"
    return None, f"{words}; where all of it is mapped by one {pmd.name} entry, the walk ends there"


def _on_hole(files: Files, found: Walk, map_: AddressMap, hole: Hole) -> Iterator[str]:
    """What an access to a place without a mapping does."""
    paging = found.paging
    if isinstance(paging, Paging):
        if not paging.is_canonical(found.address):
            if paging.architecture == "x86-64":
                yield "The address is not canonical: the CPU refuses it before any walk."
                yield "Any access: a general protection fault, then SIGSEGV with SI_KERNEL."
            else:
                yield "The address is outside both halves that the CPU translates: no walk."
                yield "Any access: a fault, then SIGSEGV with SEGV_MAPERR."
            return
        if found.address >= paging.kernel_start:
            yield "The upper half of the addresses is the kernel's; no program may use it."
            yield "Any access: a page fault, then SIGSEGV with SEGV_MAPERR."
            return
    yield _walk_words(found)
    yield "No entry is there: the CPU raises a page fault, and the kernel looks for a mapping."
    stack = hole.above
    if stack is not None and _is_stack(map_, stack):
        yield from _below_stack(files, found, map_, hole, stack)
    else:
        yield "Any access: no mapping holds the address, so SIGSEGV with SEGV_MAPERR."


def _is_stack(map_: AddressMap, row: int) -> bool:
    """Whether a mapping grows downwards."""
    flags = map_.mappings.vm_flags(row)
    return map_.mappings.paths[row] == "[stack]" or bool(flags and "gd" in flags)


def _below_stack(
    files: Files, found: Walk, map_: AddressMap, hole: Hole, stack: int
) -> Iterator[str]:
    """An access below a stack makes it grow, however far below, while limit and distance allow."""
    mappings = map_.mappings
    needed = mappings.ends[stack] - found.page_start
    limit = read_stack_limit_bytes(files, found.key.pid)
    yield f"The next mapping above is a stack, which would have to grow to {size(needed)}."
    if isinstance(limit, int) and needed > limit:
        yield (
            f"Any access: that is beyond the limit of {size(limit)} (RLIMIT_STACK), so SIGSEGV "
            "with SEGV_MAPERR."
        )
        return
    gap = _STACK_GUARD_PAGES * found.page_bytes
    below = hole.below
    if below is not None and not mappings.perms[below].startswith("---"):
        distance = found.page_start - mappings.ends[below]
        if distance < gap and not _is_stack(map_, below):
            yield (
                f"Any access: that is nearer than {size(gap)} (the stack guard gap) to the mapping "
                "below, so SIGSEGV with SEGV_MAPERR."
            )
            return
    allowed = "there is no limit" if limit is None else "the limit (RLIMIT_STACK) is unknown"
    if isinstance(limit, int):
        allowed = f"the limit (RLIMIT_STACK) is {size(limit)}"
    yield f"Any access: {allowed}; the kernel lets the stack grow, and gives a zeroed page."


def _walk_words(found: Walk) -> str:
    if isinstance(found.paging, Gap):
        return "The CPU translates the address by its TLB, or by a walk of the page table."
    levels = " → ".join(step.level.name for step in found.steps)
    root = "CR3" if found.paging.architecture == "x86-64" else "TTBR0_EL1"
    return f"Unless its TLB holds the translation, the CPU walks {levels} from where {root} points."


def _on_mapping(found: Walk, map_: AddressMap, row: int) -> Iterator[str]:
    """What an access to a mapped address does, as far as mapping and entry tell."""
    perms, path = map_.mappings.perms[row], map_.mappings.paths[row]
    if path == "[vsyscall]":
        yield "The page is the kernel's own, in the half of the table that pagemap does not show."
        yield "Executing: a call to one of its three entries traps, and the kernel does the work."
        if perms[0] == "r":
            yield "A read: no fault, the page has the code that programs of old expect there."
        yield f"Any {'other ' if perms[0] == 'r' else ''}access: SIGSEGV with SEGV_MAPERR."
        return
    yield _walk_words(found)
    entry = found.entry
    if not isinstance(entry, int):
        yield f"Whether the page is in memory is not known ({entry or 'pagemap has no entry'})."
    elif entry & PRESENT and perms.startswith("---"):
        yield "The page is in memory, but its entry is kept from the CPU."
    elif entry & PRESENT:
        at = found.physical_address
        where = "a frame whose number is hidden" if at is None else f"physical address {at:#x}"
        level = f" at the {found.last_level}" if found.last_level else ""
        yield f"The page is in memory: the walk ends{level} and gives {where}."
    elif entry & GUARD:
        yield "A marker in place of the entry makes this page a guard (MADV_GUARD_INSTALL)."
        yield "Any access: a page fault, then SIGSEGV with SEGV_MAPERR, as if nothing was mapped."
        return
    elif entry & SWAPPED:
        yield f"The entry says where the page went: {found.swap_words}."
    else:
        yield "No entry is there: the page was never touched, or is not in memory any more."
    if perms.startswith("---"):
        yield "Any access: the mapping allows none (PROT_NONE), so SIGSEGV with SEGV_ACCERR."
        return
    backing = _backing(map_, row)
    yield f"A read: {_on_read(entry, perms, backing)}."
    yield f"A write: {_on_write(entry, perms, backing)}."
    if perms[2] == "x":
        yield "Executing: as a read."
    else:
        yield "Executing: the mapping does not allow it, so SIGSEGV with SEGV_ACCERR."
    flags = map_.mappings.vm_flags(row)
    if flags and not {"um", "uw", "ui"}.isdisjoint(flags):
        yield "The process watches this mapping by userfaultfd, and may serve such faults itself."


def _backing(map_: AddressMap, row: int) -> str:
    """What fills an absent page: anonymous, shm, file, hugetlb, device or vdso."""
    kind, path = map_.kind(row).name, map_.mappings.paths[row]
    if kind in ("shm", "hugetlb", "device", "vdso"):
        return kind
    if path.startswith("/") and path != "/dev/zero":
        return "shm" if path.startswith("/memfd:") else "file"
    return "anonymous"


_FILLED: Final = {
    "anonymous": "a minor fault, and the kernel gives a zeroed page",
    "shm": "a minor fault where another process has the page or nobody has (it is zeroed then), "
    "a major one where it is in swap",
    "file": "a minor fault where the page cache has this part of the file, a major one where it is "
    "read from disk, SIGBUS beyond the file's end",
    "hugetlb": "a fault that takes a huge page from the pool, or SIGBUS where that is empty",
    "device": "a fault that the device's driver answers",
    "vdso": "a minor fault, and the kernel maps its own page",
}


def _on_absent(entry: int | Gap | None, backing: str) -> str:
    if not isinstance(entry, int):
        return f"nothing but the translation if it is in memory; if not, {_FILLED[backing]}"
    if entry & SWAPPED:
        return "a major fault reads it back, a minor one finds it still in the swap cache"
    return _FILLED[backing]


def _on_read(entry: int | Gap | None, perms: str, backing: str) -> str:
    if perms[0] != "r":
        return "the mapping does not allow it, but not every CPU can forbid it"
    if isinstance(entry, int) and entry & PRESENT:
        return "no fault, the CPU goes on without the kernel"
    if isinstance(entry, int) and not entry & SWAPPED and backing == "anonymous":
        return "a minor fault, and the kernel maps the page of zeros that all share"
    return _on_absent(entry, backing)


def _on_write(entry: int | Gap | None, perms: str, backing: str) -> str:
    if perms[1] != "w":
        return "the mapping does not allow it, so SIGSEGV with SEGV_ACCERR"
    is_private = perms[3] == "p"
    if not isinstance(entry, int) or not entry & PRESENT:
        is_own = isinstance(entry, int) and entry & SWAPPED  # files' pages go to no swap
        copied = is_private and backing in ("file", "shm") and not is_own
        then = "; its content is copied to a page of this process alone" if copied else ""
        return _on_absent(entry, backing) + then
    if entry & UFFD_WP:
        return "a fault that userfaultfd reports to the process's own handler"
    if not is_private:
        return "no fault, or a minor one by which the kernel notes that the page is dirty"
    if entry & FILE_OR_SHARED:
        return "a minor fault copies the page for this process alone (copy-on-write)"
    if entry & EXCLUSIVE:
        return "no fault, or a minor one that makes the entry writable: the page is its own"
    return "a minor fault copies the page, which others share, for this process (copy-on-write)"
