"""The threads of a live source: the grid, what is heard at once, and their end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from memtui.kernel.files import Files, Gap
from memtui.live.plan import Plan
from memtui.live.source import LiveSource, Reading
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.model.map.addressmap import AddressMap, MapReading
from memtui.model.sample import Sample
from memtui.ondemand.question import Answer, GoOn, Question
from memtui.ondemand.questions import FirstReadable
from tests.live.test_sampler import MEMINFO, machine
from tests.recorded import FakeClock

KEY = ProcessKey(2, 1)
DEADLINE_S = 20.0


class Handed:
    """What a source handed on, to be waited for."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.maps: list[MapReading] = []
        self.answers: list[Answer] = []
        self._news = threading.Condition()

    def take(self, reading: Reading) -> None:
        with self._news:
            if isinstance(reading, Sample):
                self.samples.append(reading)
            elif isinstance(reading, MapReading):
                self.maps.append(reading)
            elif isinstance(reading, Answer):
                self.answers.append(reading)
            self._news.notify_all()

    def until(self, condition: Callable[[], object]) -> None:
        with self._news:
            assert self._news.wait_for(condition, DEADLINE_S)


@contextmanager
def started(source: LiveSource) -> Iterator[Handed]:
    handed = Handed()
    source.start(handed.take)
    try:
        yield handed
    finally:
        source.stop()


def test_late_ticks_are_skipped_and_counted_and_none_is_made_up() -> None:
    """Each reading takes three and a half ticks on a clock that passes only with it."""
    clock = FakeClock(0.0, cpu_share=0.0)
    files = machine(3, clock)
    files.costs_s = {"meminfo": 3.5 / 64}
    with started(LiveSource(files, 1 / 64, clock=clock)) as handed:
        handed.until(lambda: len(handed.samples) >= 10)
    # Of the ticks that have passed each was taken or skipped.
    passed = [int(3.5 * at) + 1 for at in range(1, 10)]
    assert [each.skipped + at for at, each in enumerate(handed.samples[1:10], 1)] == passed
    assert [each.time_s for each in handed.samples[:10]] == [3.5 / 64 * at for at in range(10)]
    assert not any(each.asked_s for each in handed.samples)


def test_ticks_that_cost_too_much_are_longer_and_say_so() -> None:
    clock = FakeClock(0.0)
    files = machine(3, clock)
    files.costs_s = {"meminfo": 3 / 1024}
    with started(LiveSource(files, 1 / 64, clock=clock)) as handed:
        handed.until(lambda: len(handed.samples) >= 4)
    first, later = handed.samples[0], handed.samples[2]
    assert (first.interval_s, first.asked_s) == (1 / 64, 0.0)
    assert (later.interval_s, later.asked_s) == (4 / 64, 1 / 64)


def test_a_whole_sample_follows_the_quick_one_soon_and_nothing_was_skipped() -> None:
    source = LiveSource(machine(100), 60.0)
    source.sampler.first(60.0)
    source.look_at(Plan(fields=frozenset({"zones"})))  # before it is started
    with started(source) as handed:
        handed.until(lambda: handed.samples)
        source.interval_s = 0.01
        handed.until(lambda: len(handed.samples) >= 3)
    assert len(handed.samples[0].processes) == 100
    assert [each.skipped for each in handed.samples[:1]] == [0]


def test_a_new_interval_and_a_new_wish_are_heard_at_once() -> None:
    files = machine()
    files.files["proc/swaps"] = b"Filename Type Size Used Priority\n/swap file 100 1 -2\n"
    source = LiveSource(files, 3600.0)
    with started(source) as handed:
        handed.until(lambda: len(handed.samples) == 1)
        source.look_at(Plan(fields=frozenset({"swaps"})))
        handed.until(lambda: handed.samples[-1].system.swaps is not None)
        source.look_at(Plan(frozenset({KEY}), details=frozenset()))
        handed.until(lambda: KEY in handed.samples[-1].details)
        source.interval_s = 1800.0
        handed.until(lambda: handed.samples[-1].interval_s == 1800.0)
        source.look_at(Plan())  # wants nothing more
    assert len(handed.samples) == 4
    assert all(each.skipped == 0 for each in handed.samples)


def test_the_map_and_the_shares_of_what_is_looked_at() -> None:
    source = LiveSource(machine(), 0.01)
    with started(source) as handed:
        source.look_at(Plan(map_of=KEY, shares=frozenset({KEY})))
        handed.until(lambda: len(handed.maps) >= 2)
        handed.until(lambda: handed.samples and KEY in handed.samples[-1].shares)
        source.look_at(Plan())
        handed.until(lambda: not handed.samples[-1].shares)
    assert all(isinstance(each.map, AddressMap) and each.key == KEY for each in handed.maps)


def test_one_budget_is_of_all_that_is_expensive() -> None:
    clock = FakeClock(0.0)
    files = machine(3, clock)
    files.costs_s = {"smaps": 0.25}
    source = LiveSource(files, 3600.0, clock=clock)
    with started(source) as handed:
        source.look_at(Plan(map_of=KEY))
        handed.until(lambda: len(handed.maps) == 2)
        assert source.sampler.budget.wait_s("cgroups") > 4


def test_which_map_may_be_read_first() -> None:
    files = machine()
    asked = FirstReadable((ProcessKey(1000, 1), KEY))
    source = LiveSource(files, 3600.0)
    with started(source) as handed:
        source.ask(asked)
        handed.until(lambda: len(handed.answers) == 1)
        del files.files[f"proc/{KEY.pid}/maps"]
        source.ask(asked)
        handed.until(lambda: len(handed.answers) == 2)
    assert [each.value for each in handed.answers] == [KEY, None]


@dataclass(frozen=True)
class Broken(Question[int]):
    """A question whose answering is a defect."""

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> int:
        raise ZeroDivisionError("nobody thought of it")


def test_a_question_that_cannot_be_answered_has_a_gap_for_an_answer() -> None:
    source = LiveSource(machine(), 3600.0)
    with started(source) as handed:
        source.ask(Broken())
        handed.until(lambda: handed.answers)
    (answer,) = handed.answers
    assert isinstance(answer.value, Gap)
    assert "ZeroDivisionError: nobody thought of it" in str(answer.value)


@dataclass(frozen=True)
class Costly(Question[int]):
    is_repeated: ClassVar[bool] = True

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> int:
        return 1


def test_what_is_asked_again_and_again_is_within_the_budget() -> None:
    clock = FakeClock(0.0, cpu_share=0.0)
    source = LiveSource(machine(3, clock), 3600.0, clock=clock)
    assert source.may_look_again()
    with started(source) as handed:
        source.ask(Costly())
        handed.until(lambda: handed.answers)
        assert not source.may_look_again()
        clock.now_s += 1.9
        assert not source.may_look_again()
        clock.now_s += 0.2
        assert source.may_look_again()
        source.sampler.budget.charge("map", 0.5)
        clock.now_s += 9.0
        assert not source.may_look_again()
        clock.now_s += 2.0
        assert source.may_look_again()


def test_the_end_of_it_leaves_no_thread_and_no_file() -> None:
    files = machine()
    source = LiveSource(files, 3600.0)
    before = set(threading.enumerate())
    with started(source) as handed:
        source.look_at(Plan(map_of=KEY))
        handed.until(lambda: handed.samples and handed.maps)
        threads = set(threading.enumerate()) - before
        assert {thread.name for thread in threads} == {"sampling", "looking"}
        assert any(kept.name == MEMINFO for kept in files.kept)
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert not files.kept


def test_the_end_of_one_that_was_never_started() -> None:
    files = machine()
    source = LiveSource(files, 3600.0)
    source.sampler.first(3600.0)
    assert files.kept
    source.stop()
    assert not files.kept
