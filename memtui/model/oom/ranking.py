"""Whom the OOM killer would take now, by the kernel's own arithmetic.

Points are pages: what is in memory, in swap and in page tables, and oom_score_adj thousandths of
all there is. All there is means RAM and swap, or, where a memory cgroup is full, that group's limit
and what it may swap: so one process may be first in its group and far from it on the machine.
(mm/oom_kill.c: oom_badness, constrained_alloc; mm/memcontrol.c: mem_cgroup_get_max.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from memtui.kernel.oom import OomDomain, OomTask
from memtui.model.keys import ProcessKey

ADJ_MIN: Final = -1000
ADJ_MAX: Final = 1000
INIT: Final = 1

# Before 5.9 nobody had less than one point, and oom_score was a plain thousandth.
_NEGATIVE_POINTS: Final = (5, 9)
# Until 5.0 a child of the chosen one died in its place.
_NO_SACRIFICE: Final = (5, 1)
# The killer reads counters that lag behind by up to a batch on each processor, status the exact ones.
_SLACK_PAGES: Final = 1024

KERNEL_THREAD: Final = "kernel thread"
ENDED: Final = "has ended, holds nothing any more"
IS_INIT: Final = "init"
PROTECTED: Final = "oom_score_adj is −1000"
PASSED_OVER: Final = "the kernel passes it over: a vfork under way, or already being killed"


class Shares(NamedTuple):
    """The parts of the points as shares of all there is (1 is everything); `adj` may be negative."""

    rss: float
    swap: float
    page_tables: float
    adj: float


class CandidateOom(NamedTuple):
    """A process in the ranking. Pages are of the machine's page size; None: not to be read.

    `points` and `rank` (1 dies first) are None for the immune, of whom `immune` says why, and for
    those of whom too little is known. `oom_score` is the kernel's, `expected_score` what follows
    from the sizes on the whole machine; `differs` where they disagree by more than the counters
    the kernel takes may lag.
    """

    key: ProcessKey
    parent_pid: int
    name: str
    group: str | None
    rss_pages: int | None
    swap_pages: int | None
    page_table_pages: int | None
    adj: int | None
    points: int | None
    rank: int | None
    shares: Shares | None
    immune: str | None
    oom_score: int | None
    expected_score: int | None
    differs: bool

    @property
    def pid(self) -> int:
        return self.key.pid


class OomScope(NamedTuple):
    """Where an OOM is thought of: the machine (`path` None) or a memory cgroup and those in it.

    `total_pages` is what adjustments are thousandths of, `host_pages` RAM and swap. `is_limited`:
    the group has a limit, and so can be full by itself.
    """

    path: str | None
    total_pages: int
    host_pages: int
    is_limited: bool
    kill_disabled: bool = False


class Ranking(NamedTuple):
    """Everybody in the scope: those who can die, the first first; the unknown; the immune."""

    scope: OomScope
    candidates: tuple[CandidateOom, ...]
    release: tuple[int, int] | None

    def of(self, pid: int) -> CandidateOom | None:
        return next((each for each in self.candidates if each.pid == pid), None)

    @property
    def ranked(self) -> tuple[CandidateOom, ...]:
        return tuple(each for each in self.candidates if each.rank is not None)


class WhatIf(NamedTuple):
    """What another oom_score_adj would make of one process's rank; None: immune."""

    name: str
    adj: int
    rank: int | None
    rank_before: int | None

    @property
    def sentence(self) -> str:
        """`with adj −500 it would fall from rank 1 to 7`."""
        words = f"with adj {signed(self.adj)} it would"
        if self.rank is None:
            return f"{words} never be taken"
        if self.rank_before is None:
            return f"{words} be at rank {self.rank}"
        if self.rank == self.rank_before:
            return f"{words} stay at rank {self.rank}"
        verb = "fall" if self.rank > self.rank_before else "rise"
        return f"{words} {verb} from rank {self.rank_before} to {self.rank}"


def machine_scope(meminfo: Mapping[str, int], page_bytes: int) -> OomScope | None:
    """The whole machine; None where meminfo does not say how much there is."""
    if not meminfo.get("MemTotal"):
        return None
    total = (meminfo["MemTotal"] + meminfo.get("SwapTotal", 0)) // page_bytes
    return OomScope(None, total, total, True)


def group_scope(domain: OomDomain, meminfo: Mapping[str, int], page_bytes: int) -> OomScope | None:
    """A memory cgroup: its limit, and the swap it may have where it swaps at all.

    Without a limit it is never full by itself, and its processes rank as on the machine.
    """
    machine = machine_scope(meminfo, page_bytes)
    if machine is None:
        return None
    if domain.limit_bytes is None:
        return machine._replace(path=domain.path, is_limited=False)
    total = domain.limit_bytes
    if domain.swappiness != 0:
        swap = meminfo.get("SwapTotal", 0)
        total += swap if domain.swap_max_bytes is None else min(swap, domain.swap_max_bytes)
    # The kernel takes 1 for 0, as it divides by it.
    pages = max(1, total // page_bytes)
    return OomScope(domain.path, pages, machine.host_pages, True, domain.kill_disabled)


def is_inside(group: str | None, path: str | None) -> bool:
    """Whether a process's group is `path` or below it; everybody is on the machine."""
    if path is None:
        return True
    return group is not None and (group == path or group.startswith(path.rstrip("/") + "/"))


def rank_tasks(
    tasks: Iterable[OomTask],
    scope: OomScope,
    page_bytes: int,
    release: tuple[int, int] | None = None,
) -> Ranking:
    """The ranking as this kernel would make it now, of those in the scope.

    `release` is the kernel's, None for a recent one. Threads share their process's memory and die
    with it, so a process is one.
    """
    found = []
    for task in tasks:
        if is_inside(task.group, scope.path):
            found.append(_candidate(task, scope, page_bytes, release))
    return _ranked(scope, found, release)


def with_adj(ranking: Ranking, pid: int, adj: int) -> Ranking:
    """The ranking if that process had another oom_score_adj; the same one without such a process."""
    changed = [
        _adjusted(each, adj, ranking) if each.pid == pid else each for each in ranking.candidates
    ]
    return _ranked(ranking.scope, changed, ranking.release)


def what_if(ranking: Ranking, pid: int, adj: int) -> WhatIf | None:
    """Where that process would be with another oom_score_adj; None where it is not in the ranking."""
    before, after = ranking.of(pid), with_adj(ranking, pid, adj).of(pid)
    if before is None or after is None:
        return None
    return WhatIf(before.name, adj, after.rank, before.rank)


def points_of(
    size_pages: int, adj: int, total_pages: int, release: tuple[int, int] | None = None
) -> int:
    """oom_badness: pages of memory, swap and page tables, and adj thousandths of the total."""
    points = size_pages + adj * (total_pages // 1000)
    return points if is_recent(release) else max(1, points)


def score_of(points: int, total_pages: int, release: tuple[int, int] | None = None) -> int:
    """What /proc/PID/oom_score makes of the points on the whole machine."""
    total = max(1, total_pages)
    share = abs(points) * 1000 // total  # C rounds towards zero
    if not is_recent(release):
        return share
    return (1000 + (share if points >= 0 else -share)) * 2 // 3


def is_recent(release: tuple[int, int] | None) -> bool:
    """Whether points may be negative, as since Linux 5.9."""
    return release is None or release >= _NEGATIVE_POINTS


def sacrifices_children(release: tuple[int, int] | None) -> bool:
    """Whether a child of the chosen process dies in its place, as before Linux 5.1."""
    return release is not None and release < _NO_SACRIFICE


def signed(adj: int) -> str:
    """An oom_score_adj as people write it."""
    return f"−{-adj}" if adj < 0 else f"+{adj}" if adj else "0"


def _candidate(
    task: OomTask, scope: OomScope, page_bytes: int, release: tuple[int, int] | None
) -> CandidateOom:
    rss, swap, tables = (
        None if size is None else size // page_bytes
        for size in (task.rss_bytes, task.swap_bytes, task.page_tables_bytes)
    )
    candidate = CandidateOom(
        ProcessKey(task.pid, task.start_time_ticks),
        task.parent_pid,
        task.name,
        task.group,
        rss,
        swap,
        tables,
        task.oom_score_adj,
        None,
        None,
        None,
        _immune(task),
        task.oom_score,
        None,
        False,
    )
    size = _size(candidate)
    if size is None or task.oom_score_adj is None:
        return candidate
    expected = score_of(
        points_of(size, task.oom_score_adj, scope.host_pages, release), scope.host_pages, release
    )
    differs = False
    if task.oom_score is not None and candidate.immune is None:
        lag = 1 + -(-_SLACK_PAGES * 1000 // max(1, scope.host_pages))
        differs = abs(expected - task.oom_score) > lag
        # With the newer formula only what cannot be killed has 0, unless its adj is nearly −1000.
        if task.oom_score == 0 and is_recent(release) and differs:
            candidate = candidate._replace(immune=PASSED_OVER)
            differs = False
    if candidate.immune is not None:
        expected = 0
        differs = bool(task.oom_score)
    candidate = candidate._replace(expected_score=expected, differs=differs)
    return _pointed(candidate, scope, release)


def _immune(task: OomTask) -> str | None:
    if task.is_kernel_thread:
        return KERNEL_THREAD
    if task.has_ended and task.rss_bytes is None:
        return ENDED
    # A container has a process 1 too, which is no init: the kernel gives that one a score.
    if task.pid == INIT and not task.oom_score:
        return IS_INIT
    return PROTECTED if task.oom_score_adj == ADJ_MIN else None


def _size(candidate: CandidateOom) -> int | None:
    parts = (candidate.rss_pages, candidate.swap_pages, candidate.page_table_pages)
    return None if None in parts else sum(part or 0 for part in parts)


def _adjusted(candidate: CandidateOom, adj: int, ranking: Ranking) -> CandidateOom:
    immune = candidate.immune
    if immune in (None, PROTECTED):
        immune = PROTECTED if adj == ADJ_MIN else None
    changed = candidate._replace(adj=adj, immune=immune, points=None, shares=None)
    return _pointed(changed, ranking.scope, ranking.release)


def _pointed(
    candidate: CandidateOom, scope: OomScope, release: tuple[int, int] | None
) -> CandidateOom:
    """The candidate with points and shares, unless it is immune or too little is known."""
    size, adj = _size(candidate), candidate.adj
    if size is None or adj is None or candidate.immune is not None:
        return candidate
    total = max(1, scope.total_pages)
    shares = Shares(
        (candidate.rss_pages or 0) / total,
        (candidate.swap_pages or 0) / total,
        (candidate.page_table_pages or 0) / total,
        adj * (scope.total_pages // 1000) / total,
    )
    return candidate._replace(
        points=points_of(size, adj, scope.total_pages, release), shares=shares
    )


def _ranked(
    scope: OomScope, candidates: Iterable[CandidateOom], release: tuple[int, int] | None
) -> Ranking:
    """In order. Of equal points the one that is looked at last, the youngest, is taken."""
    groups: tuple[list[CandidateOom], list[CandidateOom], list[CandidateOom]] = ([], [], [])
    for each in candidates:
        groups[2 if each.immune else 1 if each.points is None else 0].append(each)
    can_die, unknown, immune = groups
    can_die.sort(key=lambda each: (each.points or 0, each.key.start_time_ticks, each.pid))
    can_die.reverse()
    ordered = [each._replace(rank=rank) for rank, each in enumerate(can_die, 1)]
    for rest in (unknown, immune):
        ordered += [each._replace(rank=None) for each in sorted(rest, key=lambda each: each.pid)]
    return Ranking(scope, tuple(ordered), release)
