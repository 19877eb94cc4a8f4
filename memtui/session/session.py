"""What is remembered of a machine, and the moment of it that is shown. Nothing here knows Textual.

A `Session` takes readings and gives the `Moment` that views draw: now, held, or a time that is kept.
One thread uses it: the interface's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from memtui.live.plan import Plan
from memtui.live.source import Source
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.model.map.addressmap import MapReading
from memtui.model.processes.rates import Rates
from memtui.model.sample import ProcessSample, Sample
from memtui.model.shortage.events import Event
from memtui.model.system.free import Free, free_figures
from memtui.ondemand.question import Asked, Question
from memtui.session.chosen import Chosen
from memtui.session.finding import GROWTH, largest_growth, next_event
from memtui.session.history import ENTRIES, GrowthTracker, History
from memtui.session.memory import Memory
from memtui.session.scope import Scope, scope_at_first, scopes_of
from memtui.session.seen import Seen
from memtui.session.wound import NoWound, Wound
from memtui.settings.values import Settings

if TYPE_CHECKING:
    from memtui.model.crash.crash import Crash
    from memtui.model.explain.context import Context
    from memtui.model.oom.deathwatch import DeathWatch
    from memtui.model.oom.obituary import Obituary
    from memtui.recording.earlier import Earlier
    from memtui.recording.lasthour import LastHour
    from memtui.session.past import Past

_PAST: Final = "this is the past, where nothing can be changed: 0 goes back to now"


class Moment(NamedTuple):
    """One time of a machine, or of the control group that confines memtui as one: what views draw.

    `sample` is as the scope sees it, `free` free(1)'s figures of it, `seen` what was seen up to
    then. `rates` are faults a second of processes whose details are read.

    `is_past`: it is not now, but was at `at`, in seconds since the epoch, `ago_s` before the last that
    there is. `missing` says in words what was not kept of it, "" where nothing is known to be missing.
    """

    machine: Machine
    scope: Scope
    sample: Sample
    free: Free
    seen: Seen
    growth: GrowthTracker
    rates: Mapping[ProcessKey, Rates]
    is_frozen: bool
    is_past: bool = False
    at: float | None = None
    ago_s: float = 0.0
    missing: str = ""

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
    or only another map; whether the group that was looked at has lost its limit; why a moment that was
    asked for is not shown."""

    events: Sequence[Event] = ()
    is_news: bool = False
    map_read: bool = False
    scope_lost: bool = False
    complaint: str = ""


class Session:
    """The last hour of a source, as the host and as the group around memtui, and what is chosen.

    `past` is what was kept, where something is; `kept_by` keeps it, of a machine that goes on.
    """

    def __init__(self, source: Source, settings: Settings) -> None:
        self.source = source
        self.settings = settings
        self.scope: Scope = "host"
        self.past: Past | None = None
        self.kept_by: LastHour | None = None
        self.crash: Crash | None = None  # how the chosen process died, where that is known
        self._has_begun = False
        self._chosen = Chosen()
        self._memory = Memory(settings)
        # While the moment stays as it is: what was last, seen and gained by then.
        self._held: tuple[Mapping[Scope, Sample], Mapping[Scope, Seen], GrowthTracker] | None = None
        self._wound: Wound | None = None
        self._chosen_then: Chosen | None = None
        self._found_s: float | None = None  # the event that was last gone to
        self._epoch = 0  # what was asked for before it was live again is not shown
        self._deaths: DeathWatch | None = None
        self._moment: Moment | None = None
        self._plan = Plan()

    @property
    def machine(self) -> Machine:
        if self._wound is not None:
            return self._wound.machine._replace(no_acting=_PAST)
        return self.source.machine

    @property
    def chosen(self) -> Chosen:
        """The process that is looked at, as of the moment that is shown."""
        return self._chosen_then or self._chosen

    @property
    def seen(self) -> Mapping[Scope, Seen]:
        """What was seen up to now."""
        return self._memory.seen

    @property
    def history(self) -> History:
        """The last hour of what is looked at."""
        return self.seen[self.scope].history

    @property
    def growth(self) -> GrowthTracker:
        """What each process has gained up to now."""
        return self._memory.growth

    @property
    def is_frozen(self) -> bool:
        return self._held is not None

    @property
    def is_past(self) -> bool:
        """Whether what is shown is not now."""
        return self._wound is not None or self.is_replay

    @property
    def is_replay(self) -> bool:
        """Whether all there is was recorded."""
        return self.past is not None and self.past.has_all

    @property
    def moment(self) -> Moment | None:
        """What is to be shown; None before there is a sample."""
        if self._moment is None:
            self._moment = self._moment_now() if self._wound is None else self._moment_then()
        return self._moment

    def _moment_now(self) -> Moment | None:
        memory = self._memory
        samples, seen, growth = self._held or (memory.last, memory.seen, memory.growth)
        sample = samples.get(self.scope)
        if sample is None:
            return None
        moment = Moment(
            self.machine,
            self.scope,
            sample,
            free_figures(sample.system.meminfo),
            seen[self.scope],
            growth,
            memory.rates,
            self.is_frozen,
        )
        if not self.is_past:
            return moment
        return moment._replace(
            is_past=True, at=(moment.machine.booted_s or 0.0) + sample.time_s
        )  # of a recording, before the first moment of it has been put together

    def _moment_then(self) -> Moment:
        wound = self._wound
        assert wound is not None and self.past is not None
        memory = wound.memory
        scope: Scope = self.scope if self.scope in memory.last else "host"
        sample, seen = memory.last[scope], memory.seen[scope]
        last_s = self.now_s
        if wound.has_all:
            last_s = self.past.kept[1] if self.past.kept else sample.time_s
        else:
            seen = self.seen[scope].then(seen, sample.time_s)
        return Moment(
            self.machine,
            scope,
            sample,
            free_figures(sample.system.meminfo),
            seen,
            memory.growth,
            memory.rates,
            False,
            True,
            wound.at,
            max(0.0, last_s - sample.time_s),
            wound.missing,
        )

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
        self._memory.last, self._moment = scopes_of(sample), None
        self._begin(self._memory.last)
        self._chosen.update(sample)

    def take(self, reading: Sample | MapReading | Wound | NoWound) -> Taken:
        """Takes a reading in. What is frozen, or past, stays, but for the map of a process chosen since."""
        if isinstance(reading, NoWound):
            return Taken(complaint=reading.why if reading.epoch == self._epoch else "")
        if isinstance(reading, Wound):
            return self._take_wound(reading)
        if isinstance(reading, MapReading):
            if self.is_frozen and self._chosen.map is not None:
                return Taken()
            return Taken(map_read=self._chosen.read(reading) and not self.is_past)
        samples = scopes_of(reading)
        self._begin(samples)
        events = self._record(samples)
        if self.is_frozen:
            return Taken(events)
        self._moment = None
        self._chosen.update(reading)
        if self.is_past:
            return Taken(events)
        lost = self.scope not in samples
        if lost:
            self.scope = "host"
        return Taken(events, is_news=True, scope_lost=lost)

    def learn(self, earlier: Earlier) -> None:
        """What somebody else kept of the host before the first sample."""
        self.seen["host"].history.learn(earlier)

    def _take_wound(self, wound: Wound) -> Taken:
        """What somebody went to, unless it is live again by now."""
        if wound.epoch != self._epoch:
            return Taken()
        before, self._wound, self._moment = self._wound, wound, None
        chosen = self.chosen
        if chosen.process is not None and (
            chosen is self._chosen or before is None or before.moment != wound.moment
        ):
            chosen = Chosen(chosen.process, by_itself=chosen.by_itself, is_past=True)
            chosen.address = self.chosen.address
        elif chosen is self._chosen:
            chosen = Chosen(is_past=True)
        chosen.update(wound.memory.last["host"])
        if wound.map is not None:
            chosen.read(wound.map)
        self._chosen_then = chosen
        return Taken(is_news=True)

    def _begin(self, samples: Mapping[Scope, Sample]) -> None:
        """Begins in the scope that is short; from then on it is the user's."""
        if not self._has_begun:
            self._has_begun = True
            self.scope = scope_at_first(samples)

    def _record(self, samples: Mapping[Scope, Sample]) -> Sequence[Event]:
        """What happened in the scope that is looked at."""
        return self._memory.take(samples, self._deaths_in(samples["host"])).get(self.scope, ())

    def _deaths_in(self, sample: Sample) -> list[tuple[Event, Obituary]]:
        """Who has died since the sample before."""
        if sample.signs is None:
            return []
        if self._deaths is None:
            from memtui.model.oom.deathwatch import DeathWatch  # after the first frame

            machine = self.source.machine
            self._deaths = DeathWatch(machine.page_bytes, machine.hidden)
        chosen = self._chosen
        if chosen.process is not None and chosen.map is not None:
            self._deaths.note_map(chosen.process.key, chosen.process.name, chosen.map)
        return self._deaths.see(sample)

    # What is looked at.

    def look_at(self, plan: Plan) -> None:
        """What is visible from now on, of what is read and of what was."""
        self._plan = plan
        self.source.look_at(plan)
        if self.past is not None and self.is_past:
            self.past.look_at(self._plan_then)

    def ask(self, question: Question[Any]) -> Asked:
        """Answers once, through the same channel as the samples; of the moment that is shown."""
        if self._wound is not None and self.past is not None:
            return self.past.ask(question, self._wound)
        return self.source.ask(question)

    def may_look_again(self) -> bool:
        """Whether what is asked again and again may be asked now: of the past it has been told."""
        return not self.is_past and self.source.may_look_again()

    def choose(self, process: ProcessSample, *, by_itself: bool = False) -> bool:
        """From now on this process's map is read and shown; whether that is another one.

        `by_itself`: nobody has asked for it, so that lists need not show it first.
        """
        if process.key == self.chosen.key:
            return False
        self._chosen = Chosen(process, by_itself=by_itself)
        if self.is_past:
            self._chosen_then = Chosen(process, by_itself=by_itself, is_past=True)
        return True

    def choose_again(self, chosen: Chosen) -> None:
        """One that was chosen before and has ended since: with the last of its map."""
        self._chosen = chosen

    def switch_scope(self) -> bool:
        """From the host to the group that confines memtui, or back; False where there is none."""
        samples = self._held[0] if self._held else self._memory.last
        if self._wound is not None:
            samples = self._wound.memory.last
        other: Scope = "group" if self.scope == "host" else "host"
        if other not in samples:
            return False
        self.scope, self._moment = other, None
        return True

    # Which time is shown.

    @property
    def now_s(self) -> float:
        """The time of the last sample; 0 before there is one."""
        host = self._memory.last.get("host")
        return host.time_s if host else 0.0

    def at(self, time_s: float | None) -> None:
        """Shows a time and stays there, which `now_s` freezes; None: now, as it goes on.

        Readings are taken in all the same. A recording is not left by that.
        """
        if self.is_replay:
            return
        self._leave_past()
        for seen in self.seen.values():
            seen.history.until_s = time_s
        self._held, self._moment = None, None
        memory = self._memory
        if time_s is not None:
            seen_then = {scope: seen.still() for scope, seen in self.seen.items()}
            self._held = memory.last, seen_then, memory.growth.still()
        elif memory.last:
            self._chosen.update(memory.last["host"])

    @property
    def kept(self) -> tuple[float, float] | None:
        """From when to when there is a past to go to, in seconds since boot; None: none is kept."""
        return self.past.kept if self.past is not None else None

    def go_to(self, time_s: float | None) -> None:
        """To a time in seconds since boot, or to the last that was kept before it; None: to now, or to
        the end of a recording.

        `moment` is that one once a thread has put it together, and its Wound has been taken.
        """
        if self.past is None:
            return
        if time_s is None and not self.is_replay:
            self.at(None)
            return
        self._unfreeze()
        self.past.go_to(time_s, self._plan_then, self._epoch)

    def step(self, ticks: int) -> None:
        """So many samples on, or back, from what is shown, or was asked for last."""
        if self.past is not None:
            self._unfreeze()
            self.past.step(self._from_s, ticks, self._plan_then, self._epoch)

    def step_by(self, seconds: float) -> None:
        """So many seconds on, or back, from what is shown, or was asked for last."""
        if self.past is not None:
            self._unfreeze()
            self.past.step_by(self._from_s, seconds, self._plan_then, self._epoch)

    def find_event(self, forward: bool, kinds: Collection[str] = ()) -> float | None:
        """When the next event of some kinds was, or the one before; of all kinds without any. None:
        there is none. The largest growth is one too, of kind `growth`.
        """
        if self.past is None:
            return None
        moment = self.moment
        now_s = moment.sample.time_s if moment else 0.0
        longest_s = 2 * moment.sample.interval_s if moment else 0.0
        if self._found_s is not None and 0 <= self._found_s - now_s < longest_s:
            now_s = self._found_s  # it was between two samples, the first of which is shown
        events = list(self.past.events if self.is_replay else self.seen[self.scope].events)
        if not self.is_replay and (not kinds or GROWTH in kinds):
            history = self.history
            events += largest_growth(*history.series("mem_available_bytes", ENTRIES))
        found_s = next_event(events, now_s, forward, kinds)
        if found_s is not None:
            self._found_s = found_s
        return found_s

    @property
    def _plan_then(self) -> Plan:
        """With all that figures are made of, which costs the past nothing."""
        fields = self._plan.fields | self.fields
        return self._plan._replace(map_of=self.chosen.key, fields=fields)

    @property
    def _from_s(self) -> float:
        return self._wound.time_s if self._wound is not None else self.now_s

    def _unfreeze(self) -> None:
        if self.is_frozen:
            self.at(None)

    def _leave_past(self) -> None:
        self._epoch += 1
        if self.past is not None:
            self.past.stay()
        self._wound = self._chosen_then = None

    # What is written.

    @property
    def recording(self) -> str:
        """The file that what is read is written to now; "" where to none."""
        return self.kept_by.recording if self.kept_by is not None else ""

    @property
    def recording_trouble(self) -> str:
        """Why nothing can be written to it now, in words; "" while it can."""
        return self.kept_by.trouble if self.kept_by is not None else ""

    def record_to(self, path: str = "") -> str:
        """From now on what is read is also written to a file, without a path to the recorder's default
        place; what was wrong with it, in words, "" where nothing was."""
        if self.kept_by is None:
            return "nothing is read here that could be recorded"
        return self.kept_by.record_to(path)

    def stop_recording(self) -> None:
        """Ends the file whole."""
        if self.kept_by is not None:
            self.kept_by.stop_recording()
