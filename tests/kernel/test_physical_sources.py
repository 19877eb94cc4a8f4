"""zram and zswap, huge pages, KSM, nodes and settings: captured, malformed, and here for real."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memtui.kernel.files import Files, Gap, Malformed
from memtui.kernel.hugepages import HugePool, read_huge_pools, read_thp
from memtui.kernel.ksm import read_ksm
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.numa import parse_node_meminfo, read_nodes
from memtui.kernel.swaps import parse_swaps
from memtui.kernel.tunables import VM_SETTINGS, read_vm_settings
from memtui.kernel.values import read_choice, read_number, read_numbers, read_word
from memtui.kernel.zram import Zram, Zswap, read_zrams, read_zswap
from tests.conftest import HOSTS, open_host
from tests.hosts import capture
from tests.oracles import until_alike

MIB, GIB = 1 << 20, 1 << 30
LIVE = LiveFiles()
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def tree(root: Path, files: dict[str, str]) -> Files:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return LiveFiles(str(root))


# zram and zswap ------------------------------------------------------------------------------


def test_a_device_that_is_used_and_one_that_is_not_set_up() -> None:
    assert read_zrams(open_host("numa")) == [
        Zram("zram0", 2 * GIB, 671092736, 152043520, 163577856, 0, 5120, 830, "zstd")
    ]


def test_before_mm_stat_there_was_a_file_each(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            f"sys/block/zram10/{name}": text
            for name, text in {
                "disksize": "1048576\n",
                "orig_data_size": "8192\n",
                "compr_data_size": "100\n",
                "mem_used_total": "4096\n",
                "zero_pages": "1\n",
            }.items()
        }
        | {"sys/block/zram9/disksize": "4096\n", "sys/block/zramx/disksize": "4096\n"},
    )
    assert read_zrams(files) == [
        Zram("zram9", 4096, None, None, None, None, None, None, None),
        Zram("zram10", 1 << 20, 8192, 100, 4096, None, 1, None, None),
    ]


def test_an_mm_stat_of_seven_columns(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            "sys/block/zram0/disksize": "4096\n",
            "sys/block/zram0/mm_stat": "  8192   100  4096    0   4096    1    0\n",
            "sys/block/zram0/comp_algorithm": "[lzo] lz4 \n",
        },
    )
    assert read_zrams(files) == [Zram("zram0", 4096, 8192, 100, 4096, 0, 1, None, "lzo")]


def test_zswap_of_each_sort() -> None:
    assert read_zswap(open_host("numa")) == Zswap(True, "zstd", 20, 48 * MIB, 128 * MIB)
    assert read_zswap(open_host("linux-3.2")) == Zswap(None, None, None, None, None)
    off = read_zswap(open_host("debian-6.18"))
    assert (off.enabled, off.pool_bytes) == (False, 0)


@as_root
@pytest.mark.xdist_group("machine")  # it makes swap
def test_a_real_zram_device() -> None:
    control = Path("/sys/class/zram-control")
    if not control.exists():
        pytest.skip("no zram module")
    number = control.joinpath("hot_add").read_text().strip()  # reading it makes a device
    name = f"zram{number}"
    sys_files, node = Path(f"/sys/block/{name}"), Path(f"/dev/{name}")
    swapped = False
    try:
        assert name not in [device.name for device in read_zrams(LIVE)]
        (sys_files / "disksize").write_text(str(16 * MIB))
        if not node.exists():
            major, minor = map(int, (sys_files / "dev").read_text().split(":"))
            os.mknod(node, 0o600 | 0o060000, os.makedev(major, minor))
        # Text compresses, and pages of one word are kept as that word.
        pages = [(b"%06d" % number * 700)[:4096] for number in range(1, 257)] + [bytes(4096)] * 64
        with node.open("wb") as device:
            device.write(b"".join(pages))
            device.flush()
            os.fsync(device.fileno())
        found = next(device for device in read_zrams(LIVE) if device.name == name)
        assert found.disksize_bytes == 16 * MIB
        assert found.orig_data_bytes == 320 * 4096
        assert found.compr_data_bytes and 0 < found.compr_data_bytes < 256 * 4096
        assert found.mem_used_bytes and found.mem_used_bytes >= found.compr_data_bytes
        assert found.same_pages == 64
        assert found.algorithm
        subprocess.run(["mkswap", str(node)], check=True, capture_output=True)
        swapped = not subprocess.run(
            ["swapon", "-p", "1", str(node)], capture_output=True
        ).returncode
        if swapped:
            swaps = LIVE.parsed("proc/swaps", parse_swaps)
            assert isinstance(swaps, list)
            own = next(swap for swap in swaps if swap.name.endswith(name))
            assert (own.kind, own.priority) == ("partition", 1)
            assert own.size_bytes == 16 * MIB - os.sysconf("SC_PAGE_SIZE")
    finally:
        if swapped:
            subprocess.run(["swapoff", str(node)], check=True)
        _write_when_idle(sys_files / "reset", "1")
        _write_when_idle(control / "hot_remove", number)
        node.unlink(missing_ok=True)
    assert name not in [device.name for device in read_zrams(LIVE)]


def _write_when_idle(path: Path, text: str) -> None:
    """Whoever looks at new disks may hold the device for a moment."""
    for _ in range(200):
        try:
            path.write_text(text)
            return
        except OSError:
            time.sleep(0.1)
    path.write_text(text)


# huge pages ----------------------------------------------------------------------------------


def test_pools_of_two_sizes() -> None:
    assert read_huge_pools(open_host("numa")) == [
        HugePool(2 * MIB, 64, 24, 8, 2, 16),
        HugePool(GIB, 1, 1, 1, 0, 0),
    ]
    assert read_huge_pools(open_host("linux-3.2")) == []
    assert [pool.page_bytes for pool in read_huge_pools(open_host("debian-6.18"))] == [
        *(2 * MIB, GIB)
    ]


def test_directories_of_other_names_are_left_out(tmp_path: Path) -> None:
    base = "sys/kernel/mm/hugepages/"
    files = tree(
        tmp_path,
        {
            f"{base}{name}/nr_hugepages": "1\n"
            for name in ("hugepages-64kB", "hugepages-kB", "hugepages-6٤kB", "x-64kB", "64kB")
        },
    )
    assert read_huge_pools(files) == [HugePool(64 << 10, 1, None, None, None, None)]


def test_transparent_huge_pages() -> None:
    thp = read_thp(open_host("numa"))
    assert (thp.enabled, thp.defrag, thp.shmem_enabled) == ("always", "defer+madvise", "advise")
    assert thp.pmd_bytes == 2 * MIB
    assert thp.sizes == {
        size << 10: {64: "madvise", 2048: "inherit"}.get(size, "never")
        for size in (16, 32, 64, 128, 256, 512, 1024, 2048)
    }
    assert (thp.pages_to_scan, thp.scan_sleep_ms, thp.full_scans) == (4096, 10_000, 214)
    old = read_thp(open_host("no-psi"))
    assert (old.enabled, old.shmem_enabled, old.sizes, old.pmd_bytes) == ("always", None, {}, None)


def test_the_settings_here_are_the_kernels() -> None:
    path = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not path.exists():
        pytest.skip("a kernel without transparent huge pages")

    def setting_agrees() -> None:
        assert f"[{read_thp(LIVE).enabled}]" in path.read_text()

    until_alike(setting_agrees)


@pytest.fixture
def more_huge_pages() -> Iterator[int]:
    """Four more than there were; the number there were."""
    path = Path("/proc/sys/vm/nr_hugepages")
    before = int(path.read_text())
    path.write_text(str(before + 4))
    yield before
    path.write_text(str(before))


@as_root
@pytest.mark.xdist_group("machine")  # where others reserve some, and give them back
def test_reserved_huge_pages_are_seen(more_huge_pages: int) -> None:
    until_alike(lambda: huge_pages_agree(more_huge_pages))


def huge_pages_agree(more_huge_pages: int) -> None:
    meminfo = LIVE.parsed("proc/meminfo", parse_meminfo)
    assert not isinstance(meminfo, Gap)
    if meminfo["HugePages_Total"] <= more_huge_pages:
        pytest.skip("no huge page to be had")
    pool = next(
        pool for pool in read_huge_pools(LIVE) if pool.page_bytes == meminfo["Hugepagesize"]
    )
    assert pool.total == meminfo["HugePages_Total"] > more_huge_pages
    assert pool.free == meminfo["HugePages_Free"]
    assert pool.reserved == meminfo["HugePages_Rsvd"]
    assert read_vm_settings(LIVE)["nr_hugepages"] == pool.total - (pool.surplus or 0)
    assert sum(node.meminfo["HugePages_Total"] for node in read_nodes(LIVE)) == pool.total


# KSM -----------------------------------------------------------------------------------------


def test_ksm_at_work_off_and_missing() -> None:
    ksm = read_ksm(open_host("numa"))
    assert not isinstance(ksm, Gap)
    assert (ksm.run, ksm.pages_shared, ksm.pages_sharing, ksm.full_scans) == (1, 2048, 15360, 37)
    # What is saved less 64 bytes for each page that is looked at.
    assert ksm.general_profit_bytes == 15360 * 4096 - (2048 + 15360 + 40000 + 812) * 64
    off = read_ksm(open_host("debian-6.18"))
    assert not isinstance(off, Gap) and off.run == off.pages_sharing == 0
    assert read_ksm(open_host("linux-3.2")) == Gap("sys/kernel/mm/ksm/run", "absent")


def test_ksm_that_loses_and_ksm_that_is_odd(tmp_path: Path) -> None:
    base = "sys/kernel/mm/ksm/"
    files = tree(tmp_path, {base + "run": "2\n", base + "general_profit": "-4096\n"})
    ksm = read_ksm(files)
    assert not isinstance(ksm, Gap)
    assert (ksm.run, ksm.pages_shared, ksm.general_profit_bytes) == (2, None, -4096)
    odd = read_ksm(tree(tmp_path, {base + "run": "on\n"}))
    assert isinstance(odd, Gap) and odd.reason == "malformed"


# nodes ---------------------------------------------------------------------------------------


def test_sparse_nodes_and_one_without_memory() -> None:
    nodes = read_nodes(open_host("numa"))
    assert [node.node for node in nodes] == [0, 2, 3]
    assert nodes[2].meminfo["MemTotal"] == 0
    assert nodes[1].distances == (21, 10, 21)
    assert nodes[0].meminfo["HugePages_Total"] == 48
    for node in nodes:
        stat = node.numastat
        assert set(stat) == {
            *("numa_hit", "numa_miss", "numa_foreign"),
            *("interleave_hit", "local_node", "other_node"),
        }
        assert stat["numa_hit"] + stat["numa_miss"] == stat["local_node"] + stat["other_node"]
        assert node.meminfo["MemUsed"] == node.meminfo["MemTotal"] - node.meminfo["MemFree"]
    assert sum(node.numastat["numa_miss"] for node in nodes) == sum(
        node.numastat["numa_foreign"] for node in nodes
    )


@pytest.mark.parametrize("name", ["numa", "arm64-64k"])
def test_nodes_sum_to_the_machine(name: str) -> None:
    meminfo = open_host(name).parsed("proc/meminfo", parse_meminfo)
    assert not isinstance(meminfo, Gap)
    nodes = read_nodes(open_host(name))
    for key in set(meminfo) & set(nodes[0].meminfo):
        assert sum(node.meminfo[key] for node in nodes) == meminfo[key], key


def test_a_node_that_is_not_there(tmp_path: Path) -> None:
    base = "sys/devices/system/node/"
    files = tree(
        tmp_path,
        {
            base + "node7/meminfo": "\nNode 7 MemTotal:  8 kB\nNode 7 HugePages_Free:   3\n",
            base + "nodes/meminfo": "Node 1 MemTotal:  8 kB\n",
            base + "node10/meminfo": "Node 10 MemTotal:  all\n",
        },
    )
    seven, ten = read_nodes(files)
    assert seven == (7, {"MemTotal": 8192, "HugePages_Free": 3}, {}, ())
    assert ten == (10, {}, {}, ())
    assert read_nodes(open_host("container")) == []


@pytest.mark.skipif(not shutil.which("numastat"), reason="no numastat here")
def test_numastat_agrees() -> None:
    """In MB of two decimals; the counters only grow, and the nodes' totals lie between."""
    until_alike(numastat_agrees)


def numastat_agrees() -> None:
    before = read_nodes(LIVE)
    if not before:
        pytest.skip("a kernel without NUMA")
    done = subprocess.run(["numastat", "-n"], capture_output=True, text=True, check=True)
    after = read_nodes(LIVE)
    page = os.sysconf("SC_PAGE_SIZE")
    rows = {
        words[0].lower(): list(map(float, words[1:]))
        for words in map(str.split, done.stdout.splitlines())
        if len(words) == len(before) + 2 and words[0] != "Node"
    }
    assert set(rows) == set(before[0].numastat)
    for key, figures in rows.items():
        for first, last, figure in zip(before, after, figures, strict=False):
            low, high = first.numastat[key] * page / MIB, last.numastat[key] * page / MIB
            assert low - 0.01 <= figure <= high + 0.01, key


# settings ------------------------------------------------------------------------------------


def test_settings_are_there_or_missing() -> None:
    values = read_vm_settings(open_host("numa"))
    assert set(values) == set(VM_SETTINGS)
    assert (values["swappiness"], values["nr_hugepages"], values["min_free_kbytes"]) == (
        *(100, 62, 90112),
    )
    assert set(read_vm_settings(open_host("linux-3.2"))) < set(VM_SETTINGS)
    assert "compaction_proactiveness" not in read_vm_settings(open_host("linux-3.2"))


def test_settings_here_are_the_kernels() -> None:
    """Other tests change some, and change them back."""
    until_alike(settings_agree)


def settings_agree() -> None:
    for name, value in read_vm_settings(LIVE).items():
        assert Path(f"/proc/sys/vm/{name}").read_text().split() == [str(value)]


def test_captures_hold_every_setting() -> None:
    assert {f"proc/sys/vm/{name}" for name in VM_SETTINGS} <= set(capture.MACHINE)


# anything at all -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTS)
def test_every_host_gives_values(name: str) -> None:
    files = open_host(name)
    zswap, thp, ksm = read_zswap(files), read_thp(files), read_ksm(files)
    assert zswap.max_pool_percent is None or 0 <= zswap.max_pool_percent <= 100
    assert thp.enabled in (None, "always", "madvise", "never")
    assert isinstance(ksm, Gap) or ksm.run in (0, 1, 2)
    for pool in read_huge_pools(files):
        if pool.total is not None and pool.free is not None:
            assert pool.free <= pool.total
    for device in read_zrams(files):
        assert device.disksize_bytes > 0


@given(st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_a_value_or_none(tmp_path: Path, data: bytes) -> None:
    names = (
        *("sys/block/zram0/disksize", "sys/block/zram0/mm_stat", "sys/kernel/mm/ksm/run"),
        *("sys/devices/system/node/node0/meminfo", "sys/devices/system/node/node0/numastat"),
        *("sys/devices/system/node/node0/distance", "sys/module/zswap/parameters/enabled"),
        *("sys/kernel/mm/transparent_hugepage/enabled", "proc/sys/vm/swappiness"),
    )
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    files = LiveFiles(str(tmp_path))
    assert len(read_nodes(files)) == 1
    assert len(read_zrams(files)) <= 1
    assert read_zswap(files).compressor is None
    assert read_thp(files).pmd_bytes is None
    assert isinstance(read_ksm(files), tuple)
    assert set(read_vm_settings(files)) <= {"swappiness"}
    for name in names:
        number = read_number(files, name)
        assert number is None or number == int(data)
        assert all(isinstance(part, int) for part in read_numbers(files, name))
        assert (read_word(files, name) is not None) == (len(data.split()) == 1)
        assert read_choice(files, name) != ""
    try:
        assert parse_node_meminfo(b"Node 0 MemFree: 4 kB\n" + data)
    except Malformed as error:
        assert str(error)
