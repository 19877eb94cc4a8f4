"""The graphs of a replay have no hole but where the recording has one, and where one looks its ticks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from memtui.live.plan import Plan
from memtui.recording.recording import Recording
from memtui.session.history import History
from memtui.session.rebuild import Rebuilt
from memtui.settings.values import DEFAULTS
from tests.recording.machines import Machine

NAME = "mem_free_bytes"
_PLAN = Plan()


def history_at(rebuilt: Rebuilt, time_s: float, *, is_whole: bool) -> History:
    """Of a moment, reaching as far ahead as its graphs do."""
    moment, _ = rebuilt.found(time_s, 0)
    assert moment is not None
    wound = rebuilt.at(moment, _PLAN)
    if is_whole:
        wound = rebuilt.completed(_PLAN, lambda: True) or wound
    return wound.memory.seen["host"].history


def drawn(history: History, first_s: float, last_s: float) -> list[float | None]:
    """What a graph has of each second of a time."""
    seconds = round(last_s - first_s)
    return history.ending(last_s).buckets(NAME, seconds, seconds).values


def lived(path: Path, ticks: int, hole_at: int = -1) -> Machine:
    machine = Machine(str(path))
    for at in range(ticks):
        machine.tick(200.0 if at == hole_at else 1.0)
    return machine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "day.memtui"
    lived(path, 400, hole_at=250).end()
    return path


@pytest.mark.parametrize("is_whole", [False, True])
@pytest.mark.parametrize("at", [10, 90, 200, 260, 330])
def test_a_hole_is_where_the_recording_has_one(path: Path, at: int, is_whole: bool) -> None:
    rebuilt = Rebuilt(Recording(str(path)), DEFAULTS)
    assert rebuilt.kept is not None and len(rebuilt.holes) == 1
    (first_s, last_s), ((begin_s, end_s),) = rebuilt.kept, rebuilt.holes
    history = history_at(rebuilt, first_s + at, is_whole=is_whole)
    values = drawn(history, first_s, last_s)
    times = [first_s + each for each in range(len(values))]
    lacking = [each for each, value in zip(times, values, strict=True) if value is None]
    assert [each for each in lacking if not begin_s - 1 <= each <= end_s + 1] == []
    assert len(lacking) > 90, "and that is one"
    rebuilt.close()


def test_the_block_where_one_is_has_its_ticks(path: Path) -> None:
    """What it looks like before the cursor is what it looks like after it."""
    recording = Recording(str(path))
    rebuilt = Rebuilt(recording, DEFAULTS)
    begin, end = list(recording.stretches(float("-inf"), float("inf")))[1]
    ahead = drawn(history_at(rebuilt, begin.boot_s, is_whole=True), begin.boot_s, end.boot_s)
    behind = drawn(history_at(rebuilt, end.boot_s, is_whole=True), begin.boot_s, end.boot_s)
    assert ahead == behind
    assert len(set(ahead)) > 50
    rebuilt.close()


def test_ticks_that_are_in_no_block_yet_are_drawn_too(tmp_path: Path) -> None:
    machine = lived(tmp_path / "day.memtui", 100)
    machine.recorder.writer.wait()
    left = tmp_path / "left"  # as a kill leaves it
    left.mkdir()
    for name in os.listdir(tmp_path):
        if name.startswith("day.memtui"):
            shutil.copy(tmp_path / name, left)
    machine.end()
    rebuilt = Rebuilt(Recording(str(left / "day.memtui")), DEFAULTS)
    assert rebuilt.kept is not None
    first_s, last_s = rebuilt.kept
    assert None not in drawn(history_at(rebuilt, first_s + 5, is_whole=True), first_s, last_s)
    rebuilt.close()
