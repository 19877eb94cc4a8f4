"""What grew and what changed, of generated maps: against an oracle that counts pages."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.maps import parse_maps
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.change import WHAT, Change, Side, Snapshot, difference, gain, gains
from tests.model.map.test_change import KEY, MIRRORED, PAGE


class Cell(NamedTuple):
    """What a page belongs to: a file (0: anonymous), at a distance, with permissions."""

    inode: int
    distance: int
    perms: str


class Row(NamedTuple):
    cells: dict[int, Cell]  # by page
    name: str
    usage: tuple[int, int, int] | None  # in KiB

    @property
    def first(self) -> int:
        return min(self.cells)


cells = st.one_of(
    st.none(),
    st.builds(Cell, st.just(0), st.just(0), st.sampled_from(["rw-p", "r--p", "---p"])),
    st.builds(Cell, st.sampled_from([7, 8]), st.sampled_from([0, 3]), st.sampled_from(["r--p"])),
)


@st.composite
def layouts(draw: st.DrawFn, always_known: bool = False) -> list[Row]:
    """Rows over forty pages, crowded enough that two layouts overlap in every way."""
    runs = draw(st.lists(st.tuples(cells, st.integers(1, 9)), max_size=12))
    rows: list[Row] = []
    page = 0x100
    figure = st.integers(0, 9)
    usages = st.tuples(figure, figure, figure)
    for cell, length in runs:
        if cell is not None:
            name = f"/{cell.inode}" if cell.inode else draw(st.sampled_from(["", "[heap]"]))
            usage = draw(usages if always_known else st.one_of(usages, usages, st.none()))
            rows.append(Row({page + at: cell for at in range(length)}, name, usage))
        page += length
    return rows


def read(rows: list[Row]) -> AddressMap:
    lines = []
    for cells_, name, usage in rows:
        first, cell = min(cells_), next(iter(cells_.values()))
        offset = (first + cell.distance) * PAGE if cell.inode else 0
        dev = "08:01" if cell.inode else "00:00"
        lines.append(
            f"{first * PAGE:08x}-{(first + len(cells_)) * PAGE:08x} {cell.perms} {offset:08x} "
            f"{dev} {cell.inode} {name}\nSize: {len(cells_) * 4} kB\n"
        )
        for key, value in zip(("Rss", "Pss", "Swap"), usage or (), strict=False):
            lines.append(f"{key}: {value} kB\n")
    return AddressMap(KEY, parse_maps("".join(lines).encode()))


def is_same(one: Cell, other: Cell) -> bool:
    return one[:2] == other[:2]


def linked(before: list[Row], after: list[Row]) -> set[tuple[int, int]]:
    """Rows that are the same memory, found page by page."""
    return {
        (old, new)
        for old, one in enumerate(before)
        for new, other in enumerate(after)
        for page in one.cells.keys() & other.cells.keys()
        if is_same(one.cells[page], other.cells[page])
    }


def components(before: list[Row], after: list[Row]) -> list[tuple[set[int], set[int]]]:
    """Old and new rows of each memory: merged until nothing merges any more."""
    found = [({old}, set[int]()) for old in range(len(before))]
    found += [(set[int](), {new}) for new in range(len(after))]
    for old, new in linked(before, after):
        (one,) = (part for part in found if old in part[0])
        (other,) = (part for part in found if new in part[1])
        if one is not other:
            found = [part for part in found if part is not one and part is not other]
            found.append((one[0] | other[0], one[1] | other[1]))
    return found


@given(layouts(), layouts())
def test_gains_are_those_of_an_oracle_that_counts_pages(
    before: list[Row], after: list[Row]
) -> None:
    snapshot, mappings = Snapshot.of(read(before), 0.0), read(after).mappings
    found = [gain(snapshot, mappings, row, "Rss") for row in range(len(after))]
    assert gains(snapshot, mappings, "Rss") == found
    if before and not snapshot.mappings.has_usage:
        assert found == [None] * len(after)
        return
    pairs = linked(before, after)
    for new, row in enumerate(after):
        olds = [old for old, other in pairs if other == new]
        if row.usage is None or any(before[old].usage is None for old in olds):
            assert found[new] is None
            continue
        expected = Fraction(row.usage[0])
        for old in olds:
            one = before[old]
            firsts = sorted(after[other].first for old_, other in pairs if old_ == old)
            # A page counts for the last piece that begins at or below it, else for the first.
            owners = [
                max((at for at in firsts if at <= page), default=firsts[0]) for page in one.cells
            ]
            assert one.usage
            expected -= Fraction(one.usage[0] * owners.count(row.first), len(one.cells))
        value = found[new]
        assert value is not None
        assert abs(value - expected * 1024) < max(1, len(olds))


@given(layouts(always_known=True), layouts(always_known=True))
def test_no_usage_is_lost_or_counted_twice(before: list[Row], after: list[Row]) -> None:
    snapshot, mappings = Snapshot.of(read(before), 0.0), read(after).mappings
    kept = {old for old, _ in linked(before, after)}
    for at, key in enumerate(("Rss", "Pss", "Swap")):
        gained = [value or 0 for value in gains(snapshot, mappings, key)]
        now = sum(row.usage[at] for row in after if row.usage)
        then = sum(row.usage[at] for old, row in enumerate(before) if old in kept and row.usage)
        assert sum(gained) == (now - then) * 1024


def side_of(rows: list[Row], chosen: set[int]) -> tuple[int | None, ...]:
    """Pieces, hull, size, RSS, PSS and swap of some rows."""
    parts = [rows[at] for at in sorted(chosen)]
    pages = [page for part in parts for page in part.cells]
    sums = [
        sum(part.usage[at] for part in parts if part.usage) * 1024
        if all(part.usage for part in parts)
        else None
        for at in range(3)
    ]
    return (len(parts), min(pages) * PAGE, (max(pages) + 1) * PAGE, len(pages) * PAGE, *sums)


def facts(side: Side | None) -> tuple[int | None, ...] | None:
    if side is None:
        return None
    return (side.pieces, side.start, side.end, side.size, side.rss, side.pss, side.swap)


@given(layouts(), layouts())
def test_changes_are_those_of_an_oracle_that_counts_pages(
    before: list[Row], after: list[Row]
) -> None:
    expected = []
    for olds, news in components(before, after):
        was = {page: cell for old in olds for page, cell in before[old].cells.items()}
        now = {page: cell for new in news for page, cell in after[new].cells.items()}
        one = side_of(before, olds) if olds else None
        other = side_of(after, news) if news else None
        known = [
            (left, right)
            for left, right in zip((one or ())[4:], (other or ())[4:], strict=False)
            if None not in (left, right)
        ]
        if was != now or any(left != right for left, right in known):
            both = was.keys() & now.keys()
            moved = sum(was[page].perms != now[page].perms for page in both) * PAGE
            expected.append((one, other, moved))
    found = difference(Snapshot.of(read(before), 0.0), Snapshot.of(read(after), 0.0)).changes
    reached = [(facts(it.before), facts(it.after), it.reprotected_bytes) for it in found]
    assert sorted(reached, key=repr) == sorted(expected, key=repr)
    starts = [change.side.start for change in found]
    assert starts == sorted(starts)
    for change in found:
        if change.before and change.after:
            assert (change.before.perms != change.after.perms) == bool(change.reprotected_bytes)
            assert change.what not in ("new", "gone")


@given(layouts(always_known=True), layouts(always_known=True))
def test_changes_add_up_to_the_difference_of_the_sums(before: list[Row], after: list[Row]) -> None:
    found = difference(Snapshot.of(read(before), 0.0), Snapshot.of(read(after), 0.0))
    for field in ("size", "rss", "pss", "swap"):
        total = (getattr(found.after, field) or 0) - (getattr(found.before, field) or 0)
        assert (getattr(found.gain, field) or 0) == total, field
        assert sum(getattr(sums, field) or 0 for sums in found.by_what.values()) == total, field
    assert sum(sums.count for sums in found.by_what.values()) == len(found.changes)
    assert [*found.by_what] == [what for what in WHAT if what in found.by_what]
    assert (found.before.count, found.after.count) == (len(before), len(after))


@given(layouts(), layouts())
def test_a_difference_is_the_mirror_of_the_one_the_other_way(
    before: list[Row], after: list[Row]
) -> None:
    one, other = Snapshot.of(read(before), 0.0), Snapshot.of(read(after), 0.0)
    forth, back = difference(one, other), difference(other, one)
    mirrored = [
        Change(MIRRORED[change.what], change.after, change.before, change.reprotected_bytes)
        for change in back.changes
    ]
    assert sorted(forth.changes, key=repr) == sorted(mirrored, key=repr)
    assert (forth.before, forth.after) == (back.after, back.before)
    assert difference(one, one).changes == []
    assert difference(one, Snapshot.of(read(before), 0.0)).changes == []
