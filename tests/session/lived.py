"""A machine that is lived with: sampled, shown and kept, tick after tick, at a test's pace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memtui.kernel.files import Files
from memtui.live.looker import read_map
from memtui.live.machine import machine_of
from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.live.source import Reading
from memtui.model.machine import Machine
from memtui.model.sample import Sample
from memtui.ondemand.question import Answer, Asked, Progress, Question, begin
from memtui.recording.lasthour import HOUR, LastHour
from memtui.recording.looked import LookedFiles
from memtui.recording.noted import NotedFiles
from memtui.recording.writer import Keep
from memtui.session.inbox import Inbox
from memtui.session.past import Past
from memtui.session.session import Session, Taken
from memtui.session.wound import NoWound, Wound
from memtui.settings.values import DEFAULTS
from tests.recorded import FakeClock
from tests.terminal import wait_until


class Standing:
    """A source whose samples come from the test."""

    interval_s = 1.0
    silent_s = 0.0

    def __init__(self, files: Files, machine: Machine, inbox: Inbox) -> None:
        self.files = files
        self.machine = machine
        self._inbox = inbox

    def start(self, post: Any) -> None:
        """Nothing comes by itself."""

    def look_at(self, plan: Plan) -> None:
        """Whatever is wanted is read by the test."""

    def ask(self, question: Question[Any]) -> Asked:
        files, machine = self.files, self.machine
        return begin(
            question, lambda go_on: question.answer(files, machine, go_on), self._inbox.put
        )

    def may_look_again(self) -> bool:
        return True

    def stop(self) -> None:
        """Nothing goes on."""


class Lived:
    """`shown` are the moments as they were shown, by their times."""

    def __init__(
        self, files: Files, clock: FakeClock, keep: Keep = HOUR, wall_s: float = 1_800_000_000.0
    ) -> None:
        self.clock = clock
        self._to_wall_s = wall_s - clock.now_s
        self.noted = NotedFiles(files)
        self.looked = LookedFiles(files, clock)
        machine = machine_of(files)
        self.noted.page_bytes = machine.page_bytes
        self.machine = machine._replace(booted_s=self._to_wall_s)
        self.sampler = Sampler(self.noted, clock)
        self.inbox = Inbox()
        self.session = Session(Standing(files, self.machine, self.inbox), DEFAULTS)
        self.hour = LastHour(
            self.noted,
            self.looked,
            self.machine,
            DEFAULTS.alerts,
            keep=keep,
            clock=clock,
            wall_s=lambda: clock.now_s + self._to_wall_s,
        )
        self.session.kept_by = self.hour
        self.session.past = Past(
            self.hour.opened,
            self.inbox.put,
            DEFAULTS,
            machine=lambda: self.machine,
            kept=lambda: self.hour.kept,
        )
        self.shown: dict[float, tuple[Sample, str]] = {}

    def tick(self, seconds: float = 1.0, plan: Plan | None = None) -> Sample:
        self.clock.now_s = round(self.clock.now_s + seconds, 3)
        plan = plan or Plan(map_of=self.session.chosen.key, fields=self.session.fields)
        sample = self.sampler.sample(1.0, plan)
        self.session.take(sample)
        verdict = self.session.seen["host"].verdict
        self.shown[sample.time_s] = sample, (verdict.level or "") if verdict else ""
        self.hour.note(sample)
        if len(self.shown) % 50 == 49:  # faster than a clock: the writer would be left behind
            self.wait_until_kept()
        return sample

    def look(self) -> None:
        """Reads the chosen one's map, as the looking thread does."""
        key = self.session.chosen.key
        assert key is not None
        self.session.take(read_map(self.looked, key, "smaps", clock=self.clock))

    def wait_until_kept(self) -> None:
        last = round(self.clock.now_s, 3)

        def is_kept() -> bool:
            moment = self.hour.opened().last
            return moment is not None and moment.boot_s == last

        wait_until(is_kept)

    def next(self, at_s: float | None = None) -> Taken:
        """Waits for a moment of the past, and takes it; with `at_s` for the one of that time, as the one
        before may be completed meanwhile."""
        found: list[Taken] = []

        def has_come() -> bool:
            while (reading := self.inbox.take()) is not None:
                assert not isinstance(reading, Answer | Progress)
                taken = self.session.take(reading)
                if isinstance(reading, NoWound) or (
                    isinstance(reading, Wound) and at_s in (None, reading.time_s)
                ):
                    found.append(taken)
            return bool(found)

        wait_until(has_come)
        return found[-1]

    def until(self, condition: Callable[[], object]) -> None:
        """Takes what comes of the past until something is shown."""

        def is_shown() -> object:
            while (reading := self.inbox.take()) is not None:
                assert not isinstance(reading, Answer | Progress)
                self.session.take(reading)
            return condition()

        wait_until(is_shown)

    def answer(self, question: Question[Any]) -> Any:
        """Asks of the moment that is shown."""
        asked = self.session.ask(question)
        found: list[Reading] = []

        def has_come() -> bool:
            while (reading := self.inbox.take()) is not None:
                if isinstance(reading, Answer) and reading.asked is asked:
                    found.append(reading)
                elif not isinstance(reading, Answer | Progress):
                    self.session.take(reading)
            return bool(found)

        wait_until(has_come)
        (answer,) = found
        assert isinstance(answer, Answer)
        return answer.value

    def end(self) -> None:
        assert self.session.past is not None
        self.session.past.stop()
        self.hour.close()
