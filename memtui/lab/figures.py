"""The figures of an experiment: of its processes, of its control group, of the machine.

Read with the same parsers as everywhere in memtui. One that cannot be read is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from memtui import units
from memtui.frozen import FrozenDict
from memtui.kernel.cgroups import read_level, read_memory_group
from memtui.kernel.details import shares_of
from memtui.kernel.files import Files, Gap
from memtui.kernel.maps import parse_smaps_rollup
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.process import parse_identity, status_bytes, status_sizes
from memtui.kernel.vmstat import parse_vmstat
from memtui.kernel.zones import ZoneMarks, parse_zone_marks
from memtui.model.system.free import free_figures

Unit = Literal["bytes", "count"]
Of = Literal["process", "machine", "group"]
_Raw = Mapping[str, int | None]
_TRIES: Final = 10  # at a reading of the machine
_STILL_BYTES: Final = 4 << 20  # allocated and freed while it takes place, at most


class Figure(NamedTuple):
    """`raw`: the key in what was read of where it is of."""

    key: str
    words: str
    unit: Unit
    of: Of
    raw: str


def _bytes(key: str, words: str, of: Of, raw: str = "") -> Figure:
    return Figure(key, words, "bytes", of, raw or key)


def _count(key: str, words: str, of: Of, raw: str = "") -> Figure:
    return Figure(key, words, "count", of, raw or key)


FIGURES: Final = (
    _bytes("virtual", "VIRT", "process", "VmSize"),
    _bytes("rss", "RSS", "process", "Rss"),
    _bytes("rss_anon", "RSS anon", "process"),
    _bytes("rss_file", "RSS file", "process"),
    _bytes("rss_shmem", "RSS shmem", "process"),
    _bytes("pss", "PSS", "process"),
    _bytes("uss", "USS", "process"),
    _bytes("private_dirty", "private dirty", "process", "Private_Dirty"),
    _bytes("private_clean", "private clean", "process", "Private_Clean"),
    _bytes("shared_clean", "shared clean", "process", "Shared_Clean"),
    _bytes("shared_dirty", "shared dirty", "process", "Shared_Dirty"),
    _bytes("shared", "shared", "process"),
    _bytes("swap", "swap", "process", "Swap"),
    _bytes("page_tables", "page tables", "process"),
    _count("minor_faults", "minor faults", "process"),
    _count("major_faults", "major faults", "process"),
    _bytes("anon_huge", "huge pages", "process", "AnonHugePages"),
    _bytes("locked", "locked", "process", "Locked"),
    _bytes("group_usage", "group's use", "group"),
    _bytes("group_swap", "group's swap", "group"),
    _count("group_failcnt", "group's limit hits", "group", "failcnt"),
    _count("group_oom_kills", "group's OOM kills", "group", "oom_kill"),
    _bytes("free", "free", "machine"),
    _bytes("on_cpu_lists", "free, on CPU lists", "machine"),
    _bytes("available", "available", "machine"),
    _bytes("buff_cache", "buff/cache", "machine"),
    _bytes("cached", "page cache", "machine", "Cached"),
    _bytes("dirty", "dirty", "machine", "Dirty"),
    _bytes("writeback", "writeback", "machine", "Writeback"),
    _bytes("machine_anon", "anonymous, all", "machine", "AnonPages"),
    _bytes("committed", "Committed_AS", "machine", "Committed_AS"),
    _bytes("commit_limit", "CommitLimit", "machine", "CommitLimit"),
    _bytes("machine_page_tables", "page tables, all", "machine", "PageTables"),
    _bytes("swap_used", "swap used", "machine"),
    _count("oom_kills", "OOM kills", "machine", "oom_kill"),
    _count("pgmajfault", "major faults, all", "machine"),
    # Which bounds how far others can have moved the machine's other figures meanwhile.
    _bytes("turnover", "allocated and freed, all", "machine"),
)
FIGURE_BY_KEY: Final = {figure.key: figure for figure in FIGURES}


def figure_of(key: str) -> Figure | None:
    """Also of another process's: "child.rss". None: a fact of the program's."""
    return FIGURE_BY_KEY.get(key.rpartition(".")[2])


def label(key: str) -> str:
    """`RSS`, `child RSS`; of a fact its name."""
    known, whose = figure_of(key), key.rpartition(".")[0]
    return (
        f"{whose} {known.words}".strip() if known else key.replace("_", " ").removesuffix(" bytes")
    )


def text(key: str, value: int) -> str:
    """A figure's value, or a fact's: what its key ends in tells bytes and addresses from counts."""
    known = figure_of(key)
    if known.unit == "bytes" if known else key.endswith("_bytes"):
        return units.size(value)
    return units.address(value) if key.endswith("address") else units.count(value)


def read_figures(
    files: Files, processes: Mapping[str, int], group: str | None, page_bytes: int
) -> Mapping[str, int]:
    """All that can be read: those of `processes` by name, the program's own being "". `group`: the
    path of a v1 memory cgroup.

    The processes last, so that what they wait for follows at once.
    """
    found = dict(_known("machine", _of_machine(files, page_bytes)))
    if group:
        found.update(_known("group", _of_group(files, group)))
    for name, pid in processes.items():
        prefix = f"{name}." if name else ""
        found.update((prefix + key, value) for key, value in _known("process", _of(files, pid)))
    return FrozenDict(found)


def _known(of: Of, raw: _Raw) -> Iterator[tuple[str, int]]:
    for figure in FIGURES:
        value = raw.get(figure.raw) if figure.of == of else None
        if value is not None:
            yield figure.key, value


def _of_machine(files: Files, page_bytes: int) -> _Raw:
    """Of one moment: read again where others did much while it was read."""
    for _ in range(_TRIES):
        before = _turnover_bytes(files, page_bytes)
        found = _of_moment(files, page_bytes)
        if before is None or (found["turnover"] or 0) - before < _STILL_BYTES:
            break
    return found


def _of_moment(files: Files, page_bytes: int) -> dict[str, int | None]:
    meminfo = files.parsed("proc/meminfo", parse_meminfo)
    zones = files.parsed("proc/zoneinfo", parse_zone_marks)
    vmstat = files.parsed("proc/vmstat", parse_vmstat)
    events = {} if isinstance(vmstat, Gap) else vmstat
    return {
        **events,
        **({} if isinstance(meminfo, Gap) else meminfo),
        **free_figures(meminfo)._asdict(),
        "on_cpu_lists": None if isinstance(zones, Gap) else _on_lists(zones, page_bytes),
        "turnover": _turnover(events, page_bytes),
    }


def _turnover_bytes(files: Files, page_bytes: int) -> int | None:
    vmstat = files.parsed("proc/vmstat", parse_vmstat)
    return None if isinstance(vmstat, Gap) else _turnover(vmstat, page_bytes)


def _turnover(events: Mapping[str, int], page_bytes: int) -> int:
    zones = (pages for key, pages in events.items() if key.startswith("pgalloc_"))
    return (sum(zones) + events.get("pgfree", 0)) * page_bytes


def _on_lists(zones: list[ZoneMarks], page_bytes: int) -> int:
    """Free pages that each processor keeps for itself, which are in nobody's `free`."""
    return sum(zone.on_lists_pages or 0 for zone in zones) * page_bytes


def _of_group(files: Files, path: str) -> _Raw:
    level = read_level(files, path, 1)
    if isinstance(level, Gap):
        return {}
    group = read_memory_group(files, level, 1)
    events = {} if isinstance(group.events, Gap) else group.events
    return {**events, "group_usage": group.current_bytes, "group_swap": group.swap_bytes}


def _of(files: Files, pid: int) -> _Raw:
    """Of a process; nothing of one that has ended."""
    status = files.read_record(f"proc/{pid}/status")
    rollup = files.parsed(f"proc/{pid}/smaps_rollup", parse_smaps_rollup)
    stat = files.parsed(f"proc/{pid}/stat", parse_identity)
    if isinstance(status, Gap) or isinstance(stat, Gap) or stat.has_ended:
        return {}
    sizes = status_sizes(status)
    sums = {"Rss": sizes.rss, "Swap": sizes.swap} if isinstance(rollup, Gap) else dict(rollup)
    shares = None if isinstance(rollup, Gap) else shares_of(rollup, 0)
    parts = [sums.get("Shared_Clean"), sums.get("Shared_Dirty")]
    return {
        **sums,
        "VmSize": status_bytes(status, b"VmSize"),
        "rss_anon": sizes.rss_anon,
        "rss_file": sizes.rss_file,
        "rss_shmem": sizes.rss_shmem,
        "page_tables": sizes.page_tables,
        "pss": shares and shares.pss_bytes,
        "uss": shares and shares.uss_bytes,
        "shared": None if None in parts else sum(each or 0 for each in parts),
        "minor_faults": stat.minflt,
        "major_faults": stat.majflt,
    }
