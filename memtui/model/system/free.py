"""The figures of free(1), by procps-ng 4's formulas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from memtui.frozen import FrozenDict
from memtui.kernel.files import Gap
from memtui.kernel.values import part


class Free(NamedTuple):
    """free(1)'s columns in bytes; None where the kernel does not offer what they are made of, or says
    what cannot be.
    """

    total: int | None
    used: int | None
    free: int | None
    shared: int | None
    buffers: int | None
    cache: int | None
    buff_cache: int | None
    available: int | None
    swap_total: int | None
    swap_used: int | None
    swap_free: int | None

    @property
    def rest(self) -> int | None:
        """What is neither free nor buff/cache: with both it stacks to the total.

        Not `used`: since procps 4 that is total − available, and overlaps the cache.
        """
        if self.total is None or self.free is None or self.buff_cache is None:
            return None
        return max(0, self.total - self.free - self.buff_cache)

    @property
    def available_pct(self) -> float | None:
        if not self.total or self.available is None:
            return None
        return 100 * self.available / self.total


def allocatable_bytes(meminfo: Mapping[str, int] | Gap) -> int | None:
    """What programs can still allocate without swap: available, or a guess where it is not told.

    Where free(1) takes MemFree for lack of better, little of it is normal: the cache is left too.
    """
    found = free_figures(meminfo)
    if found.available is None or isinstance(meminfo, Gap):
        return None
    if found.available == meminfo.get("MemAvailable"):  # which a container's may not be
        return found.available
    cache = (found.buff_cache or 0) - (found.shared or 0)
    return min(found.total or 0, found.available + max(0, cache))


# Of the host and of a group lately: graphs, metrics, rules and lines all ask for the same ones.
_lately: tuple[tuple[FrozenDict[str, int], Free], ...] = ()


def free_figures(meminfo: Mapping[str, int] | Gap) -> Free:
    """`free`'s figures from /proc/meminfo, in bytes; of one moment they are made once."""
    global _lately
    for known, made in _lately:
        if known is meminfo:
            return made
    found = _figures(meminfo)
    if isinstance(meminfo, FrozenDict):  # any other may have changed by the next time
        _lately = ((meminfo, found), *_lately[:1])
    return found


def _figures(meminfo: Mapping[str, int] | Gap) -> Free:
    known = {} if isinstance(meminfo, Gap) else meminfo

    total = known.get("MemTotal")

    def get(key: str) -> int | None:
        # In a container some are its host's.
        return part(known.get(key), total)

    free, available = get("MemFree"), get("MemAvailable")
    # Missing before 3.14; in some containers greater than the total, and -1 has been seen: free
    # takes MemFree in all of these.
    if available is None:
        available = free
    used = None if total is None or available is None else total - available
    cache, buffers = get("Cached"), get("Buffers")
    if cache is not None:
        cache += get("SReclaimable") or 0  # since 2.6.19
    swap_total, swap_free = known.get("SwapTotal"), known.get("SwapFree")
    swap_used = None
    if swap_total is not None and (swap_free is not None or swap_total == 0):
        # As free has it: a container may have more free than there is.
        swap_used = max(0, swap_total - (swap_free or 0))
    return Free(
        total=total,
        used=used,
        free=free,
        shared=get("Shmem"),
        buffers=buffers,
        cache=cache,
        buff_cache=None if cache is None or buffers is None else cache + buffers,
        available=available,
        swap_total=swap_total,
        swap_used=swap_used,
        swap_free=part(swap_free, swap_total),
    )
