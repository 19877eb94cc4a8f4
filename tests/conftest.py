"""The captured hosts, and a stopped process to compare readings of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from memtui.kernel.files import Files
from memtui.kernel.livefiles import LiveFiles

HOSTS_DIR = Path(__file__).parent / "hosts"
HOSTS = sorted(
    path.name for path in HOSTS_DIR.iterdir() if path.is_dir() and path.name[0] not in "_."
)

# New examples by hand; where what is wanted is a yes or a no, the same ones each time.
hypothesis.settings.register_profile("new", deadline=None)
hypothesis.settings.register_profile("fixed", deadline=None, derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "new"))

# Threads, a private heap, a shared mapping, a file and an untouched reservation.
_MODEL_PROGRAM = """
import mmap, sys, threading
shared = mmap.mmap(-1, 8 << 20)
shared.write(b"x" * (3 << 20))
private = [bytes(3000) for _ in range(5000)]
reserved = mmap.mmap(-1, 256 << 20, flags=mmap.MAP_PRIVATE)
started = threading.Barrier(4)
for _ in range(3):
    threading.Thread(target=lambda: (started.wait(), threading.Event().wait()), daemon=True).start()
started.wait()
print("ready", flush=True)
sys.stdin.read()
"""


def pytest_configure() -> None:
    """Programs that tests start heed Ctrl+C, also where a shell has started the tests beside others."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups that one worker takes alone begin first: the other has the rest meanwhile."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture(scope="session", autouse=True)
def colours() -> Iterator[None]:
    """The same terminal for all tests, whatever they are run in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("COLORTERM", "truecolor")
        patch.delenv("NO_COLOR", raising=False)
        patch.setenv("XDG_CONFIG_HOME", "/dev/null")  # and no settings of whoever runs them
        yield


def open_host(name: str) -> LiveFiles:
    return LiveFiles(str(HOSTS_DIR / name))


def may_read(files: Files, name: str) -> bool:
    return isinstance(files.read_at(name, 0, 1), bytes)


@pytest.fixture
def host() -> Callable[[str], Files]:
    """`host("debian-6.18")`: the files of a captured machine."""
    return open_host


@pytest.fixture(scope="session")
def stopped_pid() -> Iterator[int]:
    """A child with an interesting address space that holds still: readings of it must agree."""
    with subprocess.Popen(
        [sys.executable, "-c", _MODEL_PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout and child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGSTOP)
        _wait_for(
            lambda: all(_state(task) == "T" for task in Path(f"/proc/{child.pid}/task").iterdir())
        )
        yield child.pid
        os.kill(child.pid, signal.SIGKILL)


def _state(task: Path) -> str:
    return (task / "stat").read_text().rpartition(") ")[2][0]


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
