"""A process whose first thread has ended: the others' memory, wherever memory is read."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from memtui.kernel.details import Shares, read_shares
from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.oom import OomTask, read_oom_task
from memtui.kernel.pagemap import PRESENT, read_pagemap
from memtui.kernel.threads import living
from memtui.live.looker import Looker
from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.model.map.addressmap import AddressMap, MapReading
from memtui.ondemand.elf import read_image
from memtui.ondemand.questions import first_readable
from memtui.ondemand.sharers import find_sharers
from memtui.reports.mappings import maps
from memtui.reports.processes import procs
from memtui.reports.raw import sample
from memtui.targets import named
from tests.programs import compiled, key_of, look
from tests.recorded import Recorded
from tests.terminal import state, wait_until

FILES = LiveFiles()
MIB = 1 << 20
SIZE = 48 * MIB


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled("leaderless", tmp_path_factory.mktemp("leaderless"))


@pytest.fixture
def process(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Both of its threads alive, until it gets a byte."""
    with subprocess.Popen(
        [program, str(SIZE // MIB)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def pid(process: subprocess.Popen[bytes]) -> int:
    end_leader(process)
    return process.pid


def end_leader(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.write(b".")
    process.stdin.flush()
    wait_until(lambda: state(process.pid) == "Z", "without its first thread")


def test_the_leaders_own_files_are_empty(pid: int) -> None:
    assert Path(f"/proc/{pid}/statm").read_text().split() == ["0"] * 7
    directory = living(FILES, pid)
    assert directory != f"proc/{pid}"
    resident = int(Path("/", directory, "statm").read_text().split()[1])
    assert resident * os.sysconf("SC_PAGE_SIZE") > SIZE


def test_a_process_that_has_ended_whole_has_nobody_who_lives() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert living(FILES, child.pid) == f"proc/{child.pid}"
    assert living(FILES, os.getpid()) == f"proc/{os.getpid()}"


def test_its_size_stays_when_its_leader_ends(process: subprocess.Popen[bytes]) -> None:
    sampler = Sampler(FILES)
    key = key_of(process.pid)
    plan = Plan(frozenset({key}), details=frozenset({"cmdline", "cgroup"}))
    before = sampler.sample(plan=plan).processes[key]
    end_leader(process)
    sample = sampler.sample(plan=plan)
    now, details = sample.processes[key], sample.details[key]
    sampler.close()
    assert (now.rss_bytes or 0) > SIZE and now.size_bytes == pytest.approx(
        before.size_bytes, abs=MIB
    )
    assert now.state != "Z" and not now.is_zombie
    assert details.rss_anon_bytes is not None and details.rss_anon_bytes > SIZE
    assert details.command is not None and details.command.endswith(f"leaderless {SIZE // MIB}")


def test_its_size_is_found_at_first_sight_and_lost_at_its_end(pid: int) -> None:
    sampler = Sampler(FILES)
    key = key_of(pid)
    assert (sampler.sample().processes[key].rss_bytes or 0) > SIZE
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    gone = sampler.sample().processes[key]
    sampler.close()
    assert gone.rss_bytes == 0 and gone.is_zombie


def test_what_it_pays_for(pid: int) -> None:
    shares = read_shares(FILES, pid, 1.0)
    assert isinstance(shares, Shares)
    assert shares.uss_bytes is not None and shares.uss_bytes > SIZE


def test_its_map_its_pages_and_its_files(pid: int) -> None:
    map_ = look(pid)
    heap = max(range(len(map_)), key=lambda row: map_.mappings.get(row, "Rss") or 0)
    assert (map_.mappings.get(heap, "Rss") or 0) >= SIZE
    pages = read_pagemap(FILES, pid, map_.mappings.starts[heap], 16, 4096)
    assert not isinstance(pages, Gap)
    assert all(entry & PRESENT for entry in pages)
    row = next(row for row, path in enumerate(map_.mappings.paths) if path.endswith("/leaderless"))
    found = read_image(FILES, map_.key, map_.mappings, row)
    assert not isinstance(found, Gap), found
    assert first_readable(FILES, [map_.key]) == map_.key


def test_it_is_found_among_those_that_map_its_program(pid: int, program: Path) -> None:
    mappings = look(pid).mappings
    row = mappings.paths.index(str(program))
    found = find_sharers(
        FILES, mappings.devs[row], mappings.inodes[row], str(program), lambda done, total: True
    )
    assert pid in {each.key.pid for each in found.processes}


def test_its_map_stays_on_the_screen(pid: int) -> None:
    readings: list[MapReading] = []
    looker = Looker(FILES, readings.append)
    looker.look(lambda: Plan(map_of=key_of(pid)))
    assert [isinstance(reading.map, AddressMap) for reading in readings] == [True, True]
    assert all(len(reading.map) for reading in readings if isinstance(reading.map, AddressMap))


def test_the_oom_killer_sees_it(pid: int) -> None:
    task = read_oom_task(FILES, pid)
    assert isinstance(task, OomTask)
    assert task.rss_bytes is not None and task.rss_bytes > SIZE
    assert task.state != "Z"


def test_reports_tell_of_it(pid: int) -> None:
    row = next(row for row in json.loads("".join(procs(FILES, "json"))) if row["pid"] == pid)
    assert row["name"] == "leaderless" and row["command"].endswith("leaderless 48")
    for key in ("rss_bytes", "pss_bytes", "uss_bytes", "rss_anon_bytes", "peak_rss_bytes"):
        assert row[key] > SIZE, key
    mapped = json.loads("".join(maps(FILES, str(pid), "json")))
    assert mapped["gaps"] == [] and mapped["totals"]["rss_bytes"] > SIZE
    raw = json.loads("".join(sample(FILES, str(pid), True)))["process"]
    assert raw["stat"]["state"] == "Z"
    assert raw["statm"]["resident_pages"] * os.sysconf("SC_PAGE_SIZE") > SIZE
    assert raw["status"]["VmRSS"] > SIZE and raw["smaps_rollup"]["Rss"] > SIZE
    assert pid in {each.pid for each in named(FILES, "leaderless")}


def test_a_thread_that_ends_hands_over_to_the_next() -> None:
    """Of a recording, in which each ends when it is told to."""

    def stat(pid: int, state: str) -> bytes:
        fields = ["0"] * 49
        fields[16], fields[18] = "3", "77"
        return f"{pid} (many) {state} 1 {' '.join(fields[1:])}\n".encode()

    files = Recorded({"proc/5/stat": stat(5, "Z"), "proc/5/statm": b"0 0 0 0 0 0 0\n"})
    for tid, letter, pages in ((5, "Z", 0), (6, "Z", 0), (7, "S", 9), (8, "S", 9)):
        files.files[f"proc/5/task/{tid}/stat"] = stat(tid, letter)
        files.files[f"proc/5/task/{tid}/statm"] = f"{pages} {pages} 0 0 0 0 0\n".encode()
    sampler = Sampler(files)
    assert living(files, 5) == "proc/5/task/7"
    (before,) = sampler.sample().processes.values()
    for name in ("stat", "statm"):
        del files.files[f"proc/5/task/7/{name}"]
    (after,) = sampler.sample().processes.values()
    assert before.key == after.key and before.rss_bytes == after.rss_bytes == 9 * 4096
