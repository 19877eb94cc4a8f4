"""Memory cgroups that are about to run full, each of another make, and who dies when they do.

    with scenario(SCENARIOS["big swap"], program, directory) as full:
        ...               # nobody has died yet; full.path is the group, full.pids its processes
        full.go()         # one of them asks for more than there is
        full.dead()       # the pids that the kernel took, mostly one

Cgroup v1's memory controller and root are needed; everything is gone after the block.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.squeeze import swap_file

V1: Final = Path("/sys/fs/cgroup/memory")
MIB: Final = 1 << 20
_ROOM: Final = 4 * MIB  # left in the group before the last one asks for more
_MORE: Final = 2 * MIB  # that it asks for beyond it: less than any victim frees
_PATIENCE_S: Final = 60.0


class Member(NamedTuple):
    """A process: its name, what `oomer` takes of which kind, and its oom_score_adj, not below 0.

    `group` is a cgroup inside the one with the limit; `number` how many threads or children.
    """

    name: str
    kind: str
    mebibytes: int
    adj: int = 0
    number: int = 0
    group: str = ""


class Scenario(NamedTuple):
    """Members in the order they start. `dies` is the name of the one the kernel is to take.

    `limit_mebibytes`: the group's, so that some of it goes to the swap file that is made; None: as
    much as they take, and no swap.
    """

    members: tuple[Member, ...]
    dies: str
    limit_mebibytes: int | None = None


SCENARIOS: Final[dict[str, Scenario]] = {
    "big RSS": Scenario((Member("small", "anon", 20), Member("big", "anon", 60)), "big"),
    "big swap": Scenario(
        (Member("asleep", "anon", 80), Member("awake", "anon", 36)), "asleep", limit_mebibytes=50
    ),
    "raised adj": Scenario(
        (Member("raised", "anon", 30, adj=500), Member("larger", "anon", 60)), "raised"
    ),
    "adj too small": Scenario(
        # oom_score puts it first, as a thousandth of the machine is more than one of the group.
        (Member("raised", "anon", 16, adj=200), Member("larger", "anon", 70)),
        "larger",
    ),
    "many small": Scenario(
        (
            *(Member(f"small-{each}", "anon", 10) for each in range(6)),
            Member("less-small", "anon", 12),
            *(Member(f"small-{each}", "anon", 10) for each in range(6, 9)),
        ),
        "less-small",
    ),
    "forked sharers": Scenario(
        # Together they have 40 MiB and a little; each counts all of it.
        (Member("single", "anon", 32), Member("family", "fork", 40, number=3)),
        "family-3",
    ),
    "page tables": Scenario(
        (Member("dense", "anon", 20), Member("sparse", "tables", 40)), "sparse"
    ),
    "shared memory": Scenario(
        (Member("private", "anon", 20), Member("sharing", "shmem", 40)), "sharing"
    ),
    "mapped file": Scenario(
        (Member("private", "anon", 20), Member("mapping", "file", 40)), "mapping"
    ),
    "threads": Scenario(
        (Member("single", "anon", 30), Member("threaded", "threads", 48, number=8)), "threaded"
    ),
    "tiny but adj +900": Scenario(
        (Member("tiny", "anon", 4, adj=900), Member("large", "anon", 60)), "tiny"
    ),
    "groups in the group": Scenario(
        (
            Member("a-one", "anon", 24, group="a"),
            Member("a-two", "anon", 24, group="a"),
            Member("b-one", "anon", 30, group="b"),
        ),
        "b-one",
    ),
}


class Full:
    """A group that lacks only one request to be full. `path` is as /proc/PID/cgroup has it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = "/" + str(directory.relative_to(V1))
        self.processes: list[subprocess.Popen[str]] = []
        self.asks: subprocess.Popen[str] | None = None
        self.pids: frozenset[int] = frozenset()

    def start(self, program: Path, member: Member, scratch: Path) -> subprocess.Popen[str]:
        """One member, which has its memory when this returns."""
        directory = self.directory / member.group
        last = str(scratch / "mapped") if member.kind == "file" else str(member.number)
        process = subprocess.Popen(
            [
                program,
                directory,
                member.name,
                str(member.adj),
                member.kind,
                str(member.mebibytes),
                last,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n", (member.name, process.poll())
        return process

    def members(self) -> frozenset[int]:
        """Who is in the group, and in those in it, and has not ended."""
        found = set()
        for procs in self.directory.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found |= {int(pid) for pid in procs.read_text().split()}
        return frozenset(pid for pid in found if _lives(pid))

    def go(self) -> None:
        """The last member asks for more than the group has left."""
        assert self.asks is not None and self.asks.stdin
        name = "memory.memsw" if self._swaps() else "memory"
        limit, use = (self.number(f"{name}.{each}_in_bytes") for each in ("limit", "usage"))
        self.asks.stdin.write(f"{limit - use + _MORE}\n")
        self.asks.stdin.flush()

    def dead(self) -> frozenset[int]:
        """Who has died since it was full: none while the kernel thinks, later one, at times two.

        While a victim with many page tables, or shared memory, takes its time to go, the kernel may
        take the next one.
        """
        return self.pids - self.members()

    def wait_for(self, pid: int) -> None:
        """Until that one has died."""
        deadline = time.monotonic() + _PATIENCE_S
        while pid not in self.dead():
            assert time.monotonic() < deadline, f"{pid} has not died, but {set(self.dead())}"
            time.sleep(0.002)

    def number(self, name: str) -> int:
        return int((self.directory / name).read_text())

    def limit(self) -> None:
        """Leaves a little room: what they have now, and no more."""
        if self._swaps():
            most = self.number("memory.memsw.usage_in_bytes") + _ROOM
            self._write("memory.memsw.limit_in_bytes", most)
        else:
            self._write("memory.limit_in_bytes", self.number("memory.usage_in_bytes") + _ROOM)

    def prepare(self, limit_mebibytes: int | None) -> None:
        """Without a limit it is not to swap: others may have made swap that would blur the sizes."""
        if limit_mebibytes is None:
            self._write("memory.swappiness", 0)
        else:
            self._write("memory.swappiness", 100)
            self._write("memory.limit_in_bytes", limit_mebibytes * MIB)

    def clean(self) -> None:
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
        deadline = time.monotonic() + _PATIENCE_S
        groups = [self.directory, *(each for each in self.directory.iterdir() if each.is_dir())]
        for group in reversed(groups):
            while group.exists():
                try:
                    group.rmdir()
                except OSError:  # busy until the last one is gone
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)

    def _swaps(self) -> bool:
        return self.number("memory.swappiness") != 0

    def _write(self, name: str, value: int) -> None:
        (self.directory / name).write_text(str(value))


@contextmanager
def scenario(made: Scenario, program: Path, scratch: Path) -> Iterator[Full]:
    """Starts the members up to just before the kill. `program` is `oomer`, compiled."""
    if os.geteuid() != 0 or not (V1 / "memory.limit_in_bytes").exists():
        pytest.skip("needs root and cgroup v1's memory controller")
    directory = V1 / f"memtui-oom-{os.getpid()}"
    directory.mkdir()
    full = Full(directory)
    try:
        with contextlib.ExitStack() as stack:
            for name in {member.group for member in made.members} - {""}:
                (directory / name).mkdir()
                (directory / name / "memory.swappiness").write_text("0")
            if made.limit_mebibytes is not None:
                stack.enter_context(swap_file(scratch, 192 * MIB))
            full.prepare(made.limit_mebibytes)
            for member in made.members:
                full.start(program, member, scratch)
            full.asks = full.start(program, Member("asks", "anon", 0), scratch)
            full.limit()
            full.pids = full.members()
            try:
                yield full
            finally:
                full.clean()
    finally:
        if directory.exists():
            full.clean()


def _lives(pid: int) -> bool:
    """Whether any of its threads does: with them it has its memory, also where the first has ended."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text(errors="replace").rpartition(") ")[2][0] not in "ZX":
                return True
    return False
