"""Swap and running out: what is told of them, and that nothing is left."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from memtui.kernel.deaths import OomKill, deaths
from memtui.kernel.files import Gap
from memtui.kernel.ground import MARK
from memtui.kernel.kmsg import read_log
from memtui.kernel.livefiles import LiveFiles
from memtui.lab.bench import Bench
from memtui.lab.experiments.out import EXPERIMENT as OUT
from memtui.lab.experiments.swap import EXPERIMENT as SWAP
from tests.lab.runs import as_nobody, document, left, measured
from tests.oracles import until_alike

pytestmark = pytest.mark.xdist_group("machine")


class Ran(NamedTuple):
    """A run that is over: its processes, all of them, and its keeper."""

    processes: Mapping[str, int]
    keeper: int
    titles: list[str]


def ran(bench: Bench) -> Ran:
    if bench.available is not None:
        pytest.skip(bench.available.detail)
    try:
        while not bench.is_over:
            told = bench.step()
            assert not isinstance(told, Gap) and told.agrees, told
        assert bench.keeper_pid is not None
        titles = [told.step.title for told in bench.told]
        return Ran(dict(bench.processes), bench.keeper_pid, titles)
    finally:
        bench.close()


def alive(run: Ran) -> list[str]:
    """Those of its processes that are still there, by the name that the lab gave them."""
    paths = {name: Path(f"/proc/{pid}/comm") for name, pid in run.processes.items()}
    return [name for name, path in paths.items() if path.exists() and "lab-" in path.read_text()]


def test_what_does_not_fit_goes_out_and_comes_in_again() -> None:
    told = measured("swap")
    assert told["and back"]["faults"] > 0
    if "thrashing" in told:
        calm = told["the same with what fits"]["major then"]
        assert told["thrashing"]["major in pass 2"] > 10 * calm


def test_without_a_group_pages_leave_by_advice() -> None:
    def agree() -> None:
        """Others on the machine may have pressed, too."""
        run = ran(Bench(LiveFiles(), SWAP._replace(likes=frozenset())))
        assert run.titles == ["what fits", "out by advice", "and back"]
        assert left(run.keeper) == []

    until_alike(agree)


def test_one_is_killed_and_nothing_is_left() -> None:
    run = ran(Bench(LiveFiles(), OUT))
    assert left(run.keeper) == []
    assert alive(run) == []
    if "more than there is" not in run.titles:
        pytest.skip("needs a memory cgroup of version 1")
    assert set(run.processes) == {"", "big", "small"}
    log = read_log(LiveFiles())
    if isinstance(log, Gap):
        pytest.skip(log.detail)
    kills = [death for death in deaths(log.records) if isinstance(death, OomKill)]
    mine = [kill for kill in kills if f"{MARK}-{run.keeper}-" in (kill.oom_group or "")]
    assert [(kill.pid, kill.name) for kill in mine[-1:]] == [(run.processes["big"], "lab-out-big")]
    assert len(mine) == 1


def test_nobody_is_killed_where_there_is_no_group_for_it() -> None:
    nobody = as_nobody()
    if nobody is None:
        pytest.skip("needs root, setpriv, and a Python 3.11 that nobody may run")
    found = document("out", nobody)
    titles = [step["title"] for step in found["steps"]]
    left_out = [step["title"] for step in found["left_out"]]
    assert titles == ["refused", "what panic_on_oom would have done"]
    assert left_out == [step.title for step in OUT.steps if step.needs]
    assert found["steps"][0]["measured"] == {"refusal": errno.ENOMEM, "lives": 1}
