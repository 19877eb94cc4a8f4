"""`memtui procs`: every process by memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeVar

from memtui import sampling, units
from memtui.kernel.cgroups import memory_cgroup, parse_cgroup
from memtui.kernel.files import Gap, KernelFiles
from memtui.kernel.maps import parse_smaps_rollup
from memtui.kernel.process import parse_cmdline, parse_int, parse_stat, parse_statm, parse_status
from memtui.reports.output import (
    Column,
    Form,
    csv_document,
    effective_uid,
    list_document,
    shown,
    table,
    user_name,
)

T = TypeVar("T")

# A row's keys, in JSON's order.
_KEYS: Final = (
    *("pid", "name", "command", "user", "rss_bytes", "rss_anon_bytes", "rss_file_bytes"),
    *("rss_shmem_bytes", "pss_bytes", "uss_bytes", "swap_bytes", "peak_rss_bytes"),
    *("page_tables_bytes", "minor_faults", "major_faults", "oom_score", "oom_score_adj", "cgroup"),
)


def procs(files: KernelFiles, form: Form) -> Iterator[str]:
    """Every process, the largest RSS first; JSON and CSV in bytes, null where denied or absent."""
    page = sampling.page_size(files)
    user = lru_cache(maxsize=None)(user_name if files.is_live else str)
    found = [
        process
        for pid in sorted(files.pids())
        if (process := _process(files, pid, page, user)) is not None
    ]
    found.sort(key=lambda process: process.json["rss_bytes"] or 0, reverse=True)
    if form == "json":
        yield list_document([process.json for process in found])
        return
    if form == "csv":
        yield from csv_document(_KEYS, [process.json for process in found])
        return
    listed = [process for process in found if not process.is_kernel or process.json["rss_bytes"]]

    def sizes(head: str, key: str) -> Column:
        return Column(head, ">", [units.size(process.json[key]) for process in listed])

    def rollup(head: str, key: str) -> Column:
        return Column(
            head,
            ">",
            [
                "denied" if process.is_denied else units.size(process.json[key])
                for process in listed
            ],
        )

    def texts(head: str, key: str, align: Literal["<", ">"]) -> Column:
        return Column(head, align, [shown(process.json[key]) for process in listed])

    yield from table(
        [
            texts("PID", "pid", ">"),
            texts("USER", "user", "<"),
            sizes("RSS", "rss_bytes"),
            sizes("ANON", "rss_anon_bytes"),
            sizes("FILE", "rss_file_bytes"),
            sizes("SHMEM", "rss_shmem_bytes"),
            rollup("PSS", "pss_bytes"),
            rollup("USS", "uss_bytes"),
            sizes("SWAP", "swap_bytes"),
            sizes("PEAK", "peak_rss_bytes"),
            texts("OOM", "oom_score", ">"),
            texts("NAME", "name", "<"),
        ]
    )
    if left_out := len(found) - len(listed):
        threads = "1 kernel thread" if left_out == 1 else f"{left_out} kernel threads"
        yield f"\n{threads} without memory left out\n"


class _Process(NamedTuple):
    """One row: what JSON says of it. `is_denied`: its PSS and USS may not be read."""

    json: dict[str, Any]
    is_kernel: bool
    is_denied: bool


def _process(
    files: KernelFiles, pid: int, page: int, user: Callable[[int], str]
) -> _Process | None:
    """One process now; None if it has ended. What cannot be read of it is None."""

    def read(name: str, parse: Callable[[bytes], T]) -> T | Gap:
        return files.parsed(f"proc/{pid}/{name}", parse)

    stat, status, statm = (
        read("stat", parse_stat),
        read("status", parse_status),
        read("statm", parse_statm),
    )
    if any(isinstance(part, Gap) and part.reason == "gone" for part in (stat, status, statm)):
        return None
    rollup = read("smaps_rollup", parse_smaps_rollup)
    cgroups = read("cgroup", parse_cgroup)
    uid = effective_uid(status)
    sizes = {} if isinstance(status, Gap) else status
    sums = {} if isinstance(rollup, Gap) else rollup
    rss = sizes.get("VmRSS")
    if rss is None and not isinstance(statm, Gap):
        rss = statm.resident_pages * page  # kernel threads and zombies have no VmRSS
    uss = None
    if "Private_Clean" in sums and "Private_Dirty" in sums:
        uss = sums["Private_Clean"] + sums["Private_Dirty"] + sums.get("Private_Hugetlb", 0)
    return _Process(
        {
            "pid": pid,
            "name": sizes.get("Name") if isinstance(stat, Gap) else stat.comm,
            "command": _known(read("cmdline", parse_cmdline)),
            "user": None if uid is None else user(uid),
            "rss_bytes": rss,
            "rss_anon_bytes": sizes.get("RssAnon"),
            "rss_file_bytes": sizes.get("RssFile"),
            "rss_shmem_bytes": sizes.get("RssShmem"),
            "pss_bytes": sums.get("Pss"),
            "uss_bytes": uss,
            "swap_bytes": sizes.get("VmSwap"),
            "peak_rss_bytes": sizes.get("VmHWM"),
            "page_tables_bytes": sizes.get("VmPTE"),
            "minor_faults": None if isinstance(stat, Gap) else stat.minflt,
            "major_faults": None if isinstance(stat, Gap) else stat.majflt,
            "oom_score": _known(read("oom_score", parse_int)),
            "oom_score_adj": _known(read("oom_score_adj", parse_int)),
            "cgroup": None if isinstance(cgroups, Gap) else memory_cgroup(cgroups),
        },
        not isinstance(stat, Gap) and stat.is_kernel_thread,
        isinstance(rollup, Gap) and rollup.reason == "denied",
    )


def _known(value: T | Gap) -> T | None:
    return None if isinstance(value, Gap) else value
