"""What grew in /proc/vmstat between two readings: counters under all the names kernels gave them.

Pure functions of one mapping or two; a control group's memory.stat has the same keys. None is
"this kernel does not count it", and for what grew also "the counter went backwards".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from memtui.kernel.files import Gap

Vmstat = Mapping[str, int]
Counter = Callable[[Vmstat], int | None]

# A zone's name ends a counter's: pgscan_direct_throttle is none of pgscan_direct's.
_ZONES: Final = ("dma", "dma32", "normal", "high", "movable", "device")


@lru_cache(maxsize=64)
def _zone_names(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{zone}" for zone in _ZONES)


def count(vmstat: Vmstat, name: str) -> int | None:
    """A counter, or the sum of its zones' where the kernel keeps it by zone.

    allocstall is by zone since 4.10, pgscan_kswapd, pgscan_direct and pgsteal were before 4.8.
    """
    value = vmstat.get(name)
    if value is not None:
        return value
    zones = [vmstat[each] for each in _zone_names(name) if each in vmstat]
    return sum(zones) if zones else None


def named(name: str) -> Counter:
    """The counter of that name, as `count` takes it."""

    def counter(vmstat: Vmstat) -> int | None:
        return count(vmstat, name)

    return counter


def kswapd_stolen(vmstat: Vmstat) -> int | None:
    """Pages that kswapd took back. kswapd_steal before 3.4."""
    value = count(vmstat, "pgsteal_kswapd")
    return vmstat.get("kswapd_steal") if value is None else value


def direct_stolen(vmstat: Vmstat) -> int | None:
    """Pages that allocating tasks took back themselves. Before 3.4: all less kswapd's."""
    value = count(vmstat, "pgsteal_direct")
    if value is None:
        everything, kswapd = count(vmstat, "pgsteal"), vmstat.get("kswapd_steal")
        if everything is not None and kswapd is not None:
            value = max(0, everything - kswapd)
    return value


def scanned(vmstat: Vmstat) -> int | None:
    """Pages that reclaim looked at, whoever it was, control groups at their limits included."""
    return _everyone(vmstat, "pgscan")


def stolen(vmstat: Vmstat) -> int | None:
    """Pages that reclaim took back, whoever it was."""
    return _everyone(vmstat, "pgsteal")


def _everyone(vmstat: Vmstat, name: str) -> int | None:
    # Each page is counted by type and again by reclaimer: one family only is summed.
    anon, file = vmstat.get(f"{name}_anon"), vmstat.get(f"{name}_file")  # since 5.8
    if anon is not None and file is not None:
        return anon + file
    value = count(vmstat, name)  # of a control group; pgsteal of the machine before 3.4
    return by_reclaimer(vmstat, name) if value is None else value


def by_reclaimer(vmstat: Vmstat, name: str) -> int | None:
    """pgscan or pgsteal summed over who did it for the whole machine."""
    kswapd, direct = count(vmstat, f"{name}_kswapd"), count(vmstat, f"{name}_direct")
    if kswapd is None or direct is None:
        return None
    rest = (vmstat.get(f"{name}_khugepaged"), vmstat.get(f"{name}_proactive"))
    return kswapd + direct + sum(value or 0 for value in rest)


def refaults_file(vmstat: Vmstat) -> int | None:
    """Pages of files that came back soon after they were evicted.

    One counter before 5.9, when only those were told.
    """
    value = vmstat.get("workingset_refault_file")
    return vmstat.get("workingset_refault") if value is None else value


def refaults(vmstat: Vmstat) -> int | None:
    """Pages that came back soon after they were evicted; before 5.9 swapped in ones stand for anon's."""
    file, anon = refaults_file(vmstat), vmstat.get("workingset_refault_anon")
    if anon is None:
        anon = vmstat.get("pswpin")
    return anon if file is None else file + (anon or 0)


def growth(now: Vmstat | Gap, before: Vmstat | Gap | None, counter: Counter) -> int | None:
    """What a counter gained between two readings; None unless both have it and it did not shrink."""
    if before is None or isinstance(now, Gap) or isinstance(before, Gap):
        return None
    new = counter(now)
    old = counter(before)
    return None if new is None or old is None or new < old else new - old


def minor_fault_count(vmstat: Vmstat) -> int | None:
    """Page faults since boot that no disk was read for."""
    faults, major = vmstat.get("pgfault"), vmstat.get("pgmajfault")
    return None if faults is None or major is None else faults - major


def minor_faults(now: Vmstat | Gap, before: Vmstat | Gap | None) -> int | None:
    """Page faults that no disk was read for: pgfault counts both sorts."""
    faults, major = growth(now, before, named("pgfault")), growth(now, before, named("pgmajfault"))
    return None if faults is None or major is None else max(0, faults - major)


def group_scan_count(vmstat: Vmstat) -> int | None:
    """Pages scanned since boot for a control group's limit; None before 5.8."""
    if "pgscan_anon" not in vmstat:
        return None
    everything, machine = scanned(vmstat), _machine_scanned(vmstat)
    return None if everything is None or machine is None else everything - machine


def group_scanned(now: Vmstat | Gap, before: Vmstat | Gap | None) -> int | None:
    """Pages scanned because a control group was at its limit, not the machine.

    These are counted by type but not by reclaimer. None before 5.8, which lacks the types.
    """
    if isinstance(now, Gap) or "pgscan_anon" not in now:
        return None
    everything, machine = growth(now, before, scanned), growth(now, before, _machine_scanned)
    return None if everything is None or machine is None else max(0, everything - machine)


def efficiency_pct(now: Vmstat | Gap, before: Vmstat | Gap | None) -> float | None:
    """The share of scanned pages that were taken back; None where nothing was scanned."""
    looked_at, taken = growth(now, before, scanned), growth(now, before, stolen)
    return None if not looked_at or taken is None else min(100.0, 100 * taken / looked_at)


def _machine_scanned(vmstat: Vmstat) -> int | None:
    return by_reclaimer(vmstat, "pgscan")
