"""What is expensive to read of a process, by resident page: its map, and what it pays for.

A thread of its own takes them in turn, within the budget for all such readings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Container, Mapping
from heapq import nsmallest
from typing import Final

from memtui.frozen import FrozenDict
from memtui.kernel.details import Shares, read_shares
from memtui.kernel.files import Files, Gap, defect_gap
from memtui.kernel.maps import read_mappings
from memtui.kernel.process import Identity, read_identity
from memtui.kernel.threads import Thread, read_threads, with_last_known
from memtui.live.budget import Budget
from memtui.live.clock import Clock, SystemClock
from memtui.live.plan import Plan
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap, MapReading
from memtui.ondemand.bss import read_bss_ends

# Nothing is read again sooner than this.
INTERVAL_S: Final = 2.0
_SHARES_AGAIN_S: Final = 5.0
_DENIED_AGAIN_S: Final = 30.0  # rights seldom change
# So many rows at once, unless they take longer: a thread that wakes costs as much as a small one.
_AT_ONCE: Final = 64
_AT_ONCE_S: Final = 0.01
_MAP, _SHARES = "map", "shares"  # as they are known to the budget


def read_map(
    files: Files,
    key: ProcessKey,
    source: str,
    last: AddressMap | None = None,
    usage_gap: Gap | None = None,
    clock: Clock | None = None,
) -> MapReading:
    """One reading of `maps` or `smaps`, told apart from that of another process with the pid.

    The threads are read with it, and where libraries' bss ends, but for a quick first look, which is
    `maps` without a `usage_gap`.
    """
    clock = clock or SystemClock()
    started = clock.monotonic_s()

    def reading(map_: AddressMap | Gap, stat: Identity | None) -> MapReading:
        return MapReading(key, map_, stat, started, clock.monotonic_s() - started)

    mappings = read_mappings(files, key.pid, source)
    stat = read_identity(files, key.pid)
    if isinstance(stat, Gap) or stat.starttime != key.start_time_ticks:
        return reading(Gap(f"proc/{key.pid}/{source}", "gone"), None)
    if isinstance(mappings, Gap):
        return reading(mappings, stat)
    threads: tuple[Thread, ...] = ()
    bss_ends: Mapping[int, int] = FrozenDict()
    is_whole = source == "smaps" or usage_gap is not None
    if is_whole and last is not None and mappings.same_layout(last.mappings):
        bss_ends = last.bss_ends
    elif is_whole:
        bss_ends = read_bss_ends(files, key.pid, mappings)
    if is_whole and stat.num_threads > 1:
        before = last.threads if last else ()
        found = read_threads(files, key.pid)
        threads = before if isinstance(found, Gap) else with_last_known(found, before)
    map_ = AddressMap(
        key,
        mappings,
        stat.num_threads,
        last,
        usage_gap,
        thread_list=threads,
        bss_ends=bss_ends,
    )
    return reading(map_, stat)


class ShareReader:
    """PSS and USS of the processes that are wanted, in turn: those never read, then the oldest.

    `shares` is what was read last of each. One thread reads; any other may copy it at any time.
    """

    def __init__(self, files: Files, clock: Clock | None = None) -> None:
        self._files = files
        self._clock = clock or SystemClock()
        self.shares: dict[ProcessKey, Shares | Gap] = {}
        self._due: dict[ProcessKey, float] = {}

    def next_due(self, wanted: Collection[ProcessKey]) -> float | None:
        """When the first of these is due (monotonic); None where there are none."""
        due = self._due
        return min((due.get(key, 0.0) for key in wanted), default=None)

    def read(self, wanted: Collection[ProcessKey], now: float) -> float:
        """Reads some of those that are due; the seconds that took."""
        due = self._due
        started = self._clock.monotonic_s()
        for key in nsmallest(_AT_ONCE, wanted, key=lambda key: due.get(key, 0.0)):
            if due.get(key, 0.0) > now or self._clock.monotonic_s() - started > _AT_ONCE_S:
                break
            try:
                shares = self._read(key)
            except Exception as error:
                shares = defect_gap(f"proc/{key.pid}/smaps_rollup", error)
            self.shares[key] = shares
            # All of one turn at the same time again, or the thread would wake for each of them.
            due[key] = now + (_DENIED_AGAIN_S if isinstance(shares, Gap) else _SHARES_AGAIN_S)
        return self._clock.monotonic_s() - started

    def _read(self, key: ProcessKey) -> Shares | Gap:
        shares = read_shares(self._files, key.pid, self._clock.boot_s())
        stat = read_identity(self._files, key.pid)
        if isinstance(stat, Gap) or stat.starttime != key.start_time_ticks:
            return Gap(f"proc/{key.pid}/smaps_rollup", "gone")
        return shares

    def known(self, alive: Container[ProcessKey]) -> Mapping[ProcessKey, Shares | Gap]:
        """What was read last of those that are alive; the others are forgotten."""
        shares = dict(self.shares)  # at once: the other thread goes on
        for key in [key for key in shares if key not in alive]:
            del shares[key]
            self.shares.pop(key, None)
            self._due.pop(key, None)
        return FrozenDict(shares)


class Looker:
    """The map that is looked at, its layout at once and its usage after, and what the processes in
    the list pay for. `run` is a thread's.

    What somebody has just gone to is read at once, whatever has been read before.
    """

    def __init__(
        self,
        files: Files,
        on_map: Callable[[MapReading], None],
        budget: Budget | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._budget = budget or Budget(self._clock)
        self.reader = ShareReader(files, self._clock)
        self._files = files
        self._on_map = on_map
        self._looked: ProcessKey | None = None
        self._last: AddressMap | None = None
        self._map_due = 0.0
        self._had_shares = False

    def run(
        self, wanted: Callable[[], Plan], woken: threading.Event, stopping: threading.Event
    ) -> None:
        """Reads what is wanted when it is due, until it is told to stop."""
        wait: float | None = None
        while True:
            woken.wait(wait)
            woken.clear()
            if stopping.is_set():
                return
            wait = self.look(wanted)

    def look(self, wanted: Callable[[], Plan]) -> float | None:
        """Reads what is due; how long to wait before the next, None: until something is wanted.

        Never raises: a defect is a Gap in what is handed on.
        """
        plan, started = wanted(), self._clock.monotonic_s()
        try:
            return self._look(plan, wanted)
        except Exception as error:
            self._last = None
            self._map_due = self._clock.monotonic_s() + INTERVAL_S
            if plan.map_of is not None:
                gap = defect_gap(f"proc/{plan.map_of.pid}/smaps", error)
                took = self._clock.monotonic_s() - started
                self._on_map(MapReading(plan.map_of, gap, None, started, took))
            return INTERVAL_S

    def _look(self, plan: Plan, wanted: Callable[[], Plan]) -> float | None:
        key, now = plan.map_of, self._clock.monotonic_s()
        if key != self._looked:
            self._looked, self._last, self._map_due = key, None, now
        is_new = key is not None and self._last is None and now >= self._map_due
        if key is not None and is_new:
            self._map_due = now + INTERVAL_S
            reading = self._read_map(key, "maps")
            if wanted().map_of != key:
                return 0.0  # somebody has gone on to the next already
            self._on_map(reading)
            if isinstance(reading.map, Gap):
                is_new = False  # no usage either
        self._read_shares(plan, now)
        if key is not None and (
            is_new or (self._last is not None and now >= self._map_due and self._budget.may(_MAP))
        ):
            self._read_usage(key, wanted)
            self._map_due = self._clock.monotonic_s() + INTERVAL_S
        now = self._clock.monotonic_s()
        waits = []
        if key is not None:
            waits.append(max(self._map_due - now, self._budget.wait_s(_MAP)))
        if (due := self.reader.next_due(plan.shares)) is not None:
            waits.append(max(due - now, self._budget.wait_s(_SHARES)))
        return max(0.001, min(waits)) if waits else None

    def _read_shares(self, plan: Plan, now: float) -> None:
        is_new = bool(plan.shares) and not self._had_shares
        self._had_shares = bool(plan.shares)
        due = self.reader.next_due(plan.shares)
        if due is not None and due <= now and (is_new or self._budget.may(_SHARES)):
            self._budget.charge(_SHARES, self.reader.read(plan.shares, now), hurry=plan.hurry)

    def _read_usage(self, key: ProcessKey, wanted: Callable[[], Plan]) -> None:
        """The whole map of a process, handed on."""
        reading = self._read_map(key, "smaps")
        if isinstance(reading.map, Gap) and reading.map.reason == "absent":
            reading = self._read_map(key, "maps", reading.map)
        if isinstance(reading.map, AddressMap):
            self._last = reading.map
        if wanted().map_of == key:
            self._on_map(reading)

    def _read_map(self, key: ProcessKey, source: str, usage_gap: Gap | None = None) -> MapReading:
        reading = read_map(self._files, key, source, self._last, usage_gap, self._clock)
        self._budget.charge(_MAP, reading.cost_s)
        return reading
