"""What was seen of a machine, or of a control group as one, up to now."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from memtui.model.sample import Sample
from memtui.model.shortage.events import Event, Events
from memtui.session.history import History
from memtui.settings.values import Settings

if TYPE_CHECKING:
    from memtui.model.oom.obituary import Obituary
    from memtui.model.shortage.alerts import AlertSettings, State
    from memtui.model.shortage.judge import Judge
    from memtui.model.shortage.verdict import Verdict
    from memtui.session.sartrack import SarTrack

_OBITUARIES_KEPT = 100
# The trend of an hour is made seldom: looking through it takes milliseconds.
_HOUR_S, _HOUR_EVERY_S = 3600, 30.0


class Seen:
    """The last hour's figures and events, and the verdict: of the host, or of the group around memtui.

    `marks` are those of the events that graphs show; `obituaries` belong to those that are deaths,
    the newest last.
    """

    def __init__(self, settings: Settings) -> None:
        self.history = History()
        self.events = Events()
        self.marks = Events()
        self.obituaries: OrderedDict[Event, Obituary] = OrderedDict()
        self.last: Sample | None = None
        self.before: Sample | None = None  # the sample before the last
        self.verdict: Verdict | None = None
        self._sar: SarTrack | None = None
        self._hour: tuple[float, float | None] | None = None
        self._settings = settings
        self._watching: tuple[AlertSettings, Judge, State] | None = None

    def record(self, sample: Sample, deaths: Sequence[tuple[Event, Obituary]] = ()) -> list[Event]:
        """Takes a sample in, and the deaths it told of; the events that it makes."""
        # Not before the first frame, which has no room for any of it yet.
        from memtui.model.shortage.alerts import State, watch
        from memtui.model.shortage.judge import Judge

        alerts, judge, state = self._watching or (self._settings.alerts, Judge(), State())
        before = self.before = self.last
        self.last = sample
        self.history.record(sample)
        if self._sar is not None:
            self._sar.record(sample, before)
        self.verdict = judge.see(sample)
        state, found = watch(state, alerts, sample, before, self.verdict.level)
        self._watching = alerts, judge, state
        if sample.signs is not None:
            # One death is one event: whoever was counted has an obituary, or will have.
            found = [event for event in found if event.kind != "oom_kill"]
        for event, obituary in deaths:
            self.obituaries[event] = obituary
            found.append(event)
        while len(self.obituaries) > _OBITUARIES_KEPT:
            self.obituaries.popitem(last=False)
        for event in sorted(found, key=lambda event: event.time_s):
            self.events.add(event)
            if "mark" in alerts.actions_of(event):
                self.marks.add(event)
        return found

    def follow_sar(self) -> SarTrack:
        """sar's figures, from the first time on that somebody asks for them."""
        if self._sar is None:
            from memtui.session.sartrack import SarTrack

            self._sar = SarTrack()
            if self.last is not None:
                self._sar.record(self.last, self.before)
        return self._sar

    def lost_per_hour(self) -> float | None:
        """What the unaccounted memory gains in an hour; worked out anew now and then."""
        now_s = self.history.end_s
        if self._hour is None or not 0 <= now_s - self._hour[0] < _HOUR_EVERY_S:
            slope = self.history.trend_per_minute("unaccounted_bytes", _HOUR_S)
            self._hour = now_s, None if slope is None else slope * 60
        return self._hour[1]

    def then(self, past: Seen, time_s: float) -> Seen:
        """What was seen up to a time: figures and events of this one, the verdict as of the other,
        which saw the samples again."""
        seen = copy.copy(past)
        seen.history = self.history.until(time_s)
        seen.events, seen.marks = self.events.until(time_s), self.marks.until(time_s)
        seen.obituaries = OrderedDict(
            (event, each) for event, each in self.obituaries.items() if event.time_s <= time_s
        )
        return seen

    def still(self) -> Seen:
        """As it is now, whatever is recorded after; only the history goes on, and knows where to end."""
        seen = copy.copy(self)
        seen.events, seen.marks = copy.copy(self.events), copy.copy(self.marks)
        seen.obituaries = self.obituaries.copy()
        seen._sar = None if self._sar is None else self._sar.still()
        return seen
