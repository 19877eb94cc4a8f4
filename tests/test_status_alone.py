"""A capture that has no stat and no statm, as sosreport makes them: status tells all but the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.process import identity_of_status, parse_extent, parse_identity
from memtui.live.machine import page_bytes_of
from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.model.sample import ProcessSample
from memtui.ondemand.oom import Outlook, read_outlook
from memtui.reports.processes import procs
from memtui.targets import named
from tests.oracles import until_alike
from tests.recorded import Recorded, recorded

TREES = Path(__file__).parent / "hosts"


def without(files: Recorded, *names: str) -> Recorded:
    kept = {
        name: data
        for name, data in files.files.items()
        if not (name.split("/")[1].isdecimal() and name.split("/")[-1] in names)
    }
    return Recorded(kept)


@pytest.fixture(params=["debian-6.18", "linux-3.2", "container"])
def whole(request: pytest.FixtureRequest) -> Recorded:
    return recorded(str(TREES / request.param))


def outlook(files: Recorded) -> Outlook:
    found = read_outlook(files, 4096)
    assert not isinstance(found, Gap)
    return found


def test_the_same_ones_would_be_killed(whole: Recorded) -> None:
    expected, found = outlook(whole), outlook(without(whole, "stat", "statm"))
    assert expected.ranking.ranked

    def of(outlook: Outlook) -> list[tuple[object, ...]]:
        known = outlook.ranking.candidates
        return sorted((each.pid, each.name, each.points, each.immune) for each in known)

    assert of(found) == of(expected)
    first = found.prediction.victim
    assert first is not None and first.key.start_time_ticks == 0


def test_the_list_of_processes_is_the_same(whole: Recorded) -> None:
    def rows(files: Recorded) -> list[dict[str, object]]:
        (text,) = procs(files, "json", pss=False)
        unknown = {"minor_faults": None, "major_faults": None}
        return sorted(({**row, **unknown} for row in json.loads(text)), key=lambda row: row["pid"])

    assert rows(without(whole, "stat")) == rows(whole)
    alone = without(whole, "stat", "statm")
    for row, expected in zip(rows(alone), rows(whole), strict=True):
        assert {**row, "rss_bytes": row["rss_bytes"] or 0} == expected


def test_the_dashboards_samples_are_the_same(whole: Recorded) -> None:
    alone = without(whole, "stat", "statm")
    plan = Plan(details=frozenset(), every_detail=True)

    def processes(files: Recorded) -> dict[int, ProcessSample]:
        sampler = Sampler(files, files.clock)
        sampler.sample(plan=plan)
        return {each.pid: each for each in sampler.sample(plan=plan).processes.values()}

    expected, found = processes(whole), processes(alone)
    assert found.keys() == expected.keys()
    page_bytes = page_bytes_of(whole)
    for pid, process in found.items():
        other = expected[pid]
        assert process.key == (pid, 0)
        assert (process.name, process.state, process.is_kernel_thread) == (
            other.name,
            other.state,
            other.is_kernel_thread,
        )
        assert (process.parent_pid, process.swap_bytes) == (other.parent_pid, other.swap_bytes)
        # The two files of a running process were captured one after the other.
        assert process.rss_bytes == pytest.approx(other.rss_bytes, abs=64 * page_bytes)
    first = Sampler(alone, alone.clock).first(1.0)
    assert len(first.processes) == min(len(expected), 64)


def test_a_name_finds_it(whole: Recorded) -> None:
    name = named(whole, next(iter(named(whole, "a"))).name)
    assert named(without(whole, "stat", "statm"), name[0].name) == name


def test_status_is_what_stat_is_on_this_machine(stopped_pid: int) -> None:
    files = LiveFiles()

    def status_agrees() -> None:
        stat = files.parsed(f"proc/{stopped_pid}/stat", parse_identity)
        status = files.parsed(f"proc/{stopped_pid}/status", identity_of_status)
        assert not isinstance(stat, Gap)
        assert status == stat._replace(flags=0, minflt=None, majflt=None, starttime=0)
        page_bytes = page_bytes_of(files)
        extents = [
            parse_extent((Path("/proc") / str(stopped_pid) / name).read_bytes(), page_bytes)
            for name in ("statm", "status")
        ]
        assert extents[0] == extents[1] and extents[0].rss_bytes

    until_alike(status_agrees)


@pytest.mark.parametrize(
    ("status", "name", "is_kernel_thread"),
    [
        (b"Name:\ta\\nb\\\\c\nState:\tS (sleeping)\nPid:\t9\nPPid:\t2\n", "a\nb\\c", True),
        (b"Name:\tx\nState:\tS\nPid:\t9\nPPid:\t1\nKthread:\t1\n", "x", True),
        (b"Name:\tx\nState:\tS\nPid:\t9\nPPid:\t2\nVmSize:\t4 kB\n", "x", False),
        (b"Name:\tx\nState:\tZ (zombie)\nPid:\t9\nPPid:\t2\n", "x", False),
    ],
)
def test_who_a_status_is_of(status: bytes, name: str, is_kernel_thread: bool) -> None:
    found = identity_of_status(status)
    assert (found.comm, found.is_kernel_thread) == (name, is_kernel_thread)
