"""A recording where a live machine could be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memtui.kernel.files import Files, Gap
from memtui.live.plan import Plan
from memtui.model.machine import Machine as KnownMachine
from memtui.model.oom.obituary import Obituary
from memtui.ondemand.question import Answer, GoOn, Progress, Question
from memtui.recording.obituaries import written
from memtui.recording.recording import Recording
from memtui.recording.source import RecordedSource, ReplayedFiles
from memtui.recording.store import EventRow, Time
from memtui.recording.writer import Tick
from memtui.session.inbox import Inbox
from memtui.session.past import Past
from memtui.session.session import Session
from memtui.session.wound import NoWound, Wound
from memtui.settings.values import DEFAULTS
from tests.recording.machines import Machine
from tests.terminal import wait_until


class MemFree(Question[bytes]):
    def answer(self, files: Files, machine: KnownMachine, go_on: GoOn) -> bytes | Gap:
        return files.read("proc/meminfo")


class Replaying:
    """A session of a recording, and what has come to it."""

    def __init__(self, path: str) -> None:
        recording = Recording(path)
        last = recording.last
        assert last is not None
        self.source = RecordedSource(ReplayedFiles(recording, last))
        self.inbox = Inbox()
        self.session = Session(self.source, DEFAULTS)
        self.past = self.session.past = Past(lambda: recording, self.inbox.put, DEFAULTS)
        self.answers: list[Answer] = []
        self.times: list[float] = []
        self.source.start(self.inbox.put)
        self.inbox.put(self.source.first(None))

    def take(self) -> None:
        while (reading := self.inbox.take()) is not None:
            if isinstance(reading, Answer | Progress):
                assert isinstance(reading, Answer)
                self.answers.append(reading)
                continue
            taken = self.session.take(reading)
            assert not taken.complaint and not isinstance(reading, NoWound)
            if isinstance(reading, Wound):
                self.times.append(reading.time_s)

    def until(self, condition: Callable[[], object]) -> None:
        def holds() -> object:
            self.take()
            return condition()

        wait_until(holds)

    def wait_at(self, time_s: float) -> None:
        self.until(lambda: self.times and self.times[-1] == pytest.approx(time_s, abs=0.001))

    def answer(self, question: Question[Any]) -> Any:
        asked = self.session.ask(question)

        def is_answered() -> bool:
            self.take()
            return any(each.asked is asked for each in self.answers)

        wait_until(is_answered)
        return next(each.value for each in self.answers if each.asked is asked)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(str(tmp_path / "day.memtui"))
    for _ in range(130):
        made.tick()
    made.end()
    return made


@pytest.fixture
def replaying(tmp_path: Path, machine: Machine) -> Iterator[Replaying]:
    made = Replaying(str(tmp_path / "day.memtui"))
    yield made
    made.past.stop()


def test_it_begins_with_a_sample_and_is_the_past(replaying: Replaying, machine: Machine) -> None:
    replaying.take()
    session, (last, _) = replaying.session, machine.seen[-1]
    moment = session.moment
    assert moment is not None and moment.is_past and session.is_replay
    assert moment.sample.time_s == last.boot_s and moment.at == pytest.approx(last.time_s)
    assert moment.machine.no_acting
    assert b"MemFree" in replaying.answer(MemFree())


def test_it_steps_and_goes_anywhere(replaying: Replaying, machine: Machine) -> None:
    session, times = replaying.session, [moment.boot_s for moment, _ in machine.seen]
    session.go_to(times[100])
    replaying.wait_at(times[100])
    assert session.kept == (times[0], times[-1])
    session.step(-3)
    replaying.wait_at(times[97])
    session.step_by(-90)
    replaying.wait_at(times[7])
    session.step(-20)
    replaying.wait_at(times[0])
    moment, contents = machine.seen[0]
    assert session.moment is not None and session.moment.at == moment.time_s
    assert session.moment.ago_s == times[-1] - times[0]
    assert replaying.answer(MemFree()) == contents["proc/meminfo"]
    session.go_to(None)
    replaying.wait_at(times[-1])
    session.at(session.now_s)
    assert session.is_past and not session.is_frozen


def test_its_graphs_are_full_before_and_after(replaying: Replaying, machine: Machine) -> None:
    session, times = replaying.session, [moment.boot_s for moment, _ in machine.seen]
    session.go_to(times[100])
    replaying.wait_at(times[100])
    moment = session.moment
    assert moment is not None
    known, values = moment.history.series("mem_free_bytes", 3600)
    assert known[-1] == times[100] and values[-1] == moment.free.free
    assert known[0] <= times[60] and len(known) >= 20
    later, _ = moment.history.until(times[-1]).series("mem_free_bytes", 3600)
    assert session.moment is moment and len(later) >= len(known)


def test_it_plays_to_the_end_in_order_and_stands(replaying: Replaying, machine: Machine) -> None:
    session, times = replaying.session, [moment.boot_s for moment, _ in machine.seen]
    session.go_to(times[0])
    replaying.wait_at(times[0])
    replaying.past.speed = 20.0
    replaying.until(lambda: len(set(replaying.times)) > 3)
    replaying.past.speed = 2000.0
    replaying.wait_at(times[-1])
    assert replaying.times == sorted(replaying.times)
    replaying.past.speed = 0.0
    session.step(-1)
    replaying.wait_at(times[-2])


def test_it_reads_what_is_looked_at(replaying: Replaying, machine: Machine) -> None:
    session, times = replaying.session, [moment.boot_s for moment, _ in machine.seen]
    replaying.take()
    session.go_to(times[50])
    replaying.wait_at(times[50])
    assert session.moment is not None
    (process, *_) = session.moment.sample.processes.values()
    session.choose(process)
    wanted = Plan(map_of=process.key, shares=frozenset({process.key}), fields=frozenset({"zones"}))
    session.look_at(wanted)
    # What was to be seen before may be completed meanwhile.
    replaying.until(lambda: session.moment and session.moment.sample.system.zones is not None)
    sample = session.moment.sample
    assert sample.time_s == times[50] and process.key in sample.shares
    assert session.chosen.gap is not None and session.chosen.gap.reason == "not recorded"


def test_what_was_before_a_boot_counts_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    path = str(tmp_path / "day.memtui")
    first = Machine(path)
    for _ in range(20):
        first.tick()
    first.end()
    again = Machine(path, boot=b"another\n")
    again.wall_s = first.wall_s + 60
    again.files.clock.now_s = 5.0
    for _ in range(20):
        again.tick()
    again.end()
    replaying = Replaying(path)
    session = replaying.session
    session.go_to(None)
    replaying.wait_at(25.0)
    session.step(-25)
    replaying.wait_at(5.0 - 60 - 5)
    moment = session.moment
    assert moment is not None and moment.at == pytest.approx(first.seen[-6][0].time_s)
    session.step(6)
    replaying.wait_at(6.0)
    replaying.past.stop()


def test_a_death_has_its_obituary_from_then_on(tmp_path: Path) -> None:
    path = str(tmp_path / "day.memtui")
    made = Machine(path)
    for _ in range(70):
        made.tick()
    died = made.seen[40][0]
    at = Time(round(died.time_s * 1000), round(died.boot_s * 1000))
    obituary = Obituary(
        *(died.boot_s, 42, "big", "big --all", "/", 3 << 30, 0, 1 << 20),
        *("oom", "kernel log", "the kernel killed big (42)"),
    )
    event = EventRow(0, at.wall_ms, at.boot_ms, "oom_kill", "alarm", "x", detail=written(obituary))
    last = made.seen[-1][0]
    now = Time(round(last.time_s * 1000) + 1, round(last.boot_s * 1000) + 1)
    made.recorder.writer.put(Tick(now, {}, {}, (event,)))
    made.end()
    replaying = Replaying(path)
    try:
        replaying.take()
        for at_s, found in ((died.boot_s - 5, []), (died.boot_s + 5, ["big --all"])):
            replaying.session.go_to(at_s)
            replaying.wait_at(at_s)
            moment = replaying.session.moment
            assert moment is not None
            assert [each.command for each in moment.seen.obituaries.values()] == found
    finally:
        replaying.past.stop()
