"""Real programs under watch: how they live, fork and end."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from memtui.kernel import ptrace
from memtui.kernel.files import Gap
from memtui.model.keys import ProcessKey
from memtui.watch.story import What
from memtui.watch.watch import NotStarted, Watch
from tests.terminal import wait_until
from tests.watch.runs import Run, finished, is_alive, running


@pytest.fixture
def tardy_makers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who forks has no processor to tell of it before its child has ended."""
    wait = os.waitpid
    tardy: list[tuple[int, int]] = []
    ended: list[int] = []

    def waitpid(pid: int, options: int) -> tuple[int, int]:
        if tardy and ended:
            ended.clear()
            return tardy.pop()
        tid, status = wait(pid, options)
        if tid and os.WIFSTOPPED(status) and status >> 16 == ptrace.FORK:
            tardy.append((tid, status))
            return 0, 0
        if tid and not os.WIFSTOPPED(status):
            ended.append(tid)
        return tid, status

    monkeypatch.setattr(os, "waitpid", waitpid)


@pytest.mark.parametrize("status", [0, 3, 255])
def test_a_normal_end(status: int) -> None:
    run = finished("sh", "-c", f"exit {status}")
    life = run.story.first
    assert life is not None
    assert (life.exit_status, life.signal, run.watch.exit_status) == (status, None, status)
    assert [each.what for each in run.story.happenings][:2] == ["start", "exec"]
    assert run.story.happenings[-1].what == "exit"
    assert life.command == f"sh -c exit {status}"
    assert [name for name, _ in life.phases] == ["start", life.name]
    assert life.died_s is not None
    assert sum(time_s for _, time_s in life.phases) == pytest.approx(life.died_s - life.born_s)
    assert (run.story.missing, list(run.story.lives)) == ([], [run.pid])


def test_what_it_used_is_its_own_and_not_memtuis(lives: str) -> None:
    """The first one is a fork of memtui's process, of some 30 MiB, until its exec."""
    life = finished(lives).story.first
    assert life is not None
    assert life.peak_rss_bytes is not None and 0 < life.peak_rss_bytes < 8 << 20
    assert life.ended_with_bytes is not None
    assert 0 < life.ended_with_bytes <= life.peak_rss_bytes
    assert life.minor_faults is not None and 10 < life.minor_faults < 1000


def test_a_kill_from_outside(lives: str) -> None:
    with running(lives, "wait") as run:
        run.wait_until(lambda: run.printed == b"ready\n")
        assert run.watch.exit_status is None
        os.kill(run.pid, signal.SIGKILL)
        run.finish()
        assert run.watch.exit_status == 137
        assert run.story.happenings[-1].words == "ended: SIGKILL"
        assert not run.holds


def test_memory_that_comes_and_goes(lives: str) -> None:
    """64 MiB are mapped and half of them touched, the heap grows by 10 MiB; then they are unmapped."""
    reading, writing = os.pipe()
    stdin = os.dup(0)
    os.dup2(reading, 0)
    try:
        with running(lives, "grow", "64") as run:
            run.wait_until(lambda: run.printed == b"grown\n")
            run.wait_until(lambda: has_told(run, "mapped", 64 << 20))
            run.wait_until(lambda: has_told(run, "grew", 9 << 20))
            run.wait_until(lambda: has_told(run, "resident", 41 << 20))
            # Of huge pages, where they come unasked, each is one fault.
            run.wait_until(lambda: sum(each.number or 0 for each in run.told("faults")) > 100)
            assert any(each.words.startswith("brk +") for each in run.told("grew"))
            os.write(writing, b"\n")
            run.wait_until(lambda: has_told(run, "unmapped", 64 << 20))
            run.wait_until(lambda: told_less(run) > 31 << 20)
            os.write(writing, b"\n")
            run.finish()
            life = run.story.first
            assert life is not None and life.peak_rss_bytes is not None
            assert life.ended_with_bytes is not None
            assert life.peak_rss_bytes - life.ended_with_bytes > 31 << 20
    finally:
        os.dup2(stdin, 0)
        for descriptor in (reading, writing, stdin):
            os.close(descriptor)


def has_told(run: Run, what: What, at_least_bytes: int) -> bool:
    """In one happening or in several."""
    return sum(max(0, each.size_bytes or 0) for each in run.told(what)) >= at_least_bytes


def told_less(run: Run) -> int:
    """By how much its resident memory has shrunk, at one look or at several."""
    return -sum(min(0, each.size_bytes or 0) for each in run.told("resident"))


def test_children_are_born_into_the_story() -> None:
    run = finished("sh", "-c", "ls / | sort | wc -l; exit 5")
    lives = run.story.lives
    assert run.watch.exit_status == 5
    names = sorted(life.name for life in lives.values())
    assert names == sorted(["ls", "sort", "wc", run.story.lives[run.pid].name])
    assert all(life.exit_status == 0 for pid, life in lives.items() if pid != run.pid)
    assert {life.parent for pid, life in lives.items() if pid != run.pid} == {run.pid}
    assert len(run.told("fork")) == 3
    assert len(run.told("exec")) == 4
    assert all(isinstance(life.key, ProcessKey) for life in lives.values())


@pytest.mark.usefixtures("tardy_makers")
def test_a_child_that_ends_before_its_maker_tells_of_it_has_one_life() -> None:
    run = finished("bash", "-c", "(exit 3); (exit 4); true")
    assert [life.exit_status for life in run.story.lives.values()] == [0, 3, 4]
    assert [each.words for each in run.told("exit")] == [
        f"ended: status {status}" for status in (3, 4, 0)
    ]
    assert len(run.told("fork")) == 2


def test_a_child_of_vfork(lives: str) -> None:
    run = finished(lives, "vfork", "/bin/true")
    assert sorted(life.name for life in run.story.lives.values()) == ["lives", "true"]
    assert [life.exit_status for life in run.story.lives.values()] == [0, 0]


def test_threads_are_counted_and_no_processes(lives: str) -> None:
    run = finished(lives, "threads", "40")
    assert run.watch.exit_status == 0
    assert list(run.story.lives) == [run.pid]
    assert sum(each.number or 0 for each in run.told("thread")) == 40
    assert sum(each.number or 0 for each in run.told("thread exit")) == 40


def test_an_exec_of_another_thread_than_the_first(lives: str) -> None:
    run = finished(lives, "thread-exec", "/bin/echo")
    assert (run.watch.exit_status, run.printed) == (0, b"from a thread\n")
    life = run.story.lives[run.pid]
    assert [name for name, _ in life.phases] == ["start", "lives", "echo"]
    assert life.threads == 5
    assert list(run.story.lives) == [run.pid]


def test_a_daemon_goes_on_unwatched_where_nobody_waits_for_it(lives: str, tmp_path: Path) -> None:
    mark = tmp_path / "daemon"
    run = finished(lives, "detach", str(mark), holds=False)
    assert run.watch.exit_status == 4
    daemon = int(mark.read_text())
    assert is_alive(daemon)
    status = Path(f"/proc/{daemon}/status").read_text()
    assert "\nTracerPid:\t0\n" in status and "\nState:\tt" not in status
    (note,) = run.told("note")
    assert note.words == f"lives ({daemon}) outlived the first program, and went on unwatched"
    assert run.story.lives[daemon].died_s is None
    mark.unlink()
    wait_until(lambda: not is_alive(daemon), "ended")


def test_a_daemon_is_watched_to_its_end_where_somebody_does(lives: str, tmp_path: Path) -> None:
    mark = tmp_path / "daemon"
    with running(lives, "detach", str(mark), holds=True) as run:
        run.wait_until(lambda: run.watch.exit_status == 4)
        daemon = int(mark.read_text())
        assert run.story.lives[daemon].died_s is None
        assert not run.story.is_over
        mark.unlink()
        run.finish()
        assert run.story.lives[daemon].exit_status == 7


def test_it_stops_and_goes_on(lives: str) -> None:
    """SIGSTOP and not SIGTSTP, which the kernel lets pass where no shell looks after the group."""
    with running(lives, "wait") as run:
        run.wait_until(lambda: run.printed == b"ready\n")
        os.kill(run.pid, signal.SIGSTOP)
        run.wait_until(lambda: run.told("stopped"))
        assert run.told("stopped")[0].words == "stopped by SIGSTOP"
        assert not run.story.is_over
        os.kill(run.pid, signal.SIGCONT)
        run.wait_until(lambda: any("SIGCONT" in each.words for each in run.told("signal")))
        wait_until(lambda: "\nState:\tS" in Path(f"/proc/{run.pid}/status").read_text())
        run.watch.signal(signal.SIGTERM)
        run.finish()
        assert run.watch.exit_status == 143


def test_the_end_of_a_watch_ends_all_that_it_watches(lives: str) -> None:
    with running("sh", "-c", f"{lives} wait & {lives} wait") as run:
        run.wait_until(lambda: run.printed == b"ready\nready\n")
        run.wait_until(lambda: len(run.story.lives) == 3)
        pids = list(run.story.lives)
    assert run.story.is_over
    assert not any(map(is_alive, pids))
    assert run.watch.exit_status == 137


def test_a_watcher_that_is_killed_takes_the_watched_with_it(lives: str) -> None:
    with running(lives, "wait") as run:
        run.wait_until(lambda: run.printed == b"ready\n")
        os.kill(run.story.lives[run.pid].parent, signal.SIGKILL)
        run.finish()
        wait_until(lambda: not is_alive(run.pid), "ended")
        assert run.story.missing == [
            Gap("the watcher", "gone", "it was ended, and what it watched with it")
        ]


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("no-such-command", 127, "no-such-command: no such command in PATH"),
        ("/no/such/file", 127, "/no/such/file: no such file"),
        ("/etc/passwd", 126, "/etc/passwd: not executable: chmod +x makes a program so"),
        ("/", 126, "/: not executable: chmod +x makes a program so"),
        ("", 127, "'': no such command in PATH"),
    ],
)
def test_what_cannot_be_started(command: str, status: int, words: str) -> None:
    with pytest.raises(NotStarted) as raised:
        Watch([command], holds=False)
    assert (str(raised.value), raised.value.status) == (words, status)


def test_a_program_of_another_format(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF" + bytes(100))
    program.chmod(0o755)
    run = finished(str(program))  # the shell is asked, as by everybody, and finds nothing in it
    assert run.watch.exit_status not in (0, None)


def test_a_script_that_does_not_say_by_what(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo $1; exit 6\n")
    script.chmod(0o755)
    run = finished(str(script), "word")
    assert (run.watch.exit_status, run.printed) == (6, b"word\n")


def test_python_itself() -> None:
    run = finished(sys.executable, "-c", "print(sum(range(10**6)))")
    assert (run.watch.exit_status, run.printed) == (0, b"499999500000\n")
    assert run.story.first and run.story.first.minor_faults
