"""A process's address space: every mapping with its kind, and the sums."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from memtui.kernel.files import Gap
from memtui.kernel.maps import Mappings
from memtui.kernel.process import Identity
from memtui.model.kinds import KINDS, Kind, classify
from memtui.model.sample import ProcessKey


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
