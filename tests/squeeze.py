"""Memory pressure made for real: a control group with a limit, a swap file, and programs in it.

Cgroup v1's memory controller and root are needed; everything is gone after the blocks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import pytest

from memtui.kernel.cgroups import Confinement, Level, read_memory_group
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.values import parse_counters
from memtui.live.sampler import Sampler
from memtui.model.sample import Sample

MIB: Final = 1 << 20
HIERARCHY: Final = Path("/sys/fs/cgroup/memory")
_PATIENCE_S: Final = 10.0

Program = Literal["memory", "pages", "files"]

# memory: takes more step by step, and reads all of it between two steps.
# pages: takes all at once, and changes a byte here and there without an end.
# files: reads a file again and again.
_PROGRAM: Final = """
import mmap, os, random, sys, time
what, size, step, pause, path = sys.argv[1], *map(float, sys.argv[2:5]), sys.argv[5]
with open("/proc/self/oom_score_adj", "w") as file:
    file.write("1000")  # where one is to be killed, it is this
while what == "files":
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
size, step = int(size), int(step)
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_NOHUGEPAGE)
noise = os.urandom(1 << 16)
pages = memoryview(memory)
taken = 0
while True:
    if taken < size:
        end = min(size, taken + (step or size))
        for at in range(taken, end, len(noise)):
            memory[at : min(end, at + len(noise))] = noise[: min(end, at + len(noise)) - at]
        taken = end
    while what == "pages":
        memory[random.randrange(size)] = 1
    until = time.monotonic() + pause
    while True:
        sum(pages[:taken:4096])
        if time.monotonic() >= until:
            break
"""


def missing() -> str | None:
    """Why no squeeze can be made here; None: it can."""
    if os.geteuid() != 0:
        return "needs root, to make a memory cgroup and a swap file"
    if not (HIERARCHY / "memory.memsw.limit_in_bytes").exists():
        return "needs cgroup v1 with a limit of memory and swap"
    for tool in ("mkswap", "swapon", "swapoff"):
        if not shutil.which(tool):
            return f"needs {tool}"
    return None


def require() -> None:
    """Skips the test where no squeeze can be made."""
    if (reason := missing()) is not None:
        pytest.skip(reason)


@contextlib.contextmanager
def swap_file(directory: Path, size_bytes: int) -> Iterator[Path]:
    """A swap file in use, gone afterwards. Skips the test where the kernel takes none there."""
    path = directory / f"memtui-{os.getpid()}.swap"
    try:
        with path.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            os.posix_fallocate(file.fileno(), 0, size_bytes)
        subprocess.run(["mkswap", path], check=True, capture_output=True)
        used = subprocess.run(["swapon", path], capture_output=True, text=True, check=False)
        if used.returncode:
            pytest.skip(f"no swap file can be used here: {used.stderr.strip()}")
        try:
            yield path
        finally:
            subprocess.run(["swapoff", path], check=True)
    finally:
        path.unlink(missing_ok=True)


class Squeeze:
    """A control group with a limit, and the programs that were started in it."""

    def __init__(self, limit_bytes: int) -> None:
        self.path = HIERARCHY / f"memtui-squeeze-{os.getpid()}"
        self._children: list[subprocess.Popen[bytes]] = []
        self._files = LiveFiles("/")
        self._limit_bytes = limit_bytes
        self.path.mkdir()

    def set(self, name: str, value: int) -> None:
        """One of the group's files, such as `memory.swappiness`."""
        (self.path / name).write_text(str(value))

    def limit_with_swap(self, size_bytes: int) -> None:
        """From now on the programs may have so much of memory and swap together."""
        self.set("memory.memsw.limit_in_bytes", size_bytes)

    @property
    def kills(self) -> int:
        """How many the kernel killed in it."""
        return parse_counters((self.path / "memory.oom_control").read_bytes())["oom_kill"]

    @property
    def limit_hits(self) -> int:
        """How often somebody in it had to reclaim first, or failed."""
        return int((self.path / "memory.failcnt").read_text())

    def argv(self, *words: str) -> list[str]:
        """The words of a program that moves into the group before it begins."""
        return ["sh", "-c", f'echo $$ > "{self.path}/cgroup.procs" && exec "$@"', "sh", *words]

    def run(
        self,
        what: Program,
        size_bytes: int = 0,
        step_bytes: int = 0,
        pause_s: float = 0.0,
        path: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts one of the programs in the group, the first to be killed there."""
        figures = [str(size_bytes), str(step_bytes), str(pause_s), str(path)]
        child = subprocess.Popen(self.argv(sys.executable, "-c", _PROGRAM, what, *figures))
        self._children.append(child)
        return child

    @property
    def is_alive(self) -> bool:
        """Whether one of them still runs."""
        return any(child.poll() is None for child in self._children)

    def stop(self) -> None:
        """Ends those that still run."""
        for child in self._children:
            child.kill()
            child.wait()

    def remove(self) -> None:
        """Kills what is left in the group, whoever started it, and takes it away."""
        self.stop()
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            for pid in (self.path / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
            try:
                self.path.rmdir()
                return
            except OSError:  # what it had is being freed
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def dressed(self, sample: Sample) -> Sample:
        """The sample as memtui would take it inside the group."""
        used = int((self.path / "memory.usage_in_bytes").read_text())
        directory = str(self.path).lstrip("/")
        level = Level(f"/{self.path.name}", directory, used, self._limit_bytes)
        group = read_memory_group(self._files, level, 1)
        return sample._replace(
            system=sample.system._replace(confinement=Confinement(1, (level,), group))
        )


@contextlib.contextmanager
def squeeze(
    limit_bytes: int, with_swap_bytes: int | None = None, *, swaps: bool = True
) -> Iterator[Squeeze]:
    """A group of that limit, for memory alone and for memory and swap; gone afterwards.

    `swaps`: it may swap, as far as the machine has any.
    """
    group = Squeeze(limit_bytes)
    try:
        group.set("memory.limit_in_bytes", limit_bytes)
        group.set("memory.swappiness", 100 if swaps else 0)
        if with_swap_bytes is not None:
            group.limit_with_swap(with_swap_bytes)
        yield group
    finally:
        group.remove()


class Clock:
    """Samples of this machine, at an interval, as long as asked for."""

    def __init__(self, interval_s: float) -> None:
        self._sampler = Sampler(LiveFiles("/"))
        self._interval_s = interval_s
        self._due = time.monotonic()

    def samples(self, seconds: float, group: Squeeze) -> Iterator[Sample]:
        """Each with the group's own figures as its confinement."""
        end = self._due + seconds
        while self._due < end - 1e-6:
            time.sleep(max(0.0, self._due - time.monotonic()))
            sample = self._sampler.sample(self._interval_s)
            self._due = max(self._due + self._interval_s, time.monotonic())
            yield group.dressed(sample._replace(processes={}))
