"""Where memory cgroups are mounted, of version 1 and 2.

Source: /proc/self/mountinfo. Document: proc(5), "mountinfo". Permission: anyone.
Cost: some 10 µs a hundred mounts, once a machine.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

from memtui.kernel.files import Files, Gap


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


_MOUNTINFO: Final = "proc/self/mountinfo"
_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")
# By machine, since mounts change seldom and there may be thousands: none that has no groups yet.
_known_mounts: WeakKeyDictionary[Files, tuple[CgroupMount, ...]] = WeakKeyDictionary()


def parse_cgroup_mounts(data: bytes) -> list[tuple[Literal[1, 2], str, str]]:
    """The version, root and place of each mount of memory cgroups; v1's others are left out.

    Lines are `36 35 0:32 ROOT PLACE OPTIONS [TAGS…] - TYPE SOURCE SUPER_OPTIONS`, with blanks in
    octal.
    """
    found: list[tuple[Literal[1, 2], str, str]] = []
    for line in data.splitlines():
        before, _, after = line.partition(b" - ")
        words, kind = before.split(b" "), after.split(b" ")
        if len(words) < 6 or len(kind) < 3:
            continue
        version: Literal[1, 2] = 2 if kind[0] == b"cgroup2" else 1
        if version == 1 and (kind[0] != b"cgroup" or b"memory" not in kind[2].split(b",")):
            continue
        root, place = (
            _ESCAPED.sub(lambda match: bytes((int(match[1], 8) & 255,)), word).decode(
                "utf-8", "surrogateescape"
            )
            for word in words[3:5]
        )
        found.append((version, root, place))
    return found


def cgroup_mounts(files: Files) -> tuple[CgroupMount, ...]:
    """All that memory cgroups are seen at; read once a machine."""
    known = _known_mounts.get(files)
    if known is None:
        found = files.parsed(_MOUNTINFO, parse_cgroup_mounts)
        known = (
            ()
            if isinstance(found, Gap)
            else tuple(
                CgroupMount(version, root, place.strip("/"))
                for version, root, place in found
                if not root.startswith("/..")  # outside of this cgroup namespace
            )
        )
        if known:
            _known_mounts[files] = known
    return known


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
