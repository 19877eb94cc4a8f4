"""Reads what tells of deaths, beside each sample: the kernel's log, counts of kills, and, before
they die, who the likely victims are.

Cost of a tick: 5 µs for a silent log, 0.3 ms for the memories; without a log the groups' counts once a
minute and after each kill.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Set
from heapq import nlargest
from typing import Final

from memtui.frozen import FrozenDict
from memtui.kernel.cgroups import read_kill_counts
from memtui.kernel.deaths import Death, DeathReader
from memtui.kernel.files import Files, Gap, defect_gap
from memtui.kernel.kmsg import SOURCE, KernelLog
from memtui.kernel.oom import read_oom_domain, read_oom_task
from memtui.kernel.process import parse_cmdline
from memtui.kernel.threads import living
from memtui.model.keys import ProcessKey
from memtui.model.oom.ranking import group_scope
from memtui.model.sample import ProcessSample, Sample
from memtui.model.signs import Remembered, Signs

_RECORDS_AT_ONCE: Final = 2000
_LARGEST: Final = 64
_FIRST_TO_DIE: Final = 32
_RANKED_EVERY: Final = 30  # ticks, at most
_LIKELY_AT_MOST: Final = 200
_REFRESHED: Final = 2  # a tick, of those that are known
_COMMAND_BYTES: Final = 4096
_GROUPS_AT_MOST: Final = 1000
_COUNTED_EVERY_S: Final = 60.0


class DeathSigns:
    """For the sampling thread alone. Never waits: what sleeps in the kernel is not asked."""

    def __init__(self, files: Files, page_bytes: int) -> None:
        self._files = files
        self._page_bytes = page_bytes
        self._log = KernelLog(files, only_new=True)
        self._reader = DeathReader()
        self._gap: Gap | None = None
        self._known: dict[ProcessKey, Remembered] = {}
        self._ranked_in = 0
        self._least_bytes = self._least_score = -1
        self._handed_on: Mapping[ProcessKey, Remembered] = FrozenDict()
        self._kills: Mapping[str, int] = FrozenDict()
        self._count: int | None = None  # the machine's, when the groups' were read
        self._counted_s: float | None = None

    def read(self, sample: Sample, visible: Set[ProcessKey] = frozenset()) -> Signs:
        """What came since the last time; call it with each sample, in their order. Never raises."""
        try:
            return self._read_signs(sample, visible)
        except Exception as error:
            self._gap = defect_gap(SOURCE, error)
            return Signs((), self._gap, self._kills, FrozenDict(), self._handed_on)

    def _read_signs(self, sample: Sample, visible: Set[ProcessKey]) -> Signs:
        deaths = self._deaths()
        totals = self._count_kills(sample) if self._gap is not None else FrozenDict[str, int]()
        self._remember(sample.processes, visible)
        suspended_s = 0.0
        if self._files.is_live:
            suspended_s = sample.time_s - time.clock_gettime(time.CLOCK_MONOTONIC)
        return Signs(deaths, self._gap, self._kills, totals, self._handed_on, max(0.0, suspended_s))

    def _deaths(self) -> tuple[Death, ...]:
        if self._gap is not None:
            return ()
        part = self._log.read(_RECORDS_AT_ONCE)
        if isinstance(part, Gap):
            self._gap = part
            return ()
        return tuple(self._reader.read(part.records))

    def _count_kills(self, sample: Sample) -> Mapping[str, int]:
        """Brings the groups' counts up to date; the pages of the groups whose count grew."""
        vmstat, meminfo = sample.system.vmstat, sample.system.meminfo
        count = None if isinstance(vmstat, Gap) else vmstat.get("oom_kill")
        due = self._counted_s is None or sample.time_s - self._counted_s >= _COUNTED_EVERY_S
        if count == self._count and not due:
            return FrozenDict()
        self._count, self._counted_s = count, sample.time_s
        before = self._kills
        self._kills = read_kill_counts(self._files, _GROUPS_AT_MOST)
        grown = [path for path, kills in self._kills.items() if kills > before.get(path, kills)]
        totals: dict[str, int] = {}
        for path in grown:
            domain = read_oom_domain(self._files, path)
            if not isinstance(domain, Gap) and not isinstance(meminfo, Gap):
                scope = group_scope(domain, meminfo, self._page_bytes)
                if scope is not None:
                    totals[path] = scope.total_pages
        return FrozenDict(totals)

    def _remember(
        self, processes: Mapping[ProcessKey, ProcessSample], visible: Set[ProcessKey]
    ) -> None:
        """Reads those that are new among the likely ones, and a few of the others again."""
        likely = self._likely(processes)
        likely.update(key for key in visible if key in processes)
        known = self._known
        changed = False
        for key in [key for key in known if key not in processes]:
            del known[key]
            changed = True
        due = [
            key for key in likely if key not in known or known[key].task.name != processes[key].name
        ]
        due += [key for key in list(known)[:_REFRESHED] if key not in due]
        for key in due:
            before = known.pop(key, None)
            now = self._look(key, before)
            if now is not None and (key in likely or before is None):
                known[key] = now
            changed = changed or now != before
        if changed:
            self._handed_on = FrozenDict(known)

    def _likely(self, processes: Mapping[ProcessKey, ProcessSample]) -> set[ProcessKey]:
        """The largest and those with the most points. To rank a thousand takes a millisecond: mostly
        those are looked for that are above the last ones of an earlier ranking."""
        self._ranked_in -= 1
        if self._ranked_in > 0:
            least, score = self._least_bytes, self._least_score
            likely = {
                each.key
                for each in processes.values()
                if (each.rss_bytes or 0) > least or (each.oom_score or 0) > score
            }
            if len(likely) <= _LIKELY_AT_MOST:
                return likely
        mortal = [each for each in processes.values() if not each.is_kernel_thread]
        largest = nlargest(_LARGEST, mortal, key=_size)
        first = nlargest(_FIRST_TO_DIE, mortal, key=_score)
        self._ranked_in = _RANKED_EVERY
        self._least_bytes = largest[-1].rss_bytes or 0 if len(largest) == _LARGEST else -1
        self._least_score = _score(first[-1]) if len(first) == _FIRST_TO_DIE else -1
        return {each.key for each in (*largest, *first)}

    def _look(self, key: ProcessKey, before: Remembered | None) -> Remembered | None:
        task = read_oom_task(self._files, key.pid, groups=True)
        if isinstance(task, Gap) or task.start_time_ticks != key.start_time_ticks:
            return None
        if before is not None and task.rss_bytes is None:
            # With v1 one that exits goes back to the root group, which it did not die in.
            task = task._replace(group=before.task.group)
        command = before.command if before is not None else None
        # Of one that sleeps in the kernel it may hold the lock that its command line needs.
        if (before is None or command is None or before.task.name != task.name) and (
            task.state not in "DZX"
        ):
            directory = living(self._files, key.pid)
            data = self._files.read_at(f"{directory}/cmdline", 0, _COMMAND_BYTES)
            command = None if isinstance(data, Gap) else parse_cmdline(data)
        if before is not None and before == (task, command):
            return before
        return Remembered(task, command)

    def close(self) -> None:
        self._log.close()


def _size(process: ProcessSample) -> int:
    return (process.rss_bytes or 0) + (process.swap_bytes or 0)


def _score(process: ProcessSample) -> int:
    return process.oom_score or 0
