"""What is expensive: the map that is looked at and what processes pay for, within one budget."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from memtui.kernel.details import Shares
from memtui.kernel.files import Gap
from memtui.live.budget import Budget
from memtui.live.looker import Looker, ShareReader
from memtui.live.plan import Plan
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap, MapReading
from tests.recorded import FakeClock, Recorded

PAGE = 4096


class Looking:
    """A looker, its thread played by `run`: it waits as it was told, on a clock that is told too."""

    def __init__(self, processes: int = 3) -> None:
        self.clock = FakeClock()
        self.files = Recorded(clock=self.clock)
        for pid in range(1, processes + 1):
            self.files.start(pid, pages=pid)
        self.budget = Budget(self.clock)
        self.readings: list[MapReading] = []
        self.plan = Plan()
        self.looks = 0
        self.looker = Looker(self.files, self.readings.append, self.budget, self.clock)

    def look(self) -> float | None:
        self.looks += 1
        return self.looker.look(lambda: self.plan)

    def run(self, seconds: float) -> None:
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            wait = self.look()
            assert wait is None or wait > 0
            # As the thread, it comes back a little late.
            self.clock.now_s += end_s - self.clock.now_s if wait is None else wait + 0.001

    def reads(self, source: str) -> Counter[int]:
        """How often that file of each process was read."""
        names = (name.split("/") for name in self.files.reads.elements())
        return Counter(int(pid) for _, pid, last in names if last == source)

    @property
    def shares(self) -> dict[ProcessKey, Shares | Gap]:
        return self.looker.reader.shares


def key(pid: int, start: int = 1) -> ProcessKey:
    return ProcessKey(pid, start)


def keys(processes: int) -> frozenset[ProcessKey]:
    return frozenset(map(key, range(1, processes + 1)))


def rss(reading: MapReading) -> int:
    assert isinstance(reading.map, AddressMap)
    return sum(reading.map.mappings.usage["Rss"])


def has_usage(reading: MapReading) -> bool:
    return isinstance(reading.map, AddressMap) and "Rss" in reading.map.mappings.usage


# The map.


def test_nothing_is_read_of_what_nobody_looks_at() -> None:
    looking = Looking()
    assert looking.look() is None
    assert not looking.files.reads


def test_the_layout_comes_first_and_its_usage_at_once() -> None:
    looking = Looking()
    looking.plan = Plan(map_of=key(2))
    wait = looking.look()
    assert [has_usage(each) for each in looking.readings] == [False, True]
    assert {each.key for each in looking.readings} == {key(2)}
    assert wait == pytest.approx(2.0)


def test_it_is_read_anew_when_it_is_due_and_not_before() -> None:
    looking = Looking()
    looking.plan = Plan(map_of=key(2))
    looking.look()
    for pages in range(3, 9):
        looking.files.resize(2, pages)
        looking.clock.now_s += 1.9
        count = len(looking.readings)
        looking.look()
        assert len(looking.readings) == count
        looking.clock.now_s += 0.2
        looking.look()
        assert len(looking.readings) == count + 1
        assert rss(looking.readings[-1]) == pages * PAGE
    assert looking.reads("maps") == {2: 1}  # its layout is in its usage


def test_a_dear_map_is_read_within_the_budget() -> None:
    looking = Looking()
    looking.files.costs_s = {"maps": 0.05, "smaps": 0.5}
    looking.plan = Plan(map_of=key(2))
    began_s = looking.clock.now_s
    looking.look()
    assert len(looking.readings) == 2  # the first of it is charged, not waited for
    assert looking.budget.wait_s("map") == pytest.approx(20 * 0.55 - 0.5)
    looking.run(200)
    times = [each.time_s - began_s for each in looking.readings[1:]]
    assert times[1] >= 20 * 0.55 - 0.05
    assert all(later - now >= 20 * 0.5 for now, later in pairwise(times[1:]))
    assert 18 <= len(times) <= 21


def test_one_that_somebody_goes_to_is_read_at_once_whatever_was_read_before() -> None:
    looking = Looking()
    looking.files.costs_s = {"smaps": 0.5}
    looking.plan = Plan(map_of=key(2))
    looking.look()
    looking.plan = Plan(map_of=key(3))
    looking.look()
    assert [(each.key, has_usage(each)) for each in looking.readings[2:]] == [
        (key(3), False),
        (key(3), True),
    ]
    assert looking.budget.wait_s("map") == pytest.approx(2 * 20 * 0.5 - 0.5)
    looking.plan = Plan()
    assert looking.look() is None
    looking.plan = Plan(map_of=key(3))
    looking.look()
    assert len(looking.readings) == 6


@pytest.mark.parametrize("during", ["maps", "smaps"])
def test_another_process_is_chosen_meanwhile(during: str) -> None:
    looking = Looking()
    looking.plan = Plan(map_of=key(2))

    def go_on(name: str) -> None:
        if name == f"proc/2/{during}":
            looking.plan = Plan(map_of=key(3))

    looking.files.on_read = go_on
    looking.look()
    assert all(each.key == key(2) for each in looking.readings)
    assert len(looking.readings) == ("maps", "smaps").index(during)
    assert not any(map(has_usage, looking.readings))
    before = len(looking.readings)
    looking.look()
    assert {each.key for each in looking.readings[before:]} == {key(3)}
    assert has_usage(looking.readings[-1]) and rss(looking.readings[-1]) == 3 * PAGE


def test_an_exec_in_the_middle_is_another_address_space_of_the_same_process() -> None:
    looking = Looking()
    looking.plan = Plan(map_of=key(2))
    looking.files.on_read = lambda name: (
        looking.files.resize(2, 77) if name == "proc/2/smaps" else None
    )
    looking.look()
    layout, usage = looking.readings
    assert isinstance(layout.map, AddressMap) and isinstance(usage.map, AddressMap)
    assert layout.map.mappings.ends[0] - layout.map.mappings.starts[0] == 2 * PAGE
    assert usage.map.mappings.ends[0] - usage.map.mappings.starts[0] == 77 * PAGE
    assert rss(usage) == 77 * PAGE


@pytest.mark.parametrize("during", ["maps", "smaps"])
def test_a_pid_that_comes_back_in_the_middle_is_not_taken_for_it(during: str) -> None:
    looking = Looking()
    looking.plan = Plan(map_of=key(2))

    def come_back(name: str) -> None:
        if name == f"proc/2/{during}":
            looking.files.end(2)
            looking.files.start(2, start_ticks=99, pages=50)

    looking.files.on_read = come_back
    looking.look()
    last = looking.readings[-1]
    assert isinstance(last.map, Gap) and last.map.reason == "gone"
    looking.run(10)
    assert all(isinstance(each.map, Gap) for each in looking.readings[2:])


def test_one_that_ended_is_told_to_be_gone_and_asked_for_seldom() -> None:
    looking = Looking()
    looking.plan = Plan(map_of=key(2))
    looking.look()
    looking.files.end(2)
    looking.run(20)
    assert all(isinstance(each.map, Gap) for each in looking.readings[2:])
    assert 5 <= len(looking.readings) <= 14
    assert looking.looks < 20


def test_without_smaps_the_layout_says_why() -> None:
    looking = Looking()
    del looking.files.files["proc/2/smaps"]
    looking.plan = Plan(map_of=key(2))
    looking.look()
    usage = looking.readings[-1].map
    assert isinstance(usage, AddressMap) and usage.usage_gap is not None
    assert usage.usage_gap.reason == "absent"


def test_what_may_not_be_read_is_asked_for_again_but_not_in_haste() -> None:
    looking = Looking()
    maps = looking.files.files["proc/2/maps"]
    for name in ("maps", "smaps"):
        looking.files.files[f"proc/2/{name}"] = Gap(f"proc/2/{name}", "denied")
    looking.plan = Plan(map_of=key(2))
    looking.run(10)
    assert all(isinstance(each.map, Gap) for each in looking.readings)
    assert 4 <= len(looking.readings) <= 6
    looking.files.files["proc/2/maps"] = looking.files.files["proc/2/smaps"] = maps
    looking.run(3)
    assert isinstance(looking.readings[-1].map, AddressMap)


def test_a_defect_is_a_gap_and_not_the_end() -> None:
    looking = Looking()
    looking.plan = Plan(map_of=key(2), shares=keys(3))

    def break_(name: str) -> None:
        if name in ("proc/2/smaps", "proc/3/smaps_rollup"):
            raise ZeroDivisionError("nobody thought of it")

    looking.files.on_read = break_
    looking.run(10)
    last = looking.readings[-1].map
    assert isinstance(last, Gap) and "ZeroDivisionError" in last.detail
    assert isinstance(looking.shares[key(1)], Shares)
    broken = looking.shares[key(3)]
    assert isinstance(broken, Gap) and "ZeroDivisionError" in broken.detail
    assert looking.looks < 30
    looking.files.on_read = lambda name: None
    looking.run(40)
    assert has_usage(looking.readings[-1])
    assert isinstance(looking.shares[key(3)], Shares)


# What processes pay for.


def test_shares_are_read_in_turn_the_oldest_first() -> None:
    looking = Looking(40)
    looking.files.costs_s = {"smaps_rollup": 0.004}
    looking.plan = Plan(shares=keys(40))
    order: list[int] = []
    looking.files.on_read = lambda name: (
        order.append(int(name.split("/")[1])) if name.endswith("/smaps_rollup") else None
    )
    looking.look()
    assert 0 < len(order) < 5  # ten milliseconds at once
    looking.run(30)
    assert len(order) > 80
    for begin in (0, 40):
        assert set(order[begin : begin + 40]) == set(range(1, 41))
    assert order[:40] == order[40:80]  # each again in the order of its last reading
    assert looking.reads("smaps_rollup").total() == len(order)


def test_shares_that_are_cheap_are_read_again_after_five_seconds() -> None:
    looking = Looking()
    looking.plan = Plan(shares=keys(3))
    looking.look()
    looking.files.resize(2, 50)
    looking.run(4.9)
    assert looking.reads("smaps_rollup") == {1: 1, 2: 1, 3: 1}
    looking.run(0.2)
    found = looking.shares[key(2)]
    assert isinstance(found, Shares) and found.pss_bytes == 50 * PAGE
    assert looking.looks < 6


def test_those_that_are_denied_are_asked_for_seldom() -> None:
    looking = Looking()
    looking.files.files["proc/2/smaps_rollup"] = Gap("proc/2/smaps_rollup", "denied")
    looking.plan = Plan(shares=keys(3))
    looking.run(29)
    assert looking.reads("smaps_rollup")[2] == 1
    looking.run(2)
    assert looking.reads("smaps_rollup")[2] == 2


def test_shares_of_another_process_with_the_pid_are_not_taken() -> None:
    looking = Looking()
    looking.plan = Plan(shares=frozenset({key(2, 99)}))
    looking.look()
    found = looking.shares[key(2, 99)]
    assert isinstance(found, Gap) and found.reason == "gone"


def test_what_is_no_longer_there_is_forgotten() -> None:
    looking = Looking()
    looking.plan = Plan(shares=keys(3))
    looking.look()
    assert set(looking.looker.reader.known(keys(2))) == keys(2)
    assert set(looking.shares) == keys(2)


def test_a_hurry_takes_half_a_core_and_not_more() -> None:
    took = {}
    for hurry in (False, True):
        looking = Looking(100)
        looking.files.costs_s = {"smaps_rollup": 0.02}
        looking.plan = Plan(shares=keys(100), hurry=hurry)
        began_s = looking.clock.now_s
        while len(looking.shares) < 100:
            looking.run(0.01)
        took[hurry] = looking.clock.now_s - began_s
    assert took[False] >= 100 * 0.02 * 20 * 0.95
    assert 2 * 100 * 0.02 * 0.95 <= took[True] <= 6


# One budget.


def test_map_and_shares_together_take_a_twentieth_of_a_core_in_turn() -> None:
    looking = Looking(60)
    looking.plan = Plan(map_of=key(2), shares=keys(60))
    looking.look()
    looking.files.costs_s = {"smaps": 0.3, "smaps_rollup": 0.02}
    before = looking.clock.now_s
    looking.files.reads.clear()
    looking.run(400)
    maps, shares = looking.reads("smaps")[2], looking.reads("smaps_rollup").total()
    spent_s = 0.3 * maps + 0.02 * shares
    passed_s = looking.clock.now_s - before
    assert 0.04 * passed_s <= spent_s <= 0.05 * passed_s + 0.3
    assert maps > 40 and shares > 40


def test_somebody_elses_turn_is_waited_for_without_haste() -> None:
    looking = Looking()
    looking.plan = Plan(map_of=key(2))
    looking.look()
    looking.budget.charge("cgroups", 0.2)
    assert not looking.budget.may("cgroups", 10.0)
    count, looks = len(looking.readings), looking.looks
    looking.run(10)
    assert len(looking.readings) == count
    assert looking.looks - looks < 80  # ten times a second
    assert looking.budget.may("cgroups", 10.0)
    looking.budget.charge("cgroups", 0.001)
    looking.run(1)
    assert len(looking.readings) == count + 1


def test_a_reader_of_shares_tells_when_the_next_is_due() -> None:
    looking = Looking()
    reader = ShareReader(looking.files, looking.clock)
    now_s = looking.clock.now_s
    assert reader.next_due(()) is None
    assert reader.next_due(keys(3)) == 0.0
    reader.read(keys(2), now_s)
    assert reader.next_due(keys(3)) == 0.0
    assert reader.next_due(keys(2)) == now_s + 5
