"""Threads and their stack pointers: real ones asleep, running and out of reach."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memtui.kernel.files import Gap, Malformed
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.threads import Thread, parse_stack_pointer, read_threads, with_last_known
from memtui.live.looker import read_map
from tests.conftest import HOSTS_DIR
from tests.oracles import until_alike
from tests.programs import Mapped, compiled, look, mapped

FILES = LiveFiles()


@pytest.fixture(scope="module")
def sleeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapped]:
    """Four threads that sleep, with names that hold blanks and parentheses."""
    directory = tmp_path_factory.mktemp("threads")
    with mapped(compiled("mapped", directory), directory) as running:
        yield running


def threads_of(pid: int, at_most: int = 2000) -> tuple[Thread, ...]:
    found = read_threads(FILES, pid, at_most)
    assert not isinstance(found, Gap), found
    return found


@pytest.mark.parametrize(
    ("line", "pointer"),
    [
        (b"running\n", None),
        (b"-1 0x7ffd1c2a3b40 0x7f2a3c4d5e6f\n", 0x7FFD1C2A3B40),
        (b"202 0x1 0x2 0x3 0x4 0x5 0x6 0x7f00deadbee0 0x7f00cafe0001\n", 0x7F00DEADBEE0),
        (b"-1 0x0 0x0\n", None),  # it has ended, and nobody has waited for it
    ],
)
def test_stack_pointer_of_each_form(line: bytes, pointer: int | None) -> None:
    assert parse_stack_pointer(line) == pointer


@pytest.mark.parametrize("line", [b"", b"sleeping\n", b"1 2\n", b"x 0x1 0x2\n", b"1 y z\n"])
def test_anything_else_is_malformed(line: bytes) -> None:
    with pytest.raises(Malformed):
        parse_stack_pointer(line)


def test_names_and_stack_pointers_of_sleeping_threads(sleeping: Mapped) -> None:
    threads = threads_of(sleeping.pid)
    assert [thread.tid for thread in threads] == sorted(
        int(task.name) for task in Path(f"/proc/{sleeping.pid}/task").iterdir()
    )
    assert [thread.name for thread in threads] == [
        "mapped",
        *(f"worker ({number})" for number in range(4)),
    ]
    for number, thread in enumerate(threads[1:]):
        stack = sleeping.by_key[f"stack{number}"]
        assert thread.stack_pointer is not None
        assert stack.start <= thread.stack_pointer < stack.end


def test_no_more_threads_than_wanted(sleeping: Mapped) -> None:
    assert threads_of(sleeping.pid, at_most=2) == threads_of(sleeping.pid)[:2]


def test_a_running_thread_keeps_its_name() -> None:
    spinning = "print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", spinning], stdout=subprocess.PIPE) as child:

        def it_runs() -> None:
            (thread,) = threads_of(child.pid)
            assert thread == Thread(child.pid, thread.name, None)
            assert thread.name.startswith("python")

        try:
            assert child.stdout
            child.stdout.readline()
            until_alike(it_runs)  # after the line, and what it waits for there
        finally:
            child.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to ask as somebody else")
def test_who_may_not_ask_learns_the_names_alone(sleeping: Mapped) -> None:
    asking = (
        "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from memtui.kernel.livefiles import LiveFiles\n"
        "from memtui.kernel.threads import read_threads\n"
        f"print([(t.name, t.stack_pointer) for t in read_threads(LiveFiles(), {sleeping.pid})])"
    )
    # Imported before the user changes, who may not be let into the checkout.
    asking = "import memtui.kernel.threads, memtui.kernel.livefiles\n" + asking
    done = subprocess.run(
        [sys.executable, "-c", asking], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([(name, None) for name in ["mapped", *_workers()]])


def _workers() -> list[str]:
    return [f"worker ({number})" for number in range(4)]


def test_a_process_that_ended_is_gone() -> None:
    with subprocess.Popen(["true"]) as child:
        pass
    found = read_threads(FILES, child.pid)
    assert isinstance(found, Gap)
    assert found.reason == "gone"


def test_a_capture_without_threads_says_so() -> None:
    root = HOSTS_DIR / "debian-6.18"
    found = read_threads(LiveFiles(str(root)), 688)
    assert isinstance(found, Gap)
    assert found.reason == "absent"


def test_threads_that_run_are_where_they_were_last() -> None:
    last = (Thread(1, "a", 0x10), Thread(2, "b", 0x20), Thread(3, "c", None), Thread(4, "d", 0x40))
    now = (Thread(1, "a", None), Thread(2, "b2", 0x28), Thread(3, "c", None), Thread(5, "e", None))
    assert with_last_known(now, last) == (
        Thread(1, "a", 0x10),
        Thread(2, "b2", 0x28),
        Thread(3, "c", None),
        Thread(5, "e", None),
    )


def test_a_map_has_threads_from_its_second_reading_on(sleeping: Mapped) -> None:
    first = look(sleeping.pid, "maps")
    assert first.threads == ()
    second = look(sleeping.pid, "smaps", first)
    assert second.threads == threads_of(sleeping.pid)
    where = {thread.name: row for row in range(len(second)) for thread in second.threads_in(row)}
    assert {name: second.kind(row).name for name, row in where.items()} == {
        "mapped": "stack",
        **dict.fromkeys(_workers(), "thread_stack"),
    }
    # Without smaps, the map that stands in for it has them too.
    stand_in = read_map(FILES, first.key, "maps", first, Gap("smaps", "absent")).map
    assert not isinstance(stand_in, Gap)
    assert stand_in.threads == second.threads


def test_threads_of_a_process_with_one_are_not_read() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            assert look(child.pid).threads == ()
        finally:
            child.kill()
