"""How far zones are from their watermarks."""

from __future__ import annotations

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.zones import Zone, parse_zoneinfo
from memtui.model.system.zones import machine_distance, zone_distance, zone_distances
from tests.conftest import HOSTS, open_host

PAGE = 4096
PAGES = {"free": 500, "min": 100, "low": 200, "high": 300, "managed": 1000}


def zoneinfo(name: str) -> list[Zone]:
    found = open_host(name).parsed("proc/zoneinfo", parse_zoneinfo)
    assert not isinstance(found, Gap)
    return found


@pytest.mark.parametrize(
    ("free", "below"),
    [
        (500, None),
        (300, None),
        (299, "high"),
        (200, "high"),
        (199, "low"),
        (100, "low"),
        (0, "min"),
    ],
)
def test_which_watermark_it_is_below(free: int, below: str | None) -> None:
    distance = zone_distance(Zone(0, "Normal", PAGES | {"free": free}), PAGE)
    assert distance.below == below
    assert distance.to_min_bytes == (free - 100) * PAGE
    assert distance.to_low_bytes == (free - 200) * PAGE
    assert distance.to_high_bytes == (free - 300) * PAGE
    assert distance.headroom_pct == (free - 200) / 10


@pytest.mark.parametrize("missing", ["free", "min", "low", "high"])
def test_what_is_missing_is_unknown(missing: str) -> None:
    fields = {key: pages for key, pages in PAGES.items() if key != missing}
    distance = zone_distance(Zone(0, "Normal", fields), PAGE)
    known = {"min", "low", "high"} - {missing} if missing != "free" else set()
    for name in ("min", "low", "high"):
        assert (getattr(distance, f"to_{name}_bytes") is not None) == (name in known)
    assert machine_distance([distance]) is None
    assert distance.below is None


def test_present_pages_stand_in_for_managed_ones() -> None:
    """Managed is missing before 3.8."""
    for zone in zone_distances(zoneinfo("linux-3.2"), PAGE):
        assert zone.size_bytes and zone.headroom_pct is not None
    assert zone_distance(Zone(0, "Normal", {"free": 5}), PAGE).size_bytes is None


def test_empty_zones_are_below_nothing() -> None:
    """An empty Movable zone has watermarks of 32 pages, and nothing free."""
    movable = next(zone for zone in zoneinfo("numa") if (zone.node, zone.zone) == (0, "Movable"))
    assert movable.fields["min"] == 32
    distance = zone_distance(movable, PAGE)
    assert not distance.is_populated
    assert distance.below is None
    assert machine_distance([distance]) is None


def test_the_machine() -> None:
    distances = zone_distances(zoneinfo("numa"), PAGE)
    machine = machine_distance(distances)
    assert machine is not None
    populated = [zone for zone in distances if zone.is_populated]
    assert len(populated) == 5
    assert machine.free_bytes == sum(zone.free_bytes or 0 for zone in populated)
    assert machine.to_low_bytes == sum(zone.to_low_bytes or 0 for zone in populated)
    assert machine.to_min_bytes > machine.to_low_bytes > machine.to_high_bytes
    assert (machine.tightest.node, machine.tightest.zone) == (2, "Normal")
    assert machine.tightest.below == "high"
    assert machine.below_low == ()


def test_zones_below_low_are_named() -> None:
    machine = machine_distance(zone_distances(zoneinfo("linux-2.6.18-vendor"), PAGE))
    assert machine is not None
    assert [zone.zone for zone in machine.below_low] == ["HighMem"]
    assert machine.tightest.zone == "HighMem"


def test_the_reserve_is_for_other_zones_requests() -> None:
    zone = zone_distances(zoneinfo("debian-6.18"), PAGE)[0]
    assert zone.zone == "DMA"
    assert zone.reserve_bytes == 11595 * PAGE


@pytest.mark.parametrize("name", [name for name in HOSTS if name != "container"])
def test_every_host(name: str) -> None:
    machine = machine_distance(zone_distances(zoneinfo(name), PAGE))
    assert machine is not None
    assert machine.tightest.is_populated
    assert machine.to_min_bytes >= machine.to_low_bytes >= machine.to_high_bytes
