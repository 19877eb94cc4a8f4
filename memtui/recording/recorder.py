"""`Recorder`: writes what a machine's files say into a recording, on threads of its own."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from memtui.defects import defect
from memtui.kernel.files import Files, Gap
from memtui.live.clock import Clock, SystemClock
from memtui.live.ticks import Ticks
from memtui.model.oom.deathwatch import DeathWatch
from memtui.model.sample import Sample
from memtui.model.shortage.alerts import AlertSettings, State, alert_settings, watch
from memtui.model.shortage.events import Event
from memtui.model.shortage.judge import Judge
from memtui.model.shortage.rules import ORDER
from memtui.model.system.metrics import METRICS
from memtui.recording.collector import NO_MAPS, Collector, MapsWanted
from memtui.recording.continuing import end_recent
from memtui.recording.store import EventRow, Run, Store, Time, Unusable, words_of
from memtui.recording.writer import FOREVER, Keep, Tick, Writer

if TYPE_CHECKING:
    from memtui.model.oom.obituary import Obituary

_BOOT_ID: Final = "proc/sys/kernel/random/boot_id"
_DIGITS: Final = 3  # after the point, of figures
# Beside the metrics: the verdict, by its place in model.shortage.rules.ORDER; -1: unknown.
VERDICT: Final = "verdict"


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
        self._observer = _Observer(self._collector, alerts or alert_settings({}), commands)
        self._store = Store(path)
        try:
            end_recent(self._store)
            self.writer = Writer(self._store, self._run(files), keep)
        except BaseException as error:
            self._store.close()
            if isinstance(error, sqlite3.Error):
                raise Unusable(f"{path} cannot be recorded to: {words_of(error)}") from None
            raise
        self.ticks = 0
        self._defect = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._record, name="collecting", daemon=True)

    @property
    def trouble(self) -> str:
        """Why nothing is recorded now; "" while it is."""
        return self._defect or self.writer.trouble

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
        self._store.close()

    @property
    def contents(self) -> Mapping[str, bytes]:
        """All that is known of the machine now, by the names of noted.py."""
        return self._collector.files.contents

    def tick(self, interval_s: float, skipped: int = 0) -> Sample:
        """One look, handed to the writer: what the thread does, and a test at its own pace."""
        now = Time(round(self._wall_s() * 1000), round(self._clock.boot_s() * 1000))
        sample = self._collector.tick(interval_s, skipped)
        figures, events = self._observer.see(sample, now)
        self.ticks += 1
        self.writer.put(Tick(now, self._collector.files.changes(), figures, events))
        return sample

    def _run(self, files: Files) -> Run:
        machine = self._collector.machine
        boot = files.read(_BOOT_ID)
        return Run(
            machine.name,
            "" if isinstance(boot, Gap) else boot.decode("ascii", "replace").strip(),
            machine.page_bytes,
            machine.ticks_per_s or 0,
            machine.architecture,
            self.interval_s,
            os.getpid(),
            round(self._wall_s() * 1000),
            round(self._clock.boot_s() * 1000),
        )

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


class _Observer:
    """Makes of samples the figures that are summarised, and the events."""

    def __init__(self, collector: Collector, alerts: AlertSettings, commands: bool) -> None:
        machine = collector.machine
        self._alerts = alerts
        self._commands = commands
        self._judge = Judge()
        self._watching = State()
        self._deaths = DeathWatch(machine.page_bytes, machine.hidden)
        self._before: Sample | None = None

    def see(self, sample: Sample, now: Time) -> tuple[dict[str, float], tuple[EventRow, ...]]:
        before, self._before = self._before, sample
        if before is not None and before.time_s >= sample.time_s:
            before = None
        values = {name: metric.value(sample, before) for name, metric in METRICS.items()}
        figures = {
            name: round(value, _DIGITS) for name, value in values.items() if value is not None
        }
        level = self._judge.see(sample).level
        figures[VERDICT] = ORDER.index(level) if level in ORDER else -1
        self._watching, found = watch(self._watching, self._alerts, sample, before, level)
        # One death is one event: whoever was counted has an obituary, or will have.
        rows = [_row(event, now) for event in found if event.kind != "oom_kill"]
        for event, obituary in self._deaths.see(sample):
            obituary = obituary._replace(map=None)  # which the recording has, if any
            if not self._commands:
                obituary = obituary._replace(command=None)
            rows.append(_row(event, now, obituary))
        return figures, tuple(rows)


def _row(event: Event, now: Time, obituary: Obituary | None = None) -> EventRow:
    boot_ms = round(event.time_s * 1000)
    wall_ms = now.wall_ms - (now.boot_ms - boot_ms)
    detail = "" if obituary is None else json.dumps(_plain(obituary))
    return EventRow(0, wall_ms, boot_ms, event.kind, event.level, event.text, event.metric, detail)


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if hasattr(value, "_asdict"):
        return {key: _plain(each) for key, each in value._asdict().items()}
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
