"""`memtui pressure`: live and on captured machines, in each form."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from memtui import units
from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.pressure import Pressure, parse_pressure
from memtui.model.shortage.rules import LEVELS
from memtui.model.system.metrics import METRICS
from memtui.reports.output import Failure
from memtui.reports.pressure import pressure
from tests.conftest import HOSTS, open_host

LIVE = LiveFiles()


def as_json(files: Files) -> Any:
    return json.loads("".join(pressure(files, "json")))


def as_csv(files: Files) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(pressure(files, "csv")))))


@pytest.mark.parametrize("host", HOSTS)
def test_json_of_a_captured_host(host: str) -> None:
    document = as_json(open_host(host))
    assert list(document) == ["memory", "watermarks", "verdict", "group"]
    psi = open_host(host).parsed("proc/pressure/memory", parse_pressure)
    for line, shown in document["memory"].items():
        if isinstance(psi, Gap):
            assert shown is None
            continue
        stall = getattr(psi, line)
        assert shown == {
            "avg10": stall.avg10_pct,
            "avg60": stall.avg60_pct,
            "avg300": stall.avg300_pct,
            "total_us": stall.total_us,
        }
    verdict = document["verdict"]
    assert verdict["level"] in LEVELS
    assert verdict["sentence"].endswith(".")
    for each in verdict["evidence"]:
        assert list(each) == ["metric", "label", "value", "unit", "text", "source", "decides"]
        assert each["metric"] in METRICS
    if document["watermarks"] is not None:
        zone = document["watermarks"][0]
        assert list(zone) == ["node", "zone", *(f"{each}_pages" for each in MARKS)]


MARKS = ("free", "min", "low", "high")


@pytest.mark.parametrize("host", HOSTS)
def test_text_fits_and_says_what_is_missing(host: str) -> None:
    text = "".join(pressure(open_host(host), "text"))
    assert all(units.width(line) <= 80 for line in text.splitlines())
    assert "From one state" in text
    psi = open_host(host).parsed("proc/pressure/memory", parse_pressure)
    assert ("pressure stall information: n/a" in text) == isinstance(psi, Gap)
    assert ("watermarks: n/a" in text) == (host == "container")


def test_csv_is_the_lines_of_psi() -> None:
    some, full = as_csv(open_host("debian-6.18-later"))
    assert some == {
        "line": "some",
        "avg10": "0.0",
        "avg60": "0.0",
        "avg300": "0.11",
        "total_us": "2276269",
        "level": "comfortable",
    }
    assert (full["line"], full["total_us"]) == ("full", "1074827")
    empty = as_csv(open_host("no-psi"))[0]
    assert (empty["avg10"], empty["total_us"], empty["level"]) == ("", "", "comfortable")


def test_this_machine_now() -> None:
    """Two looks: the counters only grow, and the words are not of one state."""
    before = LIVE.parsed("proc/pressure/memory", parse_pressure)
    document = as_json(LIVE)
    after = LIVE.parsed("proc/pressure/memory", parse_pressure)
    if not isinstance(before, Pressure) or not isinstance(after, Pressure):
        pytest.skip("no PSI")
    assert before.some and after.some
    assert before.some.total_us <= document["memory"]["some"]["total_us"] <= after.some.total_us
    assert {"mem_available_bytes", "stalled_some_pct"} <= {
        each["metric"] for each in document["verdict"]["evidence"]
    }
    assert "From one state" not in "".join(pressure(LIVE, "text"))


def test_without_any_source_it_fails(tmp_path: Any) -> None:
    (tmp_path / "proc").mkdir()
    with pytest.raises(Failure, match=r"proc/meminfo: absent"):
        list(pressure(LiveFiles(str(tmp_path)), "text"))


def test_a_group_at_its_limit_is_told_first(tmp_path: Path) -> None:
    for name, text in {
        "proc/meminfo": "MemTotal: 134217728 kB\nMemFree: 100000000 kB\nMemAvailable: 120000000 kB\n",
        "proc/pressure/memory": SOME.format(0) + FULL.format(0),
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": "4294967296\n",
        "sys/fs/cgroup/memory.high": "max\n",
        "sys/fs/cgroup/memory.current": "4290000000\n",
        "sys/fs/cgroup/memory.stat": "anon 4250000000\nactive_file 0\ninactive_file 10000000\n",
        "sys/fs/cgroup/memory.pressure": SOME.format(45) + FULL.format(42),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    files = LiveFiles(str(tmp_path))
    text = "".join(pressure(files, "text"))
    assert text.startswith(
        "Control group / (4.0 GiB of memory.max 4.0 GiB, stalled 45 %): About to run"
    )
    assert "tasks wait for memory 45 %" in " ".join(text.split())
    group = json.loads("".join(pressure(files, "json")))["group"]
    assert group["binds"] and group["limit"] == "memory.max"
    assert group["available_bytes"] == 4294967296 - 4290000000 + 10000000
    assert group["verdict"]["level"] == "about_to_run_out"


SOME = "some avg10={:.2f} avg60=40.00 avg300=20.00 total=90000000\n"
FULL = "full avg10={:.2f} avg60=38.00 avg300=18.00 total=80000000\n"
