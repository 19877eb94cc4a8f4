"""Signals that end a program are held, those that it takes are passed on as they came."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.maps import read_mappings
from memtui.kernel.ptrace import processor
from tests.programs import LIVE, key_of
from tests.terminal import wait_until
from tests.watch.runs import finished, running

needs_registers = pytest.mark.skipif(processor() is None, reason="registers are not known here")


def test_a_fault_is_held_while_the_memory_is_whole(lives: str) -> None:
    with running(lives, "null") as run:
        run.wait_until(lambda: run.story.held)
        held = run.story.held
        assert held is not None
        assert (held.key, held.tid) == (key_of(run.pid), run.pid)
        assert (held.siginfo.name, held.siginfo.code_name) == ("SIGSEGV", "SEGV_MAPERR")
        assert held.siginfo.address == 0x10
        mappings = read_mappings(LIVE, run.pid, "maps")
        assert not isinstance(mappings, Gap)
        assert any(path.endswith("/lives") for path in mappings.paths)
        assert run.watch.exit_status is None
        run.watch.let_go()
        run.finish()
        assert run.story.held is None
        assert run.watch.exit_status == 139


@needs_registers
def test_the_registers_of_a_fault_are_those_of_its_instruction(lives: str) -> None:
    with running(lives, "null") as run:
        run.wait_until(lambda: run.story.held)
        held = run.story.held
        assert held is not None and not isinstance(held.registers, Gap)
        mappings = read_mappings(LIVE, run.pid, "maps")
        assert not isinstance(mappings, Gap)
        (row,) = (
            row
            for row, start in enumerate(mappings.starts)
            if start <= held.registers.instruction_pointer < mappings.ends[row]
        )
        assert mappings.paths[row].endswith("/lives") and "x" in mappings.perms[row]


def test_an_abort_is_held() -> None:
    run = finished("sh", "-c", "kill -ABRT $$")
    (held,) = run.holds
    assert (held.siginfo.name, held.siginfo.was_sent) == ("SIGABRT", True)
    assert held.siginfo.sender_pid == run.pid
    assert run.watch.exit_status == 134


def test_a_fault_that_is_ignored_ends_a_program_all_the_same(lives: str) -> None:
    """raise() of it is ignored, the processor's is not: the kernel forces it."""
    run = finished(lives, "ignore")
    (held,) = run.holds
    assert held.siginfo.code_name == "SEGV_MAPERR"
    assert run.watch.exit_status == 139


def test_a_handler_on_a_stack_of_its_own_goes_on_working(lives: str) -> None:
    run = finished(lives, "handle", "1000")
    assert (run.watch.exit_status, run.printed, run.holds) == (0, b"1000\n", [])
    caught = [each for each in run.told("signal") if each.words.startswith("SIGSEGV, caught")]
    assert sum(each.number or 0 for each in caught) == 1000
    # Those of a tenth of a second are one, however long the thousand took.
    life = run.story.first
    assert life is not None and life.died_s is not None
    assert len(caught) <= 1 + life.died_s / 0.1


def test_all_threads_stand_still_with_the_one_that_dies(lives: str) -> None:
    """Two others map and unmap without end, and do not while it is looked at."""
    with running(lives, "thread-fault") as run:
        run.wait_until(lambda: run.story.held)
        held = run.story.held
        assert held is not None and held.tid != run.pid
        tasks = Path(f"/proc/{run.pid}/task")
        wait_until(
            lambda: all("\nState:\tt" in (task / "status").read_text() for task in tasks.iterdir())
        )
        before = LIVE.read(f"proc/{run.pid}/maps")
        run.take()
        assert LIVE.read(f"proc/{run.pid}/maps") == before
        run.watch.let_go()
        run.finish()
        assert run.watch.exit_status == 139


def test_two_threads_that_die_at_once(lives: str) -> None:
    run = finished(lives, "two-faults")
    assert run.watch.exit_status == 139
    assert len({held.tid for held in run.holds}) == len(run.holds) in (1, 2)


def test_two_processes_that_die_at_once(lives: str) -> None:
    run = finished("sh", "-c", f"{lives} null & {lives} null & wait; wait")
    assert run.watch.exit_status == 0
    assert len({held.key.pid for held in run.holds}) == 2
    assert sorted(life.exit_status or 0 for life in run.story.lives.values()) == [0, 139, 139]


def test_who_is_held_may_be_killed(lives: str) -> None:
    with running(lives, "thread-fault") as run:
        run.wait_until(lambda: run.story.held)
        os.kill(run.pid, signal.SIGKILL)
        run.wait_until(lambda: run.story.is_over)
        assert run.story.held is None
        assert run.watch.exit_status == 137


def test_a_dying_child_is_told_and_its_parent_lives_on(lives: str) -> None:
    run = finished("sh", "-c", f"{lives} null; echo $?")
    assert (run.watch.exit_status, run.printed.splitlines()[-1]) == (0, b"139")
    (held,) = run.holds
    assert run.story.lives[held.key.pid].signal == signal.SIGSEGV


@pytest.mark.skipif(not shutil.which("java"), reason="java is not installed")
def test_the_jvm_takes_its_faults_itself(tmp_path: Path) -> None:
    """It turns accesses by null into exceptions."""
    source = tmp_path / "Nulls.java"
    source.write_text(
        "public class Nulls { public static void main(String[] words) {\n"
        "  String none = null; int caught = 0;\n"
        "  for (int each = 0; each < 20000; each++)\n"
        "    try { none.length(); } catch (NullPointerException error) { caught++; }\n"
        "  System.out.println(caught); } }\n"
    )
    run = finished("java", str(source))
    assert (run.watch.exit_status, run.printed, run.holds) == (0, b"20000\n", [])


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_node_runs_as_ever() -> None:
    run = finished("node", "-e", "console.log([1, 2].map(each => each * 2).join())")
    assert (run.watch.exit_status, run.printed) == (0, b"2,4\n")
    assert run.story.lives[run.pid].threads > 1
