"""A recording where a live machine could be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memtui.kernel.files import Files, Gap
from memtui.live.plan import Plan
from memtui.live.source import Reading
from memtui.model.machine import Machine as KnownMachine
from memtui.model.map.addressmap import MapReading
from memtui.model.sample import Sample
from memtui.ondemand.question import Answer, GoOn, Question
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.source import ReplaySource
from memtui.recording.store import Unusable
from tests.recording.machines import Machine
from tests.terminal import wait_until


class MemFree(Question[bytes]):
    def answer(self, files: Files, machine: KnownMachine, go_on: GoOn) -> bytes | Gap:
        return files.read("proc/meminfo")


class Heard:
    def __init__(self, source: ReplaySource) -> None:
        self.readings: list[Reading] = []
        self.source = source
        source.start(self.readings.append)

    def samples(self) -> list[Sample]:
        return [each for each in self.readings if isinstance(each, Sample)]

    def wait_at(self, moment: Moment) -> None:
        wait_until(lambda: self.samples() and self.samples()[-1].time_s == moment.boot_s)


@pytest.fixture
def moments(tmp_path: Path) -> list[Moment]:
    machine = Machine(str(tmp_path / "day.memtui"))
    for _ in range(70):
        machine.tick()
    machine.end()
    recording = Recording(str(tmp_path / "day.memtui"))
    found = recording.moments(float("-inf"), float("inf"))
    recording.close()
    return found


@pytest.fixture
def heard(tmp_path: Path, moments: list[Moment]) -> Iterator[Heard]:
    source = ReplaySource(str(tmp_path / "day.memtui"), moments[0])
    yield Heard(source)
    source.stop()


def test_it_stands_and_steps_and_goes_anywhere(heard: Heard, moments: list[Moment]) -> None:
    source = heard.source
    heard.wait_at(moments[0])
    source.step(3)
    heard.wait_at(moments[3])
    source.go_to(moments[65].time_s + 0.4)
    heard.wait_at(moments[65])
    source.step(-1)
    heard.wait_at(moments[64])
    source.go_to_moment(moments[10])
    heard.wait_at(moments[10])
    assert source.moment == moments[10]
    assert source.machine.booted_s == moments[10].time_s - moments[10].boot_s


def test_it_plays_to_the_end_in_order(heard: Heard, moments: list[Moment]) -> None:
    heard.source.speed = 200.0
    heard.wait_at(moments[-1])
    times = [sample.time_s for sample in heard.samples()]
    assert times == sorted(set(times))


def test_it_reads_what_is_looked_at(heard: Heard, moments: list[Moment]) -> None:
    heard.wait_at(moments[0])
    (key, *_) = heard.samples()[-1].processes
    heard.source.look_at(Plan(map_of=key, shares=frozenset({key}), fields=frozenset({"zones"})))
    wait_until(lambda: isinstance(heard.readings[-1], MapReading))
    reading = heard.readings[-1]
    assert isinstance(reading, MapReading) and reading.key == key
    assert isinstance(reading.map, Gap) and reading.map.reason == "not recorded"
    sample = heard.samples()[-1]
    assert sample.system.zones is not None and key in sample.shares


def test_it_answers_of_its_moment(heard: Heard, moments: list[Moment]) -> None:
    heard.wait_at(moments[0])
    heard.source.ask(MemFree())
    wait_until(lambda: isinstance(heard.readings[-1], Answer))
    answer = heard.readings[-1]
    assert isinstance(answer, Answer) and b"MemFree" in answer.value


def test_nothing_to_replay(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="No such file"):
        ReplaySource(str(tmp_path / "none"))
    machine = Machine(str(tmp_path / "day.memtui"))
    machine.end()
    with pytest.raises(Unusable, match="nothing has been recorded yet"):
        ReplaySource(str(tmp_path / "day.memtui"))
