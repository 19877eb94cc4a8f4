"""A process's address space: every mapping with its kind, and the sums."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import compress
from operator import itemgetter
from typing import Final, NamedTuple

from memtui.frozen import FrozenDict
from memtui.kernel.files import Gap
from memtui.kernel.maps import UNKNOWN, Mappings
from memtui.kernel.process import Identity
from memtui.kernel.threads import Thread
from memtui.model.keys import ProcessKey
from memtui.model.map.kinds import KINDS, Kind, classify, with_flags, with_threads


@dataclass(slots=True)
class Totals:
    """Sums over mappings, in bytes; None where the kernel does not offer them or they are unread.

    `huge` is memory in huge pages, transparent and reserved; hugetlb memory is in no RSS. `dumped` is
    what a core dump has of it.
    """

    mappings: int = 0
    size: int = 0
    largest: int = 0
    rss: int | None = None
    pss: int | None = None
    private_clean: int | None = None
    private_dirty: int | None = None
    shared_clean: int | None = None
    shared_dirty: int | None = None
    anonymous: int | None = None
    swap: int | None = None
    locked: int | None = None
    huge: int | None = None
    dumped: int | None = None

    @property
    def private(self) -> int | None:
        return _both(self.private_clean, self.private_dirty)

    @property
    def shared(self) -> int | None:
        return _both(self.shared_clean, self.shared_dirty)


def in_memory(kind: Kind, totals: Totals) -> int:
    """What of a kind is in memory, for an order: RSS, and for huge pages theirs, which are in none."""
    return (totals.rss or 0) + ((totals.huge or 0) if kind.name == "hugetlb" else 0)


class Spread(NamedTuple):
    """How an address space is strewn: from its lowest to its highest mapping, [vsyscall] left out.

    `largest_hole_at` is where the largest hole begins; sizes in bytes.
    """

    span: int
    mapped: int
    holes: int
    largest_hole: int
    largest_hole_at: int


class AddressMap:
    """Mappings with their kinds, of one process at one moment.

    `kinds` holds an index into `KINDS` for each mapping. `usage_gap` says why there is no usage;
    where it is None and `has_usage` is false, usage has not been read yet. `threads` is empty
    where they are unread, and for a process of one. `bss_ends` is as `classify` takes it.
    """

    __slots__ = (
        "_by_kind",
        "_by_layout",
        "_programs",
        "_threads_at",
        "bss_ends",
        "key",
        "kinds",
        "mappings",
        "spread",
        "threads",
        "usage_gap",
    )

    def __init__(
        self,
        key: ProcessKey,
        mappings: Mappings,
        threads: int = 1,
        last: AddressMap | None = None,
        usage_gap: Gap | None = None,
        *,
        thread_list: tuple[Thread, ...] = (),
        bss_ends: Mapping[int, int] = FrozenDict(),
    ) -> None:
        self.key = key
        self.mappings = mappings
        self.usage_gap = usage_gap
        self.threads = thread_list
        self._threads_at: dict[int, list[Thread]] | None = None
        self._programs: frozenset[str] | None = None
        known = last is not None and mappings.same_layout(last.mappings)
        self.bss_ends = bss_ends
        # All but threads' stacks, which threads change that come and go.
        self._by_layout: bytearray = (
            last._by_layout if last and known else classify(mappings, threads, bss_ends)
        )
        kinds = with_flags(mappings, self._by_layout)
        if thread_list:
            others = [each for each in thread_list if each.tid != key.pid]
            at = [self.row_at(each.stack_pointer or 0) for each in others]
            self.kinds: bytearray = with_threads(
                mappings,
                kinds,
                {row for row in at if row is not None},
                knows_all=len(thread_list) >= threads
                and all(each.stack_pointer is not None for each in others),
            )
        else:
            self.kinds = kinds
        self._by_kind = _by_kind(mappings, self.kinds)
        self.spread: Spread = last.spread if last and known else _spread(mappings)

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

    def in_file(self, address: int) -> tuple[str, int] | None:
        """The path of the file that an address is in, and the place in it; None where it is in none."""
        row = self.row_at(address)
        if row is None or not self.mappings.paths[row].startswith("/"):
            return None
        into = address - self.mappings.starts[row]
        return self.mappings.paths[row], into + self.mappings.offsets[row]

    @property
    def programs(self) -> frozenset[str]:
        """The names of all files that are mapped, without their directories."""
        if self._programs is None:
            names = (path.rpartition("/")[2] for path in set(self.mappings.paths) if "/" in path)
            self._programs = frozenset(names)
        return self._programs

    @property
    def is_java(self) -> bool:
        """Whether a Java virtual machine runs in it."""
        return "libjvm.so" in self.programs

    def threads_in(self, row: int) -> list[Thread]:
        """The threads whose stack pointer is in a mapping."""
        if self._threads_at is None:
            found: dict[int, list[Thread]] = {}
            for thread in self.threads:
                at = None if thread.stack_pointer is None else self.row_at(thread.stack_pointer)
                if at is not None:
                    found.setdefault(at, []).append(thread)
            self._threads_at = found  # whole at once: two threads may ask
        return self._threads_at.get(row, [])


class MapReading(NamedTuple):
    """What came of looking at a process's address space: the map, or why there is none."""

    key: ProcessKey
    map: AddressMap | Gap
    stat: Identity | None
    time_s: float
    cost_s: float


# Each sum and the lines of smaps that make it. Huge pages have up to five, as kernels offer them.
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "rss": ("Rss",),
    "pss": ("Pss",),
    "private_clean": ("Private_Clean",),
    "private_dirty": ("Private_Dirty",),
    "shared_clean": ("Shared_Clean",),
    "shared_dirty": ("Shared_Dirty",),
    "anonymous": ("Anonymous",),
    "swap": ("Swap",),
    "locked": ("Locked",),
    "huge": (
        "AnonHugePages",
        "ShmemPmdMapped",
        "FilePmdMapped",
        "Shared_Hugetlb",
        "Private_Hugetlb",
    ),
    "dumped": ("Dumped",),
}


def _by_kind(mappings: Mappings, kinds: bytearray) -> dict[Kind, Totals]:
    """Sums of each kind, a column at a time and in C: 60,000 mappings in 20 ms."""
    found: dict[Kind, Totals] = {}
    sizes = list(map(int.__sub__, mappings.ends, mappings.starts))
    used = {
        field: [mappings.usage[key] for key in keys if key in mappings.usage]
        for field, keys in _FIELDS.items()
    }
    for index in sorted(set(kinds)):
        mask = kinds.translate(bytes(at == index for at in range(256)))
        own = list(compress(sizes, mask))
        totals = found[KINDS[index]] = Totals(len(own), sum(own), max(own))
        if not any(used.values()):
            continue
        # One row twice, as a getter of a single one gives no tuple.
        rows = list(compress(range(len(kinds)), mask))
        get = itemgetter(*rows, rows[0])
        for field, columns in used.items():
            for column in columns:
                values = get(column)[:-1]
                # The unknown are -1: they count for nothing.
                value = sum(values) + values.count(UNKNOWN)
                setattr(totals, field, (getattr(totals, field) or 0) + value)
    return found


def _spread(mappings: Mappings) -> Spread:
    starts, ends = mappings.starts, mappings.ends
    last = len(starts) - (bool(starts) and mappings.paths[-1] == "[vsyscall]")
    if not last:
        return Spread(0, 0, 0, 0, 0)
    holes = list(map(int.__sub__, starts[1:last], ends[: last - 1]))
    largest = max(holes, default=0)
    at = ends[holes.index(largest)] if largest else 0
    span = ends[last - 1] - starts[0]
    return Spread(span, span - sum(holes), len(holes) - holes.count(0), largest, at)


def _both(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


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
