"""A child whose address space a test changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from textual.pilot import Pilot

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.process import parse_identity
from memtui.live.looker import read_map
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.sample import Sample
from memtui.targets import Target
from memtui.tui.app import MemtuiApp
from tests.interface import app_of, script_of, settle
from tests.samples import process, sample

AREA = 0x2000000000  # where nothing is mapped, with all of its neighbourhood

_CHILD = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: what is filled is in memory, and no more
kept = []
def area(at, size, flags=0x22, prot=3):  # private and anonymous
    assert libc.mmap(at, size, prot, flags | 0x100000, -1, 0) == at
def fill(at, size):
    libc.memset(at, 7, size)
def unmap(at, size):
    assert libc.munmap(at, size) == 0
def fork():
    # Lives for as long as this process.
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    kept.append(writing)
    print(pid)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Child:
    """A process that runs lines of Python: `area(at, size)`, `fill`, `unmap`, `fork()`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.files = LiveFiles()
        stat = self.files.parsed(f"proc/{process.pid}/stat", parse_identity)
        assert not isinstance(stat, Gap)
        self.key = ProcessKey(process.pid, stat.starttime)

    def run(self, line: str) -> str:
        """Has it do something; what it printed."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        printed = ""
        while (said := self.process.stdout.readline()) != "done\n":
            assert said, f"it ended at {line}"
            printed += said
        return printed.strip()

    def read(self) -> AddressMap | Gap:
        """Its map now."""
        return read_map(self.files, self.key, "smaps").map

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def watched(self, target: Target | None = None) -> MemtuiApp:
        """The application on it alone, with this kernel to read from."""
        return app_of([self.sample()], {self.key: self.read()}, target, self.files)

    def sample(self, time_s: float = 1000.0) -> Sample:
        key = self.key
        return sample(time_s, process(key.pid, "child", 20, start=key.start_time_ticks))


@contextmanager
def child() -> Iterator[Child]:
    """A child, which has run its first line."""
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            made = Child(started)
            made.run("pass")
            yield made
        finally:
            started.kill()


async def read_again(pilot: Pilot[None], of: Child) -> None:
    """Its map as it is by now, on the screen."""
    assert isinstance(pilot.app, MemtuiApp)
    script_of(pilot.app).read(of.key, of.read())
    await settle(pilot)
