"""The map view's lines of text: whose map it is, what is shown of it, and what the cursor is on."""

from __future__ import annotations

import textwrap
import time
from bisect import bisect_right

from memtui import units
from memtui.model.machine import Machine
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.change import Trail, gain
from memtui.model.map.kinds import Kind
from memtui.model.map.labels import flags, label
from memtui.model.map.vmflags import decode
from memtui.session.chosen import Chosen
from memtui.tui import theme
from memtui.tui.words.cells import Line, Part, broken, cells, spread, whole_parts
from memtui.tui.words.nomap import gone_words

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT)
_ALARM = theme.style(theme.ALARM, bold=True)

_PERMS = (("r", "read"), ("w", "write"), ("x", "execute"))
# What the permissions say already, and what they could be made: of no interest but in full.
_IN_PERMS = frozenset(("rd", "wr", "ex", "sh", "mr", "mw", "me", "ms"))
_SURE = {"certain": "", "likely": " (likely, from where it lies)", "guess": " (a guess)"}


def title(chosen: Chosen, machine: Machine, width: int, *, is_past: bool = False) -> Line:
    """Which process it is, and what its map sums up to; how old that is, where it is not past."""
    process = chosen.process
    if process is None:
        return [(" no process is chosen", _DIM)]
    who = [(f" {process.pid} ", _DIM), (units.printable(process.name), _BRIGHT)]
    left: list[tuple[int, Line]] = [
        (0, who),
        (2, [(f" · user {machine.users.name(process.uid)}", _DIM)]),
    ]
    if chosen.gone_s is not None:
        last = ": its last map" if chosen.map else ""
        left.append((0, [(f" · {gone_words(chosen, machine)}{last}", _ALARM)]))
    right: list[Part] = []
    if chosen.map is not None:
        totals = chosen.map.totals
        left.append((1, [(f" · {units.count(totals.mappings)} mappings", _PLAIN)]))
        if width >= 110:
            for number, name, value in (
                (4, "size", totals.size),
                (3, "RSS", totals.rss),
                (5, "PSS", totals.pss),
                (6, "swap", totals.swap),
                (3, "in the dump", totals.dumped),
            ):
                if value is not None:
                    left.append((number, [(f" · {name} {units.size(value)}", _PLAIN)]))
        if left_out := chosen.map.mappings.left_out:
            right.append((f"{units.count(left_out)} out of order left out ", _DIM))
        if chosen.map.usage_gap is not None:
            right.append((f"usage n/a: {units.printable(chosen.map.usage_gap.words)} ", _DIM))
        elif not chosen.map.has_usage:
            right.append(("reading usage … ", _DIM))
        elif (
            chosen.read_at is not None and chosen.gone_s is None and not (machine.still or is_past)
        ):
            age = max(0.0, time.monotonic() - chosen.read_at)
            right.append((f"usage read {units.duration(round(age))} ago ", _DIM))
    return spread(whole_parts(left, width), right, width)


def spread_line(map_: AddressMap, width: int) -> Line:
    """How the address space is strewn: its fragmentation, in one line."""
    spread_ = map_.spread
    if not spread_.span:
        return []
    share = 100 * spread_.mapped / spread_.span
    used = "less than 0.01 %" if share < 0.01 else units.percent(share, 2)
    plural = "" if spread_.holes == 1 else "s"
    parts: list[Part] = [
        (f" {units.count(spread_.holes)} hole{plural}", _PLAIN),
        (", the largest ", _DIM),
        (units.size(spread_.largest_hole), _PLAIN),
    ]
    if width >= 100 and spread_.largest_hole:
        parts.append((f" from {units.address(spread_.largest_hole_at)}", _DIM))
    scale: Part = (" · picture folded, not to scale: + zooms to where it is", _DIM)
    if width < 100:
        scale = (" · not to scale: + zooms", _DIM)
    span: list[Part] = [
        (" · ", _DIM),
        (used, _PLAIN),
        (" of " if width < 100 else " is mapped of the span of ", _DIM),
        (units.size(spread_.span), _PLAIN),
        (" mapped" if width < 100 else "", _DIM),
    ]
    far: list[Part] = [(", lowest to highest address", _DIM)] if width >= 100 else []
    forms = ((*parts, *span, *far, scale), (*parts, *span, scale), (*parts, scale))
    return next((form for form in forms if cells(form) <= width), (*parts, *span))


def rows_line(
    map_: AddressMap,
    shown: int,
    kind: Kind | None,
    filter_: str,
    order: tuple[str, bool] | None,
    width: int,
) -> Line:
    """What of the mappings the table shows, and in which order."""
    total = len(map_)
    parts: list[Part] = []
    if kind is None and not filter_:
        parts.append((f" all {units.count(total)} mappings", _DIM))
    else:
        parts.append((f" {units.count(shown)} of {units.count(total)} mappings", _PLAIN))
    if kind is not None:
        parts += [(" · ", _DIM), (kind.words, theme.style(kind.colour, bold=True))]
    if filter_:
        parts += [(" · filter ", _DIM), (units.printable(filter_), _ACCENT)]
    name = order[0].replace("_", " ") if order else "address"
    arrow = (" ▼" if order[1] else " ▲") if order else ""
    parts += [(" · by ", _DIM), (f"{name}{arrow}", _ACCENT if order else _DIM)]
    if (kind is not None or filter_) and cells(parts) + 14 < width:
        parts.append((" · Esc: all", _DIM))
    return parts


def detail(
    map_: AddressMap, address: int, page_bytes: int, trail: Trail | None, width: int
) -> list[Line]:
    """What the cursor is on, in words: a mapping, or the hole between two."""
    row = map_.row_at(address)
    if row is None:
        return _hole(map_, address, width)
    return _mapping(map_, row, address, page_bytes, trail, width)


def _hole(map_: AddressMap, address: int, width: int) -> list[Line]:
    """An address that nothing is mapped at: how large the hole is, and what is next to it."""
    starts, ends = map_.mappings.starts, map_.mappings.ends
    above = bisect_right(starts, address)
    low = ends[above - 1] if above else 0
    high = starts[above] if above < len(starts) else None
    first: list[Part] = [
        (f" {units.address(address)} is not mapped", _BRIGHT),
        (": it is in a hole ", _DIM),
        (f"of {units.size(high - low)}" if high is not None else "above all mappings", _PLAIN),
    ]
    lines: list[Line] = [first]
    for words, at, distance in (
        ("below it", above - 1, address - low),
        ("above it", above, (high or 0) - address),
    ):
        if 0 <= at < len(map_):
            name = units.printable(map_.mappings.paths[at] or label(map_, at).words)
            span = f"{units.address(starts[at])}–{units.address(ends[at])}"
            text = f" {words}, {units.size(distance)} away: {span} "
            lines.append([(text, _DIM), (name, theme.style(map_.kind(at).colour))])
    lines.append(
        [(" an access here is a page fault without a mapping: t shows how that ends", _DIM)]
    )
    return lines


def _mapping(
    map_: AddressMap, row: int, address: int, page_bytes: int, trail: Trail | None, width: int
) -> list[Line]:
    mappings, kind = map_.mappings, map_.kind(row)
    start, end, perms = mappings.starts[row], mappings.ends[row], mappings.perms[row]
    path = units.printable(mappings.paths[row])
    named = label(map_, row)
    may = ", ".join(word for letter, word in _PERMS if letter in perms) or "no access at all"
    first: list[Part] = [
        (f" {kind.letter} {units.printable(named.words)}", theme.style(kind.colour, bold=True)),
        (_SURE[named.sure], _DIM),
    ]
    if path and cells(first) + units.width(path) + 4 <= width:
        first.append((f" · {path}", _PLAIN))
    each = mappings.get(row, "KernelPageSize") or page_bytes  # hugetlb's are larger
    pages = (end - start) // each
    pages_of = f"{units.count(pages)} page{'s' if pages != 1 else ''} of {units.size(each)}"
    cursor = f" · cursor {units.address(address)}" if address != start else ""
    second: list[tuple[int, Line]] = [
        (0, [(f" {units.address(start)}–{units.address(end)}", _PLAIN), (cursor, _ACCENT)]),
        (0, [(f" · {units.size(end - start)}", _DIM)]),
        (3, [(f" in {pages_of}", _DIM)]),
        (1, [(f" · {may}", _DIM)]),
        (2, [(f" · {'shared' if perms[3] == 's' else 'private'}", _DIM)]),
    ]
    if path.startswith("/"):
        second.append((4, [(f" · offset {mappings.offsets[row]:#x}", _DIM)]))
        if mappings.has_inodes:
            second.append((4, [(f", inode {mappings.inodes[row]}", _DIM)]))
    lines = [first, whole_parts(second, width), _usage(map_, row, kind, width)]
    return [*lines, *_more(map_, row, trail, width)]


def _usage(map_: AddressMap, row: int, kind: Kind, width: int) -> Line:
    """How much of a mapping is in memory, and how."""
    mappings = map_.mappings
    size = mappings.ends[row] - mappings.starts[row]
    resident = mappings.in_memory(row)
    if (dumped := mappings.get(row, "Dumped")) is not None:
        share = dumped / size
        return [
            (" ", _DIM),
            (units.permille_bar(share, 20), theme.style(kind.colour)),
            (f" {units.percent(100 * share)} in the dump: {units.size(dumped)}", _PLAIN),
        ]
    if resident is None:
        return [(" how much of it is in memory is not known", _DIM)]
    share = resident / size
    hugetlb = mappings.hugetlb(row)
    which = ", all of it" if hugetlb == resident else f", {units.size(hugetlb)} of it"
    where = f"{which} in the hugetlb pool: in no RSS" if hugetlb else ""
    line: list[Part] = [
        (" ", _DIM),
        (units.permille_bar(share, 20), theme.style(kind.colour)),
        (f" {units.percent(100 * share)} in memory: {units.size(resident)}{where}", _PLAIN),
    ]
    parts: list[tuple[int, Line]] = [(0, line)]
    transparent = ("AnonHugePages", "ShmemPmdMapped", "FilePmdMapped")
    huge = sum(mappings.get(row, key) or 0 for key in transparent)
    for name, value in (
        ("PSS", mappings.get(row, "Pss")),
        ("dirty", mappings.get(row, "Private_Dirty")),
        ("swapped", mappings.get(row, "Swap")),
        ("locked", mappings.get(row, "Locked")),
        ("in huge pages", huge),
    ):
        if value:
            parts.append((len(parts), [(f" · {name} {units.size(value)}", _DIM)]))
    return whole_parts(parts, width)


def _more(map_: AddressMap, row: int, trail: Trail | None, width: int) -> list[Line]:
    """Warnings, what it gained, its flags in words, what is below it: as many as there is room for."""
    mappings = map_.mappings
    lines: list[Line] = []
    warnings = flags(map_, row)
    if warnings:
        lines += broken([(f" ! {'; '.join(warnings)}", _ALARM)], width)
    gains: list[Part] = []
    if trail is not None and map_.has_usage:
        for words, snapshot in (
            ("in the last minute", trail.minute),
            ("since the mark", trail.mark if trail.is_marked else None),
        ):
            value = None if snapshot is None else gain(snapshot, mappings, row, "Rss")
            if value:
                colour = theme.GROWS if value > 0 else theme.SHRINKS
                gains += [
                    (" · " if gains else " RSS ", _DIM),
                    (units.change(value, short=False), theme.style(colour)),
                    (f" {words}", _DIM),
                ]
    if gains:
        lines.append(gains)
    start = mappings.starts[row]
    hole = start - mappings.ends[row - 1] if row else start
    below = f"below it a hole of {units.size(hole)}" if hole else "directly above another mapping"
    vm_flags = mappings.vm_flags(row)
    notable = [flag for flag in vm_flags or () if flag not in _IN_PERMS]
    words = f"{below} · {', '.join(decode(tuple(notable)))}" if notable else below
    lines += [[(f" {piece}", _DIM)] for piece in textwrap.wrap(words, max(20, width - 2))]
    return lines
