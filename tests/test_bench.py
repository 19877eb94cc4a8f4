"""The benchmark works: what it finds is for whoever runs it in full."""

from __future__ import annotations

import math

import pytest

from tests.bench.__main__ import MEASURES, main
from tests.bench.row import Row, table


@pytest.mark.parametrize("name", MEASURES)
def test_each_measure_gives_finite_figures(name: str) -> None:
    rows = list(MEASURES[name](True))
    assert rows
    for row in rows:
        if row.figure is None:
            assert "not installed" in row.note
        else:
            assert math.isfinite(row.figure)


def test_the_table_has_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "free", "growth"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["what", "figure", "at", "most", "how"]
    for line, what in zip(lines, ("memtui free, ", "memtui free / ", "history "), strict=True):
        assert line.startswith(what)


def test_verdicts() -> None:
    rows = [Row("a", 1.0, 1.0), Row("b", 1.1, 1.0), Row("c", 9.0), Row("d", None, 1.0, note="no")]
    assert [row.verdict for row in rows] == ["ok", "OVER", "", "skipped"]
    assert table(rows).splitlines()[2].split() == ["b", "1.1", "1", "OVER"]
