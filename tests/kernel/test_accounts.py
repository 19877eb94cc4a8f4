"""What other files than meminfo account for: ZFS, zones at a glance, call sites of the kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from memtui.kernel.accounts import NOTHING, read_accounts
from memtui.kernel.allocations import Allocation, parse_allocinfo
from memtui.kernel.files import Malformed
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.zfs import Arc, parse_arcstats
from memtui.kernel.zones import parse_zone_marks, parse_zoneinfo
from tests.conftest import HOSTS, open_host

ARCSTATS = b"""\
13 1 0x01 147 39984 5105393183 68219184402
name                            type data
hits                            4    18342
c_min                           4    1073741824
c_max                           4    17179869184
size                            4    8589934592
data_size                       4    7516192768
metadata_size                   4    536870912
hdr_size                        4    1048576
"""
ALLOCINFO = b"""\
allocinfo - version: 1.0
#     <size>  <calls> <tag info>
           0        0 init/main.c:1314 func:do_initcalls
     4194304     1024 mm/readahead.c:186 func:ractl_alloc_folio
      -65536      -16 mm/slub.c:2320 func:alloc_slab_page
      786432       48 drivers/net/leaky.c:77 [leaky] func:leaky_refill
"""


def test_the_cache_of_zfs() -> None:
    arc = parse_arcstats(ARCSTATS)
    assert arc == Arc(8 << 30, 1 << 30, 7516192768 + 536870912)
    assert arc.gives_way_bytes == 7 << 30
    # It may be below its own least while it warms up.
    assert parse_arcstats(b"c_min 4 200\nsize 4 100\n").gives_way_bytes == 0
    with pytest.raises(Malformed):
        parse_arcstats(b"name type data\n")


def test_who_in_the_kernel_holds_what() -> None:
    """A counter below zero holds nothing; the module is told where there is one."""
    assert parse_allocinfo(ALLOCINFO) == [
        Allocation(4194304, 1024, "mm/readahead.c", 186, "", "ractl_alloc_folio"),
        Allocation(786432, 48, "drivers/net/leaky.c", 77, "leaky", "leaky_refill"),
    ]
    with pytest.raises(Malformed):
        parse_allocinfo(b"slabinfo - version: 2.1\n")


@pytest.mark.parametrize("host", HOSTS)
def test_zones_at_a_glance_are_those_read_as_a_whole(host: str) -> None:
    data = open_host(host).read("proc/zoneinfo")
    if not isinstance(data, bytes):
        return
    for mark, zone in zip(parse_zone_marks(data), parse_zoneinfo(data), strict=True):
        assert (mark.node, mark.zone) == (zone.node, zone.zone)
        assert (mark.free_pages, mark.min_pages) == (zone.fields["free"], zone.fields["min"])
        assert mark.managed_pages == zone.fields.get("managed", zone.fields.get("present"))
        counts = [each["count"] for each in zone.pagesets]
        assert mark.on_lists_pages == (sum(counts) if counts else None)


def test_of_nothing_there_is_nothing(tmp_path: Path) -> None:
    assert read_accounts(LiveFiles(str(tmp_path)), 4096) == NOTHING
