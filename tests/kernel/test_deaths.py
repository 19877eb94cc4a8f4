"""Kills and memory with errors, in the kernel's log, in the spelling of many kernels."""

from __future__ import annotations

import pytest

from memtui.kernel.deaths import Death, OomKill, Poisoned, deaths
from memtui.model.oom.causes import why_killed
from tests.logs import KILLED, only_kill, pieces, said

KIB = 1024


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
