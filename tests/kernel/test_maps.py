from __future__ import annotations

import subprocess
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memtui.kernel.files import Gap, Malformed
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import Mappings, Vma, parse_maps, parse_smaps_rollup, read_mappings
from memtui.kernel.process import parse_stat, parse_status
from tests.conftest import HOSTS, may_read, open_host
from tests.oracles import until_alike

VSYSCALL = 0xFFFFFFFFFF600000
FILES = [
    (host, pid, source)
    for host in HOSTS
    for pid in sorted(open_host(host).pids())
    for source in ("maps", "smaps")
    if may_read(open_host(host), f"proc/{pid}/{source}")
]
WITH_SMAPS = [(host, pid) for host, pid, source in FILES if source == "smaps"]
WITH_ROLLUP = [
    (host, pid) for host, pid in WITH_SMAPS if may_read(open_host(host), f"proc/{pid}/smaps_rollup")
]


def mappings_of(host: str, pid: int, source: str = "smaps") -> Mappings:
    mappings = read_mappings(open_host(host), pid, source)
    assert not isinstance(mappings, Gap)
    return mappings


def rows(mappings: Mappings) -> list[Vma]:
    return [mappings.vma(row) for row in range(len(mappings))]


def names(host: str, pid: int) -> list[str]:
    return mappings_of(host, pid, "maps").paths


def one(data: bytes) -> Vma:
    (vma,) = rows(parse_maps(data))
    return vma


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"", ""),
        (b" ", ""),
        (b"                   /usr/bin/cat", "/usr/bin/cat"),
        (b" /with blank", "/with blank"),
        (b" /trailing  ", "/trailing  "),
        (b" /new\\012line", "/new\\012line"),
        (b" /live (deleted) (deleted)", "/live (deleted) (deleted)"),
        (b" [anon:a/b: (c) d]", "[anon:a/b: (c) d]"),
        (b" /\xff", "/\udcff"),
        (b" Rss:                   4 kB", "Rss:                   4 kB"),
        (
            b" 00400000-00401000 r--p 00000000 00:00 0 [heap]",
            "00400000-00401000 r--p 00000000 00:00 0 [heap]",
        ),
        (b" /carriage\rreturn\x0b\x0c\x1c", "/carriage\rreturn\x0b\x0c\x1c"),
        ("한글".encode(), ""),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b""])
def test_the_name_is_everything_after_the_blanks(name: bytes, path: str, end: bytes) -> None:
    line = b"7f0000000000-7f0000001000 r-xp 00000000 08:01 12" + name + end
    if name and name[:1] != b" ":
        with pytest.raises(Malformed):
            parse_maps(line)
    else:
        assert one(line).path == path


@pytest.mark.parametrize(
    ("line", "start", "end", "offset", "dev", "inode"),
    [
        (b"0-1000 ---p 0 0:0 0", 0, 0x1000, 0, "0:0", 0),
        (b"08048000-08049000 r-xp 00000000 03:01 32113", 0x8048000, 0x8049000, 0, "03:01", 32113),
        (b"7f0000000000-7f0000001000 r--p fffffffffffff000 fff:fffff 18446744073709551615",
         0x7F0000000000, 0x7F0000001000, 2**64 - 4096, "fff:fffff", 2**64 - 1),
        (b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0",
         VSYSCALL, VSYSCALL + 4096, 0, "00:00", 0),
        (b"7ffffffff000-800000000000 rw-p 0 00:00 9007199254740993",
         0x7FFFFFFFF000, 1 << 47, 0, "00:00", 2**53 + 1),
    ],
)  # fmt: skip
def test_wide_numbers(line: bytes, start: int, end: int, offset: int, dev: str, inode: int) -> None:
    vma = one(line + b"\n")
    assert (vma.start, vma.end, vma.offset_bytes, vma.dev, vma.inode) == (
        start,
        end,
        offset,
        dev,
        inode,
    )


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"\n",
        b"2000-1000 r--p 0 0:0 0",
        b"1000-1000 r--p 0 0:0 0",
        b"7f0000001000-7f0000000000 r--p 00000000 00:00 0",
        b"1000-2000 r--p 0 0:0",
        b"1000-2000 r--x 0 0:0 0",
        b"1000-20000000000000000 r--p 0 0:0 0",
        b"1000-2000 r--p 0 0:0 18446744073709551616",
        b"1000-2000 r--p 10000000000000000 0:0 0",
        b"1000-2000 r--p 0 0:0 0\nRss: 4 kB\nRss",
        b"1000-2000 r--p 0 0:0 0\nRss: many kB\n",
        b"Rss: 4 kB\n",
    ],
)
def test_malformed(line: bytes) -> None:
    with pytest.raises(Malformed):
        parse_maps(line)


def test_empty_is_no_address_space() -> None:
    assert len(parse_maps(b"")) == 0
    assert parse_maps(b"").total("Rss") is None
    assert parse_smaps_rollup(b"") == {}
    assert len(mappings_of("debian-6.18", 45)) == 0  # kswapd0
    assert len(mappings_of("hostile", 1000008, "maps")) == 0  # a zombie
    assert isinstance(read_mappings(open_host("hostile"), 1000009), Gap)


def test_what_people_name_their_files() -> None:
    found = set(names("hostile", 1000010))
    assert {
        "/srv/trailing blanks  ",
        "/srv/deleted (deleted)",
        "/srv/live (deleted) (deleted)",
        "/srv/new\\012line",
        "/srv/\x1b[31mred\x1b[0m",
        "/srv/[bold]markup[/bold]",
        "[/etc]",
        "/srv/\u202egnp.exe",
        "/srv/\udcff\udcfeinvalid",
        "/srv/한글 이름",
        "/srv/7f0000000000-7f0000001000 rw-p 00000000 00:00 0 [heap]",
        "Rss:  4 kB",
        "VmFlags: rd wr",
        "/srv/form\x0cfeed\x0bvertical\x1c\x1d\udc85",
        "[anon:a/b: (c) d]",
        "[anon_shmem:x/y: (z)]",
        "/memfd:frame buffer (deleted)",
        "/SYSV00000000 (deleted)",
        "[vvar_vclock]",
    } <= found
    # Composed and decomposed are two files, and stay two.
    assert (
        len([name for name in found if name.startswith("/srv/") and name.endswith(("름", "ᆷ"))]) == 2
    )


@pytest.mark.parametrize(("host", "pid", "source"), FILES)
def test_start_end_next(host: str, pid: int, source: str) -> None:
    mappings = mappings_of(host, pid, source)
    assert all(vma.start < vma.end for vma in rows(mappings))
    assert all(a.end <= b.start for a, b in pairwise(rows(mappings)))


@pytest.mark.parametrize(("host", "pid"), WITH_SMAPS)
def test_smaps_is_maps_with_more(host: str, pid: int) -> None:
    maps, smaps = mappings_of(host, pid, "maps"), mappings_of(host, pid)
    assert maps.same_layout(smaps)
    assert maps.devs == smaps.devs
    assert not maps.has_usage
    for vma in rows(smaps):
        assert vma.usage["Size"] == vma.size_bytes
        rss = [
            vma.usage[key]
            for key in ("Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty")
        ]
        assert vma.usage["Rss"] == sum(value or 0 for value in rss)


@pytest.mark.parametrize(("host", "pid"), WITH_ROLLUP)
def test_smaps_sums_to_its_rollup(host: str, pid: int) -> None:
    mappings = mappings_of(host, pid)
    rollup = open_host(host).parsed(f"proc/{pid}/smaps_rollup", parse_smaps_rollup)
    assert not isinstance(rollup, Gap)
    assert bool(rollup) == bool(len(mappings))
    for key, value in rollup.items():
        total = mappings.total(key)
        if key.startswith("Pss_") and total is None:
            continue  # Pss_Anon, Pss_File, Pss_Shmem are in the rollup alone
        assert total is not None
        if key in ("Pss", "Pss_Dirty", "SwapPss"):
            # Rounded down a mapping at a time, to kB.
            assert 0 <= value - total <= 1024 * len(mappings)
        elif key == "Locked":
            assert abs(value - total) <= 1024 * len(mappings)
        elif host.startswith("debian"):
            assert abs(value - total) <= 1 << 20  # captured while it ran
        else:
            assert value == total


@pytest.mark.parametrize(("host", "pid"), WITH_SMAPS)
def test_sizes_sum_to_status(host: str, pid: int) -> None:
    mappings = mappings_of(host, pid)
    status = open_host(host).parsed(f"proc/{pid}/status", parse_status)
    assert not isinstance(status, Gap)
    # [vsyscall] is listed, and belongs to nobody's address space.
    assert sum(vma.size_bytes for vma in rows(mappings) if vma.start != VSYSCALL) == status.get(
        "VmSize", 0
    )
    rss, size = mappings.total("Rss") or 0, status.get("VmRSS", 0)
    assert isinstance(size, int)
    slack = (1 << 20) if host.startswith("debian") else 32 << 10
    if host == "arm64-64k":
        slack = 256 << 10
    assert abs(rss - size) <= slack


def test_no_address_space_is_a_kernel_thread_or_a_zombie() -> None:
    for host, pid in WITH_SMAPS:
        stat = open_host(host).parsed(f"proc/{pid}/stat", parse_stat)
        assert not isinstance(stat, Gap)
        assert (len(mappings_of(host, pid)) == 0) == (stat.is_kernel_thread or stat.state == "Z")


def test_hugetlb_memory_is_in_no_rss() -> None:
    by_path = {vma.path: vma.usage for vma in rows(mappings_of("hostile", 1000011))}
    private = by_path["/anon_hugepage (deleted)"]
    assert (private["Rss"], private["Pss"], private["Private_Hugetlb"]) == (0, 0, 512 << 20)
    assert by_path["/dev/hugepages/1G"]["Shared_Hugetlb"] == 1 << 30
    captured = {vma.path: vma.usage for vma in rows(mappings_of("debian-6.18", 874))}
    assert captured["/anon_hugepage (deleted)"]["Private_Hugetlb"] == 48 << 20
    assert captured["/anon_hugepage (deleted)"]["Rss"] == 0


def test_other_page_sizes() -> None:
    mappings = mappings_of("arm64-64k", 45110)
    assert set(mappings.usage["KernelPageSize"]) == {65536, 512 << 20}
    assert all(start % 65536 == 0 for start in mappings.starts)


def test_lines_without_kilobytes_are_counts() -> None:
    huge = [vma for vma in rows(mappings_of("hostile", 1000011)) if vma.usage["AnonHugePages"]]
    assert [(vma.usage["THPeligible"], vma.usage["ProtectionKey"]) for vma in huge] == [(1, 0)]
    assert huge[0].vm_flags and "hg" in huge[0].vm_flags


def test_what_a_kernel_does_not_offer_is_none() -> None:
    (first, *_) = rows(mappings_of("linux-2.6.18-vendor", 1812))
    assert first.usage["Rss"] and "Pss" not in first.usage
    assert first.vm_flags is None
    assert mappings_of("linux-2.6.18-vendor", 1812).total("Pss") is None
    assert rows(mappings_of("linux-3.2", 1922))[0].vm_flags is None


def test_a_key_that_only_some_have() -> None:
    mappings = parse_maps(
        b"1000-2000 r--p 0 0:0 0\nRss: 4 kB\n"
        b"2000-3000 r--p 0 0:0 0\nRss: 8 kB\nHugePFNMap: 12 kB\nVmFlags: rd\n"
        b"3000-4000 r--p 0 0:0 0\n"
    )
    assert [mappings.get(row, "Rss") for row in range(3)] == [4096, 8192, None]
    assert [mappings.get(row, "HugePFNMap") for row in range(3)] == [None, 12288, None]
    assert [mappings.vm_flags(row) for row in range(3)] == [None, ("rd",), None]
    assert (mappings.total("Rss"), mappings.total("HugePFNMap")) == (12288, 12288)


def test_androids_name_before_size() -> None:
    vmas = rows(mappings_of("hostile", 1000012))
    assert [vma.texts.get("Name") for vma in vmas] == [
        "[anon:dalvik-main space (region space)]",
        None,
        "[anon:libc_malloc]",
        None,
        None,
    ]
    assert [vma.usage["Rss"] for vma in vmas] == [1 << 20, 64 << 10, 8 << 10, 8 << 10, 12 << 10]


@pytest.mark.parametrize("source", ["maps", "smaps"])
def test_of_a_mapping_listed_twice_the_later_is_kept(source: str) -> None:
    (heap,) = (vma for vma in rows(mappings_of("hostile", 1000013, source)) if vma.path == "[heap]")
    assert heap.size_bytes == 264 << 10


def test_a_mapping_that_swallowed_its_neighbours() -> None:
    data = (
        b"1000-2000 r--p 0 0:0 0\n2000-3000 rw-p 0 0:0 0\n"
        b"1000-5000 rw-p 0 0:0 0 a\n5000-6000 r--p 0 0:0 0\n"
    )
    assert [(vma.start, vma.end) for vma in rows(parse_maps(data))] == [
        (0x1000, 0x5000),
        (0x5000, 0x6000),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"Rss: 4 kB\n",
        b"1000-2000 ---p 0 00:00 0 [rollup]\nRss\n",
        b"1000-2000 ---p 0 00:00 0 [rollup]\nRss: x kB\n",
        b"\n",
    ],
)
def test_rollup_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_smaps_rollup(data)


@st.composite
def cuts(draw: st.DrawFn) -> tuple[str, int, str, list[int]]:
    host, pid, source = draw(st.sampled_from(FILES))
    places = draw(st.sets(st.integers(0, len(_lines(host, pid, source))), max_size=12))
    return host, pid, source, sorted(places)


def _lines(host: str, pid: int, source: str) -> list[bytes]:
    data = open_host(host).read(f"proc/{pid}/{source}")
    assert isinstance(data, bytes)
    return [line + b"\n" for line in data.split(b"\n")[:-1]]  # splitlines() cuts at "\r" too


def _pieces(lines: list[bytes], places: list[int]) -> list[bytes]:
    return [b"".join(lines[a:b]) for a, b in pairwise([0, *places, len(lines)]) if a < b]


@settings(max_examples=150, deadline=None)
@given(cuts())
def test_pieces_mean_what_the_whole_means(cut: tuple[str, int, str, list[int]]) -> None:
    host, pid, source, places = cut
    parts = parse_maps(_pieces(_lines(host, pid, source), places))
    assert rows(parts) == rows(mappings_of(host, pid, source))


@pytest.mark.parametrize(("host", "pid", "source"), FILES)
def test_a_line_at_a_time_reads_the_same(host: str, pid: int, source: str) -> None:
    """The grammar again, by its plainest reading: what all the speed must not change."""
    expected: list[tuple[int, int, str, str, dict[str, int]]] = []
    for line in _lines(host, pid, source):
        words = line.split(maxsplit=5)
        if b"-" in words[0]:
            start, end = (int(part, 16) for part in words[0].split(b"-"))
            name = line.removesuffix(b"\n").split(b" ", 5)[5:] or [b""]
            path = name[0].lstrip(b" ").decode("utf-8", "surrogateescape")
            expected.append((start, end, words[1].decode(), path, {}))
        elif words[1].isdigit():
            unit = 1024 if words[-1] == b"kB" else 1
            expected[-1][4][words[0].decode().removesuffix(":")] = int(words[1]) * unit
    if (host, pid) == ("hostile", 1000013):
        expected = [
            row for row in expected if not (row[3] == "[heap]" and row[1] - row[0] == 200 << 10)
        ]
    found = rows(mappings_of(host, pid, source))
    assert [(vma.start, vma.end, vma.perms, vma.path, vma.usage) for vma in found] == expected


HEAD = b"1000-2000 r--p 0 0:0 0\n"
LINES = (
    b"1000-2000 r--p 00000000 00:00 0 \n|2000-3000 rw-p 00000000 fff:01 7   /a\n"
    b"|Size: 4 kB\n|Rss: 4 kB\n|Rss: x\n|VmFlags: rd wr\n|VmFlags: 12\n|Name: [anon:a]\n"
    b"|Size: 4 kB|\n|THPeligible: 1\n|: 5\n|Size:\n"
    b"|7f0000000000-7f0000001000 rw-p 00000000 00:00 0\n|7f0000000000-7fzz00001000 rw-p 0 00:00 0\n"
).split(b"|")


@example([b"\x81Size: 4 kB\n", b"\x80Size: 4 kB\n"])  # two names, which once were one
@given(st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=8)), max_size=12))
def test_any_bytes_give_a_value_or_malformed(parts: list[bytes]) -> None:
    data = b"".join(parts)
    for text in (data, HEAD + data):
        try:
            mappings = parse_maps(text)
        except Malformed as error:
            assert str(error)
        else:
            assert all(vma.start < vma.end for vma in rows(mappings))
            lengths = {len(column) for column in mappings.usage.values()}
            lengths |= {len(column) for column in mappings.texts.values()}
            assert lengths <= {len(mappings)}
        try:
            assert isinstance(parse_smaps_rollup(text), dict)
        except Malformed as error:
            assert str(error)


@settings(deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=14), st.data())
def test_near_misses_mean_the_same_in_pieces(lines: list[bytes], data: st.DataObject) -> None:
    lines = [line for line in lines if line.endswith(b"\n")] or [HEAD]
    places = sorted(data.draw(st.sets(st.integers(0, len(lines)))))
    pieces = _pieces(lines, places)
    try:
        whole = rows(parse_maps(b"".join(lines)))
    except Malformed:
        with pytest.raises(Malformed):
            parse_maps(pieces)
    else:
        assert rows(parse_maps(pieces)) == whole


def test_a_stopped_childs_smaps_sums_to_its_rollup(stopped_pid: int) -> None:
    """What it shares moves as others of the same files begin and end."""
    files = LiveFiles()

    def sums_agree() -> None:
        rollup = files.parsed(f"proc/{stopped_pid}/smaps_rollup", parse_smaps_rollup)
        mappings = read_mappings(files, stopped_pid)
        assert isinstance(rollup, dict) and isinstance(mappings, Mappings)
        for key in ("Rss", "Anonymous", "Private_Dirty", "Shared_Clean", "Swap", "AnonHugePages"):
            assert mappings.total(key) == rollup[key]
        short = rollup["Pss"] - (mappings.total("Pss") or 0)
        assert 0 <= short <= 1024 * len(mappings)

    until_alike(sums_agree)


def test_a_stopped_childs_maps_are_pmaps(stopped_pid: int) -> None:
    def pmap_agrees() -> None:
        shown = subprocess.run(
            ["pmap", "-X", str(stopped_pid)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        header = shown[1].split()
        size, rss = header.index("Size"), header.index("Rss")
        table = []
        for line in shown[2:]:
            cells = line.split(maxsplit=len(header) - 1)
            if len(cells) < 5 or len(cells[1]) != 4:
                break
            table.append((int(cells[0], 16), int(cells[size]), int(cells[rss])))
        mappings = read_mappings(LiveFiles(), stopped_pid)
        assert isinstance(mappings, Mappings)
        assert table == [
            (vma.start, vma.size_bytes // 1024, (vma.usage["Rss"] or 0) // 1024)
            for vma in rows(mappings)
        ]

    until_alike(pmap_agrees)
