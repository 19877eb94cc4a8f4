"""What a recording tells of growth, from the file alone: real leaks, made machines, damaged files."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from memtui.cli import main
from memtui.kernel.livefiles import LiveFiles
from memtui.model.processes.leaks import Leak
from memtui.recording.collector import MapsWanted
from memtui.recording.hunt import Hunt, hunt, moments_of
from memtui.recording.recorder import Recorder
from memtui.recording.recording import Recording
from tests.programs import compiled
from tests.recording.machines import Machine

FOREVER = float("-inf"), float("inf")
LONG_S = 90.0  # a slow machine's deadline
NEEDED = ("proc/meminfo", "proc/vmstat", "proc/stat", "proc/sys/")


class Scripted(Machine):
    """A machine that changes as a test says: a function of it, and of how many ticks have been."""

    def __init__(self, path: Path, change: Callable[[Scripted, int], None]) -> None:
        super().__init__(str(path))
        self.script = change

    def _change(self) -> None:
        if hasattr(self, "script"):
            self.script(self, len(self.seen))


def scripted(
    path: Path, ticks: int, change: Callable[[Scripted, int], None], seconds: float = 1.0
) -> Path:
    machine = Scripted(path, change)
    for _ in range(ticks):
        machine.tick(seconds)
    machine.end()
    return path


def hunted(path: Path, span: tuple[float, float] = FOREVER) -> Hunt:
    recording = Recording(str(path))
    try:
        found = hunt(recording, *span, lambda done, total: True)
    finally:
        recording.close()
    assert found is not None
    return found


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(list(words))
    out, error = capsys.readouterr()
    return status, out, error


# A real program, which there is once: it is found by its name.


class Leaky(NamedTuple):
    """The pid of one that leaks, a recording of it, and what of it leaks; how fast its heap grew."""

    pid: int
    path: Path
    leaks: list[Leak]
    bytes_per_s: float


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Leaky:
    """Recorded until it is to be seen."""
    directory = tmp_path_factory.mktemp("leaky")
    program, path = compiled("leaky", directory), directory / "day.memtui"
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline()
            maps = MapsWanted((str(process.pid),), every=5)
            recorder = Recorder(LiveFiles(), str(path), 0.1, maps=maps)
            recorder.start()
            began_s, began_bytes = time.monotonic(), heap_bytes(process.pid)
            while not is_plain(found := leaks_of(path, process.pid)):
                assert time.monotonic() < began_s + LONG_S, f"never found: {found}"
                time.sleep(1.0)
            grown = heap_bytes(process.pid) - began_bytes
            seconds = time.monotonic() - began_s
            recorder.stop()
        finally:
            process.kill()
    return Leaky(process.pid, path, found, grown / seconds)


def heap_bytes(pid: int) -> int:
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    start, end = next(line for line in maps if line.endswith("[heap]")).split()[0].split("-")
    return int(end, 16) - int(start, 16)


def is_plain(found: list[Leak]) -> bool:
    """Whether there are so many readings that nothing else looks like a leak, and both are alike."""
    if [each.series.what for each in found] != ["process", "mapping"]:
        return False
    process, mapping = (each.growth for each in found)
    return (
        mapping.slope_per_s == pytest.approx(process.slope_per_s, rel=0.3)
        and mapping.grown > 3 << 19
    )


def leaks_of(path: Path, pid: int) -> list[Leak]:
    try:
        return [each for each in hunted(path).leaks if each.series.pid == pid]
    except AssertionError:
        return []  # nothing has been written yet


@pytest.mark.xdist_group("leaky")
def test_a_real_leak_is_found_by_name_and_mapping(leaky: Leaky) -> None:
    process, mapping = leaky.leaks
    assert (process.series.what, process.series.name) == ("process", "leaky")
    assert (mapping.series.what, mapping.series.mapping) == ("mapping", "[heap]")
    assert mapping.series.kind == "heap"
    # A mebibyte a second; on a busy machine less, as it sleeps longer between steps than it asks for.
    assert process.growth.slope_per_s == pytest.approx(leaky.bytes_per_s, rel=0.4)
    assert process.growth.slope_per_s < 1.2e6
    assert process.until_full_s is not None
    assert process.until_full_s > 60


@pytest.mark.xdist_group("leaky")
def test_the_report_of_it(leaky: Leaky, capsys: pytest.CaptureFixture[str]) -> None:
    pid, path = leaky.pid, leaky.path
    status, out, _ = said(capsys, "leaks", str(path))
    assert status == 0
    assert "[heap]" in out
    status, out, _ = said(capsys, "leaks", str(path), "--json")
    rows = [row for row in json.loads(out) if row["pid"] == pid]
    assert [row["what"] for row in rows[:2]] == ["process", "mapping"]
    own = rows[1]
    assert own["name"] == "leaky"
    assert own["mapping"] == "[heap]"
    # By a line through its sizes, which may end a little above the last of them.
    size_bytes = int(own["end"], 16) - int(own["start"], 16)
    assert 1 << 20 < own["grown_bytes"] < 1.2 * size_bytes
    assert 0 < own["certainty"] <= 1
    assert own["plateau"] is False
    assert rows[0]["since"] <= time.time()
    status, out, _ = said(capsys, "leaks", str(path), "--csv")
    listed = list(csv.DictReader(io.StringIO(out)))
    assert [row["mapping"] for row in listed if row["pid"] == str(pid)][1] == "[heap]"


@pytest.mark.xdist_group("leaky")
def test_its_mappings_between_two_moments(leaky: Leaky, capsys: pytest.CaptureFixture[str]) -> None:
    pid, path = leaky.pid, leaky.path
    status, out, _ = said(capsys, "grew", str(path), str(pid), "--json")
    assert status == 0
    changes = json.loads(out)["changes"]
    heap = next(each for each in changes if each["path"] == "[heap]")
    assert heap["after"]["rss_bytes"] - heap["before"]["rss_bytes"] > 1 << 20
    assert "/memfd:still (deleted)" not in [each["path"] for each in changes]
    assert said(capsys, "grew", str(path), "leaky")[1].count("[heap]") == 1


# Made machines.


def test_days_are_looked_at_in_few_moments(tmp_path: Path) -> None:
    """However long it is: so many blocks, a third of them in the last twelfth, and never too much."""

    def leak(machine: Scripted, at: int) -> None:
        if at == 0:  # it is a long way: what is read is what is needed
            files = machine.files.files
            needed = [each for each in files if each[5:6].isdigit() or each.startswith(NEEDED)]
            for name in files.keys() - set(needed):
                del files[name]
        machine.files.resize(100, 1000 + at)

    path = scripted(tmp_path / "long.memtui", 60 * 90, leak)
    recording = Recording(str(path))
    moments = moments_of(recording, *FOREVER)
    first, last = recording.first, recording.last
    assert first is not None and last is not None
    assert 60 <= len(moments) <= 240
    assert moments == sorted(set(moments))
    span = last.time_s - first.time_s
    late = [each for each in moments if each.time_s > last.time_s - span / 12]
    assert len(late) >= len(moments) / 8
    assert moments[0].time_s < first.time_s + 0.05 * span
    recording.close()
    found = hunted(path)
    assert (found.looks, found.moments) == (len(moments), recording_ticks(path))
    assert [(each.series.what, each.series.pid) for each in found.leaks] == [("process", 100)]
    assert found.leaks[0].growth.slope_per_s == pytest.approx(4096, rel=0.02)


def recording_ticks(path: Path) -> int:
    recording = Recording(str(path))
    try:
        return recording.ticks
    finally:
        recording.close()


def test_what_is_swapped_out_still_leaks(tmp_path: Path) -> None:
    """RSS stays, as all that is new goes to swap."""

    def leak(machine: Scripted, at: int) -> None:
        status = f"Name:\tx\nUid:\t0\t0\t0\t0\nVmSwap:\t{at * 100} kB\n"
        machine.files.files["proc/100/status"] = status.encode()
        machine.files.resize(100, 1000 + at % 2)

    found = hunted(scripted(tmp_path / "swap.memtui", 600, leak))
    assert [each.series.pid for each in found.leaks] == [100]
    assert found.leaks[0].growth.slope_per_s == pytest.approx(102_400, rel=0.15)


def test_only_a_part_of_the_time_is_looked_at(tmp_path: Path) -> None:
    path = scripted(
        tmp_path / "part.memtui",
        300,
        lambda machine, at: machine.files.resize(100, 1000 + 50 * min(at, 150)),
    )
    recording = Recording(str(path))
    last = recording.last
    assert last is not None
    recording.close()
    assert [each.series.pid for each in hunted(path, (0, last.time_s - 160)).leaks] == [100]
    assert not hunted(path, (last.time_s - 140, last.time_s)).leaks


BORN, ENDS, STAYS, AGAIN = 900, 100, 101, 102


def lives(machine: Scripted, at: int) -> None:
    """One is born, one ends, one grows, one comes and goes, and a pid comes back."""
    files = machine.files
    if at == 20:
        files.start(BORN, 50_000, "new", 500)
        files.start(BORN + 1, 50_001, "flash", 4000)
    if at == 40:
        files.end(BORN + 1)
        files.end(ENDS)
        files.end(AGAIN)
        files.start(AGAIN, 60_000, "other", 300)
    files.resize(STAYS, 10 + at)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted(tmp_path_factory.mktemp("lives") / "day.memtui", 61, lives)


def test_births_deaths_and_a_pid_that_came_back(
    lived: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = said(capsys, "grew", str(lived), "--json")
    rows = json.loads(out)
    by_pid = {(row["pid"], row["what"]): row for row in rows}
    page = 4096
    assert by_pid[BORN, "born"]["after_bytes"] == 500 * page
    assert by_pid[ENDS, "ended"]["gained_bytes"] == -10 * page
    assert by_pid[STAYS, "grew"]["gained_bytes"] == 60 * page
    assert by_pid[BORN + 1, "came and went"]["most_bytes"] == 4000 * page
    assert by_pid[AGAIN, "born"]["name"] == "other"
    assert by_pid[AGAIN, "ended"]["name"] == "x"
    gained = [row["gained_bytes"] for row in rows]
    assert gained == sorted(gained, reverse=True)
    _, out, _ = said(capsys, "grew", str(lived))
    assert "came and went" in out
    assert "as large as before left out" in out


def test_together_by_name_and_user(lived: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "grew", str(lived), "--by", "name", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["new"]["born"] == 1
    assert (rows["x"]["processes"], rows["x"]["ended"]) == (30, 2)
    assert (rows["flash"]["what"], rows["flash"]["born"]) == ("came and went", 1)
    assert rows["x"]["gained_bytes"] == (60 - 10 - 10) * 4096
    _, out, _ = said(capsys, "grew", str(lived), "--by", "user", "--csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert row["name"] in ("root", "0")
    assert int(row["born"]) == 3
    assert "PROCESSES" in said(capsys, "grew", str(lived), "--by", "cgroup")[1]


def test_two_moments_are_those_that_are_named(
    lived: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = said(capsys, "grew", str(lived), "--since", "-15s", "--json")
    rows = [row for row in json.loads(out) if row["what"] != "same"]
    assert [(row["pid"], row["what"]) for row in rows] == [(STAYS, "grew")]
    assert rows[0]["gained_bytes"] == 15 * 4096


def test_a_map_of_another_process_is_not_compared(
    lived: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = said(capsys, "grew", str(lived), str(AGAIN))
    assert status == 1
    assert f"{AGAIN} was another process" in error


@pytest.mark.parametrize(
    ("words", "status", "hint"),
    [
        (["leaks", "none.memtui"], 1, "No such file"),
        (["grew", "none.memtui"], 1, "No such file"),
        (["leaks", "DAY", "--since", "14h00"], 2, "expected a time"),
        (
            ["leaks", "DAY", "--since", "1999-01-01", "--until", "1999-01-02"],
            1,
            "nothing of that time",
        ),
        (["grew", "DAY", "--by", "colour"], 2, "name, user or cgroup"),
        (["grew", "DAY", "101", "--by", "name"], 2, "leave PID out"),
        (["grew", "DAY", "424242"], 4, "no process"),
        (["grew", "DAY", "--since", "-1s", "--until", "-9s"], 2, "is after --until"),
        (["grew", "DAY", "101"], 1, "was not recorded"),
    ],
)
def test_what_cannot_be_told_is_one_line(
    words: list[str], status: int, hint: str, lived: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(lived) if word == "DAY" else word for word in words]
    found, out, error = said(capsys, *words)
    assert (found, out) == (status, "")
    assert hint in error
    assert error.count("\n") == 1


def test_what_is_damaged_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scripted(
        tmp_path / "day.memtui",
        600,
        lambda machine, at: machine.files.resize(100, 1000 + 50 * at),
    )
    database = sqlite3.connect(path)
    database.execute("update block set data = x'00' where id = 4")
    database.commit()
    database.close()
    status, out, error = said(capsys, "leaks", str(path), "--json")
    assert status == 0
    assert [row["pid"] for row in json.loads(out)] == [100]
    assert "block 4 is damaged" in error
