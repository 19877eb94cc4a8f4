"""Who died for want of memory, of a segfault or of memory with errors, told once, from all that is
known.

The kernel's log says it best. Where it is closed or silent, its counters tell that somebody was
killed, and a process that vanished in that time, the first of the ranking, is taken for the one:
such an obituary is *inferred*, and says so. `observe` is a fold over looks, as `alerts.watch` is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from memtui import units
from memtui.kernel.deaths import CPUSET, POLICY, Death, OomKill, Poisoned
from memtui.kernel.hidden import Hidden
from memtui.kernel.segfaults import Segfault
from memtui.model.crash.target import explain_segfault
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.oom.causes import why_killed
from memtui.model.oom.ranking import ENDED, CandidateOom, Ranking, is_inside, points_of
from memtui.model.shortage.events import Event

Cause = Literal["oom", "oom in cgroup", "oom on nodes", "by hand", "memory failure", "segfault"]
Told = Literal["kernel log", "inferred"]

MACHINE: Final = ""  # the machine's own count, beside the groups' by path
# A counted victim may take a while to vanish; one that no look ever saw never does.
WAIT_S: Final = 5.0
TOLD_S: Final = 60.0
_SUSPECTS: Final = 3  # named beside the likeliest
_VANISHED_KEPT: Final = 2000
# Maps are remembered of those that were looked at last, of so many mappings together.
_MAPPINGS_KEPT: Final = 100_000


class Known(NamedTuple):
    """What is remembered of a process from before its death. None: it was never asked for."""

    key: ProcessKey
    name: str
    command: str | None = None
    group: str | None = None
    map: AddressMap | None = None


class Memories:
    """The last thousands of processes that were seen: bounded, the longest unseen go first."""

    def __init__(self, kept: int = 4000) -> None:
        self._kept = kept
        self._by_pid: OrderedDict[int, Known] = OrderedDict()
        self._with_map: list[int] = []

    def __len__(self) -> int:
        return len(self._by_pid)

    def note(self, known: Known) -> None:
        """Remembers; what is None now stays as it was for the same process."""
        pid = known.key.pid
        before = self._by_pid.pop(pid, None)
        if before is not None and before.key == known.key:
            known = Known(
                known.key,
                known.name,
                known.command if known.command is not None else before.command,
                known.group if known.group is not None else before.group,
                known.map if known.map is not None else before.map,
            )
        self._by_pid[pid] = known
        while len(self._by_pid) > self._kept:
            self._by_pid.popitem(last=False)
        if known.map is not None and (before is None or known.map is not before.map):
            self._forget_maps(pid)

    def _forget_maps(self, newest: int) -> None:
        """Of those that were looked at longest ago, but for the newest."""
        self._with_map = [pid for pid in self._with_map if pid != newest] + [newest]
        left, kept = _MAPPINGS_KEPT, []
        for pid in reversed(self._with_map):
            known = self._by_pid.get(pid)
            if known is None or known.map is None:
                continue
            left -= len(known.map)
            if left >= 0 or pid == newest:
                kept.append(pid)
            else:
                self._by_pid[pid] = known._replace(map=None)
        self._with_map = kept[::-1]

    def of(self, pid: int) -> Known | None:
        return self._by_pid.get(pid)

    def only(self, name: str) -> Known | None:
        """The one of that name, if there is one and no other."""
        found = [known for known in self._by_pid.values() if known.name == name]
        return found[0] if len(found) == 1 else None

    def of_thread(self, tid: int) -> Known | None:
        """The process that a thread is of, where its map has its threads."""
        own = self._by_pid.get(tid)
        if own is not None:
            return own
        return next(
            (
                known
                for known in self._by_pid.values()
                if known.map is not None and any(each.tid == tid for each in known.map.threads)
            ),
            None,
        )


class Look(NamedTuple):
    """One look at all that tells of deaths.

    `ranking` is the machine's, of everybody there is; `kills` the counts of oom_kill, the machine's
    (vmstat) under `MACHINE` and each group's under its path; `totals` the groups' pages, as
    `oom.group_scope` has them; `log` the deaths that were new in the kernel's log, where `log_is_read`.
    `suspended_s` is how much longer the machine is up than the log's clock ran. `hidden` is why
    there may be more processes than in the ranking; in a PID namespace the log has other pids, too.
    """

    time_s: float
    page_bytes: int
    ranking: Ranking
    kills: Mapping[str, int]
    totals: Mapping[str, int] = {}
    log: tuple[Death, ...] = ()
    log_is_read: bool = False
    suspended_s: float = 0.0
    hidden: Hidden | None = None

    @property
    def in_namespace(self) -> bool:
        return self.hidden is not None and self.hidden.is_namespace


class Obituary(NamedTuple):
    """One death. Sizes in bytes, of the last look or the kernel's word; None: unknown.

    `pid` is None for one that lived too briefly to be seen, or that the log has no number of.
    `others` are further processes that may have been the one, where it is inferred. `sentence` is
    printable. `death` is what the kernel's log said, where it did.
    """

    time_s: float
    pid: int | None
    name: str
    command: str | None
    group: str | None
    rss_bytes: int | None
    swap_bytes: int | None
    page_tables_bytes: int | None
    cause: Cause
    source: Told
    sentence: str
    key: ProcessKey | None = None
    map: AddressMap | None = None
    others: tuple[str, ...] = ()
    death: Death | None = None

    @property
    def was_killed(self) -> bool:
        """By the kernel: for a segfault the process itself gave the reason, a SIGBUS it may outlive."""
        if isinstance(self.death, Poisoned):
            return self.death.is_killed
        return self.cause != "segfault"


class Owed(NamedTuple):
    """Kills that a count of `path` told, less those whose victims are known; below 0 where the log
    was faster than the count. `ranking` is the last one from before."""

    path: str
    kills: int
    since_s: float
    ranking: Ranking


class State(NamedTuple):
    """What `observe` remembers: the look before, deaths told by pid and when, kills still owed, and
    who vanished lately."""

    look: Look | None = None
    told: Mapping[int, float] = {}
    owed: Mapping[str, Owed] = {}
    vanished: tuple[tuple[float, CandidateOom], ...] = ()


def observe(state: State, now: Look, memories: Memories) -> tuple[State, list[Obituary]]:
    """What a look tells, after the ones before it. Never raises; each death is told once."""
    before = state.look
    if before is not None and before.time_s >= now.time_s:
        before, state = None, State()  # another machine's, or another boot's
    told = {pid: at_s for pid, at_s in state.told.items() if now.time_s - at_s <= TOLD_S}
    ledger = _Ledger(state.owed, now, before)
    found: list[Obituary] = []
    for death in now.log:
        if isinstance(death, Segfault):
            found.append(_of_segfault(death, now, memories))
            continue
        if isinstance(death, Poisoned):
            found.append(_of_poisoned(death, now, memories))
            if death.is_killed:
                told[found[-1].pid or death.pid] = now.time_s  # and vanishes for no other reason
            continue
        obituary = _of_kill(death, now, memories, before)
        pid = obituary.pid or death.pid
        if pid in told and _is_alike(pid, state, before):
            continue  # it was inferred, and paid for
        found.append(obituary)
        told[pid] = now.time_s
        ledger.pay(obituary.group)
    vanished = [each for each in state.vanished if now.time_s - each[0] <= WAIT_S]
    if before is not None:
        vanished += [(now.time_s, each) for each in _vanished(before.ranking, now.ranking)]
        for path in ledger.innermost_first():
            while (debt := ledger.owed.get(path)) is not None and debt.kills > 0:
                obituary_ = None
                # The count grows a moment before the line is written.
                if not now.log_is_read or debt.since_s < now.time_s:
                    obituary_ = _inferred(debt, vanished, now, told, memories)
                if obituary_ is None:
                    if now.time_s - debt.since_s < WAIT_S:
                        break
                    obituary_ = _unseen(debt, now)
                found.append(obituary_)
                if obituary_.pid is not None:
                    told[obituary_.pid] = now.time_s
                ledger.pay(obituary_.group)
    return State(now, told, ledger.owed, tuple(vanished[-_VANISHED_KEPT:])), found


def event_of(obituary: Obituary) -> Event:
    """An obituary among the events that mark the graphs."""
    kinds = {"segfault": "segfault", "memory failure": "memory_failure"}
    level: Literal["warning", "alarm"] = "alarm" if obituary.was_killed else "warning"
    return Event(obituary.time_s, kinds.get(obituary.cause, "oom_kill"), level, obituary.sentence)


class _Ledger:
    """Kills counted against deaths told. A group's kill is counted by the machine too, and with v2
    by the groups around it: a death pays in all of them."""

    def __init__(self, owed: Mapping[str, Owed], now: Look, before: Look | None) -> None:
        self.owed = {
            path: debt
            for path, debt in owed.items()
            if debt.kills > 0 or now.time_s - debt.since_s <= WAIT_S
        }
        self._now = now
        self._before = before
        if before is not None:
            for path, count in now.kills.items():
                # A group that is new may have been there before with another count: told by none.
                if path in before.kills and count > before.kills[path]:
                    self._add(path, count - before.kills[path])

    def pay(self, group: str | None) -> None:
        for path in {*self._now.kills, *self.owed}:
            if path == MACHINE or is_inside(group, path):
                self._add(path, -1)

    def innermost_first(self) -> list[str]:
        return sorted(self.owed, key=lambda path: (-path.count("/"), path))

    def _add(self, path: str, count: int) -> None:
        debt = self.owed.get(path)
        if debt is not None:
            debt = debt._replace(kills=debt.kills + count)
        elif self._before is not None:
            debt = Owed(path, count, self._now.time_s, self._before.ranking)
        if debt is not None and debt.kills:
            self.owed[path] = debt
        else:
            self.owed.pop(path, None)


def _vanished(before: Ranking, now: Ranking) -> list[CandidateOom]:
    """Those that could be killed and have ended."""
    alive = {each.key for each in now.candidates if each.immune != ENDED}
    return [each for each in before.candidates if each.points is not None and each.key not in alive]


def _is_alike(pid: int, state: State, before: Look | None) -> bool:
    """Whether a pid that was told is still the same death, and not that of its successor."""
    successor = None if before is None else before.ranking.of(pid)
    if successor is None:
        return True
    return any(each.key == successor.key for _, each in state.vanished)


def _of_kill(kill: OomKill, now: Look, memories: Memories, before: Look | None) -> Obituary:
    known, who = _meant(kill, kill.pid, now, memories)
    pid = known.key.pid if known else kill.pid
    # By the pid, where that is one of these: it may not be remembered, and still be in the ranking.
    is_here = known is not None or not now.in_namespace
    seen = before.ranking.of(pid) if before is not None and is_here else None
    group = kill.task_group
    if group is None:
        group = known.group if known and known.group else seen.group if seen else kill.oom_group
    rss, swap = kill.rss_bytes, None
    if seen is not None and seen.name == kill.name:
        swap = None if seen.swap_pages is None else seen.swap_pages * now.page_bytes
        # The line is written after the signal: a quick victim has given some back by then.
        rss = max(rss or 0, (seen.rss_pages or 0) * now.page_bytes) or rss
    swapped = f" and {units.size(swap)} in swap" if swap else ""
    words = why_killed(kill)
    sentence = f"the kernel killed {who}, {units.size(rss)} in memory{swapped}: {words}"
    cause: Cause = "oom in cgroup" if kill.is_group else "oom"
    if kill.is_manual:
        cause = "by hand"
    elif cause == "oom" and kill.constraint in (CPUSET, POLICY):
        cause = "oom on nodes"
    return Obituary(
        _log_time(kill.time_us, now),
        pid,
        kill.name,
        known.command if known else None,
        group,
        rss,
        swap,
        kill.page_tables_bytes,
        cause,
        "kernel log",
        sentence,
        known.key if known else None,
        known.map if known else None,
        death=kill,
    )


def _of_segfault(fault: Segfault, now: Look, memories: Memories) -> Obituary:
    known, who = _meant(fault, fault.tid, now, memories)
    pid = known.key.pid if known else fault.tid
    if known is not None and not now.in_namespace and pid != fault.tid:
        who = f"thread {who} of {units.printable(known.name)} ({pid})"
    words = units.printable(explain_segfault(fault, known.map if known else None))
    return _of_log(fault, pid, "segfault", f"segfault of {who}: {words}", known, now)


def _of_poisoned(death: Poisoned, now: Look, memories: Memories) -> Obituary:
    known, who = _meant(death, death.pid, now, memories)
    done = f"killed {who}" if death.is_killed else f"sent SIGBUS to {who}, which may live on"
    page = "" if death.page_frame is None else f" {death.page_frame:#x}"
    at = "" if death.address is None else f", touched at {death.address:#x}"
    sentence = f"the kernel {done}: the hardware found errors in a page{page} of its memory{at}"
    pid = known.key.pid if known else death.pid
    return _of_log(death, pid, "memory failure", sentence, known, now)


def _meant(
    death: Death, number: int | None, now: Look, memories: Memories
) -> tuple[Known | None, str]:
    """Whom the log means by a name and a number, as far as it is remembered; and in words."""
    name = units.printable(death.name) or "a process"
    if now.in_namespace:
        known = memories.only(death.name)
        here = f"{known.key.pid} here, " if known else ""
        return known, f"{name} ({here}{number} outside)" if number is not None else name
    if number is None:
        return None, name
    known = memories.of_thread(number) if isinstance(death, Segfault) else memories.of(number)
    # A thread may have a name of its own.
    if known is not None and known.key.pid == number:
        known = _same(known, death.name)
    return known, f"{name} ({number})"


def _of_log(
    death: Segfault | Poisoned,
    pid: int | None,
    cause: Cause,
    sentence: str,
    known: Known | None,
    now: Look,
) -> Obituary:
    """A death that the log alone tells, which says nothing of sizes."""
    return Obituary(
        _log_time(death.time_us, now),
        pid,
        known.name if known else death.name,
        known.command if known else None,
        known.group if known else None,
        None,
        None,
        None,
        cause,
        "kernel log",
        sentence,
        known.key if known else None,
        known.map if known else None,
        death=death,
    )


def _inferred(
    debt: Owed,
    vanished: Iterable[tuple[float, CandidateOom]],
    now: Look,
    told: Mapping[int, float],
    memories: Memories,
) -> Obituary | None:
    """The likeliest of those that vanished since the count grew; None where there is none yet."""
    path = None if debt.path == MACHINE else debt.path
    total = now.totals.get(debt.path, now.ranking.scope.total_pages)
    suspects = [
        _whole(each, debt.ranking)
        for at_s, each in vanished
        if at_s >= debt.since_s and each.pid not in told and is_inside(each.group, path)
    ]
    if not suspects:
        return None
    suspects.sort(key=lambda each: _points(each, total), reverse=True)
    victim, *rest = suspects
    known = _same(memories.of(victim.pid), victim.name)
    others = tuple(f"{units.printable(each.name)} ({each.pid})" for each in rest)
    where = "on the machine" if path is None else f"in {units.printable(path)}"
    who = f"{units.printable(victim.name)} ({victim.pid})"
    sentence = f"{who} vanished when the kernel counted a kill {where}: "
    if now.hidden is not None:
        sentence += f"it may have been the one, but {now.hidden.words}"
    elif not others:
        sentence += "inferred, as nothing else ended there at that time"
    else:
        named = ", ".join(others[:_SUSPECTS])
        more = f" and {len(others) - _SUSPECTS} more" if len(others) > _SUSPECTS else ""
        sentence += f"inferred, as it had the most points; it may have been {named}{more}"
    rss, swap, tables = (
        None if pages is None else pages * now.page_bytes
        for pages in (victim.rss_pages, victim.swap_pages, victim.page_table_pages)
    )
    return Obituary(
        now.time_s,
        victim.pid,
        victim.name,
        known.command if known else None,
        victim.group,
        rss,
        swap,
        tables,
        "oom" if path is None else "oom in cgroup",
        "inferred",
        sentence,
        victim.key,
        known.map if known else None,
        others,
    )


def _whole(vanished: CandidateOom, before: Ranking) -> CandidateOom:
    """It as it was before the count grew: at the look before it vanished it may have been half taken
    apart. Its group is the one that it died in."""
    older = before.of(vanished.pid)
    if older is None or older.key != vanished.key:
        return vanished
    return older._replace(group=vanished.group)


def _unseen(debt: Owed, now: Look) -> Obituary:
    path = None if debt.path == MACHINE else debt.path
    where = "on the machine" if path is None else f"in {units.printable(path)}"
    why = now.hidden.words if now.hidden is not None else "it lived briefly"
    sentence = f"the kernel counted a kill {where}, of a process that no look had seen: {why}"
    cause: Cause = "oom" if path is None else "oom in cgroup"
    return Obituary(
        debt.since_s, None, "", None, path, None, None, None, cause, "inferred", sentence
    )


def _points(candidate: CandidateOom, total_pages: int) -> int:
    parts = (candidate.rss_pages, candidate.swap_pages, candidate.page_table_pages)
    return points_of(sum(part or 0 for part in parts), candidate.adj or 0, total_pages)


def _same(known: Known | None, name: str) -> Known | None:
    """What is remembered, unless the pid was somebody else's: the log has no start times."""
    return known if known is not None and known.name == name else None


def _log_time(time_us: int, now: Look) -> float:
    """When a record was made, on the clock of the looks."""
    return min(now.time_s, time_us / 1_000_000 + now.suspended_s)
