"""How far each zone is from its watermarks.

Below `low` kswapd begins to reclaim and stops above `high`; below `min` whoever allocates must
reclaim for himself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from memtui.kernel.zones import Zone

Watermark = Literal["min", "low", "high"]
WATERMARKS: Final[tuple[Watermark, ...]] = ("min", "low", "high")


class ZoneDistance(NamedTuple):
    """Free memory less each watermark: negative below it, None where either is not known.

    `below` is the lowest watermark that free memory does not reach; None also says "none of them",
    where `to_min_bytes` is known. `reserve_bytes` is what the zone keeps back from requests that
    another zone could have met: for them it comes on top of a watermark. `size_bytes` is what the
    allocator manages, before 3.8 what is present.
    """

    node: int
    zone: str
    size_bytes: int | None
    free_bytes: int | None
    min_bytes: int | None
    low_bytes: int | None
    high_bytes: int | None
    reserve_bytes: int
    to_min_bytes: int | None
    to_low_bytes: int | None
    to_high_bytes: int | None
    below: Watermark | None

    @property
    def is_populated(self) -> bool:
        return bool(self.size_bytes)

    @property
    def headroom_pct(self) -> float | None:
        """The distance to `low` as a share of the zone: of zones of all sizes, which is tighter."""
        if not self.size_bytes or self.to_low_bytes is None:
            return None
        return 100 * self.to_low_bytes / self.size_bytes


class MachineDistance(NamedTuple):
    """Sums over the populated zones that have watermarks, and the tightest of these.

    `below_low` are the zones that do not reach their low watermark.
    """

    free_bytes: int
    min_bytes: int
    low_bytes: int
    high_bytes: int
    tightest: ZoneDistance
    below_low: tuple[ZoneDistance, ...]

    @property
    def to_min_bytes(self) -> int:
        return self.free_bytes - self.min_bytes

    @property
    def to_low_bytes(self) -> int:
        return self.free_bytes - self.low_bytes

    @property
    def to_high_bytes(self) -> int:
        return self.free_bytes - self.high_bytes


def zone_size_pages(zone: Zone) -> int | None:
    """Pages that the allocator manages; those present on kernels before 3.8."""
    return zone.fields.get("managed", zone.fields.get("present"))


def reserve_pages(zone: Zone) -> int:
    """Pages kept back from requests that came from the highest zone, the usual ones."""
    return max(zone.protection_pages, default=0)


def zone_distance(zone: Zone, page_bytes: int) -> ZoneDistance:
    """One zone's; None wherever the kernel leaves a figure out."""

    def in_bytes(pages: int | None) -> int | None:
        return None if pages is None else pages * page_bytes

    def distance(mark: int | None) -> int | None:
        return None if free is None or mark is None else free - mark

    size = in_bytes(zone_size_pages(zone))
    free, min_bytes, low_bytes, high_bytes = (
        in_bytes(zone.fields.get(name)) for name in ("free", *WATERMARKS)
    )
    to_min, to_low, to_high = map(distance, (min_bytes, low_bytes, high_bytes))
    below: Watermark | None = None
    if size:
        for name, gap in zip(WATERMARKS, (to_min, to_low, to_high), strict=True):
            if below is None and gap is not None and gap < 0:
                below = name
    return ZoneDistance(
        node=zone.node,
        zone=zone.zone,
        size_bytes=size,
        free_bytes=free,
        min_bytes=min_bytes,
        low_bytes=low_bytes,
        high_bytes=high_bytes,
        reserve_bytes=reserve_pages(zone) * page_bytes,
        to_min_bytes=to_min,
        to_low_bytes=to_low,
        to_high_bytes=to_high,
        below=below,
    )


def zone_distances(zones: Iterable[Zone], page_bytes: int) -> list[ZoneDistance]:
    """Every zone's, empty ones too, in their order."""
    return [zone_distance(zone, page_bytes) for zone in zones]


def machine_distance(distances: Sequence[ZoneDistance]) -> MachineDistance | None:
    """The machine's; None where no populated zone tells its watermarks."""
    frees, mins, lows, highs = 0, 0, 0, 0
    known = []
    for zone in distances:
        headroom = zone.headroom_pct
        if headroom is None or zone.min_bytes is None or zone.high_bytes is None:
            continue
        frees += zone.free_bytes or 0
        mins += zone.min_bytes
        lows += zone.low_bytes or 0
        highs += zone.high_bytes
        known.append((headroom, zone))
    if not known:
        return None
    _, tightest = min(known, key=lambda item: item[0])
    below = tuple(zone for _, zone in known if zone.below in ("min", "low"))
    return MachineDistance(frees, mins, lows, highs, tightest, below)
