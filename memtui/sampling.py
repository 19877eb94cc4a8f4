"""Polls the kernel on threads of its own and hands on what it said.

Two threads: one ticks on a fixed grid (the machine and every process's statm), the other reads the
address space that is being looked at, whose reading takes as long as it is big. Neither imports,
waits for a disk, or touches the interface: they hand frozen values to a callback.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Set
from heapq import nlargest
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from memtui.kernel.cgroups import parse_cgroup, read_confinement
from memtui.kernel.details import DETAIL_FILES, Details, read_details
from memtui.kernel.files import (
    Gap,
    KeptFile,
    KernelFiles,
    parsed,
    raise_descriptor_limit,
)
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import parse_pressure
from memtui.kernel.process import (
    parse_identity,
    parse_int,
    parse_statm,
    parse_status,
    status_bytes,
    status_value,
)
from memtui.kernel.vmstat import parse_vmstat
from memtui.model.addressmap import MapReading
from memtui.model.sample import ProcessKey, ProcessSample, Sample, SystemSample
from memtui.reading import Looker, affordable, defect

if TYPE_CHECKING:
    from memtui.model.signs import Signs

T = TypeVar("T")
Reader = Callable[[KernelFiles], Any]

# Processes whose details (name, swap, OOM score) are read again although nobody looks at them and
# nothing about them changed: each once in this many ticks.
_ROTATION: Final = 30
# Details of the largest are wanted in the first picture, before anyone could say what is visible.
_FIRST_DETAILS: Final = 64
_CHANGED_AT_MOST: Final = 200  # a tick, of processes that changed while nobody looks at them
_SPARE_DESCRIPTORS: Final = 128
_CAP_SYS_PTRACE: Final = 19

# New processes are looked at in full by so many a tick, where every detail is wanted.
_UNSEEN_AT_MOST: Final = 400


class Plan(NamedTuple):
    """What is on the screen, and so must be read: the visible rows, the map, every row's details.

    `every_detail`: the list is sorted or filtered by something that only details tell. `readers` are
    those of the machine's figures that this view alone shows, by their field of SystemSample;
    `confinement`: memtui's control groups are shown even if none of them has a limit. `details`:
    Details are shown too, with those of DETAIL_FILES that are in it; None: they are not. `shares`:
    the processes whose PSS and USS are shown, and `hurry`: they are asked for, whatever that costs.
    """

    visible: frozenset[ProcessKey] = frozenset()
    map_of: ProcessKey | None = None
    every_detail: bool = False
    readers: Mapping[str, Reader] = MappingProxyType({})
    confinement: bool = False
    details: frozenset[str] | None = None
    shares: Set[ProcessKey] = frozenset()
    hurry: bool = False


class Source(Protocol):
    """Where samples come from: a live machine, a captured tree, a recording, a test's list."""

    interval_s: float

    @property
    def files(self) -> KernelFiles | None:
        """For readings on demand; None where there is no kernel behind the samples."""

    def start(
        self, on_sample: Callable[[Sample], None], on_map: Callable[[MapReading], None]
    ) -> None:
        """Begins to call back, from any thread."""

    def look_at(self, plan: Plan) -> None:
        """What is visible from now on."""

    def may_read_map(self, key: ProcessKey) -> bool:
        """Whether this user may read the process's address space."""

    def stop(self) -> None:
        """Ends all calls; waits for the one under way."""


class SignReader(Protocol):
    """Reads what tells of deaths, on the sampling thread (inspecting.signs)."""

    def read(self, sample: Sample, visible: Set[ProcessKey] = ...) -> Signs:
        """What came since the last time. Never raises."""


class LiveSource:
    """The kernel below a root, sampled every `interval_s` seconds."""

    def __init__(self, files: KernelFiles, interval_s: float = 1.0) -> None:
        self.files = files
        self._interval_s = interval_s
        self._plan = Plan()
        self._stopping = threading.Event()
        self._interval_changed = threading.Event()
        self._look_wanted = threading.Event()
        self._threads: list[threading.Thread] = []
        self.sampler = Sampler(files)
        self._processes: Mapping[ProcessKey, ProcessSample] = {}
        self._signs: SignReader | None = None
        self._looker: Looker | None = None
        self._handed_on_s = time.monotonic()

    def watch_deaths(self, signs: SignReader) -> None:
        """From now on what it reads of deaths stands in the samples. From any thread."""
        self._signs = signs

    def silent_s(self) -> float:
        """How long ago the last sample was handed on: a reading may hang, in the kernel too."""
        return time.monotonic() - self._handed_on_s

    @property
    def interval_s(self) -> float:
        return self._interval_s

    @interval_s.setter
    def interval_s(self, value: float) -> None:
        self._interval_s = value
        self._interval_changed.set()

    def start(
        self, on_sample: Callable[[Sample], None], on_map: Callable[[MapReading], None]
    ) -> None:
        looker = self._looker = Looker(self.files, on_map)
        looking = (lambda: self._plan, self._look_wanted, self._stopping)
        self._threads = [
            threading.Thread(target=self._tick, args=(on_sample,), name="sampling", daemon=True),
            threading.Thread(target=looker.run, args=looking, name="looking", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def look_at(self, plan: Plan) -> None:
        before, self._plan = self._plan, plan
        if plan.map_of != before.map_of or plan.shares - before.shares:
            self._look_wanted.set()
        if plan.readers.keys() - before.readers.keys() or (plan.details or set()) - (
            before.details or set()
        ):
            self._interval_changed.set()  # a view that has just been opened waits for them

    def may_read_map(self, key: ProcessKey) -> bool:
        return self.files.may_read(f"proc/{key.pid}/maps")

    def stop(self) -> None:
        self._stopping.set()
        self._interval_changed.set()
        self._look_wanted.set()
        for thread in self._threads:
            thread.join(timeout=0.1)  # a long reading ends by itself: they are daemons
        if not any(thread.is_alive() for thread in self._threads):
            self.sampler.close()

    def _tick(self, on_sample: Callable[[Sample], None]) -> None:
        """A grid without drift: a tick that comes too late is skipped and counted, not made up.

        Where there is so much to read that it would take too much of a core, ticks are longer.
        """
        skipped = 0
        interval = self._interval_s
        # The first sample may have been a quick one, of the largest alone: soon take a whole one.
        due = time.monotonic() + (min(interval, 1.0) if self.sampler.ticks else 0)
        self._interval_changed.wait(max(0.0, due - time.monotonic()))
        while not self._stopping.is_set():
            began_s = time.thread_time()
            on_sample(self._sample(interval, skipped))
            cost = time.thread_time() - began_s
            self._handed_on_s = time.monotonic()
            late = int((time.monotonic() - due) // interval)
            skipped += late
            due += (late + 1) * interval
            longer = affordable(self._interval_s, interval, cost)
            if longer != interval:
                due += longer - interval
                interval = longer
            # A stop is heard at once, a new interval from its first tick on.
            if self._interval_changed.wait(max(0.0, due - time.monotonic())):
                self._interval_changed.clear()
                interval = affordable(self._interval_s, self._interval_s, cost)
                due = time.monotonic()

    def _sample(self, interval_s: float, skipped: int) -> Sample:
        """A sample. A defect in the making is a Gap in it: the thread must live, and be believed."""
        plan, looker = self._plan, self._looker
        try:
            sample = self.sampler.sample(interval_s, plan, skipped)
        except Exception as error:
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            gap = defect("sampling", error)
            system = SystemSample(gap, gap, gap)
            return Sample(now, interval_s, system, self._processes, skipped)
        self._processes = sample.processes
        if self._signs is not None:
            sample = sample._replace(signs=self._signs.read(sample, plan.visible))
        if interval_s > self._interval_s:
            sample = sample._replace(asked_s=self._interval_s)
        if plan.shares and looker is not None:
            sample = sample._replace(shares=looker.reader.known(sample.processes))
        return sample


def may_see(files: KernelFiles) -> str:
    """In words, whose address spaces this user may read."""
    if not files.is_live:
        return "captured machine"
    status = files.parsed("proc/self/status", parse_status)
    effective = 0 if isinstance(status, Gap) else int(str(status.get("CapEff", "0")), 16)
    return "maps of all processes" if effective >> _CAP_SYS_PTRACE & 1 else "maps of own processes"


def page_size(files: KernelFiles) -> int:
    """Bytes a page of the machine below the root: a captured one may differ from this one."""
    here = os.sysconf("SC_PAGE_SIZE")
    if files.is_live:
        return here
    for pid in files.pids():
        status = files.parsed(f"proc/{pid}/status", parse_status)
        statm = files.parsed(f"proc/{pid}/statm", parse_statm)
        if isinstance(status, Gap) or isinstance(statm, Gap) or not statm.size_pages:
            continue
        size = status.get("VmSize")
        if isinstance(size, int):
            return 1 << round(math.log2(max(1, size / statm.size_pages)))
    return here


class _Kept:
    """What is remembered of a process between two ticks."""

    __slots__ = ("data", "details", "file", "sample")

    def __init__(self, file: KeptFile | None) -> None:
        self.file = file
        self.data = b""
        self.sample: ProcessSample | None = None
        self.details: Details | None = None


class Sampler:
    """Takes one sample at a time, as cheaply as it can: descriptors kept, nothing parsed twice."""

    def __init__(self, files: KernelFiles) -> None:
        self._files = files
        self._page = page_size(files)
        self._descriptors = max(0, raise_descriptor_limit() - _SPARE_DESCRIPTORS)
        self._kept: dict[int, _Kept] = {}
        self._sources: dict[str, KeptFile | Gap] = {}
        self._parsed: dict[str, tuple[bytes, object]] = {}
        self.ticks = 0

    def sample(self, interval_s: float = 1.0, plan: Plan | None = None, skipped: int = 0) -> Sample:
        """The machine and every process now. Never raises: what cannot be read is a Gap or None."""
        plan = plan or Plan()
        return self._finish(interval_s, self._processes(plan), skipped, plan)

    def first(self, interval_s: float, pid: int | None = None) -> Sample:
        """A quick first sample: of the processes only the largest, and that with `pid`.

        Who a process is stands in another file than its size, and no screen shows a thousand.
        """
        sizes: list[tuple[int, int]] = []
        for each in self._files.pids():
            data = self._statm(each, self._keep(each))
            words = [] if isinstance(data, Gap) else data.split(None, 2)
            if len(words) > 1 and words[1].isdigit():
                sizes.append((int(words[1]), each))
        shown = {each for _, each in nlargest(_FIRST_DETAILS, sizes)}
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
            if isinstance(file, KeptFile):
                file.close()
        self._kept.clear()
        self._sources.clear()

    def _source(self, name: str, parse: Callable[[bytes], T]) -> T | Gap:
        """One of the machine's own files; the same bytes as last time are not parsed again."""
        file = self._sources.get(name)
        if file is None:
            file = self._sources[name] = self._files.keep(name)
        data = file if isinstance(file, Gap) else file.read()
        if isinstance(data, Gap):
            return data
        last = self._parsed.get(name)
        if last is not None and last[0] == data:
            return last[1]  # type: ignore[return-value]
        value = parsed(name, data, parse)
        self._parsed[name] = (data, value)
        return value

    def _system(self, plan: Plan) -> SystemSample:
        """The machine's own files: those that are always read, and what the plan wants besides."""
        memberships = self._source("proc/self/cgroup", parse_cgroup)
        return SystemSample(
            self._source("proc/meminfo", parse_meminfo),
            self._source("proc/vmstat", parse_vmstat),
            self._source("proc/pressure/memory", parse_pressure),
            memberships
            if isinstance(memberships, Gap)
            else read_confinement(self._files, memberships, always=plan.confinement),
            **{field: read(self._files) for field, read in plan.readers.items()},
        )

    def _finish(self, interval_s: float, detailed: set[int], skipped: int, plan: Plan) -> Sample:
        """Reads the machine's own files and the details of some processes, and counts the tick."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        system = self._system(plan)
        for pid in detailed:
            kept = self._kept[pid]
            if kept.sample is not None:
                self._read_details(kept, kept.sample, now, plan)
        self.ticks += 1
        processes = {
            kept.sample.key: kept.sample for kept in self._kept.values() if kept.sample is not None
        }
        sample = Sample(now, interval_s, system, processes, skipped)
        if plan.details is None:
            return sample
        kept_ = self._kept.values()
        details = {each.sample.key: each.details for each in kept_ if each.sample and each.details}
        return sample._replace(details=details)

    def _processes(self, plan: Plan) -> set[int]:
        """Brings every process's sizes up to date; those whose details are due."""
        pids = self._files.pids()
        alive = set(pids)
        for pid in self._kept.keys() - alive:
            self._forget(pid)
        due: list[int] = []  # changed while nobody looks
        for pid in pids:
            if not self._read_statm(pid, due):
                alive.discard(pid)
        if self.ticks == 0:
            sizes = (
                (kept.sample.rss_bytes, pid) for pid, kept in self._kept.items() if kept.sample
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
        return wanted & alive

    def _read_statm(self, pid: int, due: list[int]) -> bool:
        """Brings a process's sizes up to date; whether it is (still) there."""
        kept = self._kept.get(pid)
        if kept is None:
            kept = self._keep(pid)
        data = self._statm(pid, kept)
        if isinstance(data, Gap) and data.reason == "gone" and kept.sample is not None:
            # It died; its pid may have come back as another process since.
            self._forget(pid)
            kept = self._keep(pid)
            data = self._statm(pid, kept)
        if isinstance(data, Gap):
            self._forget(pid)
            return False
        before = kept.sample
        if before is not None and data == kept.data:
            return True
        statm = parsed("statm", data, parse_statm)
        if isinstance(statm, Gap):
            self._forget(pid)
            return False
        kept.data = data
        shared = statm.shared_pages
        sizes = (
            statm.size_pages * self._page,
            statm.resident_pages * self._page,
            None if shared is None else shared * self._page,
        )
        if before is None:
            stat = self._files.parsed(f"proc/{pid}/stat", parse_identity)
            if isinstance(stat, Gap):
                self._forget(pid)
                return False
            key = ProcessKey(pid, stat.starttime)
            kept.sample = ProcessSample(
                key,
                stat.comm,
                stat.state,
                stat.is_kernel_thread,
                *sizes,
                stat.num_threads,
                stat.ppid,
            )
            if self.ticks:
                due.append(pid)
        else:
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

    def _read_details(self, kept: _Kept, sample: ProcessSample, now: float, plan: Plan) -> None:
        """Brings up to date what a process's statm does not tell."""
        pid = sample.pid
        stat = self._files.parsed(f"proc/{pid}/stat", parse_identity)
        if isinstance(stat, Gap):
            return
        swap, uid = sample.swap_bytes, sample.uid
        status = self._files.read(f"proc/{pid}/status")
        if not isinstance(status, Gap):
            swap = status_bytes(status, b"VmSwap")
            uids = (status_value(status, b"Uid") or b"").split()
            uid = int(uids[1]) if len(uids) > 1 and uids[1].isdigit() else None
            if plan.details is not None and (
                plan.every_detail or sample.key in plan.visible or sample.key == plan.map_of
            ):
                wanted = DETAIL_FILES if sample.key == plan.map_of else plan.details
                kept.details = read_details(self._files, pid, now, stat, status, wanted)
        score = self._files.parsed(f"proc/{pid}/oom_score", parse_int)
        detailed = ProcessSample(
            # Without a kept descriptor a reused pid shows itself here.
            ProcessKey(pid, stat.starttime),
            stat.comm,
            stat.state,
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

    def _keep(self, pid: int) -> _Kept:
        file = None
        if len(self._kept) < self._descriptors:
            opened = self._files.keep(f"proc/{pid}/statm")
            file = opened if isinstance(opened, KeptFile) else None
        kept = self._kept[pid] = _Kept(file)
        return kept

    def _statm(self, pid: int, kept: _Kept) -> bytes | Gap:
        return kept.file.read_record() if kept.file else self._files.read(f"proc/{pid}/statm")

    def _forget(self, pid: int) -> None:
        kept = self._kept.pop(pid, None)
        if kept is not None and kept.file:
            kept.file.close()
