"""What one look at the machine said: frozen, and nothing derived.

Rates, shares and judgements are made from two of these when they are shown, so a live machine, a
recording and a captured tree are the same from here on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure


class ProcessKey(NamedTuple):
    """A process for life: a pid that comes back has another start time."""

    pid: int
    start_time_ticks: int


class SystemSample(NamedTuple):
    """The machine's own figures: the kernel's keys verbatim, sizes in bytes, vmstat in pages."""

    meminfo: Mapping[str, int] | Gap
    vmstat: Mapping[str, int] | Gap
    pressure: Pressure | Gap


class ProcessSample(NamedTuple):
    """One process. None: not read yet, or not offered by this kernel.

    Sizes come from statm, which is read of every process at every tick; the rest from stat, status
    and oom_score, read at every tick only of processes that are looked at or that changed.
    """

    key: ProcessKey
    name: str
    state: str
    is_kernel_thread: bool
    size_bytes: int
    rss_bytes: int
    shared_bytes: int | None
    threads: int | None = None
    parent_pid: int | None = None
    uid: int | None = None
    swap_bytes: int | None = None
    oom_score: int | None = None

    @property
    def pid(self) -> int:
        return self.key.pid

    @property
    def is_zombie(self) -> bool:
        return self.state in ("Z", "X")


class Sample(NamedTuple):
    """One tick.

    `time_s` counts from boot, suspends included, so a gap in it is a gap; `interval_s` is what was
    asked for, `skipped` how many ticks came too late to be taken, since the beginning.
    """

    time_s: float
    interval_s: float
    system: SystemSample
    processes: Mapping[ProcessKey, ProcessSample]
    skipped: int = 0
