"""What was seen of a machine, or of a control group as one, up to now."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from memtui.history import History
from memtui.model.alerts import AlertSettings, Event, Events, State, watch
from memtui.model.judge import Judge
from memtui.model.sample import Sample
from memtui.model.verdict import Verdict

if TYPE_CHECKING:
    from memtui.model.obituary import Obituary

_OBITUARIES_KEPT = 100


class Seen:
    """The last hour's figures and events, and the verdict: of the host, or of the group around memtui.

    `marks` are those of the events that graphs show; `obituaries` belong to those that are deaths,
    the newest last.
    """

    def __init__(self, alerts: AlertSettings) -> None:
        self.history = History()
        self.events = Events()
        self.marks = Events()
        self.obituaries: OrderedDict[Event, Obituary] = OrderedDict()
        self.before: Sample | None = None  # the sample before the last
        self.verdict: Verdict | None = None
        self._judge = Judge()
        self._alerts = alerts
        self._state = State()

    def record(self, sample: Sample, deaths: Sequence[tuple[Event, Obituary]] = ()) -> list[Event]:
        """Takes a sample in, and the deaths it told of; the events that it makes."""
        before = self.before = self.history.last
        self.history.record(sample)
        self.verdict = self._judge.see(sample)
        level = self.verdict.level
        self._state, found = watch(self._state, self._alerts, sample, before, level)
        if sample.signs is not None:
            # One death is one event: whoever was counted has an obituary, or will have.
            found = [event for event in found if event.kind != "oom_kill"]
        for event, obituary in deaths:
            self.obituaries[event] = obituary
            found.append(event)
        while len(self.obituaries) > _OBITUARIES_KEPT:
            self.obituaries.popitem(last=False)
        found.sort(key=lambda event: event.time_s)
        for event in found:
            self.events.add(event)
            if "mark" in self._alerts.actions_of(event):
                self.marks.add(event)
        return found
