"""Where memory cgroups are mounted, of version 1 and 2.

Source: /proc/self/mountinfo. Document: proc(5), "mountinfo". Permission: anyone.
Cost: some 10 µs a hundred mounts, once a machine.
"""

from __future__ import annotations

from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

from memtui.kernel.files import Files, Gap
from memtui.kernel.mounts import Mount, parse_mountinfo


class CgroupMount(NamedTuple):
    """Where the groups from `root` on are. A container's begins at its own group."""

    version: Literal[1, 2]
    root: str
    directory: str

    def holds(self, path: str) -> bool:
        return self.root == "/" or path == self.root or path.startswith(self.root + "/")

    def name_of(self, path: str) -> str:
        """The directory of a group by its path."""
        # One that is not below the root is told from another cgroup namespace: as it is.
        inner = path.removeprefix(self.root) if self.root != "/" and self.holds(path) else path
        return f"{self.directory}/{inner.lstrip('/')}".rstrip("/")


# By machine, since mounts change seldom and there may be thousands: none that has no groups yet.
_known_mounts: WeakKeyDictionary[Files, tuple[CgroupMount, ...]] = WeakKeyDictionary()


def cgroup_mounts(files: Files) -> tuple[CgroupMount, ...]:
    """All that memory cgroups are seen at, v1's others left out; read once a machine."""
    known = _known_mounts.get(files)
    if known is None:
        found = files.parsed("proc/self/mountinfo", parse_mountinfo)
        known = () if isinstance(found, Gap) else tuple(filter(None, map(_of_groups, found)))
        if known:
            _known_mounts[files] = known
    return known


def _of_groups(mount: Mount) -> CgroupMount | None:
    version: Literal[1, 2] = 2 if mount.type == "cgroup2" else 1
    if version == 1 and (mount.type != "cgroup" or "memory" not in mount.options):
        return None
    if mount.root.startswith("/.."):  # outside of this cgroup namespace
        return None
    return CgroupMount(version, mount.root, mount.point.strip("/"))


def cgroup_mount(files: Files, version: Literal[1, 2]) -> CgroupMount:
    """Where a hierarchy is. Without mountinfo where it always was: on hybrid hosts v2 has its own."""
    of_version = [each for each in cgroup_mounts(files) if each.version == version]
    if of_version:
        return min(of_version, key=lambda each: len(each.root))  # whole before a part of it
    if version == 1:
        return CgroupMount(1, "/", "sys/fs/cgroup/memory")
    unified = "sys/fs/cgroup/unified"
    is_there = not isinstance(files.stat(unified), Gap)
    return CgroupMount(2, "/", unified if is_there else "sys/fs/cgroup")
