"""Graphs that begin full: by a recorder's file at its default place, or by sysstat's archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memtui.kernel.livefiles import LiveFiles
from memtui.live.clock import SystemClock
from memtui.recording.earlier import BY_SYSSTAT, Earlier
from memtui.recording.recorder import Recorder
from memtui.recording.sysstat import Entry
from tests.interface import MACHINE, app_of, captured, deliver, running, screen
from tests.recorded import FakeClock
from tests.reports.test_nobody import NOBODY
from tests.terminal import PROJECT, Terminal

MINUTES = 4
STEP_S = 4.0


def painted(terminal: Terminal) -> int:
    """How many cells of the graph's middle are a band's."""
    row = terminal.screen.buffer[8]
    return sum(row[x].bg not in ("default", "121212", "111111") for x in range(6, 80))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A recorder's home, with the last minutes of this machine at its default place."""
    for each in (tmp_path, *tmp_path.parents):
        each.chmod(0o755)  # for who is not root
        if each.name.startswith("pytest-of-"):
            break
    path = tmp_path / "memtui" / "recording.memtui"
    path.parent.mkdir()
    clock = FakeClock(SystemClock().boot_s() - MINUTES * 60)
    began_s = time.time() - MINUTES * 60
    first_s = clock.now_s
    recorder = Recorder(
        LiveFiles(), str(path), STEP_S, clock=clock, wall_s=lambda: began_s + clock.now_s - first_s
    )
    recorder.writer.start()
    for _ in range(int(MINUTES * 60 / STEP_S) - 1):
        clock.now_s += STEP_S
        recorder.tick(STEP_S)
        recorder.writer.wait()
    recorder.stop()
    if os.geteuid() == 0:
        for each in (path.parent, *path.parent.iterdir()):
            os.chown(each, 65534, 65534)
    return tmp_path


def dashboard(home: Path) -> Terminal:
    """As a user whose default place is below its home."""
    words = [sys.executable, "-m", "memtui"]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("needs setpriv to be no root")
        check = [*NOBODY, *words, "--version"]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        if subprocess.run(check, env=environment, capture_output=True, check=False).returncode:
            pytest.skip("nobody may not run this Python, or not read memtui")
        words = [*NOBODY, *words]
    return Terminal(words, 120, 40, {"XDG_STATE_HOME": str(home), "PYTHONPATH": str(PROJECT)})


def test_the_recorders_file_fills_the_graph(home: Path) -> None:
    with dashboard(home) as terminal:
        terminal.wait_for("available", "now")
        # Four of five minutes of some 75 cells.
        terminal.wait_until(lambda: painted(terminal) > 50, "the graph was full")
        assert BY_SYSSTAT not in terminal.text


def test_without_it_the_graph_begins_empty(home: Path) -> None:
    shutil.rmtree(home / "memtui")
    with dashboard(home) as terminal:
        terminal.wait_for("available", "now")
        terminal.wait_until(lambda: painted(terminal) > 0, "there was a graph")
        assert painted(terminal) < 20 or BY_SYSSTAT in terminal.text


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_sysstats_figures_are_named(size: tuple[int, int]) -> None:
    sample, maps = captured("debian-6.18")
    app = app_of([sample], maps)
    async with running(app, size) as pilot:
        assert MACHINE.booted_s is not None
        total = 16 << 30
        entries = [
            Entry(
                sample.time_s - 60 * back,
                60.0,
                {"mem_free_bytes": total / 2, "buff_cache_bytes": total / 8},
            )
            for back in (4, 3, 2, 1)
        ]
        app.session.learn(Earlier(entries, BY_SYSSTAT))
        await deliver(pilot, sample._replace(time_s=sample.time_s + 1))
        assert "sysstat's ┊" in screen(app)
        await deliver(pilot, sample._replace(time_s=sample.time_s + 310))
        assert "sysstat's" not in screen(app)
