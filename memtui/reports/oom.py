"""`memtui oom`: whom the kernel would kill, why, by which policy, and whom it has killed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from memtui import units
from memtui.kernel.deaths import OomKill, deaths
from memtui.kernel.files import Files, Gap
from memtui.kernel.hidden import read_hidden
from memtui.kernel.kmsg import read_log
from memtui.live.machine import page_bytes_of
from memtui.model.oom.causes import why_killed
from memtui.model.oom.policy import PolicyLine
from memtui.model.oom.ranking import CandidateOom, Ranking, signed
from memtui.ondemand.oom import MEMINFO, Outlook, group_of, read_outlook
from memtui.reports.output import (
    Failure,
    Form,
    Options,
    TextColumn,
    asking,
    csv_document,
    document,
    form_of,
    one_process,
    place,
    shown,
    table,
    unreadable,
)

_POLICY: Final = (
    *("panic_on_oom", "oom_kill_allocating_task", "overcommit_memory", "overcommit_ratio"),
    "swappiness",
)
_KEYS: Final = (
    *("pid", "name", "points", "rss_pages", "swap_pages", "page_table_pages", "oom_score_adj"),
    *("oom_score", "immune"),
)
_KILL_KEYS: Final = (
    *("pid", "name", "is_group", "total_vm_bytes", "anon_rss_bytes", "file_rss_bytes"),
    *("shmem_rss_bytes", "page_tables_bytes", "uid", "oom_score_adj", "constraint", "oom_group"),
    *("task_group", "invoked_by", "is_manual", "nodes", "took_asker"),
)
_LISTED: Final = 20
_KILLS_LISTED: Final = 5
_BAR: Final = 16


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui oom`."""
    return oom(files, form_of(options), options.cgroup)


def oom(files: Files, form: Form, group: str | None = None) -> Iterator[str]:
    """The ranking now, on the machine or in a memory cgroup: a path, or a process's by its pid or name.

    JSON is one document, CSV the candidates. Fails where /proc/meminfo cannot be read.
    """
    outlook = _outlook(files, group)
    found = _read_kills(files)
    rows = [_json(each) for each in outlook.ranking.candidates]
    if form == "csv":
        yield from csv_document(_KEYS, rows)
    elif form == "json":
        settings = outlook.policy.settings
        kills = [] if isinstance(found, Gap) else found
        yield document(
            {
                "policy": {key: settings.get(key) for key in _POLICY},
                "candidates": rows,
                "kills": [
                    {
                        "time_s": kill.time_us / 1e6,
                        **{key: getattr(kill, key) for key in _KILL_KEYS},
                    }
                    for kill in kills
                ],
                "hidden": outlook.hidden.words if outlook.hidden else None,
            }
        )
    else:
        yield from _text(outlook)
        yield from _kills(found)


def _outlook(files: Files, group: str | None) -> Outlook:
    path = None if group is None else _group(files, group)
    outlook = read_outlook(files, page_bytes_of(files), path, read_hidden(files))
    if not isinstance(outlook, Gap):
        return outlook
    if outlook.source != MEMINFO:
        raise Failure(f"no memory cgroup {group!r}: {asking(files, 'cgroups')} lists them")
    if outlook.reason == "unsupported":
        raise Failure(f"{place(files, MEMINFO)}: {outlook.detail}")
    raise unreadable(files, outlook)


def _read_kills(files: Files) -> list[OomKill] | Gap:
    log = read_log(files)
    if isinstance(log, Gap):
        return log
    return [each for each in deaths(log.records) if isinstance(each, OomKill)]


def _group(files: Files, text: str) -> str:
    """The path of the cgroup that is meant: one in the hierarchy or below /sys, or a process's."""
    if text.startswith("/sys/fs/cgroup"):
        path = text.removeprefix("/sys/fs/cgroup")
        for mount in ("/memory", "/unified"):
            controllers = files.stat("sys/fs/cgroup/cgroup.controllers")
            own = files.stat(f"sys/fs/cgroup{mount}")
            if isinstance(controllers, Gap) and not isinstance(own, Gap):
                path = path.removeprefix(mount)
        return path or "/"
    return text if text.startswith("/") else _group_of(files, one_process(files, text))


def _group_of(files: Files, pid: int) -> str:
    path = group_of(files, pid)
    if isinstance(path, Gap):
        raise unreadable(files, path)
    if path is None:
        raise Failure(f"process {pid} is in no memory cgroup that can be seen here")
    return path


def _json(candidate: CandidateOom) -> dict[str, Any]:
    values = candidate._asdict()
    values.update(pid=candidate.pid, oom_score_adj=candidate.adj)
    return {key: values[key] for key in _KEYS}


def _text(outlook: Outlook) -> Iterator[str]:
    ranking, page_bytes = outlook.ranking, outlook.page_bytes
    scope = ranking.scope
    yield outlook.prediction.sentence + "\n\n"
    ranked = ranking.ranked
    listed = ranked[:_LISTED]
    most = max((each.points or 0 for each in listed), default=0)

    def pages(count: int | None) -> str:
        return units.size(None if count is None else count * page_bytes)

    yield from table(
        [
            TextColumn("RANK", ">", [str(each.rank) for each in listed]),
            TextColumn("PID", ">", [str(each.pid) for each in listed]),
            TextColumn("POINTS", ">", [units.count(each.points) for each in listed]),
            TextColumn("", "<", [_bar(each, most) for each in listed]),
            TextColumn("RSS", ">", [pages(each.rss_pages) for each in listed]),
            TextColumn("SWAP", ">", [pages(each.swap_pages) for each in listed]),
            TextColumn("TABLES", ">", [pages(each.page_table_pages) for each in listed]),
            TextColumn("ADJ", ">", [shown(each.adj) for each in listed]),
            TextColumn("SCORE", ">", [_score(each) for each in listed]),
            TextColumn("NAME", "<", [shown(each.name) for each in listed]),
        ]
    )
    if len(ranked) > len(listed):
        yield f"… and {units.count(len(ranked) - len(listed))} more\n"
    of = "memory and swap" if scope.path is None else "the group's limit and swap"
    yield (
        f"\npoints are pages of {units.size(page_bytes)} in memory, swap and page tables, "
        f"and adj thousandths of {units.size(scope.total_pages * page_bytes)}: "
        f"{of if scope.is_limited else 'memory and swap'}\n"
    )
    if any(each.differs for each in listed):
        yield "! the kernel's own score is another than follows from these sizes\n"
    yield from _left_out(ranking)
    yield "\npolicy\n"
    yield from _policy(outlook.lines)


def _bar(candidate: CandidateOom, most: int) -> str:
    share = max(0, candidate.points or 0) / most if most > 0 else None
    return units.permille_bar(share, _BAR)


def _score(candidate: CandidateOom) -> str:
    return shown(candidate.oom_score) + ("!" if candidate.differs else "")


def _left_out(ranking: Ranking) -> Iterator[str]:
    reasons: dict[str, list[CandidateOom]] = {}
    for each in ranking.candidates:
        if each.rank is None:
            reasons.setdefault(each.immune or "unknown: too little may be read", []).append(each)
    if reasons:
        yield "\nnot to be killed\n"
    for reason, members in sorted(reasons.items(), key=lambda item: len(item[1])):
        named = ", ".join(f"{units.printable(each.name)} ({each.pid})" for each in members[:3])
        more = f" and {len(members) - 3} more" if len(members) > 3 else ""
        yield f"  {reason}: {named}{more}\n"


def _policy(lines: list[PolicyLine]) -> Iterator[str]:
    width = max(len(line.name) for line in lines)
    for line in lines:
        value = "" if line.value is None else str(line.value)
        yield f"  {line.name:<{width}}  {value:>3}  {line.words}\n"


def _kills(kills: list[OomKill] | Gap) -> Iterator[str]:
    if isinstance(kills, Gap):
        yield f"\nkills: the kernel's log is not to be read: {units.printable(str(kills))}\n"
        return
    if not kills:
        yield "\nkills: none in the kernel's log\n"
        return
    yield f"\nkills in the kernel's log: {units.count(len(kills))}\n"
    for kill in kills[-_KILLS_LISTED:]:
        adj = "" if not kill.oom_score_adj else f", adj {signed(kill.oom_score_adj)}"
        yield (
            f"  {units.duration(kill.time_us / 1e6)} after boot: {units.printable(kill.name)} "
            f"({kill.pid}), {units.size(kill.rss_bytes)}{adj}: {why_killed(kill)}\n"
        )
