"""Neighbours that one allocator made alike are one row, until it is opened."""

from __future__ import annotations

from memtui.kernel.maps import parse_maps
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.folds import folded, folds

FIRST = 0x9C00000000


def node(pages: int, between: str = "", program: str = "/usr/bin/node") -> AddressMap:
    """Pages of V8 with holes between them; after half of them `between`."""
    lines = [f"400000-401000 r-xp 0 08:01 9 {program}"]
    for number in range(pages):
        start = FIRST + number * (1 << 20)
        if between and number == pages // 2:
            lines.append(f"{start - 4096:x}-{start:x} {between}")
        lines.append(f"{start:x}-{start + 0x40000:x} rw-p 0 00:00 0")
    lines.append("7ff000000000-7ff000021000 rw-p 0 00:00 0 [stack]")
    return AddressMap(ProcessKey(1, 1), parse_maps("\n".join(lines).encode()))


def test_alike_neighbours_are_one_run() -> None:
    map_ = node(10)
    found = folds(map_)
    assert found == {1: 11}
    assert folded(map_, found) == [0, 1, 11]


def test_what_lies_between_parts_them() -> None:
    map_ = node(10, "---p 0 00:00 0")
    found = folds(map_)
    assert found == {1: 6, 7: 12}
    assert folded(map_, found) == [0, 1, 6, 7, 12]


def test_few_are_not_folded_nor_plain_anonymous_memory() -> None:
    assert folds(node(3)) == {}
    assert folds(node(10, program="/usr/bin/other")) == {}
    assert folded(node(3), {}) == list(range(5))


def test_what_was_opened_stays_open() -> None:
    map_ = node(10, "---p 0 00:00 0")
    assert folds(map_, {FIRST}) == {7: 12}
