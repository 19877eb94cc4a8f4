"""Where one process stands, read when it is chosen: its limits, and its memory cgroup's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from memtui.kernel.cgroups import Confinement, parse_cgroup, read_confinement
from memtui.kernel.details import Limit, parse_limits
from memtui.kernel.files import Files, Gap
from memtui.kernel.process import read_identity
from memtui.kernel.threads import living
from memtui.model.keys import ProcessKey


class Place(NamedTuple):
    """What was read of the process `key`."""

    key: ProcessKey
    limits: Mapping[str, Limit] | Gap
    confinement: Confinement | Gap | None


def read_place(files: Files, key: ProcessKey) -> Place:
    """A process's limits and the groups that hold its memory; Gaps where it is another by now."""
    limits: Mapping[str, Limit] | Gap = files.parsed(f"proc/{key.pid}/limits", parse_limits)
    groups = files.parsed(f"{living(files, key.pid)}/cgroup", parse_cgroup)
    confinement = groups if isinstance(groups, Gap) else read_confinement(files, groups)
    stat = read_identity(files, key.pid)
    if isinstance(stat, Gap) or stat.starttime != key.start_time_ticks:
        gap = Gap(f"proc/{key.pid}", "gone")
        return Place(key, gap, gap)
    return Place(key, limits, confinement)
