"""Who is mourned: from the log, from counts and from who vanished; each once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memtui.kernel.deaths import Death, OomKill, Poisoned
from memtui.kernel.hidden import Hidden
from memtui.kernel.oom import OomTask
from memtui.kernel.segfaults import Segfault
from memtui.model.keys import ProcessKey
from memtui.model.oom.obituary import (
    MACHINE,
    TOLD_S,
    WAIT_S,
    Known,
    Look,
    Memories,
    Obituary,
    State,
    event_of,
    observe,
)
from memtui.model.oom.ranking import OomScope, rank_tasks
from tests.model.crash.maps import address_map

PAGE = 4096
MIB = 1 << 20
MACHINE_SCOPE = OomScope(None, 1_000_000, 1_000_000, True)


def task(pid: int, mib: int = 10, group: str = "/g", adj: int = 0, start: int = 1) -> OomTask:
    return OomTask(pid, start, 1, f"p{pid}", "S", False, mib * MIB, 0, 0, None, adj, group)


def look(
    time_s: float,
    tasks: list[OomTask],
    log: tuple[Death, ...] = (),
    *,
    is_read: bool = False,
    machine: int = 0,
    totals: Mapping[str, int] | None = None,
    **groups: int,
) -> Look:
    kills = {MACHINE: machine, **{f"/{name.replace('_', '/')}": at for name, at in groups.items()}}
    ranking = rank_tasks(tasks, MACHINE_SCOPE, PAGE)
    return Look(time_s, PAGE, ranking, kills, totals or {}, log, is_read)


def kill(pid: int, group: str | None = "/g") -> OomKill:
    sizes = (MIB, MIB, 0, 0, PAGE)
    return OomKill(
        9_000_000, pid, f"p{pid}", group is not None, *sizes, 0, 0, None, group, group, "x"
    )


def all_of(*looks: Look, memories: Memories | None = None) -> list[Obituary]:
    state, found = State(), []
    for each in looks:
        state, new = observe(state, each, memories or Memories())
        found += new
    return found


A, B, C = task(3, 30), task(4, 20), task(5, 5)


def test_the_log_says_it_and_memory_adds_the_command() -> None:
    memories = Memories()
    memories.note(Known(ProcessKey(3, 1), "p3", "p3 --serve", "/g"))
    (told,) = all_of(
        look(10, [A, B], is_read=True),
        look(11, [B], (kill(3),), is_read=True, machine=1, g=0),
        look(12, [B], is_read=True, machine=1, g=0),
        memories=memories,
    )
    assert (told.pid, told.command, told.source, told.cause) == (
        3,
        "p3 --serve",
        "kernel log",
        "oom in cgroup",
    )
    assert told.time_s == 9.0
    # The kernel wrote its line when much was given back already.
    assert told.rss_bytes == 30 * MIB
    assert "p3 (3), 30.0 MiB in memory: the memory cgroup /g was full as x asked" in told.sentence
    assert event_of(told).level == "alarm"


def test_what_was_remembered_of_another_is_not_told() -> None:
    memories = Memories()
    memories.note(Known(ProcessKey(3, 1), "other", "other --serve", "/x"))
    (told,) = all_of(look(10, [B]), look(11, [B], (kill(3),)), memories=memories)
    assert told.command is None and told.key is None


def test_kills_from_before_the_first_look_are_told_and_settle_nothing() -> None:
    told = all_of(look(10, [A, B], (kill(9),), machine=5, g=5), look(11, [B], machine=6, g=6))
    assert [(each.pid, each.source) for each in told] == [(9, "kernel log"), (3, "inferred")]


@pytest.mark.parametrize("later", [False, True])
def test_the_count_before_the_line_or_after_it(later: bool) -> None:
    first, second = ((), (kill(3),)) if later else ((kill(3),), ())
    counted = (1, 1) if later else (0, 1)
    told = all_of(
        look(10, [A, B], is_read=True, g=0),
        look(11, [B], first, is_read=True, machine=counted[0], g=counted[0]),
        look(12, [B], second, is_read=True, machine=counted[1], g=counted[1]),
        look(13, [B], is_read=True, machine=1, g=1),
        look(20, [B], is_read=True, machine=1, g=1),
    )
    assert [(each.pid, each.source) for each in told] == [(3, "kernel log")]


def test_inferred_where_the_log_is_closed() -> None:
    (told,) = all_of(
        look(10, [A, B], g=0), look(11, [B], machine=1, g=1), look(12, [B], machine=1, g=1)
    )
    assert (told.pid, told.source, told.cause, told.group) == (3, "inferred", "oom in cgroup", "/g")
    assert told.others == () and told.key == ProcessKey(3, 1)
    assert told.rss_bytes == 30 * MIB
    assert told.sentence.endswith("inferred, as nothing else ended there at that time")


def test_of_several_the_first_of_the_ranking_and_the_doubt_is_told() -> None:
    (told,) = all_of(look(10, [A, B, C]), look(11, [], machine=1))
    assert (told.pid, told.cause) == (3, "oom")
    assert told.others == ("p4 (4)", "p5 (5)")
    assert told.sentence.endswith("it had the most points; it may have been p4 (4), p5 (5)")


def test_only_those_of_the_group_that_counted() -> None:
    other = task(7, 900, "/other")
    (told,) = all_of(look(10, [A, B, other], g=0, other=0), look(11, [A], machine=1, g=1, other=0))
    assert told.pid == 4


def test_in_a_group_its_own_total_decides() -> None:
    """On the machine adj +200 is worth 780 MiB, in this group 20."""
    raised = task(6, 5, adj=200)
    totals = {"/g": 100 * MIB // PAGE}
    (told,) = all_of(
        look(10, [A, raised], g=0, totals=totals), look(11, [], machine=1, g=1, totals=totals)
    )
    assert told.pid == 3


def test_two_kills_are_two() -> None:
    told = all_of(look(10, [A, B, C], g=0), look(11, [C], machine=2, g=2))
    assert sorted(each.pid or 0 for each in told) == [3, 4]


def test_nested_groups_count_one_kill_and_so_does_the_machine() -> None:
    """v2: each group around the victim's counts it too."""
    inner = task(8, 10, "/g/in/ner")
    (told,) = all_of(
        look(10, [A, inner], g=0, g_in=0, g_in_ner=0),
        look(11, [A], machine=1, g=1, g_in=1, g_in_ner=1),
        look(30, [A], machine=1, g=1, g_in=1, g_in_ner=1),
    )
    assert (told.pid, told.group) == (8, "/g/in/ner")


def test_a_victim_that_takes_its_time_is_told_with_its_old_size() -> None:
    shrunk = A._replace(rss_bytes=0)
    (told,) = all_of(
        look(10, [A, B], g=0),
        look(11, [shrunk, B], machine=1, g=1),
        look(12, [shrunk, B], machine=1, g=1),
        look(13, [B], machine=1, g=1),
    )
    assert (told.pid, told.rss_bytes) == (3, 30 * MIB)


def test_a_zombie_has_ended() -> None:
    zombie = A._replace(state="Z", rss_bytes=None, swap_bytes=None, page_tables_bytes=None)
    (told,) = all_of(look(10, [A, B], g=0), look(11, [zombie, B], machine=1, g=1))
    assert told.pid == 3


def test_one_that_no_look_saw() -> None:
    told = all_of(
        look(10, [B], g=0),
        look(11, [B], machine=1, g=1),
        look(11 + WAIT_S, [B], machine=1, g=1),
        look(12 + WAIT_S, [B], machine=1, g=1),
    )
    assert [(each.pid, each.time_s, each.group) for each in told] == [(None, 11, "/g")]
    assert "no look had seen" in told[0].sentence


def test_who_ends_without_a_kill_is_not_mourned() -> None:
    assert all_of(look(10, [A, B], g=0), look(11, [B], g=0), look(12, [], g=0)) == []
    # A group that appears with a count, or whose count falls, tells nothing.
    assert all_of(look(10, [A, B], g=9), look(11, [B], g=1, new=7)) == []


def test_a_group_that_is_removed_with_its_victim() -> None:
    told = all_of(
        look(10, [A, task(9, 1, "/x")], g=0),
        look(11, [A, task(9, 1, "/x")], machine=1, g=1),
        look(12, [task(9, 1, "/x")], machine=1),
        look(40, [task(9, 1, "/x")], machine=1),
    )
    assert [each.pid for each in told] == [3]


def test_a_late_line_about_one_that_was_inferred() -> None:
    told = all_of(
        look(10, [A, B], g=0),
        look(11, [B], machine=1, g=1),
        look(12, [B], (kill(3),), is_read=True, machine=1, g=1),
    )
    assert [(each.pid, each.source) for each in told] == [(3, "inferred")]


def test_a_pid_that_comes_back_may_die_again() -> None:
    successor = task(3, 40, start=99)
    told = all_of(
        look(10, [A, B], g=0),
        look(11, [B], (kill(3),), is_read=True, machine=1, g=1),
        look(12, [successor, B], is_read=True, machine=1, g=1),
        look(13, [B], (kill(3),), is_read=True, machine=2, g=2),
    )
    assert [each.pid for each in told] == [3, 3]


def test_another_boot_begins_anew() -> None:
    state, _ = observe(State(), look(100, [A, B], g=0), Memories())
    state, found = observe(state, look(5, [B], machine=3, g=3), Memories())
    assert found == [] and state.look is not None and state.look.time_s == 5


def test_memories_are_bounded_and_keep_what_was_asked_once() -> None:
    memories = Memories(kept=2)
    key = ProcessKey(3, 1)
    memories.note(Known(key, "p3", "p3 -x", "/g"))
    memories.note(Known(key, "p3"))
    assert memories.of(3) == Known(key, "p3", "p3 -x", "/g")
    memories.note(Known(ProcessKey(3, 2), "p3"))
    assert memories.of(3) == Known(ProcessKey(3, 2), "p3")
    for pid in (4, 5):
        memories.note(Known(ProcessKey(pid, 1), "x"))
    assert memories.of(3) is None and len(memories) == 2


tasks_ = st.lists(
    st.builds(task, st.integers(2, 6), st.integers(0, 50), st.sampled_from(["/", "/g", "/g/in"])),
    max_size=5,
)
kills_ = st.lists(
    st.builds(kill, st.integers(2, 6), st.sampled_from([None, "/g", "/g/in"])), max_size=2
)


def test_one_that_changed_its_group_pays_where_it_died() -> None:
    elsewhere = task(3, 30, "/")
    told = all_of(
        look(10, [elsewhere, B, C], g=0),
        look(11, [A, B, C], g=1),  # counted already, and still there
        look(12, [B, C], g=1),
        look(20, [B, C], g=1),
    )
    assert [(each.pid, each.group) for each in told] == [(3, "/g")]


def test_a_pid_that_came_back_is_not_its_predecessor() -> None:
    immune, successor = task(3, 30, adj=-1000), task(3, 7, start=2)
    (told,) = all_of(
        look(10, [immune, B], g=0),
        look(11, [successor, B], g=1),
        look(12, [B], g=1),
    )
    assert (told.pid, told.rss_bytes) == (3, 7 * MIB)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 20),
            tasks_,
            kills_,
            st.booleans(),
            st.dictionaries(st.sampled_from([MACHINE, "/g", "/g/in"]), st.integers(0, 4)),
        ),
        max_size=8,
    )
)
@example(
    [
        (0.0, [task(3), task(4), task(3, group="/")], [], False, {"/g": 0}),
        (0.0, [task(2)], [], False, {"/g": 2}),
        (10.0, [task(2)], [], False, {"/g": 2}),
    ]
)
def test_whatever_is_seen_nobody_is_mourned_more_often_than_counted_or_logged(
    steps: list[tuple[float, list[OomTask], list[OomKill], bool, dict[str, int]]],
) -> None:
    state, memories, at_s, grown, found = State(), Memories(), 0.0, 0, []
    last: dict[str, int] = {}
    for elapsed, tasks, log, is_read, counts in steps:
        at_s += elapsed + 0.1
        ranking = rank_tasks(tasks, MACHINE_SCOPE, PAGE)
        grown += len(log)
        grown += sum(max(0, counts[path] - last[path]) for path in counts if path in last)
        last = counts
        state, new = observe(
            state, Look(at_s, PAGE, ranking, counts, {}, tuple(log), is_read), memories
        )
        found += new
        assert all(each.sentence for each in new)
    assert len(found) <= grown
    assert len(state.vanished) <= 2000 and all(
        at_s - each <= TOLD_S for each in state.told.values()
    )


def test_a_thread_of_a_known_process() -> None:
    memories = Memories()
    memories.note(Known(ProcessKey(7, 1), "prog", "prog -x", "/g", address_map()))
    fault = Segfault(1, 12, "worker", 0x10, 0x400010, 1, 6, "write", False, True, None, None, None)
    (told,) = all_of(look(10, [B], (fault,)), memories=memories)
    assert (told.pid, told.name, told.command, told.cause) == (7, "prog", "prog -x", "segfault")
    assert told.sentence.startswith("segfault of thread worker (12) of prog (7): write to 0x10: ")
    assert event_of(told).kind == "segfault"


def test_a_segfault_of_whom_the_log_has_no_number() -> None:
    fault = Segfault(1, None, "", 0x10, None, None, None, "read", None, None, None, None, None)
    (told,) = all_of(look(10, [A], (fault, fault._replace(name="p3")), is_read=True))[:1]
    assert (told.pid, told.name, told.command) == (None, "", None)
    assert (
        told.sentence == "segfault of a process: read of 0x10: not mapped, a null pointer plus 0x10"
    )


def test_memory_with_errors_kills_or_warns() -> None:
    memories = Memories()
    memories.note(Known(ProcessKey(3, 1), "p3", "p3 --serve", "/g"))
    killed = Poisoned(9_000_000, 3, "p3", True, 0x1A2B, None)
    warned = Poisoned(9_000_000, 4, "p4", False, None, 0x7F10)
    first, second = all_of(
        look(9, [A, B], is_read=True),
        look(10, [B], (killed, warned), is_read=True),
        look(11, [B], is_read=True, machine=1),  # somebody else's
        memories=memories,
    )
    assert (first.command, first.cause, first.was_killed) == ("p3 --serve", "memory failure", True)
    assert first.sentence == (
        "the kernel killed p3 (3): the hardware found errors in a page 0x1a2b of its memory"
    )
    assert second.sentence.startswith("the kernel sent SIGBUS to p4 (4), which may live on: ")
    assert second.sentence.endswith(", touched at 0x7f10") and not second.was_killed
    assert [event_of(each).level for each in (first, second)] == ["alarm", "warning"]


NAMESPACE = Hidden("processes outside this PID namespace cannot be seen", "PID namespace", True)


def test_where_processes_are_hidden_nobody_is_named_for_sure() -> None:
    hidden = Hidden("hidepid=2 hides other users' processes", "others hidden")
    looks = [look(10, [A, B]), look(11, [B], machine=1)]
    (told,) = all_of(*(each._replace(hidden=hidden) for each in looks))
    assert told.sentence.endswith(f": it may have been the one, but {hidden.words}")
    looks = [look(10, [A]), look(11, [A], machine=1), look(11 + WAIT_S, [A], machine=1)]
    (unseen,) = all_of(*(each._replace(hidden=hidden) for each in looks))
    assert unseen.sentence.endswith(f"of a process that no look had seen: {hidden.words}")


def test_in_a_pid_namespace_the_log_has_other_numbers() -> None:
    memories = Memories()
    memories.note(Known(ProcessKey(3, 1), "p3", "p3 --serve", "/g"))
    memories.note(Known(ProcessKey(4, 1), "p4", "p4 of ours", "/g"))
    outer = kill(3)._replace(name="p4")  # the number is another's here
    fault = Segfault(1, 3, "x", 0x10, None, 1, 6, "write", False, True, None, None, None)
    looks = (
        look(9, [A, B], is_read=True, machine=0),
        look(10, [A], (outer, fault), is_read=True, machine=1),
        look(11, [A], is_read=True, machine=1),
        look(20, [A], is_read=True, machine=1),
    )
    killed, crashed = all_of(
        *(each._replace(hidden=NAMESPACE) for each in looks), memories=memories
    )
    assert (killed.pid, killed.name, killed.command) == (4, "p4", "p4 of ours")
    assert killed.sentence.startswith("the kernel killed p4 (4 here, 3 outside), 20.0 MiB")
    assert crashed.sentence.startswith("segfault of x (3 outside): ") and crashed.command is None


def test_a_kill_by_hand_is_told_as_one() -> None:
    by_hand = kill(3, None)._replace(is_manual=True)
    (told,) = all_of(look(9, [A], is_read=True), look(10, [], (by_hand,), is_read=True, machine=1))
    assert told.cause == "by hand" and told.sentence.endswith(
        ": somebody asked for it by hand (SysRq f)"
    )
    on_nodes = kill(4, None)._replace(constraint="CONSTRAINT_CPUSET")
    (told,) = all_of(look(9, [B], is_read=True), look(10, [], (on_nodes,), is_read=True, machine=1))
    assert told.cause == "oom on nodes"


def test_other_peoples_text_is_printable_in_sentences() -> None:
    fault = Segfault(1, 5, "a\x1b[2J", 0x10, 2, 1, 6, "write", False, True, "f\n\udcff", 0, 9)
    (told,) = all_of(look(10, [B], (fault,)))
    assert "a\\e[2J" in told.sentence and "f\\n\\xff" in told.sentence
