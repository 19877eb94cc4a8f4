"""Control groups: which ones a process is in, and what the memory controller says of them.

Source: /proc/PID/cgroup; memory.* below where /proc/self/mountinfo says, which is mostly /sys/fs/cgroup
(v2) or /sys/fs/cgroup/memory (v1), on RHEL 6 /cgroup/memory, on Android /dev/memcg.
Document: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, cgroups(7). Permission: anyone.
Cost: some 4 µs for a membership, 10 µs a counter; memory.stat up to 100 µs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from memtui.frozen import FrozenDict
from memtui.kernel.cgroupmounts import CgroupMount, cgroup_mount, cgroup_mounts
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

    @property
    def limit_bytes(self) -> int | None:
        """What binds it: v2's high throttles whoever is above it, v1's soft limit binds nobody."""
        return _bound(self.max_bytes, self.high_bytes if self.version == 2 else None)

    @property
    def gives_way_bytes(self) -> int | None:
        """What reclaim can take without swapping: files on disk and slabs; None: not told."""
        if isinstance(self.stat, Gap):
            return None
        prefix = "total_" if self.version == 1 else ""
        files = [self.stat.get(f"{prefix}{each}_file") for each in ("active", "inactive")]
        known = [value for value in files if value is not None]
        if len(known) < len(files):
            return None
        return sum(known) + self.stat.get("slab_reclaimable", 0)

    @property
    def available_bytes(self) -> int | None:
        """What can still be had below its limit without swapping; None without a limit."""
        if self.limit_bytes is None or self.current_bytes is None:
            return None
        room = max(0, self.limit_bytes - self.current_bytes)
        return min(self.limit_bytes, room + (self.gives_way_bytes or 0))


class Level(NamedTuple):
    """A group on the way from a process's own to the root: what it uses of which limits.

    `high_bytes` is v2's alone, and `soft_bytes` v1's, which binds nobody until the machine is short.
    """

    path: str
    directory: str
    current_bytes: int | None
    max_bytes: int | None
    high_bytes: int | None = None
    soft_bytes: int | None = None

    @property
    def limit_bytes(self) -> int | None:
        """The lower of the two."""
        return _bound(self.max_bytes, self.high_bytes)

    @property
    def headroom_bytes(self) -> int | None:
        """What it can still take; None without a limit."""
        if self.limit_bytes is None or self.current_bytes is None:
            return None
        return max(0, self.limit_bytes - self.current_bytes)


class Confinement(NamedTuple):
    """The groups a process is in, its own first, and all about the one that binds.

    `group` is of those with a limit that in which the least can still be had, files in memory that
    give way included, and the process's own where none has a limit. `members` are the pids in it and
    in those below it; None: not asked for, or not told.
    """

    version: Literal[1, 2]
    levels: tuple[Level, ...]
    group: MemoryGroup
    members: frozenset[int] | None = None

    @property
    def limit_bytes(self) -> int | None:
        return self.group.limit_bytes

    @property
    def limit_name(self) -> str:
        """The file of the limit that binds."""
        if self.version == 1:
            return _V1_LEVEL[1]
        return "memory.max" if self.limit_bytes == self.group.max_bytes else "memory.high"

    @property
    def above_soft(self) -> Level | None:
        """The nearest group that is above v1's soft limit: it is taken from first."""
        for level in self.levels:
            if level.soft_bytes is not None and (level.current_bytes or 0) > level.soft_bytes:
                return level
        return None

    @property
    def headroom_bytes(self) -> int | None:
        """What the group that binds can still take as it is; None without any limit."""
        if self.limit_bytes is None or self.group.current_bytes is None:
            return None
        return max(0, self.limit_bytes - self.group.current_bytes)


def _bound(most: int | None, high: int | None) -> int | None:
    return min((each for each in (most, high) if each is not None), default=None)


def parse_limit(data: bytes) -> int | None:
    """A limit in bytes; None for `max` and for v1's huge numbers. Raises Malformed."""
    word = data.strip()
    if word != b"max" and not word.removeprefix(b"-").isdigit():
        raise Malformed(repr(data[:60].decode("ascii", "backslashreplace")))
    limit = number(word)
    return None if limit is None or limit >= _NO_LIMIT else limit


def read_confinement(
    files: Files, memberships: list[Membership], *, always: bool = True, members: bool = False
) -> Confinement | Gap | None:
    """The groups that hold a process's memory, its own first.

    Gap where the hierarchy cannot be read. Unless `always`, None where no group has a limit, at the
    cost of the limits alone. `members` are looked for only if they are asked for.
    """
    membership = _memory_membership(memberships)
    if membership is None:
        return Gap("proc/self/cgroup", "absent", "no memory controller")
    version: Literal[1, 2] = 1 if membership.controllers else 2
    mount = cgroup_mount(files, version)
    levels = _levels(files, mount, membership.path, version)
    if not levels:
        return Gap(mount.name_of(membership.path), "absent")
    limited = [level for level in levels if level.limit_bytes is not None]
    if not limited and not always:
        return None
    # A hybrid host has PSI in the v2 hierarchy, whose groups systemd names alike.
    unified = next((each.path for each in memberships if not each.controllers), "/")
    has_psi = version == 1 and unified == membership.path != "/"
    groups = [
        read_memory_group(
            files,
            level,
            version,
            f"{cgroup_mount(files, 2).name_of(level.path)}/memory.pressure" if has_psi else None,
        )
        for level in limited or levels[:1]
    ]
    group = min(groups, key=_scarcity)
    found = None
    if members:
        directory = next(each.directory for each in levels if each.path == group.path)
        found = _members(files, directory)
    return Confinement(version, levels, group, found)


def _scarcity(group: MemoryGroup) -> tuple[int, int]:
    """What orders groups by how little is left in them; of two alike the smaller limit binds."""
    limit = group.limit_bytes or 0
    available = group.available_bytes
    return limit if available is None else available, limit


def _members(files: Files, directory: str) -> frozenset[int] | None:
    """The pids in a group and in those below it; None where nobody tells."""
    pids: set[int] = set()
    waiting, seen, told = [directory], 0, False
    while waiting and seen < GROUPS_AT_MOST:
        name = waiting.pop()
        seen += 1
        data = files.read(f"{name}/cgroup.procs")
        if not isinstance(data, Gap):
            told = True
            # 0 stands for a process of another PID namespace.
            pids.update(int(word) for word in data.split() if word.isdigit() and len(word) < 11)
        waiting += [f"{name}/{each}" for each in files.directories(name)]
    return frozenset(pids - {0}) if told else None


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
            level.max_bytes,
            level.high_bytes,
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
    if both_limit is not None and level.max_bytes is not None:
        swap_max = max(0, both_limit - level.max_bytes)
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
        level.max_bytes,
        level.soft_bytes,
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
    mounts = cgroup_mounts(files)
    if mounts:
        return 1 if any(each.version == 1 for each in mounts) else 2
    # A group of v2 may be called "memory", too.
    if _is_there(files, "sys/fs/cgroup/cgroup.controllers"):
        return 2
    return 1 if _is_there(files, "sys/fs/cgroup/memory") else 2


def read_tree(files: Files, at_most: int = GROUPS_AT_MOST) -> Tree | Gap:
    """All memory cgroups, siblings in order of name; those that go away meanwhile are left out.

    Links are not followed, so there is no going round in circles.
    """
    version = memory_version(files)
    mount = cgroup_mount(files, version)
    if not _is_there(files, mount.directory):
        return _no_tree(files, mount.directory)
    groups: list[MemoryGroup] = []
    waiting = [mount.root]
    while waiting and len(groups) < at_most:
        path = waiting.pop()
        directory = mount.name_of(path)
        level = _level(files, path, directory, version)
        # A group without the controller has no files of it, but may have groups that do.
        if level is not None:
            groups.append(read_memory_group(files, level, version, _psi(files, path, version)))
        below = [f"{path.rstrip('/')}/{name}" for name in files.directories(directory)]
        waiting += reversed(below)
    if not groups:
        return _no_tree(files, mount.directory)
    return Tree(version, tuple(groups), bool(waiting))


def _no_tree(files: Files, directory: str) -> Gap:
    """Why there is none: a process may be in a group of the controller that nobody has mounted here."""
    memberships = files.parsed("proc/self/cgroup", parse_cgroup)
    if isinstance(memberships, Gap) or not any(
        "memory" in each.controllers for each in memberships
    ):
        return Gap(directory, "absent", "no memory cgroups")
    return Gap(directory, "failed", "there are memory cgroups, but they are not mounted here")


def read_kill_counts(files: Files, at_most: int = GROUPS_AT_MOST) -> Mapping[str, int]:
    """How many processes the OOM killer took in each group, by its path; 15 µs a group.

    Version 2 counts those of the groups below too. Empty where nothing counts them (before 4.13).
    """
    version = memory_version(files)
    mount = cgroup_mount(files, version)
    name = "memory.events" if version == 2 else "memory.oom_control"
    counts: dict[str, int] = {}
    waiting, seen = [mount.root], 0
    while waiting and seen < at_most:
        path = waiting.pop()
        seen += 1
        directory = mount.name_of(path)
        counters = files.parsed(f"{directory}/{name}", parse_counters)
        if not isinstance(counters, Gap) and "oom_kill" in counters:
            counts[path] = counters["oom_kill"]
        waiting += [f"{path.rstrip('/')}/{each}" for each in files.directories(directory)]
    return FrozenDict(counts)


def _psi(files: Files, path: str, version: Literal[1, 2]) -> str | None:
    """Where a v1 group's PSI is: a hybrid host has it in v2's groups, which systemd names alike."""
    if version == 2 or path == "/":
        return None
    name = f"{cgroup_mount(files, 2).name_of(path)}/memory.pressure"
    return name if _is_there(files, name) else None


def read_level(files: Files, path: str, version: Literal[1, 2]) -> Level | Gap:
    """One group's use and limit by its path."""
    directory = cgroup_mount(files, version).name_of(path)
    level = _level(files, path.rstrip("/") or "/", directory, version)
    return level or Gap(directory, "absent", "no such memory cgroup")


def read_levels(files: Files, path: str, version: Literal[1, 2]) -> tuple[Level, ...]:
    """The groups of a path, itself first, that can be seen."""
    return _levels(files, cgroup_mount(files, version), path, version)


def _is_there(files: Files, name: str) -> bool:
    return not isinstance(files.stat(name), Gap)


def _levels(
    files: Files, mount: CgroupMount, path: str, version: Literal[1, 2]
) -> tuple[Level, ...]:
    """The groups of a path, itself first, that can be seen."""
    if len(path) > _LONGEST_PATH:
        return ()
    parts = [part for part in path.split("/") if part]
    levels: list[Level] = []
    for count in range(len(parts), -1, -1):
        # A container's own mount begins at its group, which without mountinfo is the root here.
        inner = "/" + "/".join(parts[:count])
        if not mount.holds(inner) and (levels or mount.holds(path)):
            break
        level = _level(files, inner, mount.name_of(inner), version)
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
    weak = "memory.high" if version == 2 else "memory.soft_limit_in_bytes"
    lower = files.parsed(f"{directory}/{weak}", parse_limit)
    lower = None if isinstance(lower, Gap) else lower
    return Level(
        path,
        directory,
        None if isinstance(current, Gap) else current,
        None if isinstance(limit, Gap) else limit,
        lower if version == 2 else None,
        lower if version == 1 else None,
    )
