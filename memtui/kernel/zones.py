"""Memory zones: their free pages, watermarks, per-CPU lists and counters.

Source: /proc/zoneinfo. Document: mm/vmstat.c's zoneinfo_show_print. Since: 2.6; managed 3.8.
Permission: anyone. Cost: some 100 µs, more with many CPUs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from memtui.frozen import FrozenDict
from memtui.kernel.files import Malformed
from memtui.kernel.values import number

_HEAD = re.compile(rb"Node (\d{1,9}), zone\s+(\S+)\s*")
_FIELD = re.compile(rb"\s+(?:pages )?([\w()]+(?: [\w()]+)*):?\s+(-?\d+)\s*")
_PROTECTION = re.compile(rb"\s+protection: \(([\d, ]*)\)\s*")
# 2.6.18 has two lists for each CPU, hot and cold: "cpu: 0 pcp: 1".
_CPU = re.compile(rb"\s+cpu: (\d{1,9})(?: pcp: (\d{1,9}))?\s*")
# Written below a zone's pagesets, and the zone's own again.
_AFTER_PAGESETS = frozenset(
    ("node_unreclaimable", "start_pfn", "all_unreclaimable", "prev_priority", "inactive_ratio")
)
_NOT_PLAIN = frozenset((b"cpu:", *(name.encode() for name in _AFTER_PAGESETS)))
_NOT_PLAIN |= {name + b":" for name in _NOT_PLAIN}


class Zone(NamedTuple):
    """One zone, keys verbatim and in pages; one whose number cannot be is not there.

    `fields` has free, min, low, high, spanned, present, managed, boost, cma … and nr_* counters;
    `node_stats` the node's totals, which stand inside its first zone only; `pagesets` a
    {cpu, count, high, batch …} each: their `high` is not the zone's watermark.
    """

    node: int
    zone: str
    fields: Mapping[str, int] = FrozenDict()
    node_stats: Mapping[str, int] = FrozenDict()
    protection_pages: Sequence[int] = ()
    pagesets: Sequence[Mapping[str, int]] = ()


class ZoneMarks(NamedTuple):
    """A zone's free pages, its lowest watermark, and what is free on the processors' own lists."""

    node: int
    zone: str
    free_pages: int
    min_pages: int
    managed_pages: int | None
    on_lists_pages: int | None

    @property
    def is_below_min(self) -> bool:
        """Whether only those who may take the last reserve get memory of it without reclaiming."""
        return self.managed_pages != 0 and self.free_pages < self.min_pages


class _Read:
    """A zone as far as it is read."""

    def __init__(self, node: int, name: str) -> None:
        self.node = node
        self.name = name
        self.fields: dict[str, int] = {}
        self.node_stats: dict[str, int] = {}
        self.protection: tuple[int, ...] = ()
        self.pagesets: list[dict[str, int]] = []

    def frozen(self) -> Zone:
        return Zone(
            self.node,
            self.name,
            FrozenDict(self.fields),
            FrozenDict(self.node_stats),
            self.protection,
            tuple(map(FrozenDict, self.pagesets)),
        )


_FREE = re.compile(rb"pages free\s+(\d{1,19})\s(?:\s+boost\s+\d+)?\s+min\s+(\d{1,19})\s")
# "present" before 3.8.
_MANAGED = re.compile(rb" (?:managed|present) +(\d{1,19})\n")
_COUNT = re.compile(rb"count: +(\d{1,19})\n")
_ZONE = re.compile(rb"^Node (\d{1,9}), zone\s+(\S+)", re.MULTILINE)


def parse_zone_marks(data: bytes) -> list[ZoneMarks]:
    """Of every zone what is wanted at each tick, in a tenth of the time that all of it takes."""
    heads = list(_ZONE.finditer(data))
    if not heads:
        raise Malformed(repr(data[:60])[1:])
    found = []
    for at, head in enumerate(heads):
        end = heads[at + 1].start() if at + 1 < len(heads) else len(data)
        own = data[head.end() : end]
        free = _FREE.search(own)
        if free is None:
            continue
        managed = _MANAGED.findall(own)
        counts = list(map(int, _COUNT.findall(own)))
        found.append(
            ZoneMarks(
                int(head[1]),
                head[2].decode("ascii", "replace"),
                int(free[1]),
                int(free[2]),
                int(managed[-1]) if managed else None,
                sum(counts) if counts else None,
            )
        )
    return found


def parse_zoneinfo(data: bytes) -> list[Zone]:
    """Every zone of every node, in the file's order. Raises Malformed where there are none."""
    zones: list[_Read] = []
    target: dict[str, int] = {}
    for line in data.splitlines():
        if line.startswith(b"Node") and (head := _HEAD.fullmatch(line)):
            zone = _Read(int(head[1]), head[2].decode("ascii", "replace"))
            zones.append(zone)
            target = zone.fields
            continue
        if not zones:
            raise Malformed(repr(line[:60].decode("ascii", "backslashreplace")))
        # Nine lines in ten are a name and a number.
        words = line.split()
        if len(words) == 2 and words[1].isdigit() and words[0] not in _NOT_PLAIN:
            value = number(words[1])
            if value is not None:
                target[words[0].rstrip(b":").decode("ascii", "replace")] = value
            continue
        word = line.strip()
        if word == b"per-node stats":
            target = zone.node_stats
        elif word == b"pagesets":
            target = {}
        elif cpu := _CPU.fullmatch(line):
            target = {"cpu": int(cpu[1])} | ({"pcp": int(cpu[2])} if cpu[2] else {})
            zone.pagesets.append(target)
        elif protection := _PROTECTION.fullmatch(line):
            pages = [number(word.strip()) for word in protection[1].split(b",") if word.strip()]
            zone.protection = tuple(each for each in pages if each is not None)
        elif match := _FIELD.fullmatch(line):
            key = match[1].decode("ascii", "replace")
            if word.startswith(b"pages free"):
                target = zone.fields  # the zone's own begin here, after its node's totals
            elif key in _AFTER_PAGESETS:
                target = zone.fields
            value = number(match[2])
            if value is not None:
                target[key] = value
    if not zones:
        raise Malformed("no zones")
    return [zone.frozen() for zone in zones]
