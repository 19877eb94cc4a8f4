"""The columns of a process: the one table of them, their values and texts.

A column says which readings it needs, so that nothing is read that no column shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from memtui import units
from memtui.kernel.details import Details, Shares
from memtui.kernel.files import Gap
from memtui.model.cgroups.names import readable_group
from memtui.model.keys import ProcessKey
from memtui.model.processes.rates import Rates
from memtui.model.query import Choice, FieldType, Measure, Value
from memtui.model.sample import ProcessSample, Sample

_UNITS: Final = (".service", ".scope", ".slice", ".socket", ".mount", ".swap")
AGED_S: Final = 10.0  # what was read longer ago is marked

STATES: Final = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting, and cannot be interrupted",
    "T": "stopped",
    "t": "stopped by a debugger",
    "Z": "zombie: ended, and its parent has not asked how",
    "X": "dead",
    "I": "idle kernel thread",
    "P": "parked",
}


class Growth(Protocol):
    """What tells how processes grew: `history.GrowthTracker`."""

    def gained_bytes(self, key: ProcessKey) -> int: ...
    def last_minute(self, key: ProcessKey, count: int) -> list[int | None]: ...


class Prospect(NamedTuple):
    """How the OOM killer would see a process: the points it would get, and its place, 1 the first."""

    points: int
    rank: int


class Facts(NamedTuple):
    """All that is known of processes at one moment.

    `user` gives a name for a uid; `ticks_per_s` is of start times, None where the sample was not
    taken on the machine that started them; `release` is the kernel's. In the command line of
    `own_pid`, memtui's, no words are looked for: it has those that it was asked for.
    """

    sample: Sample
    growth: Growth
    user: Callable[[int | None], str]
    rates: Mapping[ProcessKey, Rates] = {}
    prospects: Mapping[ProcessKey, Prospect] = {}
    ticks_per_s: int | None = None
    release: str = ""
    own_pid: int | None = None

    def details(self, process: ProcessSample) -> Details | None:
        return self.sample.details.get(process.key)

    def shares(self, process: ProcessSample) -> Shares | Gap | None:
        return self.sample.shares.get(process.key)

    def words(self, process: ProcessSample) -> str:
        """Its name, and the command line where that is read."""
        details = self.details(process) if process.pid != self.own_pid else None
        command = details.command if details is not None else None
        return f"{process.name}\n{command}" if command else process.name

    def age_s(self, process: ProcessSample) -> float | None:
        """How long ago it began."""
        if self.ticks_per_s is None:
            return None
        age = self.sample.time_s - process.key.start_time_ticks / self.ticks_per_s
        return max(0.0, age)


def _size(value: Any) -> str:
    return units.size(value, short=True)


_TEXTS: Final[Mapping[Measure, Callable[[Any], str]]] = {
    "bytes": _size,
    "text": units.printable,
    "change": units.change,
    "count": str,
    "percent": units.percent,
}
_SIZE: Final = 5  # cells, as "18.2G"


class ProcessColumn(NamedTuple):
    """One figure of a process: its name in filters and lists, heading, definition, and value.

    `needs`: what must be read for it beyond stat, statm and status of the rows on the screen:
    "status" (what Details always has), one of DETAIL_FILES, or "shares". `downwards`: whether the
    largest comes first when it is sorted by. `width` is in cells, 0 is what is left over; `format`
    makes a known value text, where not as all of its type are; `topic` is the name that explains it.
    """

    name: str
    title: str
    words: str
    type: Measure
    value: Callable[[Facts, ProcessSample], Value]
    needs: str = ""
    downwards: bool = True
    width: int = _SIZE
    format: Callable[[Any], str] | None = None
    topic: str = ""

    @property
    def json_name(self) -> str:
        """Its name where values stand without their units."""
        is_size = self.type == "bytes" or self.name == "gain"
        return f"{self.name}_bytes" if is_size else self.name

    def text(self, value: Value) -> str:
        """A value as a cell shows it; `n/a` for None."""
        if value is None:
            return units.UNKNOWN
        return (self.format or _TEXTS[self.type])(value)


def _detail(name: str) -> Callable[[Facts, ProcessSample], Value]:
    def value(facts: Facts, process: ProcessSample) -> Value:
        details = facts.details(process)
        return None if details is None else getattr(details, name)

    return value


def _share(name: str) -> Callable[[Facts, ProcessSample], Value]:
    def value(facts: Facts, process: ProcessSample) -> Value:
        shares = facts.shares(process)
        return None if shares is None or isinstance(shares, Gap) else getattr(shares, name)

    return value


def _rate(name: str) -> Callable[[Facts, ProcessSample], Value]:
    def value(facts: Facts, process: ProcessSample) -> Value:
        rates = facts.rates.get(process.key)
        return None if rates is None else getattr(rates, name)

    return value


def _prospect(name: str) -> Callable[[Facts, ProcessSample], Value]:
    def value(facts: Facts, process: ProcessSample) -> Value:
        prospect = facts.prospects.get(process.key)
        return None if prospect is None else getattr(prospect, name)

    return value


_BASED_SINCE: Final = (5, 9)  # from then on oom_score has 1,000 added, and two thirds are shown


def _oom_share(facts: Facts, process: ProcessSample) -> Value:
    score = process.oom_score
    if score is None:
        return None
    found = re.match(r"(\d+)\.(\d+)", facts.release)
    is_based = found is None or (int(found[1]), int(found[2])) >= _BASED_SINCE
    # It is a whole number: the nearest to what it was rounded from.
    return (score * 1.5 - 999) / 10 if is_based else score / 10


def _percent(value: float) -> str:
    if value < -99:
        return "never"
    return units.percent(value, 1 if 0.05 <= abs(value) < 9.95 else 0)


def _unit(facts: Facts, process: ProcessSample) -> Value:
    details = facts.details(process)
    return None if details is None or details.cgroup is None else unit_of(details.cgroup)


def unit_of(cgroup: str) -> str:
    """The service, scope or container that a control group belongs to, in readable words."""
    parts = cgroup.rstrip("/").split("/")
    for count in range(len(parts), 0, -1):
        if parts[count - 1].endswith(_UNITS):
            return readable_group("/".join(parts[:count]))
    return readable_group(cgroup)


def _signed(value: int) -> str:
    return f"{value:+d}" if value else "0"


def _rate_text(value: float) -> str:
    return units.quantity(value) if value >= 0.05 else "0"


_TABLE: Final = (
    ProcessColumn("pid", "PID", "its number", "count", lambda _, each: each.pid, "", False),
    ProcessColumn(
        "name",
        "NAME",
        "its name, at most 15 bytes",
        "text",
        lambda _, each: each.name,
        "",
        False,
        width=0,
    ),
    ProcessColumn(
        "user",
        "USER",
        "whose rights it has",
        "text",
        lambda f, each: f.user(each.uid),
        "",
        False,
        width=8,
    ),
    ProcessColumn(
        "state",
        "S",
        "its state, a letter",
        "text",
        lambda _, each: each.state,
        "",
        False,
        width=1,
    ),
    ProcessColumn(
        "rss",
        "RSS",
        "what of it is in memory, shared pages in full",
        "bytes",
        lambda _, each: each.rss_bytes,
        topic="RSS",
    ),
    ProcessColumn(
        "anon",
        "ANON",
        "the anonymous part of RSS: heap, stacks, written pages of private files",
        "bytes",
        _detail("rss_anon_bytes"),
        "status",
    ),
    ProcessColumn(
        "file",
        "FILE",
        "the part of RSS that is pages of files: programs, libraries, mapped data",
        "bytes",
        _detail("rss_file_bytes"),
        "status",
    ),
    ProcessColumn(
        "shmem",
        "SHMEM",
        "the part of RSS that is shared memory and tmpfs",
        "bytes",
        _detail("rss_shmem_bytes"),
        "status",
    ),
    ProcessColumn(
        "pss",
        "PSS",
        "what of it is in memory, each page divided by its sharers",
        "bytes",
        _share("pss_bytes"),
        "shares",
        width=6,
        topic="PSS",
    ),
    ProcessColumn(
        "uss",
        "USS",
        "what of it is its alone, and free when it ends",
        "bytes",
        _share("uss_bytes"),
        "shares",
        width=6,
        topic="USS",
    ),
    ProcessColumn(
        "swap",
        "SWAP",
        "what of it is swapped out, but for shared memory, which its map tells",
        "bytes",
        lambda _, each: each.swap_bytes,
        topic="swap",
    ),
    ProcessColumn(
        "tables",
        "TABLES",
        "its page tables, which RSS leaves out",
        "bytes",
        _detail("page_tables_bytes"),
        "status",
        width=6,
        topic="page table",
    ),
    ProcessColumn(
        "hugetlb",
        "HUGETLB",
        "its pages of the hugetlb pools, which RSS, PSS and USS leave out",
        "bytes",
        _detail("hugetlb_bytes"),
        "status",
        width=7,
        topic="huge page",
    ),
    ProcessColumn(
        "peak", "PEAK", "the most that RSS has been", "bytes", _detail("peak_rss_bytes"), "status"
    ),
    ProcessColumn(
        "size",
        "SIZE",
        "its address space, in use or not (VSZ)",
        "bytes",
        lambda _, each: each.size_bytes,
        topic="VSZ",
    ),
    ProcessColumn(
        "gain",
        "Δ/MIN",
        "what RSS has grown in the last minute",
        "change",
        lambda f, each: f.growth.gained_bytes(each.key),
        width=6,
    ),
    ProcessColumn(
        "trend",
        "LAST MIN",
        "how RSS moved in the last minute, from its least to its most",
        "change",
        lambda f, each: f.growth.gained_bytes(each.key),
        width=8,
    ),
    ProcessColumn(
        "minflt",
        "FLT/S",
        "minor page faults a second: memory that was there, or is given now",
        "count",
        _rate("minor_per_s"),
        "status",
        format=_rate_text,
        topic="minor faults",
    ),
    ProcessColumn(
        "majflt",
        "MAJ/S",
        "major page faults a second: what had to come from a disk or from swap",
        "count",
        _rate("major_per_s"),
        "status",
        format=_rate_text,
        topic="major faults",
    ),
    ProcessColumn(
        "points",
        "POINTS",
        "the OOM killer's points: RSS, swap and page tables in pages, and the adjustment's share",
        "change",
        _prospect("points"),
        "oom_score_adj",
        width=8,
        format=str,
    ),
    ProcessColumn(
        "rank",
        "RANK",
        "its place before the OOM killer, 1 the first to go",
        "count",
        _prospect("rank"),
        "oom_score_adj",
        False,
        width=4,
    ),
    ProcessColumn(
        "oom_share",
        "OOM",
        "of all memory and swap what the OOM killer counts it for, from oom_score",
        "percent",
        _oom_share,
        format=_percent,
        topic="oom_score",
    ),
    ProcessColumn(
        "oom",
        "SCORE",
        "the kernel's oom_score, 0 to 1,000 or so",
        "count",
        lambda _, p: p.oom_score,
        topic="oom_score",
    ),
    ProcessColumn(
        "adj",
        "ADJ",
        "oom_score_adj: -1000 never, 1000 first",
        "change",
        _detail("oom_score_adj"),
        "oom_score_adj",
        format=_signed,
        topic="oom_score_adj",
    ),
    ProcessColumn(
        "threads",
        "THR",
        "its threads",
        "count",
        lambda _, each: each.threads,
        width=4,
    ),
    ProcessColumn(
        "age",
        "AGE",
        "seconds since it began",
        "count",
        lambda f, each: f.age_s(each),
        width=6,
        format=units.brief,
    ),
    ProcessColumn(
        "parent", "PPID", "the process that began it", "count", lambda _, p: p.parent_pid, "", False
    ),
    ProcessColumn(
        "unit",
        "UNIT",
        "the service, scope or container of its cgroup",
        "text",
        _unit,
        "cgroup",
        False,
        width=16,
    ),
    ProcessColumn(
        "cgroup",
        "CGROUP",
        "the control group its memory is charged to",
        "text",
        _detail("cgroup"),
        "cgroup",
        False,
        width=24,
    ),
    ProcessColumn(
        "command",
        "COMMAND",
        "its command line",
        "text",
        _detail("command"),
        "cmdline",
        False,
        width=0,
    ),
)
COLUMNS: Final = {column.name: column for column in _TABLE}

_STATE_WORDS: Final = Choice(
    {letter: letter for letter in STATES} | {"zombie": "Z", "running": "R"}
)
FIELDS: Final[Mapping[str, FieldType]] = {
    **{column.name: column.type for column in _TABLE},
    "state": _STATE_WORDS,
}


# Columns that are up to date for every process at every tick; all others only where they are shown.
_ALWAYS: Final = frozenset({"pid", "name", "rss", "size", "gain", "trend", "age"})


def is_always_known(name: str) -> bool:
    """Whether a column's value is read of every process at every tick, wanted or not."""
    return name in _ALWAYS


# What counts everybody against everybody.
RANKED: Final = frozenset({"points", "rank"})


def needs(names: Iterable[str]) -> frozenset[str]:
    """What must be read for these columns."""
    return frozenset(need for name in names if (need := COLUMNS[name].needs))
