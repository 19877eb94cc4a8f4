"""What is remembered of a machine, and the moment of it that is shown. Nothing here knows Textual.

A `Session` takes readings and gives the `Moment` that views draw. One thread uses it: the
interface's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from memtui.kernel.cgroups import Confinement
from memtui.live.source import Source
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.model.map.addressmap import MapReading
from memtui.model.processes.rates import Rates, RateTracker
from memtui.model.sample import ProcessSample, Sample
from memtui.model.shortage.events import Event
from memtui.model.system.free import Free, free_figures
from memtui.session.chosen import Chosen
from memtui.session.history import GrowthTracker, History
from memtui.session.scope import Scope, of_group, scope_at_first, scopes_of
from memtui.session.seen import Seen
from memtui.settings.values import Settings

if TYPE_CHECKING:
    from memtui.model.crash.crash import Crash
    from memtui.model.explain.context import Context
    from memtui.model.oom.deathwatch import DeathWatch
    from memtui.model.oom.obituary import Obituary
    from memtui.recording.earlier import Earlier


class Moment(NamedTuple):
    """One time of a machine, or of the control group that confines memtui as one: what views draw.

    `sample` is as the scope sees it, `free` free(1)'s figures of it, `seen` what was seen up to
    then. `rates` are faults a second of processes whose details are read.
    """

    machine: Machine
    scope: Scope
    sample: Sample
    free: Free
    seen: Seen
    growth: GrowthTracker
    rates: Mapping[ProcessKey, Rates]
    is_frozen: bool

    @property
    def history(self) -> History:
        return self.seen.history

    @property
    def before(self) -> Sample | None:
        """The sample before this one, of the same scope."""
        return self.seen.before

    @property
    def context(self) -> Context:
        """What explanations put their numbers from, as far as samples tell."""
        from memtui.model.explain.context import Context

        return Context(self.sample, self.before, page_bytes=self.machine.page_bytes)


class Taken(NamedTuple):
    """What came of a reading: events of what is looked at; whether there is another moment to show,
    or only another map; whether the group that was looked at has lost its limit."""

    events: Sequence[Event] = ()
    is_news: bool = False
    map_read: bool = False
    scope_lost: bool = False


class Session:
    """The last hour of a source, as the host and as the group around memtui, and what is chosen."""

    def __init__(self, source: Source, settings: Settings) -> None:
        self.source = source
        self.settings = settings
        self.scope: Scope = "host"
        self._has_begun = False
        self._group: str | None = None  # whose hour the scope's is
        self.growth = GrowthTracker()
        self.chosen = Chosen()
        self.crash: Crash | None = None  # how the chosen process died, where that is known
        self.seen: dict[Scope, Seen] = {"host": Seen(settings), "group": Seen(settings)}
        self._rates = RateTracker()
        # The host's, and the group's where it has a limit.
        self._last: Mapping[Scope, Sample] = {}
        # While the moment stays as it is: what was last, and seen by then.
        self._held: tuple[Mapping[Scope, Sample], Mapping[Scope, Seen]] | None = None
        self._deaths: DeathWatch | None = None
        self._moment: Moment | None = None

    @property
    def machine(self) -> Machine:
        return self.source.machine

    @property
    def history(self) -> History:
        """The last hour of what is looked at."""
        return self.seen[self.scope].history

    @property
    def is_frozen(self) -> bool:
        return self._held is not None

    @property
    def moment(self) -> Moment | None:
        """What is to be shown; None before there is a sample."""
        if self._moment is None:
            samples, seen = self._held or (self._last, self.seen)
            sample = samples.get(self.scope)
            if sample is None:
                return None
            self._moment = Moment(
                self.machine,
                self.scope,
                sample,
                free_figures(sample.system.meminfo),
                seen[self.scope],
                self.growth,
                self._rates.rates,
                self.is_frozen,
            )
        return self._moment

    @property
    def fields(self) -> frozenset[str]:
        """Those of SystemSample that figures of the history are made of, beside what is always read,
        and who is in the group that is looked at."""
        if not len(self.seen["host"].history):  # the table is not imported before the first frame
            return frozenset()
        from memtui.model.system.metrics import FIELDS

        return FIELDS | {"members"} if self.scope == "group" else FIELDS

    # Taking in.

    def preview(self, sample: Sample) -> None:
        """Shows a sample that is not judged and remembered yet: that takes imports."""
        self._last, self._moment = scopes_of(sample), None
        self._begin(self._last)
        self.chosen.update(sample)

    def take(self, reading: Sample | MapReading) -> Taken:
        """Takes a reading in. What is frozen stays, but for the map of a process chosen since."""
        if isinstance(reading, MapReading):
            if self.is_frozen and self.chosen.map is not None:
                return Taken()
            return Taken(map_read=self.chosen.read(reading))
        samples = scopes_of(reading)
        self._begin(samples)
        events = self._record(samples)
        self._last = samples
        if self.is_frozen:
            return Taken(events)
        self._moment = None
        self.chosen.update(reading)
        lost = self.scope not in samples
        if lost:
            self.scope = "host"
        return Taken(events, is_news=True, scope_lost=lost)

    def learn(self, earlier: Earlier) -> None:
        """What somebody else kept of the host before the first sample."""
        self.seen["host"].history.learn(earlier)

    def _begin(self, samples: Mapping[Scope, Sample]) -> None:
        """Begins in the scope that is short; from then on it is the user's."""
        if not self._has_begun:
            self._has_begun = True
            self.scope = scope_at_first(samples)

    def _record(self, samples: Mapping[Scope, Sample]) -> Sequence[Event]:
        """Both scopes see every sample, so that each has its hour when it is switched to.

        What happened in the one that is looked at.
        """
        host = samples["host"]
        deaths = self._deaths_in(host)
        self.growth.record(host)
        self._rates.record(host.details)
        events: Sequence[Event] = ()
        group = _group(samples)
        if group is not None and group != self._group:
            if self._group is not None:
                self.seen["group"] = Seen(self.settings)  # another one binds: its hour begins
            self._group = group
        for scope, sample in samples.items():
            died = deaths if scope == "host" else of_group(sample, deaths)
            found = self.seen[scope].record(sample, died)
            events = found if scope == self.scope else events
        return events

    def _deaths_in(self, sample: Sample) -> list[tuple[Event, Obituary]]:
        """Who has died since the sample before."""
        if sample.signs is None:
            return []
        if self._deaths is None:
            from memtui.model.oom.deathwatch import DeathWatch  # after the first frame

            self._deaths = DeathWatch(self.machine.page_bytes, self.machine.hidden)
        chosen = self.chosen
        if chosen.process is not None and chosen.map is not None:
            self._deaths.note_map(chosen.process.key, chosen.process.name, chosen.map)
        return self._deaths.see(sample)

    # What is looked at.

    def choose(self, process: ProcessSample, *, by_itself: bool = False) -> bool:
        """From now on this process's map is read and shown; whether that is another one.

        `by_itself`: nobody has asked for it, so that lists need not show it first.
        """
        if process.key == self.chosen.key:
            return False
        self.chosen = Chosen(process, by_itself=by_itself)
        return True

    def switch_scope(self) -> bool:
        """From the host to the group that confines memtui, or back; False where there is none."""
        samples = self._held[0] if self._held else self._last
        other: Scope = "group" if self.scope == "host" else "host"
        if other not in samples:
            return False
        self.scope, self._moment = other, None
        return True

    @property
    def now_s(self) -> float:
        """The time of the last sample; 0 before there is one."""
        host = self._last.get("host")
        return host.time_s if host else 0.0

    def at(self, time_s: float | None) -> None:
        """Shows a time and stays there, which `now_s` freezes; None: now, as it goes on.

        Readings are taken in all the same.
        """
        for seen in self.seen.values():
            seen.history.until_s = time_s
        self._held, self._moment = None, None
        if time_s is not None:
            self._held = self._last, {scope: seen.still() for scope, seen in self.seen.items()}
        elif self._last:
            self.chosen.update(self._last["host"])


def _group(samples: Mapping[Scope, Sample]) -> str | None:
    """Which group is the scope's."""
    if "group" not in samples:
        return None
    confinement = samples["group"].system.confinement
    return confinement.group.path if isinstance(confinement, Confinement) else None
