"""A machine as seen from inside a control group: the limit is its total.

The group's counters are dressed as the machine's own files, so that free, the graphs, the balance and
the verdict speak of the group without knowing of groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal

from memtui.frozen import FrozenDict
from memtui.kernel.cgroups import Confinement, MemoryGroup
from memtui.kernel.files import Gap
from memtui.model.sample import Sample
from memtui.model.system.free import free_figures

if TYPE_CHECKING:
    from memtui.model.oom.obituary import Obituary
    from memtui.model.shortage.events import Event

Scope = Literal["host", "group"]

# /proc/meminfo's names for what memory.stat counts: v2's key, and v1's with all below the group.
_MEMINFO: Final = {
    "Cached": ("file", "total_cache"),
    "Shmem": ("shmem", "total_shmem"),
    "AnonPages": ("anon", "total_rss"),
    "Mapped": ("file_mapped", "total_mapped_file"),
    "Dirty": ("file_dirty", "total_dirty"),
    "Writeback": ("file_writeback", "total_writeback"),
    "Active(anon)": ("active_anon", "total_active_anon"),
    "Inactive(anon)": ("inactive_anon", "total_inactive_anon"),
    "Active(file)": ("active_file", "total_active_file"),
    "Inactive(file)": ("inactive_file", "total_inactive_file"),
    "Unevictable": ("unevictable", "total_unevictable"),
    "SReclaimable": ("slab_reclaimable", ""),
    "SUnreclaim": ("slab_unreclaimable", ""),
    "Slab": ("slab", ""),
    "KernelStack": ("kernel_stack", ""),
    "PageTables": ("pagetables", ""),
    "SecPageTables": ("sec_pagetables", ""),
    "Percpu": ("percpu", ""),
    "SwapCached": ("swapcached", "total_swapcached"),
    "Zswap": ("zswap", ""),
    "Zswapped": ("zswapped", ""),
    "AnonHugePages": ("anon_thp", "total_rss_huge"),
}
# Counters of memory.stat that mean what vmstat's of the same name do.
_VMSTAT: Final = (
    "pgfault pgmajfault workingset_refault_anon workingset_refault_file workingset_activate_anon "
    "workingset_activate_file pgscan_kswapd pgscan_direct pgscan_khugepaged pgscan_proactive "
    "pgsteal_kswapd pgsteal_direct pgsteal_khugepaged pgsteal_proactive pswpin pswpout "
    "thp_fault_alloc thp_collapse_alloc pgactivate pgdeactivate pgrefill"
).split()


def in_group(sample: Sample) -> Sample | None:
    """The sample with the group's figures as the machine's; None where no group has a limit."""
    confinement, host = sample.system.confinement, sample.system.meminfo
    if not isinstance(confinement, Confinement) or isinstance(host, Gap):
        return None
    limit = confinement.limit_bytes
    if limit is None or limit >= host.get("MemTotal", 0):
        return None
    from memtui.kernel.accounts import NOTHING  # only where there is such a group

    group = confinement.group
    system = sample.system._replace(
        meminfo=_meminfo(confinement, limit, host),
        vmstat=_vmstat(group),
        pressure=group.pressure,
        accounts=NOTHING,  # whose share of them nobody tells
    )
    members = confinement.members
    if members is None:
        return sample._replace(system=system)
    inside = {key: each for key, each in sample.processes.items() if key.pid in members}
    return sample._replace(system=system, processes=FrozenDict(inside))


# A group binds that has less of its memory left than the machine and little, or whose tasks wait.
_LITTLE_PCT: Final = 20.0
_FULL_SHARE: Final = 0.95
_WAITING_PCT: Final = 1.0


def binds(host: Sample, group: Sample) -> bool:
    """Whether it is the group around memtui that is short, and not the machine."""
    own, all_of_it = (free_figures(each.system.meminfo).available_pct for each in (group, host))
    confinement = group.system.confinement
    if own is None or all_of_it is None or own >= all_of_it:
        return False
    if own < _LITTLE_PCT:
        return True
    assert isinstance(confinement, Confinement)
    limit, current = confinement.limit_bytes, confinement.group.current_bytes
    pressure = group.system.pressure
    if limit is None or current is None or isinstance(pressure, Gap) or pressure.some is None:
        return False
    return current >= _FULL_SHARE * limit and pressure.some.avg10_pct >= _WAITING_PCT


def scopes_of(sample: Sample) -> Mapping[Scope, Sample]:
    """A sample of the host, and of the group around memtui as a machine where that has a limit."""
    group = in_group(sample)
    return {"host": sample} if group is None else {"host": sample, "group": group}


def scope_at_first(samples: Mapping[Scope, Sample]) -> Scope:
    """What to begin with: the one that is short."""
    return "group" if "group" in samples and binds(samples["host"], samples["group"]) else "host"


def of_group(
    sample: Sample, deaths: Iterable[tuple[Event, Obituary]]
) -> list[tuple[Event, Obituary]]:
    """The deaths in the group that a sample is of, and in those in it."""
    confinement = sample.system.confinement
    if not isinstance(confinement, Confinement):
        return []
    path = confinement.group.path
    below = path.rstrip("/") + "/"
    return [
        each
        for each in deaths
        if each[1].group is not None and (each[1].group + "/").startswith(below)
    ]


def _meminfo(
    confinement: Confinement, limit: int, host: Mapping[str, int]
) -> FrozenDict[str, int] | Gap:
    group = confinement.group
    current = group.current_bytes
    if current is None:
        return Gap(f"memory cgroup {group.path}", "gone")
    stat = {} if isinstance(group.stat, Gap) else group.stat
    meminfo = {"MemTotal": limit, "MemFree": max(0, limit - current), "Buffers": 0}
    for name, keys in _MEMINFO.items():
        value = stat.get(keys[group.version == 1])
        if value is not None:
            meminfo[name] = value
    available = group.available_bytes
    if available is not None and group.gives_way_bytes is not None:
        # A group gets no more than the machine has.
        meminfo["MemAvailable"] = min(available, host.get("MemAvailable", available))
    total, used = host.get("SwapTotal"), group.swap_bytes
    if total is not None and used is not None:
        if group.swap_max_bytes is not None:
            total = min(total, group.swap_max_bytes)
        meminfo["SwapTotal"] = total
        left = max(0, total - used)
        meminfo["SwapFree"] = min(left, host.get("SwapFree", left))
    return FrozenDict(meminfo)


def _vmstat(group: MemoryGroup) -> Mapping[str, int] | Gap:
    if isinstance(group.stat, Gap):
        return group.stat
    prefix = "total_" if group.version == 1 else ""
    vmstat = {name: group.stat[prefix + name] for name in _VMSTAT if prefix + name in group.stat}
    events = {} if isinstance(group.events, Gap) else group.events
    hits = [events[key] for key in ("failcnt", "max", "high") if key in events]
    if hits:
        vmstat["limit_hits"] = sum(hits)
    if "oom_kill" in events:
        vmstat["oom_kill"] = events["oom_kill"]
    return FrozenDict(vmstat)
