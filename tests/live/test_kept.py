"""This machine's own past: what its threads read is kept, and shown again as it was."""

from __future__ import annotations

from memtui.kernel.livefiles import LiveFiles
from memtui.live.machine import machine_of
from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.live.source import LiveSource
from memtui.model.sample import Sample
from memtui.recording.lasthour import LastHour
from memtui.recording.looked import LookedFiles
from memtui.recording.noted import NotedFiles
from memtui.session.inbox import Inbox
from memtui.session.past import Past
from memtui.session.session import Session
from memtui.session.wound import Wound
from memtui.settings.values import DEFAULTS
from tests.terminal import sleeper, wait_until

_TICKS = 8


def test_this_machine_is_shown_again() -> None:
    files = LiveFiles()
    noted, looked, inbox = NotedFiles(files), LookedFiles(files), Inbox()
    machine = machine_of(files)
    source = LiveSource(files, 0.2, machine, Sampler(noted), looked=looked)
    session = Session(source, DEFAULTS)
    hour = LastHour(noted, looked, machine, DEFAULTS.alerts, 0.2)
    session.kept_by = hour
    session.past = Past(
        hour.opened, inbox.put, DEFAULTS, machine=lambda: machine, kept=lambda: hour.kept
    )
    source.note_with(hour.note)
    shown: list[tuple[Sample, str | None]] = []
    wound: list[Wound] = []

    def take() -> bool:
        while (reading := inbox.take()) is not None:
            assert isinstance(reading, Sample | Wound) or session.is_past or shown
            session.take(reading)  # type: ignore[arg-type]
            verdict = session.seen["host"].verdict
            if isinstance(reading, Sample):
                shown.append((reading, verdict.level if verdict else None))
            elif isinstance(reading, Wound):
                wound.append(reading)
        return False

    def has_come() -> bool:
        take()
        return len(shown) >= looked_at + _TICKS and session.chosen.map is not None

    def is_at(then: Sample) -> bool:
        """The moment before may have been completed meanwhile."""
        return bool(wound) and abs(wound[-1].time_s - then.time_s) < 0.002

    with sleeper() as child:
        source.start(inbox.put)
        try:
            wait_until(lambda: take() or shown)
            process = next(
                each for each in shown[-1][0].processes.values() if each.pid == child.pid
            )
            session.choose(process)
            looked_at = len(shown)
            session.look_at(Plan(map_of=process.key, fields=session.fields))
            wait_until(has_come)
            before = len(shown)
            for back in (2, 5):
                then, level = shown[-back]
                session.go_to(then.time_s)
                wait_until(lambda then=then: take() or is_at(then))  # type: ignore[misc]
                moment = session.moment
                assert moment is not None and moment.is_past
                assert moment.sample.system == then.system
                assert moment.sample.processes == then.processes
                assert moment.seen.verdict is not None and moment.seen.verdict.level == level
            assert session.chosen.map is not None and session.chosen.key == process.key
            wait_until(lambda: take() or len(shown) > before)
            session.go_to(None)
            assert session.moment is not None and session.moment.sample is shown[-1][0]
        finally:
            source.stop()
            session.past.stop()
            hour.close()
