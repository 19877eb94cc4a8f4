"""Memory cgroups as a tree: how deep each is, and what it can still take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from memtui import units
from memtui.kernel.cgroups import MemoryGroup, Tree
from memtui.kernel.files import Gap
from memtui.model.cgroups.names import readable_group

# What an administrator wants to know of a group's events; those of v1 have other names.
_EVENTS: Final = {
    "oom_kill": "killed",
    "oom_group_kill": "killed whole",
    "oom": "ran out",
    "max": "at its limit",
    "failcnt": "at its limit",
    "high": "above high",
    "low": "below low",
}


class GroupRow(NamedTuple):
    """A group in its place. `depth` counts from the root, 0.

    `headroom_bytes` is what it can take until the tightest limit, its own or `limited_by`'s above
    it; None without any.
    """

    group: MemoryGroup
    depth: int
    name: str
    headroom_bytes: int | None
    limited_by: str | None


def group_rows(tree: Tree) -> list[GroupRow]:
    """The tree in its own order: a group, then those in it."""
    room: dict[str, tuple[int, str] | None] = {}
    depths: dict[str, int] = {}
    rows = []
    for group in tree.groups:
        own = _room(group)
        parent = _parent(group.path, depths)
        above = None if parent is None else room[parent]
        tightest = min((each for each in (own, above) if each is not None), default=None)
        room[group.path] = tightest
        depth = 0 if parent is None else depths[parent] + 1
        depths[group.path] = depth
        # A captured tree may lack the files of a group in between.
        between = group.path.removeprefix(parent or "").lstrip("/").rpartition("/")[0]
        rows.append(
            GroupRow(
                group,
                depth,
                (between + "/" if between else "") + readable_group(group.path),
                None if tightest is None else tightest[0],
                None if tightest is None else tightest[1],
            )
        )
    return rows


def _room(group: MemoryGroup) -> tuple[int, str] | None:
    if group.limit_bytes is None or group.current_bytes is None:
        return None
    return max(0, group.limit_bytes - group.current_bytes), group.path


def _parent(path: str, seen: Mapping[str, int]) -> str | None:
    """The nearest group above it that has the controller's files; None for the first."""
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        if path in seen:
            return path
    return None


def parts(group: MemoryGroup) -> dict[str, int | None]:
    """anon, file, kernel, slab and sock in bytes, with all below it; None: not counted by this kernel."""
    if isinstance(group.stat, Gap):
        return dict.fromkeys(("anon", "file", "kernel", "slab", "sock"))
    stat = group.stat
    if group.version == 1:
        counted = {"anon": stat.get("total_rss"), "file": stat.get("total_cache")}
        return {**counted, "kernel": None, "slab": None, "sock": None}
    kernel = stat.get("kernel")
    if kernel is None:  # before 5.18: the parts it is the sum of
        known = [
            stat[key] for key in ("kernel_stack", "pagetables", "slab", "percpu") if key in stat
        ]
        kernel = sum(known) if known else None
    return {
        "anon": stat.get("anon"),
        "file": stat.get("file"),
        "kernel": kernel,
        "slab": stat.get("slab"),
        "sock": stat.get("sock"),
    }


def event_words(group: MemoryGroup) -> str:
    """What has happened in it, `killed 2, at its limit 41 234`; empty where nothing has."""
    if isinstance(group.events, Gap):
        return ""
    return ", ".join(
        f"{words} {units.count(count)}"
        for key, words in _EVENTS.items()
        if (count := group.events.get(key))
    )
