"""What is said about the process under the cursor, and about the list."""

from __future__ import annotations

from typing import Final

from memtui import units
from memtui.kernel.cgroups import Confinement
from memtui.kernel.details import Limit, Shares
from memtui.kernel.files import Gap
from memtui.model.map.addressmap import AddressMap, in_memory
from memtui.model.processes.columns import STATES, Facts
from memtui.model.processes.groups import Group
from memtui.model.sample import ProcessSample
from memtui.ondemand.place import Place
from memtui.session.chosen import Chosen
from memtui.tui import theme
from memtui.tui.words.cells import Line, Part, fitted
from memtui.tui.words.nomap import no_map

_DIM: Final = theme.style(theme.DIM)
_PLAIN: Final = theme.style(theme.FOREGROUND)
_BRIGHT: Final = theme.style(theme.BRIGHT, bold=True)
# Of limits, those of memory: the kernel's name and ours.
_LIMITS: Final = (
    ("Max address space", "address space"),
    ("Max locked memory", "locked"),
    ("Max stack size", "stack"),
    ("Max data size", "data"),
)
_KINDS_SHOWN: Final = 6
PANEL_LINES: Final = 6


def panel(
    facts: Facts,
    process: ProcessSample,
    place: Place | Gap | None,
    chosen: Chosen,
    width: int,
) -> list[Line]:
    """Who it is, what its memory is made of, what limits it, where it is; lines that fit."""
    map_ = chosen.map if chosen.key == process.key else None
    lines = [
        _who(facts, process),
        _command(facts, process),
        _sizes(facts, process, narrow=width < 100),
        _limits(place),
        _cgroup(facts, process, place),
        _map(facts, process, chosen, map_),
    ]
    return [fitted(line, width) for line in lines]


def _who(facts: Facts, process: ProcessSample) -> Line:
    state = STATES.get(process.state, process.state)
    if process.is_kernel_thread:
        state += " (a kernel thread: it has no memory of its own)"
    parts: list[Part] = [
        (f" {process.pid} ", _DIM),
        (units.printable(process.name), _BRIGHT),
        (f" · {state}", _PLAIN),
        (" · of ", _DIM),
        (facts.user(process.uid), _PLAIN),
    ]
    age = facts.age_s(process)
    if age is not None:
        parts.append((f" · {units.duration(int(age))} old", _DIM))
    if process.threads and process.threads > 1:
        parts.append((f" · {process.threads} threads", _DIM))
    if process.parent_pid:
        parent = next(
            (each for each in facts.sample.processes.values() if each.pid == process.parent_pid),
            None,
        )
        name = f" {units.printable(parent.name)}" if parent else ""
        parts.append((f" · child of {process.parent_pid}{name}", _DIM))
    return parts


def _command(facts: Facts, process: ProcessSample) -> Line:
    details = facts.details(process)
    command = details.command if details else None
    return [(" $ ", _DIM), (units.printable(command) if command else "–", _PLAIN)]


def _sizes(facts: Facts, process: ProcessSample, *, narrow: bool) -> Line:
    details, shares = facts.details(process), facts.shares(process)
    figures: list[tuple[str, str]] = [("RSS ", units.size(process.rss_bytes, short=True))]
    if details is not None and details.rss_anon_bytes is not None:
        parts = (details.rss_anon_bytes, details.rss_file_bytes, details.rss_shmem_bytes)
        anon, file, shmem = (units.size(part, short=True) for part in parts)
        figures[0] = ("RSS ", f"{figures[0][1]} = anon {anon} + file {file} + shmem {shmem}")
    if narrow:
        pass  # the table has PSS and USS beside
    elif isinstance(shares, Shares):
        ago = facts.sample.time_s - shares.time_s
        read = f" {units.brief(ago)} ago" if ago >= 5 else ""
        figures.append(("PSS ", units.size(shares.pss_bytes, short=True)))
        figures.append(("USS ", units.size(shares.uss_bytes, short=True) + read))
    elif isinstance(shares, Gap) and shares.reason == "denied":
        figures.append(("PSS, USS ", "denied"))
    figures.append(("swap ", units.size(process.swap_bytes, short=True)))
    if details is not None:
        figures.append(
            (
                "tables " if narrow else "page tables ",
                units.size(details.page_tables_bytes, short=True),
            )
        )
        if details.hugetlb_bytes:
            figures.append(("hugetlb ", units.size(details.hugetlb_bytes, short=True)))
        figures.append(("peak ", units.size(details.peak_rss_bytes, short=True)))
    return _figures(figures)


def _figures(figures: list[tuple[str, str]]) -> Line:
    parts: list[Part] = []
    for label, text in figures:
        parts += [(" · " if parts else " ", _DIM), (label, _DIM), (text, _PLAIN)]
    return parts


def _limits(place: Place | Gap | None) -> Line:
    if place is None:
        return [(" limits …", _DIM)]
    if isinstance(place, Gap):
        return [(f" limits: {units.printable(place.words)}", _DIM)]
    if isinstance(place.limits, Gap):
        return [(f" limits: {units.printable(place.limits.words)}", _DIM)]
    limits = place.limits
    found = [(f"{word} ", _limit(limits[name])) for name, word in _LIMITS if name in limits]
    return [(" limits:", _DIM), *_figures(found)]


def _limit(limit: Limit) -> str:
    soft, hard = (
        "unlimited" if value is None else units.size(value, short=True)
        for value in (limit.soft, limit.hard)
    )
    return soft if soft == hard else f"{soft} (at most {hard})"


def _cgroup(facts: Facts, process: ProcessSample, place: Place | Gap | None) -> Line:
    details = facts.details(process)
    confinement = place.confinement if isinstance(place, Place) else None
    if not isinstance(confinement, Confinement):
        name = details.cgroup if details and details.cgroup else units.UNKNOWN
        return [(" cgroup ", _DIM), (units.printable(name), _PLAIN)]
    own = confinement.levels[0]
    parts: list[Part] = [(" cgroup ", _DIM), (units.printable(own.path), _PLAIN)]
    parts += [(" · ", _DIM), (units.size(own.current_bytes, short=True), _PLAIN)]
    limit = confinement.limit_bytes
    if limit is None:
        return [*parts, (", no limit", _DIM)]
    by = confinement.group.path
    where = "" if by == own.path else f" of {units.printable(by)}"
    parts += [(f", limit{where} ", _DIM), (units.size(limit, short=True), _PLAIN)]
    return [*parts, (f", room {units.size(confinement.headroom_bytes, short=True)}", _DIM)]


def _map(facts: Facts, process: ProcessSample, chosen: Chosen, map_: AddressMap | None) -> Line:
    if map_ is None:
        why = (
            " ".join(no_map(chosen, facts.user, facts.ticks_per_s))
            if chosen.key == process.key
            else "reading …"
        )
        return [(" map ", _DIM), (why, _DIM)]
    parts: list[Part] = [(" map ", _DIM), (f"{units.count(len(map_))} mappings", _PLAIN)]
    if not map_.has_usage:
        return parts
    kinds = sorted(map_.by_kind.items(), key=lambda each: in_memory(*each), reverse=True)
    for kind, totals in kinds[:_KINDS_SHOWN]:
        if resident := in_memory(kind, totals):
            parts += [(" · ", _DIM), (f"{kind.name} ", theme.style(kind.colour))]
            parts.append((units.size(resident, short=True), _PLAIN))
    return [*parts, (" · Enter opens it", _DIM)]


def group_panel(facts: Facts, group: Group, width: int) -> list[Line]:
    """The largest of a group's members."""
    members = [
        facts.sample.processes[key] for key in group.members if key in facts.sample.processes
    ]
    members.sort(key=lambda each: each.rss_bytes or 0, reverse=True)
    lines: list[Line] = [
        [
            (f" {units.printable(group.name)}", _BRIGHT),
            (f" · {units.count(len(group.members))} processes, the largest:", _DIM),
        ]
    ]
    for process in members[: PANEL_LINES - 1]:
        details = facts.details(process)
        command = units.printable(details.command) if details and details.command else ""
        lines.append(
            [
                (f" {process.pid:>7} ", _DIM),
                (units.fit(units.printable(process.name), 16), _PLAIN),
                (f" RSS {units.size(process.rss_bytes, short=True):>5} ", _PLAIN),
                (f" {facts.user(process.uid)} ", _DIM),
                (f" {command}", _DIM),
            ]
        )
    return [fitted(line, width) for line in lines]


def introduced(facts: Facts, process: ProcessSample) -> str:
    """A process so that nobody takes it for another: pid, name, user and age."""
    age = facts.age_s(process)
    old = f", {units.duration(int(age))} old" if age is not None else ""
    return f"{process.pid} {units.printable(process.name)} of {facts.user(process.uid)}{old}"
