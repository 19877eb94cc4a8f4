from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.cgroups import Membership, memory_cgroup, parse_cgroup
from memtui.kernel.files import Gap, Malformed
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.process import (
    Stat,
    Statm,
    parse_cmdline,
    parse_int,
    parse_stat,
    parse_statm,
    parse_status,
    status_bytes,
    status_sizes,
)
from tests.conftest import HOSTS, open_host
from tests.oracles import until_alike

PAGE_SIZES = {"arm64-64k": 65536}
PROCESSES = [(name, pid) for name in HOSTS for pid in sorted(open_host(name).pids())]


def stat_of(host: str, pid: int) -> Stat:
    stat = open_host(host).parsed(f"proc/{pid}/stat", parse_stat)
    assert not isinstance(stat, Gap)
    return stat


def statm_of(host: str, pid: int) -> Statm:
    statm = open_host(host).parsed(f"proc/{pid}/statm", parse_statm)
    assert not isinstance(statm, Gap)
    return statm


def status_of(host: str, pid: int) -> dict[str, int | str]:
    status = open_host(host).parsed(f"proc/{pid}/status", parse_status)
    assert not isinstance(status, Gap)
    return status


@pytest.mark.parametrize(
    ("data", "pid", "comm", "state", "ppid"),
    [
        (b"7 (cat) R 1 2 3", 7, "cat", "R", 1),
        (b"7 (a) S (b) R 1 2", 7, "a) S (b", "R", 1),
        (b"7 (two\nlines) S 1", 7, "two\nlines", "S", 1),
        (b"4194303 () S 0", 4194303, "", "S", 0),
        (b"7 ((((() Z 1", 7, "((((", "Z", 1),
        (b"7 (\xff) D 1", 7, "\udcff", "D", 1),
        (b"7 (blank ) R 1\n", 7, "blank ", "R", 1),
    ],
)
def test_the_last_parenthesis_ends_the_name(
    data: bytes, pid: int, comm: str, state: str, ppid: int
) -> None:
    stat = parse_stat(data)
    assert (stat.pid, stat.comm, stat.state, stat.ppid) == (pid, comm, state, ppid)


def test_fields_of_old_and_new_kernels() -> None:
    old, middle, new = (
        parse_stat(b"1 (x) S " + b" ".join(b"%d" % n for n in range(4, last + 1)))
        for last in (42, 44, 60)
    )
    # Numbered as in proc(5): ppid is field 4, starttime 22, rss 24, guest_time 43, exit_code 52.
    assert (old.ppid, old.starttime, old.rss, old.delayacct_blkio_ticks) == (4, 22, 24, 42)
    assert (old.guest_time, old.exit_code) == (None, None)
    assert (middle.cguest_time, middle.start_data) == (44, None)
    assert (new.exit_code, new.extra) == (52, (53, 54, 55, 56, 57, 58, 59, 60))
    assert stat_of("linux-2.6.18-vendor", 1812).guest_time is None
    assert stat_of("linux-3.2", 1922).exit_code is None


@pytest.mark.parametrize(
    "data", [b"", b"7", b"7 (x", b"7 (x)", b"7 (x) ", b"x (x) S 1", b"7 (x) S y", b") ("]
)
def test_stat_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_stat(data)


def test_statm_below_zero_says_nothing() -> None:
    assert parse_statm(b"10 5 18446744073709551615 1 0 2 0\n").shared_pages is None
    assert statm_of("hostile", 1000015).shared_pages is None
    assert parse_statm(b"0 0 0 0 0 0 0\n").shared_pages == 0


@pytest.mark.parametrize("data", [b"", b"1 2 3", b"1 2 3 4 5 6 7 8", b"1 2 3 4 5 6 x"])
def test_statm_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_statm(data)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        (b"VmRSS:\t    2064 kB", "VmRSS", 2064 * 1024),
        (b"HugetlbPages:\t   49152 kB", "HugetlbPages", 49152 * 1024),
        (b"Threads:\t9", "Threads", 9),
        (b"SigQ:\t0/96365", "SigQ", "0/96365"),
        # A mask of decimal digits is still a mask.
        (b"SigIgn:\t0000000000001000", "SigIgn", "0000000000001000"),
        (b"Groups:\t ", "Groups", ""),
        (b"Uid:\t0\t0\t0\t0", "Uid", "0\t0\t0\t0"),
        (b"State:\tZ (zombie)", "State", "Z (zombie)"),
        (b"Name:\ta\\nb ", "Name", "a\\nb "),
        (b"Odd:\t\xff", "Odd", "\udcff"),
    ],
)
def test_status_line(line: bytes, key: str, value: int | str) -> None:
    assert parse_status(b"Name:\tx\n" + line + b"\n")[key] == value


@pytest.mark.parametrize(
    "data", [b"", b"VmRSS:\t1 kB\n", b"Name:\tx\nVmRSS:\t1 MB\n", b"Name:\tx\nRssAnon:\n"]
)
def test_status_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_status(data)


def test_missing_is_missing_not_zero() -> None:
    assert "RssAnon" not in status_of("linux-3.2", 1922)
    assert "VmSwap" not in status_of("linux-2.6.18-vendor", 1812)
    assert status_of("no-psi", 812)["RssShmem"] == 2048 * 1024
    assert "VmRSS" not in status_of("debian-6.18", 45)  # kswapd0
    assert "VmRSS" not in status_of("hostile", 1000008)  # a zombie


@pytest.mark.parametrize(("host", "pid"), PROCESSES)
def test_sizes_are_those_that_a_search_for_each_finds(host: str, pid: int) -> None:
    status = open_host(host).read(f"proc/{pid}/status")
    assert not isinstance(status, Gap)
    keys = b"VmHWM VmRSS RssAnon RssFile RssShmem VmPTE VmSwap HugetlbPages".split()
    assert status_sizes(status) == tuple(status_bytes(status, key) for key in keys)


def test_names_that_lie() -> None:
    assert stat_of("hostile", 1000003).comm == "a) S (b\n7 (c) R"
    assert stat_of("hostile", 1000003).ppid == 1
    assert status_of("hostile", 1000003)["Name"] == "a) S (b\\n7 (c) R"
    assert stat_of("hostile", 1000005).comm == "\udcff\udcfe\udc80bad\\n"
    assert stat_of("hostile", 1000006).comm == "한글처리"
    assert stat_of("hostile", 1000016).comm == status_of("hostile", 1000016)["Name"] == "  blank  "
    # Cut after 15 bytes, in the middle of a character.
    assert stat_of("hostile", 1000014).comm == "é" * 7 + "\udcc3"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ""),
        (b"/bin/cat\0-n\0", "/bin/cat -n"),
        (b"init [2]  \0\0\0", "init [2]  "),
        (b"postgres: checkpointer", "postgres: checkpointer"),
        (b"a\0\0b\0", "a  b"),
        (b"\xff\0", "\udcff"),
        (b"two\nlines\0\x1b[31m\0", "two\nlines \x1b[31m"),
    ],
)
def test_cmdline(data: bytes, expected: str) -> None:
    assert parse_cmdline(data) == expected


@pytest.mark.parametrize("data", [b"", b"x", b"1 2", b"0x10"])
def test_one_number_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_int(data)
    assert parse_int(b"-1000\n") == -1000


def test_only_kernel_threads_are_kernel_threads() -> None:
    found = {
        stat.comm
        for stat in (stat_of("debian-6.18", pid) for pid in (2, 38, 45))
        if stat.is_kernel_thread
    }
    assert found == {"kthreadd", "khugepaged", "kswapd0"}
    assert not stat_of("hostile", 1000008).is_kernel_thread  # a zombie: empty maps as well
    assert not stat_of("debian-6.18", 874).is_kernel_thread
    assert not parse_stat(b"1 (x) S").is_kernel_thread


@pytest.mark.parametrize(("host", "pid"), PROCESSES)
def test_the_three_files_agree(host: str, pid: int) -> None:
    stat, statm, status = stat_of(host, pid), statm_of(host, pid), status_of(host, pid)
    page = PAGE_SIZES.get(host, 4096)
    assert stat.pid == status["Pid"] == pid
    assert stat.comm.replace("\\", "\\\\").replace("\n", "\\n") == status["Name"]
    assert stat.ppid == status["PPid"]
    assert stat.num_threads == status["Threads"]
    assert statm.size_pages is not None and statm.resident_pages is not None
    assert statm.size_pages * page == status.get("VmSize", 0)
    rss = status.get("VmRSS", 0)
    assert isinstance(rss, int)
    assert statm.resident_pages * page == rss
    # stat does not add up what each CPU still holds: up to 32 pages of each of three counters.
    assert abs((stat.rss or 0) * page - rss) <= 2 * 3 * 32 * page
    if "RssAnon" in status:
        parts = [status[key] for key in ("RssAnon", "RssFile", "RssShmem")]
        assert sum(part for part in parts if isinstance(part, int)) == rss
    assert stat.is_kernel_thread == ("VmSize" not in status and stat.state != "Z")


def test_a_stopped_childs_statm_is_its_status(stopped_pid: int) -> None:
    files, page = LiveFiles(), os.sysconf("SC_PAGE_SIZE")

    def files_agree() -> None:
        statm = files.parsed(f"proc/{stopped_pid}/statm", parse_statm)
        status = files.parsed(f"proc/{stopped_pid}/status", parse_status)
        stat = files.parsed(f"proc/{stopped_pid}/stat", parse_stat)
        assert isinstance(statm, Statm) and isinstance(status, dict) and isinstance(stat, Stat)
        assert (stat.state, stat.num_threads, stat.ppid) == ("T", 4, os.getpid())
        assert statm.size_pages is not None and statm.resident_pages is not None
        assert statm.size_pages * page == status["VmSize"] == stat.vsize
        assert statm.resident_pages * page == status["VmRSS"]
        assert statm.shared_pages is not None
        shared = sum(int(status[key]) for key in ("RssFile", "RssShmem"))
        assert statm.shared_pages * page == shared
        assert (statm.resident_pages - statm.shared_pages) * page == status["RssAnon"]

    until_alike(files_agree)


def test_a_name_of_any_bytes_survives_a_live_kernel() -> None:
    comm = Path("/proc/self/comm")
    before = comm.read_bytes()
    try:
        comm.write_bytes(b"x) R (\n\xff y")
        stat = LiveFiles().parsed("proc/self/stat", parse_stat)
        status = LiveFiles().parsed("proc/self/status", parse_status)
    finally:
        comm.write_bytes(before.rstrip(b"\n"))
    assert isinstance(stat, Stat) and isinstance(status, dict)
    assert (stat.comm, stat.pid) == ("x) R (\n\udcff y", os.getpid())
    assert status["Name"] == "x) R (\\n\udcff y"


@pytest.mark.parametrize(
    ("line", "controllers", "path"),
    [
        (b"0::/user.slice", (), "/user.slice"),
        (b"4:memory:/a:b::c", ("memory",), "/a:b::c"),
        (b"3:cpu,cpuacct:/", ("cpu", "cpuacct"), "/"),
        (
            b"1:name=systemd:/dev-disk-by\\x2did@1.swap",
            ("name=systemd",),
            "/dev-disk-by\\x2did@1.swap",
        ),
        (b"0::/gone (deleted)", (), "/gone (deleted)"),
        (b"0::/\xff", (), "/\udcff"),
    ],
)
def test_cgroup_line(line: bytes, controllers: tuple[str, ...], path: str) -> None:
    number = int(line.partition(b":")[0])
    assert parse_cgroup(line + b"\n") == [Membership(number, controllers, path)]


@pytest.mark.parametrize("data", [b"x", b"1:memory", b"x:memory:/", b":::"])
def test_cgroup_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_cgroup(data)


@pytest.mark.parametrize(
    ("host", "pid", "path"),
    [
        ("debian-6.18", 512, "/system.slice/postgresql@15-main.service"),
        ("container", 418, "/lxc/114/ns/system.slice/shop:web@1.service"),  # not `0::/`
        ("arm64-64k", 45110, "/user.slice/user-1000.slice/session-2.scope"),
        ("hostile", 1000003, "/system.slice/with:colons::1.service"),
        ("hostile", 1000001, "/user.slice/esc\x1b[31m"),
    ],
)
def test_the_group_that_memory_is_charged_to(host: str, pid: int, path: str) -> None:
    memberships = open_host(host).parsed(f"proc/{pid}/cgroup", parse_cgroup)
    assert not isinstance(memberships, Gap)
    assert memory_cgroup(memberships) == path


def test_no_group() -> None:
    assert memory_cgroup(parse_cgroup(b"")) is None
    assert memory_cgroup(parse_cgroup(b"3:cpu,cpuacct:/x\n")) is None


@given(
    st.binary(),
    st.sampled_from([b"", b"7 (x) S ", b"Name:\tx\nVmRSS:", b"4:memory:", b"1 2 3 4 5 6 "]),
)
def test_any_bytes_give_a_value_or_malformed(data: bytes, prefix: bytes) -> None:
    assert isinstance(parse_cmdline(prefix + data), str)
    for parse in (parse_stat, parse_statm, parse_status, parse_int, parse_cgroup):
        try:
            assert parse(prefix + data) is not None
        except Malformed as error:
            assert str(error)


@given(st.binary(max_size=15).filter(lambda comm: b"\0" not in comm), st.integers(1, 1 << 22))
def test_any_name_comes_back_whole(comm: bytes, pid: int) -> None:
    stat = parse_stat(b"%d (%s) S 1 2 3\n" % (pid, comm))
    assert (stat.pid, os.fsencode(stat.comm), stat.ppid) == (pid, comm, 1)
