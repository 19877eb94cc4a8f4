"""Free memory by block size: how many blocks of each order every zone has, and for what.

Source: /proc/buddyinfo, /proc/pagetypeinfo. Document: Documentation/filesystems/proc.rst, mm/vmstat.c.
Since: 2.6; pagetypeinfo 2.6.24. Permission: anyone; pagetypeinfo root since 5.4.
Cost: some 10 µs; pagetypeinfo up to 100 ms and under the zones' locks: on demand only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from memtui.kernel.files import Malformed
from memtui.kernel.values import number

_ROW = re.compile(rb"Node\s+(\d{1,9}), zone\s+([^\s,]+)(?:, type\s+([^\s,]+))?(.*)", re.DOTALL)
# The kernel stops counting a long list: "> 100000" is written without the blank.
_COUNT = re.compile(rb"(>?)(\d+)")
_ORDERS_AT_MOST = 64  # a block of 2^63 pages
_HEADS = {
    b"Page block order:": "order",
    b"Pages per block:": "pages",
}
_FREE, _BLOCKS, _MIXED = (
    b"Free pages count per migrate type",
    b"Number of blocks type",
    b"Number of mixed blocks",  # only with page_owner=on
)


class FreeBlocks(NamedTuple):
    """A zone's free blocks by order: `counts[3]` blocks of 8 pages each.

    The number of orders is the kernel's (11, 14 with 64 KiB pages …). Orders in `overflows` have at
    least that many.
    """

    node: int
    zone: str
    counts: tuple[int, ...]
    overflows: frozenset[int] = frozenset()


class TypedBlocks(NamedTuple):
    """A zone's free blocks by order, of one migrate type; `overflows` as in FreeBlocks."""

    node: int
    zone: str
    migrate_type: str
    counts: tuple[int, ...]
    overflows: frozenset[int] = frozenset()


class BlockTypes(NamedTuple):
    """How many page blocks of a zone, free or used, belong to each migrate type."""

    node: int
    zone: str
    blocks: Mapping[str, int]


class PageTypes(NamedTuple):
    """/proc/pagetypeinfo. `block_order` and `pages_per_block` are of a page block, mostly 9 and 512.

    `mixed` (page blocks that also hold pages of another type) is empty unless the kernel was
    started with page_owner=on.
    """

    block_order: int | None
    pages_per_block: int | None
    free: tuple[TypedBlocks, ...]
    blocks: tuple[BlockTypes, ...]
    mixed: tuple[BlockTypes, ...]


def parse_buddyinfo(data: bytes) -> list[FreeBlocks]:
    """Every populated zone, in the file's order. Raises Malformed, also where there are none."""
    zones = []
    for line in data.splitlines():
        match = _ROW.fullmatch(line)
        if not match or match[3] is not None:
            raise Malformed(_quote(line))
        counts, overflows = _counts(line, match[4])
        zones.append(FreeBlocks(int(match[1]), _text(match[2]), counts, overflows))
    if not zones:
        raise Malformed("no zones")
    return zones


def parse_pagetypeinfo(data: bytes) -> PageTypes:
    """All nodes together: with several the file repeats itself, heads and all, for each.

    Raises Malformed, also where there are no zones.
    """
    head: dict[str, int] = {}
    free: list[TypedBlocks] = []
    tables: dict[bytes, list[BlockTypes]] = {_BLOCKS: [], _MIXED: []}
    table = b""
    types: list[str] = []
    for line in data.splitlines():
        if not line.strip():
            continue
        if match := _ROW.fullmatch(line):
            node, zone = int(match[1]), _text(match[2])
            counts, overflows = _counts(line, match[4])
            if table == _FREE and match[3] is not None:
                free.append(TypedBlocks(node, zone, _text(match[3]), counts, overflows))
            elif table in tables and match[3] is None and len(counts) == len(types):
                blocks = dict(zip(types, counts, strict=True))
                tables[table].append(BlockTypes(node, zone, blocks))
            else:
                raise Malformed(_quote(line))
        elif found := next((start for start in _HEADS if line.startswith(start)), None):
            value = _COUNT.fullmatch(line.removeprefix(found).strip())
            if not value:
                raise Malformed(_quote(line))
            head[_HEADS[found]] = _possible(line, value[2])
        elif found := next((start for start in (_FREE, *tables) if line.startswith(start)), None):
            table, types = found, list(map(_text, line.removeprefix(found).split()))
        else:
            raise Malformed(_quote(line))
    if not free and not tables[_BLOCKS]:
        raise Malformed("no zones")
    return PageTypes(
        head.get("order"),
        head.get("pages"),
        tuple(free),
        tuple(tables[_BLOCKS]),
        tuple(tables[_MIXED]),
    )


def _counts(line: bytes, words: bytes) -> tuple[tuple[int, ...], frozenset[int]]:
    matches = [_COUNT.fullmatch(word) for word in words.split()]
    found = [match for match in matches if match]
    if not found or len(found) < len(matches) or len(found) > _ORDERS_AT_MOST:
        raise Malformed(_quote(line))
    overflows = frozenset(order for order, match in enumerate(found) if match[1])
    return tuple(_possible(line, match[2]) for match in found), overflows


def _possible(line: bytes, digits: bytes) -> int:
    value = number(digits)
    if value is None:
        raise Malformed(_quote(line))
    return value


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _quote(line: bytes) -> str:
    return repr(line[:60])[1:]
