"""Signals and adjustments from the view of processes, on real processes that belong to the tests."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from memtui.kernel.livefiles import LiveFiles
from memtui.live.sampler import Sampler
from memtui.model.keys import ProcessKey
from memtui.settings.values import DEFAULTS
from memtui.tui.app import MemtuiApp
from memtui.tui.sheets.choice import ChoiceSheet
from tests.interface import (
    Script,
    answer,
    app_on,
    choose,
    is_whole,
    press,
    running,
    screen,
    screen_text,
    settle,
    until,
)
from tests.samples import MIB
from tests.terminal import state


def panel(app: MemtuiApp) -> str:
    region = app.view.query_one("#process-panel").region
    return "\n".join(screen_text(app)[region.y : region.bottom])


class Sleeper:
    """A process of the test's, watched by an application of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.files = LiveFiles()
        sampler = Sampler(self.files)
        found = sampler.sample()
        sampler.close()
        key = next(key for key in found.processes if key.pid == self.process.pid)
        self.sample = found._replace(processes={key: found.processes[key]})
        self.key = key

    def app(self, readonly: bool = False) -> MemtuiApp:
        script = Script({}, self.files)
        settings = DEFAULTS._replace(readonly=readonly)
        app = app_on(script, settings)
        app.deliver(self.sample)
        return app

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    made = Sleeper()
    yield made
    made.end()


async def test_a_signal_is_sent_after_a_question(sleeper: Sleeper) -> None:
    app = sleeper.app()
    async with running(app) as pilot:
        await press(pilot, "2", "K")
        assert isinstance(app.screen, ChoiceSheet)
        await press(pilot, "enter")  # TERM stands first
        assert f"TERM to {sleeper.key.pid} " in screen(app)
        assert " old?" in screen(app)
        await press(pilot, "enter")  # and no before yes
        assert sleeper.process.poll() is None
        await press(pilot, "K", "enter", "down", "enter")
        assert sleeper.process.wait(60) == -signal.SIGTERM
        assert f"done: TERM to {sleeper.key.pid}" in screen(app)
        assert "puts it back" not in screen(app)


async def test_any_signal_by_its_name(sleeper: Sleeper) -> None:
    app = sleeper.app()
    async with running(app) as pilot:
        await press(pilot, "2", "K")
        await choose(pilot, "USR1")
        await press(pilot, "down", "enter")
        assert sleeper.process.wait(60) == -signal.SIGUSR1


async def test_what_was_done_is_put_back_after_a_question(sleeper: Sleeper) -> None:
    app = sleeper.app()
    async with running(app) as pilot:
        await press(pilot, "2", "u")
        assert "nothing was done here" in screen(app)
        await press(pilot, "K")
        await choose(pilot, "STOP")
        await press(pilot, "down", "enter")
        await until(pilot, lambda: state(sleeper.key.pid) == "T", "stopped")
        assert f"done: STOP to {sleeper.key.pid} · u puts it back" in screen(app)
        await press(pilot, "u")
        assert f"CONT to {sleeper.key.pid} " in screen(app)
        await press(pilot, "enter")  # no: it stays, and may still be put back
        assert state(sleeper.key.pid) == "T"
        await press(pilot, "u", "down", "enter")
        await until(pilot, lambda: state(sleeper.key.pid) == "S", "going on")
        await press(pilot, "u")
        assert not isinstance(app.screen, ChoiceSheet)


async def test_another_process_with_the_pid_is_left_alone(sleeper: Sleeper) -> None:
    key = sleeper.key
    old = ProcessKey(key.pid, key.start_time_ticks - 1)
    process_ = sleeper.sample.processes[key]._replace(key=old)
    sleeper.sample = sleeper.sample._replace(processes={old: process_})
    app = sleeper.app()
    async with running(app) as pilot:
        await press(pilot, "2", "K", "enter", "down", "enter")
        assert "another process by now: nothing was done" in screen(app)
        assert sleeper.process.poll() is None
        await press(pilot, "a")
        await answer(pilot, "7")
        await press(pilot, "down", "enter")
        assert "another process by now" in screen(app)


async def test_one_that_has_ended_is_said_to_have(sleeper: Sleeper) -> None:
    app = sleeper.app()
    async with running(app) as pilot:
        await press(pilot, "2", "K", "enter", "down")
        sleeper.end()
        await press(pilot, "enter")
        assert f"{sleeper.key.pid} has ended" in screen(app)


async def test_its_oom_score_adj_is_changed_after_a_question(sleeper: Sleeper) -> None:
    app = sleeper.app()
    adj = f"/proc/{sleeper.key.pid}/oom_score_adj"
    async with running(app) as pilot:
        await press(pilot, "2", "a", *"1001", "enter")
        assert "from -1000" in screen_text(app)[-1]
        await press(pilot, "escape", "a")
        await answer(pilot, "321")
        assert f"oom_score_adj +321 for {sleeper.key.pid}" in screen(app)
        with open(adj) as file:
            assert file.read() == "0\n"
        assert isinstance(app.screen, ChoiceSheet)
        await press(pilot, "down", "enter")
        with open(adj) as file:
            assert file.read() == "321\n"


async def test_read_only_offers_nothing_that_changes_the_machine(sleeper: Sleeper) -> None:
    app = sleeper.app(readonly=True)
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "2")
        assert "K signal" not in screen_text(app)[-1]
        assert "a adjust" not in screen_text(app)[-1]
        await press(pilot, "K")
        assert not isinstance(app.screen, ChoiceSheet)
        assert "read-only" in screen(app)
        await press(pilot, "a")
        assert not app.query("#prompt")
        await press(pilot, "question_mark")
        assert "send it a signal" not in screen(app)


async def test_the_panel_reads_limits_and_the_group_of_a_real_process(sleeper: Sleeper) -> None:
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.prlimit(sleeper.key.pid, resource.RLIMIT_STACK, (3 * MIB, hard))
    app = sleeper.app()
    async with running(app) as pilot:
        await press(pilot, "2")
        await until(
            pilot, lambda: "3.0M" in panel(app) and "cgroup /" in panel(app), "limits and group"
        )
        assert "stack" in panel(app)
        await settle(pilot)
        is_whole(app)


def test_not_permitted_is_one_line() -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming nobody takes root")
    target = Sleeper()
    try:
        script = (
            "import os\n"
            "from memtui.kernel.writes import Changes\n"
            "from memtui.tui.acting import went_wrong\n"
            "os.setuid(65534)\n"
            f"key = ({target.key.pid}, {target.key.start_time_ticks})\n"
            "changes = Changes(readonly=False)\n"
            "for change in (changes.signal(*key, 'TERM'), changes.oom_score_adj(*key, 5)):\n"
            "    print(went_wrong(change, key[0]))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        lines = done.stdout.splitlines()
        assert len(lines) == 2
        assert all("not permitted" in line for line in lines)
        # It lives, and ends as it means to.
        target.process.communicate(b"\n", 60)
        assert target.process.returncode == 0
    finally:
        target.end()
