"""`memtui zones`: watermarks, free blocks by order, and fragmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from memtui import units
from memtui.kernel.buddy import FreeBlocks, parse_buddyinfo
from memtui.kernel.files import Files, Gap
from memtui.kernel.hugepages import read_thp
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.zones import Zone, parse_zoneinfo
from memtui.live.machine import page_bytes_of
from memtui.model.system.fragmentation import can_hand_out, machine_blocks, unusable_free_pct
from memtui.model.system.zones import MachineDistance, ZoneDistance, machine_distance, zone_distance
from memtui.reports.output import (
    Form,
    Options,
    TextColumn,
    csv_document,
    form_of,
    list_document,
    shown,
    table,
    unreadable,
)

_USUAL_HUGE_BYTES: Final = 2 << 20
_KEYS: Final = (
    *("node", "zone", "free_pages", "min_pages", "low_pages", "high_pages", "managed_pages"),
    *("orders", "unusable_free_pct"),
)


class _Row(NamedTuple):
    """A zone by what the two files say of it. `blocks` is None where buddyinfo cannot be read."""

    zone: Zone
    blocks: FreeBlocks | None


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui zones`."""
    return zones(files, form_of(options))


def zones(files: Files, form: Form) -> Iterator[str]:
    """Every zone in pages; text adds whether a huge page can be had now. Fails without any zone.

    JSON and CSV: what the kernel does not tell is null; an empty zone has no orders.
    """
    zoneinfo = files.parsed("proc/zoneinfo", parse_zoneinfo)
    buddyinfo = files.parsed("proc/buddyinfo", parse_buddyinfo)
    if isinstance(zoneinfo, Gap) and isinstance(buddyinfo, Gap):
        raise unreadable(files, zoneinfo)
    rows = _rows([] if isinstance(zoneinfo, Gap) else zoneinfo, buddyinfo)
    if form == "json":
        yield list_document(list(map(_json, rows)))
    elif form == "csv":
        yield from csv_document(_KEYS, map(_json, rows))
    else:
        yield from _text(files, rows)
        for gap in (zoneinfo, buddyinfo):
            if isinstance(gap, Gap):
                yield f"\nnot read: {units.printable(str(gap))}\n"


def _rows(zoneinfo: list[Zone], buddyinfo: list[FreeBlocks] | Gap) -> list[_Row]:
    """Zoneinfo's zones in its order, then those that only buddyinfo has."""
    if isinstance(buddyinfo, Gap):
        return [_Row(zone, None) for zone in zoneinfo]
    blocks = {(row.node, row.zone): row for row in buddyinfo}
    rows = [
        # Buddyinfo leaves out what has no memory.
        _Row(zone, blocks.pop((zone.node, zone.zone), FreeBlocks(zone.node, zone.zone, ())))
        for zone in zoneinfo
    ]
    return rows + [_Row(Zone(row.node, row.zone), row) for row in blocks.values()]


def _json(row: _Row) -> dict[str, Any]:
    fields, blocks = row.zone.fields, row.blocks
    return {
        "node": row.zone.node,
        "zone": row.zone.zone,
        **{f"{key}_pages": fields.get(key) for key in ("free", "min", "low", "high", "managed")},
        "orders": None if blocks is None else _counts(blocks),
        "unusable_free_pct": None
        if blocks is None
        else [None if pct is None else round(pct, 3) for pct in unusable_free_pct(blocks)],
    }


def _counts(blocks: FreeBlocks) -> list[int | None]:
    """Blocks by order, None where the kernel stopped counting."""
    return [
        None if order in blocks.overflows else count for order, count in enumerate(blocks.counts)
    ]


def _text(files: Files, rows: Sequence[_Row]) -> Iterator[str]:
    page = page_bytes_of(files)
    distances = [zone_distance(row.zone, page) for row in rows]
    listed = [zone for zone, row in zip(distances, rows, strict=True) if _has_memory(zone, row)]
    yield from table(
        [
            TextColumn("NODE", ">", [str(zone.node) for zone in listed]),
            TextColumn("ZONE", "<", [shown(zone.zone) for zone in listed]),
            TextColumn("SIZE", ">", [units.size(zone.size_bytes) for zone in listed]),
            TextColumn("FREE", ">", [units.size(zone.free_bytes) for zone in listed]),
            TextColumn("MIN", ">", [units.size(zone.min_bytes) for zone in listed]),
            TextColumn("LOW", ">", [units.size(zone.low_bytes) for zone in listed]),
            TextColumn("HIGH", ">", [units.size(zone.high_bytes) for zone in listed]),
            TextColumn("RESERVE", ">", [units.size(zone.reserve_bytes) for zone in listed]),
            TextColumn("FREE IS", "<", [_state(zone) for zone in listed]),
        ]
    )
    machine = machine_distance(distances)
    if machine is not None:
        yield f"\n{_tightest(machine)}\n"
    blocks = [row.blocks for row in rows if row.blocks is not None and row.blocks.counts]
    if blocks:
        every = [*blocks, machine_blocks(blocks)]
        yield "\nfree blocks by size\n"
        yield from _by_order(every, page, [list(map(_count, _counts(row))) for row in every])
        yield "\nshare of free memory in blocks too small for that size\n"
        yield from _by_order(
            every, page, [list(map(units.percent, unusable_free_pct(row))) for row in every]
        )
        infos = [row.zone for row in rows]
        yield f"\n{can_hand_out(blocks, infos, _huge_page_bytes(files), page).sentence}\n"
    if empty := [zone for zone in distances if zone not in listed]:
        names = ", ".join(f"{shown(zone.zone)} of node {zone.node}" for zone in empty)
        yield f"\nwithout memory: {names}\n"


def _has_memory(zone: ZoneDistance, row: _Row) -> bool:
    return zone.size_bytes != 0 or bool(row.blocks and row.blocks.counts)


def _state(zone: ZoneDistance) -> str:
    if zone.below is not None:
        return f"below {zone.below}"
    if not zone.is_populated or zone.to_high_bytes is None:
        return units.UNKNOWN
    return "above high"


def _tightest(machine: MachineDistance) -> str:
    zone = machine.tightest
    distance = zone.to_low_bytes or 0
    side = "above" if distance >= 0 else "below"
    return (
        f"Tightest is {shown(zone.zone)} of node {zone.node}: {units.size(abs(distance))} {side} its "
        f"low watermark, {units.percent(abs(zone.headroom_pct or 0), 1)} of the zone."
    )


def _count(count: int | None) -> str:
    return ">100 000" if count is None else units.count(count)


def _by_order(rows: Sequence[FreeBlocks], page_bytes: int, cells: list[list[str]]) -> Iterator[str]:
    """A column for each order, with the size of its blocks as head; the last row is the machine."""
    orders = max(len(row.counts) for row in rows)
    yield from table(
        [
            TextColumn("NODE", ">", [*(str(row.node) for row in rows[:-1]), ""]),
            TextColumn("ZONE", "<", [shown(row.zone) for row in rows]),
            *(
                TextColumn(
                    units.size(page_bytes << order, short=True).replace(".0", ""),
                    ">",
                    [row[order] if order < len(row) else "" for row in cells],
                )
                for order in range(orders)
            ),
        ]
    )


def _huge_page_bytes(files: Files) -> int:
    """The size of a transparent huge page, else of the pool's."""
    meminfo = files.parsed("proc/meminfo", parse_meminfo)
    pool = None if isinstance(meminfo, Gap) else meminfo.get("Hugepagesize")
    return read_thp(files).pmd_bytes or pool or _USUAL_HUGE_BYTES
