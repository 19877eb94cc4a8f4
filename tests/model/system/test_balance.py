"""The balance sheet: it sums to MemTotal whatever the kernel says, and says so where it cannot be."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.accounts import NOTHING, Accounts, read_accounts
from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.values import Counters
from memtui.kernel.zfs import Arc
from memtui.kernel.zones import parse_zoneinfo
from memtui.model.sample import Sample, SystemSample
from memtui.model.system.balance import (
    UNACCOUNTED,
    Balance,
    Line,
    account,
    balance,
    gives_way_bytes,
)
from memtui.model.system.metrics import METRICS
from tests.conftest import HOSTS, open_host
from tests.oracles import until_alike

MIB = 1 << 20
KEYS = sorted(
    {
        key
        for host in HOSTS
        for key in parse_meminfo(Path(open_host(host).root, "proc/meminfo").read_bytes())
    }
)
SIZES = st.integers(0, 1 << 62)


def of_host(name: str) -> dict[str, int]:
    meminfo = open_host(name).parsed("proc/meminfo", parse_meminfo)
    assert not isinstance(meminfo, Gap)
    return meminfo


def lists(files: Files, page_bytes: int = mmap.PAGESIZE) -> int | None:
    """Free pages on the processors' lists, by zoneinfo read as a whole."""
    zones = files.parsed("proc/zoneinfo", parse_zoneinfo)
    if isinstance(zones, Gap):
        return None
    counts = [pages["count"] for zone in zones for pages in zone.pagesets]
    return sum(counts) * page_bytes if counts else None


def live() -> Balance:
    files = LiveFiles("/")
    return balance(files.parsed("proc/meminfo", parse_meminfo), read_accounts(files, mmap.PAGESIZE))


def unaccounted(meminfo: dict[str, int], accounts: Accounts | None = NOTHING) -> int | None:
    """The metric's."""
    gap = Gap("proc/vmstat", "absent")
    return account(SystemSample(meminfo, gap, gap, accounts=accounts)).get(UNACCOUNTED)


def size(sheet: Balance, name: str) -> int:
    value = sheet.line(name).bytes
    assert value is not None, name
    return value


def holds(sheet: Balance) -> None:
    """What is true of any sheet."""
    assert all(line.bytes is None or line.bytes >= 0 for line in sheet.lines)
    assert all(line.cut_bytes >= 0 for line in sheet.lines)
    if sheet.total_bytes is None:
        assert all(line.bytes is None for line in sheet.lines)
        return
    assert sum(line.bytes or 0 for line in sheet.lines) == sheet.total_bytes
    for line in sheet.lines:
        assert line.share_pct is None or 0 <= line.share_pct <= 100


@pytest.mark.parametrize("host", HOSTS)
def test_a_captured_host_sums_to_its_total(host: str) -> None:
    meminfo = of_host(host)
    accounts = read_accounts(open_host(host), 4096)
    assert accounts.lists_bytes == lists(open_host(host), 4096)
    sheet = balance(meminfo, accounts)
    assert sheet.total_bytes == meminfo["MemTotal"]
    holds(sheet)
    assert unaccounted(meminfo, accounts) == sheet.lines[-1].bytes
    # Figures of one machine agree; those of a container and of one written line do not.
    assert bool(sheet.contradictions) == (host in ("arm64-64k", "container"))
    if not sheet.contradictions:
        share = sheet.line(UNACCOUNTED).share_pct
        assert share is not None and share < 3


@given(st.dictionaries(st.sampled_from(KEYS), SIZES), st.none() | SIZES)
def test_any_figures_sum_to_the_total(meminfo: dict[str, int], zram: int | None) -> None:
    accounts = Accounts(None, zram)
    sheet = balance(meminfo, accounts)
    holds(sheet)
    assert unaccounted(meminfo, accounts) == sheet.line(UNACCOUNTED).bytes
    if any(line.cut_bytes for line in sheet.lines if line.name != "balloon"):
        assert sheet.contradictions


@given(st.sets(st.sampled_from(KEYS)), st.sampled_from(HOSTS))
def test_what_is_not_told_is_unaccounted(gone: set[str], host: str) -> None:
    meminfo = {key: value for key, value in of_host(host).items() if key not in gone}
    sheet = balance(meminfo)
    holds(sheet)
    assert (sheet.total_bytes is None) == ("MemTotal" in gone)


def test_without_a_meminfo_there_is_no_sheet() -> None:
    sheet = balance(Gap("proc/meminfo", "denied"))
    holds(sheet)
    assert sheet.total_bytes is None
    assert unaccounted({}) is None
    holds(balance({"MemTotal": 0}))
    holds(balance({"MemTotal": 0, "MemFree": 5}))


def test_every_line_says_what_it_is() -> None:
    for line in balance(of_host("debian-6.18")).lines:
        assert line.label and line.source and line.words.endswith(".")
    names = [line.name for line in balance({}).lines]
    assert len(set(names)) == len(names)
    with pytest.raises(KeyError):
        balance({}).line("no such")


def test_the_page_cache_is_told_apart() -> None:
    meminfo = of_host("debian-6.18")
    sheet = balance(meminfo)
    cache = sum(size(sheet, name) for name in ("cache_clean", "cache_dirty", "shmem"))
    assert cache == meminfo["Cached"] + meminfo["Buffers"]
    assert size(sheet, "shmem") == meminfo["Shmem"]
    assert size(sheet, "cache_dirty") == meminfo["Dirty"] + meminfo["Writeback"]


def test_what_is_being_written_to_swap_is_no_more_than_the_cache() -> None:
    base = {"MemTotal": 1000, "Cached": 100, "Shmem": 40, "Dirty": 10}
    sheet = balance(base | {"Writeback": 500})
    assert (size(sheet, "cache_dirty"), size(sheet, "cache_clean")) == (60, 0)
    assert sheet.contradictions == ()


def test_the_swap_cache_counts_once() -> None:
    """Its mapped pages are in AnonPages: only what the lists hold above that is its own."""
    base = {"MemTotal": 1000, "AnonPages": 300, "Shmem": 50, "Cached": 90, "SwapCached": 200}
    lists = {"Active(anon)": 100, "Inactive(anon)": 280}
    assert size(balance(base | lists), "swap_cache") == 30
    assert size(balance(base | lists | {"Inactive(anon)": 200}), "swap_cache") == 0
    assert size(balance(base | lists | {"Inactive(anon)": 550}), "swap_cache") == 200
    assert balance(base).line("swap_cache").bytes is None


def test_kernel_stacks_are_not_counted_again_in_vmalloc() -> None:
    base = {"MemTotal": 1000, "KernelStack": 60}
    assert size(balance(base | {"VmallocUsed": 100}), "vmalloc") == 40
    # Not mapped that way: they cannot be in it.
    assert size(balance(base | {"VmallocUsed": 50}), "vmalloc") == 50
    shadow = balance(base | {"VmallocUsed": 100, "ShadowCallStack": 15})
    assert (size(shadow, "vmalloc"), size(shadow, "kernel_stacks")) == (25, 75)


def test_a_shadow_stack_larger_than_its_stack_is_left_out() -> None:
    """`ShadowCallStack:10373888 kB`, which are bytes: nothing else is cut to make room for it."""
    sheet = balance(of_host("arm64-64k"))
    assert not any(line.cut_bytes for line in sheet.lines)
    assert sheet.contradictions == (
        "ShadowCallStack is larger than KernelStack, which it cannot be: left out",
    )
    share = sheet.line(UNACCOUNTED).share_pct
    assert share is not None and share < 1


@pytest.mark.parametrize("host", ["no-psi", "linux-3.2", "linux-2.6.18-vendor"])
def test_vmalloc_is_unknown_where_it_counts_nothing_or_addresses(host: str) -> None:
    line = balance(of_host(host)).line("vmalloc")
    assert line.bytes is None
    assert "unaccounted" in line.words


def test_the_pool_of_huge_pages() -> None:
    sheet = balance(of_host("debian-6.18"))
    pool = [size(sheet, f"huge_{part}") // (2 * MIB) for part in ("used", "reserved", "free")]
    assert pool == [64 - 40, 8, 32]
    other = balance(of_host("debian-6.18") | {"Hugetlb": (128 + 32) * MIB})
    assert size(other, "huge_other") == 32 * MIB
    assert balance(of_host("linux-3.2")).line("huge_other").bytes is None


def test_old_kernels_leave_lines_open() -> None:
    sheet = balance(of_host("linux-2.6.18-vendor"))
    meminfo = of_host("linux-2.6.18-vendor")
    assert size(sheet, "slab_unreclaimable") == meminfo["Slab"]
    assert sheet.line("slab_reclaimable").bytes is None
    assert sheet.line("shmem").bytes is None
    dirty = meminfo["Dirty"] + meminfo["Writeback"]
    assert size(sheet, "cache_clean") == meminfo["Cached"] + meminfo["Buffers"] - dirty


def test_zram_and_zswap_have_their_own_lines() -> None:
    before = balance(of_host("debian-6.18"))
    after = balance(of_host("debian-6.18") | {"Zswap": 2 * MIB}, Accounts(zram_bytes=3 * MIB))
    assert before.line("zram").bytes is None
    assert (size(after, "zram"), size(after, "zswap")) == (3 * MIB, 2 * MIB)
    assert size(after, UNACCOUNTED) == size(before, UNACCOUNTED) - 5 * MIB


def test_free_pages_on_the_processors_lists_are_no_leak() -> None:
    """Processes ended between these two: what they had is free, but not in MemFree yet."""
    rest = {}
    for host in ("debian-6.18", "debian-6.18-later"):
        accounts = read_accounts(open_host(host), 4096)
        assert accounts.lists_bytes
        without = unaccounted(of_host(host))
        rest[host] = unaccounted(of_host(host), accounts) or 0
        assert (without or 0) - rest[host] == accounts.lists_bytes
    assert abs(rest["debian-6.18-later"] - rest["debian-6.18"]) < MIB


def test_what_is_not_read_yet_is_not_called_unaccounted() -> None:
    assert unaccounted(of_host("debian-6.18"), None) is None
    assert balance(of_host("debian-6.18"), None).line(UNACCOUNTED).bytes is None


def test_the_cache_of_zfs_and_what_gpus_give_back_have_lines_and_are_left() -> None:
    """ARC in slabs stands there already; above c_min it gives way."""
    meminfo = {"MemTotal": 100 * MIB, "MemFree": 10 * MIB, "MemAvailable": 12 * MIB}
    meminfo |= {"GPUActive": 5 * MIB, "GPUReclaim": 3 * MIB}
    arc = Arc(size_bytes=60 * MIB, min_bytes=10 * MIB, pages_bytes=55 * MIB)
    sheet = balance(meminfo, Accounts(arc=arc))
    holds(sheet)
    assert size(sheet, "arc_reclaimable") == 50 * MIB
    assert size(sheet, "arc_kept") == 5 * MIB
    assert (size(sheet, "gpu"), size(sheet, "gpu_reclaimable")) == (5 * MIB, 3 * MIB)
    assert size(sheet, UNACCOUNTED) == (100 - 10 - 55 - 5 - 3) * MIB
    gap = Gap("proc/vmstat", "absent")
    system = SystemSample(meminfo, gap, gap, accounts=Accounts(arc=arc))
    assert gives_way_bytes(system) == 53 * MIB
    now = Sample(1.0, 1.0, system, {})
    assert METRICS["left_bytes"].value(now, None) == (12 + 53) * MIB
    assert METRICS["mem_available_bytes"].value(now, None) == 12 * MIB  # as free(1) has it


def test_the_arc_of_a_containers_host_gives_a_container_nothing() -> None:
    meminfo = {"MemTotal": 20 * MIB, "MemFree": 20 * MIB}
    arc = Arc(size_bytes=60 * MIB, min_bytes=10 * MIB, pages_bytes=60 * MIB)
    gap = Gap("proc/vmstat", "absent")
    assert gives_way_bytes(SystemSample(meminfo, gap, gap, accounts=Accounts(arc=arc))) == 0


def test_a_container_with_its_hosts_kernel_is_flagged_and_fits() -> None:
    """LXC: MemTotal is the limit, KReclaimable the host's."""
    meminfo = of_host("container")
    sheet = balance(meminfo)
    cut = [line for line in sheet.lines if line.cut_bytes]
    assert [line.name for line in cut] == ["other_reclaimable"]
    assert cut[0].bytes is not None
    assert cut[0].bytes + cut[0].cut_bytes == meminfo["KReclaimable"]
    assert size(sheet, "free") == meminfo["MemFree"]
    assert size(sheet, "anon") == meminfo["AnonPages"]
    assert "kernel, reclaimable" in sheet.contradictions[0]


def test_parts_larger_than_their_whole_are_flagged() -> None:
    sheet = balance(Counters({"MemTotal": 100, "Cached": 10, "Shmem": 20}, ["Dirty"]))
    assert size(sheet, "shmem") == 10
    assert any("Shmem is larger than Cached" in each for each in sheet.contradictions)
    assert any("Dirty is below zero" in each for each in sheet.contradictions)
    pool = {"HugePages_Total": 2, "HugePages_Free": 3, "HugePages_Rsvd": 4, "Hugepagesize": 10}
    huge = balance({"MemTotal": 100} | pool)
    holds(huge)
    assert (size(huge, "huge_used"), size(huge, "huge_reserved")) == (0, 20)
    assert len(huge.contradictions) == 2


def test_what_is_more_than_there_is_cuts_nothing_else() -> None:
    """As 2^32 − n pages of a kernel of 32 bits: no other line pays for it."""
    meminfo = {"MemTotal": 100, "MemFree": 40, "AnonPages": 30, "PageTables": 5}
    sheet = balance(meminfo | {"PageTables": 1 << 44})
    assert [sheet.line(name).bytes for name in ("free", "anon", "page_tables")] == [40, 30, None]
    assert ["page tables" in each for each in sheet.contradictions] == [True]
    holds(sheet)


def test_a_balloon_explains_no_more_than_what_is_missing() -> None:
    """Most balloons have left MemTotal already: no contradiction."""
    sheet = balance({"MemTotal": 100, "MemFree": 70, "AnonPages": 20, "Balloon": 60})
    line: Line = sheet.line("balloon")
    assert (line.bytes, line.cut_bytes, sheet.contradictions) == (10, 50, ())


def test_cma_is_a_part_of_what_is_free() -> None:
    sheet = balance({"MemTotal": 100, "MemFree": 40, "CmaTotal": 30, "CmaFree": 25})
    assert (size(sheet, "free"), size(sheet, "free_cma")) == (15, 25)


def grows(flags: int, name: str) -> None:
    """96 MiB more of such pages make a line larger, unless others give as much back meanwhile."""
    before = live()
    with mmap.mmap(-1, 96 * MIB, flags=flags) as memory:
        memory.write(b"\1" * len(memory))
        after = live()
    for sheet in (before, after):
        holds(sheet)
    assert abs(size(after, UNACCOUNTED) - size(before, UNACCOUNTED)) < 48 * MIB
    assert size(after, name) - size(before, name) > 48 * MIB


@pytest.mark.xdist_group("machine")
def test_memory_taken_on_this_machine_is_in_its_line() -> None:
    """Real pages: anonymous ones and shared ones, each seen where they belong."""
    until_alike(lambda: grows(mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, "anon"))
    until_alike(lambda: grows(mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, "shmem"))
