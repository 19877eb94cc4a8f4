"""Swap devices, and swap that is compressed memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.swaps import Swap
from memtui.kernel.zram import Zram, Zswap
from memtui.tui import theme
from memtui.tui.pages.base import (
    BRIGHT,
    DIM,
    PLAIN,
    UNKNOWN,
    WARN,
    Arrangement,
    Facts,
    Item,
    Section,
    SectionPage,
    Summary,
    labelled,
    only_words,
    page_of,
    plain,
    rate,
    size_cell,
    size_width,
    why,
)
from memtui.tui.words.cells import Column, Line

_FULL: Final = 0.8


def ratio(stored: int | None, taken: int | None) -> float | None:
    """How many times smaller it is: what is stored by what that takes of memory."""
    return stored / taken if stored and taken else None


def _ratio_text(value: float | None) -> str:
    return units.UNKNOWN if value is None else f"{value:.1f}:1"


def _zrams(facts: Facts) -> Sequence[Zram]:
    zrams = facts.system.zrams
    return () if zrams is None or isinstance(zrams, Gap) else zrams


def _summary(facts: Facts) -> Summary:
    total, free = facts.meminfo.get("SwapTotal"), facts.meminfo.get("SwapFree")
    if total is None or free is None:
        return UNKNOWN
    stored = sum(device.orig_data_bytes or 0 for device in _zrams(facts))
    taken = sum(device.mem_used_bytes or 0 for device in _zrams(facts))
    packed = ratio(stored, taken)
    zram = f", zram {_ratio_text(packed)}" if packed else ""
    if not total:
        return plain("none", "none" + zram, quiet=True)
    used = max(0, total - free)
    short = f"{units.size(used, short=True)}/{units.size(total, short=True)}"
    long = f"{units.size(used)} of {units.size(total)}"
    if len(long + zram) > 26:
        long = short
    style = WARN if used > _FULL * total else PLAIN if used else DIM
    return Summary((short, style), (long + zram, style))


def _page(facts: Facts, width: int, _arrangement: Arrangement) -> SectionPage:
    swaps, zswap = facts.system.swaps, facts.system.zswap
    if swaps is None or isinstance(swaps, Gap):
        return only_words(why(swaps, "swap"))
    bar = max(6, min(20, width - 70))
    cells = size_width(width)
    columns = [
        Column("name", "DEVICE", 0, "<", least=16),
        Column("kind", "KIND", 9, "<", 5),
        Column("size", "SIZE", cells),
        Column("used", "USED", cells),
        Column("bar", "", bar, "<", 4),
        Column("priority", "PRIO", 5, priority=1),
    ]
    is_packed = isinstance(zswap, Zswap) and bool(zswap.enabled or zswap.stored_bytes)
    if _zrams(facts) or is_packed:
        columns += [
            Column("ratio", "RATIO", 6, priority=3),
            Column("memory", "IN MEM", cells, priority=2),
        ]
    devices = {f"/dev/{device.name}": device for device in _zrams(facts)}
    page = facts.page_bytes
    items = [_device(swap, devices.pop(swap.name, None), bar, width, page) for swap in swaps]
    items += [_unused_zram(device, bar, width, page) for device in devices.values()]
    if isinstance(zswap, Zswap) and is_packed:
        items.append(_zswap_item(zswap, facts, width))
    head = _head(facts, width)
    if isinstance(zswap, Gap):
        head.append(why(zswap, "zswap"))
    return page_of(columns, items, head, "no swap: what is not in files stays in memory")


def _head(facts: Facts, width: int) -> list[str | Line]:
    settings = facts.settings
    pairs = [(key, str(settings[key])) for key in ("swappiness", "page-cluster") if key in settings]
    pairs += [
        ("in", rate(facts.per_s("pswpin"))),
        ("out", rate(facts.per_s("pswpout"))),
    ]
    return [labelled(*pairs, width=width)]


def _device(swap: Swap, zram: Zram | None, bar: int, width: int, page_bytes: int) -> Item:
    used = swap.used_bytes
    share = used / swap.size_bytes if swap.size_bytes and used is not None else None
    packed = None if zram is None else ratio(zram.orig_data_bytes, zram.mem_used_bytes)
    about: list[str | Line] = [
        [(f" {units.printable(swap.name)}", BRIGHT)],
        f"{swap.kind}, {units.size(used)} of {units.size(swap.size_bytes)} used"
        f"{'' if share is None else f' ({units.percent(100 * share)})'}.",
    ]
    if zram is not None:
        about += _about_zram(zram, page_bytes, swap.used_bytes)
    about.append("The highest priority is filled first, equal ones by turns.")
    about += [[], "/proc/swaps"]
    return Item(
        swap.name,
        {
            "name": (swap.name, PLAIN),
            "kind": ("zram" if zram else swap.kind, DIM),
            "size": size_cell(swap.size_bytes, width),
            "used": size_cell(used, width),
            "bar": (
                units.permille_bar(share, bar),
                theme.style(theme.GROWS if share and share > _FULL else theme.CACHE),
            ),
            "priority": (str(swap.priority), PLAIN),
            "ratio": (_ratio_text(packed) if zram else "", PLAIN),
            "memory": size_cell(zram.mem_used_bytes, width) if zram else "",
        },
        about,
        "zram" if zram else "swap",
    )


def _about_zram(zram: Zram, page_bytes: int, used_bytes: int | None = None) -> list[str | Line]:
    """In words; `used_bytes` is what swap has put there."""
    about: list[str | Line] = [
        f"{units.size(zram.orig_data_bytes)} of data, compressed "
        f"({units.printable(zram.algorithm or 'unknown algorithm')}) to "
        f"{units.size(zram.compr_data_bytes)}, take {units.size(zram.mem_used_bytes)} of memory.",
    ]
    if zram.mem_limit_bytes:
        about.append(f"It may take {units.size(zram.mem_limit_bytes)} of memory.")
    if zram.same_pages:
        same = zram.same_pages * page_bytes
        missing = (used_bytes or 0) - (zram.orig_data_bytes or 0)
        apart = (
            " They are not in the data above, but swap counts them." if 0 < missing <= same else ""
        )
        about.append(f"Pages all of one value, {units.size(same)}, take no memory.{apart}")
    if zram.huge_pages:
        about.append(f"{units.count(zram.huge_pages)} pages did not compress.")
    return about


def _unused_zram(zram: Zram, bar: int, width: int, page_bytes: int) -> Item:
    """A zram device that is no swap: a file system, or nothing yet."""
    share = (zram.orig_data_bytes or 0) / zram.disksize_bytes if zram.disksize_bytes else None
    return Item(
        zram.name,
        {
            "name": (f"/dev/{zram.name}", PLAIN),
            "kind": ("no swap", DIM),
            "size": size_cell(zram.disksize_bytes, width),
            "used": size_cell(zram.orig_data_bytes, width),
            "bar": (units.permille_bar(share, bar), theme.style(theme.CACHE)),
            "priority": ("–", DIM),
            "ratio": (_ratio_text(ratio(zram.orig_data_bytes, zram.mem_used_bytes)), PLAIN),
            "memory": size_cell(zram.mem_used_bytes, width),
        },
        [
            [(f" /dev/{zram.name}", BRIGHT)],
            "A zram device that is not used as swap.",
            *_about_zram(zram, page_bytes),
            [],
            f"/sys/block/{zram.name}/mm_stat",
        ],
        "zram",
    )


def _zswap_item(zswap: Zswap, facts: Facts, width: int) -> Item:
    total, percent = facts.meminfo.get("MemTotal"), zswap.max_pool_percent
    limit = None if total is None or percent is None else total * percent // 100
    return Item(
        "zswap",
        {
            "name": ("zswap", PLAIN),
            "kind": ("on" if zswap.enabled else "off", DIM),
            "size": ("", DIM),
            "used": size_cell(zswap.stored_bytes, width),
            "priority": ("–", DIM),
            "ratio": (_ratio_text(ratio(zswap.stored_bytes, zswap.pool_bytes)), PLAIN),
            "memory": size_cell(zswap.pool_bytes, width),
        },
        [
            [(" zswap", BRIGHT)],
            f"Pages on their way to swap, kept compressed in memory before the devices "
            f"({units.printable(zswap.compressor or 'unknown algorithm')}): "
            f"{units.size(zswap.stored_bytes)} stored in {units.size(zswap.pool_bytes)}.",
            f"It may take {units.count(percent)} % of memory, {units.size(limit)}.",
            [],
            "/sys/module/zswap/parameters/, /proc/meminfo Zswap, Zswapped",
        ],
        "zswap",
    )


SWAP: Final = Section(
    "swap",
    "Swap",
    "swap",
    ("swaps", "zswap", "settings"),
    _summary,
    _page,
    at_a_glance=("zrams",),
)
