"""The budget of all that is expensive to read."""

from __future__ import annotations

import threading
import time

import pytest

from memtui.live.budget import Budget
from tests.recorded import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def budget(clock: FakeClock) -> Budget:
    return Budget(clock)


def test_who_has_read_rests_for_twenty_times_as_long(budget: Budget, clock: FakeClock) -> None:
    assert budget.may("map")
    budget.charge("map", 0.5)
    assert budget.wait_s("map") == pytest.approx(10)
    assert not budget.may("map")
    clock.now_s += 9.99
    assert not budget.may("map")
    clock.now_s += 0.02
    assert budget.wait_s("map") == 0
    assert budget.may("map")


def test_it_is_one_for_all(budget: Budget, clock: FakeClock) -> None:
    budget.charge("map", 0.5)
    assert not budget.may("shares")
    clock.now_s += 10
    assert budget.may("shares")


def test_what_is_read_without_asking_is_charged_on_top(budget: Budget, clock: FakeClock) -> None:
    budget.charge("map", 0.5)
    clock.now_s += 4
    budget.charge("cgroups", 0.1)
    assert budget.wait_s("map") == pytest.approx(10 - 4 + 2)


def test_a_hurry_takes_half_a_core(budget: Budget) -> None:
    budget.charge("shares", 0.5, hurry=True)
    assert budget.wait_s("shares") == pytest.approx(0.5)


def test_each_in_turn_and_who_has_waited_longest_first(budget: Budget, clock: FakeClock) -> None:
    budget.charge("map", 0.05)
    assert not budget.may("shares", 5)
    clock.now_s += 0.5
    assert not budget.may("map", 5)
    clock.now_s += 1
    assert not budget.may("map", 5)
    assert budget.wait_s("map") == pytest.approx(0.1)  # not its turn: it looks again
    assert budget.may("shares", 5)
    budget.charge("shares", 0.05)
    assert not budget.may("shares", 5)
    clock.now_s += 1
    assert not budget.may("shares", 5)
    assert budget.may("map", 5)


def test_all_get_their_share_however_seldom_they_ask(budget: Budget, clock: FakeClock) -> None:
    """One that wakes as soon as it may, and two that ask at ticks of their own."""
    read = dict.fromkeys(("map", "cgroups", "outlook"), 0)
    every_s = {"map": 0.0, "cgroups": 1.0, "outlook": 7.0}
    next_s = dict.fromkeys(read, clock.now_s)
    spent_s, began_s = 0.0, clock.now_s
    while clock.now_s < began_s + 1000:
        for who in read:
            if clock.now_s < next_s[who]:
                continue
            if budget.may(who, every_s[who] or 1.0):
                clock.now_s += 0.3
                budget.charge(who, 0.3)
                read[who] += 1
                spent_s += 0.3
            next_s[who] = clock.now_s + max(every_s[who], 0.1)
        clock.now_s += 0.05
    assert spent_s <= 0.05 * 1000 + 0.3
    assert all(count > 30 for count in read.values()), read


def test_who_does_not_come_back_keeps_nobody_waiting(budget: Budget, clock: FakeClock) -> None:
    budget.charge("map", 0.5)
    assert not budget.may("cgroups", 1.0)
    clock.now_s += 10.5
    assert not budget.may("map", 1.0)
    clock.now_s += 2
    assert budget.may("map", 1.0)
    budget.charge("map", 0.5)
    assert not budget.may("cgroups", 60.0)
    clock.now_s += 11
    assert not budget.may("map")
    budget.leave("cgroups")
    assert budget.may("map")


def test_charges_of_several_threads_are_all_paid() -> None:
    class Interrupted(FakeClock):
        def monotonic_s(self) -> float:
            time.sleep(0)  # another thread goes on here
            return super().monotonic_s()

    budget = Budget(Interrupted())

    def charge() -> None:
        for _ in range(200):
            budget.charge("map", 0.001)

    threads = [threading.Thread(target=charge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.wait_s("map") == pytest.approx(4 * 200 * 0.001 * 20)
