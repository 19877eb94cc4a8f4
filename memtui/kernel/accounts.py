"""What other files than meminfo account for, and the zones that are short: little of each, every tick.

Source: /proc/zoneinfo, /sys/block/zram*/mm_stat, /proc/spl/kstat/zfs/arcstats; see zones, zram, zfs.
Permission: anyone. Cost: some 150 µs, more with many CPUs and block devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from memtui.kernel.files import Files, Gap
from memtui.kernel.zfs import ARCSTATS, Arc, parse_arcstats
from memtui.kernel.zones import ZoneMarks, parse_zone_marks
from memtui.kernel.zram import read_zrams


class Accounts(NamedTuple):
    """`lists_bytes`: free pages on the processors' own lists, which MemFree has not. `zram_bytes`: what
    all zram devices take. None: there is none of it, or it cannot be read.
    """

    lists_bytes: int | None = None
    zram_bytes: int | None = None
    arc: Arc | None = None
    zones: Sequence[ZoneMarks] = ()


NOTHING: Final = Accounts()


def read_accounts(files: Files, page_bytes: int) -> Accounts:
    """Whatever of it can be read."""
    zones = files.parsed("proc/zoneinfo", parse_zone_marks)
    known = () if isinstance(zones, Gap) else tuple(zones)
    counts = [zone.on_lists_pages for zone in known if zone.on_lists_pages is not None]
    taken = [each.mem_used_bytes for each in read_zrams(files) if each.mem_used_bytes is not None]
    arc = files.parsed(ARCSTATS, parse_arcstats)
    return Accounts(
        sum(counts) * page_bytes if counts else None,
        sum(taken) if taken else None,
        None if isinstance(arc, Gap) else arc,
        known,
    )
