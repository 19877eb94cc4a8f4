"""`Recorder`: writes what a machine's files say into a recording, on threads of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from memtui.defects import defect
from memtui.kernel.files import Files
from memtui.live.clock import Clock, SystemClock
from memtui.live.ticks import Ticks
from memtui.model.sample import Sample
from memtui.model.shortage.alerts import AlertSettings, alert_settings
from memtui.recording.beginning import run_of, writer_of
from memtui.recording.collector import NO_MAPS, Collector, MapsWanted
from memtui.recording.observer import Observer
from memtui.recording.store import Time
from memtui.recording.writer import FOREVER, Keep, Tick


class Recorder:
    """From `start` to `stop` it records. `ticks` counts the looks; `writer` says what became of them."""

    def __init__(
        self,
        files: Files,
        path: str,
        interval_s: float = 1.0,
        *,
        maps: MapsWanted = NO_MAPS,
        keep: Keep = FOREVER,
        commands: bool = True,
        alerts: AlertSettings | None = None,
        clock: Clock | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """Opens the file, or goes on with it. Raises Unusable."""
        self.interval_s = interval_s
        self._clock = clock or SystemClock()
        self._wall_s = wall_s
        self._collector = Collector(files, maps, commands=commands, clock=self._clock)
        self._observer = Observer(
            self._collector.machine, alerts or alert_settings({}), commands=commands
        )
        run = run_of(files, self._collector.machine, interval_s, self._now())
        self.writer = writer_of(path, run, keep)
        self.ticks = 0
        self._defect = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._record, name="collecting", daemon=True)

    @property
    def trouble(self) -> str:
        """Why nothing is recorded now; "" while it is."""
        return self._defect or self.writer.trouble

    @property
    def lacking(self) -> tuple[str, ...]:
        """Whose maps are to be kept, and of whom there was no process when that was last looked for."""
        return self._collector.lacking

    def start(self) -> None:
        self.writer.start()
        self._thread.start()

    def stop(self) -> None:
        """Ends the file whole; waits for that. What is being read is read to its end first."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.writer.stop()
        self._collector.close()
        self.writer.close()

    @property
    def contents(self) -> Mapping[str, bytes]:
        """All that is known of the machine now, by the names of noted.py."""
        return self._collector.files.contents

    def tick(self, interval_s: float, skipped: int = 0) -> Sample:
        """One look, handed to the writer: what the thread does, and a test at its own pace."""
        now = self._now()
        sample = self._collector.tick(interval_s, skipped)
        figures, events = self._observer.see(sample, now)
        self.ticks += 1
        self.writer.put(Tick(now, self._collector.files.changes(), figures, events))
        return sample

    def _now(self) -> Time:
        return Time(round(self._wall_s() * 1000), round(self._clock.boot_s() * 1000))

    def _record(self) -> None:
        clock = self._clock
        ticks = Ticks(self.interval_s, clock.monotonic_s())
        while not self._stopping.wait(max(0.0, ticks.due_s - clock.monotonic_s())):
            began_s = clock.cpu_s()
            try:
                self.tick(ticks.interval_s, ticks.skipped)
                self._defect = ""
            except Exception as error:  # costs this moment, not the recording
                self._defect = defect(error)
            ticks.taken(clock.monotonic_s(), clock.cpu_s() - began_s)
