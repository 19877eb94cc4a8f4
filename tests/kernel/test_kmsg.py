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

from memtui.kernel.deaths import DeathReader, OomKill, Segfault, deaths, parse_segfault
from memtui.kernel.files import Gap, LiveFiles, Malformed
from memtui.kernel.kmsg import (
    KernelLog,
    LogPart,
    LogRecord,
    parse_kmsg,
    parse_kmsg_record,
    read_log,
)
from memtui.model.map.addressmap import AddressMap
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
        3, 6, 339, 5140900, "-", b"NET: a \\x41 \n; b", {"SUBSYSTEM": "net", "DEVICE": "n2"}
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
    parse_segfault(0, data)


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


# Kills.


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


def fault(line: str | bytes) -> Segfault:
    found = DeathReader().feed(said(line)[0])
    assert isinstance(found, Segfault), line
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
        ("a.out[123]: unhandled page fault (11) at 0x00000008, code 0x017", 8, None, None),
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
    ],
)
def test_other_processors(
    line: str, address: int | None, access: str | None, is_protection: bool | None
) -> None:
    found = fault(line)
    assert (found.tid, found.name) == (123, "a.out")
    assert (found.address, found.access, found.is_protection) == (address, access, is_protection)


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
