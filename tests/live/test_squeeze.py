"""A real squeeze, live: the verdict goes from comfortable through thrashing to a kill."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from memtui.model.sample import Sample
from memtui.model.shortage.judge import Judge
from memtui.model.shortage.rules import LEVELS
from memtui.model.shortage.verdict import Verdict
from memtui.session.scope import in_group
from tests.squeeze import MIB, Clock, require, squeeze, swap_file

pytestmark = pytest.mark.xdist_group("machine")


@pytest.fixture
def swap() -> Iterator[None]:
    require()
    # Not /tmp, which may be in memory itself.
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as name,
        swap_file(Path(name), 256 * MIB),
    ):
        yield


@pytest.mark.usefixtures("swap")
def test_a_group_thrashes_and_is_killed() -> None:
    machine, inside = Judge(), Judge()
    seen: list[tuple[Verdict, Verdict]] = []

    def see(sample: Sample) -> None:
        dressed = in_group(sample)
        assert dressed is not None
        seen.append((machine.see(sample), inside.see(dressed)))

    with squeeze(64 * MIB, with_swap_bytes=120 * MIB) as group:
        clock = Clock(0.5)
        for sample in clock.samples(1.5, group):
            see(sample)
        assert seen[-1][1].level == "comfortable"
        group.run("memory", 300 * MIB, 3 * MIB, 0.1)
        for sample in clock.samples(120, group):
            see(sample)
            if not group.is_alive:
                break
        assert not group.is_alive
        for sample in clock.samples(1, group):
            see(sample)
    of_machine, of_group = ([pair[at] for pair in seen] for at in (0, 1))
    levels = [verdict.level for verdict in of_group]
    assert levels[-1] == "being_killed"
    assert "thrashing" in levels, levels
    # Worse and worse: before the kill nothing got better.
    order = list(LEVELS)
    severity = [order.index(level) for level in levels if level is not None]
    assert severity == sorted(severity)
    thrashing = of_group[len(levels) - 1 - levels[::-1].index("thrashing")]
    evidence = {each.metric: each.value or 0 for each in thrashing.evidence}
    assert evidence["refaults_pages_per_s"] > 500
    assert evidence["major_faults_per_s"] > 100
    # The machine says whose trouble it is: it has room itself.
    limited = [verdict for verdict in of_machine if verdict.in_group]
    assert limited
    assert "a control group at its limit" in limited[0].sentence
    assert "the machine itself has" in limited[0].sentence
    for verdict in (of_machine[-1], of_group[-1]):
        assert verdict.level == "being_killed"
        assert verdict.evidence[0].metric == "oom_kills"
        assert verdict.evidence[0].value and verdict.evidence[0].value >= 1
