"""What one look at the machine said: frozen, so that threads may share it, and nothing derived.

Rates, shares and judgements are made from two of these when they are shown, so a live machine, a
recording and a captured tree are the same from here on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from memtui.frozen import FrozenDict
from memtui.kernel.cgroups import Confinement
from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure
from memtui.model.keys import ProcessKey

if TYPE_CHECKING:
    # Read only while they are shown, and their modules imported then.
    from memtui.kernel.accounts import Accounts
    from memtui.kernel.allocations import Allocation
    from memtui.kernel.buddy import FreeBlocks
    from memtui.kernel.cgroups import Tree
    from memtui.kernel.details import Details, Shares
    from memtui.kernel.hugepages import HugePool, ThpSettings
    from memtui.kernel.ksm import Ksm
    from memtui.kernel.numa import Node
    from memtui.kernel.slabs import Slab
    from memtui.kernel.swaps import Swap
    from memtui.kernel.zones import Zone
    from memtui.kernel.zram import Zram, Zswap
    from memtui.model.signs import Signs


class SystemSample(NamedTuple):
    """The machine's own figures: the kernel's keys verbatim, sizes in bytes, vmstat in pages.

    What stands below the first three is read only while a view shows it: None is not asked for.
    `confinement` is of memtui's own control groups, and None also where none has a limit.
    """

    meminfo: Mapping[str, int] | Gap
    vmstat: Mapping[str, int] | Gap
    pressure: Pressure | Gap
    confinement: Confinement | Gap | None = None
    zones: Sequence[Zone] | Gap | None = None
    free_blocks: Sequence[FreeBlocks] | Gap | None = None
    slabs: Sequence[Slab] | Gap | None = None
    swaps: Sequence[Swap] | Gap | None = None
    nodes: Sequence[Node] | Gap | None = None
    zrams: Sequence[Zram] | Gap | None = None
    zswap: Zswap | Gap | None = None
    huge_pools: Sequence[HugePool] | Gap | None = None
    thp: ThpSettings | Gap | None = None
    ksm: Ksm | Gap | None = None
    settings: Mapping[str, int] | Gap | None = None
    cgroups: Tree | Gap | None = None
    accounts: Accounts | Gap | None = None
    allocations: Sequence[Allocation] | Gap | None = None


class ProcessSample(NamedTuple):
    """One process. None: not read yet, or not offered by this kernel.

    Sizes come from statm, which is read of every process at every tick; the rest from stat, status
    and oom_score, read at every tick only of processes that are looked at or that changed.
    """

    key: ProcessKey
    name: str
    state: str
    is_kernel_thread: bool
    size_bytes: int | None
    rss_bytes: int | None
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


_NOTHING: Final[Mapping[ProcessKey, Any]] = FrozenDict()


class Sample(NamedTuple):
    """One tick.

    `time_s` counts from boot, suspends included, so a gap in it is a gap; `interval_s` is what was
    asked for, `skipped` how many ticks came too late to be taken, since the beginning. `signs` tell
    of deaths, where they are watched for.

    Where there is so much to read that ticks are longer than was asked for, `asked_s` is that, else 0.

    `details` and `shares` are of those processes whose rows are shown, or have been, and each says
    when it was read; a Gap says why there are no shares. `gaps`: what went wrong in reading single
    processes, which are as they were seen last.
    """

    time_s: float
    interval_s: float
    system: SystemSample
    processes: Mapping[ProcessKey, ProcessSample]
    skipped: int = 0
    signs: Signs | None = None
    details: Mapping[ProcessKey, Details] = _NOTHING
    shares: Mapping[ProcessKey, Shares | Gap] = _NOTHING
    asked_s: float = 0.0
    gaps: tuple[Gap, ...] = ()
