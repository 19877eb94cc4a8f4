"""Reading a recording writes nothing, whoever else writes it meanwhile."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path

from memtui.recording.recording import Recording
from tests.recording.machines import (
    Machine,
    readable,
    recording_process,
    ticks_of,
    wait_for_ticks,
)


def lived(path: Path, ticks: int = 70) -> None:
    machine = Machine(str(path))
    for _ in range(ticks):
        machine.tick()
    machine.end()


def test_it_leaves_no_file_behind(tmp_path: Path) -> None:
    path = tmp_path / "day.memtui"
    lived(path)
    before = path.read_bytes()
    good, complaints = readable(str(path))
    assert len(good) == 70 and complaints == []
    assert os.listdir(tmp_path) == ["day.memtui"]
    assert path.read_bytes() == before


def test_what_is_gone_on_with_meanwhile_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "day.memtui"
    lived(path)
    with closing(Recording(str(path))) as recording:
        assert recording.ticks == 70
        with recording_process(path) as process:
            wait_for_ticks(path, 72)
            recording.refresh()
            assert recording.ticks >= 72, "while it is written"
            process.send_signal(signal.SIGTERM)
        recording.refresh()
        last = recording.last
        assert last is not None and recording.view(last).contents.get("proc/meminfo")
        ticks = recording.ticks
    with recording_process(path) as process:  # nobody else holds it
        wait_for_ticks(path, ticks + 1)
        process.send_signal(signal.SIGTERM)
    ticks = ticks_of(path)
    assert os.listdir(tmp_path) == ["day.memtui"]
    good, complaints = readable(str(path))
    assert len(good) == ticks and complaints == []


def test_another_that_ended_since_is_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "day.memtui"
    lived(path)
    with closing(Recording(str(path))) as recording:
        lived(path, 5)  # from its begin to its end
        recording.refresh()
        assert recording.ticks == 75 and len(recording.runs) == 2


def test_what_a_killed_recorder_has_left_is_read(tmp_path: Path) -> None:
    path = tmp_path / "day.memtui"
    with recording_process(path) as process:
        seen = wait_for_ticks(path, 3)
        process.send_signal(signal.SIGKILL)
    there = sorted(os.listdir(tmp_path))
    good, complaints = readable(str(path))
    assert len(good) >= seen and complaints == []
    assert sorted(os.listdir(tmp_path)) == there
