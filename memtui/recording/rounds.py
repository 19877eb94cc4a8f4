"""What is read beside samples for the past: files that views and reports ask for when they are asked,
each process's in its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Final

from memtui.kernel.files import Files
from memtui.model.keys import ProcessKey
from memtui.model.sample import Sample

# What the Sampler does not read of a process is read once in so many ticks; all when it is new.
_ROUND: Final = 60
_NEW_AT_MOST: Final = 200  # a tick
_PROCESS_FILES: Final = ("cmdline", "cgroup", "oom_score_adj")
SAMPLED_FILES: Final = ("status", "stat", "oom_score")
# What reports read of the machine besides samples, in ticks.
MACHINE_FILES: Final = {
    1: ("proc/uptime",),
    10: ("proc/pressure/io", "proc/pressure/cpu", "proc/pressure/irq"),
    60: (
        *("proc/stat", "proc/self/status", "proc/self/stat", "proc/self/mountinfo"),
        *("proc/sys/kernel/yama/ptrace_scope", "proc/sys/kernel/randomize_va_space"),
        *("proc/sysvipc/shm", "proc/sys/kernel/hostname", "proc/sys/kernel/osrelease"),
    ),
}


class Rounds:
    """For one thread, that of the files. `new_at_most` processes are read in full a tick, but for the
    first, where all are without it."""

    def __init__(
        self,
        files: Files,
        machine_files: Mapping[int, Iterable[str]] = MACHINE_FILES,
        new_at_most: int | None = None,
        *,
        of_new: tuple[str, ...] = SAMPLED_FILES,
    ) -> None:
        """`of_new`: what is read of a new process beside what is read of all in turn."""
        self._files = files
        self._machine_files = machine_files
        self._new_at_most = new_at_most
        self._of_new = of_new
        self._seen: Set[ProcessKey] = frozenset()
        self._ticks = 0

    def read(self, sample: Sample) -> None:
        """What is due beside that sample."""
        for every, names in self._machine_files.items():
            if self._ticks % every == 0:
                for name in names:
                    self._files.read(name)
        turn = self._ticks % _ROUND
        new = sorted(sample.processes.keys() - self._seen)
        if self._ticks or self._new_at_most is not None:
            new = new[: self._new_at_most or _NEW_AT_MOST]
        for key in new:
            for name in (*_PROCESS_FILES, *self._of_new):
                self._files.read(f"proc/{key.pid}/{name}")
        for pid in [key.pid for key in sample.processes if key.pid % _ROUND == turn]:
            for name in _PROCESS_FILES:
                self._files.read(f"proc/{pid}/{name}")
        self._seen = (self._seen & sample.processes.keys()) | set(new)
        self._ticks += 1
