"""Fragmentation: free blocks by zone and order as a heat map, and whether they are large enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.style import Style

from memtui import units
from memtui.kernel.buddy import FreeBlocks
from memtui.kernel.files import Gap
from memtui.model.system.fragmentation import (
    Fit,
    block_order,
    can_hand_out,
    free_pages,
    machine_blocks,
    order_shares_pct,
    suitable_pages,
    unusable_free_pct,
)
from memtui.tui import theme
from memtui.tui.pages.base import (
    BRIGHT,
    DIM,
    UNKNOWN,
    UNREAD,
    WARN,
    Arrangement,
    Facts,
    Item,
    Section,
    SectionPage,
    Summary,
    only_words,
    page_of,
    plain,
    rate,
    why,
)
from memtui.tui.pages.zones import zone_name
from memtui.tui.words.cells import Column, Line, Part

_HUGE_BYTES: Final = 2 << 20
_HEAT: Final = "#c2703d"
_ROOMY_CELLS: Final = 70


def _blocks(facts: Facts) -> Sequence[FreeBlocks]:
    blocks = facts.system.free_blocks
    return () if blocks is None or isinstance(blocks, Gap) else blocks


def huge_fit(facts: Facts) -> Fit:
    """Whether a huge page can be had: of the default size, if the allocator has such blocks."""
    blocks, zones = _blocks(facts), facts.system.zones
    size = facts.meminfo.get("Hugepagesize", _HUGE_BYTES)
    order = block_order(size, facts.page_bytes)
    if order is None or order >= max((len(zone.counts) for zone in blocks), default=0):
        size = _HUGE_BYTES  # the default may be of 1 GiB
    known = () if zones is None or isinstance(zones, Gap) else zones
    return can_hand_out(blocks, known, size, facts.page_bytes)


def _summary(facts: Facts) -> Summary:
    if facts.system.free_blocks is None:
        return UNREAD
    fit = huge_fit(facts)
    if fit.can is None:
        return UNKNOWN
    size = units.size(fit.size_bytes).replace(".0 ", " ")
    if not fit.can:
        return Summary((f"{size}: no", WARN), (f"{size}: none to be had", WARN))
    pages = "1 page" if fit.pieces == 1 else f"{units.count(fit.pieces)} pages"
    return plain(f"{size}: yes", f"{size}: yes, {pages}")


def _page(facts: Facts, width: int, _arrangement: Arrangement) -> SectionPage:
    blocks = facts.system.free_blocks
    if blocks is None or isinstance(blocks, Gap):
        return only_words(why(blocks, "the free blocks"))
    several = len({zone.node for zone in blocks}) > 1
    rows = [*blocks, machine_blocks(blocks)] if len(blocks) > 1 else list(blocks)
    orders = max(len(zone.counts) for zone in rows)
    # Six cells hold `Normal` and `unus %`; what is left is the orders'.
    name = (6 if width < _ROOMY_CELLS else 8) + 2 * several
    cells = max(3, min(6, (width - 1 - name) // orders - 1))
    items: list[Item] = []
    for zone in rows:
        items += _items(zone, cells, facts.page_bytes, several=several)
    columns = [Column("zone", "ZONE", name, "<")]
    columns += [
        # The smallest and the largest tell most.
        Column(str(order), _size(facts.page_bytes << order, cells), cells, ">", _priority(order))
        for order in range(orders)
    ]
    return page_of(columns, items, _head(facts, width))


def _priority(order: int) -> int:
    return 0 if order == 0 else max(0, 20 - order)


def _head(facts: Facts, width: int) -> list[str | Line]:
    head: list[str | Line] = [huge_fit(facts).sentence]
    figures = [
        ("stalls", "compact_stall"),
        ("made", "compact_success"),
        ("failed", "compact_fail"),
        ("moved", "compact_isolated"),
        ("scanned", "compact_migrate_scanned"),
    ]
    parts: list[Part] = [(" compaction/s", DIM)]
    for label, counter in figures[: 5 if width >= _ROOMY_CELLS else 3]:
        parts += [(f"  {label} ", DIM), (rate(facts.per_s(counter)).removesuffix("/s"), BRIGHT)]
    head.append(parts)
    return head


def _items(zone: FreeBlocks, cells: int, page_bytes: int, *, several: bool) -> list[Item]:
    """A zone's two rows: how many blocks of each order, and what is of no use to each."""
    is_all = zone.node < 0
    name = "all" if is_all else zone_name(zone.node, zone.zone, several=several)
    shares, unusable = order_shares_pct(zone), unusable_free_pct(zone)
    counts: dict[str, str | Part] = {"zone": (name, BRIGHT)}
    useless: dict[str, str | Part] = {"zone": ("unus %", DIM)}
    for order, (count, share, lost) in enumerate(zip(zone.counts, shares, unusable, strict=True)):
        text = abbreviated(count, cells)
        if order in zone.overflows:
            text = ("≥" + text)[:cells]
        counts[str(order)] = (text, _heat(share))
        percent = units.UNKNOWN if lost is None else f"{lost:.0f}"
        useless[str(order)] = (percent, DIM)
    key = f"{zone.node} {zone.zone}"
    return [
        Item(key, counts, _about_counts(zone, name, page_bytes), "fragmentation"),
        Item(f"{key} unusable", useless, _about_unusable(zone, name, page_bytes), "fragmentation"),
    ]


def _heat(share_pct: float | None) -> Style:
    """The more of the zone's free memory is in blocks of an order, the warmer."""
    if share_pct is None or not theme.glyphs().shaded:
        return theme.style(theme.FOREGROUND)
    if share_pct == 0:
        return theme.style(theme.DIM)
    # Steps: a terminal gets few colours, and a cell is not painted again for a thousandth.
    step = min(10, 1 + round(share_pct / 6))
    return theme.style(
        theme.BRIGHT if step > 3 else theme.FOREGROUND, theme.shade(_HEAT, step / 10)
    )


def _about_counts(zone: FreeBlocks, name: str, page_bytes: int) -> list[str | Line]:
    free = free_pages(zone.counts)
    blocks = sum(zone.counts)
    largest = max((order for order, count in enumerate(zone.counts) if count), default=None)
    least = "at least " if zone.overflows else ""
    about: list[str | Line] = [
        [(f" {name}", BRIGHT)],
        f"{least}{units.size(free * page_bytes)} free in {least}{units.count(blocks)} blocks of "
        "2ⁿ pages; warmer where more of it is.",
    ]
    if largest is None:
        about.append("Nothing is free here.")
    else:
        about.append(
            f"Largest: {units.count(zone.counts[largest])} of {units.size(page_bytes << largest)}."
        )
    about += ["p: by what may be in them (root).", [], "/proc/buddyinfo"]
    return about


def _about_unusable(zone: FreeBlocks, name: str, page_bytes: int) -> list[str | Line]:
    about: list[str | Line] = [
        [(f" {name}, unusable", BRIGHT)],
        "The share of free memory that is in blocks too small for a request of that size: 0 at one "
        "page, 100 where no block is large enough.",
    ]
    order = block_order(_HUGE_BYTES, page_bytes)
    if order is not None and order < len(zone.counts) and not zone.overflows:
        free, fit = free_pages(zone.counts), suitable_pages(zone.counts, order)
        about.append(
            f"Of {units.size(free * page_bytes)} free, {units.size(fit * page_bytes)} are in blocks "
            f"of {units.size(_HUGE_BYTES)} or more."
        )
    return [*about, [], "/proc/buddyinfo"]


def abbreviated(count: int, cells: int) -> str:
    """A count in three cells (`907`, `1k`, `99k`, `.3M`, `12M`), or whole where there is room."""
    whole = units.count(count)
    if len(whole) <= cells:
        return whole
    if cells > 3 and count < 10_000:
        return f"{count / 1000:.1f}k"
    for unit, step in (("k", 10**3), ("M", 10**6), ("G", 10**9)):
        if count < 100 * step:
            return f"{count // step}{unit}"
        if count < 1000 * step:
            if cells > 3:
                return f"{count // step}{unit}"
            next_unit = {"k": "M", "M": "G", "G": "T"}[unit]
            return f".{count // (100 * step)}{next_unit}"
    return ">1T"


def _size(value: int, cells: int) -> str:
    """A block's size as a head: `4K`, `128K` where there is room, else `128`."""
    for unit in ("B", "K", "M", "G", "T"):
        if value < 1024:
            return f"{value}{unit}"[:cells] if cells < 4 else f"{value}{unit}"
        value //= 1024
    return "…"


FRAGMENTATION: Final = Section(
    "fragmentation",
    "Fragmentation",
    "fragmentation",
    (),
    _summary,
    _page,
    at_a_glance=("free_blocks",),
)
