"""Free blocks by order, of all and by migrate type."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.buddy import (
    BlockTypes,
    FreeBlocks,
    TypedBlocks,
    parse_buddyinfo,
    parse_pagetypeinfo,
)
from memtui.kernel.files import Gap, Malformed
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.zones import parse_zoneinfo
from memtui.model.system.fragmentation import free_pages
from tests.conftest import HOSTS, open_host
from tests.oracles import until_alike

# Captured with pages on their way between the readings; and one that tells impossible things.
AGREEING = [name for name in HOSTS if name not in ("container", "hostile")]
TYPED = b"""Page block order: 9
Pages per block:  512

Free pages count per migrate type at order       0      1      2
Node    0, zone   Normal, type    Unmovable      4      0      1
Node    0, zone   Normal, type      Movable >100000     2      0

Number of blocks type     Unmovable      Movable
Node 0, zone   Normal            3          500
"""


def blocks(name: str) -> list[FreeBlocks]:
    found = open_host(name).parsed("proc/buddyinfo", parse_buddyinfo)
    assert not isinstance(found, Gap)
    return found


def test_counts_are_as_many_as_the_kernel_gives() -> None:
    assert len(blocks("numa")[0].counts) == 11
    assert len(blocks("arm64-64k")[0].counts) == 14
    assert [(row.node, row.zone) for row in blocks("numa")] == [
        *((0, "DMA"), (0, "DMA32"), (0, "Normal"), (2, "Normal"), (2, "Movable"))
    ]
    assert blocks("linux-2.6.18-vendor")[2] == FreeBlocks(
        0, "HighMem", (41, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    )


def test_a_count_that_was_given_up_is_marked() -> None:
    assert blocks("hostile") == [FreeBlocks(0, "Device", (100_000, 0, 1), frozenset((0,)))]


@pytest.mark.parametrize("name", AGREEING)
def test_free_blocks_sum_to_the_zones_free_pages(name: str) -> None:
    zones = open_host(name).parsed("proc/zoneinfo", parse_zoneinfo)
    assert not isinstance(zones, Gap)
    free = {(zone.node, zone.zone): zone.fields["free"] for zone in zones}
    for row in blocks(name):
        slack = 64 if name.startswith(("debian", "leaking")) else 0
        assert abs(free_pages(row.counts) - free.pop((row.node, row.zone))) <= slack
    assert not any(free.values())


def test_free_blocks_sum_to_the_zones_free_pages_here() -> None:
    """Between two readings of zoneinfo, whose counters lag by up to 125 pages a CPU."""
    until_alike(free_blocks_agree)


def free_blocks_agree() -> None:
    slack = 125 * (os.cpu_count() or 1)
    before, rows, after = (
        LiveFiles().parsed("proc/zoneinfo", parse_zoneinfo),
        LiveFiles().parsed("proc/buddyinfo", parse_buddyinfo),
        LiveFiles().parsed("proc/zoneinfo", parse_zoneinfo),
    )
    assert isinstance(before, list) and isinstance(rows, list) and isinstance(after, list)
    by_zone = {(row.node, row.zone): free_pages(row.counts) for row in rows}
    for first, last in zip(before, after, strict=True):
        low, high = sorted((first.fields["free"], last.fields["free"]))
        own = by_zone.get((first.node, first.zone), 0)
        assert low - slack <= own <= high + slack, (first.node, first.zone)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"Node 0, zone Normal\n",
        b"Node 0, zone Normal 1 x 3\n",
        b"Node 0, zone Normal 1 -2\n",
        b"Node 0, zone Normal, type Movable 1 2\n",
        b"Node 0, zone Normal " + b"9" * 5000,
    ],
)
def test_buddyinfo_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_buddyinfo(data)


def test_page_types() -> None:
    types = parse_pagetypeinfo(TYPED)
    assert types.block_order == 9 and types.pages_per_block == 512
    assert types.free == (
        TypedBlocks(0, "Normal", "Unmovable", (4, 0, 1)),
        TypedBlocks(0, "Normal", "Movable", (100_000, 2, 0), frozenset((0,))),
    )
    assert types.blocks == (BlockTypes(0, "Normal", {"Unmovable": 3, "Movable": 500}),)
    assert types.mixed == ()


def test_mixed_blocks_are_told_apart() -> None:
    """With page_owner=on there is a third table, of the same shape as the second."""
    mixed = b"\nNumber of mixed blocks    Unmovable      Movable\nNode 0, zone Normal  1  7\n"
    types = parse_pagetypeinfo(TYPED + mixed)
    assert types.mixed == (BlockTypes(0, "Normal", {"Unmovable": 1, "Movable": 7}),)
    assert types.blocks[0].blocks["Movable"] == 500


def test_several_nodes_repeat_the_whole_file() -> None:
    types = open_host("numa").parsed("proc/pagetypeinfo", parse_pagetypeinfo)
    assert not isinstance(types, Gap)
    assert {row.node for row in types.free} == {row.node for row in types.blocks} == {0, 2}
    assert [row.migrate_type for row in types.free if row.overflows] == ["Movable"]


@pytest.mark.parametrize("name", ["numa", "debian-6.18"])
def test_types_sum_to_buddyinfo(name: str) -> None:
    types = open_host(name).parsed("proc/pagetypeinfo", parse_pagetypeinfo)
    assert not isinstance(types, Gap)
    for zone in blocks(name):
        own = [row for row in types.free if (row.node, row.zone) == (zone.node, zone.zone)]
        assert own
        for order, count in enumerate(zone.counts):
            total = sum(row.counts[order] for row in own)
            if any(order in row.overflows for row in own):
                assert total < count
            elif name == "numa":
                assert total == count


def test_page_types_here() -> None:
    types = LiveFiles().parsed("proc/pagetypeinfo", parse_pagetypeinfo)
    if isinstance(types, Gap):
        pytest.skip(str(types))
    assert types.block_order is not None
    assert types.pages_per_block == 1 << types.block_order
    assert {"Unmovable", "Movable"} <= {row.migrate_type for row in types.free}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Page block order: 9\n",
        b"Page block order: nine\n" + TYPED,
        b"Node 0, zone Normal 1 2\n",
        TYPED + b"Node 0, zone Normal 1 2 3\n",
        TYPED + b"Node 0, zone Normal, type Movable 1 2\n",
        TYPED + b"something else\n",
    ],
)
def test_pagetypeinfo_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_pagetypeinfo(data)


@given(st.binary(), st.sampled_from((b"", b"Node 0, zone Normal 1 2", TYPED)))
def test_any_bytes_give_a_value_or_malformed(data: bytes, prefix: bytes) -> None:
    for parse in (parse_buddyinfo, parse_pagetypeinfo):
        try:
            assert parse(prefix + data)
        except Malformed as error:
            assert str(error)


@given(st.lists(st.sampled_from(TYPED.splitlines()), max_size=12), st.binary(max_size=8))
def test_lines_in_any_order_give_a_value_or_malformed(lines: list[bytes], odd: bytes) -> None:
    try:
        assert parse_pagetypeinfo(b"\n".join(lines) + odd)
    except Malformed as error:
        assert str(error)
