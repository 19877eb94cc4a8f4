"""Is free memory in large enough pieces? By hand, by the kernel's own index, and made worse."""

from __future__ import annotations

import mmap
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.buddy import FreeBlocks, parse_buddyinfo, parse_pagetypeinfo
from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.zones import Zone, parse_zoneinfo
from memtui.model.system.fragmentation import (
    block_order,
    can_hand_out,
    free_pages,
    machine_blocks,
    migrate_types,
    order_shares_pct,
    unusable_free_pct,
)
from tests.conftest import HOSTS, open_host
from tests.oracles import until_alike

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PAGE = 4 * KIB
COUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=14).map(tuple)
WITH_BUDDYINFO = [name for name in HOSTS if name != "container"]


def blocks(name: str) -> list[FreeBlocks]:
    found = open_host(name).parsed("proc/buddyinfo", parse_buddyinfo)
    assert not isinstance(found, Gap)
    return found


def zoneinfo(name: str) -> list[Zone]:
    found = open_host(name).parsed("proc/zoneinfo", parse_zoneinfo)
    assert not isinstance(found, Gap)
    return found


def normal(*counts: int, zone: str = "Normal", node: int = 0) -> FreeBlocks:
    return FreeBlocks(node, zone, counts)


def with_marks(free: int, low_mark: int, reserve: int = 0, **fields: int) -> Zone:
    return Zone(0, "Normal", {"free": free, "min": low_mark, **fields}, {}, [0, reserve])


def test_unusable_by_hand() -> None:
    """8 pages: 2 singles, a pair, and a block of four."""
    assert unusable_free_pct(normal(2, 1, 1)) == (0, 25, 50)
    assert order_shares_pct(normal(2, 1, 1)) == (25, 25, 50)


def test_nothing_free_is_all_unusable_and_no_heat() -> None:
    assert unusable_free_pct(normal(0, 0)) == (100, 100)
    assert order_shares_pct(normal(0, 0)) == (0, 0)


def test_what_the_kernel_stopped_counting_is_unknown() -> None:
    row = FreeBlocks(0, "Normal", (100_000, 3), frozenset((0,)))
    assert unusable_free_pct(row) == order_shares_pct(row) == (None, None)
    assert machine_blocks([row, normal(1, 1)]).overflows == {0}


@given(COUNTS)
def test_unusable_is_what_lower_orders_hold(counts: tuple[int, ...]) -> None:
    unusable, shares = unusable_free_pct(normal(*counts)), order_shares_pct(normal(*counts))
    if not free_pages(counts):
        return
    assert unusable[0] == 0
    below = 0.0
    for order, pct in enumerate(unusable):
        assert pct == pytest.approx(below, abs=1e-6)
        below += shares[order] or 0
    assert below == pytest.approx(100)


@given(st.lists(COUNTS, max_size=4))
def test_the_machine_is_the_sum_of_its_zones(rows: list[tuple[int, ...]]) -> None:
    every = machine_blocks([normal(*counts) for counts in rows])
    assert free_pages(every.counts) == sum(map(free_pages, rows))
    assert len(every.counts) == max(map(len, rows), default=0)


@pytest.mark.parametrize(
    ("size", "page", "order"),
    [
        (2 * MIB, 4 * KIB, 9),
        (512 * MIB, 64 * KIB, 13),
        (16 * MIB, 64 * KIB, 8),
        (GIB, 4 * KIB, 18),
        (4 * KIB, 4 * KIB, 0),
        (4 * KIB, 64 * KIB, None),
        (3 * MIB, 4 * KIB, None),
        (0, 4 * KIB, None),
        (2 * MIB, 0, None),
    ],
)
def test_the_order_of_a_huge_page(size: int, page: int, order: int | None) -> None:
    assert block_order(size, page) == order


# An order of 1 is a huge page here: 8 KiB of 4 KiB pages.


def test_higher_orders_serve_too() -> None:
    fit = can_hand_out([normal(5, 1, 2)], [], 2 * PAGE, PAGE)
    assert (fit.can, fit.order, fit.blocks, fit.pieces) == (True, 1, 3, 5)
    assert fit.sentence == (
        "8.0 KiB can be handed out now: 3 free blocks of at least that size in Normal, "
        "5 such pages in all."
    )


def test_only_small_blocks_are_fragmentation() -> None:
    fit = can_hand_out([normal(500, 0, 0)], [], 2 * PAGE, PAGE)
    assert (fit.can, fit.blocks) == (False, 0)
    assert "2.0 MiB is free, but in blocks of at most 4.0 KiB" in fit.sentence


def test_nothing_free_is_said() -> None:
    fit = can_hand_out([normal(0, 0, 0)], [], 2 * PAGE, PAGE)
    assert fit.can is False
    assert fit.sentence.endswith("nothing is free in Normal.")


@pytest.mark.parametrize(
    ("zone", "can"),
    [
        (with_marks(free=102, low_mark=100), True),
        # As __zone_watermark_ok counts: the last page of the block is not taken off.
        (with_marks(free=101, low_mark=100), False),
        (with_marks(free=150, low_mark=100, reserve=50), False),
        (with_marks(free=152, low_mark=100, reserve=50), True),
        (with_marks(free=110, low_mark=100, free_highatomic=20), False),
        (Zone(0, "Normal", {"free": 1}), True),
    ],
)
def test_the_watermark_is_kept(zone: Zone, can: bool) -> None:
    fit = can_hand_out([normal(0, 4, 0)], [zone], 2 * PAGE, PAGE)
    assert fit.can is can
    assert fit.blocks == 4
    assert can or "would fall below the min watermark" in fit.sentence


def test_dma_alone_does_not_count() -> None:
    dma, small = normal(0, 9, zone="DMA"), normal(7, 0)
    fit = can_hand_out([dma, small], [], 2 * PAGE, PAGE)
    assert (fit.can, fit.blocks) == (False, 0)
    assert [zone.blocks for zone in fit.zones] == [9, 0]
    # On a machine whose memory is all in it, it does.
    assert can_hand_out([dma], [], 2 * PAGE, PAGE).can is True
    assert can_hand_out([normal(0, 9, zone="Device")], [], 2 * PAGE, PAGE).can is None


def test_no_block_is_that_large() -> None:
    fit = can_hand_out([normal(*[1] * 11)], [], GIB, PAGE)
    assert (fit.can, fit.order) == (False, 18)
    assert "largest block is 4.0 MiB" in fit.sentence
    assert can_hand_out([normal(1)], [], 3 * PAGE, PAGE).can is None
    assert can_hand_out([], [], 2 * PAGE, PAGE).can is None


@pytest.mark.parametrize("name", WITH_BUDDYINFO)
def test_every_host_has_an_answer(name: str) -> None:
    size, page = (512 * MIB, 64 * KIB) if name == "arm64-64k" else (2 * MIB, 4 * KIB)
    fit = can_hand_out(blocks(name), zoneinfo(name), size, page)
    assert fit.sentence.endswith(".")
    assert fit.can is (None if name == "hostile" else True)


def test_a_node_in_small_pieces() -> None:
    """Normal of node 2 has 40 MiB free and no block of more than 16 KiB."""
    own = [row for row in blocks("numa") if row.node == 2]
    fit = can_hand_out(own, zoneinfo("numa"), 2 * MIB, PAGE)
    assert fit.can is False
    assert "in blocks of at most 512 KiB" in fit.sentence
    everything = can_hand_out(blocks("numa"), zoneinfo("numa"), 2 * MIB, PAGE)
    assert everything.sentence == (
        "2.0 MiB can be handed out now: 13 free blocks of at least that size in DMA32, "
        "24 such pages in all."
    )


def test_migrate_types_of_several_nodes() -> None:
    types = open_host("numa").parsed("proc/pagetypeinfo", parse_pagetypeinfo)
    assert not isinstance(types, Gap)
    sums = {row.migrate_type: row for row in migrate_types(types, PAGE)}
    assert list(sums) == ["Unmovable", "Movable", "Reclaimable", "HighAtomic", "Isolate"]
    assert sum(row.share_pct or 0 for row in sums.values()) == pytest.approx(100)
    assert sums["Unmovable"].blocks == 1 + 164 + 112 + 96
    assert sums["Unmovable"].size_bytes == (1 + 164 + 112 + 96) * 2 * MIB
    assert [name for name, row in sums.items() if row.is_at_least] == ["Movable"]
    assert all(row.mixed_blocks is None for row in sums.values())
    free = sum(free_pages(row.counts) for row in blocks("numa")) * PAGE
    counted = sum(row.free_bytes for row in sums.values())
    assert free - 20_000 * PAGE < counted < free


def test_the_kernels_own_index(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("mounting debugfs needs root")
    point = str(tmp_path)
    if subprocess.run(["mount", "-t", "debugfs", "none", point], capture_output=True).returncode:
        pytest.skip("debugfs cannot be mounted here")
    try:
        index = tmp_path / "extfrag/unusable_index"
        if not index.exists():
            pytest.skip("a kernel without compaction")
        until_alike(lambda: index_agrees(index))
    finally:
        # Lazily: somebody who looks at all mounts may be in it.
        subprocess.run(["umount", "--lazy", point], check=True)


def index_agrees(index: Path) -> None:
    """Of the zones that held still, of which there is one in use at any moment."""
    rows = LiveFiles().parsed("proc/buddyinfo", parse_buddyinfo)
    lines = index.read_text().splitlines()
    after = LiveFiles().parsed("proc/buddyinfo", parse_buddyinfo)
    assert isinstance(rows, list) and isinstance(after, list)
    # Equal before and after may still have moved and come back.
    still = [(row, line) for row, line, last in zip(rows, lines, after, strict=True) if row == last]
    assert any(free_pages(row.counts) for row, _ in still)
    for row, line in still:
        words = line.replace(",", "").split()
        assert words[:4] == ["Node", str(row.node), "zone", row.zone]
        # In thousandths there, cut off.
        kernels = [100 * float(word) for word in words[4:]]
        ours = unusable_free_pct(row)
        assert len(ours) == len(kernels)
        for own, other in zip(ours, kernels, strict=True):
            assert own is not None and other - 1e-6 <= own <= other + 0.1 + 1e-6


@pytest.fixture
def short_lists() -> Iterator[None]:
    """Each CPU gives freed pages back at once, instead of keeping up to an eighth of a zone for as
    long as it is idle."""
    setting = Path("/proc/sys/vm/percpu_pagelist_high_fraction")
    try:
        before = setting.read_text()
        setting.write_text("10000")
    except OSError:
        pytest.skip("needs root and Linux 5.14, to keep CPUs from holding freed pages back")
    yield
    setting.write_text(before)


@pytest.mark.xdist_group("machine")
@pytest.mark.usefixtures("short_lists")
def test_every_other_page_freed_is_fragmentation() -> None:
    """Memory freed page by page, each between two used ones, is free and in no larger block."""
    meminfo = LiveFiles().parsed("proc/meminfo", parse_meminfo)
    if isinstance(meminfo, Gap) or meminfo["MemAvailable"] < GIB:
        pytest.skip("less than 1 GiB available")
    until_alike(freed_pages_are_fragments)


def freed_pages_are_fragments() -> None:
    """Others take and give back some meanwhile, at times as much."""
    page, size = mmap.PAGESIZE, 512 * MIB
    freed = size // page // 2

    def now() -> FreeBlocks:
        rows = LiveFiles().parsed("proc/buddyinfo", parse_buddyinfo)
        assert isinstance(rows, list)
        return machine_blocks(rows)

    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for offset in range(0, size, page):
            memory[offset] = 1
        filled = now()
        for offset in range(0, size, 2 * page):
            memory.madvise(mmap.MADV_DONTNEED, offset, page)
        holed = now()
    came_back = free_pages(holed.counts) - free_pages(filled.counts)
    assert came_back > freed // 8
    assert holed.counts[0] - filled.counts[0] > came_back // 2
    before, after = unusable_free_pct(filled), unusable_free_pct(holed)
    expected = 100 * came_back / free_pages(holed.counts)
    for order in range(1, 6):
        first, last = before[order], after[order]
        assert first is not None and last is not None and last > first + expected / 4
