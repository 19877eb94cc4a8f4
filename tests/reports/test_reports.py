"""The reports: against free, pmap and ps, on captured machines, and as somebody without rights."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memtui import units
from memtui.kernel.files import Files
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import Mappings, read_mappings
from memtui.model.map.kinds import KIND_BY_NAME
from memtui.reports.mappings import maps
from memtui.reports.memory import free
from memtui.reports.output import Failure, TextColumn, table
from memtui.reports.processes import procs
from memtui.reports.raw import sample
from tests.conftest import HOSTS, may_read, open_host
from tests.oracles import until_alike
from tests.programs import compiled, mapped
from tests.terminal import state, wait_until

LIVE = LiveFiles()
Host = Callable[[str], Files]

MEM = ["total", "used", "free", "shared", "buffers", "cache", "buff_cache", "available"]
USAGE = {
    "rss_bytes": "Rss",
    "pss_bytes": "Pss",
    "shared_clean_bytes": "Shared_Clean",
    "shared_dirty_bytes": "Shared_Dirty",
    "private_clean_bytes": "Private_Clean",
    "private_dirty_bytes": "Private_Dirty",
    "referenced_bytes": "Referenced",
    "anonymous_bytes": "Anonymous",
    "swap_bytes": "Swap",
    "swap_pss_bytes": "SwapPss",
    "locked_bytes": "Locked",
}
MAPPING = [
    *(
        "start",
        "end",
        "size_bytes",
        "perms",
        "offset_bytes",
        "dev",
        "inode",
        "path",
        "kind",
    ),
    *USAGE,
    *("vm_flags", "label"),
]
# Further lines of smaps, as this kernel has them.
MORE = {
    "anon_huge_pages_bytes": "AnonHugePages",
    "shmem_pmd_mapped_bytes": "ShmemPmdMapped",
    "file_pmd_mapped_bytes": "FilePmdMapped",
    "lazy_free_bytes": "LazyFree",
    "ksm_bytes": "KSM",
    "shared_hugetlb_bytes": "Shared_Hugetlb",
    "private_hugetlb_bytes": "Private_Hugetlb",
    "kernel_page_size_bytes": "KernelPageSize",
    "mmu_page_size_bytes": "MMUPageSize",
    "pss_dirty_bytes": "Pss_Dirty",
    "thp_eligible": "THPeligible",
}
PROCESS = [
    *("pid", "name", "command", "user", "rss_bytes", "rss_anon_bytes", "rss_file_bytes"),
    *("rss_shmem_bytes", "pss_bytes", "uss_bytes", "swap_bytes", "peak_rss_bytes"),
    *("page_tables_bytes", "minor_faults", "major_faults", "oom_score", "oom_score_adj", "cgroup"),
    "hugetlb_bytes",
]


def document(pieces: Iterator[str]) -> Any:
    """What a program that reads the output sees."""
    text = "".join(pieces)
    assert text.isascii()
    return json.loads(text)


def text(pieces: Iterator[str]) -> str:
    """What a person sees: nothing in it that a terminal would obey."""
    whole = "".join(pieces)
    assert whole.replace("\n", "").replace(" ", "").isprintable()
    return whole


def pids(files: Files) -> list[str]:
    return sorted(map(str, files.pids()))


# free ----------------------------------------------------------------------------------------


def test_free_agrees_with_free() -> None:
    """Between two readings of memtui's, free(1)'s figures lie between them, or beside by a bit."""

    def compare() -> None:
        before = document(free(LIVE, "json"))
        done = subprocess.run(["free", "-b", "-w"], capture_output=True, text=True, check=True)
        after = document(free(LIVE, "json"))
        mem, swap = (list(map(int, line.split()[1:])) for line in done.stdout.splitlines()[1:])
        names = ("total", "used", "free", "shared", "buffers", "cache", "available")
        for name, value in zip(names, mem, strict=True):
            low, high = sorted((before["mem"][name], after["mem"][name]))
            slack = 0 if name == "total" else 64 << 20
            assert low - slack <= value <= high + slack, name
        assert before["swap"]["total"] == swap[0]

    until_alike(compare)


@pytest.mark.parametrize("name", HOSTS)
def test_free_of_every_host(name: str) -> None:
    found = document(free(open_host(name), "json"))
    assert list(found) == ["mem", "swap"]
    assert list(found["mem"]) == MEM
    assert list(found["swap"]) == ["total", "used", "free"]
    assert 0 <= found["mem"]["available"] <= found["mem"]["total"]
    assert 0 <= found["swap"]["used"] <= found["swap"]["total"]
    lines = text(free(open_host(name), "text")).splitlines()
    assert lines[0].split() == ["total", "used", "free", "shared", "buff/cache", "available"]
    assert len({len(line) for line in lines[:2]}) == 1
    assert units.size(found["mem"]["available"]) == lines[1][-10:].strip()


def test_free_without_meminfo_fails(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    with pytest.raises(Failure, match="proc/meminfo: absent") as failure:
        document(free(LiveFiles(str(tmp_path)), "json"))
    assert failure.value.status == 1
    (tmp_path / "proc/meminfo").write_text("MemTotal: all of it\n")
    with pytest.raises(Failure, match=r"malformed .*all of it"):
        document(free(LiveFiles(str(tmp_path)), "json"))


# maps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTS)
def test_maps_of_every_process_of_every_host(name: str) -> None:
    """Whatever a capture holds: documents that parse and hold together, or a Failure."""
    files = open_host(name)
    mapped = 0
    for pid in pids(files):
        if not may_read(files, f"proc/{pid}/maps"):
            with pytest.raises(Failure, match="maps: absent"):
                document(maps(files, pid, "json"))
            continue
        found = document(maps(files, pid, "json"))
        shown = text(maps(files, pid, "text"))
        assert list(found) == ["pid", "name", "mappings", "totals", "by_kind", "gaps"]
        assert found["pid"] == int(pid)
        mapped += len(found["mappings"])
        if not found["mappings"]:
            assert found["gaps"]
            assert found["gaps"][0].partition(": ")[2] in shown
            continue
        assert shown.count("\n") > len(found["mappings"])
        check_sums(found)
    assert mapped


def check_sums(found: dict[str, Any]) -> None:
    """Totals are the sums of the rows, by kind and together."""
    keys = ["size_bytes", *USAGE]
    sums: dict[str, dict[str, int]] = defaultdict(dict)
    end = 0
    for row in found["mappings"]:
        assert list(row)[: len(MAPPING)] == MAPPING
        assert row["kind"] in KIND_BY_NAME
        assert int(row["start"], 16) + row["size_bytes"] == int(row["end"], 16)
        assert end <= int(row["start"], 16)
        end = int(row["end"], 16)
        for key in keys:
            if row[key] is not None:
                for of in (row["kind"], "all"):
                    sums[of][key] = sums[of].get(key, 0) + row[key]
    assert found["totals"] == dict.fromkeys(keys) | sums.pop("all")
    assert found["by_kind"] == {kind: dict.fromkeys(keys) | part for kind, part in sums.items()}


def test_maps_rows_are_what_smaps_says(host: Host) -> None:
    files = host("debian-6.18")
    mappings = read_mappings(files, 688)
    found = document(maps(files, "688", "json"))["mappings"]
    assert isinstance(mappings, Mappings)
    for at, row in enumerate(found):
        vma = mappings.vma(at)
        assert [int(row["start"], 16), int(row["end"], 16)] == [vma.start, vma.end]
        assert (row["perms"], row["offset_bytes"], row["dev"]) == vma[2:5]
        assert (row["inode"], row["path"]) == vma[5:7]
        assert {key: row[key] for key in USAGE} == {
            key: vma.usage[own] for key, own in USAGE.items()
        }
        assert tuple(row["vm_flags"]) == vma.vm_flags
        assert row["kernel_size_bytes"] == vma.usage["Size"] == vma.size_bytes
        for key, own in MORE.items():
            assert row[key] == vma.usage[own], key


def test_maps_agrees_with_pmap(stopped_pid: int) -> None:
    """Every column that pmap -X has too, of a process that holds still."""

    def compare() -> None:
        done = subprocess.run(
            ["pmap", "-X", str(stopped_pid)], capture_output=True, text=True, check=True
        )
        found = document(maps(LIVE, str(stopped_pid), "json"))
        lines = done.stdout.splitlines()
        heads = lines[1].split()
        rows = [line.split() for line in lines[2:-2]]  # the last two are the sums
        assert len(rows) == len(found["mappings"]) > 10
        for row, mapping in zip(rows, found["mappings"], strict=True):
            theirs = dict(zip(heads, row, strict=False))
            assert int(theirs["Address"], 16) == int(mapping["start"], 16)
            assert theirs["Perm"] == mapping["perms"]
            assert int(theirs["Inode"]) == mapping["inode"]
            for key, own in (("rss_bytes", "Rss"), ("pss_bytes", "Pss"), ("swap_bytes", "Swap")):
                # Shared libraries' other users come and go all the time.
                slack = 256 << 10 if own == "Pss" else 0
                assert abs(int(theirs[own]) * 1024 - mapping[key]) <= slack
            assert int(theirs["Size"]) * 1024 == mapping["size_bytes"]

    until_alike(compare)


def test_maps_survives_every_byte_in_a_name(host: Host) -> None:
    files = host("hostile")
    raw = files.read("proc/1000010/maps")
    assert isinstance(raw, bytes)
    paths = [row["path"] for row in document(maps(files, "1000010", "json"))["mappings"]]
    assert any(not path.isascii() for path in paths)
    for path in paths:
        assert path.encode("utf-8", "surrogateescape") in raw
    for pid in ("1000001", "1000004", "1000005"):
        comm = files.read(f"proc/{pid}/comm")
        assert isinstance(comm, bytes)
        name = document(maps(files, pid, "json"))["name"]
        assert name.encode("utf-8", "surrogateescape") == comm.removesuffix(b"\n")


def test_maps_keeps_numbers_past_2_to_the_53(host: Host, tmp_path: Path) -> None:
    process = tmp_path / "proc/7"
    process.mkdir(parents=True)
    (process / "stat").write_text("7 (x) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n")
    (process / "maps").write_text(
        f"ffffffff00000000-ffffffffff600000 r-xp fffffffffffff000 103:01 {(1 << 64) - 1} /x\n"
    )
    (row,) = document(maps(LiveFiles(str(tmp_path)), "7", "json"))["mappings"]
    assert row["inode"] == (1 << 64) - 1
    assert row["offset_bytes"] == 0xFFFF_FFFF_FFFF_F000
    assert row["end"] == "0xffffffffff600000"
    assert row["rss_bytes"] is None
    assert row["vm_flags"] is None


def test_maps_has_every_line_of_smaps_that_is_there(tmp_path: Path) -> None:
    process = tmp_path / "proc/7"
    process.mkdir(parents=True)
    (process / "stat").write_text("7 (x) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n")
    (process / "smaps").write_text(
        "1000-3000 rw-p 0 0:0 0\nSize: 8 kB\nRss: 18446744073709551612 kB\nHugePFNMap: 4 kB\n"
        "ksm_zero_pages: 3\nName: [anon:x]\n"
        "3000-4000 rw-p 0 0:0 0\nSize: 4 kB\nRss: 4 kB\n"
    )
    files = LiveFiles(str(tmp_path))
    found = document(maps(files, "7", "json"))
    more = ("kernel_size_bytes", "rss_bytes", "huge_pfn_map_bytes", "ksm_zero_pages", "name")
    assert [[row[key] for key in more] for row in found["mappings"]] == [
        [8192, None, 4096, 3, "[anon:x]"],
        [4096, 4096, None, None, None],
    ]
    assert (found["totals"]["rss_bytes"], found["gaps"]) == (4096, [])
    head, first, second = "".join(maps(files, "7", "csv")).splitlines()
    assert head.split(",")[-4:] == [*more[:1], *more[2:]]
    assert first.split(",")[-4:] == ["8192", "4096", "3", "[anon:x]"]
    assert second.split(",")[-4:] == ["4096", "", "", ""]


def test_a_mapping_out_of_order_is_told(tmp_path: Path) -> None:
    process = tmp_path / "proc/7"
    process.mkdir(parents=True)
    (process / "stat").write_text("7 (x) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n")
    (process / "maps").write_text(
        "1000-2000 r--p 0 0:0 0\n5000-6000 r--p 0 0:0 0\n3000-4000 r--p 0 0:0 0\n"
        "6000-7000 r--p 0 0:0 0\n"
    )
    found = document(maps(LiveFiles(str(tmp_path)), "7", "json"))
    assert [row["start"] for row in found["mappings"]] == ["0x1000", "0x5000", "0x6000"]
    assert found["gaps"] == ["proc/7/smaps: absent", "proc/7/maps: 1 out of order left out"]


def test_maps_without_smaps_has_no_usage_and_says_so(host: Host) -> None:
    found = document(maps(host("debian-6.18"), "529", "json"))
    assert found["gaps"] == ["proc/529/smaps: absent"]
    assert found["totals"]["size_bytes"] > 0
    assert {found["totals"][key] for key in USAGE} == {None}
    assert "proc/529/smaps: absent" in text(maps(host("debian-6.18"), "529", "text"))


def test_kernel_threads_and_zombies_have_no_map_for_a_reason(host: Host) -> None:
    for name, pid, reason in (
        ("debian-6.18", "2", "kernel thread"),
        ("hostile", "1000008", "zombie"),
    ):
        found = document(maps(host(name), pid, "json"))
        assert found["mappings"] == []
        assert found["by_kind"] == {}
        assert reason in found["gaps"][0]
        assert reason in text(maps(host(name), pid, "text"))


def test_a_live_zombie_has_no_map() -> None:
    with subprocess.Popen(["true"]) as child:
        wait_until(lambda: state(child.pid) == "Z", "a zombie")
        assert "zombie" in document(maps(LIVE, str(child.pid), "json"))["gaps"][0]


def test_a_name_that_fits_several_lists_them(host: Host) -> None:
    with pytest.raises(Failure, match=r"'nginx' fits 3 processes.*423 nginx.*425 nginx") as failure:
        document(maps(host("debian-6.18"), "nginx", "json"))
    assert failure.value.status == 1
    assert document(maps(host("debian-6.18"), "redis", "json"))["pid"] == 472


# procs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTS)
def test_procs_of_every_host(name: str) -> None:
    files = open_host(name)
    found = document(procs(files, "json"))
    assert sorted(row["pid"] for row in found) == sorted(files.pids())
    for row in found:
        assert list(row) == PROCESS
        parts = [row[f"rss_{part}_bytes"] for part in ("anon", "file", "shmem")]
        if None not in parts:
            assert sum(parts) == row["rss_bytes"]
    sizes = [row["rss_bytes"] for row in found]
    assert sizes == sorted(sizes, reverse=True)
    shown = text(procs(files, "text")).splitlines()
    assert shown[0].split()[:3] == ["PID", "USER", "RSS"]
    end = shown.index("") if "" in shown else len(shown)
    by_pid = {line.split()[0]: line for line in shown[1:end]}
    for row in found:
        if row["rss_bytes"]:
            assert by_pid[str(row["pid"])].split()[1] == row["user"]


def test_procs_of_an_old_kernel_has_null_not_zero(host: Host) -> None:
    for row in document(procs(host("linux-3.2"), "json")):
        assert row["rss_anon_bytes"] is None
        if row["pss_bytes"] is not None:  # of smaps, as it has no smaps_rollup
            assert 0 < row["uss_bytes"] <= row["pss_bytes"] <= row["rss_bytes"]
        assert row["rss_bytes"] is not None


def test_procs_knows_the_memory_cgroup_of_a_hybrid_host(host: Host) -> None:
    groups = {row["pid"]: row["cgroup"] for row in document(procs(host("container"), "json"))}
    for pid, group in groups.items():
        lines = host("container").read(f"proc/{pid}/cgroup")
        assert isinstance(lines, bytes)
        own = [line.split(b":", 2) for line in lines.splitlines()]
        (memory,) = [path for _, names, path in own if b"memory" in names.split(b",")]
        assert group == memory.decode()


def test_procs_agrees_with_ps(stopped_pid: int) -> None:
    def compare() -> None:
        done = subprocess.run(
            ["ps", "-o", "euser:40=,rss=,min_flt=,maj_flt=,comm=", "-p", str(stopped_pid)],
            capture_output=True,
            text=True,
            check=True,
        )
        user, rss, minor, major, name = done.stdout.split()
        (row,) = [row for row in document(procs(LIVE, "json")) if row["pid"] == stopped_pid]
        assert (row["user"], row["name"]) == (user, name)
        assert (row["minor_faults"], row["major_faults"]) == (int(minor), int(major))
        # ps reads the kernel's quick estimate of RSS, which lags by some pages a CPU.
        assert abs(row["rss_bytes"] - int(rss) * 1024) <= 2 << 20
        assert 0 < row["uss_bytes"] <= row["pss_bytes"] <= row["rss_bytes"]

    until_alike(compare)


def test_procs_agrees_with_smem(tmp_path: Path) -> None:
    if not shutil.which("smem"):
        pytest.skip("smem is not installed")
    # It shares nothing with anyone: what others share comes and goes, and smem itself shares.
    with mapped(compiled("mapped", tmp_path, "-static"), tmp_path) as program:

        def compare() -> None:
            # It fails where one of all processes goes while it looks.
            done = subprocess.run(
                ["smem", "-H", "-c", "pid uss pss rss"], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            (ours,) = (row for row in document(procs(LIVE, "json")) if row["pid"] == program.pid)
            rows = map(str.split, done.stdout.splitlines())
            (theirs,) = (row for row in rows if row[0] == str(program.pid))
            uss_bytes, pss_bytes, rss_bytes = (int(each) * 1024 for each in theirs[1:])
            assert (uss_bytes, pss_bytes) == (ours["uss_bytes"], ours["pss_bytes"])
            assert uss_bytes > 1 << 20
            assert rss_bytes == ours["rss_bytes"]

        until_alike(compare)


def test_names_line_up_in_cells() -> None:
    composed, decomposed = "한글", "\u1112\u1161\u11ab\u1100\u1173\u11af"
    lines = "".join(
        table(
            [
                TextColumn("N", "<", [composed, decomposed, "ab"]),
                TextColumn("V", ">", ["1", "22", "333"]),
            ]
        )
    ).splitlines()
    assert {units.width(line) for line in lines} == {4 + 2 + 3}
    assert lines[1:] == [f"{composed}    1", f"{decomposed}   22", "ab    333"]


# sample --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTS)
def test_sample_of_every_process_of_every_host(name: str) -> None:
    files = open_host(name)
    for pid in pids(files):
        found = document(sample(files, pid, True))
        assert found == document(sample(files, pid, False))
        process = found["process"]
        assert list(process) == ["pid", "stat", "statm", "status", "smaps_rollup", "cgroups"]
        assert process["stat"]["pid"] == int(pid)
        missing = {gap["source"] for gap in found["gaps"]}
        for key, value in process.items():
            # Null is always explained.
            source = "cgroup" if key == "cgroups" else key
            assert (value is None) == (f"proc/{pid}/{source}" in missing)


def test_sample_is_the_kernels_own_keys(host: Host) -> None:
    files = host("debian-6.18")
    found = document(sample(files, "422", True))
    assert list(found) == [
        *("meminfo", "vmstat", "pressure", "swaps", "zoneinfo", "process", "gaps")
    ]
    raw = files.read("proc/meminfo")
    assert isinstance(raw, bytes)
    for line in raw.decode().splitlines():
        key, value, *unit = line.split()
        assert found["meminfo"][key[:-1]] == int(value) * (1024 if unit else 1)
    assert list(found["pressure"]) == ["memory", "io", "cpu", "irq"]
    assert list(found["pressure"]["memory"]["some"]) == ["avg10", "avg60", "avg300", "total"]
    assert list(found["swaps"][0]) == ["Filename", "Type", "Size", "Used", "Priority"]
    assert {"node", "zone", "free", "min", "low", "high", "managed"} <= set(found["zoneinfo"][0])
    assert found["process"]["stat"]["comm"] == "cron"
    assert found["process"]["status"]["Name"] == "cron"
    assert found["process"]["statm"]["size_pages"] > found["process"]["statm"]["resident_pages"]
    assert document(sample(files, None, True))["process"] is None


def test_what_a_sample_lacks_is_among_its_gaps(host: Host) -> None:
    found = document(sample(host("no-psi"), None, True))
    assert found["pressure"] == dict.fromkeys(("memory", "io", "cpu", "irq"))
    assert {"source": "proc/pressure/memory", "reason": "absent"} in found["gaps"]


def test_one_malformed_file_costs_its_own_source_alone(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: x kB\n")
    (tmp_path / "proc/vmstat").write_text("nr_free_pages 18446744073709551617\n")
    found = document(sample(LiveFiles(str(tmp_path)), None, True))
    assert found["meminfo"] is None
    assert found["vmstat"] == {"nr_free_pages": None}
    (reason,) = [gap["reason"] for gap in found["gaps"] if gap["source"] == "proc/meminfo"]
    assert reason == "malformed: 'MemTotal: x kB'"
