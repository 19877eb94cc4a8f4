"""Memory pressure made for real: a control group with a limit, a swap file, and a program in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from memtui.kernel.cgroups import Confinement, Level, read_memory_group
from memtui.kernel.files import KernelFiles
from memtui.model.sample import Sample
from memtui.sampling import Sampler

MIB = 1 << 20
HIERARCHY = Path("/sys/fs/cgroup/memory")

# Takes memory step by step and reads all of it between two steps, or reads a file again and again.
_PROGRAM = """
import mmap, os, sys, time
what, size, step, pause = sys.argv[1], *map(float, sys.argv[2:5])
if what == "files":
    while True:
        with open(sys.argv[5], "rb", buffering=0) as file:
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
        for at in range(taken, min(size, taken + step), len(noise)):
            memory[at : at + len(noise)] = noise
        taken = min(size, taken + step)
    end = time.monotonic() + pause
    while True:
        sum(pages[:taken:4096])
        if time.monotonic() >= end:
            break
"""


def missing() -> str | None:
    """Why no squeeze can be made here; None: it can."""
    if os.geteuid() != 0:
        return "not root"
    if not (HIERARCHY / "memory.memsw.limit_in_bytes").exists():
        return "no cgroup v1 with a limit of memory and swap"
    if not all(map(shutil.which, ("fallocate", "mkswap", "swapon", "swapoff"))):
        return "no swap tools"
    return None


def require() -> None:
    """Skips the test where no squeeze can be made."""
    if (reason := missing()) is not None:
        pytest.skip(reason)


@contextlib.contextmanager
def swap_file(directory: Path, size_bytes: int) -> Iterator[Path]:
    """A swap file in use, gone afterwards."""
    path = directory / f"memtui-{os.getpid()}.swap"
    used = False
    try:
        path.touch(0o600)
        for command in (["fallocate", "-l", str(size_bytes)], ["mkswap"], ["swapon"]):
            subprocess.run([*command, str(path)], check=True, capture_output=True)
        used = True
        yield path
    finally:
        if used:
            subprocess.run(["swapoff", str(path)], check=True)
        path.unlink(missing_ok=True)


class Squeeze:
    """A control group with a limit, and at most one program in it."""

    def __init__(self, limit_bytes: int, with_swap_bytes: int | None) -> None:
        self._group = HIERARCHY / f"memtui-squeeze-{os.getpid()}"
        self._group.mkdir()
        self._child: subprocess.Popen[bytes] | None = None
        self._files = KernelFiles("/")
        self._limit_bytes = limit_bytes
        self._set("memory.limit_in_bytes", limit_bytes)
        self._set("memory.swappiness", 100)
        if with_swap_bytes is not None:
            self._set("memory.memsw.limit_in_bytes", with_swap_bytes)

    def _set(self, name: str, value: int) -> None:
        (self._group / name).write_text(str(value))

    def limit_with_swap(self, size_bytes: int) -> None:
        """From now on the program may have so much of memory and swap together."""
        self._set("memory.memsw.limit_in_bytes", size_bytes)

    def run(
        self,
        what: Literal["memory", "files"],
        size_bytes: int = 0,
        step_bytes: int = 0,
        pause_s: float = 0.0,
        path: Path | None = None,
    ) -> None:
        """Starts the program in the group."""
        enter = f'echo $$ > {self._group}/cgroup.procs && exec "$@"'
        arguments = [what, str(size_bytes), str(step_bytes), str(pause_s), str(path)]
        self._child = subprocess.Popen(
            ["sh", "-c", enter, "sh", sys.executable, "-c", _PROGRAM, *arguments]
        )

    @property
    def is_alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def stop(self) -> None:
        """Ends the program, if it still runs."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def remove(self) -> None:
        self.stop()
        for _ in range(50):
            with contextlib.suppress(OSError):  # what it had is being freed
                self._group.rmdir()
                return
            time.sleep(0.1)
        self._group.rmdir()

    def dressed(self, sample: Sample) -> Sample:
        """The sample as memtui would take it inside the group."""
        used = int((self._group / "memory.usage_in_bytes").read_text())
        directory = str(self._group).lstrip("/")
        level = Level(f"/{self._group.name}", directory, used, self._limit_bytes)
        group = read_memory_group(self._files, level, 1)
        return sample._replace(
            system=sample.system._replace(confinement=Confinement(1, (level,), group))
        )


@contextlib.contextmanager
def squeeze(limit_bytes: int, with_swap_bytes: int | None = None) -> Iterator[Squeeze]:
    """A group of that limit, for memory alone and for memory and swap; gone afterwards."""
    group = Squeeze(limit_bytes, with_swap_bytes)
    try:
        yield group
    finally:
        group.remove()


class Clock:
    """Samples of this machine, at an interval, as long as asked for."""

    def __init__(self, interval_s: float) -> None:
        self._sampler = Sampler(KernelFiles("/"))
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
