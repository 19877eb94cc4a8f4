"""`ReplaySource`: a recording where a live machine could be. It hands on the same Samples and maps,
and answers the same questions, of the moment at which it stands.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from memtui.frozen import FrozenDict
from memtui.kernel.details import Shares, read_shares
from memtui.kernel.files import Gap
from memtui.live.looker import read_map
from memtui.live.plan import Plan
from memtui.live.source import Reading
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.ondemand.question import Asked, GoOn, Question, begin
from memtui.recording.files import RecordedFiles
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.replay import Replay
from memtui.recording.store import Unusable


def _to_nobody(_reading: Reading) -> None:
    """Where readings go before there is a start."""


class ReplaySource:
    """One thread reads, from `start` to `stop`; all else may be called from another, at any time.

    `speed` is how many of the recording's seconds pass in one: 0 stands, as at first. `moment` is the
    one that was handed on last, `trouble` why another could not be, "" if it could.
    """

    def __init__(self, path: str, at: Moment | None = None) -> None:
        """Stands at a moment, the last if none is named. Raises Unusable, also where there is none."""
        self._recording = Recording(path)
        last = self._recording.last
        if last is None:
            self._recording.close()
            raise Unusable(f"{path}: nothing has been recorded yet")
        self.moment = at or last
        self.trouble = ""
        self._replay = Replay(self._recording)
        self._machine = self._replay.machine(self.moment)
        self._plan = Plan()
        self._post: Callable[[Reading], None] = _to_nobody
        self._wanted: Moment | None = self.moment
        self._steps = 0
        self._speed = 0.0
        self._looked: tuple[Moment, ProcessKey] | None = None
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replaying", daemon=True)

    # What a Source is.

    @property
    def interval_s(self) -> float:
        """That of the recorder."""
        return self._recording.run_of(self.moment).interval_s

    @interval_s.setter
    def interval_s(self, _value: float) -> None:
        """It was chosen when it was recorded."""

    @property
    def machine(self) -> Machine:
        """The one that was recorded, as its clock on the wall was at the moment."""
        return self._machine._replace(booted_s=self.moment.time_s - self.moment.boot_s)

    @property
    def silent_s(self) -> float:
        return 0.0

    def start(self, post: Callable[[Reading], None]) -> None:
        self._post = post
        self._woken.set()
        self._thread.start()

    def look_at(self, plan: Plan) -> None:
        with self._lock:
            if plan == self._plan:
                return
            self._plan = plan
            self._wanted = self._wanted or self.moment
        self._woken.set()

    def ask(self, question: Question[Any]) -> Asked:
        moment, machine, path = self.moment, self.machine, self._recording.path

        def answer(go_on: GoOn) -> Any:
            try:
                recording = Recording(path)
            except Unusable as error:
                return Gap(question.source, "failed", str(error))
            try:
                return question.answer(recording.files_at(moment), machine, go_on)
            except Unusable as error:
                return Gap(question.source, "failed", str(error))
            finally:
                recording.close()

        return begin(question, answer, self._post)

    def may_look_again(self) -> bool:
        """The moment has only one answer."""
        return False

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()
        self._recording.close()

    # Where it stands.

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        self._speed = value
        self._woken.set()

    def go_to(self, time_s: float) -> None:
        """To what the clock on the wall showed, in seconds since the epoch."""
        with self._lock:
            self._wanted, self._steps = Moment(time_s, -1.0, -1), 0
        self._woken.set()

    def go_to_moment(self, moment: Moment) -> None:
        with self._lock:
            self._wanted, self._steps = moment, 0
        self._woken.set()

    def step(self, ticks: int) -> None:
        """So many ticks on, or back."""
        with self._lock:
            self._steps += ticks
        self._woken.set()

    # Its thread's.

    def _run(self) -> None:
        played_s = time.monotonic()
        while not self._stopping.is_set():
            self._woken.wait(self._rest_s())
            self._woken.clear()
            if self._stopping.is_set():
                return
            now_s = time.monotonic()
            passed_s, played_s = now_s - played_s, now_s
            try:
                moment = self._next(passed_s)
                if moment is not None:
                    self._hand_on(moment)
                self.trouble = ""
            except Unusable as error:
                self.trouble = str(error)

    def _rest_s(self) -> float | None:
        """How long until it is time for another tick; None: until it is told."""
        if not self._speed:
            return None
        return max(0.02, min(1.0, self.interval_s / self._speed))

    def _next(self, passed_s: float) -> Moment | None:
        """The moment to go to; None: it stays."""
        with self._lock:
            wanted, steps = self._wanted, self._steps
            self._wanted, self._steps = None, 0
        recording = self._recording
        if wanted is not None and wanted.run < 0:
            wanted = recording.at(wanted.time_s)
        moment = wanted or self.moment
        if steps:
            moment = recording.step(moment, steps)
        elif wanted is None and self._speed:
            moment = self._played(passed_s * self._speed)
        return moment if wanted is not None or moment != self.moment else None

    def _played(self, seconds: float) -> Moment:
        """Where so much of the recording's time leads; a hole is passed over at once."""
        recording, now = self._recording, self.moment
        ticks = max(1, int(seconds / max(0.001, self.interval_s)))
        if now == recording.last:
            recording.refresh()
        return recording.step(now, ticks)

    def _hand_on(self, moment: Moment) -> None:
        plan = self._plan
        sample = self._replay.sample(moment, plan)
        self.moment = moment
        files = self._replay.files
        if plan.shares and files is not None:
            shares = {key: _shares(files, key, moment) for key in plan.shares}
            sample = sample._replace(shares=FrozenDict(shares))
        self._post(sample)
        key = plan.map_of
        if key is not None and files is not None and self._looked != (moment, key):
            self._looked = moment, key
            self._post(read_map(files, key, "smaps"))


def _shares(files: RecordedFiles, key: ProcessKey, moment: Moment) -> Shares | Gap:
    """What a process paid for, as it was last read."""
    if files.started(key.pid) != key.start_time_ticks:
        return Gap(f"proc/{key.pid}/smaps_rollup", "gone")
    return read_shares(files, key.pid, moment.boot_s)
