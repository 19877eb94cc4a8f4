"""What the OOM killer looks at: each process's size and adjustment, the limits, the policy.

Source: /proc/PID/{stat,status,oom_score,oom_score_adj,cgroup}; memory.oom.group (v2), memory.swappiness
and memory.oom_control (v1) of a group. Document: mm/oom_kill.c, Documentation/filesystems/proc.rst.
Since: oom_score_adj 2.6.36, memory.oom.group 4.19. Permission: anyone (hidepid apart).
Cost of 1,000 processes: 55 ms, and 10 ms more for their groups.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from memtui.kernel.cgroups import (
    memory_cgroup,
    memory_version,
    parse_cgroup,
    parse_limit,
    read_level,
    read_levels,
)
from memtui.kernel.files import Files, Gap
from memtui.kernel.process import (
    parse_identity,
    parse_int,
    read_identity,
    status_bytes,
)
from memtui.kernel.threads import living
from memtui.kernel.values import parse_counters, read_number

_RELEASE: Final = re.compile(rb"(\d{1,4})\.(\d{1,4})")


class OomTask(NamedTuple):
    """One process as the OOM killer sees it. None: not to be read, or not offered.

    The sizes are those of its address space, None for what has none: a kernel thread, a zombie.
    `group` is the path of its memory cgroup, None where that was not asked for.
    """

    pid: int
    start_time_ticks: int
    parent_pid: int
    name: str
    state: str
    is_kernel_thread: bool
    rss_bytes: int | None
    swap_bytes: int | None
    page_tables_bytes: int | None
    oom_score: int | None
    oom_score_adj: int | None
    group: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.state in ("Z", "X")


class OomDomain(NamedTuple):
    """A memory cgroup in which the OOM killer may have to choose.

    `limit_bytes` is None without one: then nothing is killed for its sake. `swap_max_bytes` is what
    it may swap, None without a limit; `swappiness` 0: it does not swap. `kill_disabled`: v1 lets its
    processes wait instead of killing one.
    """

    path: str
    version: Literal[1, 2]
    limit_bytes: int | None
    swap_max_bytes: int | None
    swappiness: int | None
    kill_disabled: bool


def kernel_release(files: Files) -> tuple[int, int] | None:
    """Major and minor number of the kernel, by which its rules are known."""
    data = files.read("proc/sys/kernel/osrelease")
    match = None if isinstance(data, Gap) else _RELEASE.match(data)
    return (int(match[1]), int(match[2])) if match else None


def read_oom_tasks(files: Files, *, groups: bool = False) -> list[OomTask]:
    """Every process there is now, those that end meanwhile left out; with `groups` where each is."""
    tasks = []
    for pid in files.pids():
        task = read_oom_task(files, pid, groups=groups)
        if not isinstance(task, Gap):
            tasks.append(task)
    return tasks


def read_oom_task(files: Files, pid: int, *, groups: bool = False) -> OomTask | Gap:
    """One process now; a Gap where it is gone or nothing says who it is."""
    base = f"proc/{pid}/"
    stat = read_identity(files, pid)
    if isinstance(stat, Gap):
        return stat
    state = stat.state
    if stat.has_lost_its_leader:
        base = living(files, pid, stat) + "/"
        thread = files.parsed(base + "stat", parse_identity)
        state = state if isinstance(thread, Gap) else thread.state
    sizes: tuple[int | None, int | None, int | None] = (None, None, None)
    # Status is the dear one, and says nothing of what has no memory of its own.
    if not stat.is_kernel_thread:
        status = files.read(base + "status")
        if not isinstance(status, Gap):
            sizes = _sizes(status)

    def number(name: str) -> int | None:
        value = files.parsed(base + name, parse_int)
        return None if isinstance(value, Gap) else value

    group = None
    if groups:
        memberships = files.parsed(base + "cgroup", parse_cgroup)
        group = None if isinstance(memberships, Gap) else memory_cgroup(memberships)
    return OomTask(
        pid,
        stat.starttime,
        stat.ppid,
        stat.comm,
        state,
        stat.is_kernel_thread,
        *sizes,
        number("oom_score"),
        number("oom_score_adj"),
        group,
    )


def _sizes(status: bytes) -> tuple[int | None, int | None, int | None]:
    """RSS, swap and page tables in bytes."""
    tables = status_bytes(status, b"VmPTE")
    if tables is not None:
        tables += status_bytes(status, b"VmPMD") or 0  # a line of its own from 4.0 to 4.14
    return status_bytes(status, b"VmRSS"), status_bytes(status, b"VmSwap"), tables


def read_oom_domain(files: Files, path: str) -> OomDomain | Gap:
    """The memory cgroup of that path, as an OOM of its own would find it."""
    version = memory_version(files)
    level = read_level(files, path, version)
    if isinstance(level, Gap):
        return level

    def limit(name: str) -> int | None:
        value = files.parsed(f"{level.directory}/{name}", parse_limit)
        return None if isinstance(value, Gap) else value

    if version == 2:
        swap = limit("memory.swap.max")
        return OomDomain(
            level.path,
            2,
            level.max_bytes,
            swap,
            read_number(files, "proc/sys/vm/swappiness"),
            False,
        )
    # memsw counts memory and swap together.
    both, swap = limit("memory.memsw.limit_in_bytes"), None
    if both is not None and level.max_bytes is not None:
        swap = max(0, both - level.max_bytes)
    control = files.parsed(f"{level.directory}/memory.oom_control", parse_counters)
    return OomDomain(
        level.path,
        1,
        level.max_bytes,
        swap,
        read_number(files, f"{level.directory}/memory.swappiness"),
        not isinstance(control, Gap) and bool(control.get("oom_kill_disable")),
    )


def tightest_group(files: Files, path: str) -> str | None:
    """The group at or above `path` that is nearest to its limit: where an OOM would be.

    `path` itself, or what can be seen of it, where none has a limit; None without any group.
    """
    levels = read_levels(files, path, memory_version(files))
    rooms = [
        (level.max_bytes - level.current_bytes, depth)
        for depth, level in enumerate(levels)
        if level.max_bytes is not None and level.current_bytes is not None
    ]
    if rooms:
        return levels[min(rooms)[1]].path
    return levels[0].path if levels else None


def dies_with(files: Files, path: str, domain: str = "/") -> str | None:
    """The group that is killed as a whole where a process in `path` is chosen, if any.

    The highest one with memory.oom.group at or above the process's own, up to where the OOM is;
    never the root.
    """
    if memory_version(files) == 1:
        return None
    found = None
    for level in read_levels(files, path, 2):
        if level.path != "/" and read_number(files, f"{level.directory}/memory.oom.group") == 1:
            found = level.path
        if level.path == domain:
            break
    return found
