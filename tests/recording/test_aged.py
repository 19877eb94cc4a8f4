"""What a recording has of an earlier moment is said to be so."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from memtui.kernel.livefiles import LiveFiles
from memtui.live.plan import Plan
from memtui.recording.collector import MapsWanted
from memtui.recording.recorder import Recorder
from memtui.recording.recording import Recording
from memtui.session.rebuild import Rebuilt
from memtui.settings.values import DEFAULTS
from tests.conftest import HOSTS_DIR
from tests.recorded import FakeClock
from tests.recording.machines import Machine
from tests.recording.test_reports import has_map, said

PID = 50


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A minute and a half, with a process that grows by a page a second and whose map was read at its
    begin and 30 s before its end."""
    path = str(tmp_path / "day.memtui")
    machine = Machine(path, maps=MapsWanted((str(PID),), every=60))
    for at in range(91):
        if at:
            machine.files.resize(PID, 10 + at)
        else:
            machine.files.start(PID, 1, "grows", 10)
        machine.tick()
    machine.end()
    return path


def clock(path: str, back_s: float) -> str:
    recording = Recording(path)
    last = recording.last
    recording.close()
    assert last is not None
    return time.strftime("%H:%M:%S", time.localtime(last.time_s - back_s))


def test_pss_of_a_while_ago_has_its_mark(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "procs", "--from", path, "--at", "-10s")
    (row,) = [line.split() for line in out.splitlines() if " grows" in line]
    assert row.count("~280") == 2  # KiB, of its 70 pages then
    assert "~ PSS and USS were read up to 20 s before" in out
    _, out, error = said(capsys, "procs", "--json", "--from", path, "--at", "-10s")
    assert "PSS and USS were read up to 20 s before" in error and json.loads(out)
    _, out, error = said(capsys, "procs", "--from", path, "--at", "-30s")
    assert " 280 KiB" in out and "~" not in out and " before" not in out + error


def test_a_map_says_when_it_was_read(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"the map of {PID} was read {clock(path, 30)}, 20 s before"
    _, out, error = said(capsys, "maps", str(PID), "--from", path, "--at", "-10s")
    assert out.startswith(f"{words}\n") and error == ""
    _, out, error = said(capsys, "maps", str(PID), "--json", "--from", path, "--at", "-10s")
    assert error == f"memtui: {words}\n" and json.loads(out)
    _, out, error = said(capsys, "maps", str(PID), "--from", path, "--at", "-30s")
    assert "was read" not in out + error


def test_what_grew_says_of_which_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, path, clock_ = LiveFiles(str(HOSTS_DIR / "debian-6.18")), tmp_path / "day", FakeClock()
    maps = MapsWanted(largest=10_000)
    recorder = Recorder(
        files, str(path), maps=maps, clock=clock_, wall_s=lambda: 1.8e9 + clock_.now_s
    )
    recorder.writer.start()
    for _ in range(91):
        recorder.tick(1.0)
        clock_.now_s += 1
    recorder.stop()
    pid = next(pid for pid in files.pids() if has_map(files, pid))
    _, out, _ = said(capsys, "grew", str(path), str(pid))
    assert f"(map read {clock(str(path), 30)}, 30 s before)" in out.splitlines()[0]
    assert out.splitlines()[0].count("map read") == 1, "at its begin it was that moment's own"


def test_a_replay_knows_how_old_shares_are(path: str) -> None:
    rebuilt = Rebuilt(Recording(path), DEFAULTS)
    moment, _ = rebuilt.found(None, 0)
    assert moment is not None
    keys = frozenset(
        key for key in rebuilt.at(moment, Plan()).memory.last["host"].processes if key.pid == PID
    )
    (shares,) = rebuilt.at(moment, Plan(shares=keys)).memory.last["host"].shares.values()
    assert moment.boot_s - shares.time_s == pytest.approx(30, abs=1)  # type: ignore[union-attr]
    rebuilt.close()
