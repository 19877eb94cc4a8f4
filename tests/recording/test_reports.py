"""Reports of a recording are those of the machine that was recorded."""

from __future__ import annotations

import csv
import io
import json
import os
import pwd
import re
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from memtui.cli import main
from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.recording.collector import MapsWanted
from memtui.recording.recorder import Recorder
from memtui.recording.recording import Recording
from memtui.recording.replay import Replay
from tests.conftest import HOSTS, HOSTS_DIR
from tests.recording.machines import Machine, recording_process, wait_for_ticks
from tests.terminal import wait_until

REPORTS = (
    *(["free"], ["pressure"], ["zones"], ["slabs"], ["cgroups"], ["oom"], ["procs"]),
    *(["sample"], ["explain"], ["explain", "available"], ["sar"], ["maps"], ["sample", "PID"]),
)


def taken(root: str, path: Path, ticks: int = 1) -> None:
    """A recording of a captured machine, with everybody's map."""
    recorder = Recorder(LiveFiles(root), str(path), maps=MapsWanted(largest=10_000))
    recorder.writer.start()
    for _ in range(ticks):
        recorder.tick(1.0)
    recorder.stop()


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(list(words))
    out, error = capsys.readouterr()
    return status, out, error


@pytest.mark.parametrize("host", HOSTS)
def test_reports_are_the_captured_machines(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(HOSTS_DIR / host)
    path = tmp_path / "day.memtui"
    taken(root, path)
    files = LiveFiles(root)
    with_map = [pid for pid in files.pids() if has_map(files, pid)]
    pid = str(min(with_map or files.pids()))
    for report in REPORTS:
        if report == ["sample", "PID"] and not with_map:
            continue
        words = [pid if word == "PID" else word for word in report]
        words += [pid] if words == ["maps"] else []
        # sar's table has the times at its lines, of the clock on the wall of whoever recorded.
        for form in ([], ["--json"])[words == ["sar"] :]:
            status, out, _ = said(capsys, *words, *form, "--root", root)
            found = said(capsys, *words, *form, "--from", str(path))
            place = re.compile(re.escape(str(path)) + r" at [-0-9]+ [:0-9]+")
            assert plain(found[1], place) == plain(out, re.compile(re.escape(root))), words
            assert status in (found[0], 0), (words, found)


def has_map(files: LiveFiles, pid: int) -> bool:
    smaps = files.read(f"proc/{pid}/smaps")
    return not isinstance(smaps, Gap) and bool(smaps)


def plain(text: str, place: re.Pattern[str]) -> str:
    """Without where it was read, when, and the kernel's log, which is told in another way."""
    text = place.sub("ROOT", text)
    text = re.sub(r'"timestamp": [0-9.]+|"timestamp": null', '"timestamp": 0', text)
    return re.sub(r"(?s)\nkills.*|\"kills\": \[.*?\], ", "", text)


@pytest.fixture
def day(tmp_path: Path) -> Machine:
    """Two minutes of it."""
    machine = Machine(str(tmp_path / "day.memtui"))
    for _ in range(120):
        machine.tick()
    machine.end()
    return machine


def path_of(machine: Machine, tmp_path: Path) -> str:
    assert machine.seen
    return str(tmp_path / "day.memtui")


def test_a_report_is_of_the_moment_that_is_meant(
    day: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(day, tmp_path)
    for back in (0, 1, 60, 119):
        meminfo = day.seen[-1 - back][1]["proc/meminfo"]
        free = re.search(rb"MemFree: +([0-9]+) kB", meminfo)
        assert free is not None
        status, out, error = said(capsys, "free", "--json", "--from", path, "--at", f"-{back}s")
        assert (status, error) == (0, "")
        assert json.loads(out)["mem"]["free"] == int(free[1]) * 1024


def test_what_was_not_recorded_is_told_and_fails(
    day: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(day, tmp_path)
    status, out, error = said(capsys, "procs", "--from", path)
    assert status == 1 and out
    assert error.startswith("memtui: not recorded: proc/PID/smaps_rollup of ")
    assert said(capsys, "procs", "--no-pss", "--from", path)[0] == 0
    pid = str(next(iter(day.files.pids())))
    status, out, error = said(capsys, "maps", pid, "--from", path)
    assert (status, out) == (1, "") and "memtui record --map PID|NAME keeps maps" in error
    assert said(capsys, "maps", "999999", "--from", path)[0] == 4


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["free", "--at", "14:32"], 2, "--at goes with --from FILE"),
        (["free", "--from", "DAY", "--root", "/"], 2, "--from or --root, not both"),
        (["--from", "DAY"], 2, "--from goes with a report"),
        (["config", "--from", "DAY"], 2, "config is no report, and takes no --from"),
        (["free", "--from", "DAY", "--at", "noon"], 2, "expected a time such as -15m"),
        (["free", "--from", "DAY", "--at", "1999-01-01"], 1, "begins at"),
        (
            ["free", "--from", "DAY", "--at", "2099-01-01"],
            1,
            "nothing of 2099-01-01 00:00:00 is in it",
        ),
        (["export", "DAY", "--since", "2099-01-01"], 1, "nothing of 2099-01-01 00:00:00 is in it"),
        (["leaks", "DAY", "--since", "AFTER"], 1, "is in it, which is from"),
        (["leaks", "DAY", "--since", "-10s", "--until", "-20s"], 2, "-10s is after --until -20s"),
        (["sar", "--from", "DAY", "--since", "-1s", "--until", "-2s"], 2, "is after --until -2s"),
        (["oom", "--cgroup", "/none", "--from", "DAY"], 1, "memtui cgroups --from DAY --at 2027-"),
        (["free", "--from", "none"], 1, "none: No such file"),
        (["sar", "--since", "-5m"], 2, "--since and --until go with --from FILE"),
        (["sar", "--from", "DAY", "--until", "1999-01-01"], 1, "nothing of that time is in it"),
        (["export", "none"], 1, "none: No such file"),
        (["export", "DAY", "--json", "--openmetrics"], 2, "not two"),
        (["record", "DAY", "--keep", "7"], 2, "--keep: expected a time such as"),
        (["record", "DAY", "--max-size", "5"], 2, "--max-size: expected a size"),
        (["record", "DAY", "--largest", "x"], 2, "--largest takes a number"),
        (["record", "/proc/none"], 1, "/proc/none cannot be recorded to"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_a_line(
    words: list[str],
    status: int,
    complaint: str,
    day: Machine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = path_of(day, tmp_path)
    after_s = day.seen[-1][0].time_s + 60
    after = time.strftime(
        "%H:%M:%S", time.localtime(after_s)
    )  # of the day of its end, and no other
    meant = {"DAY": path, "AFTER": after}
    found, out, error = said(capsys, *[meant.get(word, word) for word in words])
    assert (found, out, error.count("\n")) == (status, "", 1)
    assert complaint.replace("DAY", path) in error


def test_sar_is_of_successive_moments(
    day: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(day, tmp_path)
    status, out, _ = said(capsys, "sar", "--from", path, "--since", "-10s", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and len(rows) == 10
    assert [row["timestamp"] for row in rows] == [moment.time_s for moment, _ in day.seen[-10:]]
    status, out, _ = said(capsys, "sar", "10", "3", "--from", path, "--since", "-60s", "--json")
    times = [json.loads(line)["timestamp"] for line in out.splitlines()]
    assert status == 0 and [b - a for a, b in pairwise(times)] == [10, 10]


def test_exports_say_the_same(
    day: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(day, tmp_path)
    _, out, error = said(capsys, "export", path)
    assert error == ""
    table = list(csv.DictReader(io.StringIO(out)))
    _, out, _ = said(capsys, "export", path, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    _, metrics, _ = said(capsys, "export", path, "--openmetrics")
    assert metrics.endswith("# EOF\n")
    points = re.findall(r"^memtui_mem_free_bytes (\d+) ([0-9.]+)$", metrics, re.MULTILINE)
    assert len(table) == len(lines) == len(points) == 120
    for row, line, point in zip(table, lines, points, strict=True):
        free = line["figures"]["mem_free_bytes"]
        assert int(row["mem_free_bytes"]) == free == int(point[0])
        assert float(row["time_s"]) == line["time_s"] == float(point[1])
    sizes = {each["pid"]: each["rss_bytes"] for each in lines[-1]["processes"]}
    for pid, rss_bytes in sizes.items():
        assert re.search(
            rf'memtui_process_rss_bytes{{pid="{pid}",name="[^"]+"}} {rss_bytes} {points[-1][1]}\n',
            metrics,
        )
    families = re.findall(r"^# TYPE (\S+)", metrics, re.MULTILINE)
    assert len(families) == len(set(families))


def test_what_is_in_a_recording_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "day.memtui")
    machine = Machine(path)
    for at in range(150):
        machine.tick(600.0 if at == 100 else 1.0)
    machine.end()
    first, last = machine.seen[0][0], machine.seen[-1][0]
    status, out, error = said(capsys, "replay", path)
    assert (status, error) == (0, "")
    assert f"from     {first.words}" in out and f"to       {last.words}" in out
    assert "moments  150, every 1 s" in out
    hole = machine.seen[99][0]
    assert f"holes    1\n  {hole.words}  for 10 min" in out
    status, out, _ = said(capsys, "replay", path, "--json", "--at", "-5m")
    document = json.loads(out)
    assert status == 0 and document["ticks"] == 150 and len(document["holes"]) == 1
    with closing(Recording(path)) as recording:
        events = recording.events(float("-inf"), float("inf"))
    assert [event["text"] for event in document["events"]] == [event.text for event in events]
    status, _, error = said(capsys, "replay", path, "--at", "-2d")
    assert status == 1 and f"{path} begins at {first.words}" in error
    status, _, error = said(capsys, "replay", str(tmp_path / "none"))
    assert status == 1 and "No such file" in error


def test_who_holds_shared_memory_was_not_recorded(
    day: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(day, tmp_path)
    _, out, _ = said(capsys, "owners", "--from", path)
    assert "of shared memory (Shmem) was not recorded" in out
    assert "%" not in out and "tmpfs" not in out
    _, out, _ = said(capsys, "owners", "--json", "--from", path)
    assert json.loads(out)["named_pct"] is None


def test_users_of_this_machine_have_their_names(
    day: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.memtui"
    with recording_process(own) as process:
        wait_for_ticks(own, 1)
        process.terminate()
    _, _, error = said(capsys, "maps", "no-such-program", "--from", str(own))
    assert f"memtui procs --from {own} --at 20" in error or "that can be seen" in error
    user = pwd.getpwuid(os.geteuid()).pw_name
    _, out, _ = said(capsys, "procs", "--no-pss", "--json", "--from", str(own))
    assert {each["user"] for each in json.loads(out) if each["pid"] == process.pid} == {user}
    with closing(Recording(str(own))) as recording:
        assert recording.last is not None
        users = Replay(recording).machine(recording.last).users
        wait_until(lambda: users.name(os.geteuid()) == user)
    _, out, _ = said(capsys, "procs", "--no-pss", "--json", "--from", path_of(day, tmp_path))
    assert {each["user"] for each in json.loads(out)} == {"0"}, (
        "of another machine numbers are known"
    )


def test_whose_map_cannot_be_kept_yet_is_said(tmp_path: Path) -> None:
    path = tmp_path / "day.memtui"
    path.touch(0o644)
    words = ("--map", "no-such-program", "--map", str(os.getpid()))
    with recording_process(path, *words) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == (
            "memtui: no process 'no-such-program' yet: its map is kept once there is one\n"
        )
        process.terminate()
        assert process.stderr.read() == ""
    assert path.stat().st_mode & 0o777 == 0o600, "an empty file is begun as a new one is"
