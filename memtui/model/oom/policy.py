"""The policy in force when memory runs out, in words, and the death that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from memtui import units
from memtui.model.oom.ranking import CandidateOom, OomScope, Ranking, is_inside, sacrifices_children

# Programs that kill before the kernel must, by their comm.
KILLERS: Final[dict[str, str]] = {
    "earlyoom": "earlyoom: kills by oom_score when available memory and swap fall below its limits",
    "systemd-oomd": "systemd-oomd: kills whole cgroups by their pressure and swap, in those it manages",
    "nohang": "nohang: kills by its own rules when memory or pressure passes its limits",
    "oomd": "oomd: kills whole cgroups by its own rules on pressure",
    "lmkd": "lmkd: kills Android's least important applications under pressure",
    "low-memory-moni": "low-memory-monitor: asks programs to save memory, and may wake the killer",
    "psi-notify": "psi-notify: only warns about pressure",
}


class OomPolicy(NamedTuple):
    """What decides. `settings` are vm.*'s by the kernel's names, those that it has; `killers` the
    names of programs that run and kill by themselves."""

    settings: Mapping[str, int]
    killers: tuple[str, ...]


class PolicyLine(NamedTuple):
    """One setting, its value as the kernel writes it (None: not to be read), and what it does."""

    name: str
    value: int | None
    words: str


class Prediction(NamedTuple):
    """Who dies next. `victim` is None where nobody would, or nobody can know.

    `dies_with` are those that go with it: its group, where that dies as a whole. `certain`: only
    sizes can change it; otherwise `sentence` says what else decides.
    """

    victim: CandidateOom | None
    dies_with: tuple[CandidateOom, ...]
    certain: bool
    sentence: str


def running_killers(names: Iterable[str]) -> tuple[str, ...]:
    """Which programs of `KILLERS` are among the processes' names."""
    return tuple(sorted(set(names) & set(KILLERS)))


def explain(
    policy: OomPolicy, meminfo: Mapping[str, int], scope: OomScope | None = None
) -> list[PolicyLine]:
    """Each setting with what its value of today does."""
    lines = [
        PolicyLine(name, value := policy.settings.get(name), _words(say, value, policy, meminfo))
        for name, say in _SAYS.items()
    ]
    if scope is not None and scope.path is not None:
        words = (
            "memory has no limit here, so it runs out only with the machine's or an outer group's"
        )
        if scope.kill_disabled:
            words = "killing is off here (memory.oom_control): processes wait until somebody frees memory"
        elif scope.is_limited:
            words = "at this limit one of the group dies, whatever else the machine has free"
        lines.append(PolicyLine("group", None, words))
    for name in policy.killers:
        lines.append(PolicyLine(name, None, f"{KILLERS[name]}; it may come before the kernel"))
    if not policy.killers:
        lines.append(PolicyLine("userspace", None, "no program that kills before the kernel runs"))
    return lines


def predict(
    ranking: Ranking,
    policy: OomPolicy,
    group_that_dies_whole: str | None = None,
    hidden: str = "",
) -> Prediction:
    """Who dies if memory runs out in the ranking's scope now.

    `group_that_dies_whole` is the one with memory.oom.group around the first of the ranking. `hidden`
    says why the ranking may lack some of the scope's processes: then nobody knows, and the first of
    those that are seen is named as that.
    """
    scope = ranking.scope
    where = "on the machine" if scope.path is None else f"in {units.printable(scope.path)}"
    panic = policy.settings.get("panic_on_oom", 0)
    if panic == 2 or (panic == 1 and scope.path is None):
        return Prediction(None, (), True, f"nobody: the machine panics (panic_on_oom is {panic})")
    if scope.kill_disabled:
        return Prediction(None, (), True, f"nobody: killing is off {where}, and its processes wait")
    victim = ranking.ranked[0] if ranking.ranked else None
    if hidden:
        first = f"{units.printable(victim.name)} ({victim.pid})" if victim else "nobody"
        words = f"whom the kernel would kill {where} is not known: {hidden}; "
        words += f"of those that are seen {first} is the first"
        return Prediction(None, (), False, words)
    if victim is None:
        return Prediction(None, (), False, f"nobody is known that could be killed {where}")
    if sacrifices_children(ranking.release):
        victim = _worst_child(ranking, victim)
    name = f"{units.printable(victim.name)} ({victim.pid})"
    # An allocation beyond a group's limit never asks for this one.
    if scope.path is None and policy.settings.get("oom_kill_allocating_task", 0):
        words = f"whichever process asks for memory at that moment; by points it would be {name}"
        return Prediction(None, (), False, words)
    with_it: tuple[CandidateOom, ...] = ()
    sentence = f"{name} would be killed {where}"
    if group_that_dies_whole is not None:
        with_it = tuple(
            each
            for each in ranking.candidates
            if each.pid != victim.pid
            and each.immune is None
            and is_inside(each.group, group_that_dies_whole)
        )
        sentence += (
            f", and with it all of {units.printable(group_that_dies_whole)} (memory.oom.group): "
            f"{len(with_it) + 1} processes"
        )
    if not scope.is_limited:
        sentence += "; the group has no limit of its own"
    certain = not policy.killers
    if policy.killers:
        sentence += f", if {' or '.join(policy.killers)} does not act before"
    return Prediction(victim, with_it, certain, sentence)


def _worst_child(ranking: Ranking, parent: CandidateOom) -> CandidateOom:
    children = (each for each in ranking.ranked if each.parent_pid == parent.pid)
    return next(children, parent)


Say = Callable[[int, OomPolicy, Mapping[str, int]], str]


def _words(say: Say, value: int | None, policy: OomPolicy, meminfo: Mapping[str, int]) -> str:
    return "not to be read here" if value is None else say(value, policy, meminfo)


def _panic(value: int, _policy: OomPolicy, _meminfo: Mapping[str, int]) -> str:
    if value == 0:
        return "a process is killed, and the machine goes on"
    if value == 1:
        return "the machine panics, unless a memory cgroup, a cpuset or a policy is what is full"
    return "the machine panics, even if only a memory cgroup is full"


def _allocating(value: int, _policy: OomPolicy, _meminfo: Mapping[str, int]) -> str:
    if value == 0:
        return "the process with the most points dies"
    return "the process that asks dies, whoever it is; in a memory cgroup that is full, by points"


def _overcommit(value: int, policy: OomPolicy, meminfo: Mapping[str, int]) -> str:
    if value == 0:
        return "obviously excessive requests are refused, all others granted: promises can exceed memory"
    if value == 1:
        return "every request is granted, however large: promises are only limited by killing"
    used, limit = meminfo.get("Committed_AS"), meminfo.get("CommitLimit")
    return f"requests beyond CommitLimit are refused: {units.size(used)} of {units.size(limit)} promised"


def _ratio(value: int, policy: OomPolicy, meminfo: Mapping[str, int]) -> str:
    limit = units.size(meminfo.get("CommitLimit"))
    if policy.settings.get("overcommit_kbytes"):
        words = f"not in force: overcommit_kbytes is set; CommitLimit is {limit}"
    else:
        words = f"CommitLimit is {value} % of memory without huge pages, and swap: {limit}"
    return words if policy.settings.get("overcommit_memory") == 2 else f"{words}, not enforced"


def _swappiness(value: int, _policy: OomPolicy, _meminfo: Mapping[str, int]) -> str:
    if value == 0:
        return "swaps only when files give nothing any more; memory cgroups do not swap at all"
    if value < 100:
        return "prefers to drop file pages over swapping"
    if value == 100:
        return "swaps as readily as it drops file pages"
    return "prefers to swap, as for swap in memory"


_SAYS: Final[dict[str, Say]] = {
    "panic_on_oom": _panic,
    "oom_kill_allocating_task": _allocating,
    "overcommit_memory": _overcommit,
    "overcommit_ratio": _ratio,
    "swappiness": _swappiness,
}
