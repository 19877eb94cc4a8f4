"""Alerts: each fires once when its threshold is crossed, and again only after it was clear."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import Pressure, Stall
from memtui.model.sample import Sample, SystemSample
from memtui.model.shortage.alerts import CLEAR_S, AlertSettings, Limit, State, alert_settings, watch
from memtui.model.shortage.events import LEVELS, Event, Events
from memtui.model.shortage.rules import ORDER as VERDICTS
from memtui.model.system.metrics import METRICS
from memtui.tui import alerting
from tests.conftest import open_host
from tests.interface import press, running, screen_text, settle
from tests.moments import ringing
from tests.samples import GIB, sample

OFF = alert_settings(
    {
        "available_below": None,
        "psi_some_above": None,
        "psi_full_above": None,
        "stall_above_ms": None,
        "verdict": "",
        "oom_kill": False,
    }
)
Moment = tuple[Sample, str | None]


def at(
    time_s: float,
    *,
    some_us: int = 0,
    full_us: int = 0,
    avg10: float = 0.0,
    skipped: int = 0,
    interval_s: float = 1.0,
    vmstat: dict[str, int] | None = None,
    **meminfo: int,
) -> Sample:
    base = sample(time_s)
    assert not isinstance(base.system.meminfo, Gap)
    system = base.system._replace(
        meminfo={**base.system.meminfo, **meminfo},
        pressure=Pressure(Stall(avg10, 0, 0, some_us), Stall(0, 0, 0, full_us)),
        vmstat=vmstat or {},
    )
    return base._replace(system=system, skipped=skipped, interval_s=interval_s)


def events_of(
    samples: Iterable[Sample | Moment], settings: AlertSettings, state: State | None = None
) -> list[Event]:
    """What a row of samples tells."""
    state = state or State()
    before: Sample | None = None
    found: list[Event] = []
    for each in samples:
        now, verdict = (each, None) if isinstance(each, Sample) else each
        state, events = watch(state, settings, now, before, verdict)
        found += events
        before = now
    return found


def available(time_s: float, gib: float) -> Sample:
    return at(time_s, MemAvailable=int(gib * GIB))


NONE = Gap("proc/vmstat", "absent")
LOW = OFF._replace(available_below=Limit(25.0, None))  # of 16 GiB


def test_a_threshold_fires_once_when_it_is_crossed() -> None:
    found = events_of([available(0, 5), *(available(t, 3) for t in range(1, 90))], LOW)
    assert found == [
        Event(
            1,
            "available_below",
            "warning",
            "available is 3.0 GiB, 18.8 %: below 25 %",
            "mem_available_bytes",
        )
    ]


def test_it_fires_again_only_after_it_was_clear_for_a_while() -> None:
    # Up and down every second: one event.
    flicker = [available(t, 3 if t % 2 else 5) for t in range(100)]
    assert [event.time_s for event in events_of(flicker, LOW)] == [1]
    # Clear from 2 on, for a bit less than is asked, and for as long.
    for clear_s, times in ((CLEAR_S - 1, [1]), (CLEAR_S + 1, [1, 3 + CLEAR_S])):
        steps = [available(0, 5), available(1, 3)]
        steps += [available(2 + t, 5) for t in range(int(clear_s))]
        steps.append(available(2 + clear_s, 3))
        assert [event.time_s for event in events_of(steps, LOW)] == times


def test_what_is_not_known_neither_fires_nor_clears() -> None:
    unknown = at(0)._replace(system=at(0).system._replace(meminfo=Gap("proc/meminfo", "denied")))
    gap = [unknown._replace(time_s=float(t)) for t in range(2, 80)]
    assert events_of([available(1, 3), *gap, available(80, 3)], LOW)[0].time_s == 1
    assert len(events_of([available(1, 3), *gap, available(80, 3)], LOW)) == 1


@pytest.mark.parametrize("host", ["linux-2.6.18-vendor", "linux-3.2"])
def test_before_mem_available_the_cache_counts(host: str) -> None:
    """free(1) shows MemFree as available there: a few per cent on any healthy machine."""
    system = SystemSample(open_host(host).parsed("proc/meminfo", parse_meminfo), NONE, NONE)
    now = Sample(1.0, 1.0, system, {})
    assert not events_of([now], OFF._replace(available_below=Limit(5.0, None)))
    (event,) = events_of([now], OFF._replace(available_below=Limit(99.0, None)))
    assert event.kind == "available_below"


def test_a_limit_in_bytes() -> None:
    settings = OFF._replace(available_below=Limit(None, 2 * GIB))
    found = events_of([available(0, 2), available(1, 1.9)], settings)
    assert [event.text for event in found] == ["available is 1.9 GiB, 11.9 %: below 2.0 GiB"]


def test_shares_of_an_interval_stalled() -> None:
    settings = OFF._replace(psi_some_above=20.0, psi_full_above=5.0)
    found = events_of(
        [at(0), at(1, some_us=150_000), at(2, some_us=400_000, full_us=60_000)], settings
    )
    assert [(e.time_s, e.kind, e.level, e.metric) for e in found] == [
        (2, "psi_some_above", "warning", "stalled_some_pct"),
        (2, "psi_full_above", "alarm", "stalled_full_pct"),
    ]
    assert "25 % of the time: above 20 %" in found[0].text


def test_a_stall_between_two_ticks_that_averages_hide() -> None:
    settings = OFF._replace(stall_above_ms=200.0, psi_some_above=40.0)
    found = events_of([at(0), at(1, some_us=250_000, avg10=1.5)], settings)
    assert [(e.kind, e.text) for e in found] == [
        ("stall_above_ms", "a stall of 0.2 s between two ticks")
    ]
    # Shown by the average, or told as a share already: not once more.
    assert not events_of([at(0), at(1, some_us=250_000, avg10=60)], settings)
    shares = events_of([at(0), at(1, some_us=900_000, avg10=1.5)], settings)
    assert [e.kind for e in shares] == ["psi_some_above"]
    # A counter that goes backwards says nothing.
    assert not events_of([at(0, some_us=10**9), at(1)], settings)


def test_the_verdict_and_worse() -> None:
    settings = OFF._replace(verdict="thrashing")
    said = ["comfortable", "reclaiming", "thrashing", "thrashing", "being_killed", "stalling"]
    found = events_of([(at(t), level) for t, level in enumerate(said)], settings)
    assert [(e.time_s, e.text) for e in found] == [
        (2, "verdict: thrashing"),
        (4, "verdict: being killed"),
    ]
    assert {e.level for e in found} == {"alarm"}
    assert not events_of([(at(0), None), (at(1), "no such level")], settings)
    for level in VERDICTS:
        assert events_of([(at(0), VERDICTS[-1])], OFF._replace(verdict=level))


def test_every_kill_is_told() -> None:
    settings = OFF._replace(oom_kill=True)
    counts = [3, 3, 4, 6, 6, 1]
    found = events_of([at(t, vmstat={"oom_kill": n}) for t, n in enumerate(counts)], settings)
    assert [(e.time_s, e.text) for e in found] == [
        (2, "the kernel killed a process for want of memory"),
        (3, "the kernel killed 2 processes for want of memory"),
    ]
    assert not events_of([at(0, vmstat={}), at(1, vmstat={"oom_kill": 5})], settings)


def test_swap_that_appears_and_goes() -> None:
    sizes = [0, 2 * GIB, 2 * GIB, 3 * GIB, 0]
    found = events_of([at(t, SwapTotal=size) for t, size in enumerate(sizes)], OFF)
    assert [(e.time_s, e.level, e.text) for e in found] == [
        (1, "note", "swap of 2.0 GiB appeared"),
        (3, "note", "swap in use went from 2.0 GiB to 3.0 GiB"),
        (4, "note", "swap of 3.0 GiB went away"),
    ]


def test_a_gap_is_told_and_the_ticks_it_cost_are_not_told_again() -> None:
    found = events_of([at(0), at(1), at(3601), at(3602, skipped=3599), at(3603, skipped=3600)], OFF)
    assert [(e.time_s, e.kind) for e in found] == [(3601, "gap"), (3603, "skipped")]
    assert found[0].text.startswith("nothing was seen for 1 h: suspended")
    assert found[1].text.startswith("1 tick skipped")
    # A slow interval is no gap, nor is a change to a fast one.
    assert not events_of([at(0, interval_s=60), at(60, interval_s=60), at(110)], OFF)


def test_a_time_before_the_last_begins_anew() -> None:
    assert len(events_of([available(100, 3), available(0, 3), available(1, 3)], LOW)) == 2


def test_what_is_switched_off_says_nothing() -> None:
    bad = [
        (at(t, some_us=t * 900_000, full_us=t * 900_000, vmstat={"oom_kill": t}), "being_killed")
        for t in range(9)
    ]
    assert not events_of(bad, OFF)
    assert {e.kind for e in events_of(bad, alert_settings({}))} == {
        "psi_some_above",
        "psi_full_above",
        "verdict",
        "oom_kill",
    }


MEMINFOS = st.dictionaries(
    st.sampled_from(["MemTotal", "MemFree", "MemAvailable", "SwapTotal"]), st.integers(0, 2**50)
)
SAMPLES = st.builds(
    lambda time_s, meminfo, some, kills, skipped: at(
        time_s, some_us=some, vmstat={"oom_kill": kills}, skipped=skipped
    )._replace(
        system=at(0, some_us=some).system._replace(meminfo=meminfo, vmstat={"oom_kill": kills})
    ),
    st.floats(0, 1e7),
    MEMINFOS | st.just(Gap("proc/meminfo", "failed")),
    st.integers(0, 10**12),
    st.integers(0, 100),
    st.integers(0, 100),
)


@given(st.lists(st.tuples(SAMPLES, st.sampled_from([None, *VERDICTS])), max_size=6))
def test_any_samples_give_events(moments: list[Moment]) -> None:
    for event in events_of(moments, alert_settings({})):
        assert event.text.isprintable()
        assert event.level in LEVELS
        assert not event.metric or event.metric in METRICS


def test_events_are_bounded() -> None:
    events = Events(kept=3)
    for time_s in range(5):
        events.add(Event(float(time_s), "gap", "note", "x"))
    assert [event.time_s for event in events] == [2, 3, 4]
    assert [event.time_s for event in events.since(3)] == [3, 4]
    assert len(events) == 3


@pytest.mark.parametrize(
    ("actions", "own", "marked", "rung", "told"),
    [
        (("mark", "notify"), {}, 1, 0, 1),
        (("bell",), {}, 0, 1, 0),
        ((), {"available_below": ("mark", "bell")}, 1, 1, 0),
        (("mark", "bell", "notify"), {"available_below": ()}, 0, 0, 0),
        (("mark",), {"oom_kill": ("bell",)}, 1, 0, 0),
    ],
)
async def test_what_an_alert_does(
    actions: tuple[str, ...],
    own: dict[str, Any],
    marked: int,
    rung: int,
    told: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alerting, "_SHOWN_S", 600.0)  # however slow this machine is
    app = ringing(LOW._replace(actions=actions, own_actions=own))
    async with running(app) as pilot:
        app.deliver(available(0, 5))
        app.deliver(available(1, 3))
        await settle(pilot)
        seen = app.session.seen["host"]
        (event,) = seen.events
        assert event.kind == "available_below"
        assert list(seen.marks) == [event] * marked
        assert app.rung == rung
        assert [each.message for each in app._notifications] == [event.text] * told
        assert ("!" in screen_text(app)[2]) == bool(marked)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a.out (7) died: read of 0x0: not mapped", "a.out (7) died: read of 0x0: not mapped"),
        ("the cgroup /a/b-c/lab-1 was full", "the cgroup …/lab-1 was full"),
        (
            "the kernel killed big (26469), 37.9 MiB in memory: the memory cgroup "
            "/sys.slice/memtui-lab-26393-1627952-4026531836 was full as small asked for more",
            "the kernel killed big (26469), 37.9 MiB in memory",
        ),
        ("x" * 300, "x" * 105 + "…"),
    ],
    ids=["as it is", "a path", "a reason", "too long"],
)
async def test_a_notice_is_of_two_lines_at_most(
    text: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerting, "_SHOWN_S", 600.0)  # however slow this machine is
    app = ringing(LOW)
    event = Event(0.0, "available_below", "alarm", text)
    async with running(app) as pilot:
        alerting.tell(app, LOW._replace(actions=("notify",)), [event])
        await settle(pilot)
        assert [each.message for each in app._notifications] == [told]


async def test_what_is_no_alert_only_marks() -> None:
    app = ringing(OFF._replace(actions=("bell", "notify")))
    async with running(app) as pilot:
        app.deliver(at(0, SwapTotal=0))
        app.deliver(at(1, SwapTotal=GIB))
        await settle(pilot)
        assert [each.kind for each in app.session.seen["host"].marks] == ["swap"]
        assert (app.rung, len(app._notifications)) == (0, 0)


async def test_a_frozen_screen_does_not_keep_an_alert_back() -> None:
    app = ringing(LOW._replace(actions=("bell",)))
    async with running(app) as pilot:
        app.deliver(available(0, 5))
        await press(pilot, "space")
        app.deliver(available(1, 3))
        await settle(pilot)
        assert app.session.is_frozen
        assert app.rung == 1
