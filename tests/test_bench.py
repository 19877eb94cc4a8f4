"""The benchmark works: what it finds is for whoever runs it in full."""

from __future__ import annotations

import math
import operator
import os
import sys
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import Mappings, read_mappings
from tests.bench.__main__ import MEASURES, main
from tests.bench.loads import churning, large
from tests.bench.mapview import key_row
from tests.bench.row import Row, table, tenth
from tests.bench.setup import EFFORTS, Setup
from tests.terminal import state, wait_until

TRIAL = Setup(sys.executable, EFFORTS["trial"])


@pytest.mark.parametrize("name", MEASURES)
def test_each_measure_gives_finite_figures(name: str) -> None:
    rows = list(MEASURES[name](TRIAL))
    assert rows
    for row in rows:
        if row.figure is None:
            assert "not installed" in row.note
        else:
            assert math.isfinite(row.figure)


def test_the_table_has_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--effort", "trial", "--python", sys.executable, "free", "growth"]) == 0
    what, head, *lines = capsys.readouterr().out.splitlines()
    assert what.startswith("memtui ") and f"Python {sys.version.split()[0]}" in what
    assert head.split() == ["what", "figure", "at", "most", "how"]
    for line, what in zip(lines, ("memtui free, ", "memtui free / ", "history "), strict=True):
        assert line.startswith(what)


def test_a_row_that_cannot_be_measured_says_why_and_fails(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With a program that cannot be run beside the Python."""
    (tmp_path / "memtui").symlink_to(os.devnull)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    assert main(["--effort", "trial", "--python", str(python), "free"]) == 1
    row = capsys.readouterr().out.splitlines()[-1]
    assert "FAILED" in row and "Permission denied" in row


def test_a_skipped_row_fails_where_all_are_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    words = ["--effort", "trial", "--python", sys.executable, "procs"]
    assert main(words) == 0
    assert main([*words, "--all-rows"]) == 1
    assert "smem is not installed" in capsys.readouterr().out


def test_a_python_without_memtui_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="has no memtui"):
        main(["--effort", "trial", "--python", "/usr/bin/false", "free"])


def test_verdicts() -> None:
    rows = [Row("a", 1.0, 1.0), Row("b", 1.1, 1.0), Row("c", 9.0), Row("d", None, 1.0, note="no")]
    rows.append(Row("e", None, failed=True))
    assert [row.verdict for row in rows] == ["ok", "OVER", "", "skipped", "FAILED"]
    assert table(rows).splitlines()[2].split() == ["b", "1.1", "1", "OVER"]


def test_the_tenth_of_a_few_is_the_least() -> None:
    assert tenth([3.0, 1.0, 2.0]) == 1.0
    assert tenth([float(each) for each in range(20, 0, -1)]) == 2.0


def test_one_key_in_a_hundred_may_be_late() -> None:
    times = [0.001 * each for each in range(1, 201)]
    row = key_row("keys", times, 200.0)
    assert row.figure == pytest.approx(198.0)
    assert row.note == "median 100, most 200 ms of 200 keys"
    times[17] = 2.1
    assert key_row("keys", times).note == "median 102, most 2100 ms of 200 keys, 1 without effect"


def mappings_of(pid: int) -> Mappings:
    mappings = read_mappings(LiveFiles(), pid)
    assert not isinstance(mappings, Gap)
    return mappings


def test_the_churning_load_churns_until_it_is_left() -> None:
    with churning(500) as (pid, pairs):
        first = pairs()
        wait_until(lambda: pairs() > first, "churning")
        assert len(mappings_of(pid)) >= 500
    assert state(pid) == ""


def test_the_large_load_is_as_large_as_asked_for() -> None:
    with large(100 << 30, 8 << 20) as pid:
        mappings = mappings_of(pid)
        sizes = map(operator.sub, mappings.ends, mappings.starts)
        resident = dict(zip(sizes, mappings.usage["Rss"], strict=True))
        # Transparent huge pages may round up what was touched; neighbours may be merged.
        assert 0 < resident[100 << 30] <= 4 << 20
        assert any(rss >= 8 << 20 for size, rss in resident.items() if size != 100 << 30)
