"""The physical view's sections, as text of captured machines and beside programs on this one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from memtui import units
from memtui.kernel.buddy import FreeBlocks
from memtui.kernel.cgroups import Confinement, Level, MemoryGroup
from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.slabs import Slab, parse_slabinfo
from memtui.kernel.swaps import Swap
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS
from memtui.live.sampler import Sampler
from memtui.model.explain.explain import canonical
from memtui.model.system.balance import balance_of
from memtui.model.system.zones import zone_distance
from memtui.session.history import History
from memtui.session.scope import in_group
from memtui.tui.pages import SECTIONS
from memtui.tui.pages.balance import bar_of
from memtui.tui.pages.base import Arrangement, Facts
from memtui.tui.pages.fragmentation import abbreviated
from memtui.tui.pages.slabs import arranged
from memtui.tui.pages.zones import gauge_of, many
from tests.oracles import until_alike
from tests.physical import about, column, facts, head, machine, page, summary, table

HOSTS = (
    "debian-6.18 numa arm64-64k no-psi container linux-3.2 linux-2.6.18-vendor hostile leaking"
).split()
MIB = 1 << 20


@pytest.mark.parametrize("host", HOSTS)
def test_every_section_of_every_host_is_drawn_at_every_width(host: str) -> None:
    of = facts(host)
    for section in SECTIONS:
        for width in (20, 51, 75, 120):
            made = section.page(of, width, Arrangement())
            lines = [*head(made, width), *(table(made, width) if made.columns else ())]
            assert lines, section.name
            for row in range(len(made.rows)):
                assert about(made, row) or section.name == "hugepages"
        short, long = section.summary(of)
        assert units.width(short[0]) <= 12, section.name
        assert units.width(long[0]) <= 28, section.name


def test_what_is_not_read_yet_and_what_is_denied_is_said() -> None:
    unread = facts(**dict.fromkeys(FIELDS))  # type: ignore[arg-type]
    for section in SECTIONS:
        if section.name in ("balance",):
            continue
        assert "not read yet" in " ".join(head(page(section.name, unread))), section.name
    denied = {
        field: Gap(f"proc/{field}", "denied")
        for field in ("zones", "free_blocks", "slabs", "swaps")
    }
    refused = facts(**denied)  # type: ignore[arg-type]
    for name in ("zones", "fragmentation", "slabs", "swap"):
        assert head(page(name, refused))[0].startswith("root only: /proc/"), name
    assert (
        head(page("slabs", refused))[-1] == "All of them take 209 MiB, of which 151 MiB give way."
    )


@pytest.mark.parametrize("host", ["debian-6.18", "numa", "arm64-64k"])
def test_every_row_is_explained_somewhere(host: str) -> None:
    of = facts(host)
    for section in SECTIONS:
        shown = page(section.name, of)
        for topic in {section.topic, *map(shown.topic, range(len(shown.keys)))}:
            assert canonical(topic), topic


# The balance.


@pytest.mark.parametrize("host", HOSTS)
def test_the_balance_s_lines_are_the_model_s_and_sum_to_all_memory(host: str) -> None:
    of = facts(host)
    made = balance_of(of.system)
    shown = page("balance", of)
    assert list(shown.keys) == [line.name for line in made.lines]
    assert sum(line.bytes or 0 for line in made.lines) == of.meminfo["MemTotal"]
    bar = bar_of(made, 60)
    assert sum(units.width(text) for text, _ in bar) == 59  # and a blank on the right


def test_the_balance_as_text() -> None:
    shown = page("balance", facts("numa"), 60)
    assert head(shown, 60) == [
        "free      cache         programs              huge",
        "unaccounted 94.3 MiB 1.3 %                      of 6.8 GiB",
    ]
    assert table(shown, 60)[:2] == [
        "WHERE MEMORY IS               BYTES  SHARE",
        "free                           1.2G 16.9 % ███",
    ]
    assert "gives way at once" in about(shown, 3)
    assert shown.topic(3) == "page cache"


def test_zram_is_not_the_group_s() -> None:
    host = machine("numa")
    assert isinstance(host.system.meminfo, dict)
    total = host.system.meminfo["MemTotal"] // 2
    level = Level("/a", "sys/fs/cgroup/a", 10, total)
    gap = Gap("x", "absent")
    group = MemoryGroup("/a", 2, 10, None, total, None, None, None, gap, gap, gap)
    of = facts("numa", confinement=Confinement(2, (level,), group))
    assert not of.is_group
    grouped = in_group(of.sample)
    assert grouped is not None
    assert of._replace(sample=grouped).is_group
    assert balance_of(of.system).line("zram").bytes == 156 * MIB
    assert balance_of(grouped.system).line("zram").bytes is None


def test_contradictions_are_flagged() -> None:
    shown = page("balance", facts("container"), 60)
    assert any(
        line.startswith("! kernel, reclaimable: the kernel says") for line in head(shown, 60)
    )
    assert "kernel, reclaimable !" in column(shown, "label")
    assert "were cut" in about(shown, list(shown.keys).index("other_reclaimable"))
    for host in ("container", "arm64-64k"):
        assert summary("balance", facts(host))[0].startswith("!")


def test_the_unaccounted_memory_s_trend() -> None:
    before = facts("numa")
    meminfo = dict(before.meminfo)
    history = History()
    for second in range(61):
        changed = {**meminfo, "MemFree": meminfo["MemFree"] - second * MIB}
        system = before.system._replace(meminfo=changed)
        now = before.sample._replace(time_s=1000.0 + second, system=system)
        history.record(now)
    of = Facts(now, before.sample, history, 4096, lost_per_hour=-3.0 * MIB)
    assert head(page("balance", of))[1].startswith(
        "unaccounted 154 MiB 2.2 %  ▲ 60.0 MiB/min  ▼ 3.0 MiB/h"
    )


# Zones and nodes.


def test_zones_as_text() -> None:
    assert table(page("zones", facts("numa"), 90), 90) == [
        "ZONE             FREE       MIN       LOW      HIGH   MANAGED 0 TO TWICE HIGH",
        "0 DMA        15.0 MiB   224 KiB   280 KiB   336 KiB  15.0 MiB ████████│█│██│████████████",
        "0 DMA32       1.0 GiB  44.0 MiB  55.0 MiB  66.0 MiB   2.9 GiB ████████│█│██│████████████",
        "0 Normal     78.3 MiB  14.4 MiB  18.0 MiB  21.6 MiB   980 MiB ████████│█│██│████████████",
        "2 Normal     39.8 MiB  29.4 MiB  36.7 MiB  44.0 MiB   1.9 GiB ████████│█│█░│░░░░░░░░░░░░",
        "2 Movable    24.9 MiB   512 KiB   4.3 MiB   8.0 MiB   1.0 GiB │█████│██████│████████████",
    ]


def test_a_zone_below_its_watermark() -> None:
    of = facts("linux-2.6.18-vendor")
    assert summary("zones", of) == ("below min", "HighMem below min")
    shown = page("zones", of)
    assert "Below min: whoever allocates must reclaim" in about(shown, 2)


def test_a_gauge_without_watermarks_is_unknown() -> None:
    zones = machine("numa").system.zones
    assert zones is not None
    assert not isinstance(zones, Gap)
    zone = zone_distance(zones[0], 4096)
    assert gauge_of(zone._replace(high_bytes=None), 10) == units.UNKNOWN
    assert gauge_of(zone._replace(free_bytes=0), 10) == "░░░│││░░░░"


def test_nodes_as_text() -> None:
    assert table(page("nodes", facts("numa"), 51), 51) == [
        "NODE  TOTAL   FREE      HIT    MISS FOREIGN",
        "   0   3.9G   1.1G    6.3 M   9 120  80 322",
        "   2   2.9G  64.7M    2.8 M  80 322   9 120",
        "   3      0      0        0       0       0",
    ]
    assert "numa_miss 9 120 wanted elsewhere" in about(page("nodes", facts("numa")), 0)


def test_counts_in_seven_cells() -> None:
    for value, text in ((0, "0"), (99_999, "99 999"), (100_000, "100 k"), (10**18, "1.0 E")):
        shown, _ = many({"x": value}, "x")
        assert shown == (text if value < 10**18 else "1000 P") or units.width(shown) <= 7
    assert many({}, "x")[0] == units.UNKNOWN


# Fragmentation.


def test_the_heat_map_as_text() -> None:
    shown = page("fragmentation", facts("debian-6.18"), 51)
    lines = table(shown, 51)
    assert lines[0] == "ZONE    4K  8K 16K 32K 64K 128 256 512  1M  2M  4M"
    blocks = machine("debian-6.18").system.free_blocks
    assert blocks is not None
    assert not isinstance(blocks, Gap)
    for at, zone in enumerate(blocks):
        words = lines[1 + 2 * at].split()
        assert words[0] == zone.zone
        assert words[1:] == [abbreviated(count, 3) for count in zone.counts]
        assert lines[2 + 2 * at].startswith("unus %   0")


def test_the_warmest_cell_is_where_most_memory_is() -> None:
    rows = page("fragmentation", facts("debian-6.18"), 120).rows
    dma32 = next(row for row in rows if row["zone"][0] == "DMA32")
    backgrounds = {}
    for order in map(str, range(11)):
        cell = dma32[order]
        assert isinstance(cell, tuple)
        colour = cell[1].bgcolor
        backgrounds[order] = colour.get_truecolor().red if colour else 0
    assert max(backgrounds, key=lambda order: backgrounds[order]) == "10"


def test_a_count_in_three_cells() -> None:
    for count, text in (
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (9_999, "9k"),
        (99_999, "99k"),
        (100_000, ".1M"),
        (1_000_000, "1M"),
        (99_000_000, "99M"),
        (250_000_000, ".2G"),
    ):
        assert abbreviated(count, 3) == text
    assert abbreviated(5_629, 4) == "5.6k"
    assert abbreviated(5_629, 5) == "5 629"
    assert all(len(abbreviated(10**digits, 3)) <= 3 for digits in range(15))


def test_a_list_that_the_kernel_stopped_counting() -> None:
    blocks = [FreeBlocks(0, "Normal", (100_001, 3), frozenset((0,)))]
    shown = page("fragmentation", facts(free_blocks=blocks))
    assert table(shown)[1].split() == ["Normal", "≥100k", "3"]
    assert table(shown)[2].split() == ["unus", "%", "n/a", "n/a"]


def test_whether_a_huge_page_can_be_had() -> None:
    none = [FreeBlocks(0, "Normal", (500, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0))]
    of = facts(free_blocks=none)
    assert summary("fragmentation", of)[0] == "2 MiB: no"
    assert head(page("fragmentation", of), 200)[0].startswith("2.0 MiB cannot be handed out now")
    # 512 MiB on arm64 with 64 KiB pages; and where the default is 1 GiB, which is no block.
    assert summary("fragmentation", facts("arm64-64k"))[0] == "512 MiB: yes"
    meminfo = {**facts().meminfo, "Hugepagesize": 1 << 30}
    assert summary("fragmentation", facts(meminfo=meminfo))[0] == "2 MiB: yes"


def test_compaction_s_work_is_a_rate() -> None:
    now = facts("debian-6.18", "debian-6.18-later")
    vmstat = {"compact_stall": 30, "compact_success": 28, "compact_fail": 2}
    old = {"compact_stall": 2, "compact_success": 0, "compact_fail": 2}
    assert now.before is not None
    before = now.before._replace(system=now.before.system._replace(vmstat=old))
    sample = now.sample._replace(system=now.system._replace(vmstat=vmstat))
    line = head(page("fragmentation", now._replace(sample=sample, before=before), 120), 120)[-1]
    assert line.endswith("stalls 2.0  made 2.0  failed 0  moved n/a  scanned n/a")


# Slabs.


def test_slabs_sorted_and_filtered() -> None:
    of = facts("debian-6.18")
    by_size = page("slabs", of, 120)
    assert by_size.sorted_by == ("size", True)
    assert column(by_size, "name")[:3] == ["ext4_inode_cache", "dentry", "radix_tree_node"]
    assert about(by_size, 0).startswith("ext4_inode_cache 4 875 slabs of 4 pages")
    by_name = column(page("slabs", of, 120, Arrangement("name", False)), "name")
    assert by_name == sorted(by_name, key=str.casefold)
    inodes = page("slabs", of, 120, Arrangement(filter="INODE"))
    assert {"inode" in name.casefold() for name in column(inodes, "name")} == {True}
    assert "filter INODE" in head(inodes)[0]
    nothing = page("slabs", of, 120, Arrangement(filter="\x1b[31m"))
    assert nothing.empty == "no cache has “\\e[31m” in its name"
    assert not nothing.rows


def test_an_empty_cache_wastes_nothing() -> None:
    empty = Slab("empty", 0, 0, 64, 64, 1, 0, 0)
    half = Slab("half", 32, 64, 64, 64, 1, 1, 1)
    how = Arrangement("use", False)
    assert [slab.name for slab in arranged([empty, half], how, 4096)] == ["half", "empty"]


def _run(*command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    return done.stdout


def _live(field: str) -> Facts:
    """This machine, with that read."""
    sampler = Sampler(LiveFiles())
    sample = sampler.sample(plan=Plan(fields=frozenset((field,))))
    sampler.close()
    history = History()
    history.record(sample)
    return Facts(sample, None, history, os.sysconf("SC_PAGE_SIZE"))


def _slabinfo() -> dict[str, Slab]:
    found = LiveFiles().parsed("proc/slabinfo", parse_slabinfo)
    assert not isinstance(found, Gap)
    return {slab.name: slab for slab in found}


def test_slabs_are_slabtop_s() -> None:
    if os.geteuid() != 0:
        pytest.skip("slabinfo is for root alone")
    page_bytes = os.sysconf("SC_PAGE_SIZE")

    def compare() -> None:
        before = _slabinfo()
        lines = _run("slabtop", "-o", "-s", "c").splitlines()
        after = _slabinfo()
        rows = [
            line.split()
            for line in lines
            if re.fullmatch(r"\s*\d+ +\d+ +\d+% +[\d.]+[KMG].*", line)
        ]
        # One may have moved and come back.
        still = [row for row in rows if before.get(row[-1]) == after.get(row[-1]) is not None]
        assert still, "every cache changed while slabtop looked"
        for objects, active, _, _, slabs, _, size, name in still:
            slab = before[name]
            assert (slab.objects, slab.active_objects) == (int(objects), int(active)), name
            assert slab.slabs == int(slabs)
            assert slab.size_bytes(page_bytes) == int(size.removesuffix("K")) * 1024

    until_alike(compare)


# Huge pages, swap, KSM.


def test_huge_pages_as_text() -> None:
    lines = table(page("hugepages", facts("numa"), 100), 100)
    assert lines[1:4] == [
        "pool of 2 MiB            128 MiB  64 pages: 40 used, 24 free, 8 reserved, 2 surplus",
        "pool of 1 GiB            1.0 GiB  1 pages: 0 used, 1 free, 1 reserved, 0 surplus",
        "THP                       always  All programs get huge pages where a stretch of memory is"
        " long en…",
    ]
    assert table(page("hugepages", facts("linux-2.6.18-vendor")))[1].split()[:2] == ["THP", "none"]


def test_swap_as_text() -> None:
    of = facts("numa")
    assert summary("swap", of) == ("1.1G/6.0G", "1.1G/6.0G, zram 4.1:1")
    assert table(page("swap", of, 51), 51) == [
        "DEVICE             SIZE   USED  PRIO  RATIO IN MEM",
        "/dev/zram0         2.0G   640M   100  4.1:1   156M",
        "/swapfile          4.0G   512M    -2",
        "zswap                     128M     –  2.7:1  48.0M",
    ]
    assert "compressed (zstd)" in about(page("swap", of), 0)
    assert page("swap", of).topic(0) == "zram"


def test_hostile_names_are_escaped() -> None:
    evil = "/mnt/\x1b[31m\u202egone\udcff"
    swap = Swap(evil, "file", 1 << 30, 1 << 20, -2)
    slab = Slab("\x1b]0;owned\x07", 1, 1, 64, 64, 1, 1, 1)
    of = facts(swaps=[swap], slabs=[slab])
    for name in ("swap", "slabs"):
        shown = page(name, of, 120)
        text = "\n".join([*table(shown, 120), *head(shown, 120), about(shown, 0)])
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\udcff]", text)
        assert "\\e" in text


def test_swap_is_swapon_s() -> None:
    def compare() -> None:
        lines = _run("swapon", "--show=NAME,SIZE,USED,PRIO", "--bytes", "--noheadings", "--raw")
        known = {row["name"][0]: row for row in page("swap", _live("swaps"), 200).rows}
        for line in lines.splitlines():
            name, size, _, priority = line.rsplit(" ", 3)
            if "\\" in name:
                continue
            assert name in known  # or another test's, on its way
            # swapon leaves out the header's page as the kernel does.
            assert known[name]["size"][0] == units.size(int(size))
            assert known[name]["priority"][0] == priority

    until_alike(compare)


def test_ksm_as_text() -> None:
    lines = table(page("ksm", facts("numa"), 60), 60)
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["state", "runs", "ksmd"],
        ["saved", "60.0", "MiB"],
        ["profit", "56.4", "MiB"],
    ]
    assert summary("ksm", facts("arm64-64k")) == ("none", "none")


# Control groups.


def _confined(limits: Iterable[tuple[str, int, int | None]]) -> Confinement:
    levels = tuple(
        Level(path, f"sys/fs/cgroup{path}", current, limit) for path, current, limit in limits
    )
    bound = min(levels, key=lambda each: (each.headroom_bytes is None, each.headroom_bytes or 0))
    group = MemoryGroup(
        *(bound.path, 2, bound.current_bytes, 5 * MIB, bound.max_bytes, None, 3, None, {}),
        {"max": 7},
        Gap("x", "absent"),
    )
    return Confinement(2, levels, group)


def test_the_tightest_ancestor_is_marked() -> None:
    confinement = _confined(
        [("/a/b", 30 * MIB, 100 * MIB), ("/a", 50 * MIB, 60 * MIB), ("/", 900 * MIB, None)]
    )
    of = facts(confinement=confinement)
    assert summary("cgroup", of) == ("10.0M left", "10.0 MiB left of 60.0M")
    assert table(page("cgroup", of, 100), 100) == [
        "GROUP                                     CURRENT     LIMIT  HEADROOM",
        "/                                         900 MiB      none         –",
        "  a                                      50.0 MiB  60.0 MiB  10.0 MiB █████████████████░░░"
        " tightest",
        "    b                                    30.0 MiB   100 MiB  70.0 MiB ██████░░░░░░░░░░░░░░",
    ]
    assert "limit hits 7" in about(page("cgroup", of), 1)
    assert "It is bound by memory.max of /a" in " ".join(head(page("cgroup", of), 100))


def test_no_limit_and_no_controller() -> None:
    free = facts(confinement=_confined([("/", 5, None)]))
    assert summary("cgroup", free)[0] == "no limit"
    assert "None of its groups has a limit" in " ".join(head(page("cgroup", free)))
    gap = Gap("proc/self/cgroup", "absent", "no memory controller")
    assert "(no memory controller)" in head(page("cgroup", facts(confinement=gap)))[0]


def test_this_machine_s_blocks_are_buddyinfo_s() -> None:
    """Those that stand still meanwhile, as some of each zone do."""

    def counts() -> list[list[str]]:
        return [line.split()[4:] for line in Path("/proc/buddyinfo").read_text().splitlines()]

    def compare() -> None:
        before = counts()
        shown = page("fragmentation", _live("free_blocks"), 200).rows
        after = counts()
        for at, zone in enumerate(before):
            still = [order for order, count in enumerate(zone) if after[at][order] == count]
            assert still, "all blocks come and go"
            for order in still:
                expected = abbreviated(int(zone[order]), 6).replace(" ", "")
                assert shown[2 * at][str(order)][0].replace(" ", "") == expected

    until_alike(compare)


def test_numastat_says_the_same() -> None:
    said = _run("numastat")
    if "numa_miss" not in said:
        pytest.skip(f"numastat says nothing here: {said[:40]!r}")

    def compare() -> None:
        lines = _run("numastat").splitlines()
        nodes = _live("nodes").system.nodes
        assert nodes is not None
        assert not isinstance(nodes, Gap)
        misses = next(line for line in lines if line.startswith("numa_miss")).split()[1:]
        assert [str(node.numastat["numa_miss"]) for node in nodes] == misses

    until_alike(compare)
