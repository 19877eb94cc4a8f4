"""What is remembered of a machine, and the moment of it that is shown. Nothing here knows Textual.

A `Session` takes readings and gives the `Moment` that views draw. One thread uses it: the
interface's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

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
from memtui.session.scope import Scope, in_group, of_group
from memtui.session.seen import Seen
from memtui.settings.values import Settings

if TYPE_CHECKING:
    from memtui.model.explain.context import Context
    from memtui.model.oom.deathwatch import DeathWatch
    from memtui.model.oom.obituary import Obituary


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

        return Context(self.sample, self.before, page_size_bytes=self.machine.page_bytes)


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
        self.growth = GrowthTracker()
        self.chosen = Chosen()
        self.seen: dict[Scope, Seen] = {"host": Seen(settings), "group": Seen(settings)}
        self._rates = RateTracker()
        self._last: Sample | None = None
        self._still: dict[Scope, Seen] = {}  # while the screen is frozen: what was seen by then
        self._frozen: Sample | None = None
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
        return bool(self._still)

    @property
    def moment(self) -> Moment | None:
        """What is to be shown; None before there is a sample."""
        if self._moment is None:
            sample = self._frozen if self.is_frozen else self._last
            if sample is None:
                return None
            if self.scope == "group":
                sample = in_group(sample) or sample
            self._moment = Moment(
                self.machine,
                self.scope,
                sample,
                free_figures(sample.system.meminfo),
                (self._still or self.seen)[self.scope],
                self.growth,
                self._rates.rates,
                self.is_frozen,
            )
        return self._moment

    @property
    def fields(self) -> frozenset[str]:
        """Those of SystemSample that figures of the history are made of, beside what is always read."""
        if not len(self.seen["host"].history):  # the table is not imported before the first frame
            return frozenset()
        from memtui.model.system.metrics import FIELDS

        return FIELDS

    # Taking in.

    def preview(self, sample: Sample) -> None:
        """Shows a sample that is not judged and remembered yet: that takes imports."""
        self._last, self._moment = sample, None
        self.chosen.update(sample)

    def take(self, reading: Sample | MapReading) -> Taken:
        """Takes a reading in. What is frozen stays, but for the map of a process chosen since."""
        if isinstance(reading, MapReading):
            if self.is_frozen and self.chosen.map is not None:
                return Taken()
            return Taken(map_read=self.chosen.read(reading))
        events = self._record(reading)
        self._last = reading
        if self.is_frozen:
            return Taken(events)
        self._moment = None
        self.chosen.update(reading)
        lost = self.scope == "group" and in_group(reading) is None
        if lost:
            self.scope = "host"
        return Taken(events, is_news=True, scope_lost=lost)

    def _record(self, sample: Sample) -> Sequence[Event]:
        """Both scopes see every sample, so that each has its hour when it is switched to.

        What happened in the one that is looked at.
        """
        deaths = self._deaths_in(sample)
        found = {"host": self.seen["host"].record(sample, deaths)}
        self.growth.record(sample)
        self._rates.record(sample.details)
        group = in_group(sample)
        if group is not None:
            found["group"] = self.seen["group"].record(group, of_group(group, deaths))
        return found.get(self.scope, [])

    def _deaths_in(self, sample: Sample) -> list[tuple[Event, Obituary]]:
        """Who has died since the sample before."""
        if sample.signs is None:
            return []
        if self._deaths is None:
            from memtui.model.oom.deathwatch import DeathWatch  # after the first frame

            self._deaths = DeathWatch(self.machine.page_bytes)
        chosen = self.chosen
        if chosen.process is not None and chosen.map is not None:
            self._deaths.note_map(chosen.process.key, chosen.process.name, chosen.map)
        return self._deaths.see(sample)

    # What is looked at.

    def choose(self, process: ProcessSample) -> bool:
        """From now on this process's map is read and shown; whether that is another one."""
        if process.key == self.chosen.key:
            return False
        self.chosen = Chosen(process)
        return True

    def switch_scope(self) -> bool:
        """From the host to the group that confines memtui, or back; False where there is none."""
        if self.scope == "host" and (self._last is None or in_group(self._last) is None):
            return False
        self.scope = "group" if self.scope == "host" else "host"
        self._moment = None
        return True

    def freeze(self) -> None:
        """The moment stays as it is; readings are still taken in."""
        self._frozen = self._last
        for scope, seen in self.seen.items():
            seen.history.until_s = self._last.time_s if self._last else None
            self._still[scope] = seen.still()
        self._moment = None

    def thaw(self) -> None:
        """The moment is now again."""
        self._still, self._frozen, self._moment = {}, None, None
        for seen in self.seen.values():
            seen.history.until_s = None
        if self._last is not None:
            self.chosen.update(self._last)
