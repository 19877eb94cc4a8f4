"""`LastHour`: keeps what a dashboard reads, for an hour in memory, and while it is recorded in a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from memtui.defects import defect
from memtui.live.clock import Clock, SystemClock
from memtui.model.machine import Machine
from memtui.model.sample import Sample
from memtui.model.shortage.alerts import AlertSettings
from memtui.recording.beginning import make_room, run_of, writer_of
from memtui.recording.codec import Changes
from memtui.recording.looked import LookedFiles
from memtui.recording.noted import NotedFiles
from memtui.recording.observer import Observer
from memtui.recording.recording import Recording
from memtui.recording.rounds import Rounds
from memtui.recording.store import MEMORY, Store, Time, Unusable, default_path
from memtui.recording.writer import Keep, Tick, Writer

# The budget: a machine with 1,000 processes takes some 6 MB an hour.
HOUR: Final = Keep(3600.0, 16 << 20)
_NEW_AT_MOST: Final = 40  # processes that are read in full, a tick


class LastHour:
    """`note` is the sampling thread's, all else the interface's, but for `opened`.

    What is kept in memory is a recording as one in a file is, and is read by the same means.
    """

    def __init__(
        self,
        noted: NotedFiles,
        looked: LookedFiles,
        machine: Machine,
        alerts: AlertSettings,
        interval_s: float = 1.0,
        keep: Keep = HOUR,
        clock: Clock | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """`noted` is what the sampler reads, `looked` what is read of address spaces."""
        self._noted = noted
        self._looked = looked
        self._machine = machine
        self._alerts = alerts
        self._clock = clock or SystemClock()
        self._wall_s = wall_s
        # What samples are made of is read for them alone: the same is shown again.
        self._rounds = Rounds(noted, new_at_most=_NEW_AT_MOST, of_new=())
        self._store = Store(MEMORY)
        self._run = run_of(noted, machine, interval_s, self._now())
        self._writer = Writer(self._store, self._run, keep)
        self._file: Writer | None = None
        self._is_new = False  # the file, which has nothing of what is known yet
        self._observer: Observer | None = None
        self._known: dict[str, bytes] = {}  # of address spaces
        self._defect = ""
        self._began_s: float | None = None
        self._last_s = 0.0
        self._lock = threading.Lock()  # of the file's writer
        self._ending: list[threading.Thread] = []
        self._writer.start()
        self.recording = ""

    def note(self, sample: Sample) -> None:
        """What was read for a sample, and since the one before it. Never raises."""
        try:
            self._rounds.read(sample)
            looked = self._looked.take({key.pid for key in sample.processes})
            changes = {**self._noted.changes(), **looked}
            now = self._now()._replace(boot_ms=round(sample.time_s * 1000))
            self._writer.put(Tick(now, changes, {}))
            self._began_s = sample.time_s if self._began_s is None else self._began_s
            self._last_s = sample.time_s
            for name, data in looked.items():
                if data is None:
                    self._known.pop(name, None)
                else:
                    self._known[name] = data
            with self._lock:
                self._write(sample, now, changes)
            self._defect = ""
        except Exception as error:  # costs this moment, not the samples
            self._defect = defect(error)

    def _write(self, sample: Sample, now: Time, changes: Changes) -> None:
        if self._file is None or self._observer is None:
            return
        figures, events = self._observer.see(sample, now)
        if self._is_new:
            self._is_new, changes = False, {**self._noted.contents, **self._known}
        self._file.put(Tick(now, changes, figures, events))

    @property
    def kept(self) -> tuple[float, float] | None:
        """From when to when, in seconds since boot."""
        if self._began_s is None:
            return None
        with self._store.lock:
            (first_ms,) = self._store.database.execute(
                "select min(first_boot) from block"
            ).fetchone()
        first_s = self._began_s if first_ms is None else first_ms / 1000
        return first_s, self._last_s

    def opened(self) -> Recording:
        """It, to be read on any one thread. Raises Unusable."""
        return Recording(MEMORY, self._store)

    @property
    def size_bytes(self) -> int:
        """What the blocks take."""
        return self._store.size_bytes

    def _now(self) -> Time:
        return Time(round(self._wall_s() * 1000), round(self._clock.boot_s() * 1000))

    # In a file.

    @property
    def trouble(self) -> str:
        """Why nothing can be written to the file now; "" while it can."""
        with self._lock:
            return self._file.trouble or self._defect if self._file is not None else ""

    def record_to(self, path: str = "") -> str:
        """From now on what is read is also written to a file, or goes on in one of memtui's; without a
        path to the default place. What was wrong with it; "" where nothing was."""
        self.stop_recording()
        try:
            if not path:
                path = default_path()
                make_room(path)
            run = self._run._replace(**self._now()._asdict())
            writer = writer_of(path, run)
        except Unusable as error:
            return str(error)
        writer.start()
        with self._lock:
            self._observer = Observer(self._machine, self._alerts)
            self._file, self._is_new, self.recording = writer, True, path
        return ""

    def stop_recording(self) -> None:
        """Ends the file whole, on a thread: `close` waits for it."""
        with self._lock:
            writer, self._file, self._observer, self.recording = self._file, None, None, ""
        if writer is not None:
            thread = threading.Thread(target=_end, args=(writer,), name="ending", daemon=True)
            thread.start()
            self._ending.append(thread)

    def close(self) -> None:
        """Ends what is written to a file. What is in memory goes with the program."""
        self.stop_recording()
        for thread in self._ending:
            thread.join()


def _end(writer: Writer) -> None:
    writer.stop()
    writer.close()
