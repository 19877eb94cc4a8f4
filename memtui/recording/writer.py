"""Ticks on their way into the file: each at once, as a row, and of each sixty a block.

Whoever samples hands them over and goes on: a disk that stalls or is full stops only the writer.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from memtui.defects import defect
from memtui.recording.codec import Block, Changes, packed_contents, versions_of
from memtui.recording.store import EventRow, Packed, Run, Running, Store, Summary, Time, words_of

BLOCK_TICKS: Final = 60
_BLOCKS_A_BASE: Final = 30
_QUEUED_AT_MOST: Final = 120  # ticks that wait for the disk
_UNWRITTEN_AT_MOST: Final = 30  # blocks that wait for room
_MEMORY_LEVEL: Final = 6  # of what is in no file: LZMA takes less room, and more of all else
_EVENTS_AT_MOST: Final = 500
_CLOCK_WAS_SET_MS: Final = 2000


class Tick(NamedTuple):
    """What one look at a machine adds to a recording. `events`' run is filled in by the writer."""

    time: Time
    changes: Changes
    figures: Mapping[str, float]
    events: tuple[EventRow, ...] = ()


class Keep(NamedTuple):
    """How long a recording goes back, in seconds, and how large it gets, in bytes; None: no limit."""

    age_s: float | None = None
    size_bytes: int | None = None


FOREVER: Final = Keep()


class Writer:
    """Writes on a thread of its own from `start` to `stop`. `trouble` says why nothing can be written
    now, "" while it can; `ticks` counts those that were written, `lost` those that never will be;
    `size_bytes` is what of the file was in use when a block was last written.
    """

    def __init__(self, store: Store, run: Run, keep: Keep = FOREVER) -> None:
        """Raises sqlite3.Error."""
        self.trouble = ""
        self.ticks = 0
        self.lost = 0
        self.size_bytes = 0
        self._store = store
        self._keep = keep
        self._zlib_level = _MEMORY_LEVEL if store.is_memory else 0
        with store.transaction():
            self._run = store.start_run(run)
        self._queue: queue.Queue[Tick | None] = queue.Queue(_QUEUED_AT_MOST)
        self._missed: Tick | None = None
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._state: dict[str, bytes] = {}
        self._base: dict[str, bytes] = {}
        self._base_id = 0
        self._blocks = 0  # that have been made of this base
        self._drifted: set[str] = set()  # names whose contents may differ from the base's
        self._block = Block()
        self._row = Block()  # the ticks of the block that have not been written yet
        self._times: list[Time] = []
        self._now_ms = 0
        self._summaries: dict[str, Summary] = {}
        self._events: deque[EventRow] = deque(maxlen=_EVENTS_AT_MOST)
        self._unwritten: deque[tuple[Packed, dict[str, Summary]]] = deque()

    def start(self) -> None:
        self._thread.start()

    def put(self, tick: Tick) -> None:
        """Hands a tick over, from one thread. Never waits: where the disk has not kept up, its moment
        is lost, and what changed in it stands in the next.
        """
        if self._missed is not None:
            changes = {**self._missed.changes, **tick.changes}
            tick = tick._replace(changes=changes, events=self._missed.events + tick.events)
        try:
            self._queue.put_nowait(tick)
            self._missed = None
        except queue.Full:
            self.lost += 1
            self._missed = tick._replace(events=tick.events[-_EVENTS_AT_MOST:])

    def wait(self) -> None:
        """Until all that was handed over has been taken."""
        self._queue.join()

    def stop(self) -> None:
        """Writes what is left; waits for that."""
        self._queue.put(None)
        self._thread.join()

    def close(self) -> None:
        """Nothing is written any more."""
        self._store.close()

    def _write(self) -> None:
        while (tick := self._queue.get()) is not None:
            try:
                self._take(tick)
            except Exception as error:  # a defect costs a tick, not the recording
                self.trouble = defect(error)
            self._queue.task_done()
        if self._times:
            self._roll()
        self._flush()

    def _take(self, tick: Tick) -> None:
        if self._times and _was_set(self._times[-1], tick.time):
            self._roll()  # in a block times go forward
        if not self._base_id or (not self._times and self._blocks >= _BLOCKS_A_BASE):
            self._rebase(tick.changes)
        else:
            self._add(tick.changes)
        self._times.append(tick.time)
        self._now_ms = tick.time.wall_ms
        for name, value in tick.figures.items():
            least, most, _ = self._summaries.get(name, (value, value, value))
            self._summaries[name] = min(least, value), max(most, value), value
        self._events.extend(event._replace(run=self._run) for event in tick.events)
        if len(self._times) >= BLOCK_TICKS:
            self._roll()
            self._flush()
            self._trim()
        elif self._flush():
            self._write_row()

    def _rebase(self, changes: Changes) -> None:
        """From here on what is known now is the base."""
        _apply(self._state, changes)
        data = packed_contents(self._state, zlib_level=self._zlib_level)
        try:
            with self._store.transaction():
                self._base_id = self._store.add_base(data)
        except sqlite3.Error as error:
            self._tell(error)
            if not self._base_id:
                raise
            self._add({})  # against the old one, which is there
            return
        self._base = dict(self._state)
        self._blocks = 0
        self._drifted.clear()
        self._add({})

    def _add(self, changes: Changes) -> None:
        before = self._state if self._times else self._base
        self._drifted.update(changes)
        if self._times:
            versions = versions_of(before, changes)
            _apply(self._state, changes)
        else:
            _apply(self._state, changes)
            now = {name: self._state.get(name) for name in self._drifted}
            restated = {name: each for name, each in now.items() if each != before.get(name)}
            self._drifted = set(restated)
            versions = versions_of(before, restated)
        self._block.add(versions)
        self._row.add(versions)

    def _roll(self) -> None:
        """The running block is whole."""
        data = self._block.packed(self._base, zlib_level=self._zlib_level)
        packed = Packed(self._run, self._base_id, tuple(self._times), data)
        self._unwritten.append((packed, self._summaries))
        if len(self._unwritten) > _UNWRITTEN_AT_MOST:
            self.lost += len(self._unwritten.popleft()[0].times)
        self._block, self._row = Block(), Block()
        self._times, self._summaries = [], {}
        self._blocks += 1

    def _flush(self) -> bool:
        """Writes the blocks that are whole; whether there are none left."""
        if not self._unwritten:
            return True
        try:
            with self._store.transaction():
                self._store.forget_recent()
                for packed, summaries in self._unwritten:
                    self._store.add_block(packed, summaries)
                self._write_events()
        except sqlite3.Error as error:
            self._tell(error)
            return False
        self._store.running = None
        self._written(sum(len(packed.times) for packed, _ in self._unwritten))
        self._unwritten.clear()
        return True

    def _write_row(self) -> None:
        """Writes what of the running block is not in the file yet."""
        if self._store.is_memory:
            self._store.running = Running(self._run, self._base_id, tuple(self._times), self._block)
            self._row = Block()
            return
        times = tuple(self._times[-self._row.ticks :])
        packed = Packed(self._run, self._base_id, times, self._row.packed(zlib_level=1))
        try:
            with self._store.transaction():
                self._store.add_recent(packed)
                self._write_events()
        except sqlite3.Error as error:
            self._tell(error)
            return
        self._row = Block()
        self._written(0)

    def _write_events(self) -> None:
        for event in self._events:
            self._store.add_event(event)

    def _written(self, ticks: int) -> None:
        self.ticks += ticks
        self.trouble = ""
        self._events.clear()

    def _trim(self) -> None:
        age_s, most = self._keep
        before = None if age_s is None else self._now_ms - round(age_s * 1000)
        try:
            if before is not None or most is not None:
                self._store.trim(before, most)
            self.size_bytes = self._store.size_bytes
        except sqlite3.Error as error:
            self._tell(error)

    def _tell(self, error: sqlite3.Error) -> None:
        self.trouble = words_of(error)


def _apply(state: dict[str, bytes], changes: Changes) -> None:
    for name, now in changes.items():
        if now is None:
            state.pop(name, None)
        else:
            state[name] = now


def _was_set(before: Time, now: Time) -> bool:
    """Whether the clock on the wall was set between two ticks, or the other one began anew."""
    passed_ms = now.boot_ms - before.boot_ms
    return passed_ms < 0 or abs(now.wall_ms - before.wall_ms - passed_ms) > _CLOCK_WAS_SET_MS
