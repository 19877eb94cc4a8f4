"""What is read of a process beyond its size: against ps, the kernel's lines, and real processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.details import (
    DETAIL_FILES,
    Details,
    Limit,
    Shares,
    memory_path,
    parse_limits,
    read_shares,
    shares_of,
)
from memtui.kernel.files import Gap, Malformed
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import parse_smaps_rollup
from memtui.kernel.process import status_bytes, status_name, status_sizes
from memtui.live.looker import INTERVAL_S, ShareReader
from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.live.source import LiveSource
from memtui.model.keys import ProcessKey
from memtui.model.sample import Sample
from tests.conftest import open_host
from tests.interface import keep
from tests.oracles import until_alike
from tests.programs import key_of
from tests.recorded import Recorded
from tests.terminal import state, wait_until

LIVE = LiveFiles()
WHOLE = Plan(details=DETAIL_FILES, every_detail=True)


@pytest.fixture
def stopped() -> Iterator[int]:
    """A process that no longer changes."""
    with subprocess.Popen(
        [sys.executable, "-c", "x = bytearray(9 << 20); print(1, flush=True); input()", "a  b"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        os.kill(process.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: state(process.pid) == "T", "stopped")
            yield process.pid
        finally:
            process.kill()


def details_of(pid: int) -> Details:
    sampler = Sampler(LIVE)
    key = next(key for key in sampler.sample().processes if key.pid == pid)
    found = sampler.sample(1.0, watching(key))
    sampler.close()
    return found.details[key]


def watching(key: ProcessKey) -> Plan:
    """All of it each time. Of a thousand processes the others come in turn."""
    return WHOLE._replace(visible=frozenset({key}))


def test_details_agree_with_ps_and_status(stopped: int) -> None:
    if not shutil.which("ps"):
        pytest.skip("ps (procps) is not installed")
    until_alike(lambda: details_agree(stopped))


def details_agree(stopped: int) -> None:
    details = details_of(stopped)
    line = subprocess.run(
        ["ps", "-ww", "-o", "rss=,min_flt=,maj_flt=,args=", "-p", str(stopped)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split(None, 3)
    rss = sum(
        part or 0
        for part in (details.rss_anon_bytes, details.rss_file_bytes, details.rss_shmem_bytes)
    )
    assert rss == int(line[0]) * 1024
    assert (details.minor_faults, details.major_faults) == (int(line[1]), int(line[2]))
    assert details.command == line[3].rstrip("\n")
    status = Path(f"/proc/{stopped}/status").read_bytes()
    assert details.page_tables_bytes == status_bytes(status, b"VmPTE") != 0
    assert details.peak_rss_bytes == status_bytes(status, b"VmHWM")
    assert details.oom_score_adj == int(Path(f"/proc/{stopped}/oom_score_adj").read_text())
    assert details.cgroup is not None
    assert f":{details.cgroup}\n" in Path(f"/proc/{stopped}/cgroup").read_text()


def test_nothing_is_read_that_nobody_wants(stopped: int) -> None:
    sampler = Sampler(LIVE)
    try:
        assert not sampler.sample().details
        seen = sampler.sample(1.0, Plan())
        assert not seen.details
        key = next(key for key in seen.processes if key.pid == stopped)
        one = sampler.sample(1.0, Plan(frozenset({key}), details=frozenset({"cmdline"})))
        assert set(one.details) == {key}
        details = one.details[key]
        assert details.command is not None
        assert details.oom_score_adj is None
        assert details.cgroup is None
        assert not sampler.sample(1.0, Plan(frozenset({key}))).details
    finally:
        sampler.close()


def test_an_old_kernel_has_no_parts_and_not_zero() -> None:
    sampler = Sampler(open_host("linux-3.2"))
    sampler.sample()
    found = sampler.sample(1.0, WHOLE)
    assert found.details
    for details in found.details.values():
        assert details.rss_anon_bytes is None
        assert details.rss_shmem_bytes is None


def test_a_kernel_thread_and_a_zombie_have_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        details = details_of(ended.pid)
        assert details.page_tables_bytes is None
        assert details.command == ""
    sampler = Sampler(LIVE)
    threads = [each for each in sampler.sample().processes.values() if each.is_kernel_thread]
    sampler.close()
    if not threads:
        pytest.skip("no kernel threads are seen here")
    oldest = min(threads, key=lambda each: each.pid)  # those that work come and go
    assert details_of(oldest.pid).rss_anon_bytes is None


def test_an_exec_is_seen_in_the_command() -> None:
    words = [sys.executable, "-c", "import os; input(); os.execvp('sleep', ['sleep', '60'])"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.stdin
        sampler = Sampler(LIVE)
        try:
            key = next(key for key in sampler.sample().processes if key.pid == process.pid)
            before = sampler.sample(1.0, watching(key))
            assert "execvp" in (before.details[key].command or "")
            process.stdin.write(b"\n")
            process.stdin.close()
            wait_until(
                lambda: sampler.sample(1.0, watching(key)).details[key].command == "sleep 60",
                "the new command",
            )
        finally:
            sampler.close()
            process.kill()


def test_processes_that_live_five_milliseconds() -> None:
    script = "for i in $(seq 60); do sleep 0.005 & done; wait"
    sampler = Sampler(LIVE)
    sampler.sample()
    with subprocess.Popen(["sh", "-c", script]) as storm:
        while storm.poll() is None:
            found = sampler.sample(0.01, WHOLE)
            assert set(found.details) <= set(found.processes)
    sampler.close()


# limits


def test_limits_as_the_kernel_writes_them() -> None:
    limits = parse_limits(Path("/proc/self/limits").read_bytes())
    soft, hard = os.popen("sh -c 'ulimit -S -s; ulimit -H -s'").read().split()
    kib = {"unlimited": None}
    assert limits["Max stack size"] == Limit(
        kib.get(soft, 0) if soft in kib else int(soft) * 1024,
        kib.get(hard, 0) if hard in kib else int(hard) * 1024,
        "bytes",
    )
    assert limits["Max nice priority"].unit == ""
    assert len(limits) >= 16


@given(st.binary(max_size=300))
def test_any_bytes_are_limits_or_malformed(data: bytes) -> None:
    for text in (data, b"Limit   \n" + data):
        with contextlib.suppress(Malformed):
            parse_limits(text)


@given(st.binary(max_size=200))
def test_any_status_has_a_name_or_none(data: bytes) -> None:
    for status in (data, b"Name:\t" + data):
        name = status_name(status)
        assert name is None or "\n" not in name
        value = status_bytes(status, b"VmRSS")
        assert value is None or value >= 0


def test_a_name_with_an_escape_is_left_to_stat() -> None:
    assert status_name(b"Name:\ta b \nState:\tS\n") == "a b "
    assert status_name(b"Name:\ta\\nb\nState:\tS\n") is None


def test_cgroup_names_with_colons_and_escapes() -> None:
    assert memory_path(b"4:memory:/a:b\\x2dc d\n0::/x\n") == "/a:b\\x2dc d"
    assert memory_path(b"0::/a:b\n") == "/a:b"


# PSS and USS


def test_shares_are_the_sums_of_smaps(stopped: int) -> None:
    """What is private moves as others of the same files begin and end."""
    until_alike(lambda: private_is_summed(stopped))


def private_is_summed(stopped: int) -> None:
    shares = read_shares(LIVE, stopped, 5.0)
    assert isinstance(shares, Shares)
    smaps = Path(f"/proc/{stopped}/smaps").read_text()
    private = 0
    for line in smaps.splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            private += int(line.split()[1]) * 1024
    assert shares.uss_bytes == private
    assert shares.time_s == 5.0
    assert shares.pss_bytes is not None
    assert private <= shares.pss_bytes <= private + (64 << 20)


def test_hugetlb_pages_are_in_neither_and_in_a_column_of_their_own() -> None:
    rollup = b"""00400000-7ffd8ae2a000 ---p 00000000 00:00 0    [rollup]
Rss:                5000 kB
Pss:                4500 kB
Private_Clean:      1000 kB
Private_Dirty:      3000 kB
Shared_Hugetlb:  2097152 kB
Private_Hugetlb: 4194304 kB
"""
    shares = read_shares(Recorded({"proc/42/smaps_rollup": rollup}), 42, 1.0)
    assert shares == Shares(1.0, 4500 * 1024, 4000 * 1024)
    assert shares_of({"Pss": 1}, 1.0).uss_bytes is None
    status = b"Name:\tdb\nVmRSS:\t    5000 kB\nHugetlbPages:\t 6291456 kB\n"
    assert status_sizes(status).hugetlb == 6 << 30


def test_shares_are_summed_where_a_kernel_has_no_rollup(stopped: int) -> None:
    name = f"proc/{stopped}/"
    stat = LIVE.read(name + "stat")

    def sums_agree() -> None:
        """Who shares its pages comes and goes."""
        rollup = read_shares(LIVE, stopped, 5.0)
        smaps = LIVE.read(name + "smaps")
        shares = read_shares(Recorded({name + "smaps": smaps, name + "stat": stat}), stopped, 5.0)
        assert isinstance(shares, Shares) and isinstance(rollup, Shares)
        assert shares.uss_bytes == rollup.uss_bytes
        assert shares.pss_bytes is not None and rollup.pss_bytes is not None
        # smaps rounds each mapping down.
        assert rollup.pss_bytes - (1 << 20) < shares.pss_bytes <= rollup.pss_bytes

    until_alike(sums_agree)


def test_of_neither_there_is_a_gap(stopped: int) -> None:
    stat = LIVE.read(f"proc/{stopped}/stat")
    gap = read_shares(Recorded({f"proc/{stopped}/stat": stat}), stopped, 5.0)
    assert isinstance(gap, Gap) and gap.reason == "absent"


def test_a_rollup_is_the_same_cut_at_once_or_line_by_line() -> None:
    head = b"00400000-7fff00000000 ---p 00000000 00:00 0    [rollup]\n"
    lines = b"Rss:                  12 kB\nPss:                   5 kB\n"
    assert parse_smaps_rollup(head + lines) == {"Rss": 12 * 1024, "Pss": 5 * 1024}
    odd = b"Pss:7 kB\nCount: 3\n"
    assert parse_smaps_rollup(head + lines + odd) == {"Rss": 12288, "Pss": 7168, "Count": 3}
    with pytest.raises(Malformed):
        parse_smaps_rollup(head + lines + b"nonsense\n")


def test_shares_are_read_in_turn_and_not_again_before_they_are_due(stopped: int) -> None:
    reader = ShareReader(LIVE)
    key, own = key_of(stopped), key_of(os.getpid())
    now = time.monotonic()
    assert reader.next_due({key, own}) == 0.0
    assert reader.next_due(()) is None
    reader.read({key, own}, now)
    reader.read({key, own}, now)  # the second, where the first took all that it may cost at once
    assert set(reader.shares) == {key, own}
    first = reader.shares[key]
    reader.read({key, own}, now + 0.1)
    assert reader.shares[key] is first
    due = reader.next_due({key})
    assert due is not None
    assert due >= now + INTERVAL_S
    reader.read({key}, due)
    assert reader.shares[key] is not first
    assert set(reader.known({own})) == {own}
    assert set(reader.shares) == {own}


def test_another_process_with_the_pid_has_no_shares_here(stopped: int) -> None:
    reader = ShareReader(LIVE)
    key = key_of(stopped)._replace(start_time_ticks=1)
    reader.read({key}, time.monotonic())
    found = reader.shares[key]
    assert isinstance(found, Gap)
    assert found.reason == "gone"


def test_denied_is_a_gap(stopped: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming nobody takes root")
    script = (
        "import os, memtui.kernel.details as d, memtui.kernel.livefiles as f; os.setuid(65534)\n"
        f"print(d.read_shares(f.LiveFiles(), {stopped}, 0.0).reason)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "denied\n", done.stderr


def test_a_source_hands_on_shares_of_what_is_wanted(stopped: int) -> None:
    source = LiveSource(LiveFiles(), 0.1)
    samples: list[Sample] = []
    key = key_of(stopped)
    source.start(keep(samples, Sample))
    try:
        source.look_at(Plan(frozenset({key}), shares=frozenset({key}), details=frozenset()))
        wait_until(
            lambda: samples and key in samples[-1].shares and key in samples[-1].details,
            "its shares and details",
        )
        assert set(samples[-1].shares) == {key}
        source.look_at(Plan())
        wait_until(lambda: not samples[-1].shares, "without shares")
    finally:
        source.stop()
