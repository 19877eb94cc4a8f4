"""The threads of a live source: the grid, what is heard at once, and their end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from memtui.live.plan import Plan
from memtui.live.source import LiveSource
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap, MapReading
from memtui.model.sample import Sample
from tests.live.test_sampler import MEMINFO, machine
from tests.recorded import FakeClock

KEY = ProcessKey(2, 1)
DEADLINE_S = 20.0


class Handed:
    """What a source handed on, to be waited for."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.maps: list[MapReading] = []
        self._news = threading.Condition()

    def sample(self, sample: Sample) -> None:
        with self._news:
            self.samples.append(sample)
            self._news.notify_all()

    def map(self, reading: MapReading) -> None:
        with self._news:
            self.maps.append(reading)
            self._news.notify_all()

    def until(self, condition: Callable[[], object]) -> None:
        with self._news:
            assert self._news.wait_for(condition, DEADLINE_S)


@contextmanager
def started(source: LiveSource) -> Iterator[Handed]:
    handed = Handed()
    source.start(handed.sample, handed.map)
    try:
        yield handed
    finally:
        source.stop()


def test_late_ticks_are_skipped_and_counted_and_none_is_made_up() -> None:
    """Each reading takes three and a half ticks on a clock that passes only with it."""
    clock = FakeClock(0.0, cpu_share=0.0)
    files = machine(3, clock)
    files.costs_s = {"meminfo": 3.5 / 64}
    with started(LiveSource(files, 1 / 64, clock)) as handed:
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
    with started(LiveSource(files, 1 / 64, clock)) as handed:
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
        handed.until(lambda: KEY in handed.samples[-1].shares)
        source.look_at(Plan())
        handed.until(lambda: not handed.samples[-1].shares)
    assert all(isinstance(each.map, AddressMap) and each.key == KEY for each in handed.maps)


def test_one_budget_is_of_all_that_is_expensive() -> None:
    clock = FakeClock(0.0)
    files = machine(3, clock)
    files.costs_s = {"smaps": 0.25}
    source = LiveSource(files, 3600.0, clock)
    with started(source) as handed:
        source.look_at(Plan(map_of=KEY))
        handed.until(lambda: len(handed.maps) == 2)
        assert source.budget.wait_s("cgroups") > 4


def test_may_a_map_be_read() -> None:
    files = machine()
    source = LiveSource(files, 3600.0)
    assert source.may_read_map(KEY)
    del files.files["proc/2/maps"]
    assert not source.may_read_map(KEY)


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
