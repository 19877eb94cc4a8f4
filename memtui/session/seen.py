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
# The trend of an hour is made of 120 spans, and seldom: looking through it takes milliseconds.
_HOUR_S, _SPANS, _HOUR_EVERY_S, _LEAST_S = 3600, 120, 30.0, 600


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
        before = self.before = self.history.last
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
            if self.history.last is not None:
                self._sar.record(self.history.last, self.before)
        return self._sar

    def lost_per_hour(self) -> float | None:
        """What the unaccounted memory gained in an hour; worked out anew now and then."""
        now_s = self.history.end_s
        if self._hour is None or not 0 <= now_s - self._hour[0] < _HOUR_EVERY_S:
            self._hour = now_s, per_hour(self.history, "unaccounted_bytes")
        return self._hour[1]

    def still(self) -> Seen:
        """As it is now, whatever is recorded after; only the history goes on, and knows where to end."""
        seen = copy.copy(self)
        seen.events, seen.marks = copy.copy(self.events), copy.copy(self.marks)
        seen.obituaries = self.obituaries.copy()
        seen._sar = None if self._sar is None else self._sar.still()
        return seen


def per_hour(history: History, name: str) -> float | None:
    """How much a metric changed in the last hour; None before there are ten minutes."""
    values = history.buckets(name, _HOUR_S, _SPANS).values
    known = [(at, value) for at, value in enumerate(values) if value is not None]
    if not known:
        return None
    (first, old), (last, new) = known[0], known[-1]
    elapsed = (last - first) * _HOUR_S / _SPANS
    return (new - old) * 3600 / elapsed if elapsed >= _LEAST_S else None
