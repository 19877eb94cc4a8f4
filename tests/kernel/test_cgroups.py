"""The memory controller's files: captured groups of both versions, and real ones of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.cgroups import (
    Confinement,
    Level,
    Tree,
    memory_version,
    parse_cgroup,
    parse_limit,
    read_confinement,
    read_memory_group,
    read_tree,
)
from memtui.kernel.files import Files, Gap, Malformed
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.pressure import Pressure
from memtui.kernel.values import parse_counters
from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.model.sample import Sample
from memtui.model.system.free import free_figures
from memtui.model.system.metrics import METRICS
from memtui.session.scope import in_group
from tests.terminal import wait_until

Host = Callable[[str], Files]
MIB = 1 << 20
V1 = Path("/sys/fs/cgroup/memory")


def confinement_of(files: Files, pid: int | str = "self") -> Confinement:
    memberships = files.parsed(f"proc/{pid}/cgroup", parse_cgroup)
    assert not isinstance(memberships, Gap)
    found = read_confinement(files, memberships)
    assert isinstance(found, Confinement)
    return found


@pytest.mark.parametrize(
    ("data", "limit"),
    [
        (b"max\n", None),
        (b"9223372036854771712\n", None),  # v1, 4 KiB pages
        (b"9223372036854710272\n", None),  # v1, 64 KiB pages
        (b"-1\n", None),
        (b"1073741824\n", 1 << 30),
        (b"0\n", 0),
    ],
)
def test_limits(data: bytes, limit: int | None) -> None:
    assert parse_limit(data) == limit


@given(st.binary())
def test_any_bytes_are_counters_or_malformed(data: bytes) -> None:
    for parse in (parse_counters, parse_limit):
        with contextlib.suppress(Malformed):
            parse(data)


def test_a_counter_below_zero_is_impossible() -> None:
    lines = b"anon 18446744073709551615\nworkingset_refault_anon 3\ntotal=1 N0=1\nfile -4096\n"
    found = parse_counters(lines)
    assert found == {"workingset_refault_anon": 3}
    assert found.impossible == {"anon", "file"}
    kept = pickle.loads(pickle.dumps(found))
    assert kept == found
    assert kept.impossible == found.impossible


def test_the_tightest_ancestor_is_the_limit(host: Host) -> None:
    """The container may take 2 GiB, the pod around it 1.5: that is where it ends."""
    found = confinement_of(host("pod"))
    assert found.version == 2
    assert [level.limit_bytes for level in found.levels] == [2048 * MIB, 1536 * MIB, *[None] * 3]
    assert found.limit_bytes == found.group.max_bytes == 1536 * MIB
    assert found.group.path.endswith("pod7f3a.slice")
    assert found.group.peak_bytes == 1536 * MIB
    current = found.levels[1].current_bytes
    assert current is not None
    assert found.headroom_bytes == 1536 * MIB - current
    assert not isinstance(found.group.events, Gap)
    assert found.group.events["oom_kill"] == 17
    assert isinstance(found.group.pressure, Pressure)


def test_version_1_on_a_hybrid_host(host: Host) -> None:
    """The path has a colon; memory is charged to v1's hierarchy."""
    files = host("container")
    pid, *_ = (
        pid for pid in files.pids() if b"shop:web" in (files.read(f"proc/{pid}/cgroup") or b"")
    )
    found = confinement_of(files, pid)
    assert found.version == 1
    group, base = found.group, f"sys/fs/cgroup/memory{found.group.path}/memory."
    assert group.path.endswith("/shop:web@1.service")

    def number(name: str) -> int:
        data = files.read(base + name)
        assert isinstance(data, bytes)
        return int(data)

    assert group.current_bytes == number("usage_in_bytes")
    assert number("limit_in_bytes") > 1 << 62
    assert group.max_bytes is None and group.swap_max_bytes is None
    assert not isinstance(group.events, Gap)
    assert group.events["failcnt"] == number("failcnt")
    assert isinstance(group.pressure, Gap)


def test_no_limit_costs_only_the_looking(host: Host) -> None:
    files = host("arm64-64k")
    memberships = parse_cgroup(b"0::/user.slice/user-1000.slice/session-2.scope\n")
    assert read_confinement(files, memberships, always=False) is None
    found = read_confinement(files, memberships)
    assert isinstance(found, Confinement)
    assert found.limit_bytes is None and found.headroom_bytes is None
    assert found.group.current_bytes == 7105871872
    assert found.group.peak_bytes is None or found.group.peak_bytes > 7105871872


def test_a_containers_own_mount_begins_at_its_group(tmp_path: Path) -> None:
    """/proc/self/cgroup says where the host has it, which is not to be seen from inside."""
    group = tmp_path / "sys/fs/cgroup/memory"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("1048576\n")
    (group / "memory.usage_in_bytes").write_text("4096\n")
    found = read_confinement(LiveFiles(str(tmp_path)), parse_cgroup(b"4:memory:/docker/ab12\n"))
    assert isinstance(found, Confinement)
    assert [level.path for level in found.levels] == ["/"]
    assert found.limit_bytes == 1048576
    assert found.headroom_bytes == 1048576 - 4096
    assert isinstance(found.group.stat, Gap)


@pytest.mark.parametrize("lines", [b"", b"3:cpu:/\n", b"4:memory:/gone\n"])
def test_no_group_to_be_seen_is_a_gap(tmp_path: Path, lines: bytes) -> None:
    assert isinstance(read_confinement(LiveFiles(str(tmp_path)), parse_cgroup(lines)), Gap)


# The group as a machine.


def sample_of(files: Files) -> Sample:
    return Sampler(files).sample(1.0, Plan(fields=frozenset({"confinement"})))


def test_in_a_group_the_limit_is_the_total(host: Host) -> None:
    whole = sample_of(host("pod"))
    inside = in_group(whole)
    assert inside is not None
    confinement = whole.system.confinement
    assert isinstance(confinement, Confinement) and not isinstance(confinement.group.stat, Gap)
    stat, current = confinement.group.stat, confinement.group.current_bytes
    assert current is not None
    free = free_figures(inside.system.meminfo)
    assert free.total == 1536 * MIB
    assert free.free == 1536 * MIB - current
    assert free.shared == stat["shmem"]
    assert free.buff_cache == stat["file"] + stat["slab_reclaimable"]
    assert (
        free.available
        == free.free + stat["active_file"] + stat["inactive_file"] + (stat["slab_reclaimable"])
    )
    assert (free.swap_total, free.swap_used) == (0, 0)
    assert inside.system.pressure == confinement.group.pressure != whole.system.pressure
    assert not isinstance(inside.system.vmstat, Gap)
    assert inside.system.vmstat["oom_kill"] == 17
    assert inside.system.vmstat["limit_hits"] == 41234
    # Everything else is as it was.
    assert inside.processes == whole.processes


def test_every_metric_takes_a_group(host: Host) -> None:
    inside = in_group(sample_of(host("pod")))
    assert inside is not None
    later = inside._replace(time_s=inside.time_s + 1)
    known = {name for name, metric in METRICS.items() if metric.value(later, inside) is not None}
    assert {
        "mem_available_bytes",
        "anon_bytes",
        "major_faults_per_s",
        "refaults_file_pages_per_s",
        "stalled_some_pct",
        "oom_kills",
    } <= known
    # What a group does not count is unknown, not 0.
    assert {"swap_in_pages_per_s", "committed_bytes"}.isdisjoint(known)


@pytest.mark.parametrize("name", ["arm64-64k", "debian-6.18", "linux-3.2"])
def test_without_a_limit_there_is_nothing_to_switch_to(host: Host, name: str) -> None:
    assert in_group(sample_of(host(name))) is None


def test_a_limit_above_the_machines_memory_is_none(host: Host) -> None:
    whole = sample_of(host("pod"))
    small = {"MemTotal": 1024 * MIB}
    assert in_group(whole._replace(system=whole.system._replace(meminfo=small))) is None


def test_a_group_that_went_away_says_so(host: Host) -> None:
    whole = sample_of(host("pod"))
    confinement = whole.system.confinement
    assert isinstance(confinement, Confinement)
    gone = confinement._replace(group=confinement.group._replace(current_bytes=None))
    inside = in_group(whole._replace(system=whole.system._replace(confinement=gone)))
    assert inside is not None
    assert isinstance(inside.system.meminfo, Gap)


# Real ones.

_INSIDE = """
import json, mmap, sys
from memtui.kernel.files import Files
from memtui.kernel.livefiles import LiveFiles
from memtui.model.system.free import free_figures
from memtui.session.scope import in_group
from memtui.live.sampler import Sampler
sampler = Sampler(LiveFiles())
before = in_group(sampler.sample())
kept = mmap.mmap(-1, 32 << 20)
kept.write(b"x" * (32 << 20))
after = in_group(sampler.sample())
print(json.dumps([
    [dict(each.system.meminfo), dict(each.system.vmstat), each.system.confinement.group.path]
    for each in (before, after)
]))
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A memory control group of 192 MiB."""
    if os.geteuid() != 0 or not (V1 / "memory.limit_in_bytes").exists():
        pytest.skip("needs root and cgroup v1's memory controller")
    path = V1 / f"memtui-test-{os.getpid()}"
    path.mkdir()
    try:
        (path / "memory.limit_in_bytes").write_text(str(192 * MIB))
        yield path
    finally:
        wait_until(lambda: _removed(path), "removed")


def _removed(group: Path) -> bool:
    """Whether it could be: it is busy for a moment yet when the last in it has ended."""
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


def test_memtui_inside_a_real_group_sees_its_own_use(group: Path) -> None:
    join = f'echo $$ > {group}/cgroup.procs; exec {sys.executable} -c "$0"'
    done = subprocess.run(["sh", "-c", join, _INSIDE], capture_output=True, text=True, check=True)
    (before, _, path), (after, vmstat, _) = json.loads(done.stdout)
    assert path == "/" + group.name
    assert before["MemTotal"] == after["MemTotal"] == 192 * MIB
    assert (
        abs(after["AnonPages"] + after["Shmem"] - before["AnonPages"] - before["Shmem"]) >= 30 * MIB
    )
    assert before["MemFree"] - after["MemFree"] >= 30 * MIB
    assert vmstat["pgfault"] > 0 and vmstat["oom_kill"] == 0


def test_a_real_group_that_is_removed_is_gone(group: Path) -> None:
    files = LiveFiles()
    inner = group / "inner"
    inner.mkdir()
    kept = files.keep(f"{str(inner)[1:]}/memory.usage_in_bytes")
    assert not isinstance(kept, Gap)
    assert kept.read() == b"0\n"
    inner.rmdir()
    left = kept.read()
    assert isinstance(left, Gap) and left.reason == "gone"
    level = Level("/inner", str(inner)[1:], None, None)
    assert isinstance(read_memory_group(files, level, 1).stat, Gap)


def tree(root: Path, **files: str) -> LiveFiles:
    """Files by their names, a slash written as two underscores."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return LiveFiles(str(root))


MOUNTED_ELSEWHERE = (
    "24 20 0:22 / /cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    "30 20 0:25 / /cgroup/my\\040memory rw,relatime - cgroup cgroup rw,memory\n"
)


def test_the_hierarchy_is_where_mountinfo_says(tmp_path: Path) -> None:
    """RHEL 6 has it below /cgroup, Android below /dev/memcg."""
    box = tmp_path / "cgroup/my memory/box"
    box.mkdir(parents=True)
    (box / "memory.limit_in_bytes").write_text("1048576\n")
    (box / "memory.usage_in_bytes").write_text("4096\n")
    (box / "memory.soft_limit_in_bytes").write_text("2048\n")
    files = tree(tmp_path, proc__self__mountinfo=MOUNTED_ELSEWHERE)
    assert memory_version(files) == 1
    found = read_confinement(files, parse_cgroup(b"4:memory:/box\n"))
    assert isinstance(found, Confinement)
    assert found.group.path == "/box" and found.limit_bytes == 1048576
    assert found.limit_name == "memory.limit_in_bytes"
    # The soft limit binds nobody, and is told.
    assert found.above_soft is not None and found.above_soft.soft_bytes == 2048
    listed = read_tree(files)
    assert isinstance(listed, Tree)
    assert "/box" in [group.path for group in listed.groups]


def test_a_mount_that_begins_at_a_group_has_those_below_it(tmp_path: Path) -> None:
    """/docker is bound there, and ab12 in it: the limit is ab12's, not /docker's."""
    mount = "36 31 0:35 /docker /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    files = tree(
        tmp_path,
        proc__self__mountinfo=mount,
        **{
            "sys__fs__cgroup__memory__memory.limit_in_bytes": "9223372036854771712",
            "sys__fs__cgroup__memory__memory.usage_in_bytes": "9000000",
            "sys__fs__cgroup__memory__ab12__memory.limit_in_bytes": "1048576",
            "sys__fs__cgroup__memory__ab12__memory.usage_in_bytes": "4096",
        },
    )
    found = read_confinement(files, parse_cgroup(b"4:memory:/docker/ab12\n"))
    assert isinstance(found, Confinement)
    assert [level.path for level in found.levels] == ["/docker/ab12", "/docker"]
    assert found.limit_bytes == 1048576


def test_a_controller_that_is_not_mounted_is_not_called_none(tmp_path: Path) -> None:
    files = tree(tmp_path, proc__self__cgroup="4:memory:/box\n")
    gap = read_tree(files)
    assert isinstance(gap, Gap) and gap.reason == "failed" and "not mounted" in gap.detail


def group_files(path: str, current: int, most: str, high: str, files: int = 0) -> dict[str, str]:
    base = f"sys__fs__cgroup__{path}memory."
    return {
        base + "current": str(current),
        base + "max": most,
        base + "high": high,
        base + "stat": f"active_file {files}\ninactive_file 0\n",
    }


def test_high_is_a_limit_that_binds(tmp_path: Path) -> None:
    files = tree(tmp_path, **group_files("a__", 990 * MIB, "max", str(1000 * MIB)))
    found = read_confinement(files, parse_cgroup(b"0::/a\n"), always=False)
    assert isinstance(found, Confinement)
    assert (found.limit_bytes, found.limit_name) == (1000 * MIB, "memory.high")
    assert found.group.available_bytes == found.headroom_bytes == 10 * MIB


def test_the_group_binds_in_which_the_least_is_left(tmp_path: Path) -> None:
    """The larger limit, an ancestor's, is nearer; a cache that gives way is not used up."""
    files = tree(
        tmp_path,
        **group_files("a__b__", 100 * MIB, str(400 * MIB), "max"),
        **group_files("a__", 790 * MIB, str(800 * MIB), "max"),
    )
    found = read_confinement(files, parse_cgroup(b"0::/a/b\n"))
    assert isinstance(found, Confinement) and found.group.path == "/a"
    files = tree(tmp_path, **group_files("a__", 790 * MIB, str(800 * MIB), "max", 700 * MIB))
    found = read_confinement(files, parse_cgroup(b"0::/a/b\n"))
    assert isinstance(found, Confinement) and found.group.path == "/a/b"


def test_who_is_in_a_group_and_below_it(tmp_path: Path) -> None:
    """0 is a process of another PID namespace."""
    files = tree(
        tmp_path,
        **group_files("a__", 1, "100", "max"),
        **{
            "sys__fs__cgroup__a__cgroup.procs": "12\n0\n",
            "sys__fs__cgroup__a__b__cgroup.procs": "7\n",
            "sys__fs__cgroup__cgroup.procs": "1\n",
        },
    )
    found = read_confinement(files, parse_cgroup(b"0::/a\n"), members=True)
    assert isinstance(found, Confinement) and found.members == frozenset({12, 7})
    found = read_confinement(files, parse_cgroup(b"0::/a\n"))
    assert isinstance(found, Confinement) and found.members is None
