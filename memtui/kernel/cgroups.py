"""Control groups: which ones a process is in.

Source: /proc/PID/cgroup. Document: Documentation/admin-guide/cgroup-v2.rst, cgroups(7).
Permission: anyone. Cost: some 4 µs.
"""

from __future__ import annotations

from typing import NamedTuple

from memtui.kernel.files import Malformed


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
    unified = None
    for membership in memberships:
        if "memory" in membership.controllers:
            return membership.path
        if membership.hierarchy == 0 and not membership.controllers:
            unified = membership.path
    return unified
