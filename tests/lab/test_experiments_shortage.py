"""Swap and running out: run to their end, with nothing left of them afterwards."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from memtui.kernel.deaths import OomKill, deaths
from memtui.kernel.files import Gap
from memtui.kernel.ground import MARK, place
from memtui.kernel.kmsg import KernelLog
from memtui.kernel.livefiles import LiveFiles
from memtui.lab.experiments.out import EXPERIMENT as OUT
from memtui.lab.needs import group_parent
from tests.lab.runs import as_nobody, document, measured

pytestmark = pytest.mark.xdist_group("machine")


def left_behind() -> list[str]:
    """Groups, directories, swap and processes of the lab."""
    parent = group_parent(LiveFiles())
    groups = Path(parent[1]).glob(f"{MARK}-*") if parent else ()
    swaps = [line for line in Path("/proc/swaps").read_text().splitlines() if MARK in line]
    return [
        *map(str, groups),
        *map(str, Path(place()).glob(f"{MARK}-*")),
        *swaps,
        *(name for name in names() if name.startswith("lab-")),
    ]


def names() -> list[str]:
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            found.append((directory / "comm").read_text().strip())
        except OSError:
            continue
    return found


def test_what_does_not_fit_goes_out_and_comes_in_again() -> None:
    before = left_behind()
    told = measured("swap")
    assert told["and back"]["faults"] > 0
    if "thrashing" in told:
        calm = told["the same with what fits"]["major then"]
        assert told["thrashing"]["major in pass 2"] > 10 * calm
    assert set(left_behind()) <= set(before)


def test_who_runs_out_is_refused_and_where_there_is_a_group_killed() -> None:
    before, kills = left_behind(), killed()
    steps = runs_out((sys.executable,))
    assert set(left_behind()) <= set(before)
    if kills is not None:
        assert killed() == kills + ["lab-out-big"] * ("more than there is" in steps)


def test_nobody_is_killed_where_there_is_no_group_for_it() -> None:
    nobody, kills = as_nobody(), killed()
    if nobody is None:
        pytest.skip("needs root, setpriv, and a Python 3.11 that nobody may run")
    assert "more than there is" not in runs_out(nobody)
    assert killed() == kills


def runs_out(before: tuple[str, ...]) -> list[str]:
    """The steps that could be made; the others are named as such."""
    found = document("out", before)
    steps = [step["title"] for step in found["steps"]]
    left_out = [step["title"] for step in found["left_out"]]
    assert sorted(steps + left_out) == sorted(step.title for step in OUT.steps)
    assert found["steps"][0]["measured"] == {"refusal": errno.ENOMEM, "lives": 1}
    return steps


def killed() -> list[str] | None:
    """The names of those of the lab that the kernel's log has as killed; None: it cannot be read."""
    log = KernelLog(LiveFiles())
    part = log.read()
    log.close()
    if isinstance(part, Gap):
        return None
    found = [each.name for each in deaths(part.records) if isinstance(each, OomKill)]
    return [name for name in found if name.startswith("lab-")]
