"""The past of a machine, below the screen: goes to moments of a recording, on a thread of its own, and
hands on what a session would have known at each.

A recording is what a live machine keeps in memory, or a file that is replayed: nothing here tells
them apart but `has_all`, whether graphs and events are the recording's too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from memtui.kernel.files import Gap
from memtui.live.plan import Plan
from memtui.model.machine import Machine
from memtui.model.shortage.events import Event
from memtui.ondemand.question import Answer, Asked, GoOn, Progress, Question, begin
from memtui.recording.recording import Recording
from memtui.recording.store import Unusable
from memtui.session.rebuild import Rebuilt
from memtui.session.wound import NoWound, Wound
from memtui.settings.values import Settings

_FRAME_S: Final = 0.05  # that a replay is played at, at most
_SPEEDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_SOON_S: Final = 0.15  # until what is shown is completed, where nobody goes on

Reply = Callable[[Wound | NoWound | Answer | Progress], None]


class _Wanted(NamedTuple):
    """Where to: a time, None the last moment, and so many ticks from there; of where it has come to, what
    was not kept of the time that was asked for."""

    time_s: float | None
    ticks: int
    plan: Plan
    epoch: int
    missing: str = ""


class Past:
    """`open_` opens the recording, on the thread; `kept` says what there is before that.

    `speed`: how many of its seconds pass in one, 0 stands. `events` are the recording's, where it
    `has_all`.
    """

    def __init__(
        self,
        open_: Callable[[], Recording],
        post: Reply,
        settings: Settings,
        machine: Callable[[], Machine] | None = None,
        kept: Callable[[], tuple[float, float] | None] | None = None,
        again: Callable[[], Recording] | None = None,
    ) -> None:
        """`machine` and `kept` are those of a machine that goes on; without, the recording's. `again`
        opens it once more, where `open_` does not."""
        self.has_all = machine is None
        self._open = open_
        self._again = again or open_
        self._post = post
        self._settings = settings
        self._machine = machine
        self._kept = kept
        self._rebuilt: Rebuilt | None = None
        self._wanted: _Wanted | None = None
        self._last: _Wanted | None = None  # what is shown, or being made
        self._speed = 0.0
        self._lock = threading.Lock()
        self._reading = threading.Lock()  # of the recording
        self._woken = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    # The interface's thread.

    @property
    def kept(self) -> tuple[float, float] | None:
        """From when to when, in seconds since boot; None: nothing is, or it is not known yet."""
        if self._kept is not None:
            return self._kept()
        return self._rebuilt.kept if self._rebuilt is not None else None

    @property
    def events(self) -> Sequence[Event]:
        return self._rebuilt.events if self._rebuilt is not None else ()

    @property
    def holes(self) -> Sequence[tuple[float, float]]:
        """Between which times nothing was recorded, of a recording that is replayed."""
        return self._rebuilt.holes if self._rebuilt is not None else ()

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        self._speed = value
        self._wake()

    def play(self) -> None:
        """Plays, or stands."""
        self.speed = 0.0 if self._speed else _SPEEDS[0]

    def play_faster(self) -> None:
        """At the next speed; from standing at the first."""
        self.speed = next((each for each in _SPEEDS if each > self._speed), _SPEEDS[-1])

    def play_slower(self) -> None:
        """At the speed before; from the first to standing."""
        self.speed = next((each for each in reversed(_SPEEDS) if each < self._speed), 0.0)

    def go_to(self, time_s: float | None, plan: Plan, epoch: int) -> None:
        """To the last moment at, or before, a time; None: to the last that there is."""
        self._want(_Wanted(time_s, 0, plan, epoch))

    def step(self, from_s: float, ticks: int, plan: Plan, epoch: int) -> None:
        """So many moments on, or back, from where it is, or is going; from a time, where it is nowhere
        yet."""
        with self._lock:
            last = self._wanted or self._last  # may not have been taken by whoever steps on
        if last is not None and last.epoch == epoch:
            self._want(last._replace(ticks=last.ticks + ticks, plan=plan, missing=""))
        else:
            self._want(_Wanted(from_s, ticks, plan, epoch))

    def step_by(self, from_s: float, seconds: float, plan: Plan, epoch: int) -> None:
        """So many seconds on, or back, from where it is, or is going; from a time, where it is nowhere
        yet."""
        with self._lock:
            last = self._wanted or self._last
        if last is not None and last.epoch == epoch and last.time_s is not None and not last.ticks:
            from_s = last.time_s
        self._want(_Wanted(from_s + seconds, 0, plan, epoch))

    def look_at(self, plan: Plan) -> None:
        """What is visible from now on, of the moment that is shown."""
        with self._lock:
            last = self._wanted or self._last
            if last is None or last.plan == plan:
                return
        self._want(last._replace(plan=plan))

    def stay(self) -> None:
        """Nobody wants to go anywhere any more."""
        with self._lock:
            self._wanted = self._last = None

    def ask(self, question: Question[Any], wound: Wound) -> Asked:
        """A question about a moment, answered by what was kept of it."""

        def answer(go_on: GoOn) -> Any:
            rebuilt = self._rebuilt
            assert rebuilt is not None
            try:
                with self._reading:
                    files = rebuilt.files_at(wound.moment, self._reading)
                return question.answer(files, wound.machine, go_on)
            except Unusable as error:
                return Gap(question.source, "failed", str(error))

        return begin(question, answer, self._post)

    def opened(self) -> Recording:
        """The recording once more, for another thread, which closes it. Raises Unusable."""
        return self._again()

    def stop(self) -> None:
        """Ends its thread, and closes the recording."""
        self._stopping = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _want(self, wanted: _Wanted) -> None:
        with self._lock:
            self._wanted = wanted
        self._wake()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="winding", daemon=True)
            self._thread.start()
        self._woken.set()

    # Its own.

    def _run(self) -> None:
        rest_s: float | None = None
        while not self._stopping:
            began_s = time.monotonic()
            self._woken.wait(rest_s)
            self._woken.clear()
            if self._stopping:
                break
            try:
                with self._reading:
                    # What it stood before it was told to play is not played.
                    rested_s = 0.0 if rest_s is None else time.monotonic() - began_s
                    rest_s = self._go_on(rested_s)
            except Unusable as error:
                rest_s = None
                self._complain(str(error))
        if self._rebuilt is not None:
            self._rebuilt.close()

    def _go_on(self, rested_s: float) -> float | None:
        """Makes what is wanted; how long to rest then, None: until it is told. Raises Unusable."""
        with self._lock:
            wanted, self._wanted = self._wanted, None
            if wanted is not None:
                self._last = wanted
            last = self._last
        if self._rebuilt is None:
            self._rebuilt = Rebuilt(self._open(), self._settings, self._machine)
        rebuilt = self._rebuilt
        if last is None:
            return None
        if wanted is not None:
            moment, missing = rebuilt.found(wanted.time_s, wanted.ticks)
            if moment is None:
                raise Unusable("nothing has been kept yet")
            missing = missing or wanted.missing
            wound = rebuilt.at(moment, wanted.plan)
            self._is_at(wound, last, missing)
            self._hand_on(wound, missing, last)
            return self._frame_s(rebuilt) if self._speed else _SOON_S
        if self._speed:
            moment = rebuilt.played(rested_s * self._speed)
            if moment is not None:
                wound = rebuilt.at(moment, last.plan)
                self._is_at(wound, last)
                self._hand_on(wound, "", last)
            return self._frame_s(rebuilt)
        whole = rebuilt.completed(last.plan, lambda: not self._woken.is_set())
        if whole is not None:
            self._hand_on(whole, rebuilt.missing, last)
        return None

    def _is_at(self, wound: Wound, last: _Wanted, missing: str = "") -> None:
        """Another plan, and a step, are from where it has come to."""
        with self._lock:
            if self._last is last:
                self._last = last._replace(time_s=wound.time_s, ticks=0, missing=missing)

    def _frame_s(self, rebuilt: Rebuilt) -> float:
        return max(_FRAME_S, min(1.0, rebuilt.interval_s / self._speed))

    def _hand_on(self, wound: Wound, missing: str, wanted: _Wanted) -> None:
        """Not what nobody wants any more."""
        assert self._rebuilt is not None
        self._rebuilt.missing = missing
        words = "; ".join(each for each in (missing, wound.missing) if each)
        self._post(wound._replace(epoch=wanted.epoch, missing=words))

    def _complain(self, why: str) -> None:
        with self._lock:
            last, self._last = self._last, None
        if last is not None:
            self._post(NoWound(last.epoch, why))
