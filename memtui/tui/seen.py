"""What was seen of a machine, or of a control group as one, up to now."""

from __future__ import annotations

from memtui.history import History
from memtui.model.alerts import AlertSettings, Event, Events, State, watch
from memtui.model.judge import Judge
from memtui.model.sample import Sample
from memtui.model.verdict import Verdict


class Seen:
    """The last hour's figures and events, and the verdict: of the host, or of the group around memtui.

    `marks` are those of the events that graphs show.
    """

    def __init__(self, alerts: AlertSettings) -> None:
        self.history = History()
        self.events = Events()
        self.marks = Events()
        self.before: Sample | None = None  # the sample before the last
        self.verdict: Verdict | None = None
        self._judge = Judge()
        self._alerts = alerts
        self._state = State()

    def record(self, sample: Sample) -> list[Event]:
        """Takes a sample in; the events that it makes."""
        before = self.before = self.history.last
        self.history.record(sample)
        self.verdict = self._judge.see(sample)
        level = self.verdict.level
        self._state, found = watch(self._state, self._alerts, sample, before, level)
        for event in found:
            self.events.add(event)
            if "mark" in self._alerts.actions_of(event):
                self.marks.add(event)
        return found
