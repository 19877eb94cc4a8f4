"""The kernel's log: its records, and the lines that they are pieces of."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.deaths import deaths
from memtui.kernel.files import Gap, Malformed
from memtui.kernel.kmsg import (
    KernelLog,
    LogPart,
    LogRecord,
    WholeLines,
    parse_kmsg,
    parse_kmsg_record,
    read_log,
)
from memtui.kernel.livefiles import LiveFiles
from tests.logs import needs_log, only_kill, pieces, said

# Records.


def test_a_record() -> None:
    data = rb"30,339,5140900,-,caller=T1;NET: a \x5cx41 \x0a; b" + b"\n SUBSYSTEM=net\n DEVICE=n2\n"
    assert parse_kmsg_record(data) == LogRecord(
        3, 6, 339, 5140900, "-", b"NET: a \\x41 \n; b", {"SUBSYSTEM": "net", "DEVICE": "n2"}, "T1"
    )


@pytest.mark.parametrize("data", [b"", b"\n", b"6,1,2,-", b"6,1;x", b"a,1,2,-;x", b"6,1,-2,-;x"])
def test_what_is_no_record(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_kmsg_record(data)


@given(st.binary())
def test_any_bytes_are_a_record_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        parse_kmsg_record(data)
    parse_kmsg(data)
    deaths(said(data))


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_any_messages_are_deaths_or_not(messages: list[bytes]) -> None:
    deaths(said(*messages))


@given(
    st.binary(min_size=1, max_size=15),
    st.integers(1, 1 << 22),
    st.text(max_size=40).map(lambda text: "/" + text.replace("/", "")),
)
def test_no_name_hides_a_kill(name: bytes, pid: int, group: str) -> None:
    """Names of programs and of groups are whatever their owners like."""
    path = group.encode("utf-8", "surrogateescape")
    kill = only_kill(
        b"%b invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0" % name,
        b"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
        b"oom_memcg=%b,task_memcg=%b/in,task=%b,pid=%d,uid=7" % (path, path, name, pid),
        b"Memory cgroup out of memory: Killed process %d (%b) total-vm:8kB, anon-rss:4kB, "
        b"file-rss:1kB, shmem-rss:0kB, UID:7 pgtables:0kB oom_score_adj:-5" % (pid, name),
    )
    assert (kill.pid, kill.name.encode("utf-8", "surrogateescape")) == (pid, name)
    assert (kill.uid, kill.oom_score_adj, kill.constraint) == (7, -5, "CONSTRAINT_MEMCG")
    if ",task_memcg=" not in group:
        assert (kill.oom_group, kill.task_group) == (group, group + "/in")


def test_a_saved_log_is_read_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kmsg").write_bytes(b"6,1,10,-;one\n KEY=value\n\x00rubbish\n4,2,20,-;two\n")
    found = read_log(LiveFiles(str(tmp_path)))
    assert isinstance(found, LogPart)
    assert [record.message for record in found.records] == [b"one", b"two"]


def test_no_log_and_what_is_none(tmp_path: Path) -> None:
    files = LiveFiles(str(tmp_path))
    absent = read_log(files)
    assert isinstance(absent, Gap) and absent.reason == "absent" and "no log" in absent.detail
    (tmp_path / "dev").mkdir()
    os.mkfifo(tmp_path / "dev/kmsg")
    assert isinstance(read_log(files), Gap)


@pytest.mark.xdist_group("machine")
def test_the_real_log_goes_on_where_it_ended() -> None:
    needs_log()
    log = KernelLog(LiveFiles(), only_new=True)
    whole = read_log(LiveFiles())
    assert isinstance(whole, LogPart) and whole.records
    sequences = [record.sequence for record in whole.records]
    assert sequences == sorted(set(sequences))
    mark = f"memtui test {os.getpid()}"
    with open("/dev/kmsg", "w") as kmsg:
        kmsg.write(f"Out of memory: Killed process 1 (x) {mark}\n")
    new = log.read()
    assert isinstance(new, LogPart)
    (written,) = (record for record in new.records if mark.encode() in record.message)
    # What a program writes is never taken for the kernel's word.
    assert written.facility != 0
    again = log.read()
    assert isinstance(again, LogPart)
    assert not any(mark.encode() in record.message for record in again.records)
    log.close()
    assert isinstance(log.read(), Gap)


def test_a_log_that_is_closed_says_who_may() -> None:
    needs_log()
    if Path("/proc/sys/kernel/dmesg_restrict").read_text() != "1\n":
        pytest.skip("kernel.dmesg_restrict is 0 here")
    answer, said_by_child = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            os.write(said_by_child, str(read_log(LiveFiles())).encode())
        finally:
            os._exit(0)
    os.close(said_by_child)
    os.waitpid(child, 0)
    with open(answer) as pipe:
        assert pipe.read().startswith("dev/kmsg: denied (kernel.dmesg_restrict is 1: root")


@pytest.mark.parametrize(
    ("records", "lines"),
    [
        (["-;a", "c;b", "c;c", "-;d"], [b"abc", b"d"]),
        # Before 4.10: c is the first piece.
        (["-;a", "c;b", "+;c", "+;d", "-;e"], [b"a", b"bcd", b"e"]),
        # Where the kernel says who speaks, another may speak between.
        (["-,caller=T7;a", "-,caller=C0;x", "c,caller=T7;b"], [b"ab", b"x"]),
        (["c;a", "-;b"], [b"a", b"b"]),  # its beginning is lost
    ],
)
def test_pieces_of_a_line_are_one(records: list[str], lines: list[bytes]) -> None:
    assert [each.message for each in pieces(*records)] == lines


def test_a_program_never_has_its_words_continued_by_the_kernel() -> None:
    written = LogRecord(1, 4, 1, 1, "-", b"oom-kill:", {})
    said_by_kernel = LogRecord(0, 4, 2, 2, "c", b"constraint=", {})
    lines = WholeLines().of([written, said_by_kernel])
    assert [each.message for each in lines] == [b"oom-kill:", b"constraint="]


def test_a_line_cut_by_the_end_of_a_reading_comes_whole(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    saved = tmp_path / "dev/kmsg"
    saved.write_bytes(b"4,1,10,-;oom-\n")
    log = KernelLog(LiveFiles(str(tmp_path)))
    first = log.read()
    with saved.open("ab") as file:
        file.write(b"4,2,20,c;kill\n4,3,30,-;next\n")
    second = log.read()
    log.close()
    assert isinstance(first, LogPart) and isinstance(second, LogPart)
    assert [each.message for each in first.records] == [b"oom-"]
    assert [(each.time_us, each.message) for each in second.records] == [
        (10, b"oom-kill"),
        (30, b"next"),
    ]
