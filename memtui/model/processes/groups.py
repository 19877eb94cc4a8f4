"""Processes together: by program, user, control group or unit, and as a tree; their sums.

A sum of RSS counts a page for every process that shares it. PSS does not: where it was read it is
taken, and RSS, which is never smaller, for the others; the sum is then an upper bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from memtui.kernel.details import Shares
from memtui.model.keys import ProcessKey
from memtui.model.processes.columns import AGED_S, COLUMNS, Facts
from memtui.model.sample import ProcessSample

# How the list can be grouped, and the column whose values are then the groups.
GROUPINGS: Final = ("program", "user", "unit", "cgroup")
_COLUMN: Final = {"program": "name", "user": "user", "unit": "unit", "cgroup": "cgroup"}

KERNEL_THREADS: Final = "(kernel threads)"  # longer than a name can be


class Group(NamedTuple):
    """Some processes as one. None: not one of them is known.

    `memory_bytes` counts no page twice where it `is_exact`, and is an upper bound otherwise.
    `uss_bytes` is a lower bound unless it is exact. `shared` counts those whose PSS was read,
    `is_aged` says that some of that was long ago.
    """

    name: str
    members: tuple[ProcessKey, ...]
    rss_bytes: int
    memory_bytes: int
    uss_bytes: int | None
    swap_bytes: int | None
    tables_bytes: int | None
    gained_bytes: int
    shared: int
    is_exact: bool
    is_aged: bool


def grouped(facts: Facts, processes: Iterable[ProcessSample], grouping: str) -> list[Group]:
    """The groups of these processes. Those of whom it is not known yet are a group `?`."""
    members: dict[str, list[ProcessSample]] = {}
    for process in processes:
        members.setdefault(group_of(facts, process, grouping), []).append(process)
    return [summed(facts, name, those) for name, those in members.items()]


def group_of(facts: Facts, process: ProcessSample, grouping: str) -> str:
    """The name of the group that a process belongs to."""
    if grouping == "program" and process.is_kernel_thread:
        return KERNEL_THREADS
    name = COLUMNS[_COLUMN[grouping]].value(facts, process)
    return "?" if name is None else str(name)


def summed(facts: Facts, name: str, processes: Sequence[ProcessSample]) -> Group:
    """Processes as one group."""
    memory = rss = gained = read = 0
    uss: list[int] = []
    tables: list[int] = []
    swap: list[int] = []
    is_exact, is_aged = True, False
    for process in processes:
        rss += process.rss_bytes or 0
        gained += facts.growth.gained_bytes(process.key)
        details = facts.details(process)
        if process.is_kernel_thread or process.is_zombie:
            tables.append(0)
            swap.append(0)
        elif details is not None and details.page_tables_bytes is not None:
            tables.append(details.page_tables_bytes)
        if process.swap_bytes is not None:
            swap.append(process.swap_bytes)
        if process.rss_bytes == 0:
            read += 1  # nothing to share
            uss.append(0)
            continue
        shares = facts.shares(process)
        if isinstance(shares, Shares) and shares.pss_bytes is not None:
            memory += shares.pss_bytes
            read += 1
            is_aged = is_aged or facts.sample.time_s - shares.time_s > AGED_S
            if shares.uss_bytes is not None:
                uss.append(shares.uss_bytes)
        else:
            memory += process.rss_bytes or 0
            is_exact = False
    return Group(
        name,
        tuple(process.key for process in processes),
        rss,
        memory,
        sum(uss) if uss else None,
        sum(swap) if swap else None,
        sum(tables) if tables else None,
        gained,
        read,
        is_exact,
        is_aged,
    )


SORTS: Final[dict[str, Callable[[Group], int | str]]] = {
    "memory": lambda group: group.memory_bytes,
    "uss": lambda group: group.uss_bytes or 0,
    "rss": lambda group: group.rss_bytes,
    "swap": lambda group: group.swap_bytes or 0,
    "tables": lambda group: group.tables_bytes or 0,
    "gain": lambda group: group.gained_bytes,
    "count": lambda group: len(group.members),
    "name": lambda group: group.name.casefold(),
}


def sorted_groups(groups: Iterable[Group], by: str, downwards: bool) -> list[Group]:
    """Groups by a figure, equal ones by name."""
    return sorted(
        sorted(groups, key=SORTS["name"]), key=lambda group: SORTS[by](group), reverse=downwards
    )


class Branch(NamedTuple):
    """A row of the tree: a process, and the lines drawn before its name."""

    process: ProcessSample
    lines: str


def tree(
    ordered: Sequence[ProcessSample], everyone: Iterable[ProcessSample] | None = None
) -> list[Branch]:
    """Processes below their parents; brothers stand as they are ordered.

    A process whose parent is not there is a root; with `everyone`, its ancestors among them are
    put above it.
    """
    shown = {process.pid: process for process in ordered}
    if everyone is not None:
        all_ = {process.pid: process for process in everyone}
        for process in ordered:
            parent = process.parent_pid
            while parent in all_ and parent not in shown:
                shown[parent] = all_[parent]
                parent = all_[parent].parent_pid
    children: dict[int, list[ProcessSample]] = {}
    roots = []
    for process in shown.values():
        parent = process.parent_pid
        # Read at different moments, two may be each other's parents: a pid came back.
        if parent is None or parent not in shown or _is_older(process, shown[parent]):
            roots.append(process)
        else:
            children.setdefault(parent, []).append(process)
    branches: list[Branch] = []
    todo = [(root, "", "") for root in reversed(roots)]
    while todo:
        process, lines, below = todo.pop()
        branches.append(Branch(process, lines))
        own = children.get(process.pid, ())
        for at, child in reversed(list(enumerate(own))):
            last = at == len(own) - 1
            todo.append((child, below + ("└─" if last else "├─"), below + ("  " if last else "│ ")))
    return branches


def _is_older(process: ProcessSample, parent: ProcessSample) -> bool:
    """Whether it began before its parent, which is then another process with the parent's pid."""
    own, other = process.key, parent.key
    return own == other or (own.start_time_ticks, own.pid) <= (other.start_time_ticks, other.pid)
