"""The ranking of the OOM killer: by hand, by what must hold of any, and by the kernel's own score."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.oom import (
    OomDomain,
    OomTask,
    dies_with,
    kernel_release,
    read_oom_domain,
    read_oom_task,
    read_oom_tasks,
    tightest_group,
)
from memtui.model.oom.policy import OomPolicy, explain, predict, running_killers
from memtui.model.oom.ranking import (
    ENDED,
    IS_INIT,
    KERNEL_THREAD,
    PASSED_OVER,
    PROTECTED,
    OomScope,
    group_scope,
    is_inside,
    machine_scope,
    points_of,
    rank_tasks,
    score_of,
    what_if,
    with_adj,
)
from tests.oracles import until_alike

Host = Callable[[str], Files]
PAGE = 4096
MIB = 1 << 20
MACHINE = OomScope(None, 1_000_000, 1_000_000, True)
OLD = (4, 9)


def task(
    pid: int, rss_mib: int = 1, adj: int | None = 0, *, score: int | None = None, group: str = "/"
) -> OomTask:
    rss = rss_mib * MIB
    if score is None and adj is not None:
        score = score_of(points_of(rss // PAGE + 1, adj, 1_000_000), 1_000_000)
    return OomTask(pid, pid * 10, 1, f"p{pid}", "S", False, rss, 0, PAGE, score, adj, group)


def order(tasks: list[OomTask], scope: OomScope = MACHINE) -> list[int]:
    return [each.pid for each in rank_tasks(tasks, scope, PAGE).ranked]


def test_points_are_pages_and_thousandths_of_the_total() -> None:
    whole = OomTask(7, 1, 1, "x", "S", False, 300 * MIB, 20 * MIB, 2 * MIB, None, 100)
    (found,) = rank_tasks([whole], MACHINE, PAGE).candidates
    assert (found.rss_pages, found.swap_pages, found.page_table_pages) == (76800, 5120, 512)
    assert found.points == 76800 + 5120 + 512 + 100 * 1000
    assert found.shares is not None
    assert sum(found.shares) == pytest.approx(found.points / 1_000_000)


def test_a_remainder_of_the_total_counts_for_nothing() -> None:
    """`adj *= totalpages / 1000`: the division comes first."""
    assert points_of(0, 1000, 1999) == 1000
    assert points_of(5, -999, 999) == 5


@pytest.mark.parametrize(
    ("points", "release", "score"),
    [
        (0, None, 666),
        (500_000, None, 1000),
        (-999_000, None, 0),
        (-1, None, 666),  # C rounds towards zero
        (-1500, None, 666),
        (2_000_000, None, 2000),
        (500_000, OLD, 500),
        (999, OLD, 0),
    ],
)
def test_the_score_the_kernel_makes_of_points(
    points: int, release: tuple[int, int] | None, score: int
) -> None:
    assert score_of(points, 1_000_000, release) == score


def test_before_5_9_nobody_has_less_than_a_point() -> None:
    assert points_of(10, -500, 1_000_000, OLD) == 1
    assert points_of(10, -500, 1_000_000) == 10 - 500_000


def test_the_immune_and_why() -> None:
    thread = OomTask(2, 0, 0, "kthreadd", "S", True, None, None, None, 0, 0)
    zombie = OomTask(9, 0, 1, "done", "Z", False, None, None, None, 0, 0)
    passed = task(8, 800, score=0)
    init = task(1, 500, score=0)
    ranking = rank_tasks([thread, zombie, passed, init, task(5, adj=-1000)], MACHINE, PAGE)
    assert {each.pid: each.immune for each in ranking.candidates} == {
        1: IS_INIT,
        2: KERNEL_THREAD,
        5: PROTECTED,
        8: PASSED_OVER,
        9: ENDED,
    }
    assert ranking.ranked == ()


def test_process_1_of_a_container_is_no_init() -> None:
    """The kernel gives it a score."""
    assert order([task(1, 50), task(2, 10)]) == [1, 2]


def test_a_first_thread_that_has_ended_leaves_a_process_that_can_die() -> None:
    half = task(4, 100)._replace(state="Z")
    assert order([half, task(5, 10)]) == [4, 5]


def test_of_equals_the_youngest_dies() -> None:
    assert order([task(3, 9), task(5, 9), task(4, 9)]) == [5, 4, 3]


def test_what_cannot_be_read_has_no_rank() -> None:
    ranking = rank_tasks([task(3), task(4, adj=None)], MACHINE, PAGE)
    unknown = ranking.of(4)
    assert unknown is not None
    assert (unknown.points, unknown.rank, unknown.immune) == (None, None, None)
    assert ranking.candidates[-1] is unknown


def test_a_score_that_does_not_follow_is_told() -> None:
    ranking = rank_tasks([task(3, 400), task(4, 400, score=900)], MACHINE, PAGE)
    assert [(each.pid, each.differs) for each in ranking.ranked] == [(4, True), (3, False)]


def test_in_a_group_its_limit_is_the_total() -> None:
    """Measured: 230 MB died before 60 MB with adj +200 in a group of 400 MB, scores 672 and 801."""
    meminfo = {"MemTotal": 24 << 30, "SwapTotal": 0}
    tasks = [task(3, 230, group="/g"), task(4, 60, 200, group="/g/inner"), task(5, 900)]
    domain = OomDomain("/g", 1, 400 * MIB, None, 60, False)
    inside = group_scope(domain, meminfo, PAGE)
    outside = machine_scope(meminfo, PAGE)
    assert inside is not None and outside is not None
    assert order(tasks, inside) == [3, 4]
    assert order(tasks, outside) == [4, 5, 3]


@pytest.mark.parametrize(
    ("swap_max", "swappiness", "pages"),
    [
        (None, 60, (400 + 1024) * MIB // PAGE),
        (100 * MIB, 60, 500 * MIB // PAGE),
        (4096 * MIB, 60, (400 + 1024) * MIB // PAGE),
        (None, 0, 400 * MIB // PAGE),
        (None, None, (400 + 1024) * MIB // PAGE),
    ],
)
def test_the_swap_a_group_may_have(
    swap_max: int | None, swappiness: int | None, pages: int
) -> None:
    meminfo = {"MemTotal": 24 << 30, "SwapTotal": 1 << 30}
    scope = group_scope(OomDomain("/g", 2, 400 * MIB, swap_max, swappiness, False), meminfo, PAGE)
    assert scope is not None
    assert scope.total_pages == pages
    assert scope.host_pages == (25 << 30) // PAGE


def test_a_group_without_a_limit_ranks_as_the_machine() -> None:
    scope = group_scope(OomDomain("/g", 2, None, None, 60, False), {"MemTotal": 1 << 30}, PAGE)
    assert scope == OomScope("/g", 262_144, 262_144, False)


@pytest.mark.parametrize(
    ("group", "path", "inside"),
    [
        ("/a/b", "/a", True),
        ("/a", "/a", True),
        ("/ab", "/a", False),
        ("/a", "/", True),
        (None, "/", False),
        (None, None, True),
    ],
)
def test_who_is_inside(group: str | None, path: str | None, inside: bool) -> None:
    assert is_inside(group, path) is inside


def test_what_if() -> None:
    ranking = rank_tasks([task(pid, 10 * pid) for pid in range(2, 10)], MACHINE, PAGE)
    fall = what_if(ranking, 9, -500)
    assert fall is not None
    assert fall.sentence == "with adj −500 it would fall from rank 1 to 8"
    rise = what_if(ranking, 2, 300)
    assert rise is not None
    assert rise.sentence == "with adj +300 it would rise from rank 8 to 1"
    never = what_if(ranking, 5, -1000)
    assert never is not None
    assert never.sentence == "with adj −1000 it would never be taken"
    assert what_if(ranking, 77, 0) is None
    protected = rank_tasks([task(3, 40, -1000), task(4)], MACHINE, PAGE)
    again = with_adj(protected, 3, 0).of(3)
    assert again is not None and (again.rank, again.immune) == (1, None)


small = st.integers(0, 1 << 40)


@given(
    st.lists(
        st.builds(
            OomTask,
            st.integers(1, 30),
            small,
            st.integers(0, 30),
            st.text(max_size=3),
            st.sampled_from("SRZX"),
            st.booleans(),
            *[st.none() | small] * 3,
            st.none() | st.integers(0, 2000),
            st.none() | st.integers(-1000, 1000),
            st.none() | st.sampled_from(["/", "/a", "/a/b"]),
        ),
        max_size=12,
    ),
    st.sampled_from([MACHINE, OomScope("/a", 1, 1, True), OomScope("/", 10**9, 10**6, False)]),
    st.none() | st.sampled_from([(2, 6), (5, 8), (6, 18)]),
)
def test_any_processes_have_a_ranking(
    tasks: list[OomTask], scope: OomScope, release: tuple[int, int] | None
) -> None:
    ranking = rank_tasks(tasks, scope, PAGE, release)
    assert len(ranking.candidates) == sum(is_inside(each.group, scope.path) for each in tasks)
    ranked = ranking.ranked
    assert [each.rank for each in ranked] == list(range(1, len(ranked) + 1))
    points = [each.points for each in ranked]
    assert None not in points
    assert points == sorted(points, key=lambda each: -(each or 0))
    for each in ranking.candidates:
        assert (each.points is None) is (each.rank is None)
        assert each.immune is None or each.rank is None
    prediction = predict(ranking, OomPolicy({}, ()))
    assert prediction.sentence
    assert ranked or prediction.victim is None


# The policy.


def policy(**settings: int) -> OomPolicy:
    return OomPolicy(settings, ())


def test_who_would_die() -> None:
    ranking = rank_tasks([task(3, 40), task(4, 50)], MACHINE, PAGE)
    found = predict(ranking, policy())
    assert found.victim is not None and found.certain
    assert found.sentence == "p4 (4) would be killed on the machine"
    panics = predict(ranking, policy(panic_on_oom=1))
    assert panics.victim is None and "panics" in panics.sentence
    asks = predict(ranking, policy(oom_kill_allocating_task=1))
    assert asks.victim is None and not asks.certain
    assert asks.sentence.startswith("whichever process asks") and "p4 (4)" in asks.sentence
    watched = predict(ranking, OomPolicy({}, ("earlyoom",)))
    assert watched.victim is not None and not watched.certain and "earlyoom" in watched.sentence


def test_in_a_group_the_one_that_asks_is_safe_and_1_does_not_panic() -> None:
    scope = OomScope("/g", 100_000, 1_000_000, True)
    ranking = rank_tasks([task(3, 40, group="/g"), task(4, 50, group="/g")], scope, PAGE)
    for each in (policy(oom_kill_allocating_task=1), policy(panic_on_oom=1)):
        assert predict(ranking, each).victim is not None
    assert predict(ranking, policy(panic_on_oom=2)).victim is None
    waits = predict(ranking._replace(scope=scope._replace(kill_disabled=True)), policy())
    assert waits.victim is None and "wait" in waits.sentence


def test_a_group_may_die_as_a_whole() -> None:
    tasks = [
        task(3, 90, group="/pod/a"),
        task(4, 10, group="/pod/a"),
        task(5, 5, -1000, group="/pod/a"),
        task(6, 50, group="/other"),
    ]
    found = predict(rank_tasks(tasks, MACHINE, PAGE), policy(), "/pod/a")
    assert [each.pid for each in found.dies_with] == [4]
    assert found.sentence.endswith("all of /pod/a (memory.oom.group): 2 processes")


def test_before_5_1_a_child_dies_in_its_parents_place() -> None:
    tasks = [task(3, 90), task(4, 10)._replace(parent_pid=3), task(5, 20)._replace(parent_pid=3)]
    for release, pid in (((4, 19), 5), ((5, 4), 3)):
        found = predict(rank_tasks(tasks, MACHINE, PAGE, release), policy())
        assert found.victim is not None and found.victim.pid == pid


def test_the_policy_in_words() -> None:
    settings = {
        "panic_on_oom": 0,
        "oom_kill_allocating_task": 0,
        "overcommit_memory": 2,
        "overcommit_ratio": 80,
        "swappiness": 60,
    }
    meminfo = {"Committed_AS": 3 << 30, "CommitLimit": 8 << 30}
    lines = {line.name: line for line in explain(OomPolicy(settings, ("nohang",)), meminfo)}
    assert lines["overcommit_memory"].words.endswith("3.0 GiB of 8.0 GiB promised")
    assert lines["overcommit_ratio"].words.startswith("CommitLimit is 80 %")
    assert "nohang" in lines and "userspace" not in lines
    missing = explain(policy(), {})
    assert [line.value for line in missing[:5]] == [None] * 5
    assert {line.words for line in missing[:5]} == {"not to be read here"}


def test_who_else_kills() -> None:
    assert running_killers(["bash", "earlyoom", "systemd-oomd", "earlyoom"]) == (
        "earlyoom",
        "systemd-oomd",
    )


# Reading.


def test_every_process_of_this_machine_by_the_kernels_own_score() -> None:
    files = LiveFiles()
    page = os.sysconf("SC_PAGE_SIZE")

    def differing() -> set[int]:
        meminfo = files.parsed("proc/meminfo", parse_meminfo)
        assert not isinstance(meminfo, Gap)
        scope = machine_scope(meminfo, page)
        assert scope is not None
        ranking = rank_tasks(read_oom_tasks(files), scope, page, kernel_release(files))
        assert len(ranking.ranked) > 1
        known = [each for each in ranking.ranked if each.oom_score is not None]
        assert known and all(each.expected_score is not None for each in known)
        return {each.pid for each in ranking.candidates if each.differs}

    found: set[int] | None = None

    def nobody_differs_each_time() -> None:
        """A process may grow, or somebody make swap, between two readings: but not at each look."""
        nonlocal found
        now = differing()
        found = now if found is None else found & now
        assert found == set()

    until_alike(nobody_differs_each_time)


@pytest.mark.parametrize(
    "name", ["debian-6.18", "pod", "linux-3.2", "arm64-64k", "hostile", "no-psi"]
)
def test_every_captured_host_has_a_ranking(host: Host, name: str) -> None:
    files = host(name)
    meminfo = files.parsed("proc/meminfo", parse_meminfo)
    scope = None if isinstance(meminfo, Gap) else machine_scope(meminfo, PAGE)
    tasks = read_oom_tasks(files, groups=True)
    assert tasks
    if scope is not None:
        rank_tasks(tasks, scope, PAGE, kernel_release(files))


def test_the_captured_server_agrees_with_itself(host: Host) -> None:
    """Its sizes and scores were read at one moment, from one kernel."""
    files = host("debian-6.18")
    meminfo = files.parsed("proc/meminfo", parse_meminfo)
    assert not isinstance(meminfo, Gap)
    scope = machine_scope(meminfo, PAGE)
    assert scope is not None
    ranking = rank_tasks(read_oom_tasks(files, groups=True), scope, PAGE, kernel_release(files))
    assert ranking.ranked[0].name == "java"
    assert not any(each.differs for each in ranking.candidates)
    domain = read_oom_domain(files, "/system.slice/nightly.service")
    assert isinstance(domain, OomDomain) and domain.limit_bytes == 640 * MIB
    inside = group_scope(domain, meminfo, PAGE)
    assert inside is not None
    members = rank_tasks(read_oom_tasks(files, groups=True), inside, PAGE).candidates
    assert members and {each.group for each in members} == {"/system.slice/nightly.service"}


def test_what_is_read_of_a_process(host: Host) -> None:
    files = LiveFiles()
    own = read_oom_task(files, os.getpid(), groups=True)
    assert isinstance(own, OomTask)
    assert own.rss_bytes and own.page_tables_bytes and own.group
    gone = read_oom_task(files, 1 << 22)
    assert isinstance(gone, Gap) and gone.reason == "gone"


def test_page_tables_in_two_lines_are_one(tmp_path: Path) -> None:
    """From 4.0 to 4.14 the middle level had a line of its own."""
    directory = tmp_path / "proc" / "5"
    directory.mkdir(parents=True)
    (directory / "stat").write_text("5 (x) S 1 1 1 0 -1 4194304 " + "0 " * 43)
    (directory / "status").write_text(
        "Name:\tx\nVmRSS:\t8 kB\nVmPTE:\t12 kB\nVmPMD:\t8 kB\nVmSwap:\t0 kB\n"
    )
    found = read_oom_task(LiveFiles(str(tmp_path)), 5)
    assert isinstance(found, OomTask)
    assert (found.rss_bytes, found.swap_bytes, found.page_tables_bytes) == (8192, 0, 20480)
    assert (found.oom_score, found.oom_score_adj) == (None, None)


def test_the_tightest_group_and_the_one_that_dies_whole(host: Host, tmp_path: Path) -> None:
    own = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7f3a.slice"
    assert tightest_group(host("pod"), f"{own}/cri-containerd-5c1e.scope") == own
    mount = tmp_path / "sys/fs/cgroup"
    for path, whole in (("", 0), ("a", 0), ("a/b", 1), ("a/b/c", 1), ("a/b/c/d", 0)):
        (mount / path).mkdir() if path else mount.mkdir(parents=True)
        (mount / path / "cgroup.controllers").write_text("memory\n")
        if path:
            (mount / path / "memory.max").write_text("max\n")
            (mount / path / "memory.current").write_text("4096\n")
            (mount / path / "memory.oom.group").write_text(f"{whole}\n")
    files = LiveFiles(str(tmp_path))
    assert dies_with(files, "/a/b/c/d") == "/a/b"
    assert dies_with(files, "/a/b/c/d", "/a/b/c") == "/a/b/c"
    assert dies_with(files, "/a/b/c/d", "/a/b/c/d") is None
    assert dies_with(files, "/a") is None
    assert isinstance(read_oom_domain(files, "/nobody"), Gap)
