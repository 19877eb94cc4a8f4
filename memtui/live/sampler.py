"""Takes samples: the machine's own files, and every process as cheaply as it can."""

from __future__ import annotations

from collections.abc import Callable
from heapq import nlargest
from typing import TYPE_CHECKING, Final, TypeVar

from memtui.frozen import FrozenDict
from memtui.kernel.cgroups import Confinement, parse_cgroup, read_confinement
from memtui.kernel.details import DETAIL_FILES, Details, read_details
from memtui.kernel.files import Files, Gap, Kept, defect_gap, parsed
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import parse_pressure
from memtui.kernel.process import (
    Extent,
    Identity,
    parse_extent,
    parse_identity,
    parse_int,
    read_identity,
    status_bytes,
    status_value,
)
from memtui.kernel.threads import living
from memtui.kernel.vmstat import parse_vmstat
from memtui.live.budget import Budget
from memtui.live.clock import Clock, SystemClock
from memtui.live.machine import page_bytes_of
from memtui.live.plan import Plan
from memtui.model.keys import ProcessKey
from memtui.model.sample import ProcessSample, Sample, SystemSample

if TYPE_CHECKING:
    from memtui.live.readers import Readers

T = TypeVar("T")

# Processes whose details (name, swap, OOM score) are read again although nobody looks at them and
# nothing about them changed: each once in this many ticks.
_ROTATION: Final = 30
# Details of the largest are wanted in the first picture, before anyone could say what is visible.
_FIRST_DETAILS: Final = 64
_CHANGED_AT_MOST: Final = 200  # a tick, of processes that changed while nobody looks at them

# Read anyhow; the plan says how much of it.
_ALWAYS: Final = frozenset({"confinement", "members"})

# New processes are looked at in full by so many a tick, where every detail is wanted.
_UNSEEN_AT_MOST: Final = 400


class _Process:
    """What is remembered of a process between two ticks."""

    __slots__ = ("data", "details", "directory", "file", "sample")

    def __init__(self, directory: str, file: Kept | None) -> None:
        self.directory = directory  # that of a living thread
        self.file = file
        self.data = b""
        self.sample: ProcessSample | None = None
        self.details: Details | None = None


class Sampler:
    """Takes one sample at a time, as cheaply as it can: descriptors kept, nothing parsed twice."""

    def __init__(
        self,
        files: Files,
        clock: Clock | None = None,
        budget: Budget | None = None,
        *,
        reads_all: bool = False,
    ) -> None:
        """`reads_all`: every process's details at every tick, where reading costs nothing."""
        self._files = files
        self._clock = clock or SystemClock()
        self.budget = budget or Budget(self._clock)
        self._page_bytes = page_bytes_of(files)
        self._reads_all = reads_all
        self._kept: dict[int, _Process] = {}
        self._sources: dict[str, Kept] = {}
        self._parsed: dict[str, tuple[bytes, object]] = {}
        self._readers: Readers | None = None
        self._defects: list[Gap] = []
        self.ticks = 0

    def prepare(self) -> None:
        """Imports what reads the fields that a plan names, on the thread of who is about to plan."""
        if self._readers is None:
            from memtui.live.readers import Readers

            self._readers = Readers(self._files, self.budget, self._clock)

    def sample(self, interval_s: float = 1.0, plan: Plan | None = None, skipped: int = 0) -> Sample:
        """The machine and every process now. Never raises: what cannot be read is a Gap or None."""
        plan = plan or Plan()
        if plan.fields:
            self.prepare()
        return self._finish(interval_s, self._processes(plan), skipped, plan)

    def first(
        self, interval_s: float, pid: int | None = None, most: int = _FIRST_DETAILS
    ) -> Sample:
        """A quick first sample: of the processes only `most`, the largest, and that with `pid`.

        Who a process is stands in another file than its size, and no screen shows a thousand.
        """
        sizes: list[tuple[int, int]] = []
        for each in self._files.pids():
            data = self._statm(self._keep(each))
            extent = data if isinstance(data, Gap) else self._extent(data)
            if not isinstance(extent, Gap):
                sizes.append((extent.rss_bytes or 0, each))
        shown = {each for _, each in nlargest(most, sizes)}
        if pid is not None and pid in self._kept:
            shown.add(pid)
        shown = {each for each in shown if self._read_statm(each, [])}
        return self._finish(interval_s, shown, 0, Plan())

    def close(self) -> None:
        """Gives all descriptors back."""
        for kept in self._kept.values():
            if kept.file:
                kept.file.close()
        for file in self._sources.values():
            file.close()
        self._kept.clear()
        self._sources.clear()

    def _source(self, name: str, parse: Callable[[bytes], T]) -> T | Gap:
        """One of the machine's own files; a defect in reading it costs this source alone."""
        try:
            return self._read_source(name, parse)
        except Exception as error:
            return defect_gap(name, error)

    def _read_source(self, name: str, parse: Callable[[bytes], T]) -> T | Gap:
        """The same bytes as last time are not parsed again."""
        file = self._sources.get(name) or self._files.keep(name)
        if isinstance(file, Gap):
            data = self._files.read(name)  # and asked for again at the next tick: it may come
        else:
            self._sources[name] = file
            data = file.read()
        if isinstance(data, Gap):
            if data.reason == "gone":
                self._sources.pop(name, None)
            return data
        last = self._parsed.get(name)
        if last is not None and last[0] == data:
            return last[1]  # type: ignore[return-value]
        value = parsed(name, data, parse)
        self._parsed[name] = (data, value)
        return value

    def _system(self, plan: Plan, interval_s: float = 1.0) -> SystemSample:
        """The machine's own files: those that are always read, and what the plan wants besides."""
        return SystemSample(
            self._source("proc/meminfo", parse_meminfo),
            self._source("proc/vmstat", parse_vmstat),
            self._source("proc/pressure/memory", parse_pressure),
            self._confinement("confinement" in plan.fields, "members" in plan.fields),
            **self._readers.read(plan.fields - _ALWAYS, interval_s) if self._readers else {},
        )

    def _confinement(self, always: bool, members: bool) -> Confinement | Gap | None:
        memberships = self._source("proc/self/cgroup", parse_cgroup)
        if isinstance(memberships, Gap):
            return memberships
        try:
            return read_confinement(self._files, memberships, always=always, members=members)
        except Exception as error:
            return defect_gap("proc/self/cgroup", error)

    def _finish(self, interval_s: float, detailed: set[int], skipped: int, plan: Plan) -> Sample:
        """Reads the machine's own files and the details of some processes, and counts the tick."""
        now = self._clock.boot_s()
        system = self._system(plan, interval_s)
        for pid in detailed:
            kept = self._kept[pid]
            if kept.sample is not None:
                try:
                    self._read_details(kept, kept.sample, now, plan)
                except Exception as error:
                    self._defects.append(defect_gap(f"proc/{pid}", error))
        self.ticks += 1
        known = self._kept.values()
        processes = FrozenDict(
            {kept.sample.key: kept.sample for kept in known if kept.sample is not None}
        )
        gaps = tuple(self._defects)
        self._defects.clear()
        sample = Sample(now, interval_s, system, processes, skipped, gaps=gaps)
        if plan.details is None:
            return sample
        details = {each.sample.key: each.details for each in known if each.sample and each.details}
        return sample._replace(details=FrozenDict(details))

    def _processes(self, plan: Plan) -> set[int]:
        """Brings every process's sizes up to date; those whose details are due."""
        pids = self._files.pids()
        for pid in self._kept.keys() - set(pids):
            self._forget(pid)
        due: list[int] = []  # changed while nobody looks
        for pid in pids:
            try:
                self._read_statm(pid, due)
            except Exception as error:
                self._defects.append(defect_gap(f"proc/{pid}", error))
        if self._reads_all:
            return set(self._kept)
        if self.ticks == 0:
            sizes = (
                (kept.sample.rss_bytes or 0, pid) for pid, kept in self._kept.items() if kept.sample
            )
            return {pid for _, pid in nlargest(_FIRST_DETAILS, sizes)}
        # Sorted by what only details tell: no row is more than a few ticks behind.
        rotation = _ROTATION // 6 if plan.every_detail else _ROTATION
        turn = self.ticks % rotation
        wanted = set(due[:_CHANGED_AT_MOST])
        wanted.update(key.pid for key in plan.visible)
        if plan.map_of is not None:
            wanted.add(plan.map_of.pid)
        wanted.update(pid for pid in pids if pid % rotation == turn)
        if plan.details is not None and plan.every_detail:
            unseen = [pid for pid, kept in self._kept.items() if kept.details is None]
            wanted.update(unseen[:_UNSEEN_AT_MOST])
        return wanted & self._kept.keys()

    def _read_statm(self, pid: int, due: list[int]) -> bool:
        """Brings a process's sizes up to date; whether it is (still) there."""
        kept = self._kept.get(pid)
        if kept is None:
            kept = self._keep(pid)
        data = self._statm(kept)
        if isinstance(data, Gap) and data.reason in ("gone", "absent") and kept.sample is not None:
            # It died, or its thread did; its pid may have come back as another process since.
            self._forget(pid)
            kept = self._keep(pid)
            data = self._statm(kept)
        if isinstance(data, Gap):
            self._forget(pid)
            return False
        before = kept.sample
        if before is not None and data == kept.data:
            return True
        stat: Identity | None = None
        if before is None:
            first = read_identity(self._files, pid)
            if isinstance(first, Gap):
                self._forget(pid)
                return False
            stat = first
        if data.startswith(b"0 ") and self._turn_to_the_living(pid, kept, stat):
            data = self._statm(kept)
        sizes = data if isinstance(data, Gap) else self._extent(data)
        if isinstance(data, Gap) or isinstance(sizes, Gap):
            self._forget(pid)
            return False
        kept.data = data
        if sizes.size_bytes is None or sizes.rss_bytes is None:
            sizes = self._extent_of_status(kept, sizes)
        if stat is not None:
            key = ProcessKey(pid, stat.starttime)
            kept.sample = ProcessSample(
                key,
                stat.comm,
                self._state(kept, stat),
                stat.is_kernel_thread,
                *sizes,
                stat.num_threads,
                stat.ppid,
            )
            if self.ticks:
                due.append(pid)
        elif before is not None:
            kept.sample = ProcessSample(
                before.key,
                before.name,
                before.state,
                before.is_kernel_thread,
                *sizes,
                before.threads,
                before.parent_pid,
                before.uid,
                before.swap_bytes,
                before.oom_score,
            )
            due.append(pid)
        return True

    def _extent_of_status(self, kept: _Process, sizes: Extent) -> Extent:
        """From status, which is dearer, where statm's cannot be."""
        status = self._files.read(f"{kept.directory}/status")
        found = b"" if isinstance(status, Gap) else status
        return sizes._replace(
            size_bytes=status_bytes(found, b"VmSize"), rss_bytes=status_bytes(found, b"VmRSS")
        )

    def _read_details(self, kept: _Process, sample: ProcessSample, now: float, plan: Plan) -> None:
        """Brings up to date what a process's statm does not tell."""
        pid = sample.pid
        stat = read_identity(self._files, pid)
        if isinstance(stat, Gap):
            return
        swap, uid = sample.swap_bytes, sample.uid
        status = self._files.read(f"{kept.directory}/status")
        if not isinstance(status, Gap):
            swap = status_bytes(status, b"VmSwap")
            uids = (status_value(status, b"Uid") or b"").split()
            uid = int(uids[1]) if len(uids) > 1 and uids[1].isdigit() else None
            if plan.details is not None and (
                plan.every_detail or sample.key in plan.visible or sample.key == plan.map_of
            ):
                wanted = DETAIL_FILES if sample.key == plan.map_of else plan.details
                kept.details = read_details(self._files, kept.directory, now, stat, status, wanted)
        score = self._files.parsed(f"proc/{pid}/oom_score", parse_int)
        detailed = ProcessSample(
            # Without a kept descriptor a reused pid shows itself here.
            ProcessKey(pid, stat.starttime),
            stat.comm,
            self._state(kept, stat),
            stat.is_kernel_thread,
            sample.size_bytes,
            sample.rss_bytes,
            sample.shared_bytes,
            stat.num_threads,
            stat.ppid,
            uid,
            swap,
            None if isinstance(score, Gap) else score,
        )
        if detailed != sample:
            kept.sample = detailed

    def _keep(self, pid: int) -> _Process:
        directory = f"proc/{pid}"
        kept = self._kept[pid] = _Process(directory, self._keep_statm(directory))
        return kept

    def _keep_statm(self, directory: str) -> Kept | None:
        file = self._files.keep(f"{directory}/statm")
        return None if isinstance(file, Gap) else file

    def _statm(self, kept: _Process) -> bytes | Gap:
        """What tells of its size: in a capture without statm that is status."""
        if kept.file:
            return kept.file.read_record()
        data = self._files.read(f"{kept.directory}/statm")
        if isinstance(data, Gap) and data.reason == "absent":
            return self._files.read(f"{kept.directory}/status")
        return data

    def _extent(self, data: bytes) -> Extent | Gap:
        return parsed("statm", data, lambda data: parse_extent(data, self._page_bytes))

    def _turn_to_the_living(self, pid: int, kept: _Process, stat: Identity | None) -> bool:
        """From now on reads what a living thread tells, if it is another's than so far."""
        directory = living(self._files, pid, stat)
        if directory == kept.directory:
            return False
        if kept.file:
            kept.file.close()
        kept.directory, kept.file = directory, self._keep_statm(directory)
        return True

    def _state(self, kept: _Process, stat: Identity) -> str:
        """A process's state: where its first thread has ended, that of one that lives."""
        if not stat.has_lost_its_leader:
            return stat.state
        thread = self._files.parsed(f"{kept.directory}/stat", parse_identity)
        return stat.state if isinstance(thread, Gap) else thread.state

    def _forget(self, pid: int) -> None:
        kept = self._kept.pop(pid, None)
        if kept is not None and kept.file:
            kept.file.close()
