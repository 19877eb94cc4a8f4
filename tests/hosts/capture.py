"""Copies what memtui reads of a machine into a tree that `memtui --root` and the tests can use.

    python tests/hosts/capture.py OUT [PID ...]

writes OUT/proc and OUT/sys. Without PIDs every process is taken; what cannot be read is left out,
as a process that dies meanwhile is. Run it again on the same OUT to add processes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

MACHINE = (
    "proc/buddyinfo",
    "proc/loadavg",
    "proc/meminfo",
    "proc/pagetypeinfo",
    "proc/pressure/*",
    "proc/slabinfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
    "proc/version",
    "proc/vmstat",
    "proc/zoneinfo",
    "proc/sys/kernel/hostname",
    "proc/sys/kernel/osrelease",
    "proc/sys/kernel/pid_max",
    "proc/sys/vm/admin_reserve_kbytes",
    "proc/sys/vm/compaction_proactiveness",
    "proc/sys/vm/defrag_mode",
    "proc/sys/vm/dirty_background_bytes",
    "proc/sys/vm/dirty_background_ratio",
    "proc/sys/vm/dirty_bytes",
    "proc/sys/vm/dirty_expire_centisecs",
    "proc/sys/vm/dirty_ratio",
    "proc/sys/vm/dirty_writeback_centisecs",
    "proc/sys/vm/extfrag_threshold",
    "proc/sys/vm/max_map_count",
    "proc/sys/vm/min_free_kbytes",
    "proc/sys/vm/nr_hugepages",
    "proc/sys/vm/nr_overcommit_hugepages",
    "proc/sys/vm/oom_dump_tasks",
    "proc/sys/vm/oom_kill_allocating_task",
    "proc/sys/vm/overcommit_kbytes",
    "proc/sys/vm/overcommit_memory",
    "proc/sys/vm/overcommit_ratio",
    "proc/sys/vm/page-cluster",
    "proc/sys/vm/panic_on_oom",
    "proc/sys/vm/swappiness",
    "proc/sys/vm/user_reserve_kbytes",
    "proc/sys/vm/vfs_cache_pressure",
    "proc/sys/vm/watermark_boost_factor",
    "proc/sys/vm/watermark_scale_factor",
    "proc/sys/vm/zone_reclaim_mode",
    "sys/block/zram*/comp_algorithm",
    "sys/block/zram*/compr_data_size",
    "sys/block/zram*/disksize",
    "sys/block/zram*/mem_limit",
    "sys/block/zram*/mem_used_total",
    "sys/block/zram*/mm_stat",
    "sys/block/zram*/orig_data_size",
    "sys/block/zram*/zero_pages",
    "sys/devices/system/node/has_memory",
    "sys/devices/system/node/node*/distance",
    "sys/devices/system/node/node*/meminfo",
    "sys/devices/system/node/node*/numastat",
    "sys/devices/system/node/online",
    "sys/kernel/mm/hugepages/*/*_hugepages",
    "sys/kernel/mm/ksm/full_scans",
    "sys/kernel/mm/ksm/general_profit",
    "sys/kernel/mm/ksm/ksm_zero_pages",
    "sys/kernel/mm/ksm/pages_*",
    "sys/kernel/mm/ksm/run",
    "sys/kernel/mm/ksm/sleep_millisecs",
    "sys/kernel/mm/transparent_hugepage/defrag",
    "sys/kernel/mm/transparent_hugepage/enabled",
    "sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
    "sys/kernel/mm/transparent_hugepage/hugepages-*kB/*enabled",
    "sys/kernel/mm/transparent_hugepage/khugepaged/*",
    "sys/kernel/mm/transparent_hugepage/shmem_enabled",
    "sys/module/zswap/parameters/*",
)
PROCESS = (
    "cgroup",
    "cmdline",
    "comm",
    "limits",
    "maps",
    "oom_score",
    "oom_score_adj",
    "smaps",
    "smaps_rollup",
    "stat",
    "statm",
    "status",
)
CGROUP = (
    "memory.current",
    "memory.events",
    "memory.failcnt",
    "memory.high",
    "memory.limit_in_bytes",
    "memory.max",
    "memory.max_usage_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.memsw.usage_in_bytes",
    "memory.oom_control",
    "memory.peak",
    "memory.pressure",
    "memory.stat",
    "memory.swap.current",
    "memory.swap.max",
    "memory.usage_in_bytes",
)


def main() -> None:
    options = _options()
    source, out = Path(options.root), Path(options.out)
    replacements = [tuple(os.fsencode(item).split(b"=", 1)) for item in options.replace]

    def copy(name: str) -> bytes | None:
        try:
            data = (source / name).read_bytes()
        except OSError:
            return None
        if name == "proc/sys/kernel/hostname":
            data = options.hostname.encode() + b"\n"
        for old, new in replacements:
            data = data.replace(old, new)
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return data

    if not options.only_processes:
        for pattern in MACHINE:
            for name in _matches(source, pattern):
                copy(name)
    for pid in options.pids or _pids(source):
        skipped = {"smaps"} if options.brief else set()
        for file in PROCESS:
            data = None if file in skipped else copy(f"proc/{pid}/{file}")
            if file == "cgroup" and data:
                for directory in _memory_groups(source, data):
                    for counter in CGROUP:
                        copy(f"{directory}/{counter}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("pids", metavar="PID", nargs="*", type=int)
    parser.add_argument("--root", default="/", help="where proc and sys are")
    parser.add_argument("--hostname", default="host", help="written instead of the real one")
    parser.add_argument("--brief", action="store_true", help="no smaps, the largest file by far")
    parser.add_argument("--only-processes", action="store_true", help="nothing of the machine")
    parser.add_argument(
        "--replace",
        metavar="OLD=NEW",
        action="append",
        default=[],
        help="in every file, such as /home/me=/home/user",
    )
    options = parser.parse_intermixed_args()
    if any("=" not in item for item in options.replace):
        sys.exit("capture.py: --replace takes OLD=NEW")
    return options


def _matches(source: Path, pattern: str) -> Iterator[str]:
    if "*" not in pattern:
        yield pattern
        return
    for path in sorted(source.glob(pattern)):
        if path.is_file():
            yield str(path.relative_to(source))


def _pids(source: Path) -> list[int]:
    return sorted(int(path.name) for path in (source / "proc").iterdir() if path.name.isdecimal())


def _memory_groups(source: Path, data: bytes) -> Iterator[str]:
    """The directory of each cgroup that may count the memory, below the source."""
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield f"sys/fs/cgroup/memory{path}".rstrip("/")
        elif not controllers:
            for mount in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):
                if (source / mount / "cgroup.procs").exists():
                    yield f"{mount}{path}".rstrip("/")


if __name__ == "__main__":
    main()
