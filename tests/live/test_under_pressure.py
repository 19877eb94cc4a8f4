"""memtui in a squeezed control group beside programs that take everything: it goes on.

How fast it must be is a share of how fast it is without the squeeze, on the same machine.
"""

from __future__ import annotations

import importlib
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.process import parse_status
from tests.conftest import HOSTS_DIR
from tests.oracles import until_alike
from tests.squeeze import MIB, Squeeze, require, squeeze, swap_file
from tests.terminal import PROJECT, Terminal, starts

pytestmark = pytest.mark.xdist_group("machine")

_SECONDS = 3.0
_SLOWER_AT_MOST = 5
_NO_ROOM = 20 * MIB  # Python with the first figures takes 15, with the interface 40
MOUSE = b"\x1b[?1000h"  # the first that Textual writes


class Pace(NamedTuple):
    """What memtui did in some seconds: reads a second, screens, and how long keys took at most."""

    reads_per_s: float
    screens: int
    keys: int
    slowest_key_s: float


@contextmanager
def memtui_in(box: Squeeze) -> Iterator[Terminal]:
    argv = box.argv(sys.executable, "-m", "memtui", "--interval", "0.2")
    with Terminal(argv) as terminal:
        starts(terminal)
        yield terminal


def reads(terminal: Terminal) -> int:
    """The reads it has made: each sample is one of every process, whatever the screen shows."""
    try:
        lines = Path(f"/proc/{terminal.pid}/io").read_text().split("\n")
    except FileNotFoundError:
        pytest.skip("needs a kernel that counts reads (CONFIG_TASK_IO_ACCOUNTING)")
    return int(next(line.split()[1] for line in lines if line.startswith("syscr")))


def pace(terminal: Terminal, seconds: float = _SECONDS) -> Pace:
    """Presses a key that turns the list round, again and again, and watches."""
    screens = set()
    keys, slowest = 0, 0.0
    before, began = reads(terminal), time.monotonic()
    while time.monotonic() - began < seconds:
        up = "▲RSS" not in terminal.text
        pressed = time.monotonic()
        terminal.type("I")
        terminal.wait_for("▲RSS" if up else "▼RSS")
        slowest = max(slowest, time.monotonic() - pressed)
        keys += 1
        while time.monotonic() - pressed < 0.3:
            terminal.pump(0.02)
        screens.add(terminal.text)
    elapsed = time.monotonic() - began
    return Pace((reads(terminal) - before) / elapsed, len(screens), keys, slowest)


def swapped_out_bytes(terminal: Terminal) -> int:
    status = LiveFiles().parsed(f"proc/{terminal.pid}/status", parse_status)
    assert not isinstance(status, Gap)
    size = status["VmSwap"]
    assert isinstance(size, int)
    return size


def test_it_keeps_sampling_and_answering_while_others_thrash(tmp_path: Path) -> None:
    require()
    with (
        swap_file(tmp_path, 400 * MIB),
        squeeze(64 * MIB) as box,
        memtui_in(box) as terminal,
    ):
        calm = pace(terminal)
        for _ in range(3):
            box.run("pages", 60 * MIB)
        hits = box.limit_hits
        terminal.wait_until(lambda: box.limit_hits > hits + 1000, "squeezed")

        def goes_on() -> None:
            """Others on the machine may have been busy all that while, and not before."""
            hits = box.limit_hits
            squeezed = pace(terminal, 2 * _SECONDS)
            assert box.limit_hits > hits + 1000, "nobody thrashes"
            assert squeezed.screens > 5
            assert squeezed.reads_per_s > calm.reads_per_s / _SLOWER_AT_MOST, (calm, squeezed)
            assert squeezed.keys > 2 * calm.keys / _SLOWER_AT_MOST, (calm, squeezed)

        until_alike(goes_on)
        assert swapped_out_bytes(terminal) == 0
        box.stop()
        assert pace(terminal, 1).keys
        assert terminal.process.poll() is None
        terminal.type("q")
        assert terminal.wait_exit() == 0


def test_it_outlives_a_program_that_is_killed_for_taking_everything() -> None:
    require()
    with squeeze(80 * MIB, swaps=False) as box, memtui_in(box) as terminal:
        calm = pace(terminal)
        hog = box.run("pages", 200 * MIB)
        terminal.wait_until(lambda: hog.poll() is not None, "killed")
        assert box.kills >= 1

        def goes_on() -> None:
            after = pace(terminal)
            assert after.reads_per_s > calm.reads_per_s / _SLOWER_AT_MOST, (calm, after)
            assert after.screens > 1

        until_alike(goes_on)
        terminal.type("q")
        assert terminal.wait_exit() == 0


def own_copy(into: Path, *packages: str) -> str:
    """Copies of packages that nobody else uses, whose files are not in the kernel's cache."""
    for package in packages:
        (place,) = importlib.import_module(package).__path__
        shutil.copytree(place, into / package)
    for path in into.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return str(into)


def test_first_figures_come_before_an_interface_that_has_no_room(tmp_path: Path) -> None:
    require()
    root = str(HOSTS_DIR / "debian-6.18")
    path = {"PYTHONPATH": own_copy(tmp_path / "own", "textual", "rich")}
    with swap_file(tmp_path, 256 * MIB), squeeze(_NO_ROOM) as box:
        argv = box.argv(sys.executable, "-m", "memtui", "--root", root)
        with Terminal(argv, environment=path) as terminal:
            terminal.wait_for("available", "stalled", "postgres")
            hits = box.limit_hits
            terminal.wait_until(lambda: MOUSE in terminal.output or box.limit_hits > hits)
            box.set("memory.limit_in_bytes", 1 << 30)
            starts(terminal)
            # However late this reads: what was written before anything of the interface.
            first = terminal.output.partition(MOUSE)[0].decode()
            assert all(word in first for word in ("available", "stalled", "postgres")), first
            assert box.limit_hits > 0, "there was room"
            terminal.type("q")
            assert terminal.wait_exit() == 0


_LOCK = """
import ctypes, os, resource, sys
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.process import parse_status
from memtui.tui.resident import stay_in_memory
uid, limit = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
os.setuid(uid)
print(stay_in_memory(), LiveFiles().parsed("proc/self/status", parse_status)["VmLck"])
"""


@pytest.mark.parametrize(
    ("uid", "limit", "locks"),
    [(0, 65536, True), (65534, 65536, False), (65534, 0, False), (65534, -1, True)],
)
def test_it_locks_itself_only_where_no_limit_could_be_hit(
    uid: int, limit: int, locks: bool
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to be others")
    if limit < 0 <= resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]:
        pytest.skip("needs a hard RLIMIT_MEMLOCK of unlimited")
    done = subprocess.run(
        [sys.executable, "-c", _LOCK, str(uid), str(limit)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    said, locked_bytes = done.stdout.split()
    assert said == str(locks)
    assert (int(locked_bytes) > 0) == locks
