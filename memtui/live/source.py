"""Polls the kernel on threads of its own and hands on what it said.

Two threads: one ticks on a fixed grid (the machine and every process's statm), the other reads the
address space that is being looked at, whose reading takes as long as it is big. Neither imports,
waits for a disk, or touches the interface: they hand frozen values to a callback.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from memtui.frozen import FrozenDict
from memtui.kernel.files import Files, defect_gap
from memtui.live.clock import Clock, SystemClock
from memtui.live.looker import Looker
from memtui.live.machine import machine_of
from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.live.ticks import Ticks
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.model.map.addressmap import MapReading
from memtui.model.sample import ProcessSample, Sample, SystemSample
from memtui.ondemand.question import Answer, Asked, Progress, Question, begin

if TYPE_CHECKING:
    from memtui.live.deathsigns import DeathSigns  # imported when it is first wanted

Reading = Sample | MapReading | Answer | Progress
_CLOCK_WAS_SET_S: Final = 1.0
_ANSWERED_AGAIN_S: Final = 2.0
_ANSWERS: Final = "answers"  # their name in the budget


def _to_nobody(_reading: Reading) -> None:
    """Where readings go before there is a start."""


class Source(Protocol):
    """Where samples come from: a live machine, a captured tree, a recording, a test's list."""

    interval_s: float

    @property
    def machine(self) -> Machine:
        """Whose samples they are."""

    @property
    def silent_s(self) -> float:
        """How long ago the last sample was handed on."""

    def start(self, post: Callable[[Reading], None]) -> None:
        """Begins to hand on what it reads, from any thread."""

    def look_at(self, plan: Plan) -> None:
        """What is visible from now on."""

    def ask(self, question: Question[Any]) -> Asked:
        """Answers once, through the same channel as the samples; a Gap where it cannot."""

    def may_look_again(self) -> bool:
        """Whether the budget of repeated readings has room for one."""

    def stop(self) -> None:
        """Ends all calls; waits for the one under way."""


class LiveSource:
    """The kernel below a root, sampled every `interval_s` seconds."""

    def __init__(
        self,
        files: Files,
        interval_s: float = 1.0,
        machine: Machine | None = None,
        sampler: Sampler | None = None,
        clock: Clock | None = None,
        looked: Files | None = None,
    ) -> None:
        """A `sampler` of these files that has taken the first sample already goes on with it; `looked`:
        the same files, as maps and what processes pay for are read of them."""
        self.files = files
        self._machine = machine or machine_of(files)
        self._post: Callable[[Reading], None] = _to_nobody
        self._clock = clock or SystemClock()
        self._interval_s = interval_s
        self._plan = Plan()
        self._stopping = threading.Event()
        self._interval_changed = threading.Event()
        self._look_wanted = threading.Event()
        self._threads: list[threading.Thread] = []
        self.sampler = sampler or Sampler(files, self._clock)
        self._processes: Mapping[ProcessKey, ProcessSample] = FrozenDict()
        self.looked = looked or files
        self._signs: DeathSigns | None = None
        self._note: Callable[[Sample], None] = _to_nobody
        self._looker: Looker | None = None
        self._handed_on_s = self._clock.monotonic_s()
        self._answered_s = -_ANSWERED_AGAIN_S

    def watch_deaths(self, signs: DeathSigns) -> None:
        """From now on what it reads of deaths stands in the samples. From any thread."""
        self._signs = signs

    def note_with(self, note: Callable[[Sample], None]) -> None:
        """From now on each sample that was handed on is also told to whoever keeps what was read, on
        the thread that samples. From any thread."""
        self._note = note

    @property
    def machine(self) -> Machine:
        booted_s = time.time() - self._clock.boot_s()
        if abs(booted_s - (self._machine.booted_s or 0.0)) > _CLOCK_WAS_SET_S:
            self._machine = self._machine._replace(booted_s=booted_s)
        return self._machine

    @property
    def silent_s(self) -> float:
        """How long ago the last sample was handed on: a reading may hang, in the kernel too."""
        return self._clock.monotonic_s() - self._handed_on_s

    @property
    def interval_s(self) -> float:
        return self._interval_s

    @interval_s.setter
    def interval_s(self, value: float) -> None:
        self._interval_s = value
        self._interval_changed.set()

    def start(self, post: Callable[[Reading], None]) -> None:
        self._post = post
        self._looker = Looker(self.looked, post, self.sampler.budget, self._clock)
        self._threads = [
            threading.Thread(target=self._tick, args=(post,), name="sampling", daemon=True),
            threading.Thread(target=self._look, args=(self._looker,), name="looking", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def look_at(self, plan: Plan) -> None:
        if plan.fields:
            self.sampler.prepare()
        before, self._plan = self._plan, plan
        if plan.map_of != before.map_of or plan.shares - before.shares:
            self._look_wanted.set()
        is_more = plan.details is not None and (
            before.details is None or not plan.details <= before.details
        )
        if is_more or not plan.fields <= before.fields:
            self._interval_changed.set()  # a view that has just been opened waits for them

    def ask(self, question: Question[Any]) -> Asked:
        files, machine = self.files, self.machine
        return begin(question, lambda go_on: question.answer(files, machine, go_on), self._answered)

    def _answered(self, answer: Answer | Progress) -> None:
        question = answer.asked.question
        if isinstance(answer, Answer) and isinstance(question, Question) and question.is_repeated:
            self._answered_s = self._clock.monotonic_s()
            self.sampler.budget.charge(_ANSWERS, answer.cost_s)
        self._post(answer)

    def may_look_again(self) -> bool:
        if self._clock.monotonic_s() < self._answered_s + _ANSWERED_AGAIN_S:
            return False
        return self.sampler.budget.may(_ANSWERS, self._interval_s)

    def stop(self) -> None:
        self._stopping.set()
        self._interval_changed.set()
        self._look_wanted.set()
        for thread in self._threads:
            thread.join(timeout=0.1)  # a long reading ends by itself: they are daemons
        if not self._threads:
            self.sampler.close()

    def _look(self, looker: Looker) -> None:
        looker.run(lambda: self._plan, self._look_wanted, self._stopping)

    def _tick(self, post: Callable[[Reading], None]) -> None:
        clock, changed = self._clock, self._interval_changed
        # The first sample may have been a quick one, of the largest alone: soon take a whole one.
        soon = min(self._interval_s, 1.0) if self.sampler.ticks else 0.0
        ticks = Ticks(self._interval_s, clock.monotonic_s() + soon)
        while True:
            # A stop is heard at once, a new interval from its first tick on.
            if changed.wait(max(0.0, ticks.due_s - clock.monotonic_s())):
                if self._stopping.is_set():
                    self.sampler.close()
                    return
                changed.clear()
                ticks.restart(self._interval_s, clock.monotonic_s())
            began_s = clock.cpu_s()
            sample = self._sample(ticks.interval_s, ticks.skipped)
            post(sample)
            self._note(sample)
            cost_s = clock.cpu_s() - began_s
            self._handed_on_s = clock.monotonic_s()
            ticks.taken(self._handed_on_s, cost_s)

    def _sample(self, interval_s: float, skipped: int) -> Sample:
        """A sample. A defect in the making is a Gap in it: the thread must live, and be believed."""
        plan, looker = self._plan, self._looker
        try:
            sample = self.sampler.sample(interval_s, plan, skipped)
        except Exception as error:
            now = self._clock.boot_s()
            gap = defect_gap("sampling", error)
            system = SystemSample(gap, gap, gap)
            return Sample(now, interval_s, system, self._processes, skipped)
        self._processes = sample.processes
        if self._signs is not None:
            sample = sample._replace(signs=self._signs.read(sample, plan.visible))
        if interval_s > self._interval_s:
            sample = sample._replace(asked_s=self._interval_s)
        if plan.shares and looker is not None:
            sample = sample._replace(shares=looker.reader.known(sample.processes))
        return sample
