"""What a session would have known at a moment of a recording, put together from it.

A jump takes the samples of a few seconds before, of which the verdict is made. `completed` takes five
minutes, for a trend needs them, and goes through what graphs and growths are of tick by tick.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from memtui import units
from memtui.frozen import FrozenDict
from memtui.kernel.details import Shares, read_shares
from memtui.kernel.files import Gap
from memtui.live.look import look
from memtui.live.looker import read_map
from memtui.live.plan import Plan
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.model.map.addressmap import MapReading
from memtui.model.oom.obituary import Obituary
from memtui.model.sample import Sample
from memtui.model.shortage.events import Event, Events
from memtui.recording.files import RecordedFiles, View
from memtui.recording.holes import holes
from memtui.recording.moment import Moment
from memtui.recording.obituaries import read
from memtui.recording.recording import Recording
from memtui.recording.replay import Replay
from memtui.session.course import Course
from memtui.session.finding import largest_growth
from memtui.session.grown import Growths
from memtui.session.memory import Memory
from memtui.session.scope import scopes_of
from memtui.session.wound import Wound
from memtui.settings.values import Settings

_EVER: Final = (float("-inf"), float("inf"))
# The verdict is made of the last 10 s, and falls for as long; a kill is told for a minute, and how long
# it will last from five.
_FIRST_S: Final = 22.0
_WHOLE_S: Final = 310.0
# What rates begin with is no closer together; of the levels of the last seconds each counts.
_LOOK_EVERY_S: Final = 0.9
_NEAR_S: Final = 11.0
_ON_AT_MOST: Final = 30  # ticks that are gone through, and not begun anew
_OLD_MAP_S: Final = 10.0
_GRAPH_S: Final = 3600.0
_AFTER_S: Final = 1800.0
_EVENTS_KEPT: Final = 500


class Rebuilt:
    """For one thread. `events`, `holes` and `kept` may be read by another."""

    def __init__(
        self,
        recording: Recording,
        settings: Settings,
        machine: Callable[[], Machine] | None = None,
    ) -> None:
        """`machine`: the one that goes on, whose past it is."""
        self._recording = recording
        self._settings = settings
        self._live = machine
        self._machines: dict[int, Machine] = {}
        self._replay = Replay(recording)
        self._growths = Growths(recording)
        self._course = Course(recording)
        self._starts: list[float] = []
        self._begins: list[Moment] = []
        self._memory: Memory | None = None
        self._moment: Moment | None = None
        self._is_whole = False
        self._has_growth = False
        self._behind_s = 0.0  # of what is played
        self.missing = ""
        self.events: tuple[Event, ...] = ()
        self._obituaries: dict[Event, Obituary] = {}
        self.holes: tuple[tuple[float, float], ...] = ()
        self.kept: tuple[float, float] | None = None
        self._index()

    def close(self) -> None:
        self._recording.close()

    @property
    def interval_s(self) -> float:
        """That of the recorder."""
        if self._moment is None:
            return 1.0
        return max(0.01, self._recording.run_of(self._moment).interval_s)

    def refresh(self) -> None:
        """Takes in what came since. Raises Unusable."""
        before = self._recording.last
        self._recording.refresh()
        if self._recording.last != before:
            self._index()

    def files_at(self, moment: Moment, lock: threading.Lock) -> RecordedFiles:
        """Of a moment, for another thread, which takes the lock to go to an earlier one."""
        view = self._recording.view(moment)
        earlier = view.earlier
        if earlier is not None:

            def guarded() -> View:
                with lock:
                    return earlier()

            view = view._replace(earlier=guarded)
        path = self._recording.path
        return RecordedFiles(path, self._recording.run_of(moment).page_bytes, view)

    # Time since boot, of a recording that may be of several boots: those before the last count on from
    # it by the clock on the wall.

    def _index(self) -> None:
        recording = self._recording
        first, last = recording.first, recording.last
        if first is None or last is None:
            self.kept = None
            return
        self._booted_s = last.time_s - last.boot_s
        self._begins = [begin for begin, _ in recording.stretches(*_EVER)]
        self._starts = [self._recording.since_boot(begin) for begin in self._begins]
        self.kept = self._recording.since_boot(first), self._recording.since_boot(last)
        if self._live is None:
            self.events = tuple(self._events())
            since_boot = recording.since_boot
            self.holes = tuple(
                (since_boot(one), since_boot(next_)) for one, next_ in holes(recording)
            )
            self._has_growth = False
            self._course.forget(self.holes)

    def _events(self) -> list[Event]:
        found = []
        for row in self._recording.events(*_EVER):
            run = self._recording.runs.get(row.run)
            if run is not None:
                moment = Moment(row.wall_ms / 1000, row.boot_ms / 1000, row.run)
                level = row.level if row.level in ("note", "warning", "alarm") else "note"
                time_s = self._recording.since_boot(moment)
                event = Event(time_s, row.kind, level, row.text, row.metric)  # type: ignore[arg-type]
                found.append(event)
                if row.detail and (obituary := read(row.detail)) is not None:
                    self._obituaries[event] = obituary._replace(time_s=time_s)
        return sorted(found, key=lambda event: event.time_s)

    def _note_growth(self) -> None:
        """The largest growth is an event of its own: it takes a look through all blocks."""
        name = "mem_available_bytes"
        stretches = self._recording.series({name}, *_EVER)
        known = [(self._recording.since_boot(each.end), each) for each in stretches]
        known = [each for each in known if name in each[1].figures]
        values = [each.figures[name][2] for _, each in known]
        found = largest_growth([time_s for time_s, _ in known], values)
        self.events = tuple(sorted([*self.events, *found], key=lambda event: event.time_s))

    def found(self, time_s: float | None, ticks: int) -> tuple[Moment | None, str]:
        """The moment at a time, and so many ticks from there; what was not kept of that time."""
        recording = self._recording
        if time_s is None:
            self.refresh()
            return recording.last, ""
        found = self._found(time_s, ticks)
        if found[0] is None or found[0] == recording.last:
            self.refresh()  # there may be more
            found = self._found(time_s, ticks)
        return found

    def _found(self, time_s: float, ticks: int) -> tuple[Moment | None, str]:
        recording = self._recording
        if recording.last is None:
            return None, ""
        at = max(0, bisect_right(self._starts, time_s + 0.0005) - 1)
        begin = self._begins[at]
        boot_s = begin.boot_s + time_s - self._starts[at]
        moment = recording.step(Moment(0.0, boot_s + 0.0005, begin.run), 0)
        if ticks:
            return recording.step(moment, ticks), ""
        return moment, self._lacking(moment, time_s)

    def _lacking(self, moment: Moment, time_s: float) -> str:
        recording, clock = self._recording, self._clock
        was_s = self._recording.since_boot(moment)
        # An interval may have been changed: a hole is what is longer than those around it.
        before_s = was_s - self._recording.since_boot(recording.step(moment, -1))
        longest_s = 3 * max(recording.run_of(moment).interval_s, before_s) + 1
        if time_s < was_s - 0.5:
            return f"nothing was kept before {clock(was_s)}"
        if time_s - was_s <= longest_s:
            return ""
        after = recording.step(moment, 1)
        if after == moment:
            return f"nothing was kept after {clock(was_s)}"
        return f"nothing was kept from {clock(was_s)} to {clock(self._recording.since_boot(after))}"

    def _clock(self, time_s: float) -> str:
        try:
            return time.strftime("%H:%M:%S", time.localtime(self._booted_s + time_s))
        except (OverflowError, ValueError, OSError):
            return f"+{units.duration(time_s)}"

    # What was known.

    def at(self, moment: Moment, plan: Plan) -> Wound:
        """A moment, as far as it is had at once. Raises Unusable."""
        if moment == self._moment and self._memory is not None:
            return self._taken(moment, plan)
        ahead = self._ahead(moment)
        if ahead is None:
            self._memory, self._is_whole = self._warmed(moment, _FIRST_S), False
        elif self._memory is not None:
            for each in ahead:
                self._memory.warm(scopes_of(self._look(each)))
        return self._taken(moment, plan)

    def completed(self, plan: Plan, go_on: Callable[[], bool]) -> Wound | None:
        """The moment that was made last with all that needs longer; None where it had it, or where it
        was not to go on."""
        moment = self._moment
        if moment is None or (
            self._is_whole and self._growths.is_whole and self._is_graphed(moment)
        ):
            return None
        if self._live is None and not self._has_growth:
            self._has_growth = True
            self._note_growth()
        if self._live is None:
            now_s = self._recording.since_boot(moment)
            if not self._course.look_through(moment, now_s - _GRAPH_S, now_s + _AFTER_S, go_on):
                return None
        if not self._is_whole:
            memory = self._warmed(moment, _WHOLE_S, go_on)
            if memory is None:
                return None
            self._memory, self._is_whole = memory, True
        wound = self._taken(moment, plan, go_on)
        return wound if self._growths.is_whole else None

    def _is_graphed(self, moment: Moment) -> bool:
        return self._live is not None or self._course.is_looked_through(moment)

    def played(self, seconds: float) -> Moment | None:
        """Where so much of the recording's time leads from the last moment, a hole passed over at once;
        None: it is not time yet, or there is no more."""
        now, recording = self._moment, self._recording
        if now is None:
            return None
        self._behind_s += seconds
        ticks = int(self._behind_s / self.interval_s)
        if not ticks:
            return None
        self._behind_s -= ticks * self.interval_s
        if now == recording.last:
            self.refresh()
        moment = recording.step(now, ticks)
        return None if moment == now else moment

    def _ahead(self, moment: Moment) -> list[Moment] | None:
        """The moments between the last that was made and this one; None: it is begun anew."""
        last = self._moment
        if self._memory is None or last is None or last.run != moment.run or last == moment:
            return None
        if not last.boot_s < moment.boot_s <= last.boot_s + _ON_AT_MOST * self.interval_s:
            return None
        found = []
        while (last := self._recording.step(last, 1)).boot_s < moment.boot_s:
            found.append(last)
        return found

    def _taken(self, moment: Moment, plan: Plan, go_on: Callable[[], bool] | None = None) -> Wound:
        memory = self._memory
        assert memory is not None
        sample = self._sample(moment, plan)
        if memory.last and memory.last["host"].time_s == sample.time_s:
            memory.last = scopes_of(sample)  # only more of it is wanted
        else:
            memory.take(scopes_of(sample))
        self._moment = moment
        memory.growth = self._growths.at(moment, sample, go_on)
        files = self._replay.files
        assert files is not None
        reading, lacking = self._map(files, plan.map_of, sample, moment)
        still = memory.still()
        if self._live is None:
            self._fill_after(still, sample.time_s)
        return Wound(0, moment, self._machine(moment), still, reading, lacking, self._live is None)

    def _sample(self, moment: Moment, plan: Plan) -> Sample:
        sample = self._replay.sample(moment, plan)
        files = self._replay.files
        if plan.shares and files is not None:
            shares = {key: _shares(files, key, moment) for key in plan.shares}
            sample = sample._replace(shares=FrozenDict(shares))
        return sample._replace(time_s=self._recording.since_boot(moment))

    def _machine(self, moment: Moment) -> Machine:
        if self._live is not None:
            return self._live()
        if moment.run not in self._machines:
            self._machines[moment.run] = self._replay.machine(moment)
        return self._machines[moment.run]._replace(booted_s=self._booted_s)

    def _warmed(
        self, moment: Moment, seconds: float, go_on: Callable[[], bool] = lambda: True
    ) -> Memory | None:
        """What was remembered before a moment; None where it was not to go on."""
        memory, recording = Memory(self._settings), self._recording
        since_s = moment.time_s - seconds
        before = [
            each
            for each in recording.moments(since_s, moment.time_s)
            if each.run == moment.run and each.boot_s < moment.boot_s
        ]
        if self._live is None:
            self._fill_before(memory, self._recording.since_boot(moment) - seconds)
        is_first, near_s = seconds == _FIRST_S, moment.boot_s - _NEAR_S
        looked_s = float("-inf")
        for each in before:
            if not go_on():
                return None
            every_s = _LOOK_EVERY_S if is_first and each.boot_s < near_s else 0.0
            if each.boot_s >= max(moment.boot_s - seconds, looked_s + every_s):
                looked_s = each.boot_s
                memory.warm(scopes_of(self._look(each)))
        return memory

    def _look(self, moment: Moment) -> Sample:
        """The machine's own figures."""
        interval_s = self._recording.run_of(moment).interval_s
        sample = look(self._recording.files_at(moment))
        return sample._replace(time_s=self._recording.since_boot(moment), interval_s=interval_s)

    def _map(
        self, files: RecordedFiles, key: ProcessKey | None, sample: Sample, moment: Moment
    ) -> tuple[MapReading | None, str]:
        """The map of a process as it was last read, and in words how old that was."""
        if key is None:
            return None, ""
        source = "smaps"
        reading = read_map(files, key, source)
        if isinstance(reading.map, Gap) and reading.map.reason != "gone":
            source, gap = "maps", reading.map
            layout = read_map(files, key, source, usage_gap=gap)
            reading = reading if isinstance(layout.map, Gap) else layout
        if isinstance(reading.map, Gap):
            if key not in sample.processes or reading.map.reason != "not recorded":
                return reading, ""
            why = reading.map.detail or f"the map of {key.pid} was not kept"
            return reading, why
        age_s = files.age_s(f"proc/{key.pid}/{source}")
        if age_s is None or age_s < _OLD_MAP_S:
            return reading, ""
        return reading, f"map of {key.pid} read {units.duration(age_s)} before"

    # The graphs of a recording.

    def _fill_before(self, memory: Memory, until_s: float) -> None:
        """Figures of the hour before, and the events up to now."""
        history = memory.seen["host"].history
        for each in self._course.entries(until_s - _GRAPH_S, until_s):
            history.fill(*each)

    def _fill_after(self, still: Memory, now_s: float) -> None:
        """Figures of what came after, as graphs show that too; the events of before."""
        alerts = self._settings.alerts
        seen = still.seen["host"]
        for each in self._course.entries(now_s, now_s + _AFTER_S):
            seen.history.fill(*each)
        seen.history.until_s = now_s
        seen.events, seen.marks = Events(), Events()
        for event in [each for each in self.events if each.time_s <= now_s][-_EVENTS_KEPT:]:
            seen.events.add(event)
            if event in self._obituaries:
                seen.obituaries[event] = self._obituaries[event]
            if "mark" in alerts.actions_of(event):
                seen.marks.add(event)


def _shares(files: RecordedFiles, key: ProcessKey, moment: Moment) -> Shares | Gap:
    """What a process paid for, as it was last read."""
    if files.started(key.pid) != key.start_time_ticks:
        return Gap(f"proc/{key.pid}/smaps_rollup", "gone")
    return read_shares(files, key.pid, moment.boot_s)
