"""What was before a dashboard began: only of this boot, lately, and in the order of time."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.recording import sysstat
from memtui.recording.earlier import Earlier, WhatWas, recorded_entries
from memtui.recording.recorder import Recorder
from tests.recording.machines import Machine

BOOT = LiveFiles().read("proc/sys/kernel/random/boot_id")
BOOT_ID = "" if isinstance(BOOT, Gap) else BOOT.decode().strip()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a recording may be; sysstat has none."""
    monkeypatch.setattr(sysstat, "DIRECTORIES", ())
    return tmp_path / "recording.memtui"


@pytest.fixture
def begun_s(path: Path) -> float:
    """A recording of this machine: so many ticks as fill two blocks, and some."""
    recorder = Recorder(LiveFiles(), str(path), 0.01)
    recorder.writer.start()
    began_s = recorder._clock.boot_s()
    for _ in range(130):
        recorder.tick(0.01)
    recorder.stop()
    return began_s


def test_a_recording_of_this_boot_fills_the_hour(path: Path, begun_s: float) -> None:
    entries = recorded_entries(str(path), BOOT_ID, time.time())
    times = [entry.time_s for entry in entries]
    assert times == sorted(set(times))
    assert len(times) >= 60
    assert times[0] >= begun_s - 1
    assert entries[-1].figures["mem_total_bytes"] > 0
    assert all(entry.interval_s >= 1 for entry in entries)
    # The session's question comes to the same.
    found = WhatWas(LiveFiles(), 0.0, str(path)).work()
    assert isinstance(found, Earlier)
    assert (len(found.entries), found.origin) == (len(entries), "")


def test_only_of_this_boot_and_lately(path: Path, begun_s: float) -> None:
    now_s = time.time()
    assert recorded_entries(str(path), "another", now_s) == []
    assert recorded_entries(str(path), "", now_s) == []
    assert recorded_entries(str(path), BOOT_ID, now_s + 2 * 3600) == []


def test_what_is_no_recording_is_nothing(path: Path) -> None:
    assert recorded_entries(str(path), BOOT_ID, time.time()) == []
    path.write_bytes(b"junk")
    assert recorded_entries(str(path), BOOT_ID, time.time()) == []
    found = WhatWas(LiveFiles(), 0.0, str(path)).work()
    assert isinstance(found, Earlier)
    assert not found.entries


def test_of_long_ago_blocks_tell_and_of_lately_moments(path: Path) -> None:
    machine = Machine(str(path))
    for _ in range(1200):
        machine.tick()
    machine.end()
    database = sqlite3.connect(path)
    database.execute("update run set boot_id = 'this'")  # the captured machine does not tell
    database.commit()
    database.close()
    entries = recorded_entries(str(path), "this", machine.wall_s)
    close = [entry for entry in entries if entry.time_s > machine.files.clock.now_s - 300]
    assert 100 <= len(close) <= 151
    early = [entry for entry in entries if entry not in close]
    assert 14 <= len(early) <= 16
    assert all(55 <= entry.interval_s <= 61 for entry in early)
