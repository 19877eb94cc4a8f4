"""Changes of real processes that belong to the tests, and of no others."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.process import parse_identity
from memtui.kernel.writes import Change, Changes
from tests.terminal import PROJECT

CHANGES = Changes(readonly=False)


class Sleeper:
    def __init__(self) -> None:
        self.process = subprocess.Popen(["sleep", "60"])
        self.pid = self.process.pid
        stat = LiveFiles().parsed(f"proc/{self.pid}/stat", parse_identity)
        assert not isinstance(stat, Gap)
        self.key = (self.pid, stat.starttime)

    @property
    def adj(self) -> int:
        return int(Path(f"/proc/{self.pid}/oom_score_adj").read_text())

    @property
    def state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2][0]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    made = Sleeper()
    yield made
    made.end()


@pytest.fixture(params=["pidfd", "no pidfd"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to send: kernels before 5.3 have no pidfds."""
    if request.param == "no pidfd":

        def absent(pid: int, flags: int = 0) -> int:
            raise OSError(errno.ENOSYS, "not implemented")

        monkeypatch.setattr(os, "pidfd_open", absent)


def becomes(value: Callable[[], object], wanted: object) -> None:
    deadline = time.monotonic() + 20
    while value() != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def changes_of(key: tuple[int, int], changes: Changes = CHANGES) -> list[Change]:
    return [changes.signal(*key, "TERM"), changes.oom_score_adj(*key, 7)]


@pytest.mark.usefixtures("way")
def test_a_signal_reaches_its_process(sleeper: Sleeper) -> None:
    change = CHANGES.signal(*sleeper.key, "USR1")
    assert change.words == "USR1 to" and change.undo is None
    assert sleeper.process.poll() is None
    assert change.do() is None
    assert sleeper.process.wait(20) == -signal.SIGUSR1


@pytest.mark.usefixtures("way")
def test_stop_is_undone_by_cont(sleeper: Sleeper) -> None:
    change = CHANGES.signal(*sleeper.key, "STOP")
    assert change.do() is None
    becomes(lambda: sleeper.state, "T")
    assert change.undo is not None and change.undo.words == "CONT to"
    assert change.undo.do() is None
    becomes(lambda: sleeper.state, "S")


def test_an_adjustment_is_undone_by_the_one_before(sleeper: Sleeper) -> None:
    before = sleeper.adj
    change = CHANGES.oom_score_adj(*sleeper.key, before + 21)
    assert change.words == f"oom_score_adj {before + 21:+d} for"
    assert sleeper.adj == before
    assert change.do() is None
    assert sleeper.adj == before + 21
    assert change.undo is not None
    assert change.undo.words == f"oom_score_adj {before:+d} for"
    if os.geteuid() == 0:
        assert change.undo.do() is None
        assert sleeper.adj == before


@pytest.mark.usefixtures("way")
def test_another_process_with_the_pid_is_left_alone(sleeper: Sleeper) -> None:
    pid, start = sleeper.key
    for change in changes_of((pid, start - 1)):
        gap = change.do()
        assert gap is not None
        assert (gap.reason, gap.detail) == ("gone", "another process")
        assert change.undo is None
    assert sleeper.process.poll() is None and sleeper.adj != 7


@pytest.mark.usefixtures("way")
def test_one_that_has_ended_is_gone(sleeper: Sleeper) -> None:
    made = changes_of(sleeper.key)
    sleeper.end()
    gc.collect()  # what other tests have left closes now, and not meanwhile
    before = len(os.listdir("/proc/self/fd"))
    for change in (*made, *changes_of(sleeper.key)):
        gap = change.do()
        assert gap is not None
        assert (gap.reason, gap.detail) == ("gone", "")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("way")
def test_read_only_does_nothing_whoever_asks(sleeper: Sleeper) -> None:
    adj = sleeper.adj
    made = changes_of(sleeper.key, Changes(readonly=True))
    made.append(Changes(readonly=True).signal(*sleeper.key, "STOP"))
    undos = [change.undo for change in made if change.undo is not None]
    assert undos
    for change in (*made, *undos):
        gap = change.do()
        assert gap is not None
        assert (gap.reason, gap.detail) == ("denied", "read-only")
    assert sleeper.process.poll() is None and sleeper.adj == adj and sleeper.state in "RSD"


def test_somebody_elses_process_is_denied(sleeper: Sleeper) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming nobody takes root")
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from memtui.kernel.writes import Changes\n"
        "os.setuid(65534)\n"
        f"changes, key = Changes(readonly=False), {sleeper.key}\n"
        "for change in (changes.signal(*key, 'TERM'), changes.oom_score_adj(*key, 7)):\n"
        "    print(change.do())\n"
    )
    command = [sys.executable, "-c", script, str(PROJECT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    own = f"proc/{sleeper.pid}"
    assert done.stdout == f"{own}: denied\n{own}/oom_score_adj: denied\n"
    assert sleeper.process.poll() is None and sleeper.adj != 7


def test_nothing_else_in_memtui_writes_or_signals() -> None:
    words = ("os.write(", "O_WRONLY", "O_RDWR", "os.kill(", "send_signal(", "os.killpg(")
    found = {
        (str(file.relative_to(PROJECT / "memtui")), word)
        for file in (PROJECT / "memtui").rglob("*.py")
        for word in words
        if word in file.read_text()
    }
    found.discard(("cli.py", "O_WRONLY"))  # what is left for a closed pipe goes to /dev/null
    # A terminal, and memtui itself, which stops or ends by the signal that it got.
    found -= {("tui/earlyscreen.py", "os.write("), ("tui/earlyscreen.py", "os.kill(")}
    # What memtui has started itself, and the files that were asked for or are its own.
    own = (
        *("watch/", "lab/", "recording/", "kernel/ground.py"),
        *("reports/run.py", "tui/runlaunch.py", "tui/pseudoterminal.py"),
    )
    assert {name for name, _ in found if not name.startswith(own)} == {"kernel/writes.py"}
