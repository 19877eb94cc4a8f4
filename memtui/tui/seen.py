"""What was seen of a machine, or of a control group as one, up to now."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from memtui.history import History
from memtui.model.events import Event, Events
from memtui.model.sample import Sample
from memtui.settings import Settings

if TYPE_CHECKING:
    from memtui.model.alerts import AlertSettings, State
    from memtui.model.judge import Judge
    from memtui.model.verdict import Verdict


class Seen:
    """The last hour's figures and events, and the verdict: of the host, or of the group around memtui.

    `marks` are those of the events that graphs show.
    """

    def __init__(self, settings: Settings) -> None:
        self.history = History()
        self.events = Events()
        self.marks = Events()
        self.before: Sample | None = None  # the sample before the last
        self.verdict: Verdict | None = None
        self._settings = settings
        self._watching: tuple[AlertSettings, Judge, State] | None = None

    def record(self, sample: Sample) -> list[Event]:
        """Takes a sample in; the events that it makes."""
        # Not before the first frame, which has no room for any of it yet.
        from memtui.model.alerts import State, watch
        from memtui.model.judge import Judge

        alerts, judge, state = self._watching or (self._settings.alerts, Judge(), State())
        before = self.before = self.history.last
        self.history.record(sample)
        self.verdict = judge.see(sample)
        state, found = watch(state, alerts, sample, before, self.verdict.level)
        self._watching = alerts, judge, state
        for event in found:
            self.events.add(event)
            if "mark" in alerts.actions_of(event):
                self.marks.add(event)
        return found

    def still(self) -> Seen:
        """As it is now, whatever is recorded after; only the history goes on, and knows where to end."""
        seen = copy.copy(self)
        seen.events, seen.marks = copy.copy(self.events), copy.copy(self.marks)
        return seen
