"""What was recorded is what was read: every file of every moment, whatever happened meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.replay import Replay, figures_of
from memtui.recording.store import Unusable
from memtui.recording.times import span_of, time_of
from memtui.recording.writer import Keep
from tests.recorded import recorded
from tests.recording.machines import DEBIAN, Machine, whole

FOR_EVER = float("-inf"), float("inf")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "day.memtui")


def check(recording: Recording, machine: Machine) -> None:
    """Every moment, and all files at each of them."""
    moments = recording.moments(*FOR_EVER)
    assert [each[:2] for each in moments] == [each[:2] for each, _ in machine.seen]
    for moment, (_, contents) in zip(moments, machine.seen, strict=True):
        assert whole(recording, moment) == contents
    assert recording.troubles == []


def test_every_file_of_every_moment(path: str) -> None:
    machine = Machine(path)
    for _ in range(150):
        machine.tick()
    machine.end()
    recording = Recording(path)
    check(recording, machine)
    assert recording.first == recording.moments(*FOR_EVER)[0]
    assert recording.ticks == 150


def test_it_is_read_while_it_is_written(path: str) -> None:
    machine = Machine(path)
    machine.tick()
    machine.recorder.writer.wait()
    recording = Recording(path)
    for ticks in (1, 59, 1, 70):
        for _ in range(ticks):
            machine.tick()
        machine.recorder.writer.wait()
        recording.refresh()
        check(recording, machine)
    machine.end()
    recording.refresh()
    check(recording, machine)


def test_starting_again_goes_on(path: str) -> None:
    first = Machine(path)
    for _ in range(70):
        first.tick()
    first.end()
    second = Machine(path, seed=2)
    second.wall_s, second.files.clock.now_s = first.wall_s + 500, first.files.clock.now_s + 500
    for _ in range(5):
        second.tick()
    second.end()
    recording = Recording(path)
    second.seen = first.seen + second.seen
    check(recording, second)
    before, after = recording.moments(*FOR_EVER)[69:71]
    assert after.run == before.run + 1 and after.time_s - before.time_s > 500
    assert recording.at(before.time_s + 100) == before
    assert recording.view(after).earlier is None


def test_any_moment_is_found(path: str) -> None:
    machine = Machine(path)
    for _ in range(130):
        machine.tick()
    machine.end()
    recording = Recording(path)
    moments = recording.moments(*FOR_EVER)
    for at, moment in enumerate(moments):
        assert recording.at(moment.time_s) == recording.at(moment.time_s + 0.5) == moment
        assert recording.step(moments[0], at) == moment
        assert recording.step(moment, -at) == moments[0]
    assert recording.at(0) == recording.step(moments[3], -9) == moments[0]
    assert recording.at(2e9) == recording.step(moments[3], 999) == moments[-1]
    assert recording.moments(moments[5].time_s, moments[7].time_s) == moments[5:8]


def test_a_clock_that_is_set_changes_no_order(path: str) -> None:
    machine = Machine(path)
    for set_by_s in (0, -3600, 7200):
        machine.wall_s += set_by_s
        for _ in range(40):
            machine.tick()
    machine.end()
    recording = Recording(path)
    check(recording, machine)
    moments = recording.moments(*FOR_EVER)
    assert [each.boot_s for each in moments] == sorted(each.boot_s for each in moments)
    assert recording.at(moments[10].time_s) == moments[10]
    assert recording.at(moments[50].time_s) == moments[50]
    assert recording.step(moments[39], 1) == moments[40]


def test_a_suspended_machine_leaves_a_hole(path: str) -> None:
    machine = Machine(path)
    machine.tick()
    machine.tick(8 * 3600)
    machine.tick()
    machine.end()
    recording = Recording(path)
    check(recording, machine)
    assert [event.kind for event in recording.events(*FOR_EVER)].count("gap") == 1


def test_samples_are_those_that_were_taken(path: str) -> None:
    """By the same Sampler, with everybody's details; forward, back and anywhere."""
    machine = Machine(path)
    live = []
    for _ in range(70):
        machine.tick()
        sampler = Sampler(machine.files, machine.files.clock)
        live.append(sampler.sample())
        sampler.close()
    machine.end()
    recording = Recording(path)
    replay = Replay(recording)
    moments = recording.moments(*FOR_EVER)
    for at in (*range(70), 3, 60, 59, 69):
        sample = replay.sample(moments[at], Plan())
        assert sample.time_s == moments[at].boot_s
        assert sample.system[:3] == live[at].system[:3]
        sizes = {key: each.rss_bytes for key, each in sample.processes.items()}
        assert sizes == {key: each.rss_bytes for key, each in live[at].processes.items()}
    assert replay.machine(moments[0]).booted_s == moments[0].time_s - moments[0].boot_s


def test_figures_are_summarised_and_as_they_were(path: str) -> None:
    machine = Machine(path)
    for _ in range(130):
        machine.tick()
    machine.end()
    recording = Recording(path)
    moments = recording.moments(*FOR_EVER)
    exact = [each.figures["mem_free_bytes"][0] for each in figures_of(recording, moments)]
    stretches = recording.series({"mem_free_bytes"}, *FOR_EVER)
    assert [stretch.end for stretch in stretches] == [moments[59], moments[119], moments[129]]
    for stretch, first in zip(stretches, (0, 60, 120), strict=True):
        part = exact[first : first + 60]
        assert stretch.figures == {"mem_free_bytes": (min(part), max(part), part[-1])}


def test_a_reused_pid_is_another_process(path: str) -> None:
    machine = Machine(path)
    machine.tick()
    machine.files.end(100)
    machine.files.start(100, 999_999, "other")
    machine.files.clock.now_s += 1
    machine.recorder.tick(1.0)
    machine.end()
    recording = Recording(path)
    first, last = recording.first, recording.last
    assert first is not None and last is not None
    files = recording.files_at(first)
    kept = files.keep("proc/100/statm")
    assert not isinstance(kept, Gap)
    files.move_to(recording.view(last))
    assert kept.read() == Gap("proc/100/statm", "gone")
    assert b"other" in bytes(files.read("proc/100/stat") or b"")  # type: ignore[arg-type]


def test_what_was_not_recorded_says_so(path: str) -> None:
    machine = Machine(path)
    machine.files.files["proc/meminfo"] = Gap("proc/meminfo", "denied", "why")
    machine.recorder.tick(1.0)
    machine.end()
    recording = Recording(path)
    assert recording.last is not None
    files = recording.files_at(recording.last)
    assert files.read("proc/meminfo") == Gap("proc/meminfo", "denied", "why")
    assert files.read("proc/42/statm") == Gap("proc/42/statm", "gone")
    assert files.missed == set()
    assert files.read("proc/100/smaps") == Gap("proc/100/smaps", "not recorded")
    assert files.read("proc/other") == Gap("proc/other", "not recorded")
    assert files.missed == {"proc/100/smaps", "proc/other"}


def test_the_oldest_goes_first(path: str) -> None:
    machine = Machine(path, keep=Keep(size_bytes=1))
    machine.wall_s = time.time()
    for _ in range(240):
        machine.tick()
    machine.recorder.writer.wait()
    recording = Recording(path)
    machine.seen = machine.seen[-60:]
    check(recording, machine)
    machine.end()


def test_what_is_too_old_goes(path: str) -> None:
    machine = Machine(path, keep=Keep(age_s=3600))
    machine.wall_s = time.time() - 5000
    for _ in range(60):
        machine.tick()
    machine.tick(5000 - 120)
    machine.seen = machine.seen[-1:]
    for _ in range(59):
        machine.tick()
    machine.end()
    check(Recording(path), machine)


def test_a_file_that_loses_its_oldest_does_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "day.memtui"
    most = 150_000
    machine = Machine(str(path), keep=Keep(size_bytes=most))
    sizes = []
    for _ in range(20):
        for _ in range(60):
            machine.tick()
        machine.recorder.writer.wait()
        sizes.append(path.stat().st_size)
    machine.end()
    assert machine.recorder.writer.size_bytes <= most
    assert recording_is_cut(str(path), machine)
    assert max(sizes) <= most + 60_000  # its log comes into it now and then


def recording_is_cut(path: str, machine: Machine) -> bool:
    return 60 < Recording(path).ticks < len(machine.seen)


def test_command_lines_stay_out_of_it(tmp_path: Path) -> None:
    from memtui.recording.recorder import Recorder

    for commands in (True, False):
        path = tmp_path / f"{commands}.memtui"
        files = recorded(DEBIAN)
        recorder = Recorder(files, str(path), commands=commands, clock=files.clock)
        recorder.writer.start()
        recorder.tick(1.0)
        recorder.stop()
        recording = Recording(str(path))
        assert recording.last is not None
        found = whole(recording, recording.last)
        assert any(name.endswith("/cmdline") for name in found) == commands
        assert path.stat().st_mode & 0o777 == 0o600


LAST = time.mktime((2026, 11, 30, 14, 32, 7, 0, 0, -1))


@pytest.mark.parametrize(
    ("text", "back_s"),
    [
        ("-15m", 900),
        ("-90", 90),
        ("-2h", 7200),
        ("-1.5d", 129_600),
        ("14:32", 7),
        ("14:32:06", 1),
        ("14:33", -53),
        ("9:00", 5 * 3600 + 32 * 60 + 7),
        ("15:00", 86_400 - 28 * 60 + 7),
        ("2026-11-30T14:00", 1927),
        ("2026-11-30 14:32:07", 0),
    ],
)
def test_times_as_they_are_typed(text: str, back_s: float) -> None:
    assert time_of(text, LAST) == LAST - back_s


@pytest.mark.parametrize(
    ("text", "first_back_s", "back_s"),
    [
        ("14:00", 3600, 1927),  # in it
        ("14:32", 3600, 7),
        ("14:40", 3600, -473),  # after it, and not a day before
        ("13:00", 3600, 5527),  # before it
        ("3:00", 3600, 11 * 3600 + 1927),  # nearer to its begin than to its end
        ("15:00", 86_400, 86_400 - 1673),  # yesterday's is in it
        ("9:00", 7 * 86_400, 5 * 3600 + 1927),
        ("-15m", 60, 900),
    ],
)
def test_a_time_of_day_is_the_last_or_the_nearest_of_what_there_is(
    text: str, first_back_s: float, back_s: float
) -> None:
    assert time_of(text, LAST, LAST - first_back_s, LAST) == LAST - back_s


@pytest.mark.parametrize(
    "text", ["", "now", "25:00", "-", "14", "-5x", "2026-13-01", "14:60", "٣:00"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time such as"):
        time_of(text, LAST)


def test_lengths_of_time() -> None:
    assert [span_of(text) for text in ("7d", "90m", "12 h", "30s")] == [604_800, 5400, 43_200, 30]
    for text in ("", "7", "0d", "-1d", "d"):
        with pytest.raises(ValueError, match="expected a time such as"):
            span_of(text)


def test_a_moment_that_is_gone_is_told(path: str) -> None:
    machine = Machine(path, keep=Keep(size_bytes=1))
    for _ in range(60):
        machine.tick()
    machine.recorder.writer.wait()
    recording = Recording(path)
    first = recording.first
    assert first is not None
    for _ in range(120):
        machine.tick()
    machine.end()
    with pytest.raises(Unusable, match="no more in it"):
        recording.view(first)
    assert isinstance(first, Moment)
