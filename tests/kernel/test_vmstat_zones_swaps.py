from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap, Malformed
from memtui.kernel.swaps import Swap, parse_swaps
from memtui.kernel.vmstat import parse_vmstat
from memtui.kernel.zones import Zone, parse_zoneinfo
from tests.conftest import HOSTS, open_host

SWAPS_HEAD = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def zones(name: str) -> dict[tuple[int, str], Zone]:
    found = open_host(name).parsed("proc/zoneinfo", parse_zoneinfo)
    assert not isinstance(found, Gap)
    return {(zone.node, zone.zone): zone for zone in found}


def test_vmstat_passes_32_bits_and_a_counter_below_zero_is_impossible() -> None:
    longest = b"9" * 4400
    found = parse_vmstat(
        b"pgfault 4294967296\nnr_odd 18446744073709551615\nnr_low -3\nnr_long " + longest
    )
    assert found == {"pgfault": 1 << 32}
    assert found.impossible == {"nr_odd", "nr_low", "nr_long"}


def test_a_line_of_another_shape_costs_that_line_alone() -> None:
    assert parse_vmstat(b"pgfault 4\nnr_new 1 2 3\nnr_word many\npgscan 5\n") == {
        "pgfault": 4,
        "pgscan": 5,
    }


def test_zones_leave_out_what_cannot_be() -> None:
    (zone,) = parse_zoneinfo(
        b"Node 0, zone Normal\n  pages free 18446744073709551615\n        min 3\n        low -1\n"
        b"        protection: (0, 18446744073709551615, 7)\n"
    )
    assert (zone.fields, zone.protection_pages) == ({"min": 3}, (0, 7))


def test_swaps_sizes_that_cannot_be_are_unknown() -> None:
    lines = b"/a file 100 101 -2\n/b file 18446744073709551488 5 -3\n/c file 8 4 -4\n"
    found = parse_swaps(SWAPS_HEAD + lines)
    assert [(each.size_bytes, each.used_bytes) for each in found] == [
        (102400, None),
        (None, 5120),
        (8192, 4096),
    ]


def test_vmstat_keeps_names_that_only_look_alike() -> None:
    values = parse_vmstat(b"pgscan_direct 912345\npgscan_direct_throttle 3\n")
    assert values == {"pgscan_direct": 912345, "pgscan_direct_throttle": 3}


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"pgfault", b"pgfault many", b"a 1 b", b"\xff one", b"a 1.5"]
)
def test_vmstat_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_vmstat(data)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("debian-6.18", "pgsteal_khugepaged"),
        ("debian-6.18", "workingset_refault_anon"),
        ("no-psi", "workingset_refault"),
        ("linux-3.2", "pgsteal_normal"),
        ("linux-2.6.18-vendor", "pgscan_kswapd_high"),
        ("hostile", "nr_unheard_of"),
    ],
)
def test_vmstat_keeps_each_kernels_own_keys(name: str, key: str) -> None:
    values = open_host(name).parsed("proc/vmstat", parse_vmstat)
    assert not isinstance(values, Gap)
    assert key in values.keys() | values.impossible


def test_counters_of_the_later_capture_are_no_lower() -> None:
    before, after = (
        open_host(name).parsed("proc/vmstat", parse_vmstat)
        for name in ("debian-6.18", "debian-6.18-later")
    )
    assert isinstance(before, dict) and isinstance(after, dict)
    assert before.keys() == after.keys()
    assert after["pgfault"] > before["pgfault"]
    counters = [
        key
        for key in before
        if key.startswith(("pg", "pswp", "thp_fault", "compact_", "workingset_r"))
    ]
    assert all(after[key] >= before[key] for key in counters)


def test_node_totals_stand_in_the_first_zone_only() -> None:
    found = zones("debian-6.18")
    assert found[0, "DMA"].node_stats["nr_anon_pages"] > 0
    assert found[0, "DMA"].fields["free"] == found[0, "DMA"].fields["nr_free_pages"]
    assert not found[0, "Normal"].node_stats
    assert "nr_anon_pages" not in found[0, "DMA"].fields


def test_a_cpus_high_is_not_the_zones() -> None:
    zone = zones("no-psi")[0, "Normal"]
    assert zone.fields["high"] == 15824
    assert [pageset["high"] for pageset in zone.pagesets] == [186, 186]
    assert [pageset["cpu"] for pageset in zone.pagesets] == [0, 1]
    assert zone.fields["start_pfn"] == 1048576
    assert zone.fields["node_unreclaimable"] == 0


@pytest.mark.parametrize(
    ("name", "present", "missing"),
    [
        ("debian-6.18", {"boost", "promo", "managed", "cma"}, set()),
        ("arm64-64k", {"boost", "cma"}, {"promo"}),
        ("no-psi", {"managed", "node_scanned"}, {"boost", "cma"}),
        ("linux-3.2", {"scanned"}, {"managed", "boost"}),
        ("linux-2.6.18-vendor", {"active", "inactive"}, {"managed", "boost"}),
    ],
)
def test_fields_come_and_go(name: str, present: set[str], missing: set[str]) -> None:
    fields = zones(name)[0, "Normal"].fields
    assert present <= fields.keys()
    assert missing.isdisjoint(fields)


def test_sparse_nodes_and_empty_zones() -> None:
    found = zones("arm64-64k")
    assert {node for node, _ in found} == {0, 2}
    assert found[0, "Movable"].pagesets == ()
    assert found[0, "Movable"].fields["managed"] == 0
    assert found[2, "Normal"].node_stats["nr_kernel_stack"] == 44416
    assert found[0, "DMA"].fields["cma"] == 8176


def test_the_oldest_layout() -> None:
    """2.6.18: a pageset a CPU and temperature, `scanned` with two numbers after it."""
    zone = zones("linux-2.6.18-vendor")[0, "Normal"]
    assert [zone.fields[key] for key in ("free", "min", "low", "high")] == [7589, 936, 1170, 1404]
    assert zone.protection_pages == (0, 0, 0, 1011)
    assert zone.fields["present"] == 225280


@pytest.mark.parametrize("name", [name for name in HOSTS if name != "container"])
def test_watermarks_are_in_order(name: str) -> None:
    for zone in zones(name).values():
        fields = zone.fields
        assert (
            fields["min"] <= fields["low"] <= fields["high"] <= fields.get("promo", fields["high"])
        )
        assert fields.get("managed", 0) <= fields["present"] <= fields["spanned"]


@pytest.mark.parametrize("data", [b"", b"pages free 1\n", b"Node x, zone Normal\n", b"\xff"])
def test_zoneinfo_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_zoneinfo(data)


def test_swaps_escapes_deleted_and_priorities() -> None:
    swaps = open_host("hostile").parsed("proc/swaps", parse_swaps)
    assert not isinstance(swaps, Gap)
    assert [(swap.name, swap.priority) for swap in swaps] == [
        ("/mnt/swap file (1)", -2),
        ("/mnt/back\\slash\nline", -3),
        ("/old swap (deleted)", 5),
        ("/dev/zram0", 100),
        ("/mnt/\udcff\udcfe\x1b[31m", -4),
    ]
    assert swaps[3] == Swap("/dev/zram0", "partition", 4194300 * 1024, 1 << 30, 100)


def test_no_swap_is_an_empty_list() -> None:
    assert parse_swaps(SWAPS_HEAD) == []


@pytest.mark.parametrize(
    "line", [b"/dev/sda1 partition 12\n", b"/dev/sda1 partition 12 x -1\n", b"\n"]
)
def test_swaps_malformed(line: bytes) -> None:
    with pytest.raises(Malformed):
        parse_swaps(SWAPS_HEAD + line)


@given(st.binary())
def test_any_bytes_give_a_value_or_malformed(data: bytes) -> None:
    for parse in (parse_vmstat, parse_zoneinfo, parse_swaps):
        for prefix in (b"", b"Node 0, zone Normal\n", SWAPS_HEAD):
            try:
                assert parse(prefix + data) is not None
            except Malformed as error:
                assert str(error)


ZONE_LINES = (
    "Node 0, zone Normal|  per-node stats|  pages free 1|        high     3|   protection: (0, 1)"
    "|  pagesets|    cpu: 0|              high:  186|  start_pfn: 1|  vm stats threshold: 4"
).split("|")


@given(st.lists(st.sampled_from(ZONE_LINES)), st.binary(max_size=12))
def test_zone_lines_in_any_order_give_a_value_or_malformed(lines: list[str], odd: bytes) -> None:
    try:
        assert parse_zoneinfo("\n".join(lines).encode() + odd)
    except Malformed as error:
        assert str(error)
