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
from memtui.lab.experiment import Experiment, Need, Step
from memtui.model.system.free import allocatable_bytes
from memtui.units import size

_CAP_SYS_ADMIN: Final = 21
_HUGE_PAGES: Final = "sys/kernel/mm/transparent_hugepage"
_HUGE_AT_MOST_BYTES: Final = 32 << 20  # 512 MiB on arm64 with pages of 64 KiB
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


def _no_groups(asked: _Asked) -> str:
    if asked.readonly:
        return "it makes control groups, which it does not with --readonly"
    parent = group_parent(asked.files)
    if parent is None:
        return "it needs a memory cgroup of version 1 to be in"
    if not os.access(parent[1], os.W_OK | os.X_OK):
        return f"it needs to make groups in {parent[1]}, which root may"
    return ""


def _no_swap(asked: _Asked) -> str:
    if asked.readonly:
        return "it makes swap of its own, which it does not with --readonly"
    if isinstance(asked.files.stat("proc/swaps"), Gap):
        return "it needs swap, which this kernel does not have"
    if not _may_administer(asked):
        return "it needs root, to have swap of its own"
    if not _is_on_disk(asked):
        return f"it needs swap of its own, and {place()} is not on a disk"
    return ""


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


def _may_have_huge_pages(asked: _Asked) -> bool:
    """Transparent ones where they are asked for, and of a size that is no burden."""
    enabled = asked.files.read(f"{_HUGE_PAGES}/enabled")
    status = asked.files.read("proc/self/status")
    if isinstance(enabled, Gap) or isinstance(status, Gap) or b"[never]" in enabled:
        return False
    size_bytes = read_number(asked.files, f"{_HUGE_PAGES}/hpage_pmd_size")
    is_off_here = status_value(status, b"THP_enabled") == b"0"  # by prctl(PR_SET_THP_DISABLE)
    return size_bytes is not None and size_bytes <= _HUGE_AT_MOST_BYTES and not is_off_here


def _unless(is_there: Callable[[_Asked], bool], words: str) -> Callable[[_Asked], str]:
    return lambda asked: "" if is_there(asked) else words


# What is missing of a need, in words; "" where it is there.
NEEDS: Final[Mapping[Need, Callable[[_Asked], str]]] = {
    "root": _unless(_is_root, "it needs root"),
    "cgroup v1": _no_groups,
    "swap": _no_swap,
    "pagemap": _unless(
        _may_administer, "it needs CAP_SYS_ADMIN, as page frames are shown to nobody else"
    ),
    "ptrace": _unless(_may_trace, "it needs ptrace, which yama forbids here"),
    "disk": _unless(_is_on_disk, f"it needs {place()} on a disk"),
    "glibc": _unless(_is_glibc, "it looks into glibc's malloc, and this is another C library"),
    "huge pages": _unless(
        _may_have_huge_pages, "it needs transparent huge pages, for those who ask by madvise"
    ),
}


def what_there_is(files: Files, experiment: Experiment, *, readonly: bool) -> frozenset[Need]:
    """Of what it needs and likes."""
    asked = _Asked(files, readonly)
    wanted = experiment.needs | experiment.likes
    return frozenset(need for need in wanted if not NEEDS[need](asked))


def left_out(
    files: Files, experiment: Experiment, has: frozenset[Need], *, readonly: bool
) -> list[tuple[Step, str]]:
    """The steps that cannot be made here, and why."""
    asked = _Asked(files, readonly)

    def why(need: Need) -> str:
        return NEEDS[need](asked) or f"it needs {need}"  # which could not be had after all

    return [
        (step, "; ".join(map(why, sorted(step.needs - has))))
        for step in experiment.steps
        if step.needs - has
    ]


def why_not(files: Files, experiment: Experiment, *, readonly: bool) -> Gap | None:
    """Why it cannot be run here and now; None where it can."""
    source = f"lab {experiment.name}"
    if not files.is_live:
        return Gap(source, "unsupported", "experiments run on this machine, not below --root")
    if not is_own_proc(files.read("proc/self/status"), os.getpid()):
        return Gap(source, "unsupported", FOREIGN)
    asked = _Asked(files, readonly)
    if missing := [words for need in sorted(experiment.needs) if (words := NEEDS[need](asked))]:
        return Gap(source, "unsupported", "; ".join(missing))
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
