"""Reads what a recording keeps at each tick: a sample with all that views show, and in turn, of each
process, the files that reports want besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from heapq import nlargest
from typing import Final, NamedTuple

from memtui.kernel.files import Files
from memtui.kernel.hidden import read_hidden
from memtui.kernel.process import parse_cmdline
from memtui.live.clock import Clock, SystemClock
from memtui.live.deathsigns import DeathSigns
from memtui.live.machine import machine_of
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS
from memtui.live.sampler import Sampler
from memtui.model.keys import ProcessKey
from memtui.model.sample import ProcessSample, Sample
from memtui.recording.noted import NotedFiles

# How often a field is read, in ticks: at each what is cheap and figures are made of.
_SELDOM: Final = {
    10: frozenset({"cgroups", "ksm", "huge_pools", "nodes", "thp", "settings", "zswap", "zrams"}),
    60: frozenset({"slabs", "allocations"}),
}
_ALWAYS: Final = FIELDS - frozenset[str]().union(*_SELDOM.values())
# What the Sampler does not read of a process is read once in so many ticks; all when it is new.
_ROUND: Final = 60
_NEW_AT_MOST: Final = 200  # a tick
_PROCESS_FILES: Final = ("cmdline", "cgroup", "oom_score_adj")
_SAMPLED_FILES: Final = ("status", "stat", "oom_score")
# What reports read of the machine besides samples, in ticks.
_MACHINE_FILES: Final = {
    1: ("proc/uptime",),
    10: ("proc/pressure/io", "proc/pressure/cpu", "proc/pressure/irq"),
    60: (
        *("proc/stat", "proc/self/status", "proc/self/stat", "proc/self/mountinfo"),
        *("proc/sys/kernel/yama/ptrace_scope", "proc/sys/kernel/randomize_va_space"),
        *(
            "proc/sysvipc/shm",
            "proc/pagetypeinfo",
            "proc/sys/kernel/hostname",
            "proc/sys/kernel/osrelease",
        ),
    ),
}


class MapsWanted(NamedTuple):
    """Whose address spaces are kept: processes by pid or name, and the `largest` so many, every so
    many ticks."""

    processes: tuple[str, ...] = ()
    largest: int = 0
    every: int = 60


NO_MAPS: Final = MapsWanted()


class Collector:
    """For one thread. `files` has, after each tick, what is known, and what changed in it."""

    def __init__(
        self,
        files: Files,
        maps: MapsWanted = NO_MAPS,
        *,
        commands: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.files = NotedFiles(files, commands=commands)
        self.machine = machine_of(files)
        self.files.page_bytes = self.machine.page_bytes
        read_hidden(self.files)
        self._maps = maps
        self._sampler = Sampler(self.files, clock or SystemClock())
        self._sampler.prepare()
        self._signs = DeathSigns(self.files, self.machine.page_bytes)
        self._seen: Set[ProcessKey] = frozenset()
        self._ticks = 0

    def tick(self, interval_s: float, skipped: int = 0) -> Sample:
        """One look at the machine. Never raises."""
        fields = _ALWAYS.union(
            *(names for every, names in _SELDOM.items() if self._ticks % every == 0)
        )
        sample = self._sampler.sample(interval_s, Plan(fields=fields), skipped)
        sample = sample._replace(signs=self._signs.read(sample))
        for every, names in _MACHINE_FILES.items():
            if self._ticks % every == 0:
                for name in names:
                    self.files.read(name)
        self._read_processes(sample)
        if self._ticks % self._maps.every == 0:
            self._read_maps(sample.processes.values())
        self._ticks += 1
        return sample

    def close(self) -> None:
        self._sampler.close()
        self._signs.close()

    def _read_processes(self, sample: Sample) -> None:
        """Those whose turn it is, and new ones."""
        turn = self._ticks % _ROUND
        new = sorted(sample.processes.keys() - self._seen)
        if self._ticks:
            new = new[:_NEW_AT_MOST]
        for key in new:
            for name in (*_PROCESS_FILES, *_SAMPLED_FILES):
                self.files.read(f"proc/{key.pid}/{name}")
        for pid in [key.pid for key in sample.processes if key.pid % _ROUND == turn]:
            for name in _PROCESS_FILES:
                self.files.read(f"proc/{pid}/{name}")
        self._seen = (self._seen & sample.processes.keys()) | set(new)

    def _read_maps(self, processes: Iterable[ProcessSample]) -> None:
        everyone = [each for each in processes if not each.is_kernel_thread]
        wanted = {
            each.pid: each
            for each in nlargest(self._maps.largest, everyone, key=lambda each: each.rss_bytes or 0)
        }
        for text in self._maps.processes:
            wanted.update((each.pid, each) for each in everyone if self._is_meant(text, each))
        for pid in wanted:
            for name in ("smaps", "smaps_rollup"):
                for _ in self.files.pieces(f"proc/{pid}/{name}"):
                    pass

    def _is_meant(self, text: str, process: ProcessSample) -> bool:
        """By its pid, its name, or that of its program, which comm cuts after 15 bytes."""
        if text in (str(process.pid), process.name):
            return True
        data = self.files.contents.get(f"proc/{process.pid}/cmdline", b"")
        program = parse_cmdline(data.partition(b"\0")[0])
        return bool(program) and program.rpartition("/")[2] == text
