"""What is expensive to read of a process, by resident page: its map, and what it pays for.

One budget for all such readings together: 5 % of a core. A thread of its own takes them in turn.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Container, Set
from heapq import nsmallest
from typing import Final, Protocol

from memtui.kernel.details import Shares, read_shares
from memtui.kernel.files import Files, Gap, defect_gap
from memtui.kernel.maps import read_mappings
from memtui.kernel.process import parse_identity
from memtui.kernel.threads import Thread, read_threads, with_last_known
from memtui.kernel.uptime import since_boot_s
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap, MapReading

# Nothing is read again sooner than this, and all of it costs at most 5 % of a core, however big.
INTERVAL_S: Final = 2.0
COST_FACTOR: Final = 20
# On request all are read as soon as may be: the readings then take half a core.
_HASTE_FACTOR: Final = 1
_SHARES_AGAIN_S: Final = 5.0
_DENIED_AGAIN_S: Final = 30.0  # rights seldom change
# So many rows at once, unless they take longer: a thread that wakes costs as much as a small one.
_AT_ONCE: Final = 64
_AT_ONCE_S: Final = 0.01


def read_map(
    files: Files,
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

    def __init__(self, files: Files) -> None:
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
            self._read(key, now)
        return time.monotonic() - started

    def _read(self, key: ProcessKey, now: float) -> None:
        boot_s = since_boot_s()
        shares = read_shares(self._files, key.pid, boot_s)
        stat = self._files.parsed(f"proc/{key.pid}/stat", parse_identity)
        if isinstance(stat, Gap) or stat.starttime != key.start_time_ticks:
            shares = Gap(f"proc/{key.pid}/smaps_rollup", "gone")
        again = _DENIED_AGAIN_S if isinstance(shares, Gap) else _SHARES_AGAIN_S
        self.shares[key] = shares
        # All of one turn at the same time again, or the thread would wake for each of them.
        self._due[key] = now + again

    def known(self, alive: Container[ProcessKey]) -> dict[ProcessKey, Shares | Gap]:
        """What was read last of those that are alive; the others are forgotten."""
        shares = dict(self.shares)  # at once: the other thread goes on
        for key in [key for key in shares if key not in alive]:
            del shares[key]
            self.shares.pop(key, None)
            self._due.pop(key, None)
        return shares


class Wanted(Protocol):
    """What of a plan is expensive; see `sampling.Plan`."""

    @property
    def map_of(self) -> ProcessKey | None: ...
    @property
    def shares(self) -> Set[ProcessKey]: ...
    @property
    def hurry(self) -> bool: ...


class Looker:
    """The map that is looked at, its layout at once and its usage after, and what the processes in
    the list pay for. `run` is a thread's.
    """

    def __init__(self, files: Files, on_map: Callable[[MapReading], None]) -> None:
        self.reader = ShareReader(files)
        self._files = files
        self._on_map = on_map
        self._looked: ProcessKey | None = None
        self._last: AddressMap | None = None
        self._map_due = 0.0
        self._rested = 0.0  # nothing is read before, unless somebody has just gone to it

    def run(
        self, wanted: Callable[[], Wanted], woken: threading.Event, stopping: threading.Event
    ) -> None:
        """Reads what is wanted when it is due, until it is told to stop."""
        wait: float | None = None
        while True:
            woken.wait(wait)
            woken.clear()
            if stopping.is_set():
                return
            now = wanted()
            started = time.monotonic()
            try:
                wait = self._look(now, wanted)
            except Exception as error:
                wait = INTERVAL_S
                self._last = None
                if now.map_of is not None:
                    gap = defect_gap(f"proc/{now.map_of.pid}/smaps", error)
                    took = time.monotonic() - started
                    self._on_map(MapReading(now.map_of, gap, None, started, took))

    def _look(self, plan: Wanted, wanted: Callable[[], Wanted]) -> float | None:
        """Reads what is due; how long to wait before the next, None: until something is wanted."""
        key, cost, now = plan.map_of, 0.0, time.monotonic()
        if key is not None and (
            key != self._looked or (self._last is None and now >= self._map_due)
        ):
            self._looked, self._last = key, None
            reading = read_map(self._files, key, "maps")
            if wanted().map_of != key:
                return 0.0  # somebody has gone on to the next already
            self._on_map(reading)
            self._map_due = now + INTERVAL_S
            if not isinstance(reading.map, Gap):
                self._map_due = self._rested = now  # read whole at once
        if now >= self._rested and plan.shares:
            cost += self.reader.read(plan.shares, now)
        if key is not None and now >= max(self._map_due, self._rested):
            cost += self._read_usage(key, wanted)
            self._map_due = time.monotonic() + INTERVAL_S
        if cost:
            factor = _HASTE_FACTOR if plan.hurry else COST_FACTOR
            self._rested = time.monotonic() + cost * factor
        due = self.reader.next_due(plan.shares)
        if key is not None:
            due = self._map_due if due is None else min(due, self._map_due)
        return None if due is None else max(0.001, max(due, self._rested) - time.monotonic())

    def _read_usage(self, key: ProcessKey, wanted: Callable[[], Wanted]) -> float:
        """The whole map of a process, handed on; the seconds that took."""
        started = time.monotonic()
        reading = read_map(self._files, key, "smaps", self._last)
        if isinstance(reading.map, Gap) and reading.map.reason == "absent":
            reading = read_map(self._files, key, "maps", self._last, reading.map)
        if isinstance(reading.map, AddressMap):
            self._last = reading.map
        if wanted().map_of == key:
            self._on_map(reading)
        return time.monotonic() - started


def affordable(asked_s: float, now_s: float, cost_s: float) -> float:
    """The interval for ticks that take so much: the one asked for, or a multiple of it.

    It gets longer at once and shorter when there is room to spare, so that it does not swing.
    """
    times = max(1, math.ceil(cost_s * COST_FACTOR / asked_s))
    if now_s > asked_s and times * asked_s < now_s:
        times = max(1, math.ceil(1.3 * cost_s * COST_FACTOR / asked_s))
    return times * asked_s if times * asked_s > now_s else min(now_s, times * asked_s)
