"""A past for tests: samples that have been delivered, taken again up to the one that is gone to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from memtui.live.plan import Plan
from memtui.model.map.addressmap import MapReading
from memtui.model.sample import Sample
from memtui.model.shortage.events import Event
from memtui.ondemand.question import Asked, Question
from memtui.recording.moment import Moment
from memtui.session.memory import Memory
from memtui.session.scope import scopes_of
from memtui.session.wound import Wound
from memtui.tui.app import MemtuiApp
from tests.interface import script_of


class ScriptedPast:
    """What the session of an application is wound back by. `lacking` is what was not kept."""

    def __init__(self, app: MemtuiApp, samples: Sequence[Sample], lacking: str = "") -> None:
        self._app = app
        self.samples = list(samples)
        self.lacking = lacking
        self.has_all = False
        self.events: tuple[Event, ...] = ()
        self.speed, self.holes = 0.0, ()
        self.plan = Plan()
        self.asked: list[str] = []

    @property
    def kept(self) -> tuple[float, float]:
        return self.samples[0].time_s, self.samples[-1].time_s

    def look_at(self, plan: Plan) -> None:
        self.plan = plan

    def stay(self) -> None:
        """Nothing is under way."""

    def ask(self, question: Question[Any], wound: Wound) -> Asked:
        self.asked.append(type(question).__name__)
        return script_of(self._app).ask(question)

    def go_to(self, time_s: float | None, plan: Plan, epoch: int) -> None:
        time_s = self.kept[1] if time_s is None else time_s
        at = max((at for at, each in enumerate(self.samples) if each.time_s <= time_s), default=0)
        self._post(at, plan, epoch)

    def step(self, from_s: float, ticks: int, plan: Plan, epoch: int) -> None:
        at = max(at for at, each in enumerate(self.samples) if each.time_s <= from_s)
        self._post(max(0, min(at + ticks, len(self.samples) - 1)), plan, epoch)

    def step_by(self, from_s: float, seconds: float, plan: Plan, epoch: int) -> None:
        self.go_to(from_s + seconds, plan, epoch)

    def _post(self, at: int, plan: Plan, epoch: int) -> None:
        script = script_of(self._app)
        memory = Memory(self._app.session.settings)
        for sample in self.samples[: at + 1]:
            memory.take(scopes_of(sample))
        sample, key = self.samples[at], plan.map_of
        map_ = None if key is None or key not in script.maps else script.maps[key]
        reading = None if map_ is None or key is None else MapReading(key, map_, None, 1e9, 0.0)
        moment = Moment((script.machine.booted_s or 0.0) + sample.time_s, sample.time_s, 0)
        wound = Wound(epoch, moment, script.machine, memory, reading, self.lacking, self.has_all)
        self._app.deliver(wound)


def with_past(app: MemtuiApp, samples: Sequence[Sample], lacking: str = "") -> ScriptedPast:
    """An application whose session can be wound back to any of these."""
    past = ScriptedPast(app, samples, lacking)
    app.session.past = past  # type: ignore[assignment]
    return past


def today_at(app: MemtuiApp, last: Sample, hour: int, minute: int, second: int) -> None:
    """From now on the clock on the wall showed that when a sample was taken, whatever it shows now."""
    day = time.localtime()[:3]
    at_s = time.mktime((*day, hour, minute, second, 0, 0, -1))
    script = script_of(app)
    script.machine = script.machine._replace(booted_s=at_s - last.time_s)
