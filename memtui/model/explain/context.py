"""What an explanation puts its numbers from: one moment of a machine, and its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from memtui.kernel.accounts import Accounts
from memtui.kernel.buddy import FreeBlocks
from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure
from memtui.kernel.zones import Zone
from memtui.model.formula import Quantity, Unit
from memtui.model.sample import Sample
from memtui.model.system.balance import gives_way_bytes
from memtui.model.system.free import allocatable_bytes, free_figures

VM: Final = "proc/sys/vm/"

# Settings that explanations tell of, read when one is opened.
SETTINGS: Final = (
    *(VM + name for name in ("overcommit_memory", "overcommit_ratio", "overcommit_kbytes")),
    *(VM + name for name in ("panic_on_oom", "oom_kill_allocating_task", "swappiness")),
    *(VM + name for name in ("min_free_kbytes", "watermark_scale_factor", "max_map_count")),
    *(VM + name for name in ("dirty_ratio", "dirty_background_ratio", "compaction_proactiveness")),
    *(VM + name for name in ("dirty_bytes", "dirty_background_bytes", "dirty_expire_centisecs")),
    "proc/sys/kernel/randomize_va_space",
    "proc/sys/kernel/yama/ptrace_scope",
    "sys/kernel/mm/transparent_hugepage/enabled",
    "sys/kernel/mm/ksm/run",
    "sys/kernel/mm/ksm/pages_sharing",
    "sys/module/zswap/parameters/enabled",
)


class Context(NamedTuple):
    """One moment. `settings` are by their path below the root, as the kernel wrote them.

    `blocks`: each zone's free blocks. None, and a Gap: not known.
    """

    sample: Sample
    before: Sample | None = None
    settings: Mapping[str, str] = {}
    page_bytes: int | None = None
    uptime_s: float | None = None
    zones: Sequence[Zone] | Gap | None = None
    blocks: Sequence[FreeBlocks] | Gap | None = None
    nodes: int | None = None
    paging: str = ""

    @property
    def meminfo(self) -> Mapping[str, int]:
        meminfo = self.sample.system.meminfo
        return {} if isinstance(meminfo, Gap) else meminfo

    @property
    def vmstat(self) -> Mapping[str, int]:
        vmstat = self.sample.system.vmstat
        return {} if isinstance(vmstat, Gap) else vmstat

    @property
    def pressure(self) -> Pressure | None:
        pressure = self.sample.system.pressure
        return None if isinstance(pressure, Gap) else pressure

    @property
    def accounts(self) -> Accounts | None:
        accounts = self.sample.system.accounts
        return None if isinstance(accounts, Gap) else accounts

    @property
    def known_zones(self) -> Sequence[Zone]:
        """The zones, or none."""
        return () if self.zones is None or isinstance(self.zones, Gap) else self.zones

    def setting(self, name: str) -> str | None:
        """A setting by the end of its path, as text."""
        for path, text in self.settings.items():
            if path.endswith("/" + name):
                return text
        return None

    def get(self, name: str) -> Quantity:
        """What a formula's name stands for."""
        value = self.meminfo.get(name)
        if value is not None:
            return Quantity(value, "count" if name.startswith("HugePages_") else "bytes")
        if name in _DERIVED:
            unit, make = _DERIVED[name]
            return Quantity(make(self), unit)
        if name in self.vmstat:
            return Quantity(self.vmstat[name], "count")
        text = self.setting(name)
        if text is not None and text.isdecimal():
            return Quantity(int(text), "count")
        # Unknown, but of a known kind: meminfo's keys begin with a capital.
        return Quantity(None, "bytes" if name[:1].isupper() else "count")

    def zone_sum(self, name: str) -> float | None:
        """A figure of all zones together, in bytes."""
        zones = self.known_zones
        if not zones or not self.page_bytes:
            return None
        values = [zone.fields.get(name) for zone in zones]
        known = [value for value in values if value is not None]
        return sum(known) * self.page_bytes if len(known) == len(values) else None

    @property
    def all_blocks(self) -> FreeBlocks | None:
        """The free blocks of all zones together."""
        if self.blocks is None or isinstance(self.blocks, Gap):
            return None
        # Of the many that are explained few need it, and a report has 100 ms to start.
        from memtui.model.system.fragmentation import machine_blocks

        return machine_blocks(self.blocks)

    def on_lists_bytes(self) -> float | None:
        """Free pages on the processors' own lists."""
        return None if self.accounts is None else self.accounts.lists_bytes

    def arc_bytes(self) -> float | None:
        """All of ZFS's cache."""
        arc = self.accounts.arc if self.accounts else None
        return None if arc is None else arc.size_bytes

    def arc_least_bytes(self) -> float | None:
        """What of ZFS's cache does not give way."""
        arc = self.accounts.arc if self.accounts else None
        return None if arc is None else arc.min_bytes

    def free_blocks_bytes(self, at_least_bytes: int = 1) -> float | None:
        """Free memory in blocks of a size or more, by the buddy allocator's lists."""
        blocks, page = self.all_blocks, self.page_bytes
        if blocks is None or blocks.overflows or not page:
            return None
        from memtui.model.system.fragmentation import suitable_pages

        order = max(0, (at_least_bytes - 1).bit_length() - (page - 1).bit_length())
        return suitable_pages(blocks.counts, order) * page

    def free_huge_bytes(self) -> float | None:
        """Free memory in blocks of a huge page or more."""
        huge = self.meminfo.get("Hugepagesize")
        return None if huge is None else self.free_blocks_bytes(huge)

    def reserve_bytes(self) -> float | None:
        """What the kernel holds back from `available`: totalreserve_pages of mm/page_alloc.c.

        Of each zone its high watermark and the largest of the pages it keeps from allocations that
        could also have been had elsewhere, but no more than it has.
        """
        zones = self.known_zones
        if not zones or not self.page_bytes:
            return None
        pages = 0
        for zone in zones:
            high, managed = zone.fields.get("high"), zone.fields.get("managed")
            if high is None or managed is None:
                return None
            pages += min(high + max([0, *zone.protection_pages]), managed)
        return pages * self.page_bytes


Derived = tuple[Unit, Callable[[Context], float | None]]


def _free(field: str) -> Derived:
    def value(context: Context) -> float | None:
        found: int | None = getattr(free_figures(context.sample.system.meminfo), field)
        return found

    return "bytes", value


_DERIVED: Final[dict[str, Derived]] = {
    "available": _free("available"),
    "allocatable": (
        "bytes",
        lambda context: allocatable_bytes(context.sample.system.meminfo),
    ),
    "buff/cache": _free("buff_cache"),
    "page_size": ("bytes", lambda context: context.page_bytes),
    "uptime": ("s", lambda context: context.uptime_s),
    "on_lists": ("bytes", Context.on_lists_bytes),
    "ARC": ("bytes", Context.arc_bytes),
    "ARC_min": ("bytes", Context.arc_least_bytes),
    "gives_way": ("bytes", lambda context: gives_way_bytes(context.sample.system)),
    "free_in_blocks": ("bytes", lambda context: context.free_blocks_bytes()),
    "free_in_huge_blocks": ("bytes", Context.free_huge_bytes),
    "reserve": ("bytes", Context.reserve_bytes),
    "low": ("bytes", lambda context: context.zone_sum("low")),
    "min": ("bytes", lambda context: context.zone_sum("min")),
    "high": ("bytes", lambda context: context.zone_sum("high")),
}
