"""The kernel's log: its records, kills in the spelling of many kernels, and segfaults."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.deaths import Death, DeathReader, OomKill, Poisoned, deaths
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
from memtui.kernel.segfaults import Segfault
from memtui.model.map.addressmap import AddressMap
from memtui.model.oom.causes import why_killed
from memtui.model.oom.obituary import Known, Look, Memories, State, observe
from memtui.model.oom.ranking import OomScope, Ranking
from tests.programs import compiled, look

KIB = 1024


def said(*lines: str | bytes, facility: int = 0) -> list[LogRecord]:
    """Records of these messages, a millisecond apart."""
    return [
        LogRecord(
            facility,
            4,
            number,
            number * 1000,
            "-",
            line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line,
            {},
        )
        for number, line in enumerate(lines, 1)
    ]


def only_kill(*lines: str | bytes) -> OomKill:
    (found,) = deaths(said(*lines))
    assert isinstance(found, OomKill)
    return found


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


def needs_log() -> None:
    try:
        is_log = stat.S_ISCHR(os.stat("/dev/kmsg").st_mode)
    except OSError:
        is_log = False
    if os.geteuid() != 0 or not is_log:
        pytest.skip("needs root and /dev/kmsg")


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


def pieces(*records: str) -> list[LogRecord]:
    """What a log of these records says, line by line."""
    numbered = (f"4,{number},{number}000,{each}" for number, each in enumerate(records, 1))
    return WholeLines().of(parse_kmsg("\n".join(numbered).encode()))


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


# Kills.


def test_a_long_path_of_groups_is_cut_in_the_log() -> None:
    own = "/lxc.payload" + 5 * ("/" + 230 * "x")
    (kill,) = deaths(
        pieces(
            "-;hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
            "-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
            "oom_memcg=/lxc.payload,task_memcg=",
            f"c;{own[:900]}",
            f"c;{own[900:]},task=hog,pid=27856,uid=0",
            "-;" + KILLED.format(27856, "hog"),
        )
    )
    assert isinstance(kill, OomKill)
    assert (kill.oom_group, kill.task_group, kill.invoked_by) == ("/lxc.payload", own, "hog")
    assert kill.constraint == "CONSTRAINT_MEMCG"


INVOKED = "{} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order={}, oom_score_adj=0"
ON_MACHINE = (
    "oom-kill:constraint={},nodemask={},cpuset=/box,mems_allowed=0-1,{}task_memcg=/u,task=a,pid=5,"
    "uid=0"
)
OUT_OF_MEMORY = (
    "Out of memory{}: Killed process 5 (a) total-vm:9000kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB, "
    "UID:0 pgtables:8kB oom_score_adj:0"
)
OLD = (
    "{}: kill process 5 (a) score 9 or a child",
    "Killed process 5 (a) vsz:1kB, anon-rss:2kB, file-rss:3kB",
)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            (
                "sysrq: Manual OOM execution",
                INVOKED.format("kworker/3:1", -1),
                ON_MACHINE.format("CONSTRAINT_NONE", "(null)", "global_oom,"),
                OUT_OF_MEMORY.format(""),
            ),
            "somebody asked for it by hand (SysRq f)",
        ),
        (
            # 3.10: the order is no sign, the line before is.
            (
                "SysRq : Manual OOM execution",
                INVOKED.format("kworker/0:1", 0),
                OUT_OF_MEMORY.format(""),
            ),
            "somebody asked for it by hand (SysRq f)",
        ),
        (
            (
                "SysRq : Manual OOM execution",
                INVOKED.format("java", 0),
                OUT_OF_MEMORY.format(""),
            ),
            "memory had run out as java asked for more",
        ),
        (
            (
                INVOKED.format("dd", 0),
                ON_MACHINE.format("CONSTRAINT_CPUSET", "(null)", "global_oom,"),
                OUT_OF_MEMORY.format(""),
            ),
            "the NUMA nodes that a cpuset allows (node 0-1) had none left as dd asked for more",
        ),
        (
            (
                INVOKED.format("dd", 2),
                ON_MACHINE.format("CONSTRAINT_MEMORY_POLICY", "1", "global_oom,"),
                OUT_OF_MEMORY.format(""),
            ),
            "the NUMA nodes that a memory policy allows (node 1) had none left as dd asked for more",
        ),
        (
            (
                INVOKED.format("a", 0),
                ON_MACHINE.format("CONSTRAINT_NONE", "(null)", ""),
                OUT_OF_MEMORY.format(" (oom_kill_allocating_task)"),
            ),
            "memory had run out, and it was the one that asked (oom_kill_allocating_task)",
        ),
        (
            (OLD[0].format("No available memory (cpuset)"), OLD[1]),
            "the NUMA nodes that a cpuset allows had none left",
        ),
        (
            (OLD[0].format("No available memory (MPOL_BIND)"), OLD[1]),
            "the NUMA nodes that a memory policy allows had none left",
        ),
        ((OLD[0].format("Out of memory"), OLD[1]), "memory had run out"),
    ],
)
def test_why_is_what_the_log_says(lines: tuple[str, ...], why: str) -> None:
    assert why_killed(only_kill(*lines)) == why


POISON = "due to hardware memory corruption"


@pytest.mark.parametrize(
    ("lines", "deaths_"),
    [
        (
            [f"Memory failure: 0x1a2b: Killing a b:c:7777 {POISON}"],
            [Poisoned(1000, 7777, "a b:c", True, 0x1A2B, None)],
        ),
        (
            [f"Memory failure: 0x1a2b: Sending SIGBUS to qemu-kvm:77 {POISON}"],
            [Poisoned(1000, 77, "qemu-kvm", False, 0x1A2B, None)],
        ),
        ([f"MCE 0x1a2b: Killing a:7 {POISON}"], [Poisoned(1000, 7, "a", True, 0x1A2B, None)]),
        (
            [f"MCE: Killing a:7 {POISON} fault at 7f0010"],
            [Poisoned(1000, 7, "a", True, None, 0x7F0010)],
        ),
        (
            # One page, told by who found it and by who touched it.
            [
                f"Memory failure: 0x1a2b: Killing a:7 {POISON}",
                f"MCE: Killing a:7 {POISON} fault at 7f0010",
                "Memory failure: 0x1a2b: recovery action for dirty LRU page: Recovered",
            ],
            [Poisoned(1000, 7, "a", True, 0x1A2B, None)],
        ),
        (
            [
                "Memory failure: 0x1f: forcibly killing a:7 because of failure to unmap corrupted page",
                f"Memory failure: 0x2f: Sending SIGBUS to b:8 {POISON}",
                f"Memory failure: 0x3f: Sending SIGBUS to b:8 {POISON}",
            ],
            [
                Poisoned(1000, 7, "a", True, 0x1F, None),
                Poisoned(2000, 8, "b", False, 0x2F, None),
                Poisoned(3000, 8, "b", False, 0x3F, None),
            ],
        ),
    ],
)
def test_memory_with_errors(lines: list[str], deaths_: list[Death]) -> None:
    assert deaths(said(*lines)) == deaths_


def test_6_18_in_a_group() -> None:
    assert only_kill(
        "python invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "memory: usage 307200kB, limit 307200kB, failcnt 4808",
        "Tasks state (memory values in pages):",
        "[  16778]     0 16778   156751    78030    76576     1454         0   684032        0   0 python",
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/squeeze,"
        "task_memcg=/squeeze/in,task=python3,pid=16778,uid=1000",
        "Memory cgroup out of memory: Killed process 16778 (python3) total-vm:627004kB, "
        "anon-rss:306304kB, file-rss:5816kB, shmem-rss:4kB, UID:1000 pgtables:668kB oom_score_adj:-3",
        "oom_reaper: reaped process 16778 (python3), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
    ) == OomKill(
        6000,
        16778,
        "python3",
        True,
        627004 * KIB,
        306304 * KIB,
        5816 * KIB,
        4 * KIB,
        668 * KIB,
        1000,
        -3,
        "CONSTRAINT_MEMCG",
        "/squeeze",
        "/squeeze/in",
        "python",
    )


def test_5_15_on_the_machine() -> None:
    kill = only_kill(
        "systemd-journal invoked oom-killer: gfp_mask=0x1100cca(GFP_HIGHUSER_MOVABLE), order=0, "
        "oom_score_adj=-250",
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
        "task_memcg=/user.slice/user-1000.slice/session-2.scope,task=stress-ng-vm,pid=4021,uid=1000",
        "Out of memory: Killed process 4021 (stress-ng-vm) total-vm:1098000kB, anon-rss:871204kB, "
        "file-rss:0kB, shmem-rss:24kB, UID:1000 pgtables:1800kB oom_score_adj:1000",
    )
    assert (kill.is_group, kill.oom_group, kill.invoked_by) == (False, None, "systemd-journal")
    assert kill.task_group == "/user.slice/user-1000.slice/session-2.scope"
    assert kill.rss_bytes == (871204 + 24) * KIB


def test_5_4_said_kb_and_meant_bytes() -> None:
    kill = only_kill(
        "Out of memory: Killed process 1024 (java) total-vm:4028496kB, anon-rss:2042756kB, "
        "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:4513792kB oom_score_adj:0"
    )
    assert kill.page_tables_bytes == 4513792


def test_4_14_in_two_lines_and_a_child_dies() -> None:
    kill = only_kill(
        "apache2 invoked oom-killer: gfp_mask=0x14000c0(GFP_KERNEL), nodemask=(null), order=0, "
        "oom_score_adj=0",
        "Task in /docker/4fe0 killed as a result of limit of /docker",
        "Memory cgroup out of memory: Kill process 900 (apache2) score 904 or sacrifice child",
        "Killed process 907 (php fpm) total-vm:512000kB, anon-rss:200000kB, file-rss:10kB, shmem-rss:0kB",
    )
    assert (kill.pid, kill.name, kill.is_group) == (907, "php fpm", True)
    assert (kill.task_group, kill.oom_group) == ("/docker/4fe0", "/docker")
    assert (kill.uid, kill.page_tables_bytes, kill.oom_score_adj) == (None, None, None)


@pytest.mark.parametrize(
    ("line", "uid", "shmem"),
    [
        (
            "Killed process 12 (a) total-vm:1kB, anon-rss:2kB, file-rss:3kB",  # 3.2
            None,
            None,
        ),
        ("Killed process 12 (a) vsz:1kB, anon-rss:2kB, file-rss:3kB", None, None),  # 2.6.32
        (
            "Killed process 12 (a), UID 48, total-vm:1kB, anon-rss:2kB, file-rss:3kB, shmem-rss:0kB",
            48,
            0,
        ),  # RHEL 7
    ],
)
def test_older_spellings(line: str, uid: int | None, shmem: int | None) -> None:
    kill = only_kill("Out of memory: Kill process 12 (a) score 9 or sacrifice child", line)
    assert (kill.pid, kill.name, kill.is_group, kill.uid) == (12, "a", False, uid)
    assert (kill.total_vm_bytes, kill.anon_rss_bytes, kill.file_rss_bytes) == (1024, 2048, 3072)
    assert kill.shmem_rss_bytes == shmem


KILLED = (
    "Memory cgroup out of memory: Killed process {} ({}) total-vm:9000kB, anon-rss:1kB, file-rss:0kB, "
    "shmem-rss:0kB, UID:0 pgtables:8kB oom_score_adj:0"
)
CONTEXT = (
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={0},"
    "task_memcg={0},task={1},pid={2},uid=0"
)


def test_the_lines_before_a_kill_are_not_those_of_the_next() -> None:
    """With ten kills in five seconds the kernel leaves out all but the last line."""
    one, two = deaths(
        said(
            "a invoked oom-killer: gfp_mask=0xcc0, order=0",
            CONTEXT.format("/one", "a", 5),
            KILLED.format(5, "a"),
            KILLED.format(6, "b"),
        )
    )
    assert isinstance(one, OomKill) and isinstance(two, OomKill)
    assert (one.oom_group, one.invoked_by) == ("/one", "a")
    assert (two.oom_group, two.invoked_by, two.is_group) == (None, None, True)


def test_those_that_die_with_a_group_have_its_report() -> None:
    found = deaths(
        said(
            "a invoked oom-killer: gfp_mask=0xcc0, order=0",
            CONTEXT.format("/pod", "a", 5),
            KILLED.format(5, "a"),
            "Tasks in /pod are going to be killed due to memory.oom.group set",
            KILLED.format(6, "b"),
            KILLED.format(7, "c"),
        )
    )
    kills = [each for each in found if isinstance(each, OomKill)]
    assert [each.oom_group for each in kills] == ["/pod"] * 3
    assert [each.invoked_by for each in kills] == ["a"] * 3


@pytest.mark.parametrize(
    "line",
    [
        "Killed process 12 (a name that is longer than any) total-vm:1kB, anon-rss:2kB, file-rss:3kB",
        "Killed process 12 (a) total-vm:1kB",
        "Out of memory and no killable processes...",
        "Killed process x (a) total-vm:1kB, anon-rss:2kB, file-rss:3kB",
        "usb 1-1: Killed process 12 (a) total-vm:1kB, anon-rss:2kB, file-rss:3kB and more",
    ],
)
def test_what_is_no_kill(line: str) -> None:
    assert deaths(said(line)) == []


def test_what_a_program_writes_is_no_kill() -> None:
    assert deaths(said(KILLED.format(5, "a"), facility=1)) == []


# Segfaults.

X86 = "s [x][22899]: segfault at 10 ip 0000561df1c3c15f sp 00007ffd43df89f0 error 6"


def fault(*lines: str | bytes) -> Segfault:
    (found,) = deaths(said(*lines))
    assert isinstance(found, Segfault), lines
    return found


def test_x86_of_three_times() -> None:
    new = fault(X86 + " in s [x][115f,561df1c3c000+1000] likely on CPU 1 (core 1, socket 0)")
    assert new == Segfault(
        *(1000, 22899, "s [x]", 0x10, 0x561DF1C3C15F, 0x7FFD43DF89F0, 6, "write", False, True),
        *("s [x]", 0x561DF1C3C000, 0x1000, 0x115F),
    )
    middle = fault(X86 + " in s [x][561df1c3c000+1000]")
    assert middle == new._replace(file_offset=None)
    jump = fault(
        "a[7]: segfault at 20 ip 0000000000000020 sp 00007ffd error 14 likely on CPU 1 (core 1, socket 0)"
    )
    assert (jump.access, jump.is_protection, jump.file) == ("execute", False, None)
    old = fault("a[7]: segfault at 0000000000000010 rip 00000000004005b4 rsp 00007fff error 4")
    assert (old.address, old.instruction, old.access) == (0x10, 0x4005B4, "read")


def test_a_general_protection_fault_has_no_address() -> None:
    found = fault(
        "traps: s [x][22902] general protection fault ip:55dd4b2ae1b8 sp:7ffdcddd2170 error:0 "
        "in s [x][11b8,55dd4b2ae000+1000]"
    )
    assert (found.tid, found.name, found.address, found.file) == (22902, "s [x]", None, "s [x]")


@pytest.mark.parametrize(
    ("line", "address", "access", "is_protection"),
    [
        (
            "a.out[123]: unhandled level 2 translation fault (11) at 0x00000010, esr 0x92000046, "
            "in a.out[400000+1000]",
            0x10,
            "write",
            False,
        ),
        (
            "a.out[123]: unhandled exception: DABT (lower EL), ESR 0x000000009200004f, level 3 permission "
            "fault in a.out[aaaad0a60000+1000]",
            None,
            "write",
            True,
        ),
        (
            "a.out[123]: unhandled signal 11 code 0x1 at 0x0000000000000008 in a[10000+1000]",
            8,
            None,
            False,
        ),
        (
            "a.out[123]: segfault (11) at 8 nip 10000584 lr 7fff8 code 2 in a.out[10000000+10000]",
            8,
            None,
            True,
        ),
        (
            # 4.19: the upper half of the code is the kernel's own.
            "a.out[123]: unhandled signal 11 at 0000000000000000 nip 00003fff9474fcb0 "
            "lr 00003fff9474fa48 code 30001",
            0,
            None,
            False,
        ),
    ],
)
def test_other_processors(
    line: str, address: int | None, access: str | None, is_protection: bool | None
) -> None:
    found = fault(line)
    assert (found.tid, found.name) == (123, "a.out")
    assert (found.address, found.access, found.is_protection) == (address, access, is_protection)


REGISTERS = "CPU: 0 {}PID: 123 Comm: {} Not tainted 6.1.21 #1"


@pytest.mark.parametrize(
    ("lines", "tid", "name", "address", "instruction", "access", "is_protection", "file"),
    [
        (
            # MIPS, LoongArch: nobody says which process.
            [
                "do_page_fault(): sending SIGSEGV to a for b for invalid read access from 0000000c",
                "epc = 77db6928 in libc.so[77d92000+b2000]",
                "ra  = 00437ab9 in busybox[400000+4f000]",
            ],
            *(None, "a for b", 0xC, 0x77DB6928, "read", None, "libc.so"),
        ),
        (
            [
                "do_page_fault(): sending SIGSEGV to a for invalid write access to 000000fff6828000",
                "era = 0000000120003e94 in a[3e94,120000000+8000]",
            ],
            *(None, "a", 0xFFF6828000, 0x120003E94, "write", None, "a"),
        ),
        (
            # MIPS before 3.13
            [
                "do_page_fault() #2: sending SIGSEGV to a for invalid write access to\n"
                "00000010 (epc == 00400abc, ra == 00400123)"
            ],
            *(None, "a", 0x10, 0x400ABC, "write", None, None),
        ),
        (
            # arm32, its registers in lines of their own
            [
                "8<--- cut here ---",
                "a: b: unhandled page fault (11) at 0x00000010, code 0x817",
                "[00000010] *pgd=00000000",
                REGISTERS.format("", "a: b"),
                "Hardware name: BCM2711",
                "PC is at 0x10444",
            ],
            *(123, "a: b", 0x10, 0x10444, "write", False, None),
        ),
        (
            # … of another process
            [
                "a: unhandled page fault (11) at 0x00010000, code 0x80000007",
                REGISTERS.format("", "b"),
            ],
            *(None, "a", 0x10000, None, "execute", False, None),
        ),
        (
            # arm32 with the long format of tables: permission
            ["a: unhandled page fault (11) at 0x00010000, code 0xa0f"],
            *(None, "a", 0x10000, None, "write", True, None),
        ),
        (
            [
                "User process fault: interruption code 003b ilc:3 in a[100000000+1000]",
                "Failing address: 0000000000000000 TEID: 0000000000000400",
                "Fault in primary space mode while using user ASCE.",
                REGISTERS.format("UID: 0 ", "a Not tainted"),
                "Hardware name: IBM 3931 A01 704 (KVM/Linux)",
                "User PSW : 0705000180000000 0000000100000722",
            ],
            *(123, "a Not tainted", 0, 0x100000722, "write", False, "a"),
        ),
        (
            # 2.6.32
            ["User process fault: interruption code 0x4", "failing address: 80001000"],
            *(None, "", 0x80001000, None, None, True, None),
        ),
    ],
)
def test_processors_that_take_several_lines(
    lines: list[str],
    tid: int | None,
    name: str,
    address: int,
    instruction: int | None,
    access: str,
    is_protection: bool | None,
    file: str | None,
) -> None:
    found = fault(*lines)
    assert (found.time_us, found.tid, found.name) == (1000 + 1000 * ("8<" in lines[0]), tid, name)
    assert (found.address, found.instruction) == (address, instruction)
    assert (found.access, found.is_protection, found.file) == (access, is_protection, file)


def test_a_fault_waits_for_its_other_lines_no_longer_than_a_reading() -> None:
    first, second = said(
        "do_page_fault(): sending SIGSEGV to a for invalid read access from 0000000c",
        "epc = 77db6928 in libc.so[77d92000+b2000]",
    )
    reader = DeathReader()
    assert reader.read([first]) == []
    (whole,) = reader.read([second])
    assert isinstance(whole, Segfault) and whole.instruction == 0x77DB6928
    assert reader.read([first]) == []
    (alone,) = reader.read([])
    assert isinstance(alone, Segfault) and alone.instruction is None
    assert reader.read([]) == []
    one, two = deaths([first, first._replace(time_us=1500), second])
    assert isinstance(one, Segfault) and isinstance(two, Segfault)
    assert (one.instruction, two.instruction) == (None, 0x77DB6928)


def test_the_registers_of_a_later_report_are_not_a_faults() -> None:
    found = fault(
        "a: unhandled page fault (11) at 0x00000010, code 0x817",
        *["usb 1-1: new device"] * 2000,
        REGISTERS.format("", "a"),
    )
    assert found.tid is None


@pytest.mark.parametrize(
    "line",
    [
        "User process fault: interruption code 0007 ilc:2 in a[100000000+1000]",  # data exception
        "a[5]: unhandled exception: BRK (AArch64), ESR 0x00000000f2000001, ptrace BRK handler in a[1+1]",
        "a: unhandled page fault (7) at 0x00000010, code 0x817",
    ],
)
def test_what_is_no_segfault(line: str) -> None:
    assert deaths(said(line)) == []


@given(
    st.binary(min_size=1, max_size=15), st.integers(1, 1 << 22), st.binary(min_size=1, max_size=40)
)
def test_no_name_hides_a_segfault(name: bytes, tid: int, file: bytes) -> None:
    found = fault(
        b"%b[%d]: segfault at 10 ip 00000000aaaa0010 sp 00007ffd error 7 in %b[aaaa0000+1000]"
        % (name, tid, file)
    )
    assert (found.tid, found.name.encode("utf-8", "surrogateescape")) == (tid, name)
    assert (found.address, found.access, found.is_protection) == (0x10, "write", True)


def die(program: Path, how: str) -> tuple[AddressMap, Segfault] | None:
    """The last map of a process that touches what it may not, and the kernel's word on that."""
    log = KernelLog(LiveFiles(), only_new=True)
    with subprocess.Popen(
        [program, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "ready\n"
        last = look(process.pid)
        # A thread that is still on its way to sleep has no stack pointer to tell.
        while how == "overflow" and not all(each.stack_pointer for each in last.threads):
            last = look(process.pid)
        process.communicate("\n")
        assert process.returncode == -11
    part = log.read()
    assert isinstance(part, LogPart)
    tids = {process.pid, *(thread.tid for thread in last.threads)}
    for each in deaths(part.records):
        if isinstance(each, Segfault) and each.tid in tids:
            return last, each
    return None


@pytest.mark.xdist_group("machine")
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("null", "write to 0x10: not mapped, a null pointer plus 16; at faulty+0x"),
        ("constant", "read-only memory of faulty: read-only data; at faulty+0x"),
        ("closed", "in memory without any access: "),
        ("wild", "not canonical): a wild pointer; at faulty+0x"),
        ("jump", "jump to 0x20: not mapped, a null pointer plus 32"),
        ("data", "not executable memory: main heap"),
        ("overflow", "in the guard page below the stack of thread "),
    ],
)
def test_a_real_segfault_and_its_obituary(how: str, words: str, tmp_path: Path) -> None:
    needs_log()
    if (
        Path("/proc/sys/debug/exception-trace").read_text().strip() == "0"
        or os.uname().machine != "x86_64"
    ):
        pytest.skip("needs debug.exception-trace, and the words of x86")
    program = compiled("faulty", tmp_path)
    deadline = time.monotonic() + 20
    # The kernel writes ten such lines in five seconds and no more, whoever they are of.
    while (death := die(program, how)) is None:
        assert time.monotonic() < deadline, "the kernel says nothing"
        time.sleep(1)
    last, found = death
    pid = last.key.pid
    memories = Memories()
    memories.note(Known(last.key, "faulty", f"{program} {how}", "/", last))
    empty = Ranking(OomScope(None, 1, 1, True), (), None)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    _, (obituary,) = observe(State(), Look(now, 4096, empty, {}, {}, (found,), True), memories)
    assert (obituary.pid, obituary.name, obituary.cause) == (pid, "faulty", "segfault")
    assert obituary.command == f"{program} {how}" and obituary.map is last
    assert words in obituary.sentence
    assert 0 <= now - obituary.time_s < 30
