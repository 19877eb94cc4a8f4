"""Real kills in real memory cgroups: memtui names the victim before the kernel takes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from memtui.kernel.deaths import OomKill, deaths
from memtui.kernel.files import Gap
from memtui.kernel.kmsg import KernelLog
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.oom import kernel_release, read_oom_domain, read_oom_tasks
from memtui.kernel.process import parse_cmdline
from memtui.kernel.values import parse_counters
from memtui.kernel.vmstat import parse_vmstat
from memtui.model.oom.obituary import MACHINE, Known, Look, Memories, Obituary, State, observe
from memtui.model.oom.ranking import Ranking, group_scope, machine_scope, rank_tasks
from tests.programs import compiled
from tests.programs.ooms import SCENARIOS, V1, Full, scenario

pytestmark = pytest.mark.xdist_group("machine")

PAGE = os.sysconf("SC_PAGE_SIZE")
FILES = LiveFiles()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled("oomer", tmp_path_factory.mktemp("oomer"))


def rankings(path: str) -> tuple[Ranking, Ranking]:
    """The machine's now, and the group's."""
    meminfo = FILES.parsed("proc/meminfo", parse_meminfo)
    domain = read_oom_domain(FILES, path)
    assert not isinstance(meminfo, Gap) and not isinstance(domain, Gap)
    machine, group = machine_scope(meminfo, PAGE), group_scope(domain, meminfo, PAGE)
    assert machine is not None and group is not None
    tasks, release = read_oom_tasks(FILES, groups=True), kernel_release(FILES)
    ranked = (rank_tasks(tasks, scope, PAGE, release) for scope in (machine, group))
    return next(ranked), next(ranked)


def kill_counts(full: Full) -> dict[str, int]:
    vmstat = FILES.parsed("proc/vmstat", parse_vmstat)
    assert not isinstance(vmstat, Gap)
    counts = {MACHINE: vmstat["oom_kill"]}
    for directory in (
        full.directory,
        *(each for each in full.directory.iterdir() if each.is_dir()),
    ):
        control = parse_counters((directory / "memory.oom_control").read_bytes())
        counts["/" + str(directory.relative_to(V1))] = control["oom_kill"]
    return counts


def look(
    full: Full,
    ranking: Ranking,
    log: tuple[OomKill, ...] = (),
    totals: Mapping[str, int] | None = None,
) -> Look:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    return Look(now, PAGE, ranking, kill_counts(full), totals or {}, log, bool(log))


def remembered(ranking: Ranking) -> Memories:
    memories = Memories()
    for each in ranking.ranked:
        command = FILES.parsed(f"proc/{each.pid}/cmdline", parse_cmdline)
        known = Known(
            each.key, each.name, None if isinstance(command, Gap) else command, each.group
        )
        memories.note(known)
    return memories


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_victim_is_named_before(name: str, program: Path, tmp_path: Path) -> None:
    made = SCENARIOS[name]
    log = KernelLog(FILES, only_new=True)
    with scenario(made, program, tmp_path) as full:
        machine, group = rankings(full.path)
        named = group.ranked[0]
        assert named.name == made.dies
        before, memories = look(full, machine), remembered(machine)
        full.go()
        full.wait_for(named.pid)
        kills = kills_in(log, full)
        if kills is not None:
            kills = kills[:1]
            assert [each.pid for each in kills] == [named.pid]
            assert [(each.name, each.is_group) for each in kills] == [(made.dies, True)]
            assert kills[0].oom_group in (None, full.path)
            assert kills[0].task_group in (None, named.group)
        after, _ = rankings(full.path)
        obituaries_agree(full, before, after, tuple(kills or ()), memories, group)
        if name == "adj too small":
            raised = next(each for each in group.candidates if each.name == "raised")
            assert (raised.oom_score or 0) > (named.oom_score or 0)


def kills_in(log: KernelLog, full: Full) -> list[OomKill] | None:
    """The kernel's lines about those that died; None where the log may not be read.

    They are written after the signal, so a quick victim is gone before. What is said of its group
    is left out where there were many kills lately.
    """
    deadline = time.monotonic() + 20
    while True:
        said = log.read()
        if isinstance(said, Gap):
            return None
        kills = [
            each
            for each in deaths(said.records)
            if isinstance(each, OomKill) and each.pid in full.pids
        ]
        if kills or time.monotonic() > deadline:
            return kills
        time.sleep(0.005)


def obituaries_agree(
    full: Full,
    before: Look,
    after: Ranking,
    kills: tuple[OomKill, ...],
    memories: Memories,
    group: Ranking,
) -> None:
    """With the log and without it the same one is mourned first, and once."""
    named = group.ranked[0]

    def told(log: tuple[OomKill, ...]) -> list[Obituary]:
        state, first = observe(State(), before, memories)
        assert first == []
        totals = {path: group.scope.total_pages for path in before.kills if path}
        state, found = observe(state, look(full, after, log, totals), memories)
        _, later = observe(state, look(full, after, (), totals), memories)
        return [each for each in found + later if each.group and each.group.startswith(full.path)]

    for log, source in ((kills, "kernel log"), ((), "inferred")):
        if source == "kernel log" and not kills:
            continue
        obituary, *others = told(log)
        assert named.pid not in [each.pid for each in others]
        assert (obituary.pid, obituary.name, obituary.source) == (named.pid, named.name, source)
        assert obituary.cause == "oom in cgroup"
        assert obituary.group == named.group
        assert obituary.command is not None and "oomer" in obituary.command
        assert obituary.rss_bytes is not None and named.rss_pages is not None
        assert obituary.rss_bytes == pytest.approx(named.rss_pages * PAGE, rel=0.1, abs=4 << 20)


def test_the_command_names_it_too(program: Path, tmp_path: Path) -> None:
    with scenario(SCENARIOS["raised adj"], program, tmp_path) as full:
        command = [sys.executable, "-m", "memtui", "oom", "--cgroup", full.path]
        said = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
        first = json.loads(said.stdout)["candidates"][0]
        words = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert words.startswith(f"raised ({first['pid']}) would be killed in {full.path}\n")
        full.go()
        full.wait_for(first["pid"])
