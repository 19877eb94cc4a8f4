"""Every experiment, run to its end: what it measures is what it promises, for root and for anybody."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from memtui.lab.catalogue import catalogue, names
from memtui.lab.figures import FIGURES, figure_of
from memtui.model.explain.explain import canonical
from tests.lab.runs import as_nobody, lab
from tests.oracles import until_alike

pytestmark = pytest.mark.xdist_group("machine")  # its figures are of the whole machine, in part

EXPERIMENTS = catalogue()
BY_NAME = {each.name: each for each in EXPERIMENTS}


@pytest.fixture(scope="module")
def nobody() -> tuple[str, ...]:
    words = as_nobody()
    if words is None:
        pytest.skip("needs root, setpriv, and a Python 3.11 that nobody may run")
    return words


def run(name: str, before: tuple[str, ...]) -> None:
    """Once more where others on the machine have moved its figures by more than is allowed for."""
    until_alike(lambda: agree(name, before))


def agree(name: str, before: tuple[str, ...]) -> None:
    done = lab(name, "--headless", "--json", before=before)
    found = json.loads(done.stdout)
    assert (found["name"], found["needs"]) == (name, sorted(BY_NAME[name].needs))
    if found["skipped"]:
        assert (done.returncode, found["steps"]) == (0, [])
        pytest.skip(found["skipped"])
    wrong = [step for step in found["steps"] if not _agrees(step)]
    assert (wrong, done.stderr, done.returncode) == ([], "", 0)
    left_out = [step.title for step in BY_NAME[name].steps if step.needs]
    titles = [step["title"] for step in found["steps"]]
    assert [step.title for step in BY_NAME[name].steps if step.title in titles] == titles
    assert {step.title for step in BY_NAME[name].steps} - set(titles) <= set(left_out)


def _agrees(step: dict[str, Any]) -> bool:
    """By its own words, reckoned again."""
    for key, expected in step["expected"].items():
        measured = step["measured"][key]
        if measured is None or not expected["low"] <= measured <= expected["high"]:
            assert not step["agrees"]
            return False
    assert step["agrees"]
    return True


@pytest.mark.parametrize("name", names())
def test_an_experiment_measures_what_it_promised(name: str) -> None:
    run(name, (sys.executable,))


@pytest.mark.parametrize("name", names())
def test_and_as_nobody(name: str, nobody: tuple[str, ...]) -> None:
    run(name, nobody)


@pytest.mark.parametrize("name", names())
def test_its_words_are_whole(name: str) -> None:
    experiment = BY_NAME[name]
    assert experiment.name == name
    assert experiment.title and experiment.summary
    assert len({step.title for step in experiment.steps}) == len(experiment.steps) > 2
    assert any(step.prediction for step in experiment.steps)
    for step in experiment.steps:
        assert step.words.endswith((".", "?")) and step.figures
        for key in step.figures:
            # Of a process, of the machine, or a fact, which has no dot.
            assert figure_of(key) or "." not in key
    assert not [topic for topic in experiment.topics if canonical(topic) is None]


def test_no_figure_is_there_twice() -> None:
    keys = [figure.key for figure in FIGURES]
    assert len(set(keys)) == len(keys)
