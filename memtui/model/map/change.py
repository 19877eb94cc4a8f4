"""What changed between two readings of one process's address space.

Two mappings are the same memory where they overlap and have the same backing: both anonymous (a
name like [heap] comes and goes), or the same file, by device and inode, at the same distance
(start − offset). So one that grows, is split by mprotect or merges keeps its identity, and what
mremap moved is gone and new.

Cost of 60,000 mappings of which 300 changed: `gain` of 40 rows 0.1 ms, `gains` 50 ms (6 ms where the
layout is equal), `difference` 90 ms, `Trail.add` 2 ms and 1.4 MiB a reading kept, 4.7 MiB where the
layout is never the same.
"""

from __future__ import annotations

import operator
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Final, Literal, NamedTuple, cast

from memtui.kernel.maps import UNKNOWN, Mappings
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.kinds import KINDS, Kind

KEPT_USAGE: Final = ("Rss", "Pss", "Swap")

# The oldest is 50 to 65 s old, with five readings kept: a layout that always changes costs 5 MiB each.
_FEW: Final = 64  # old mappings in one new one that are gone through each time
_APART_S: Final = 15
_AT_MOST_S: Final = 65


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The mappings of one reading with the usage of `KEPT_USAGE` alone, and their kinds."""

    mappings: Mappings
    kinds: bytearray
    time_s: float
    # What `gain` worked out at length, of the mappings that are its value of "of".
    memo: dict[object, object] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, map_: AddressMap, time_s: float, like: Snapshot | None = None) -> Snapshot:
        """Shares the map's columns, and those of `like` where the layout is the same."""
        read = map_.mappings
        same = like is not None and _same_layout(like.mappings, read)
        layout = like.mappings if like and same else read
        kept = Mappings()
        for name in ("starts", "ends", "perms", "offsets", "devs", "inodes", "paths"):
            setattr(kept, name, getattr(layout, name))
        kept.usage = {key: read.usage[key] for key in KEPT_USAGE if key in read.usage}
        return cls(kept, like.kinds if like and same else map_.kinds, time_s)


class Trail:
    """The earlier readings of one process: the last two, some of the last minute, and the mark."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._kept: deque[Snapshot] = deque()
        self._mark: Snapshot | None = None
        self.last: Snapshot | None = None
        self.previous: Snapshot | None = None  # the one before the last
        self.is_marked = False
        self.is_after_exec = False

    def add(self, map_: AddressMap, time_s: float) -> None:
        """Notes a reading that has usage; `time_s` is that of the reading, and only goes up.

        One of another address space, after an exec, begins anew.
        """
        if self.last is not None and _vdso(self.last.mappings) != _vdso(map_.mappings):
            self._begin()
            self.is_after_exec = True
        self.previous = self.last
        last = self.last = Snapshot.of(map_, time_s, self.previous)
        if self._mark is None:
            self._mark = last
        if not self._kept or time_s - self._kept[-1].time_s >= _APART_S:
            self._kept.append(last)
        while time_s - self._kept[0].time_s > _AT_MOST_S:
            self._kept.popleft()

    def set_mark(self) -> None:
        """Marks the last reading."""
        self._mark = self.last
        self.is_marked = self.last is not None

    @property
    def minute(self) -> Snapshot | None:
        """The oldest reading of the minute before the last one; its age is for the reader to say.

        None while there is no other than the last.
        """
        kept = self._kept  # another thread may ask while an exec begins a new one
        return kept[0] if kept and kept[0] is not self.last else None

    @property
    def mark(self) -> Snapshot | None:
        """The reading that was marked, the first one until then."""
        return self._mark


def _vdso(mappings: Mappings) -> int | None:
    """Where the vdso is: an exec puts it elsewhere, unless address randomisation is off."""
    paths = mappings.paths
    return mappings.starts[paths.index("[vdso]")] if "[vdso]" in paths else None


def gain(snapshot: Snapshot, mappings: Mappings, row: int, key: str) -> int | None:
    """By how much one mapping's usage ("Rss", "Pss", "Swap") exceeds what its memory had before.

    What is new has gained all of it. Of an old mapping in several pieces, each takes the share of
    the addresses from its own start to the next one's: an estimate. One piece alone takes all.
    None where either usage is unknown.
    """
    value = mappings.get(row, key)
    before = snapshot.mappings
    column = before.usage.get(key)
    if value is None or (column is None and len(before)):
        return None
    first = bisect_right(before.ends, mappings.starts[row])
    beyond = bisect_left(before.starts, mappings.ends[row], first)
    if beyond - first <= _FEW:
        return _gain(value, before, column, mappings, row, range(first, beyond))
    # One that swallowed thousands is asked for at every repaint.
    memo = snapshot.memo
    if memo.get("of") is not mappings:
        memo.clear()
        memo["of"] = mappings
    if (row, key) not in memo:
        memo[row, key] = _gain(value, before, column, mappings, row, range(first, beyond))
    return cast("int | None", memo[row, key])


def _gain(
    value: int,
    before: Mappings,
    column: array[int] | None,
    mappings: Mappings,
    row: int,
    olds: range,
) -> int | None:
    """`value` less what of it these old mappings had."""
    for old in olds:
        if _same_backing(before, old, mappings, row):
            if column is None or column[old] == UNKNOWN:
                return None
            value -= _share_of_row(column[old], before, old, mappings, row)
    return value


def gains(snapshot: Snapshot, mappings: Mappings, key: str) -> list[int | None]:
    """`gain` of every row, to sort by."""
    before = snapshot.mappings
    now, then = mappings.usage.get(key), before.usage.get(key)
    if now is None or (then is None and len(before)):
        return [None] * len(mappings)
    then = then or now[:0]
    if UNKNOWN not in now and UNKNOWN not in then and _same_layout(before, mappings):
        return list(map(operator.sub, now, then))
    found: list[int | None] = [None if value == UNKNOWN else value for value in now]
    olds, rows = same_memory(before, mappings)
    shares = [then[old] for old in olds]
    split = [at for at, (one, two) in enumerate(pairwise(olds)) if one == two]
    for old, places in groupby(split, olds.__getitem__):
        first, *others = places
        if then[old] == UNKNOWN:
            continue
        start, end = before.starts[old], before.ends[old]
        at = range(first, first + len(others) + 2)
        cuts = [start, *(mappings.starts[rows[place]] for place in at[1:]), end]
        for place, (low, high) in zip(at, pairwise(cuts), strict=True):
            shares[place] = _share(then[old], start, end, low, high)
    for row, share in zip(rows, shares, strict=True):
        value = found[row]
        if value is not None:
            found[row] = None if share == UNKNOWN else value - share
    return found


What = Literal[
    "new", "gone", "grown", "shrunk", "shifted", "re-protected", "filled", "emptied", "usage"
]
WHAT: Final[dict[What, str]] = {
    "new": "memory that was not mapped before",
    "gone": "memory that is no longer mapped",
    "grown": "more is mapped",
    "shrunk": "less is mapped",
    "shifted": "as much is mapped, at other addresses in part",
    "re-protected": "as much is mapped, with other permissions",
    "filled": "the same is mapped, more of it in memory",
    "emptied": "the same is mapped, less of it in memory",
    "usage": "the same is mapped and in memory; PSS or swap differ",
}


def most_changed(snapshot: Snapshot, mappings: Mappings, least_bytes: int) -> int | None:
    """The mapping whose RSS has changed most, by no less than that; else the largest new one."""
    found = [abs(each or 0) for each in gains(snapshot, mappings, "Rss")]
    most = max(range(len(found)), key=lambda row: found[row], default=None)
    if most is not None and found[most] >= least_bytes:
        return most
    known = set(snapshot.mappings.starts)
    sizes = {
        row: mappings.ends[row] - start
        for row, start in enumerate(mappings.starts)
        if start not in known
    }
    largest = max(sizes, key=lambda row: sizes[row], default=None)
    return largest if largest is not None and sizes[largest] >= least_bytes else None


@dataclass(frozen=True, slots=True)
class Sums:
    """How many, and bytes of each sum; None where no summand is known."""

    count: int
    size: int
    rss: int | None
    pss: int | None
    swap: int | None


class Side(NamedTuple):
    """One memory in one reading: the hull and the sums of its `pieces` mappings, in bytes.

    `perms`, `path` and `kind` are those of one piece: the one most re-protected, else the one that
    most is the same of.
    """

    start: int
    end: int
    pieces: int
    size: int
    rss: int | None
    pss: int | None
    swap: int | None
    perms: str
    path: str
    kind: Kind


class Change(NamedTuple):
    """One memory that is not as it was; `what` is the first of `WHAT` that is true of it.

    The mappings of both readings that are the same memory, directly or by way of another, are one
    memory. Unchanged is one whose addresses, permissions and usage are the same, however it is cut
    into mappings and called. `reprotected_bytes` were and are mapped, with other permissions.
    """

    what: What
    before: Side | None  # None: new
    after: Side | None  # None: gone
    reprotected_bytes: int

    @property
    def side(self) -> Side:
        """What is there now, or was before it went."""
        side = self.after or self.before
        assert side is not None
        return side

    def gain(self, field: Literal["size", "rss", "pss", "swap"]) -> int | None:
        """After less before in bytes, nothing where it is not mapped; None: one is unknown."""
        before = getattr(self.before, field) if self.before else 0
        after = getattr(self.after, field) if self.after else 0
        return None if before is None or after is None else after - before


class Difference(NamedTuple):
    """All changes in the order of addresses, and the sums over either reading's mappings."""

    changes: list[Change]
    before: Sums
    after: Sums

    @property
    def by_what(self) -> dict[What, Sums]:
        """How many changes of each sort that occurs, and what they add to the sums."""
        return {
            what: _sum_changes(found)
            for what in WHAT
            if (found := [change for change in self.changes if change.what == what])
        }

    @property
    def gain(self) -> Sums:
        """How many changes, and what they add to the sums."""
        return _sum_changes(self.changes)


def difference(before: Snapshot, after: Snapshot) -> Difference:
    """What is not the same in two readings of an address space."""
    old, new = before.mappings, after.mappings
    olds, rows = same_memory(old, new)
    gone = set(range(len(old))).difference(olds)
    added = set(range(len(new))).difference(rows)
    changes = [Change("gone", _side(before, [row], row), None, 0) for row in gone]
    changes += [Change("new", None, _side(after, [row], row), 0) for row in added]
    # Where all facts agree, addresses do, and so nothing else can be the same memory.
    facts_before, facts_after = _facts(old), _facts(new)
    pairs = [
        (old_row, row)
        for old_row, row in zip(olds, rows, strict=True)
        if facts_before[old_row] != facts_after[row]
    ]
    for linked in _linked(pairs):
        change = _change(before, after, linked)
        if change is not None:
            changes.append(change)
    changes.sort(key=lambda change: (change.side.start, change.what))
    return Difference(changes, _sum_mappings(old), _sum_mappings(new))


def _same_layout(old: Mappings, new: Mappings) -> bool:
    return old.same_layout(new) and old.devs == new.devs


def _same_backing(old: Mappings, old_row: int, new: Mappings, row: int) -> bool:
    inode = old.inodes[old_row]
    if inode != new.inodes[row]:
        return False
    # System V's first segment has the inode 0.
    if not inode:
        is_file = old.paths[old_row].startswith("/")
        if is_file != new.paths[row].startswith("/"):
            return False
        if not is_file:
            return True
    return (
        old.starts[old_row] - old.offsets[old_row] == new.starts[row] - new.offsets[row]
        and old.devs[old_row] == new.devs[row]
    )


def same_memory(old: Mappings, new: Mappings) -> tuple[list[int], list[int]]:
    """Rows, side by side, that are the same memory. Neither list ever goes down."""
    if _same_layout(old, new):
        return list(range(len(old))), list(range(len(new)))
    olds: list[int] = []
    rows: list[int] = []
    old_starts, old_ends = old.starts.tolist(), old.ends.tolist()
    starts, ends = new.starts.tolist(), new.ends.tolist()
    old_row = row = 0
    old_count, count = len(old_starts), len(starts)
    while old_row < old_count and row < count:
        old_end, end = old_ends[old_row], ends[row]
        if (
            old_end > starts[row]
            and end > old_starts[old_row]
            and _same_backing(old, old_row, new, row)
        ):
            olds.append(old_row)
            rows.append(row)
        if old_end <= end:
            old_row += 1
        if end <= old_end:
            row += 1
    return olds, rows


def _share(used: int, start: int, end: int, low: int, high: int) -> int:
    """[low, high)'s share of what [start, end) uses; the shares of all parts add up to it."""
    size = end - start
    return used * (high - start) // size - used * (low - start) // size


def _share_of_row(used: int, before: Mappings, old: int, mappings: Mappings, row: int) -> int:
    """What of an old mapping's usage counts for one of the mappings that it has become."""
    start, end = before.starts[old], before.ends[old]
    low, high = start, end
    other = row - 1
    while other >= 0 and mappings.ends[other] > start:
        if _same_backing(before, old, mappings, other):
            low = mappings.starts[row]
            break
        other -= 1
    other = row + 1
    while other < len(mappings) and mappings.starts[other] < end:
        if _same_backing(before, old, mappings, other):
            high = mappings.starts[other]
            break
        other += 1
    return _share(used, start, end, low, high)


def _facts(mappings: Mappings) -> list[tuple[object, ...]]:
    """What of each mapping makes a change."""
    unread = [UNKNOWN] * len(mappings)
    usage = [mappings.usage.get(key) or unread for key in KEPT_USAGE]
    return list(zip(mappings.starts, mappings.ends, mappings.perms, *usage, strict=True))


def _linked(pairs: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """The pairs of rows of each memory: in order of addresses, they share a row with the next."""
    linked: list[tuple[int, int]] = []
    for pair in pairs:
        if linked and pair[0] != linked[-1][0] and pair[1] != linked[-1][1]:
            yield linked
            linked = []
        linked.append(pair)
    if linked:
        yield linked


def _change(before: Snapshot, after: Snapshot, pairs: list[tuple[int, int]]) -> Change | None:
    """What happened to the memory of these pairs of rows; None: nothing."""
    old, new = before.mappings, after.mappings
    overlap = reprotected = 0
    most = (-1, -1)
    chosen = pairs[0]
    for pair in pairs:
        old_row, row = pair
        length = min(old.ends[old_row], new.ends[row]) - max(old.starts[old_row], new.starts[row])
        changed = length if old.perms[old_row] != new.perms[row] else 0
        overlap += length
        reprotected += changed
        if (changed, length) > most:
            most, chosen = (changed, length), pair
    was = _side(before, list(dict.fromkeys(row for row, _ in pairs)), chosen[0])
    now = _side(after, list(dict.fromkeys(row for _, row in pairs)), chosen[1])
    what = _what(was, now, overlap, reprotected)
    return None if what is None else Change(what, was, now, reprotected)


def _what(was: Side, now: Side, overlap: int, reprotected: int) -> What | None:
    if now.size != was.size:
        return "grown" if now.size > was.size else "shrunk"
    if overlap < now.size:
        return "shifted"
    if reprotected:
        return "re-protected"
    if was.rss is not None and now.rss is not None and was.rss != now.rss:
        return "filled" if now.rss > was.rss else "emptied"
    for one, other in ((was.pss, now.pss), (was.swap, now.swap)):
        if one is not None and other is not None and one != other:
            return "usage"
    return None


def _side(snapshot: Snapshot, rows: list[int], chosen: int) -> Side:
    mappings = snapshot.mappings
    rss, pss, swap = (_sum_rows(mappings, rows, key) for key in KEPT_USAGE)
    return Side(
        mappings.starts[rows[0]],
        mappings.ends[rows[-1]],
        len(rows),
        sum(mappings.ends[row] - mappings.starts[row] for row in rows),
        rss,
        pss,
        swap,
        mappings.perms[chosen],
        mappings.paths[chosen],
        KINDS[snapshot.kinds[chosen]],
    )


def _sum_rows(mappings: Mappings, rows: list[int], key: str) -> int | None:
    """Unknown where a single one is, or a change could be of what was not known before."""
    total = 0
    for row in rows:
        value = mappings.get(row, key)
        if value is None:
            return None
        total += value
    return total


def _sum_mappings(mappings: Mappings) -> Sums:
    size = sum(mappings.ends) - sum(mappings.starts)
    rss, pss, swap = (mappings.total(key) for key in KEPT_USAGE)
    return Sums(len(mappings), size, rss, pss, swap)


def _sum_changes(changes: list[Change]) -> Sums:
    def known(field: Literal["rss", "pss", "swap"]) -> int | None:
        gains = [gain for change in changes if (gain := change.gain(field)) is not None]
        return sum(gains) if gains else None

    size = sum(change.gain("size") or 0 for change in changes)
    return Sums(len(changes), size, known("rss"), known("pss"), known("swap"))
