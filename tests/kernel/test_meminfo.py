from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Files, Gap, Malformed
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.values import Counters
from tests.conftest import HOSTS, open_host
from tests.oracles import until_alike

KIB = 1024


def meminfo(name: str) -> Counters:
    values = open_host(name).parsed("proc/meminfo", parse_meminfo)
    assert not isinstance(values, Gap)
    return values


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("MemTotal:       24684084 kB", "MemTotal", 24684084 * KIB),
        # arm64 with more than 9.9 GB of it: no blank after the colon.
        ("ShadowCallStack:10373888 kB", "ShadowCallStack", 10373888 * KIB),
        # Counts of pages of Hugepagesize, not kB.
        ("HugePages_Total:      64", "HugePages_Total", 64),
        ("Active(anon):     254148 kB", "Active(anon)", 254148 * KIB),
        ("Odd\x7fKey:  1 kB", "Odd\x7fKey", KIB),
    ],
)
def test_one_line(line: str, key: str, value: int) -> None:
    assert parse_meminfo(line.encode()) == {key: value}


@pytest.mark.parametrize(
    "line",
    [
        "MemTotal: lots kB",
        "MemFree:",
        "SwapFree: 1 MB",
        "MemAvailable: 0x10 kB",
        "Shmem: 1.5 kB",
        "",
    ],
)
def test_a_line_that_free_needs_is_malformed_or_there_is_nothing(line: str) -> None:
    with pytest.raises(Malformed):
        parse_meminfo(line.encode())


@pytest.mark.parametrize(
    "line", ["no colon here", "Odd: 12 MB", "Two Words: 12 kB", "\x00\xff", ": 5 kB"]
)
def test_somebody_elses_line_costs_nothing(line: str) -> None:
    assert parse_meminfo(b"MemTotal: 8 kB\n" + line.encode("latin-1") + b"\nMemFree: 4 kB\n") == {
        "MemTotal": 8 * KIB,
        "MemFree": 4 * KIB,
    }


def test_a_table_in_bytes_before_the_keys_is_skipped() -> None:
    values = meminfo("linux-2.6.18-vendor")
    assert values["MemTotal"] == 1026920 * KIB
    assert values["HighFree"] == 244 * KIB
    assert {"Mem", "Swap", "total"}.isdisjoint(values)


def test_what_old_kernels_and_containers_say() -> None:
    assert "MemAvailable" not in meminfo("linux-3.2")
    container = meminfo("container")
    assert container["MemAvailable"] > container["MemTotal"]
    assert container["SwapFree"] > container["SwapTotal"]
    assert meminfo("arm64-64k")["ShadowCallStack"] == 10373888 * KIB
    assert meminfo("arm64-64k")["Hugepagesize"] == 512 << 20


def test_a_hostile_file_gives_all_that_is_right_in_it() -> None:
    values = meminfo("hostile")
    assert values["SwapCached"] == meminfo("debian-6.18")["SwapCached"]
    assert values.impossible == {"Negative", "Count_64"}
    assert {"Odd", "Broken", "Words"}.isdisjoint(values)


@pytest.mark.parametrize("name", [name for name in HOSTS if name != "container"])
def test_parts_fit_into_the_whole(name: str) -> None:
    values = meminfo(name)
    assert values["MemFree"] + values["Buffers"] + values["Cached"] <= values["MemTotal"]
    assert values.get("SReclaimable", 0) <= values["Slab"]
    assert values.get("Shmem", 0) <= values["Cached"] + values["SwapCached"]
    assert (
        values["SwapFree"] + values["SwapCached"] <= values["SwapTotal"] or values["SwapTotal"] == 0
    )


def test_agrees_with_free() -> None:
    until_alike(free_agrees)


def free_agrees() -> None:
    files = LiveFiles()
    before = parse_meminfo(_bytes(files))
    lines = subprocess.run(["free", "-b", "-w"], capture_output=True, text=True, check=True).stdout
    after = parse_meminfo(_bytes(files))
    mem, swap = (list(map(int, line.split()[1:])) for line in lines.splitlines()[1:3])
    assert mem[0] == before["MemTotal"]
    assert swap[0] == before["SwapTotal"]
    # Other programs allocate meanwhile: each figure lies near the two readings around it.
    for figure, keys in (
        (mem[2], ["MemFree"]),
        (mem[3], ["Shmem"]),
        (mem[5], ["Cached", "SReclaimable"]),
    ):
        low, high = sorted((sum(before[key] for key in keys), sum(after[key] for key in keys)))
        assert low - (64 << 20) <= figure <= high + (64 << 20)


@given(st.binary())
def test_any_bytes_give_a_value_or_malformed(data: bytes) -> None:
    _value_or_malformed(data)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["MemTotal", "MemFree", "X(y)", "", "A B"]),
            st.sampled_from([":", ": ", " "]),
            st.one_of(st.integers().map(str), st.text(max_size=4)),
            st.sampled_from([" kB", "", " MB"]),
        ).map("".join)
    )
)
def test_any_near_miss_gives_a_value_or_malformed(lines: list[str]) -> None:
    _value_or_malformed("\n".join(lines).encode("utf-8", "surrogatepass"))


def _value_or_malformed(data: bytes) -> None:
    try:
        values = parse_meminfo(data)
    except Malformed:
        return
    assert values or values.impossible
    assert all(0 <= value < 1 << 63 for value in values.values())


def _bytes(files: Files) -> bytes:
    data = files.read("proc/meminfo")
    assert isinstance(data, bytes)
    return data


def test_hosts_are_found(host: Callable[[str], Files]) -> None:
    assert "debian-6.18" in HOSTS
    assert all(host(name).names("proc") for name in HOSTS)


def test_sizes_without_their_kb_are_sizes() -> None:
    """As a container's own file system has written them; counts stay counts."""
    values = parse_meminfo(b"MemTotal: 8\nHugePages_Total: 8\nHugepagesize: 2048\nCached:4\n")
    assert values == {
        "MemTotal": 8 * KIB,
        "HugePages_Total": 8,
        "Hugepagesize": 2048 * KIB,
        "Cached": 4 * KIB,
    }


@pytest.mark.parametrize(
    "number",
    [
        *("-1", "18446744073709551615", "18446744073709551488", "18014398509481856"),
        *("9223372036854775808", "9" * 35, "9" * 310, "9" * 4400),
    ],
)
def test_a_number_that_cannot_be_is_left_out(number: str) -> None:
    """-1 was seen of MemAvailable, 2^64 − 128 kB of SwapFree, 2^54 − n of kB made from bytes."""
    lines = f"MemTotal: 8 kB\nMemAvailable: {number} kB\nOdd: {number} kB\nMemFree: 4 kB\n"
    values = parse_meminfo(lines.encode())
    assert values == {"MemTotal": 8 * KIB, "MemFree": 4 * KIB}
    assert values.impossible == {"MemAvailable", "Odd"}
