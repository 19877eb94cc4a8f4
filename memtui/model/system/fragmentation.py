"""Is free memory in pieces that are large enough?

Free memory is kept in blocks of 2^order pages. Memory may be free and still no block be large
enough for a request: that is external fragmentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from memtui import units
from memtui.kernel.buddy import FreeBlocks, PageTypes
from memtui.kernel.zones import Zone
from memtui.model.system.zones import reserve_pages

# Kept for old devices, and memory of devices themselves: neither is there for huge pages.
_SMALL_ZONE = "DMA"
_DEVICE_ZONE = "Device"


class ZoneFit(NamedTuple):
    """One zone asked for a block: `blocks` are large enough and hold `pieces` of the size.

    `is_above_mark`: what stays free is above the min watermark and the reserve; None where zoneinfo
    does not tell. `counts`: whether the zone counts towards the machine's answer.
    """

    node: int
    zone: str
    blocks: int
    pieces: int
    is_above_mark: bool | None
    counts: bool

    @property
    def fits(self) -> bool:
        return self.counts and self.blocks > 0 and self.is_above_mark is not False


class Fit(NamedTuple):
    """Whether the kernel can hand out a block of `size_bytes` now, without making room for it.

    `blocks`, `pieces` are of the zones that count. `order` is None, and `can` too, where the size
    is no block at all.
    """

    size_bytes: int
    order: int | None
    can: bool | None
    blocks: int
    pieces: int
    zones: tuple[ZoneFit, ...]
    sentence: str


class TypeSum(NamedTuple):
    """A migrate type's page blocks on the whole machine, and the memory free on its lists.

    `mixed_blocks` also hold pages of another type: None without page_owner. `is_at_least`: the
    kernel stopped counting the free ones.
    """

    migrate_type: str
    blocks: int
    size_bytes: int | None
    share_pct: float | None
    free_bytes: int
    is_at_least: bool
    mixed_blocks: int | None


def free_pages(counts: Sequence[int]) -> int:
    """Pages in blocks of all orders."""
    return sum(count << order for order, count in enumerate(counts))


def suitable_pages(counts: Sequence[int], order: int) -> int:
    """Pages in blocks of at least that order."""
    return sum(count << at for at, count in enumerate(counts) if at >= order)


def unusable_free_pct(zone: FreeBlocks) -> tuple[float | None, ...]:
    """By order, the share of free memory in blocks too small for it: 0 at order 0, 100 for none.

    As mm/vmstat.c has it for extfrag/unusable_index, in per mille there: without free memory all of
    it is unusable. None where the kernel stopped counting.
    """
    if zone.overflows:
        return (None,) * len(zone.counts)
    free = free_pages(zone.counts)
    if not free:
        return (100.0,) * len(zone.counts)
    return tuple(
        100 * (free - suitable_pages(zone.counts, order)) / free
        for order in range(len(zone.counts))
    )


def machine_blocks(zones: Iterable[FreeBlocks]) -> FreeBlocks:
    """All zones together, as node -1 and zone "all"."""
    rows = list(zones)
    sums = (sum(counts) for counts in zip_longest(*(row.counts for row in rows), fillvalue=0))
    overflows = frozenset[int]().union(*(row.overflows for row in rows))
    return FreeBlocks(-1, "all", tuple(sums), overflows)


def order_shares_pct(zone: FreeBlocks) -> tuple[float | None, ...]:
    """By order, the share of the zone's free memory in blocks of it: the heat of a heat map.

    They sum to 100; 0 throughout where nothing is free, None where the kernel stopped counting.
    """
    if zone.overflows:
        return (None,) * len(zone.counts)
    free = free_pages(zone.counts)
    return tuple(
        100 * (count << order) / free if free else 0.0 for order, count in enumerate(zone.counts)
    )


def block_order(size_bytes: int, page_bytes: int) -> int | None:
    """The order of a block of that size; None where it is no power of two of pages."""
    pages, rest = divmod(size_bytes, page_bytes) if page_bytes > 0 else (0, 0)
    if rest or pages <= 0 or pages & (pages - 1):
        return None
    return pages.bit_length() - 1


def can_hand_out(
    zones: Sequence[FreeBlocks], zoneinfo: Iterable[Zone], size_bytes: int, page_bytes: int
) -> Fit:
    """Whether a block of `size_bytes`, mostly a huge page, is to be had at once, and in words.

    A zone can give one if it has a block of that order or a higher one, and stays above its min
    watermark and reserve (mm/page_alloc.c: __zone_watermark_ok). DMA counts only where there is no
    other zone, Device never. `zoneinfo` may be empty: then blocks alone decide.
    """
    size = units.size(size_bytes)
    order = block_order(size_bytes, page_bytes)
    if order is None:
        return Fit(size_bytes, None, None, 0, 0, (), f"{size} is no block of pages.")
    known = {(zone.node, zone.zone): zone for zone in zoneinfo}
    has_other = any(zone.zone not in (_SMALL_ZONE, _DEVICE_ZONE) for zone in zones)
    fits = tuple(_zone_fit(zone, known, order, has_other) for zone in zones)
    counting = [fit for fit in fits if fit.counts]
    blocks, pieces = sum(fit.blocks for fit in counting), sum(fit.pieces for fit in counting)
    can = any(fit.fits for fit in counting) if counting else None
    sentence = _sentence(zones, counting, size, order, page_bytes)
    return Fit(size_bytes, order, can, blocks, pieces, fits, sentence)


def _zone_fit(
    zone: FreeBlocks, known: Mapping[tuple[int, str], Zone], order: int, has_other: bool
) -> ZoneFit:
    info = known.get((zone.node, zone.zone))
    free, min_mark = (
        (None, None) if info is None else (info.fields.get("free"), info.fields.get("min"))
    )
    is_above = None
    if info is not None and free is not None and min_mark is not None:
        # Emergency blocks of the kernel's own (since 6.12) are for nobody else.
        left = free - info.fields.get("free_highatomic", 0) - (1 << order) + 1
        is_above = left > min_mark + reserve_pages(info)
    counts = zone.zone != _DEVICE_ZONE and (zone.zone != _SMALL_ZONE or not has_other)
    blocks = sum(zone.counts[order:])
    pieces = suitable_pages(zone.counts, order) >> order
    return ZoneFit(zone.node, zone.zone, blocks, pieces, is_above, counts)


def _sentence(
    zones: Sequence[FreeBlocks],
    counting: Sequence[ZoneFit],
    size: str,
    order: int,
    page_bytes: int,
) -> str:
    if not counting:
        return f"Whether {size} can be handed out is not known: no zone tells of its blocks."
    longest = max(len(zone.counts) for zone in zones)
    if order >= longest:
        largest = units.size(page_bytes << (longest - 1))
        return (
            f"{size} cannot be handed out: the allocator's largest block is {largest}; such pages "
            "are set aside at boot or gathered by moving others."
        )
    giving = [fit for fit in counting if fit.fits]
    if giving:
        pieces = sum(fit.pieces for fit in giving)
        blocks = sum(fit.blocks for fit in giving)
        return (
            f"{size} can be handed out now: {_of(blocks, 'free block')} of at least that size in "
            f"{_names(giving)}, {_of(pieces, 'such page')} in all."
        )
    large = [fit for fit in counting if fit.blocks]
    if large:
        blocks = sum(fit.blocks for fit in large)
        return (
            f"{size} cannot be handed out now: {_of(blocks, 'free block')} of at least that size, "
            f"but {_names(large)} would fall below the min watermark or its reserve."
        )
    names = {(fit.node, fit.zone) for fit in counting}
    counted = [zone for zone in zones if (zone.node, zone.zone) in names]
    free = sum(free_pages(zone.counts) for zone in counted) * page_bytes
    top = max((at for zone in counted for at, count in enumerate(zone.counts) if count), default=-1)
    if top < 0:
        return f"{size} cannot be handed out now: nothing is free in {_names(counting)}."
    return (
        f"{size} cannot be handed out now: {units.size(free)} is free, but in blocks of at most "
        f"{units.size(page_bytes << top)}; compaction would have to move pages."
    )


def _of(number: int, noun: str) -> str:
    return f"{units.count(number)} {noun}{'' if number == 1 else 's'}"


def _names(fits: Sequence[ZoneFit]) -> str:
    """Zones by name, with the node where there are several."""
    several = len({fit.node for fit in fits}) > 1
    names = [
        units.printable(fit.zone) + (f" of node {fit.node}" if several else "") for fit in fits
    ]
    return ", ".join(names[:-1]) + (" and " if names[1:] else "") + names[-1]


def migrate_types(types: PageTypes, page_bytes: int) -> list[TypeSum]:
    """Every migrate type of the machine, in the kernel's order."""
    order: dict[str, None] = dict.fromkeys(
        [name for row in types.blocks for name in row.blocks]
        + [row.migrate_type for row in types.free]
    )
    every = sum(sum(row.blocks.values()) for row in types.blocks)
    block_bytes = None if types.pages_per_block is None else types.pages_per_block * page_bytes
    sums = []
    for name in order:
        blocks = sum(row.blocks.get(name, 0) for row in types.blocks)
        free = [row for row in types.free if row.migrate_type == name]
        sums.append(
            TypeSum(
                name,
                blocks,
                None if block_bytes is None else blocks * block_bytes,
                100 * blocks / every if every else None,
                sum(free_pages(row.counts) for row in free) * page_bytes,
                any(row.overflows for row in free),
                sum(row.blocks.get(name, 0) for row in types.mixed) if types.mixed else None,
            )
        )
    return sums
