"""What processes use at one moment, as it is compared over time: live, recorded or replayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from memtui.model.keys import ProcessKey
from memtui.model.sample import ProcessSample


class Use(NamedTuple):
    """One process, in bytes, each with what of it is swapped out, so that swapping changes nothing.

    `anon_bytes` is RSS without pages of files and shared memory; `pss_bytes` is None where it was not
    read.
    """

    name: str
    anon_bytes: int
    rss_bytes: int
    pss_bytes: int | None = None
    uid: int | None = None
    cgroup: str | None = None


class Look(NamedTuple):
    """All processes that have memory at one moment: seconds since the epoch; `boot` tells one boot of
    the machine from another. `figures`: of the machine, by the names of the table of metrics.
    """

    time_s: float
    boot: str
    uses: Mapping[ProcessKey, Use]
    figures: Mapping[str, float] = {}


def use_of(
    process: ProcessSample,
    *,
    swap_bytes: int | None = None,
    pss_bytes: int | None = None,
    uid: int | None = None,
    cgroup: str | None = None,
) -> Use | None:
    """What a process uses; None: a kernel thread, a zombie, or one whose size is not known.

    `swap_bytes` and `uid` stand for the process's own where those are not known.
    """
    rss, shared = process.rss_bytes, process.shared_bytes
    if process.is_kernel_thread or process.is_zombie or rss is None:
        return None
    swap = process.swap_bytes if process.swap_bytes is not None else swap_bytes or 0
    return Use(
        process.name,
        max(0, rss - (shared or 0)) + swap,
        rss + swap,
        None if pss_bytes is None else pss_bytes + swap,
        process.uid if process.uid is not None else uid,
        cgroup,
    )
