"""Columns, orders, groups and trees of processes; sums against smem's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.details import DETAIL_FILES, Details, Shares
from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.live.looker import ShareReader
from memtui.live.machine import page_bytes_of
from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.live.users import user_name
from memtui.model.keys import ProcessKey
from memtui.model.oom.prospects import prospects_of
from memtui.model.processes.choosing import holding, ordered
from memtui.model.processes.columns import COLUMNS, FIELDS, Facts, is_always_known, needs, unit_of
from memtui.model.processes.groups import GROUPINGS, SORTS, grouped, sorted_groups, summed, tree
from memtui.model.processes.rates import RateTracker
from memtui.model.query import parse_query
from memtui.model.sample import ProcessSample, Sample
from memtui.session.history import GrowthTracker
from tests.oracles import until_alike
from tests.samples import MIB, process, sample

SERVER = process(10, "postgres", 200, start=5, swap_bytes=8 * MIB, parent_pid=1)
ONE = process(11, "postgres", 150, start=11, parent_pid=10)
TWO = process(12, "postgres", 150, start=12, parent_pid=10)
SHELL = process(30, "bash", 5, start=30, uid=1000)
KTHREAD = process(2, "kswapd0", 0, start=2, is_kernel_thread=True, swap_bytes=0)
EVERYONE = (SERVER, ONE, TWO, SHELL, KTHREAD)


def facts(*processes: ProcessSample, shared: dict[ProcessKey, Shares | Gap] | None = None) -> Facts:
    now = sample(1000.0, *processes)._replace(shares=shared or {})
    return Facts(now, GrowthTracker(), str, ticks_per_s=100)


def pss(time_s: float = 1000.0) -> dict[ProcessKey, Shares | Gap]:
    return {each.key: Shares(time_s, 60 * MIB, 20 * MIB) for each in (SERVER, ONE, TWO)}


def test_a_sum_of_pss_counts_no_page_twice_and_one_of_rss_is_an_upper_bound() -> None:
    known = facts(*EVERYONE, shared={**pss(), SHELL.key: Gap("proc/30/smaps_rollup", "denied")})
    groups = {group.name: group for group in grouped(known, EVERYONE, "program")}
    server = groups["postgres"]
    assert (server.rss_bytes, server.memory_bytes) == (500 * MIB, 180 * MIB)
    assert (server.uss_bytes, server.swap_bytes) == (60 * MIB, 8 * MIB)
    assert server.is_exact
    assert not server.is_aged
    shell = groups["bash"]
    assert (shell.memory_bytes, shell.is_exact, shell.uss_bytes) == (5 * MIB, False, None)
    threads = groups["(kernel threads)"]
    assert (threads.memory_bytes, threads.is_exact) == (0, True)


def test_one_member_without_pss_makes_the_sum_a_bound() -> None:
    shared = pss()
    del shared[TWO.key]
    group = summed(facts(*EVERYONE, shared=shared), "postgres", (SERVER, ONE, TWO))
    assert group.memory_bytes == 270 * MIB
    assert not group.is_exact
    assert group.shared == 2


def test_a_sum_of_what_was_read_long_ago_is_aged() -> None:
    assert summed(facts(*EVERYONE, shared=pss(900.0)), "", (SERVER, ONE)).is_aged


@given(
    st.lists(
        st.tuples(
            st.integers(1, 6),
            st.integers(0, 900),
            st.none() | st.integers(0, 900),
            st.integers(0, 2),
        ),
        max_size=12,
    )
)
def test_groups_are_a_partition_and_no_sum_exceeds_rss(
    rows: list[tuple[int, int, int | None, int]],
) -> None:
    processes, shared = [], {}
    for at, (name, rss, part, uid) in enumerate(rows):
        made = process(at + 1, f"p{name}", rss, start=at, uid=uid)
        processes.append(made)
        if part is not None:
            shared[made.key] = Shares(1000.0, min(part, rss) * MIB, 0)
    known = facts(*processes, shared=dict(shared))
    for grouping in GROUPINGS:
        groups = grouped(known, processes, grouping)
        members = [key for group in groups for key in group.members]
        assert sorted(members) == sorted(each.key for each in processes)
        assert sum(group.rss_bytes for group in groups) == sum(p.rss_bytes or 0 for p in processes)
        for group in groups:
            assert 0 <= group.memory_bytes <= group.rss_bytes
        for by in SORTS:
            assert sorted_groups(groups, by, True)[:0] == []
            assert len(sorted_groups(groups, by, False)) == len(groups)


def test_units_are_readable() -> None:
    assert unit_of("/system.slice/postgresql.service") == "postgresql.service"
    assert unit_of("/system.slice/postgresql.service/workers") == "postgresql.service"
    assert unit_of("/user.slice/user-1000.slice/session-2.scope") == "session 2"
    assert unit_of("/system.slice/docker-" + "ab" * 32 + ".scope") == "docker abababababab"
    assert unit_of("/") == "/"
    assert unit_of("/a:b\\x2dc") == "a:b-c"


# Trees.


def test_a_tree_has_children_below_their_parents_in_order() -> None:
    branches = tree((SHELL, TWO, SERVER, ONE, KTHREAD))
    assert [branch.process.pid for branch in branches] == [30, 10, 12, 11, 2]
    assert [branch.lines for branch in branches] == ["", "", "├─", "└─", ""]


def test_a_tree_of_some_shows_who_is_above_them() -> None:
    assert [branch.process.pid for branch in tree((TWO,), EVERYONE)] == [10, 12]


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8), st.integers(0, 3)), max_size=10))
def test_a_tree_of_anything_has_everyone_once(rows: list[tuple[int, int, int]]) -> None:
    """Also where pids came back, and two say that each is the other's parent."""
    by_pid = {
        pid: process(pid, "x", 1, start=start, parent_pid=parent) for pid, parent, start in rows
    }
    everyone = list(by_pid.values())
    assert sorted(each.process.pid for each in tree(everyone)) == sorted(by_pid)
    for some in (everyone[:1], everyone[1:]):
        shown = [each.process.pid for each in tree(some, everyone)]
        assert {each.pid for each in some} <= set(shown)
        assert len(shown) == len(set(shown))


# Columns.


def test_unknown_values_come_last_either_way() -> None:
    known = facts(*EVERYONE, shared=pss())
    for downwards in (True, False):
        rows = ordered(known, EVERYONE, "pss", downwards)
        assert {row.pid for row in rows[-2:]} == {2, 30}
    assert [row.pid for row in ordered(known, EVERYONE, "rss", True)] == [10, 11, 12, 30, 2]
    assert [row.pid for row in ordered(known, EVERYONE, "rss", False)] == [2, 30, 11, 12, 10]
    assert [row.pid for row in ordered(known, EVERYONE, "name", False)][:2] == [30, 2]


def test_every_column_has_a_value_or_none_and_can_be_asked() -> None:
    whole = Details(999.0, 1, 2, 3, 4, 5, 6, 7, -8, "/a.service", "cmd")
    known = facts(*EVERYONE, shared=pss())
    known = known._replace(sample=known.sample._replace(details={SERVER.key: whole}))
    for name, column in COLUMNS.items():
        value = column.value(known, SERVER)
        example = {"text": f"{name}:a", "count": f"{name}>=0", "percent": f"{name}>=0"}.get(
            column.type, f"{name}>=-1"
        )
        if name == "state":
            example = "state:S"
        if column.type == "bytes":
            example = f"{name}>=0"
        terms = parse_query(example, FIELDS)
        found = holding(known, EVERYONE, terms)
        assert (SERVER in found) == (value is not None and terms[0].holds(value)), (name, value)
        ordered(known, EVERYONE, name, True)
        assert is_always_known(name) <= (column.needs == "")
    assert needs(("pss", "adj", "rss")) == {"shares", "oom_score_adj"}


def test_words_are_looked_for_in_name_pid_and_command() -> None:
    whole = Details(999.0, command="/usr/lib/Server --port 5432")
    known = facts(*EVERYONE)
    known = known._replace(sample=known.sample._replace(details={ONE.key: whole}))
    for text, pids in (("server", [11]), ("BASH", [30]), ("12", [12]), ("-postgres", [30, 2])):
        found = holding(known, EVERYONE, parse_query(text, FIELDS))
        assert [each.pid for each in found] == pids, text
    itself = known._replace(own_pid=ONE.pid)  # memtui's command line has what it was asked for
    assert not holding(itself, EVERYONE, parse_query("server", FIELDS))


def test_fault_rates_come_from_two_readings_and_never_from_another_process() -> None:
    tracker = RateTracker()
    first = Details(10.0, minor_faults=100, major_faults=5)
    tracker.record({ONE.key: first})
    tracker.record({ONE.key: first})
    assert not tracker.rates
    tracker.record({ONE.key: Details(14.0, minor_faults=300, major_faults=7)})
    rates = tracker.rates[ONE.key]
    assert (rates.minor_per_s, rates.major_per_s) == (50.0, 0.5)
    again = ONE.key._replace(start_time_ticks=99)
    tracker.record({again: Details(15.0, minor_faults=1, major_faults=0)})
    assert not tracker.rates
    tracker.record({again: Details(16.0, minor_faults=0, major_faults=0)})
    assert not tracker.rates  # counters do not go back: whatever that was


def test_the_last_minute_of_a_process() -> None:
    growth = GrowthTracker()
    for second in range(91):
        size = 10 if second < 60 else 20 if second < 75 else 40
        growth.record(sample(1000.0 + second, process(1, "x", size)))
    key = process(1, "x", 1).key
    values = growth.last_minute(key, 8)
    assert [None if value is None else value // MIB for value in values] == [
        *(10, 10, 10, 20),
        *(20, 40, 40, 40),
    ]
    assert growth.last_minute(ProcessKey(9, 9), 4) == [None] * 4
    young = GrowthTracker()
    young.record(sample(1000.0, process(1, "x", 10)))
    assert young.last_minute(key, 4) == [None, None, None, 10 * MIB]


# Real machines.


def _whole(files: Files) -> Sample:
    sampler = Sampler(files)
    sampler.sample()
    found = sampler.sample(1.0, Plan(details=DETAIL_FILES, every_detail=True))
    sampler.close()
    return found


def test_the_rank_is_that_of_the_oom_report() -> None:
    """One that ends while it is looked at has no score any more."""
    until_alike(ranks_agree)


def ranks_agree() -> None:
    files = LiveFiles()
    found = _whole(files)
    prospects = prospects_of(found, page_bytes_of(files))
    assert prospects
    assert sorted(each.rank for each in prospects.values()) == list(range(1, len(prospects) + 1))
    by_rank = sorted(prospects.items(), key=lambda each: each[1].rank)
    points = [prospect.points for _, prospect in by_rank]
    assert points == sorted(points, reverse=True)
    scores = [found.processes[key].oom_score or 0 for key, _ in by_rank]
    assert scores[0] >= scores[-1]


def test_pss_of_a_program_is_what_smem_says() -> None:
    """Of forked sharers that sleep: their sum is far below that of RSS."""
    if not shutil.which("smem"):
        pytest.skip("smem is not installed")
    name = f"share-{os.getpid()}"
    script = (
        "import os, sys, time\nx = bytearray(30 << 20)\n"
        f"open('/proc/self/comm', 'w').write('{name}')\n"
        "for _ in range(4):\n  if not os.fork(): break\n"
        "else: print(1, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        try:
            assert parent.stdout
            parent.stdout.readline()
            until_alike(lambda: smem_agrees(name))
        finally:
            if parent.stdin:
                parent.stdin.close()
            parent.wait()


def smem_agrees(name: str) -> None:
    """Once the five sleep: until then they make pages of the others' their own."""
    files = LiveFiles()
    found = _whole(files)
    ours = [each for each in found.processes.values() if each.name == name]
    assert len(ours) == 5
    reader = ShareReader(files)
    now = time.monotonic()
    for _ in ours:  # at least one a time, and no more than it may cost
        reader.read({each.key for each in ours}, now)
    known = Facts(
        found._replace(shares=reader.known(found.processes)),
        GrowthTracker(),
        lambda uid: user_name(uid or 0),
    )
    (group,) = (each for each in grouped(known, ours, "program") if each.name == name)
    assert group.is_exact
    assert group.memory_bytes < group.rss_bytes / 2
    done = subprocess.run(
        ["smem", "-H", "-c", "pid pss uss rss swap"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr  # where a process ends before its eyes, it may fail
    pids = {str(each.pid) for each in ours}
    rows = [line.split() for line in done.stdout.splitlines() if line.split()[0] in pids]
    assert len(rows) == 5
    pss_kib, uss_kib, rss_kib = (sum(int(row[column]) for row in rows) for column in (1, 2, 3))
    # smem adds up what smaps has rounded down to kB, a mapping at a time.
    assert pss_kib * 1024 == pytest.approx(group.memory_bytes, rel=0.03)
    assert uss_kib * 1024 == pytest.approx(group.uss_bytes, rel=0.03)
    assert rss_kib * 1024 == pytest.approx(group.rss_bytes, rel=0.03)
