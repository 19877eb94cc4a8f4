"""A process's address space: what kind each mapping is, the sums, and the picture to scale."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest
from itertools import pairwise
from typing import Final, NamedTuple

from memtui.kernel.files import Gap
from memtui.kernel.maps import UNKNOWN, Mappings
from memtui.kernel.process import Identity
from memtui.model.sample import ProcessKey


class Kind(NamedTuple):
    """What a mapping is for: the name that JSON and filters use, its letter, words and colour."""

    name: str
    letter: str
    words: str
    colour: str


KINDS: Final = (
    Kind("text", "t", "program code", "#5fafff"),
    Kind("rodata", "r", "read-only data", "#5f87af"),
    Kind("relro", "R", "data made read-only after linking", "#7f8fbf"),
    Kind("data", "d", "initialised data", "#d7af5f"),
    Kind("bss", "b", "zero-initialised data", "#b58a3c"),
    Kind("heap", "h", "heap", "#ff875f"),
    Kind("stack", "k", "main stack", "#ff5f87"),
    Kind("thread_stack", "K", "thread stacks", "#d75f9f"),
    Kind("anon", "a", "anonymous", "#87d75f"),
    Kind("jit", "j", "generated code", "#ffd75f"),
    Kind("shm", "S", "shared memory", "#af87ff"),
    Kind("file", "f", "mapped files", "#5fd7d7"),
    Kind("hugetlb", "H", "huge pages", "#d7ff87"),
    Kind("device", "D", "device memory", "#bcbcbc"),
    Kind("vdso", "v", "kernel's code for programs", "#8a8a8a"),
    Kind("guard", "g", "no access: guards, reserved", "#4e4e4e"),
)
KIND_BY_NAME: Final = {kind.name: kind for kind in KINDS}
_INDEX: Final = {kind.name: index for index, kind in enumerate(KINDS)}

_VDSO_NAMES: Final = frozenset(
    ("[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]", "[vectors]", "[sigpage]", "[uprobes]")
)
# A guard below a thread's stack is a page, four in a JVM; larger ones are reservations.
_GUARD_AT_MOST: Final = 1 << 20
_ARENA: Final = 64 << 20  # glibc's malloc arenas are aligned to their reservation's size


@dataclass(slots=True)
class Totals:
    """Sums over mappings, in bytes; None where the kernel does not offer them or they are unread."""

    mappings: int = 0
    size: int = 0
    largest: int = 0
    rss: int | None = None
    pss: int | None = None
    private: int | None = None
    shared: int | None = None
    swap: int | None = None


class AddressMap:
    """Mappings with their kinds, of one process at one moment.

    `kinds` holds an index into `KINDS` for each mapping. `usage_gap` says why there is no usage;
    where it is None and `has_usage` is false, usage has not been read yet.
    """

    __slots__ = ("_by_kind", "key", "kinds", "mappings", "usage_gap")

    def __init__(
        self,
        key: ProcessKey,
        mappings: Mappings,
        threads: int = 1,
        last: AddressMap | None = None,
        usage_gap: Gap | None = None,
    ) -> None:
        self.key = key
        self.mappings = mappings
        self.usage_gap = usage_gap
        known = last is not None and mappings.same_layout(last.mappings)
        self.kinds: bytearray = last.kinds if last and known else classify(mappings, threads)
        self._by_kind = _by_kind(mappings, self.kinds)

    def __len__(self) -> int:
        return len(self.mappings)

    @property
    def has_usage(self) -> bool:
        return self.mappings.has_usage

    def kind(self, row: int) -> Kind:
        return KINDS[self.kinds[row]]

    @property
    def by_kind(self) -> dict[Kind, Totals]:
        """Sums of each kind that occurs, in the order of `KINDS`."""
        return self._by_kind

    @property
    def totals(self) -> Totals:
        """Sums over everything, [vsyscall] included, which VmSize leaves out."""
        return _add(self._by_kind.values())

    def row_at(self, address: int) -> int | None:
        """The mapping that holds an address."""
        row = bisect_right(self.mappings.starts, address) - 1
        return row if row >= 0 and address < self.mappings.ends[row] else None


class MapReading(NamedTuple):
    """What came of looking at a process's address space: the map, or why there is none."""

    key: ProcessKey
    map: AddressMap | Gap
    stat: Identity | None
    time_s: float
    cost_s: float


def classify(mappings: Mappings, threads: int = 1) -> bytearray:
    """The kind of every mapping, as indices into `KINDS`.

    From perms, names and neighbours alone, so that maps gives the same answer as smaps.
    """
    perms, paths = mappings.perms, mappings.paths
    starts, ends = mappings.starts, mappings.ends
    images = {
        (dev, inode)
        for dev, inode, perm, path in zip(mappings.devs, mappings.inodes, perms, paths, strict=True)
        if perm[2] == "x" and path.startswith("/") and not path.startswith("/dev/")
    }
    kinds = bytearray(len(mappings))
    memo: dict[tuple[str, str], str] = {}
    names: list[str] = []
    for row, pair in enumerate(zip(perms, paths, strict=True)):
        name = memo.get(pair)
        if name is None:
            name = memo[pair] = _kind_by_name(*pair)
        if name == "file" and (mappings.devs[row], mappings.inodes[row]) in images:
            name = _kind_in_image(mappings, row)
        elif name == "anon" and row and starts[row] == ends[row - 1]:
            if names[-1] == "data" and pair == ("rw-p", ""):
                name = "bss"
            elif threads > 1 and _is_thread_stack(mappings, row):
                name = "thread_stack"
        names.append(name)
        kinds[row] = _INDEX[name]
    return kinds


def _kind_by_name(perm: str, path: str) -> str:
    """What permissions and name alone tell."""
    shared, execute = perm[3] == "s", perm[2] == "x"
    if path.startswith("["):
        if path in _VDSO_NAMES:
            return "vdso"
        if path == "[stack]":
            return "stack"
        if path.startswith("[stack:"):  # 3.4 to 4.4
            return "thread_stack"
        if path.startswith("[heap]"):
            return "heap"
        if path.startswith("[anon_shmem"):
            return "shm"
        # Names that C libraries give: glibc, and Android's bionic.
        if "stack" in path and ("pthread" in path or "stack_and_tls" in path):
            return "thread_stack"
        if path == "[anon:.bss]":
            return "bss"
    if path.startswith(("/anon_hugepage", "/dev/hugepages/", "/hugetlbfs/")):
        return "hugetlb"
    if perm.startswith("---"):
        return "guard"
    if path.startswith(("/SYSV", "/dev/shm/", "/dev/zero")):
        return "shm"
    if path.startswith("/memfd:"):
        return "file" if not shared else "jit" if execute else "shm"
    if path.startswith(("/dev/", "anon_inode:", "socket:")):
        return "device"
    if path.startswith("/"):
        return "file"
    if shared:
        return "shm"
    return "jit" if execute else "anon"


def _kind_in_image(mappings: Mappings, row: int) -> str:
    """Which part of an ELF file: one of whose mappings is executable."""
    perm = mappings.perms[row]
    if perm[2] == "x":
        return "text"
    if perm[1] == "w":
        return "data"
    # RELRO is the head of the writable segment, write-protected after linking: read-only, right
    # below data, and behind the read-only data that linkers set apart since 2018, or behind text
    # where the file's first mapping is its text.
    if _same_file(mappings, row, row + 1) and mappings.perms[row + 1][1] == "w":
        above = row - 1
        while _same_file(mappings, row, above) and mappings.perms[above].startswith("---"):
            above -= 1
        if _same_file(mappings, row, above):
            if mappings.perms[above] == "r--p":
                before = above - 1
                if _same_file(mappings, row, before) and mappings.perms[before][2] == "x":
                    return "relro"
            elif mappings.perms[above][2] == "x" and mappings.offsets[above] == 0:
                return "relro"
    return "rodata"


def _same_file(mappings: Mappings, row: int, other: int) -> bool:
    return (
        0 <= other < len(mappings)
        and mappings.inodes[row] == mappings.inodes[other]
        and mappings.devs[row] == mappings.devs[other]
        and mappings.paths[row] == mappings.paths[other]
    )


def _is_thread_stack(mappings: Mappings, row: int) -> bool:
    """Writable, nameless, right above a small guard: how pthread_create lays out a stack."""
    guard = row - 1
    return (
        mappings.perms[row] == "rw-p"
        and not mappings.paths[row]
        and mappings.perms[guard] == "---p"
        and not mappings.paths[guard]
        and mappings.ends[guard] - mappings.starts[guard] <= _GUARD_AT_MOST
        and mappings.starts[row] % _ARENA != 0
        and mappings.ends[row] - mappings.starts[row]
        > mappings.ends[guard] - mappings.starts[guard]
    )


def _by_kind(mappings: Mappings, kinds: bytearray) -> dict[Kind, Totals]:
    sums = [Totals() for _ in KINDS]
    for index, start, end in zip(kinds, mappings.starts, mappings.ends, strict=True):
        totals = sums[index]
        size = end - start
        totals.mappings += 1
        totals.size += size
        totals.largest = max(totals.largest, size)
    for field, keys in _FIELDS.items():
        columns = [mappings.usage[key] for key in keys if key in mappings.usage]
        if len(columns) < len(keys):
            continue
        for column in columns:
            per_kind = [0] * len(KINDS)
            for index, value in zip(kinds, column, strict=True):
                if value > 0:
                    per_kind[index] += value
            for totals, value in zip(sums, per_kind, strict=True):
                setattr(totals, field, (getattr(totals, field) or 0) + value)
    return {kind: totals for kind, totals in zip(KINDS, sums, strict=True) if totals.mappings}


_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "rss": ("Rss",),
    "pss": ("Pss",),
    "private": ("Private_Clean", "Private_Dirty"),
    "shared": ("Shared_Clean", "Shared_Dirty"),
    "swap": ("Swap",),
}


def _add(parts: Iterable[Totals]) -> Totals:
    total = Totals()
    for part in parts:
        total.mappings += part.mappings
        total.size += part.size
        total.largest = max(total.largest, part.largest)
        for field in _FIELDS:
            value = getattr(part, field)
            if value is not None:
                setattr(total, field, (getattr(total, field) or 0) + value)
    return total


# The picture ---------------------------------------------------------------------------------


class Cell(NamedTuple):
    """One cell of the picture: [start, end) of the address space.

    `kind` is what most of it is (an index into `KINDS`), None for a hole; `resident` the share of
    the mapped bytes in it that is in memory, None where usage is unread; `row` a mapping in it.
    """

    start: int
    end: int
    kind: int | None
    resident: float | None
    row: int | None


class Region(NamedTuple):
    """Mappings [first, last) with no folded hole between, and the hole before them, in bytes."""

    first: int
    last: int
    hole_before: int


def regions(mappings: Mappings, most: int) -> list[Region]:
    """The address space cut at its largest holes, `most` pieces at most.

    A hole is folded where it is larger than a 32nd of all that is mapped: to scale it would leave
    no room for what matters.
    """
    starts, ends = mappings.starts, mappings.ends
    if not starts:
        return []
    enough = max(1, sum(ends) - sum(starts)) // 32
    holes = [
        (hole, row)
        for row, hole in enumerate(map(int.__sub__, starts[1:], ends), start=1)
        if hole > enough
    ]
    cuts = sorted((row, hole) for hole, row in nlargest(max(0, most - 1), holes))
    bounds = [(0, 0), *cuts, (len(starts), 0)]
    return [Region(first, last, hole) for (first, hole), (last, _) in pairwise(bounds)]


def share_cells(mappings: Mappings, parts: list[Region], cells: int, page: int) -> list[int]:
    """How many of `cells` each region gets: at least one, by the logarithm of its pages."""
    weights = [
        1 + math.log2(1 + (mappings.ends[part.last - 1] - mappings.starts[part.first]) / page)
        for part in parts
    ]
    spare = max(0, cells - len(parts))
    total = sum(weights)
    exact = [spare * weight / total for weight in weights]
    counts = [int(part) for part in exact]
    by_rest = sorted(range(len(parts)), key=lambda at: counts[at] - exact[at])
    for at in by_rest[: spare - sum(counts)]:
        counts[at] += 1
    return [1 + part for part in counts]


def region_cells(map_: AddressMap, region: Region, count: int, page: int) -> list[Cell]:
    """A region to scale: `count` cells of equal spans at most, rounded up to whole pages."""
    mappings = map_.mappings
    low, high = mappings.starts[region.first], mappings.ends[region.last - 1]
    span = -(-(high - low) // count)
    span = -(-span // page) * page
    cells = []
    start, row = low, region.first
    while start < high:
        end = min(start + span, high)
        row = max(region.first, bisect_right(mappings.ends, start, row, region.last))
        cells.append(_cell(map_, start, end, row, region.last))
        start = end
    return cells


_LOOK_AT: Final = 24  # mappings looked at for one cell: a cell of ten thousand costs no more


def _cell(map_: AddressMap, start: int, end: int, row: int, last: int) -> Cell:
    mappings = map_.mappings
    if row >= last or mappings.starts[row] >= end:
        return Cell(start, end, None, None, None)
    beyond = bisect_right(mappings.starts, end - 1, row, last)
    step = -(-(beyond - row) // _LOOK_AT)
    sizes: dict[int, int] = {}
    rss_column: array[int] | None = mappings.usage.get("Rss")
    mapped = 0
    resident = 0.0
    best_row, best_size = row, 0
    for at in range(row, beyond, step):
        low, high = mappings.starts[at], mappings.ends[at]
        part = min(high, end) - max(low, start)
        kind = map_.kinds[at]
        sizes[kind] = sizes.get(kind, 0) + part
        if part > best_size:
            best_row, best_size = at, part
        mapped += part
        if rss_column is not None and (rss := rss_column[at]) != UNKNOWN:
            resident += part * min(1.0, rss / (high - low))
    kind = max(sizes, key=sizes.__getitem__)
    share = None if rss_column is None else resident / mapped
    return Cell(start, end, kind, share, best_row)
