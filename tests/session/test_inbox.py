"""What waits to be taken: nothing is lost in silence, and of a map the last reading alone is kept."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap
from memtui.live.source import Reading
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import MapReading
from memtui.model.sample import Sample
from memtui.ondemand.question import Answer, Asked
from memtui.ondemand.questions import TightestGroup
from memtui.session.inbox import SAMPLES_AT_MOST, Inbox
from memtui.session.wound import NoWound, Wound
from tests.samples import sample


def reading(pid: int, time_s: float) -> MapReading:
    return MapReading(ProcessKey(pid, 1), Gap("proc/1/maps", "denied"), None, time_s, 0.0)


def emptied(inbox: Inbox) -> list[Reading | Wound | NoWound]:
    found = []
    while (each := inbox.take()) is not None:
        found.append(each)
    return found


def test_all_come_in_their_order_and_of_a_map_the_last() -> None:
    inbox = Inbox()
    answer = Answer(Asked(TightestGroup(7)), "/")
    first, second = sample(1.0), sample(2.0)
    for each in (first, reading(7, 1.0), answer, reading(8, 1.5), second, reading(7, 2.0)):
        inbox.put(each)
    assert inbox.first_sample() is first
    assert emptied(inbox) == [first, reading(7, 2.0), answer, reading(8, 1.5), second]
    assert inbox.first_sample() is None
    assert not inbox.lost


@given(st.integers(0, 3 * SAMPLES_AT_MOST), st.integers(0, 3 * SAMPLES_AT_MOST))
def test_each_sample_is_taken_or_counted(count: int, taken_first: int) -> None:
    inbox = Inbox()
    samples = [sample(float(at)) for at in range(count)]
    for each in samples:
        inbox.put(each)
        inbox.put(reading(1, 0.0))
    found = [
        each for each in (inbox.take() for _ in range(taken_first)) if isinstance(each, Sample)
    ]
    found += [each for each in emptied(inbox) if isinstance(each, Sample)]
    assert len(found) + inbox.lost == count
    assert found == samples[count - len(found) :]
    assert len(found) <= SAMPLES_AT_MOST


def test_no_answer_is_lost_to_samples() -> None:
    inbox = Inbox()
    answer = Answer(Asked(TightestGroup(7)), "/")
    inbox.put(answer)
    for at in range(2 * SAMPLES_AT_MOST):
        inbox.put(sample(float(at)))
    assert inbox.take() is answer
    assert inbox.lost == SAMPLES_AT_MOST


def test_threads_put_while_one_takes() -> None:
    inbox = Inbox()
    samples = [sample(float(at)) for at in range(4000)]

    def put(part: list[Sample]) -> None:
        for each in part:
            inbox.put(each)

    threads = [threading.Thread(target=put, args=(samples[at::4],)) for at in range(4)]
    for thread in threads:
        thread.start()
    found = 0
    while any(thread.is_alive() for thread in threads) or len(inbox):
        found += isinstance(inbox.take(), Sample)
    assert found + inbox.lost == len(samples)
