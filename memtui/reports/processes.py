"""`memtui procs`: every process by memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeVar

from memtui import units
from memtui.kernel.files import Files, Gap, parsed
from memtui.kernel.hidden import read_hidden
from memtui.kernel.process import (
    parse_cmdline,
    parse_int,
    parse_statm,
    read_identity,
    status_name,
    status_sizes,
    status_value,
)
from memtui.kernel.threads import living
from memtui.live.machine import page_bytes_of
from memtui.live.users import user_name
from memtui.reports.output import (
    AGED_S,
    Form,
    Options,
    TextColumn,
    csv_document,
    form_of,
    list_document,
    shown,
    table,
)

T = TypeVar("T")

# A row's keys, in JSON's order.
_KEYS: Final = (
    *("pid", "name", "command", "user", "rss_bytes", "rss_anon_bytes", "rss_file_bytes"),
    *("rss_shmem_bytes", "pss_bytes", "uss_bytes", "swap_bytes", "peak_rss_bytes"),
    *("page_tables_bytes", "minor_faults", "major_faults", "oom_score", "oom_score_adj", "cgroup"),
    "hugetlb_bytes",
)


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui procs`."""
    return procs(files, form_of(options), not options.no_pss)


def procs(files: Files, form: Form, pss: bool = True) -> Iterator[str]:
    """Every process, the largest RSS first; JSON and CSV in bytes, null where denied or absent.

    PSS and USS, which cost more than all else, are null without `pss`. What the text does not show
    is not read for it.
    """
    reader = _Reader(files, pss, whole=form != "text")
    rows = (reader.read(pid) for pid in sorted(files.pids()))
    found = [row for row in rows if row is not None]
    found.sort(key=lambda row: row.json["rss_bytes"] or 0, reverse=True)
    aged_s = max((row.age_s for row in found if row.is_aged), default=0.0)
    aged = f"PSS and USS were read up to {units.duration(aged_s)} before" if aged_s else ""
    if aged and form != "text":
        from memtui.reports.recorded import say  # of a recording: it is there

        say(f"memtui: {aged}\n")
    if form == "json":
        yield list_document([row.json for row in found])
        return
    if form == "csv":
        yield from csv_document(_KEYS, [row.json for row in found])
        return
    listed = [
        row for row in found if (not row.is_kernel or row.json["rss_bytes"]) and not row.is_closed
    ]
    size = lru_cache(maxsize=None)(units.size)  # many are alike

    def sizes(head: str, key: str) -> TextColumn:
        return TextColumn(head, ">", [size(row.json[key]) for row in listed])

    def shares(head: str, key: str) -> TextColumn:
        cells = [
            "denied" if row.is_denied else "~" * row.is_aged + size(row.json[key]) for row in listed
        ]
        return TextColumn(head, ">", cells)

    def texts(head: str, key: str, align: Literal["<", ">"]) -> TextColumn:
        return TextColumn(head, align, [shown(row.json[key]) for row in listed])

    yield from table(
        [
            texts("PID", "pid", ">"),
            texts("USER", "user", "<"),
            sizes("RSS", "rss_bytes"),
            sizes("ANON", "rss_anon_bytes"),
            sizes("FILE", "rss_file_bytes"),
            sizes("SHMEM", "rss_shmem_bytes"),
            *((shares("PSS", "pss_bytes"), shares("USS", "uss_bytes")) if pss else ()),
            sizes("SWAP", "swap_bytes"),
            sizes("PEAK", "peak_rss_bytes"),
            texts("OOM", "oom_score", ">"),
            texts("NAME", "name", "<"),
        ]
    )
    if aged:
        yield f"\n~ {aged}\n"
    if left_out := sum(row.is_kernel and not row.json["rss_bytes"] for row in found):
        threads = "1 kernel thread" if left_out == 1 else f"{left_out} kernel threads"
        yield f"\n{threads} without memory left out\n"
    if hidden := read_hidden(files):
        yield f"\nnot all processes: {hidden.words}\n"


class _Row(NamedTuple):
    """One process: what JSON says of it. `is_denied`: its PSS and USS may not be read; `is_closed`:
    nothing of it may. `age_s`: how long before the rest they were read."""

    json: dict[str, Any]
    is_kernel: bool
    is_denied: bool
    is_closed: bool
    age_s: float

    @property
    def is_aged(self) -> bool:
        return self.age_s >= AGED_S and self.json["pss_bytes"] is not None


class _Reader:
    """Reads processes; `whole`: also what only JSON and CSV have."""

    def __init__(self, files: Files, pss: bool, whole: bool) -> None:
        self._files = files
        self._pss = pss
        self._whole = whole
        self._user: Callable[[int], str] = lru_cache(maxsize=None)(
            user_name if files.has_our_users else str
        )

    def read(self, pid: int) -> _Row | None:
        """One process now; None if it has ended. What cannot be read of it is None."""
        files, prefix = self._files, f"proc/{pid}/"
        data = files.read_record(prefix + "status")
        if isinstance(data, Gap) and data.reason == "gone":
            return None
        status = b"" if isinstance(data, Gap) else data
        name = status_name(status)
        if (status_value(status, b"State") or b"").startswith(b"Z"):
            prefix = living(files, pid) + "/"
            data = files.read_record(prefix + "status")
            status = b"" if isinstance(data, Gap) else data
        sizes = status_sizes(status)
        rss = sizes.rss
        minor = major = None
        is_kernel = False
        if self._whole or rss is None or name is None:
            stat = read_identity(files, pid)
            if isinstance(stat, Gap):
                if stat.reason == "gone":
                    return None
            else:
                name, minor, major = stat.comm, stat.minflt, stat.majflt
                is_kernel = stat.is_kernel_thread
        if rss is None:
            rss = self._statm_rss(pid)  # kernel threads and zombies have no VmRSS
        uids = (status_value(status, b"Uid") or b"").split()
        uid = int(uids[1]) if len(uids) > 1 and uids[1].isdigit() else None
        row: dict[str, Any] = {
            "pid": pid,
            "name": name,
            "command": self._of(prefix + "cmdline", parse_cmdline),
            "user": None if uid is None else self._user(uid),
            "rss_bytes": rss,
            "rss_anon_bytes": sizes.rss_anon,
            "rss_file_bytes": sizes.rss_file,
            "rss_shmem_bytes": sizes.rss_shmem,
            "pss_bytes": None,
            "uss_bytes": None,
            "swap_bytes": sizes.swap,
            "peak_rss_bytes": sizes.peak_rss,
            "page_tables_bytes": sizes.page_tables,
            "minor_faults": minor,
            "major_faults": major,
            "oom_score": self._known(
                "oom_score", files.read_record(prefix + "oom_score"), parse_int
            ),
            "oom_score_adj": self._of(prefix + "oom_score_adj", parse_int),
            "cgroup": self._cgroup(prefix) if self._whole else None,
            "hugetlb_bytes": sizes.hugetlb,
        }
        is_closed = isinstance(data, Gap) and data.reason == "denied" and name is None
        is_denied = self._pss and self._add_shares(pid, row)
        age_s = (files.age_s(f"proc/{pid}/smaps_rollup") or 0.0) if self._pss else 0.0
        return _Row(row, is_kernel, is_denied, is_closed, age_s)

    def _cgroup(self, prefix: str) -> str | None:
        from memtui.kernel.details import memory_path

        return self._of(prefix + "cgroup", memory_path)

    def _add_shares(self, pid: int, row: dict[str, Any]) -> bool:
        """PSS and USS; whether they are denied."""
        # Imported where it is wanted: the grammar of maps takes its time.
        from memtui.kernel.details import read_shares

        shares = read_shares(self._files, pid, 0.0)
        if isinstance(shares, Gap):
            return shares.reason == "denied"
        row["pss_bytes"], row["uss_bytes"] = shares.pss_bytes, shares.uss_bytes
        return False

    def _statm_rss(self, pid: int) -> int | None:
        statm = self._files.parsed(f"proc/{pid}/statm", parse_statm)
        if isinstance(statm, Gap):
            return None
        return statm.resident_pages and statm.resident_pages * page_bytes_of(self._files)

    def _of(self, name: str, parse: Callable[[bytes], T]) -> T | None:
        """A file that the text does not show."""
        if not self._whole:
            return None
        return self._known(name, self._files.read(name), parse)

    @staticmethod
    def _known(source: str, data: bytes | Gap, parse: Callable[[bytes], T]) -> T | None:
        value = data if isinstance(data, Gap) else parsed(source, data, parse)
        return None if isinstance(value, Gap) else value
