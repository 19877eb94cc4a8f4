"""What processes gained at a moment of the past is what was shown then, however one comes to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from memtui.live.plan import Plan
from memtui.model.keys import ProcessKey
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.session.history import GrowthTracker
from memtui.session.rebuild import Rebuilt
from memtui.settings.values import DEFAULTS
from tests.session.test_past import Changing

_BARS = 12
_PLAN = Plan()

Told = tuple[float, dict[ProcessKey, tuple[int, list[int | None]]]]


def told(growth: GrowthTracker, keys: list[ProcessKey]) -> Told:
    """How long is counted, and of each process what it gained and its bars."""
    return growth.counted_s, {
        key: (growth.gained_bytes(key), growth.last_minute(key, _BARS)) for key in keys
    }


def of(rebuilt: Rebuilt, moment: Moment, is_at_once: bool) -> Told:
    """With all that needs longer; what was gained is right at once, but of very many blocks."""
    at_once = rebuilt.at(moment, _PLAN)
    whole = rebuilt.completed(_PLAN, lambda: True) or at_once
    keys = sorted(whole.memory.last["host"].processes)
    if is_at_once:
        gained = [at_once.memory.growth.gained_bytes(key) for key in keys]
        assert gained == [whole.memory.growth.gained_bytes(key) for key in keys]
    return told(whole.memory.growth, keys)


@contextmanager
def lived(ticks: int, seconds: float) -> Iterator[tuple[Recording, list[tuple[float, Told]]]]:
    """What came of living so long, and what was shown at each moment of it."""
    changing = Changing()
    shown = []
    for _ in range(ticks):
        changing.tick(seconds)
        session = changing.lived.session
        assert session.moment is not None
        keys = sorted(session.moment.sample.processes)
        shown.append((session.moment.sample.time_s, told(session.growth, keys)))
    changing.lived.wait_until_kept()
    yield changing.lived.hour.opened(), shown
    changing.lived.end()


def by_opening(recording: Recording, moment: Moment) -> Rebuilt:
    return Rebuilt(recording, DEFAULTS)


def by_stepping(recording: Recording, moment: Moment) -> Rebuilt:
    rebuilt = Rebuilt(recording, DEFAULTS)
    for ticks in (0, -1, -2, -1):
        rebuilt.at(recording.step(moment, ticks), _PLAN)
        rebuilt.completed(_PLAN, lambda: True)
    return rebuilt


def by_playing(recording: Recording, moment: Moment) -> Rebuilt:
    rebuilt = Rebuilt(recording, DEFAULTS)
    rebuilt.at(recording.step(moment, -25), _PLAN)
    rebuilt.completed(_PLAN, lambda: True)
    for _ in range(4):
        if (next_ := rebuilt.played(5 * rebuilt.interval_s)) is not None and next_ < moment:
            rebuilt.at(next_, _PLAN)
    return rebuilt


@pytest.mark.parametrize(("ticks", "seconds"), [(150, 1.0), (80, 1.07), (330, 0.25)])
def test_it_is_what_was_shown_then(ticks: int, seconds: float) -> None:
    ways: list[Callable[[Recording, Moment], Rebuilt]] = [by_opening, by_stepping, by_playing]
    with lived(ticks, seconds) as (recording, shown):
        moments = {recording.since_boot(each): each for each in recording.moments(0, 1e12)}
        chance = random.Random(5)
        for way in ways:
            for time_s, then in [shown[-1], *chance.sample(shown[1:-1], 4)]:
                rebuilt = way(recording, moments[time_s])
                assert of(rebuilt, moments[time_s], seconds >= 1) == then, (way, time_s)


def test_a_plan_that_wants_more_of_a_moment_does_not_change_it() -> None:
    with lived(40, 1.0) as (recording, shown):
        moment = recording.last
        assert moment is not None
        rebuilt = Rebuilt(recording, DEFAULTS)
        rebuilt.at(moment, _PLAN)
        more = rebuilt.at(moment, Plan(details=frozenset()))
        keys = sorted(more.memory.last["host"].processes)
        assert told(more.memory.growth, keys) == shown[-1][1]
