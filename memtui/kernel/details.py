"""More about one process than its size: what its memory is made of, its faults, its place.

Source: /proc/PID/{stat,status,oom_score_adj,cgroup,cmdline,limits,smaps_rollup}. Document:
Documentation/filesystems/proc.rst, proc(5). Since: RssAnon, RssFile and RssShmem 4.5, smaps_rollup
4.14. Permission: anyone (hidepid apart), smaps_rollup needs ptrace read access. Cost of 1,000:
oom_score_adj, cgroup and cmdline 8 ms each; smaps_rollup 40 ms of small ones, and 11 ms a GiB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from memtui.kernel.cgroups import memory_cgroup, parse_cgroup
from memtui.kernel.files import Files, Gap, Malformed
from memtui.kernel.maps import parse_smaps_rollup, read_mappings
from memtui.kernel.process import Identity, parse_cmdline, parse_int, status_sizes
from memtui.kernel.threads import living
from memtui.kernel.values import number

T = TypeVar("T")

# The files that cost an opening each: read only where something that they tell is shown.
DETAIL_FILES: Final = frozenset({"oom_score_adj", "cgroup", "cmdline"})

_SUMMED: Final = ("Pss", "Private_Clean", "Private_Dirty")  # of smaps, for PSS and USS


class Details(NamedTuple):
    """One process at `time_s` (since boot). None: not read, or not offered by this kernel.

    `hugetlb_bytes` are its pages of the hugetlb pools, which are in no RSS, PSS or USS.

    `minor_faults` and `major_faults` count since its start; `cgroup` is the one that its memory is
    charged to; `command` is empty for kernel threads and zombies.
    """

    time_s: float
    rss_anon_bytes: int | None = None
    rss_file_bytes: int | None = None
    rss_shmem_bytes: int | None = None
    page_tables_bytes: int | None = None
    peak_rss_bytes: int | None = None
    minor_faults: int | None = None
    major_faults: int | None = None
    oom_score_adj: int | None = None
    cgroup: str | None = None
    command: str | None = None
    hugetlb_bytes: int | None = None


class Shares(NamedTuple):
    """What of its memory a process pays for: PSS, each page divided by its sharers, and USS, the
    pages that are its alone. Read at `time_s`, since boot. None: not offered by this kernel.
    """

    time_s: float
    pss_bytes: int | None
    uss_bytes: int | None


class Limit(NamedTuple):
    """A limit of a process's, soft and hard, in the kernel's unit; None: unlimited."""

    soft: int | None
    hard: int | None
    unit: str


def read_details(
    files: Files,
    directory: str,
    time_s: float,
    stat: Identity,
    status: bytes,
    wanted: frozenset[str],
) -> Details:
    """What stat and status, read already, and the files in `wanted` say of a process now.

    `directory` is where its files are that tell of its memory: see `threads.living`.
    """

    def read(name: str, parse: Callable[[bytes], T]) -> T | None:
        value = files.parsed(f"{directory}/{name}", parse) if name in wanted else None
        return None if isinstance(value, Gap) else value

    sizes = status_sizes(status)
    return Details(
        time_s,
        sizes.rss_anon,
        sizes.rss_file,
        sizes.rss_shmem,
        sizes.page_tables,
        sizes.peak_rss,
        stat.minflt,
        stat.majflt,
        read("oom_score_adj", parse_int),
        read("cgroup", memory_path),
        read("cmdline", parse_cmdline),
        sizes.hugetlb,
    )


@lru_cache(maxsize=1024)  # most processes share one of few, and v1 has a line for each controller
def memory_path(data: bytes) -> str | None:
    """The control group that memory is charged to, of a process's cgroup. Raises Malformed."""
    return memory_cgroup(parse_cgroup(data))


def read_shares(files: Files, pid: int, time_s: float) -> Shares | Gap:
    """PSS and USS of a process now, or of a recording as they were last read before `time_s`, since
    boot: from smaps_rollup, and from smaps where a kernel has none.

    Opened anew each time: an exec leaves an open file empty.
    """
    own = f"proc/{pid}"
    time_s -= files.age_s(f"{own}/smaps_rollup") or 0.0
    sums = files.parsed(f"{own}/smaps_rollup", parse_smaps_rollup)
    # Most have a first thread that lives, and are not asked.
    if not sums or (isinstance(sums, Gap) and sums.reason == "gone"):
        directory = living(files, pid)
        if directory != own:
            sums = files.parsed(f"{directory}/smaps_rollup", parse_smaps_rollup)
    if isinstance(sums, Gap):
        return _shares_by_mapping(files, pid, time_s) if sums.reason == "absent" else sums
    return shares_of(sums, time_s)


def _shares_by_mapping(files: Files, pid: int, time_s: float) -> Shares | Gap:
    """Where smaps_rollup is missing: before 4.14, or in a capture. Some 5 µs a mapping."""
    mappings = read_mappings(files, pid)
    if isinstance(mappings, Gap):
        return mappings
    found = {key: total for key in _SUMMED if (total := mappings.total(key)) is not None}
    return shares_of(found, time_s)


def shares_of(sums: Mapping[str, int], time_s: float) -> Shares:
    """PSS and USS from the sums of smaps, which leave out hugetlb's pages in both, as in RSS."""
    uss = None
    if "Private_Clean" in sums and "Private_Dirty" in sums:
        uss = sums["Private_Clean"] + sums["Private_Dirty"]
    return Shares(time_s, sums.get("Pss"), uss)


def parse_limits(data: bytes) -> dict[str, Limit]:
    """Every line of limits by its name: "Max stack size". Raises Malformed."""
    lines = data.decode("utf-8", "surrogateescape").splitlines()
    if not lines or not lines[0].startswith("Limit"):
        raise Malformed(repr(data[:60].decode("ascii", "backslashreplace")))
    limits = {}
    for line in lines[1:]:
        # "Max address space         unlimited            unlimited            bytes     "
        name, words = line[:26].strip(), line[26:].split()
        if len(words) < 2:
            raise Malformed(repr(line[:60]))
        # Those of rt priority and nice have no unit.
        soft, hard = (number(word.encode("utf-8", "surrogateescape")) for word in words[:2])
        if (soft is None and words[0] != "unlimited") or (hard is None and words[1] != "unlimited"):
            raise Malformed(repr(line[:60]))
        limits[name] = Limit(soft, hard, words[2] if len(words) > 2 else "")
    return limits
