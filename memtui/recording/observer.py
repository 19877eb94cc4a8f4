"""`Observer`: what of samples is written beside the files that they are made of: figures, and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from memtui.model.machine import Machine
from memtui.model.oom.deathwatch import DeathWatch
from memtui.model.sample import Sample
from memtui.model.shortage.alerts import AlertSettings, State, watch
from memtui.model.shortage.events import Event
from memtui.model.shortage.judge import Judge
from memtui.model.shortage.rules import ORDER
from memtui.model.system.metrics import METRICS
from memtui.recording.obituaries import written
from memtui.recording.store import EventRow, Time

if TYPE_CHECKING:
    from memtui.model.oom.obituary import Obituary

_DIGITS: Final = 3  # after the point, of figures
# Beside the metrics: the verdict, by its place in model.shortage.rules.ORDER; -1: unknown.
VERDICT: Final = "verdict"


class Observer:
    """Makes of samples the figures that are summarised, and the events."""

    def __init__(self, machine: Machine, alerts: AlertSettings, *, commands: bool = True) -> None:
        self._alerts = alerts
        self._commands = commands
        self._judge = Judge()
        self._watching = State()
        self._deaths = DeathWatch(machine.page_bytes, machine.hidden)
        self._before: Sample | None = None

    def see(self, sample: Sample, now: Time) -> tuple[dict[str, float], tuple[EventRow, ...]]:
        before, self._before = self._before, sample
        if before is not None and before.time_s >= sample.time_s:
            before = None
        values = {name: metric.value(sample, before) for name, metric in METRICS.items()}
        figures = {
            name: round(value, _DIGITS) for name, value in values.items() if value is not None
        }
        level = self._judge.see(sample).level
        figures[VERDICT] = ORDER.index(level) if level in ORDER else -1
        self._watching, found = watch(self._watching, self._alerts, sample, before, level)
        # One death is one event: whoever was counted has an obituary, or will have.
        rows = [_row(event, now) for event in found if event.kind != "oom_kill"]
        for event, obituary in self._deaths.see(sample):
            if not self._commands:
                obituary = obituary._replace(command=None)
            rows.append(_row(event, now, obituary))
        return figures, tuple(rows)


def _row(event: Event, now: Time, obituary: Obituary | None = None) -> EventRow:
    boot_ms = round(event.time_s * 1000)
    wall_ms = now.wall_ms - (now.boot_ms - boot_ms)
    detail = "" if obituary is None else written(obituary)
    return EventRow(0, wall_ms, boot_ms, event.kind, event.level, event.text, event.metric, detail)
