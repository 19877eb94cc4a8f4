"""Series of the last hour: spans anchored to time, holes kept, memory bounded."""

from __future__ import annotations

import sys
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure
from memtui.model.keys import ProcessKey
from memtui.model.sample import ProcessSample, Sample, SystemSample
from memtui.recording.earlier import Earlier
from memtui.recording.sysstat import Entry
from memtui.session.history import ENTRIES, GrowthTracker, History

FREE = "mem_free_bytes"


def sample(time_s: float, free: int | None, interval_s: float = 1.0) -> Sample:
    """A sample whose MemFree is given; None: meminfo could not be read."""
    meminfo = (
        Gap("proc/meminfo", "malformed") if free is None else {"MemTotal": 10**6, "MemFree": free}
    )
    return Sample(time_s, interval_s, SystemSample(meminfo, {}, Pressure(None, None)), {})


def history_of(*values: tuple[float, int | None], interval_s: float = 1.0) -> History:
    history = History()
    for time_s, free in values:
        history.record(sample(time_s, free, interval_s))
    return history


def every_second(first: int, last: int) -> list[tuple[float, int | None]]:
    """At each second of [first, last), a bit late, its own number."""
    return [(at + 0.3, at) for at in range(first, last)]


def test_the_newest_and_the_highest() -> None:
    assert History().latest(FREE) is None
    assert History().highest(FREE) is None
    assert History().last is None
    history = history_of((1.0, 5), (2.0, 9), (3.0, 7))
    assert (history.latest(FREE), history.highest(FREE), len(history)) == (7, 9, 3)
    assert history.latest("swap_used_bytes") is None


def test_one_value_a_span() -> None:
    history = history_of(*every_second(100, 160))
    assert history.buckets(FREE, 10, 10).values == [*range(150, 160)]
    assert history.buckets(FREE, 10, 10).last_span == 159


@pytest.mark.parametrize(
    ("keep", "values"), [("last", [154, 159]), ("min", [150, 155]), ("max", [154, 159])]
)
def test_what_stands_for_a_span_of_several(keep: str, values: list[int]) -> None:
    history = history_of(*every_second(100, 160))
    assert history.buckets(FREE, 10, 2, keep).values == values  # type: ignore[arg-type]


@given(st.integers(1, 400), st.integers(2, 60), st.sampled_from((1, 2)), st.integers(0, 5))
def test_a_new_sample_moves_values_by_whole_spans(
    window_s: int, count: int, align: int, later: int
) -> None:
    """A value stays in its span for good: no dot shimmers."""
    before = history_of(*every_second(100, 160))
    after = history_of(*every_second(100, 161 + later))
    old = before.buckets(FREE, window_s, count, "min", align)
    new = after.buckets(FREE, window_s, count, "min", align)
    steps = new.last_span - old.last_span
    assert steps >= 0
    assert steps % align == 0
    span = window_s / count
    finished = int(159.3 / span)  # the span of the newest value is not complete yet
    for number in range(new.last_span - count + 1, finished):
        at = number - old.last_span + count - 1
        if at > 0:  # the first one may have lost what is outside of the window
            assert old.values[at] == new.values[at - steps], number


def test_a_span_of_the_future_is_empty() -> None:
    buckets = history_of(*every_second(100, 160)).buckets(FREE, 10, 10, align=4)
    assert (buckets.last_span + 1) % 4 == 0
    assert buckets.values[-1 - (buckets.last_span - 159) :][1:] == [None] * (
        buckets.last_span - 159
    )
    (last,) = history_of((160.3, 1)).buckets(FREE, 1, 1).values
    assert last == 1
    assert history_of((160.3, 1)).buckets(FREE, 4, 4, align=4).values == [1, None, None, None]


def test_a_suspended_machine_leaves_a_hole() -> None:
    history = history_of(*every_second(100, 110), *every_second(115, 120))
    values = history.buckets(FREE, 20, 20).values
    assert values == [*range(100, 110), 109, None, None, None, None, *range(115, 120)]


def test_an_unreadable_meminfo_is_a_hole_and_no_zero() -> None:
    readings: list[tuple[float, int | None]] = [(at + 0.3, None) for at in range(110, 115)]
    history = history_of(*every_second(100, 110), *readings, *every_second(115, 120))
    values = history.buckets(FREE, 20, 20).values
    assert values[:10] == [*range(100, 110)]
    assert values[11:15] == [None] * 4
    assert values[15:] == [*range(115, 120)]
    assert history_of((1.0, 5), (2.0, None)).latest(FREE) is None


def test_a_long_interval_holds_its_values() -> None:
    history = history_of((100.0, 1), (110.0, 2), (120.0, 3), interval_s=10.0)
    assert history.buckets(FREE, 30, 30).values == [None] * 9 + [1] * 10 + [2] * 10 + [3]


def test_a_long_interval_that_was_missed_is_a_hole() -> None:
    history = history_of((100.0, 1), (140.0, 2), interval_s=10.0)
    values = history.buckets(FREE, 41, 41).values
    assert values[0] == 1
    assert values[15] == 1
    assert values[16:40] == [None] * 24
    assert values[40] == 2


def test_an_interval_faster_than_a_second_overwrites_within_it() -> None:
    history = History()
    for tick in range(300):
        history.record(sample(100 + tick / 5, tick, 0.2))
    assert len(history) == 60
    assert history.latest(FREE) == 299
    assert history.buckets(FREE, 60, 60).values == [*range(4, 300, 5)]


def test_a_clock_that_goes_back_begins_anew() -> None:
    history = history_of(*every_second(100, 110))
    history.record(sample(50.0, 7))
    assert len(history) == 1
    assert history.highest(FREE) == 7
    assert history.buckets(FREE, 60, 60).values == [None] * 59 + [7]


def test_the_trend_of_a_window_is_its_slope_in_a_minute() -> None:
    assert history_of(*every_second(0, 15)).trend_per_minute(FREE, 60) is None
    rising = history_of(*((float(at), 4 * at) for at in range(16)))
    assert rising.trend_per_minute(FREE, 60) == pytest.approx(240)
    history = history_of(*((float(at), -3 * at) for at in range(1000)))
    assert history.trend_per_minute(FREE, 60) == pytest.approx(-180)
    assert History().trend_per_minute(FREE, 60) is None
    assert history_of((0.0, 0), (20.0, None)).trend_per_minute(FREE, 60) is None


def test_a_figure_that_stands_still_has_no_trend_however_it_trembles() -> None:
    """Unaccounted memory jumped by 200 MiB from tick to tick, and was the same half an hour later."""
    trembling = [(float(at), 500 + 200 * (-1) ** at + at % 7 * 10) for at in range(1800)]
    history = History()
    for at, value in trembling:
        history.record(sample(at, value))
        if at % 100 == 99:
            assert history.trend_per_minute(FREE, 300) == 0


def test_a_fall_below_trembling_has_its_sign() -> None:
    """5 GiB went in five minutes while single values went up as often as down."""
    falling = [(float(at), 8000 - 17 * at + 150 * (-1) ** at) for at in range(300)]
    for until in range(100, 300, 20):
        trend = history_of(*falling[:until]).trend_per_minute(FREE, 300)
        assert trend == pytest.approx(-17 * 60, rel=0.1)


def test_the_series_of_a_window_leaves_holes_out() -> None:
    history = history_of((1.0, 5), (2.0, None), (3.0, 7), (4.0, 8))
    assert history.series(FREE, 2.0) == ([3.0, 4.0], [7, 8])
    assert history.series(FREE, 99.0) == ([1.0, 3.0, 4.0], [5, 7, 8])
    assert History().series(FREE, 99.0) == ([], [])
    ring = History(entries=5)
    for at in range(12):
        ring.record(sample(float(at), at))
    assert ring.series(FREE, 99.0)[1] == [7, 8, 9, 10, 11]


def size_of(history: History) -> int:
    """Bytes of everything that a history holds."""
    seen, total, queue = set(), 0, [vars(history)]
    while queue:
        item = queue.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        total += sys.getsizeof(item)
        if isinstance(item, dict):
            queue += item.values()
        elif not isinstance(item, str | bytes | array | float | int | Sample) and hasattr(
            item, "__iter__"
        ):
            queue += item
    return total


def process(pid: int, rss: int, start: int = 1, name: str = "p") -> ProcessSample:
    return ProcessSample(ProcessKey(pid, start), name, "S", False, 2 * rss, rss, 0)


def with_processes(time_s: float, *processes: ProcessSample) -> Sample:
    return sample(time_s, 1)._replace(processes={each.key: each for each in processes})


def test_hours_are_no_bigger_than_one() -> None:
    history = History()
    sizes = {}
    for at in range(8000):
        # One that changes with each tick, and one that lives for a minute.
        history.record(with_processes(float(at), process(1, at), process(2, 5, at // 60)))
        if at in (ENTRIES - 1, 5555, 7999):
            sizes[at] = size_of(history)
    assert len(history) == ENTRIES
    assert sizes[7999] > 8 * ENTRIES * 5
    assert max(sizes.values()) - min(sizes.values()) < 2000


def test_the_ring_keeps_the_newest() -> None:
    history = History(entries=10)
    for at in range(25):
        history.record(sample(float(at), at))
    assert history.buckets(FREE, 20, 20).values == [None] * 10 + [*range(15, 25)]


def test_a_young_history_is_small() -> None:
    """Rings grow with what is in them: a start costs no hour's memory."""
    young, old = History(), History()
    young.record(sample(1.0, 1))
    for at in range(ENTRIES):
        old.record(sample(float(at), at))
    assert size_of(young) < size_of(old) / 50


# Growth of processes.


def gained(*samples: Sample, pid: int = 1, start: int = 1) -> int:
    tracker = GrowthTracker()
    for each in samples:
        tracker.record(each)
    return tracker.gained_bytes(ProcessKey(pid, start))


def test_what_a_process_gained_in_the_last_minute() -> None:
    growing = [with_processes(float(at), process(1, 100 * at)) for at in range(200)]
    assert gained(*growing) == 6000
    assert gained(*growing[:30]) == 2900
    shrunk = [with_processes(0.0, process(1, 500)), with_processes(5.0, process(1, 200))]
    assert gained(*shrunk) == -300


def test_what_was_gained_before_the_last_minute_is_no_growth() -> None:
    steps = [with_processes(float(at), process(1, 500 if at > 10 else 100)) for at in range(200)]
    assert gained(*steps[:60]) == 400
    assert gained(*steps[:71]) == 400
    assert gained(*steps[:72]) == 0
    assert gained(*steps) == 0


def test_growth_of_one_that_was_never_seen() -> None:
    assert gained() == 0
    assert gained(with_processes(0.0, process(2, 5))) == 0


def test_an_exec_is_the_same_process() -> None:
    before = with_processes(0.0, process(1, 100, name="sh"))
    assert gained(before, with_processes(1.0, process(1, 700, name="java"))) == 600


def test_a_reused_pid_is_another_process() -> None:
    before = with_processes(0.0, process(1, 100))
    after = with_processes(1.0, process(1, 700, start=99))
    assert gained(before, after, start=99) == 0
    assert gained(before, after, start=1) == 0


def test_the_dead_are_forgotten() -> None:
    tracker = GrowthTracker()
    tracker.record(with_processes(0.0, process(1, 100), process(2, 100)))
    tracker.record(with_processes(1.0, process(1, 150), process(2, 150)))
    assert tracker.gained_bytes(ProcessKey(2, 1)) == 50
    tracker.record(with_processes(2.0, process(1, 160)))
    assert tracker.gained_bytes(ProcessKey(2, 1)) == 0
    tracker.record(with_processes(3.0, process(1, 160), process(2, 90)))
    assert tracker.gained_bytes(ProcessKey(2, 1)) == 0


def test_growth_at_five_ticks_a_second() -> None:
    fast = [with_processes(at / 5, process(1, 100 * at)) for at in range(1000)]
    # Changes within a second are one: the beginning is known to a second.
    assert gained(*fast) == pytest.approx(30_000, abs=500)


def earlier(*times: float, origin: str = "") -> Earlier:
    return Earlier([Entry(at, 60.0, {FREE: at}) for at in times], origin)


def test_what_was_before_is_learnt_in_front() -> None:
    history = history_of((1000.0, 5), (1001.0, 6))
    history.learn(earlier(700, 760, 820, 1000.5, origin="sysstat's"))
    times, values = history.series(FREE, 3600)
    assert times == [700, 760, 820, 1000, 1001]
    assert values == [700, 760, 820, 5, 6]
    assert history.origin(300) == (1000, "sysstat's")
    assert history.origin(1) is None
    history.record(sample(1002.0, 7))
    assert history.series(FREE, 3600)[1][-2:] == [6, 7]
    assert history.latest("swap_used_bytes") is None
    # As coarse as they are: a minute each, held half of one longer.
    held = history.buckets(FREE, 400, 40).values
    assert held.count(820.0) == 10


def test_no_more_is_learnt_than_there_is_room_for() -> None:
    history = History(entries=5)
    for at in range(3):
        history.record(sample(1000.0 + at, at))
    history.learn(earlier(*range(100, 900, 100)))
    assert history.series(FREE, 3600)[1] == [700, 800, 0, 1, 2]
    history.record(sample(1003.0, 3))
    assert history.series(FREE, 3600)[1] == [800, 0, 1, 2, 3]
    history.learn(earlier(1, 2, 3))  # all of it is its own by now
    assert history.series(FREE, 3600)[1] == [800, 0, 1, 2, 3]
    assert history.origin(3600) is None


def test_nothing_is_learnt_before_the_first_sample() -> None:
    history = History()
    history.learn(earlier(1, 2, 3))
    assert len(history) == 0
