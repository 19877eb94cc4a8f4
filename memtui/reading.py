"""What is expensive to read of a process, by resident page: its map, and what it pays for.

One budget for all such readings together: 5 % of a core. See `LiveSource`, whose second thread
takes them in turn.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from heapq import nsmallest
from typing import Final

from memtui.kernel.details import Shares, read_shares
from memtui.kernel.files import Gap, KernelFiles
from memtui.kernel.maps import read_mappings
from memtui.kernel.process import parse_identity
from memtui.kernel.threads import Thread, read_threads, with_last_known
from memtui.model.addressmap import AddressMap, MapReading
from memtui.model.sample import ProcessKey

# Nothing is read again sooner than this, and all of it costs at most 5 % of a core, however big.
INTERVAL_S: Final = 2.0
COST_FACTOR: Final = 20
# On request all are read as soon as may be: the readings then take half a core.
_HASTE_FACTOR: Final = 1
_DENIED_AGAIN_S: Final = 30.0  # rights seldom change
# So many rows at once, unless they take longer: a thread that wakes costs as much as a small one.
_AT_ONCE: Final = 64
_AT_ONCE_S: Final = 0.01


def read_map(
    files: KernelFiles,
    key: ProcessKey,
    source: str,
    last: AddressMap | None = None,
    usage_gap: Gap | None = None,
) -> MapReading:
    """One reading of `maps` or `smaps`, told apart from that of another process with the pid.

    The threads are read with it but for a quick first look, which is `maps` without a `usage_gap`.
    """
    started = time.monotonic()
    name = f"proc/{key.pid}/{source}"
    mappings = read_mappings(files, key.pid, source)
    stat = files.parsed(f"proc/{key.pid}/stat", parse_identity)
    if isinstance(stat, Gap) or stat.starttime != key.start_time_ticks:
        return MapReading(key, Gap(name, "gone"), None, started, time.monotonic() - started)
    if isinstance(mappings, Gap):
        return MapReading(key, mappings, stat, started, time.monotonic() - started)
    threads: tuple[Thread, ...] = ()
    if stat.num_threads > 1 and (source == "smaps" or usage_gap is not None):
        before = last.threads if last else ()
        found = read_threads(files, key.pid)
        threads = before if isinstance(found, Gap) else with_last_known(found, before)
    map_ = AddressMap(key, mappings, stat.num_threads, last, usage_gap, thread_list=threads)
    return MapReading(key, map_, stat, started, time.monotonic() - started)


class ShareReader:
    """PSS and USS of the processes that are wanted, in turn: those never read, then the oldest.

    `shares` is what was read last of each. One thread reads; any other may copy it at any time.
    """

    def __init__(self, files: KernelFiles) -> None:
        self._files = files
        self.shares: dict[ProcessKey, Shares | Gap] = {}
        self._due: dict[ProcessKey, float] = {}

    def next_due(self, wanted: Collection[ProcessKey]) -> float | None:
        """When the first of these is due (monotonic); None where there are none."""
        due = self._due
        return min((due.get(key, 0.0) for key in wanted), default=None)

    def read(self, wanted: Collection[ProcessKey], now: float) -> float:
        """Reads some of those that are due; the seconds that took."""
        due = self._due
        started = time.monotonic()
        for key in nsmallest(_AT_ONCE, wanted, key=lambda key: due.get(key, 0.0)):
            if due.get(key, 0.0) > now or time.monotonic() - started > _AT_ONCE_S:
                break
            self._read(key)
        return time.monotonic() - started

    def _read(self, key: ProcessKey) -> None:
        boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        shares = read_shares(self._files, key.pid, boot_s)
        stat = self._files.parsed(f"proc/{key.pid}/stat", parse_identity)
        if isinstance(stat, Gap) or stat.starttime != key.start_time_ticks:
            shares = Gap(f"proc/{key.pid}/smaps_rollup", "gone")
        again = _DENIED_AGAIN_S if isinstance(shares, Gap) else INTERVAL_S
        self.shares[key] = shares
        self._due[key] = time.monotonic() + again

    def forget(self, alive: Collection[ProcessKey]) -> None:
        """Drops all but these."""
        for key in [key for key in self._due if key not in alive]:
            del self._due[key]
            self.shares.pop(key, None)


def rest_s(cost_s: float, hurry: bool = False) -> float:
    """How long nothing expensive is read after readings that took so long."""
    return cost_s * (_HASTE_FACTOR if hurry else COST_FACTOR)


def affordable(asked_s: float, now_s: float, cost_s: float) -> float:
    """The interval for ticks that take so much: the one asked for, or a multiple of it.

    It gets longer at once and shorter when there is room to spare, so that it does not swing.
    """
    times = max(1, math.ceil(cost_s * COST_FACTOR / asked_s))
    if now_s > asked_s and times * asked_s < now_s:
        times = max(1, math.ceil(1.3 * cost_s * COST_FACTOR / asked_s))
    return times * asked_s if times * asked_s > now_s else min(now_s, times * asked_s)
