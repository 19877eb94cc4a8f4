"""What an experiment leaves: nothing, whatever ends it. And one more is one more file."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from memtui.kernel.livefiles import LiveFiles
from memtui.lab.catalogue import experiment_of
from memtui.lab.needs import what_there_is
from tests.lab.runs import children, descendants, environment, lab, left
from tests.terminal import PROJECT, wait_until

pytestmark = pytest.mark.xdist_group("machine")

# Has a directory with a file in it, a group and swap of its own, and a child; then it waits for ever.
_WAITING: Final = '''\
"""An experiment for tests."""

import os
import time

from memtui.lab.experiment import Expected, Experiment, Step
from memtui.lab.tools import MIB, anonymous, touch


def _program(stage):
    (stage.directory / "file").write_bytes(b"x")
    memory = anonymous(64 * MIB)
    child = os.fork()
    if not child:
        time.sleep(1000)
        os._exit(0)
    yield {"pid child": child}
    touch(memory, 0, 32 * MIB // stage.page_bytes, stage.page_bytes)
    yield {"has_group": "cgroup v1" in stage.has, "has_swap": "swap" in stage.has}
    time.sleep(1000)
    yield {}


def _step(title, figures, *expected):
    return Step(title, "Something. Something more.", figures, lambda run: expected)


_OF_GROUP = (
    Expected("group_swap", 8 * MIB, 32 * MIB, "value"),
    Expected("group_usage", 1, 24 * MIB, "value"),
    Expected("group_failcnt", 1, 1 << 40, "value"),
)
EXPERIMENT = Experiment(
    name="waiting",
    title="waiting",
    summary="it waits",
    program=_program,
    steps=(
        _step("a child", ("child.rss",), Expected("child.rss", 1, 1 << 30, "value")),
        _step("into swap", ("swap",), *OF_GROUP),
        _step("wait", ("rss",)),
    ),
    at_most_bytes=64 * MIB,
    at_most_s=AT_MOST_S,
    likes=frozenset({"cgroup v1", "swap"}),
    group_limit_bytes=24 * MIB,
    swap_bytes=64 * MIB,
)
'''


_GREEDY: Final = '''\
"""An experiment that does not keep to what it says."""

import time

from memtui.lab.experiment import Experiment, Step
from memtui.lab.tools import MIB, anonymous, touch


def _program(stage):
    memory = anonymous(128 * MIB)
    touch(memory, 0, len(memory) // stage.page_bytes, stage.page_bytes)
    time.sleep(1000)
    yield {}


EXPERIMENT = Experiment(
    name="greedy",
    title="greedy",
    summary="it takes what it can",
    program=_program,
    steps=(Step("take", "Something. Something more.", ("rss",), lambda run: ()),),
    at_most_bytes=8 * MIB,
    at_most_s=100,
)
'''


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """memtui with one file more."""
    project = tmp_path_factory.mktemp("copied")
    shutil.copytree(PROJECT / "memtui", project / "memtui")
    _add(project, "waiting", "1000")
    return project


def _add(project: Path, name: str, at_most_s: str) -> None:
    text = _WAITING.replace('name="waiting"', f'name="{name}"').replace("AT_MOST_S", at_most_s)
    path = project / "memtui/lab/experiments" / f"{name}.py"
    path.write_text(text.replace("*OF_GROUP", "*_OF_GROUP" if has_all() else ""))


def has_all() -> bool:
    """Whether there may be groups and swap."""
    experiment = experiment_of("promise")
    assert experiment
    experiment = experiment._replace(likes=frozenset({"cgroup v1", "swap"}))
    return what_there_is(LiveFiles(), experiment, readonly=False) == experiment.likes


@contextmanager
def waiting(project: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], int, set[int]]]:
    """A run that waits in its last step: memtui, its keeper's pid, and all of the program's."""
    with subprocess.Popen(
        [sys.executable, "-m", "memtui", "lab", "waiting", "--headless", *words],
        cwd="/",
        env=environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as memtui:
        try:
            assert memtui.stdout
            said = ""
            while "2  into swap" not in said:
                line = memtui.stdout.readline()
                assert line, f"it ended: {said}"
                said += line
            (keeper,) = children(memtui.pid)
            program = descendants(keeper)
            assert len(program) == 2
            yield memtui, keeper, program
        finally:
            memtui.kill()


def are_gone(pids: set[int]) -> bool:
    return not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_one_more_is_one_file(copied: Path) -> None:
    listed = json.loads(lab("--list", "--json", project=copied).stdout)
    names = [each["name"] for each in listed]
    without = [each["name"] for each in json.loads(lab("--list", "--json").stdout)]
    assert set(names) == {*without, "waiting"} != set(without)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_it_when_memtui_is_killed(copied: Path, number: signal.Signals) -> None:
    with waiting(copied) as (memtui, keeper, program):
        assert len(left(keeper)) == (3 if has_all() else 1)  # directory, and group and swap
        memtui.send_signal(number)
        memtui.wait()
        wait_until(lambda: are_gone({keeper, *program}), "ended")
        assert left(keeper) == []


def test_the_next_one_sweeps_what_a_killed_keeper_left(copied: Path) -> None:
    with waiting(copied) as (memtui, keeper, program):
        os.kill(keeper, signal.SIGKILL)
        assert memtui.wait() == 1
        assert memtui.stderr
        assert (
            memtui.stderr.read() == "memtui: waiting: the process that runs its program has ended\n"
        )
        wait_until(lambda: are_gone(program), "ended with the keeper")
        assert left(keeper)
        assert lab("promise", "--headless").returncode == 0
        assert left(keeper) == []


def test_what_is_another_s_is_not_swept(copied: Path) -> None:
    with waiting(copied) as (_, keeper, program):
        before = left(keeper)
        assert lab("promise", "--headless").returncode == 0
        assert left(keeper) == before
        assert not any(are_gone({pid}) for pid in program)


def test_a_step_that_takes_too_long_is_ended(copied: Path) -> None:
    _add(copied, "slow", "1")
    done = lab("slow", "--headless", "--json", project=copied)
    (copied / "memtui/lab/experiments/slow.py").unlink()
    assert done.returncode == 1
    assert "took longer than 1 s" in json.loads(done.stdout)["skipped"]
    assert done.stderr == "memtui: slow: it took longer than 1 s, and was ended\n"


def test_a_program_that_takes_too_much_is_ended(copied: Path) -> None:
    file = copied / "memtui/lab/experiments/greedy.py"
    file.write_text(_GREEDY)
    done = lab("greedy", "--headless", project=copied)
    file.unlink()
    assert done.returncode == 1
    assert done.stderr == "memtui: greedy: it took more memory than it may, and was killed\n"


def test_with_readonly_there_is_neither_group_nor_swap(copied: Path) -> None:
    with waiting(copied, "--readonly") as (_, keeper, _):
        (directory,) = left(keeper)  # of its own files
        assert os.path.isdir(directory)
