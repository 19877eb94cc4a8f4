"""What an experiment may need of the machine and of its user, and whether it is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from memtui.kernel.cgroupmounts import cgroup_mount
from memtui.kernel.cgroups import memory_cgroup, memory_version, parse_cgroup, read_confinement
from memtui.kernel.files import Files, Gap
from memtui.kernel.ground import place
from memtui.kernel.hidden import FOREIGN, is_own_proc
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.mounts import parse_mountinfo
from memtui.kernel.process import status_value
from memtui.kernel.values import read_number
from memtui.lab.experiment import Experiment, Need
from memtui.model.system.free import allocatable_bytes
from memtui.units import size

_CAP_SYS_ADMIN: Final = 21
_IN_MEMORY: Final = ("tmpfs", "ramfs")
_NO_ATTACH: Final = 2  # of yama's ptrace_scope: from here on only the administrator
# An experiment takes no more than this share of what can still be had, so that nobody else feels it.
_SHARE: Final = 10


class _Asked(NamedTuple):
    """Where a need is asked for."""

    files: Files
    readonly: bool


def _is_root(asked: _Asked) -> bool:
    return os.geteuid() == 0


def _may_administer(asked: _Asked) -> bool:
    status = asked.files.read("proc/self/status")
    mask = b"0" if isinstance(status, Gap) else status_value(status, b"CapEff") or b"0"
    return bool(int(mask, 16) >> _CAP_SYS_ADMIN & 1)


def _may_make_groups(asked: _Asked) -> bool:
    parent = group_parent(asked.files)
    return not asked.readonly and parent is not None and os.access(parent[1], os.W_OK | os.X_OK)


def _may_swap(asked: _Asked) -> bool:
    has_swap = not isinstance(asked.files.stat("proc/swaps"), Gap)
    return not asked.readonly and has_swap and _is_on_disk(asked) and _may_administer(asked)


def _may_trace(asked: _Asked) -> bool:
    scope = read_number(asked.files, "proc/sys/kernel/yama/ptrace_scope") or 0
    return scope < _NO_ATTACH or (scope == _NO_ATTACH and _may_administer(asked))


def _is_on_disk(asked: _Asked) -> bool:
    """Whether the directory of an experiment has files that can leave memory."""
    mounts = asked.files.parsed("proc/self/mountinfo", parse_mountinfo)
    path = os.path.realpath(place()) + "/"
    above = [] if isinstance(mounts, Gap) else mounts
    holding = [each for each in above if path.startswith(each.point.rstrip("/") + "/")]
    # The last of those that are mounted at one point is the one that is seen.
    nearest = max(reversed(holding), key=lambda each: len(each.point), default=None)
    return nearest is None or nearest.type not in _IN_MEMORY


def _is_glibc(_asked: _Asked) -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except ValueError:
        return False


class _Kind(NamedTuple):
    """A need: what is missing without it, in words, and whether it is there."""

    words: str
    is_there: Callable[[_Asked], bool]


NEEDS: Final[Mapping[Need, _Kind]] = {
    "root": _Kind("it needs root", _is_root),
    "cgroup v1": _Kind(
        "it needs a memory cgroup of version 1 that it may make groups in, and no --readonly",
        _may_make_groups,
    ),
    "swap": _Kind(
        "it needs swap of its own, which root may have on a disk, and no --readonly", _may_swap
    ),
    "pagemap": _Kind(
        "it needs CAP_SYS_ADMIN, as page frames are shown to nobody else", _may_administer
    ),
    "ptrace": _Kind("it needs ptrace, which yama forbids here", _may_trace),
    "disk": _Kind(f"it needs {place()} on a disk", _is_on_disk),
    "glibc": _Kind("it looks into glibc's malloc, and this is another C library", _is_glibc),
}


def what_there_is(files: Files, experiment: Experiment, *, readonly: bool) -> frozenset[Need]:
    """Of what it needs and likes."""
    asked = _Asked(files, readonly)
    wanted = experiment.needs | experiment.likes
    return frozenset(need for need in wanted if NEEDS[need].is_there(asked))


def why_not(files: Files, experiment: Experiment, *, readonly: bool) -> Gap | None:
    """Why it cannot be run here and now; None where it can."""
    source = f"lab {experiment.name}"
    if not files.is_live:
        return Gap(source, "unsupported", "experiments run on this machine, not below --root")
    if not is_own_proc(files.read("proc/self/status"), os.getpid()):
        return Gap(source, "unsupported", FOREIGN)
    missing = experiment.needs - what_there_is(files, experiment, readonly=readonly)
    if missing:
        return Gap(source, "unsupported", "; ".join(NEEDS[need].words for need in sorted(missing)))
    left = _left_bytes(files)
    if left is None or left < _SHARE * experiment.at_most_bytes:
        detail = (
            f"it takes up to {size(experiment.at_most_bytes)}, which is more than a tenth of the "
            f"{size(left)} that can still be had"
        )
        return Gap(source, "failed", detail)
    return None


def _left_bytes(files: Files) -> int | None:
    """What can still be had, of the machine and in the groups that memtui is in."""
    machine = allocatable_bytes(files.parsed("proc/meminfo", parse_meminfo))
    memberships = files.parsed("proc/self/cgroup", parse_cgroup)
    if isinstance(memberships, Gap):
        return machine
    group = read_confinement(files, memberships, always=False)
    if group is None or isinstance(group, Gap) or group.group.available_bytes is None:
        return machine
    return min(machine or 0, group.group.available_bytes)


def group_parent(files: Files) -> tuple[str, str] | None:
    """The v1 memory cgroup that memtui is in: its path, and its directory on this machine."""
    memberships = files.parsed("proc/self/cgroup", parse_cgroup)
    if isinstance(memberships, Gap) or memory_version(files) != 1:
        return None
    path = memory_cgroup(memberships)
    if path is None:
        return None
    return path, f"/{cgroup_mount(files, 1).name_of(path)}"
