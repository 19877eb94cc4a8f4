"""Why the kernel killed a process, as its log says it."""

from __future__ import annotations

from memtui import units
from memtui.kernel.deaths import CPUSET, POLICY, OomKill


def why_killed(kill: OomKill) -> str:
    """`memory had run out as java asked for more`; printable, and of use after a colon."""
    if kill.is_manual:
        return "somebody asked for it by hand (SysRq f)"
    if kill.is_group:
        full = f" {units.printable(kill.oom_group)}" if kill.oom_group is not None else ""
        why = f"the memory cgroup{full} was full"
    elif kill.constraint in (CPUSET, POLICY):
        by = "cpuset" if kill.constraint == CPUSET else "memory policy"
        nodes = f" (node {kill.nodes})" if kill.nodes else ""
        why = f"the NUMA nodes that a {by} allows{nodes} had none left"
    else:
        why = "memory had run out"
    if kill.invoked_by is not None and kill.invoked_by != kill.name:
        why += f" as {units.printable(kill.invoked_by)} asked for more"
    if kill.took_asker:
        why += ", and it was the one that asked (oom_kill_allocating_task)"
    return why
