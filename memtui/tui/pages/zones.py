"""Zones and their watermarks; nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.style import Style

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.numa import Node
from memtui.model.system.zones import ZoneDistance, machine_distance, zone_distances
from memtui.tui import theme
from memtui.tui.pages.base import (
    ALARM,
    BRIGHT,
    DIM,
    PLAIN,
    UNKNOWN,
    UNREAD,
    WARN,
    Arrangement,
    Facts,
    Item,
    Section,
    SectionPage,
    Summary,
    is_narrow,
    labelled,
    only_words,
    page_of,
    plain,
    size_cell,
    size_width,
    why,
)
from memtui.tui.words.cells import Column, Line, Part

# Of MemTotal, which the zones together are but for rounding, unless a balloon has been counted in.
_MISSING_SHARE: Final = 0.02
_WHAT_IS_DONE: Final = {
    None: "Above high: nothing is reclaimed.",
    "high": "Between low and high: kswapd, once awake, reclaims up to high.",
    "low": "Below low: kswapd reclaims in the background.",
    "min": "Below min: whoever allocates must reclaim for himself, and waits.",
}


def zone_name(node: int, zone: str, *, several: bool) -> str:
    """`Normal`, and `1 Normal` where there are several nodes."""
    return f"{node} {units.printable(zone)}" if several else units.printable(zone)


def _distances(facts: Facts) -> list[ZoneDistance]:
    zones = facts.system.zones
    if zones is None or isinstance(zones, Gap):
        return []
    return zone_distances(zones, facts.page_bytes)


def _summary(facts: Facts) -> Summary:
    if facts.system.zones is None:
        return UNREAD
    machine = machine_distance(_distances(facts))
    if machine is None:
        return UNKNOWN
    if machine.below_low:
        below = machine.below_low[0]
        style = ALARM if below.below == "min" else WARN
        name = units.printable(below.zone)
        return Summary((f"below {below.below}", style), (f"{name} below {below.below}", style))
    over = machine.to_low_bytes
    return plain(f"low +{units.size(over, short=True)}", f"{units.size(over)} above low")


def _page(facts: Facts, width: int, _arrangement: Arrangement) -> SectionPage:
    zones = facts.system.zones
    if zones is None or isinstance(zones, Gap):
        return only_words(why(zones, "the zones"))
    distances = _distances(facts)
    populated = [zone for zone in distances if zone.is_populated]
    several = len({zone.node for zone in distances}) > 1
    cells = size_width(width)
    gauge = max(8, min(30, width - 14 - 5 * (cells + 1)))
    columns = (
        Column("zone", "ZONE", 8 + 3 * several, "<"),
        Column("free", "FREE", cells),
        Column("min", "MIN", cells, priority=1),
        Column("low", "LOW", cells),
        Column("high", "HIGH", cells, priority=2),
        Column("size", "MANAGED", max(7, cells), priority=3),
        Column("gauge", "0 TO TWICE HIGH" if gauge >= 15 else "TO 2×HIGH", 0, "<", least=9),
    )
    items = [_item(zone, width, gauge, several=several) for zone in populated]
    return page_of(columns, items, _head(facts, distances, width), "no zone has memory")


def _head(facts: Facts, distances: Sequence[ZoneDistance], width: int) -> list[str | Line]:
    machine = machine_distance(distances)
    head: list[str | Line] = []
    if machine is not None:
        words = f"{units.size(machine.free_bytes)} free, "
        words += (
            f"{units.size(machine.to_low_bytes)} above the low watermarks"
            if machine.to_low_bytes >= 0
            else f"{units.size(-machine.to_low_bytes)} short of the low watermarks"
        )
        words += f"; tightest: {units.printable(machine.tightest.zone)}"
        head.append(words + ".")
    managed = sum(zone.size_bytes or 0 for zone in distances)
    total = facts.meminfo.get("MemTotal", 0)
    if not facts.is_group and total - managed > _MISSING_SHARE * total:
        head.append(
            f"They manage {units.size(managed)}, MemTotal says {units.size(total)}: as where a "
            "hypervisor holds memory back."
        )
    settings = facts.settings
    pairs = []
    if "min_free_kbytes" in settings:
        pairs.append(("min_free", units.size(settings["min_free_kbytes"] * 1024)))
    for key, label in (
        ("watermark_scale_factor", "scale_factor"),
        ("watermark_boost_factor", "boost_factor"),
    ):
        if key in settings:
            pairs.append((label, str(settings[key])))
    if pairs:
        head.append(labelled(*pairs, width=width))
    several = len({zone.node for zone in distances}) > 1
    empty = [
        zone_name(zone.node, zone.zone, several=several)
        for zone in distances
        if not zone.is_populated
    ]
    if empty:
        words = ", ".join(empty) if len(empty) < 4 else f"{len(empty)} zones"
        head.append([(f" without memory: {words}", DIM)])
    return head


def _item(zone: ZoneDistance, width: int, gauge: int, *, several: bool) -> Item:
    colour = {"min": ALARM, "low": WARN}.get(zone.below or "", PLAIN)
    name = zone_name(zone.node, zone.zone, several=several)
    about: list[str | Line] = [[(f" {name}", BRIGHT)]]
    if zone.to_low_bytes is not None:
        about.append(_WHAT_IS_DONE[zone.below])
        about.append(
            f"Free less low: {units.size(zone.to_low_bytes)}; less min: "
            f"{units.size(zone.to_min_bytes)}."
        )
    else:
        about.append("This kernel does not tell its watermarks.")
    if zone.reserve_bytes:
        about.append(
            f"{units.size(zone.reserve_bytes)} more are kept back from requests that another zone "
            "could have met."
        )
    about += [[], "/proc/zoneinfo"]
    return Item(
        f"{zone.node} {zone.zone}",
        {
            "zone": (name, BRIGHT),
            "free": (units.size(zone.free_bytes, short=is_narrow(width)), colour),
            "min": size_cell(zone.min_bytes, width),
            "low": size_cell(zone.low_bytes, width),
            "high": size_cell(zone.high_bytes, width),
            "size": size_cell(zone.size_bytes, width),
            "gauge": (gauge_of(zone, gauge), _gauge_style(zone)),
        },
        about,
        "watermark",
    )


def gauge_of(zone: ZoneDistance, cells: int) -> str:
    """Free memory as a bar from 0 to twice the high watermark, the three marks across it."""
    if zone.free_bytes is None or not zone.high_bytes or zone.min_bytes is None:
        return units.UNKNOWN
    scale = cells / (2 * zone.high_bytes)
    filled = min(cells, round(zone.free_bytes * scale))
    bar = list("█" * filled + "░" * (cells - filled))
    for mark in (zone.min_bytes, zone.low_bytes or 0, zone.high_bytes):
        bar[min(cells - 1, int(mark * scale))] = "│"
    return "".join(bar)


def _gauge_style(zone: ZoneDistance) -> Style:
    if zone.below in ("min", "low"):
        return theme.style(theme.ALARM if zone.below == "min" else theme.GROWS)
    return theme.style(theme.FREE)


ZONES: Final = Section(
    "zones",
    "Zones",
    "watermark",
    ("settings",),
    _summary,
    _page,
    at_a_glance=("zones",),
)


# Nodes.


def _nodes_summary(facts: Facts) -> Summary:
    zones = facts.system.zones
    if zones is None:
        return UNREAD
    if isinstance(zones, Gap):
        return UNKNOWN
    count = len({zone.node for zone in zones})
    return plain(f"{count} node{'' if count == 1 else 's'}", quiet=count < 2)


def _nodes_page(facts: Facts, width: int, _arrangement: Arrangement) -> SectionPage:
    nodes = facts.system.nodes
    if nodes is None or isinstance(nodes, Gap):
        return only_words(why(nodes, "the nodes"))
    if not nodes:
        return only_words("This kernel knows of no nodes: it was built without NUMA.")
    cells = size_width(width)
    columns = (
        Column("node", "NODE", 4),
        Column("total", "TOTAL", cells),
        Column("free", "FREE", cells),
        Column("bar", "USED", max(6, min(20, width - 60)), "<", 5),
        Column("anon", "ANON", cells, priority=6),
        Column("file", "FILE", cells, priority=7),
        Column("hit", "HIT", 8, priority=1),
        Column("miss", "MISS", 7),
        Column("foreign", "FOREIGN", 7, priority=2),
        Column("local", "LOCAL", 8, priority=4),
        Column("other", "OTHER", 7, priority=3),
        Column("inter", "INTERLV", 7, priority=8),
        Column("distance", "DISTANCE", 0, "<", 9, least=10),
    )
    bar = columns[3].width
    items = [_node_item(node, nodes, width, bar) for node in nodes]
    head: list[str | Line] = []
    if len(nodes) == 1:
        head.append("One node: all memory is equally near to every processor.")
    modes = facts.settings
    if modes.get("zone_reclaim_mode"):
        head.append("zone_reclaim_mode is on: a node reclaims its own before it takes from others.")
    head.append([(" pages asked for, since boot, as numastat has them", DIM)])
    return page_of(columns, items, head)


_FIGURES: Final = (
    ("hit", "numa_hit", "as wanted"),
    ("miss", "numa_miss", "wanted elsewhere"),
    ("foreign", "numa_foreign", "got elsewhere"),
    ("inter", "interleave_hit", "as planned"),
    ("local", "local_node", "task ran here"),
    ("other", "other_node", "task ran elsewhere"),
)


def _node_item(node: Node, nodes: Sequence[Node], width: int, bar: int) -> Item:
    memory = node.meminfo
    total, free = memory.get("MemTotal"), memory.get("MemFree")
    used = (total - free) / total if total and free is not None else None
    about: list[str | Line] = [[(f" node {node.node}", BRIGHT)]]
    about += [f"{key} {units.count(node.numastat.get(key))} {words}" for _, key, words in _FIGURES]
    if len(node.distances) > 1 and len(node.distances) == len(nodes):
        about.append(
            "distance "
            + ", ".join(
                f"{cost} to {other.node}"
                for cost, other in zip(node.distances, nodes, strict=True)
                if other.node != node.node
            )
            + " (10 is here)"
        )
    about += [[], f"/sys/devices/system/node/node{node.node}/"]
    cells: dict[str, str | Part] = {
        "node": (str(node.node), BRIGHT),
        "total": size_cell(total, width),
        "free": size_cell(free, width),
        "anon": size_cell(memory.get("AnonPages"), width),
        "file": size_cell(memory.get("FilePages"), width),
        "bar": (units.permille_bar(used, bar), theme.style(theme.CACHE)),
        "distance": (" ".join(map(str, node.distances)), DIM),
    }
    for name, key, _ in _FIGURES:
        cells[name] = many(node.numastat, key)
    return Item(str(node.node), cells, about, "NUMA")


def many(figures: Mapping[str, int], key: str) -> Part:
    """A count in at most seven cells: `12 345`, `1.2 M`."""
    value = figures.get(key)
    if value is None:
        return units.UNKNOWN, DIM
    if value < 100_000:
        return units.count(value), PLAIN if value else DIM
    scaled = float(value)
    for unit in ("k", "M", "G", "T", "P"):
        scaled /= 1000
        if round(scaled) < 1000:
            return f"{scaled:.{1 if scaled < 99.95 else 0}f} {unit}", PLAIN
    return units.UNKNOWN, DIM


NODES: Final = Section("nodes", "Nodes", "NUMA", ("nodes", "settings"), _nodes_summary, _nodes_page)
