"""`memtui sample`: what the kernel said, in its own keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from memtui.kernel.cgroups import Membership, parse_cgroup
from memtui.kernel.files import Files, Gap
from memtui.kernel.maps import parse_smaps_rollup
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import Stall, parse_pressure
from memtui.kernel.process import Stat, parse_stat, parse_statm, parse_status
from memtui.kernel.swaps import Swap, parse_swaps
from memtui.kernel.threads import living
from memtui.kernel.values import Counters
from memtui.kernel.vmstat import parse_vmstat
from memtui.kernel.zones import Zone, parse_zoneinfo
from memtui.reports.output import (
    Options,
    document,
    one_process,
)


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui sample [PID]`."""
    return sample(files, options.argument, options.json)


def sample(files: Files, text: str | None, as_json: bool) -> Iterator[str]:
    """One raw sample of the machine, and of one process, in the kernel's own keys; kB as bytes.

    A source that gives no value is null, and among the gaps with its reason; null too is a number
    that cannot be, as that of a counter below zero.
    """
    pid = None if text is None else one_process(files, text)
    gaps: list[Gap] = []

    def read(name: str, parse: Callable[[bytes], Any], shape: Callable[[Any], Any]) -> Any:
        value = files.parsed(name, parse)
        if isinstance(value, Gap):
            gaps.append(value)
            return None
        return shape(value)

    raw: dict[str, Any] = {
        "meminfo": read("proc/meminfo", parse_meminfo, _counters),
        "vmstat": read("proc/vmstat", parse_vmstat, _counters),
        "pressure": {
            name: read(f"proc/pressure/{name}", parse_pressure, _stalls)
            for name in ("memory", "io", "cpu", "irq")
        },
        "swaps": read("proc/swaps", parse_swaps, lambda swaps: list(map(_swap, swaps))),
        "zoneinfo": read("proc/zoneinfo", parse_zoneinfo, lambda zones: list(map(_zone, zones))),
        "process": None,
    }
    if pid is not None:
        own = living(files, pid) + "/"
        raw["process"] = {
            "pid": pid,
            "stat": read(f"proc/{pid}/stat", parse_stat, Stat._asdict),
            "statm": read(own + "statm", parse_statm, lambda statm: statm._asdict()),
            "status": read(own + "status", parse_status, dict),
            "smaps_rollup": read(own + "smaps_rollup", parse_smaps_rollup, dict),
            "cgroups": read(
                own + "cgroup", parse_cgroup, lambda lines: list(map(Membership._asdict, lines))
            ),
        }
    raw["gaps"] = [
        {"source": gap.source, "reason": gap.reason + (f": {gap.detail}" if gap.detail else "")}
        for gap in gaps
    ]
    yield document(raw, None if as_json else 1)


def _counters(counters: Counters) -> dict[str, int | None]:
    return {**counters, **dict.fromkeys(sorted(counters.impossible))}


def _stalls(pressure: Any) -> dict[str, Any]:
    def line(stall: Stall | None) -> dict[str, float] | None:
        if stall is None:
            return None
        return {
            "avg10": stall.avg10_pct,
            "avg60": stall.avg60_pct,
            "avg300": stall.avg300_pct,
            "total": stall.total_us,
        }

    return {"some": line(pressure.some), "full": line(pressure.full)}


def _swap(swap: Swap) -> dict[str, str | int | None]:
    return {
        "Filename": swap.name,
        "Type": swap.kind,
        "Size": swap.size_bytes,
        "Used": swap.used_bytes,
        "Priority": swap.priority,
    }


def _zone(zone: Zone) -> dict[str, Any]:
    return {
        "node": zone.node,
        "zone": zone.zone,
        **zone.fields,
        "protection": zone.protection_pages,
        "per_node_stats": zone.node_stats,
        "pagesets": zone.pagesets,
    }
