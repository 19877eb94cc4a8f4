"""Where an experiment cannot be run, and what memtui says; what a bench answers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.lab.bench import Bench
from memtui.lab.catalogue import experiment_of
from memtui.lab.experiment import Experiment
from tests.conftest import HOSTS_DIR
from tests.lab.runs import lab, left

pytestmark = pytest.mark.xdist_group("machine")


@pytest.fixture
def promise() -> Experiment:
    found = experiment_of("promise")
    assert found
    return found


def test_a_bench_runs_a_step_at_a_time(promise: Experiment) -> None:
    bench = Bench(LiveFiles(), promise)
    assert bench.available is None
    try:
        assert bench.start() is None
        assert bench.pid and bench.run.before["rss"] > 0
        assert bench.run.stage.directory.is_dir()
        told = bench.step()
        assert not isinstance(told, Gap)
        assert told.step is promise.steps[0]
        assert told.agrees and bench.told == [told] and not bench.is_over
        assert told.run.facts == {"promised": 1 << 30}
    finally:
        bench.close()
    assert not bench.run.stage.directory.exists()
    assert isinstance(bench.step(), Gap)
    bench.close()


def test_a_bench_that_is_closed_gives_up_at_once(promise: Experiment) -> None:
    """From another thread, as an interface does it."""
    bench = Bench(LiveFiles(), promise)
    assert bench.start() is None
    keeper = bench.keeper_pid
    assert keeper is not None
    closing = threading.Thread(target=bench.close)
    closing.start()
    while not isinstance(bench.step(), Gap):
        pass
    closing.join()
    assert left(keeper) == []


def test_too_little_memory_is_no_place_for_an_experiment(promise: Experiment) -> None:
    bench = Bench(LiveFiles(), promise._replace(at_most_bytes=1 << 50))
    assert bench.available is not None
    assert "more than a tenth of the" in bench.available.detail
    assert bench.start() == bench.available == bench.step()
    bench.close()


def test_what_is_needed_and_missing_is_said(promise: Experiment) -> None:
    bench = Bench(LiveFiles(), promise._replace(needs=frozenset({"cgroup v1"})), readonly=True)
    assert bench.available is not None
    assert bench.available.detail == "it makes control groups, which it does not with --readonly"


def test_of_what_swap_needs_only_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    swap = experiment_of("swap")
    assert swap is not None
    monkeypatch.setattr("memtui.lab.needs._may_administer", lambda asked: False)
    found = Bench(LiveFiles(), swap).available
    assert found is not None and found.detail == "it needs root, to have swap of its own"
    found = Bench(LiveFiles(), swap, readonly=True).available
    assert found is not None and found.detail.endswith("which it does not with --readonly")


def test_a_python_that_may_not_be_run_is_named(
    promise: Experiment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python3"
    python.write_text("")
    monkeypatch.setattr("sys.executable", str(python))
    failed = Bench(LiveFiles(), promise).start()
    assert failed is not None
    assert failed.detail.startswith(f"{python}, which runs its program, cannot be started: Perm")


def test_another_machine_is_no_place_either() -> None:
    done = lab("promise", "--headless", "--root", str(HOSTS_DIR / "debian-6.18"))
    assert done.returncode == 0
    assert "not run: experiments run on this machine, not below --root" in done.stdout


def test_a_name_that_is_none_names_those_that_are() -> None:
    done = lab("nonsense", "--headless")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("memtui: no experiment 'nonsense': there are cache, promise, ")
    assert done.stderr.count("\n") == 1


def test_the_list_says_what_can_be_run_here() -> None:
    lines = lab("--list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "TITLE", "NEEDS", "HERE"]
    assert any(line.startswith("promise ") and line.endswith(" yes") for line in lines)
