"""Damaged captures and hostile roots: whatever is in a file, or stands in its place, a sample is
taken, every report says something, and nothing waits or goes on without end."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memtui.cli import main
from memtui.kernel.details import DETAIL_FILES
from memtui.kernel.livefiles import LiveFiles
from memtui.live.looker import read_map
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS
from memtui.live.sampler import Sampler
from memtui.model.keys import ProcessKey
from memtui.model.sample import Sample
from memtui.model.system.metrics import METRICS
from tests.conftest import HOSTS_DIR

PID = 688
REPORTS = (
    *("free --json", "procs --json", f"maps {PID} --json", f"maps {PID}", "oom --json"),
    *("pressure --json", "zones --json", "zones", "slabs --json", "slabs", "cgroups --json"),
    *("cgroups", f"sample {PID} --json", "sar -r -B -S -W -H -q --json", "sar -r -S", "free"),
    *("procs", "oom", "pressure", "explain available", "explain left_bytes"),
)
_STUCK_S = 300
_LOG = (
    b"6,1,100,-;hog invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, "
    b"oom_score_adj=0\n3,2,101,-;Out of memory: Killed process 688 (hog) total-vm:5kB, "
    b"anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:4kB oom_score_adj:0\n"
    b"6,3,102,-;hog[688]: segfault at 8 ip 000055 sp 00007f error 4 in hog[1000+2000]\n"
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine with all that is read: one with nodes, the groups of another, a process of a third."""
    root = tmp_path_factory.mktemp("machine")
    for host in ("numa", "pod"):
        shutil.copytree(HOSTS_DIR / host, root, dirs_exist_ok=True)
    process = root / f"proc/{PID}"
    shutil.copytree(HOSTS_DIR / f"debian-6.18/proc/{PID}", process, dirs_exist_ok=True)
    task = process / f"task/{PID}"
    task.mkdir(parents=True, exist_ok=True)
    (task / "comm").write_bytes(b"hog\n")
    (task / "syscall").write_bytes(b"1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffc0000 0x7f0000\n")
    (process / "cgroup").write_bytes((root / "proc/self/cgroup").read_bytes())
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev/kmsg").write_bytes(_LOG)
    zram = root / "sys/block/zram0"
    zram.mkdir(parents=True, exist_ok=True)
    (zram / "disksize").write_bytes(b"4294967296\n")
    (zram / "mm_stat").write_bytes(b"1 2 3 4 5 6 7 8 9\n")
    return root


_NUMBER = re.compile(rb"\d+")
_BLANKS = re.compile(rb"[ \t]+")


def _put(pattern: re.Pattern[bytes], put: bytes) -> Callable[[bytes, int], bytes]:
    """Puts something in the place of one of what fits."""

    def damage(data: bytes, at: int) -> bytes:
        found = list(pattern.finditer(data))
        if not found:
            return data + put
        start, end = found[at % len(found)].span()
        return data[:start] + put + data[end:]

    return damage


def _shuffled(data: bytes, at: int) -> bytes:
    lines = data.splitlines(keepends=True)
    cut = at % (len(lines) + 1)
    return b"".join(lines[cut:] + lines[:cut])


CONTENTS: dict[str, Callable[[bytes, int], bytes]] = {
    "a NUL": lambda data, at: data[: at % (len(data) + 1)] + b"\0" + data[at % (len(data) + 1) :],
    "a NUL in a path": _put(re.compile(rb"/"), b"/\0"),
    "310 digits": _put(_NUMBER, b"9" * 310),
    "4,400 digits": _put(_NUMBER, b"9" * 4400),
    "all below zero": lambda data, at: _NUMBER.sub(b"18446744073709551488", data),
    "one below zero": _put(_NUMBER, b"18446744073709551488"),
    "below zero in kB": _put(_NUMBER, b"18014398509481856"),
    "minus one": _put(_NUMBER, b"-1"),
    "nearly 2^63": lambda data, at: _NUMBER.sub(b"9007199254740991", data),
    "no number": _put(_NUMBER, b"many"),
    "zeros": lambda data, at: _NUMBER.sub(b"0", data),
    "blanks": _put(_BLANKS, b" " * 400_000),
    "blanks everywhere": lambda data, at: _BLANKS.sub(b" " * 5_000, data[:20_000]),
    "a line of blanks": lambda data, at: data + b"x" + b" " * 400_000 + b"y\n",
    "a long name": _put(re.compile(rb"[A-Za-z]+"), b"a" * 400_000),
    "slashes": _put(re.compile(rb"/"), b"/a" * 200_000),
    "20,000 numbers": lambda data, at: data.rstrip(b"\n") + b" 1" * 20_000 + b"\n",
    "20,000 in the first line": _put(re.compile(rb"\n"), b" 1" * 20_000 + b"\n"),
    "nothing": lambda data, at: b"",
    "a part": lambda data, at: data[: at % (len(data) + 1)],
    "bytes": lambda data, at: (
        data[: at % (len(data) + 1)] + bytes((at * each) % 256 for each in range(400))
    ),
    "another order": _shuffled,
    "twice": lambda data, at: data + data,
}


def _in_its_place(path: Path, what: str) -> None:
    match what:
        case "a pipe":
            os.mkfifo(path)
        case "/dev/zero":
            path.symlink_to("/dev/zero")
        case "itself":
            path.symlink_to(path)
        case "a directory":
            path.mkdir()
        case "a hole without an end":
            path.touch()
            os.truncate(path, 1 << 40)


PLACES = ("a pipe", "/dev/zero", "itself", "a directory", "a hole without an end", "missing")


@contextlib.contextmanager
def damaged(path: Path, how: str, at: int) -> Iterator[None]:
    """A file as long as this lasts."""
    data = path.read_bytes()
    path.unlink()
    try:
        if how in CONTENTS:
            path.write_bytes(CONTENTS[how](data, at))
        else:
            _in_its_place(path, how)
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(data)


@pytest.fixture
def watchdog() -> Iterator[None]:
    """What waits, or goes on without end, is interrupted and fails."""

    def bark(number: int, frame: FrameType | None) -> None:
        pytest.fail("stuck")  # which nothing on the way catches, as it is no Exception

    before = signal.signal(signal.SIGALRM, bark)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def samples(root: Path) -> list[Sample]:
    """All that is read of a machine and its processes, with the map of one, again and again."""
    files = LiveFiles(str(root))
    sampler = Sampler(files)
    found = [sampler.first(1.0, PID)]
    for _ in range(2):
        keys = frozenset(found[-1].processes)
        key = next((key for key in keys if key.pid == PID), ProcessKey(PID, 0))
        plan = Plan(keys, key, every_detail=True, fields=FIELDS, details=DETAIL_FILES)
        found.append(sampler.sample(plan=plan))
        read_map(files, key, "smaps")
    sampler.close()
    return found


def _number(value: Any) -> None:
    assert isinstance(value, str | None) or math.isfinite(value)


def check(root: Path) -> None:
    signal.alarm(_STUCK_S)
    now, before = samples(root)[:0:-1]
    assert now.gaps == before.gaps == ()
    for gap in now.system:
        assert "a defect" not in str(gap)
    for metric in METRICS.values():
        _number(metric.value(now, before))
    for process in now.processes.values():
        assert process.rss_bytes is None or 0 <= process.rss_bytes < 1 << 63
    for report in REPORTS:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([*report.split(), "--root", str(root)])
        assert "a defect" not in err.getvalue(), (report, err.getvalue())
        assert status in (0, 1, 3, 4) and (out.getvalue() or err.getvalue())
        if status == 0 and report.endswith("--json"):
            for line in [out.getvalue()] if "sar" not in report else out.getvalue().splitlines():
                json.loads(line, parse_constant=pytest.fail)  # NaN and Infinity are no JSON


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


@given(st.integers(0, 10_000), st.sampled_from([*CONTENTS, *PLACES]), st.integers(0, 1 << 16))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_damaged_in_any_way(
    tree: Path, watchdog: None, which: int, how: str, at: int
) -> None:
    files = files_of(tree)
    with damaged(files[which % len(files)], how, at):
        check(tree)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("proc/self/cgroup", "a NUL in a path"),
        ("proc/meminfo", "a pipe"),
        ("proc/vmstat", "/dev/zero"),
        (f"proc/{PID}/statm", "310 digits"),
        (f"proc/{PID}/stat", "4,400 digits"),
        (f"proc/{PID}/smaps", "a line of blanks"),
        ("proc/slabinfo", "a line of blanks"),
        ("proc/swaps", "a line of blanks"),
        ("proc/buddyinfo", "20,000 numbers"),
        ("proc/zoneinfo", "all below zero"),
        (f"proc/{PID}/smaps", "all below zero"),
        (f"proc/{PID}/status", "one below zero"),
    ],
)
def test_what_has_broken_it(tree: Path, watchdog: None, name: str, how: str) -> None:
    with damaged(tree / name, how, 0):
        check(tree)
