"""Compiles and runs the C programs here, whose memory the tests know to the byte."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.process import parse_identity
from memtui.live.looker import read_map
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap

LIVE = LiveFiles()

_HERE = Path(__file__).parent


class Expected(NamedTuple):
    """What the program says of a mapping: [start, end), 0 where it cannot know; `words` may be ""."""

    key: str
    kind: str
    start: int
    end: int
    words: str


class Mapped:
    """A running `mapped`: what it mapped, by key; more on command."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid
        self.expected = self._answer()
        self.by_key = {each.key: each for each in self.expected if each.key != "-"}

    def command(self, text: str) -> list[Expected]:
        assert self.process.stdin
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> list[Expected]:
        assert self.process.stdout
        found = []
        for line in self.process.stdout:
            if line == "ready\n":
                break
            key, kind, start, end, words = line.rstrip("\n").split("\t")
            found.append(Expected(key, kind, int(start, 16), int(end, 16), words))
        # Threads that are still on their way to sleep have no stack pointer to tell.
        deadline = time.monotonic() + 60
        while not all(state == "S" for state in self._states()):
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
        return found

    def _states(self) -> list[str]:
        states = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(OSError):  # one that has just ended
                states.append((task / "stat").read_text().rpartition(") ")[2][0])
        return states


def compiled(program: str, into: Path, *options: str) -> Path:
    """The program, compiled by gcc; the test is skipped where that cannot be done here."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    path = into / program
    command = ["gcc", "-O1", "-pthread", str(_HERE / f"{program}.c"), "-o", str(path), *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode and options:
        pytest.skip(f"gcc cannot build it with {' '.join(options)}: {result.stderr[-100:]}")
    assert result.returncode == 0, result.stderr
    return path


@contextmanager
def mapped(program: Path, directory: Path, *arguments: str) -> Iterator[Mapped]:
    """Runs `mapped`, which makes files in the directory, until the end of the block."""
    with subprocess.Popen(
        [program, directory, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
    ) as process:
        try:
            yield Mapped(process)
        finally:
            process.kill()
            Path(f"/dev/shm/kept-{process.pid}").unlink(missing_ok=True)


def key_of(pid: int, files: Files = LIVE) -> ProcessKey:
    """The process that has this pid now."""
    stat = files.parsed(f"proc/{pid}/stat", parse_identity)
    assert not isinstance(stat, Gap), stat
    return ProcessKey(pid, stat.starttime)


def look(pid: int, source: str = "smaps", last: AddressMap | None = None) -> AddressMap:
    """A running process's address space, read as the screens do."""
    found = read_map(LIVE, key_of(pid), source, last).map
    assert isinstance(found, AddressMap), found
    return found
