"""Reads what a recording keeps at each tick: a sample with all that views show, and in turn, of each
process, the files that reports want besides.
"""

from __future__ import annotations

from collections.abc import Iterable
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
from memtui.model.sample import ProcessSample, Sample
from memtui.recording.noted import NotedFiles
from memtui.recording.rounds import MACHINE_FILES, Rounds

# How often a field is read, in ticks: at each what is cheap and figures are made of.
_SELDOM: Final = {
    10: frozenset({"cgroups", "ksm", "huge_pools", "nodes", "thp", "settings", "zswap", "zrams"}),
    60: frozenset({"slabs", "allocations"}),
}
_ALWAYS: Final = FIELDS - frozenset[str]().union(*_SELDOM.values())
# Too dear for the dashboard's own past.
_MACHINE_FILES: Final = {**MACHINE_FILES, 60: (*MACHINE_FILES[60], "proc/pagetypeinfo")}


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
        self._rounds = Rounds(self.files, _MACHINE_FILES)
        self._clock = clock or SystemClock()
        self._ticks = 0
        # Whose maps are wanted, of those of which there was no process at the last look.
        self.lacking: tuple[str, ...] = ()

    def tick(self, interval_s: float, skipped: int = 0) -> Sample:
        """One look at the machine. Never raises."""
        fields = _ALWAYS.union(
            *(names for every, names in _SELDOM.items() if self._ticks % every == 0)
        )
        sample = self._sampler.sample(interval_s, Plan(fields=fields), skipped)
        sample = sample._replace(signs=self._signs.read(sample))
        self._rounds.read(sample)
        if self._ticks % self._maps.every == 0:
            self._read_maps(sample.processes.values())
        self._ticks += 1
        return sample

    def close(self) -> None:
        self._sampler.close()
        self._signs.close()

    def _read_maps(self, processes: Iterable[ProcessSample]) -> None:
        everyone = [each for each in processes if not each.is_kernel_thread]
        wanted = {
            each.pid: each
            for each in nlargest(self._maps.largest, everyone, key=lambda each: each.rss_bytes or 0)
        }
        lacking = []
        for text in self._maps.processes:
            meant = [each for each in everyone if self._is_meant(text, each)]
            wanted.update((each.pid, each) for each in meant)
            lacking += [] if meant else [text]
        self.lacking = tuple(lacking)
        for pid in wanted:
            for name in ("smaps", "smaps_rollup"):
                for _ in self.files.pieces(f"proc/{pid}/{name}"):
                    pass
                self.files.note_read(f"proc/{pid}/{name}", self._clock.boot_s())

    def _is_meant(self, text: str, process: ProcessSample) -> bool:
        """By its pid, its name, or that of its program, which comm cuts after 15 bytes."""
        if text in (str(process.pid), process.name):
            return True
        data = self.files.contents.get(f"proc/{process.pid}/cmdline", b"")
        program = parse_cmdline(data.partition(b"\0")[0])
        return bool(program) and program.rpartition("/")[2] == text
