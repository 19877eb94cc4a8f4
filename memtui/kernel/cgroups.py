"""Control groups: which ones a process is in, and what the memory controller says of them.

Source: /proc/PID/cgroup; memory.* below /sys/fs/cgroup (v2), /sys/fs/cgroup/memory (v1).
Document: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, cgroups(7). Permission: anyone.
Cost: some 4 µs for a membership, 10 µs a counter; memory.stat up to 100 µs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from memtui.frozen import FrozenDict
from memtui.kernel.files import Files, Gap, Malformed
from memtui.kernel.pressure import Pressure, parse_pressure
from memtui.kernel.values import Counters, number, parse_counters

# v1 writes "no limit" as the largest multiple of a page below 2^63; nobody has half of that.
_NO_LIMIT: Final = 1 << 62
_V1_LEVEL: Final = ("memory.usage_in_bytes", "memory.limit_in_bytes")
GROUPS_AT_MOST: Final = 10_000
_LONGEST_PATH: Final = 4096  # the kernel's own limit


class Membership(NamedTuple):
    """One line: hierarchy 0 is cgroup v2's, its controllers empty."""

    hierarchy: int
    controllers: tuple[str, ...]
    path: str


def parse_cgroup(data: bytes) -> list[Membership]:
    """Every hierarchy. Paths may hold colons, so only the first two divide. Raises Malformed."""
    memberships = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if not line:
            continue
        try:
            number, controllers, path = line.split(":", 2)
            names = tuple(controllers.split(",")) if controllers else ()
            memberships.append(Membership(int(number), names, path))
        except ValueError:
            raise Malformed(repr(line[:60])) from None
    return memberships


def memory_cgroup(memberships: list[Membership]) -> str | None:
    """The group that memory is charged to.

    On hybrid hosts both exist and `0::/` is the wrong line: where a v1 hierarchy has the memory
    controller, that one counts.
    """
    found = _memory_membership(memberships)
    return found.path if found else None


def _memory_membership(memberships: list[Membership]) -> Membership | None:
    unified = None
    for membership in memberships:
        if "memory" in membership.controllers:
            return membership
        if membership.hierarchy == 0 and not membership.controllers:
            unified = membership
    return unified


class MemoryGroup(NamedTuple):
    """What the memory controller says of one group, in bytes; None: no limit, or not offered.

    `high_bytes` is v1's soft limit; `min_bytes` and `low_bytes`, which v1 has not, are what reclaim
    leaves it, always and if it can. `stat` and `events` verbatim: memory.stat, and memory.events (v2)
    or memory.oom_control with memory.failcnt as `failcnt` (v1). `pressure` is PSI of the group's
    tasks alone.
    """

    path: str
    version: Literal[1, 2]
    current_bytes: int | None
    peak_bytes: int | None
    max_bytes: int | None
    high_bytes: int | None
    swap_bytes: int | None
    swap_max_bytes: int | None
    stat: Mapping[str, int] | Gap
    events: Mapping[str, int] | Gap
    pressure: Pressure | Gap
    min_bytes: int | None = None
    low_bytes: int | None = None


class Level(NamedTuple):
    """A group on the way from a process's own to the root: what it uses of which limit."""

    path: str
    directory: str
    current_bytes: int | None
    limit_bytes: int | None


class Confinement(NamedTuple):
    """The groups a process is in, its own first, and all about the one whose limit is the smallest.

    `group` is the process's own where none has a limit. `headroom_bytes` is what the fullest of them
    can still take, None without any limit.
    """

    version: Literal[1, 2]
    levels: tuple[Level, ...]
    group: MemoryGroup

    @property
    def limit_bytes(self) -> int | None:
        return min((level.limit_bytes for level in self.levels if level.limit_bytes), default=None)

    @property
    def headroom_bytes(self) -> int | None:
        rooms = (
            level.limit_bytes - level.current_bytes
            for level in self.levels
            if level.limit_bytes is not None and level.current_bytes is not None
        )
        room = min(rooms, default=None)
        return None if room is None else max(0, room)


def parse_limit(data: bytes) -> int | None:
    """A limit in bytes; None for `max` and for v1's huge numbers. Raises Malformed."""
    word = data.strip()
    if word != b"max" and not word.removeprefix(b"-").isdigit():
        raise Malformed(repr(data[:60].decode("ascii", "backslashreplace")))
    limit = number(word)
    return None if limit is None or limit >= _NO_LIMIT else limit


def read_confinement(
    files: Files, memberships: list[Membership], *, always: bool = True
) -> Confinement | Gap | None:
    """The groups that hold a process's memory, its own first.

    Gap where the hierarchy cannot be read. Unless `always`, None where no group has a limit, at the
    cost of the limits alone.
    """
    membership = _memory_membership(memberships)
    if membership is None:
        return Gap("proc/self/cgroup", "absent", "no memory controller")
    version: Literal[1, 2] = 1 if membership.controllers else 2
    mount = _mount(files, version)
    levels = _levels(files, mount, membership.path, version)
    if not levels:
        return Gap(f"{mount}{membership.path}", "absent")
    tightest = levels[0]
    for level in levels:
        if level.limit_bytes is not None and (
            tightest.limit_bytes is None or level.limit_bytes < tightest.limit_bytes
        ):
            tightest = level
    if tightest.limit_bytes is None and not always:
        return None
    pressure = None
    if version == 1:
        # A hybrid host has PSI in the v2 hierarchy, whose groups systemd names alike.
        own = next((each.path for each in memberships if not each.controllers), "/")
        if own == membership.path != "/":
            pressure = f"{_mount(files, 2)}{tightest.path}/memory.pressure"
    return Confinement(version, levels, read_memory_group(files, tightest, version, pressure))


def read_memory_group(
    files: Files, level: Level, version: Literal[1, 2], pressure: str | None = None
) -> MemoryGroup:
    """All about one group; what it does not offer, as the root group most of it, is None or a Gap.

    `pressure` names PSI's file where it is in another hierarchy.
    """

    def limit(name: str) -> int | None:
        value = files.parsed(f"{level.directory}/{name}", parse_limit)
        return None if isinstance(value, Gap) else value

    def counters(name: str) -> Counters | Gap:
        return files.parsed(f"{level.directory}/{name}", parse_counters)

    stat = counters("memory.stat")
    if version == 2:
        return MemoryGroup(
            level.path,
            2,
            level.current_bytes,
            limit("memory.peak"),
            level.limit_bytes,
            limit("memory.high"),
            limit("memory.swap.current"),
            limit("memory.swap.max"),
            stat,
            counters("memory.events"),
            files.parsed(pressure or f"{level.directory}/memory.pressure", parse_pressure),
            limit("memory.min"),
            limit("memory.low"),
        )
    events = counters("memory.oom_control")
    failures = limit("memory.failcnt")
    if failures is not None:
        # Without memory.oom_control, as a container may be, it is told all the same.
        kills = Counters(()) if isinstance(events, Gap) else events
        events = Counters({**kills, "failcnt": failures}, kills.impossible)
    # memsw counts memory and swap together.
    both, both_limit = limit("memory.memsw.usage_in_bytes"), limit("memory.memsw.limit_in_bytes")
    current = level.current_bytes
    swap = None if isinstance(stat, Gap) else stat.get("total_swap")
    if swap is None and both is not None and current is not None:
        swap = max(0, both - current)
    swap_max = None
    if both_limit is not None and level.limit_bytes is not None:
        swap_max = max(0, both_limit - level.limit_bytes)
    psi: Pressure | Gap = Gap(
        f"{level.directory}/memory.pressure", "absent", "cgroup v1 has no PSI of its own"
    )
    if pressure:
        psi = files.parsed(pressure, parse_pressure)
    return MemoryGroup(
        level.path,
        1,
        current,
        limit("memory.max_usage_in_bytes"),
        level.limit_bytes,
        limit("memory.soft_limit_in_bytes"),
        swap,
        swap_max,
        stat,
        events,
        psi,
    )


class Tree(NamedTuple):
    """Every memory cgroup there is, a group before those in it; `is_cut`: there are more."""

    version: Literal[1, 2]
    groups: tuple[MemoryGroup, ...]
    is_cut: bool = False


def memory_version(files: Files) -> Literal[1, 2]:
    """Which hierarchy has the memory controller: on hybrid hosts it is v1's."""
    # A group of v2 may be called "memory", too.
    if _is_there(files, "sys/fs/cgroup/cgroup.controllers"):
        return 2
    return 1 if _is_there(files, "sys/fs/cgroup/memory") else 2


def read_tree(files: Files, at_most: int = GROUPS_AT_MOST) -> Tree | Gap:
    """All memory cgroups, siblings in order of name; those that go away meanwhile are left out.

    Links are not followed, so there is no going round in circles.
    """
    version = memory_version(files)
    mount = _mount(files, version)
    if not _is_there(files, mount):
        return Gap(mount, "absent", "no memory cgroups")
    groups: list[MemoryGroup] = []
    waiting = ["/"]
    while waiting and len(groups) < at_most:
        path = waiting.pop()
        directory = f"{mount}{path}".rstrip("/")
        level = _level(files, path, directory, version)
        # A group without the controller has no files of it, but may have groups that do.
        if level is not None:
            groups.append(read_memory_group(files, level, version, _psi(files, path, version)))
        below = [f"{path.rstrip('/')}/{name}" for name in files.directories(directory)]
        waiting += reversed(below)
    if not groups:
        return Gap(mount, "absent", "no memory cgroups")
    return Tree(version, tuple(groups), bool(waiting))


def read_kill_counts(files: Files, at_most: int = GROUPS_AT_MOST) -> Mapping[str, int]:
    """How many processes the OOM killer took in each group, by its path; 15 µs a group.

    Version 2 counts those of the groups below too. Empty where nothing counts them (before 4.13).
    """
    version = memory_version(files)
    mount = _mount(files, version)
    name = "memory.events" if version == 2 else "memory.oom_control"
    counts: dict[str, int] = {}
    waiting, seen = ["/"], 0
    while waiting and seen < at_most:
        path = waiting.pop()
        seen += 1
        directory = f"{mount}{path}".rstrip("/")
        counters = files.parsed(f"{directory}/{name}", parse_counters)
        if not isinstance(counters, Gap) and "oom_kill" in counters:
            counts[path] = counters["oom_kill"]
        waiting += [f"{path.rstrip('/')}/{each}" for each in files.directories(directory)]
    return FrozenDict(counts)


def _psi(files: Files, path: str, version: Literal[1, 2]) -> str | None:
    """Where a v1 group's PSI is: a hybrid host has it in v2's groups, which systemd names alike."""
    if version == 2 or path == "/":
        return None
    name = f"{_mount(files, 2)}{path}/memory.pressure"
    return name if _is_there(files, name) else None


def read_level(files: Files, path: str, version: Literal[1, 2]) -> Level | Gap:
    """One group's use and limit by its path."""
    directory = f"{_mount(files, version)}{path}".rstrip("/")
    level = _level(files, path.rstrip("/") or "/", directory, version)
    return level or Gap(directory, "absent", "no such memory cgroup")


def read_levels(files: Files, path: str, version: Literal[1, 2]) -> tuple[Level, ...]:
    """The groups of a path, itself first, that can be seen."""
    return _levels(files, _mount(files, version), path, version)


def _is_there(files: Files, name: str) -> bool:
    return not isinstance(files.stat(name), Gap)


def _mount(files: Files, version: Literal[1, 2]) -> str:
    """Where a hierarchy is: on hybrid hosts v2 has a directory of its own."""
    if version == 1:
        return "sys/fs/cgroup/memory"
    return "sys/fs/cgroup/unified" if _is_there(files, "sys/fs/cgroup/unified") else "sys/fs/cgroup"


def _levels(files: Files, mount: str, path: str, version: Literal[1, 2]) -> tuple[Level, ...]:
    """The groups of a path, itself first, that can be seen."""
    if len(path) > _LONGEST_PATH:
        return ()
    parts = [part for part in path.split("/") if part]
    levels = []
    for count in range(len(parts), -1, -1):
        # A container's own mount begins at its group, which is then the root here.
        inner = "/" + "/".join(parts[:count])
        directory = f"{mount}{inner}".rstrip("/")
        level = _level(files, inner, directory, version)
        if level is not None:
            levels.append(level)
    return tuple(levels)


def _level(files: Files, path: str, directory: str, version: Literal[1, 2]) -> Level | None:
    """A group's use and limit; None where there is no such group, or none of this controller."""
    use, most = ("memory.current", "memory.max") if version == 2 else _V1_LEVEL
    limit = files.parsed(f"{directory}/{most}", parse_limit)
    if isinstance(limit, Gap) and (path != "/" or not _is_there(files, directory)):
        return None  # v2's root has no counters, but is there
    current = files.parsed(f"{directory}/{use}", parse_limit)
    return Level(
        path,
        directory,
        None if isinstance(current, Gap) else current,
        None if isinstance(limit, Gap) else limit,
    )
