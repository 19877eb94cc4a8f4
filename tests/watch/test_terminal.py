"""A program under watch with a terminal of its own."""

from __future__ import annotations

import os
import select
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from memtui.watch.watch import Watch
from tests.terminal import DEADLINE_S


class OnTerminal:
    """A watch, and our end of its program's terminal."""

    def __init__(self, watch: Watch, ours: int) -> None:
        self.watch = watch
        self.ours = ours
        self.printed = b""

    def wait_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        ready = select.poll()
        ready.register(self.ours, select.POLLIN)
        while not condition():
            assert time.monotonic() < deadline, self.printed
            if ready.poll(10):
                try:
                    self.printed += os.read(self.ours, 1 << 16)
                except OSError:  # EIO: nobody has the other end any more
                    ready.unregister(self.ours)
            self.watch.take()

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())


@contextmanager
def on_terminal(*command: str) -> Iterator[OnTerminal]:
    ours, theirs = os.openpty()
    try:
        watch = Watch(command, holds=True, terminal=theirs)
    finally:
        os.close(theirs)
    try:
        yield OnTerminal(watch, ours)
    finally:
        watch.close()
        os.close(ours)


def test_the_terminal_is_its_own() -> None:
    """It is the session's leader there, and Ctrl+C reaches it."""
    script = "tty; trap 'echo caught; exit 8' INT; echo ready; while :; do sleep 0.01; done"
    with on_terminal("sh", "-c", script) as program:
        program.wait_until(lambda: b"ready" in program.printed)
        assert b"/dev/pts/" in program.printed
        program.type("\x03")
        program.wait_until(lambda: program.watch.story.is_over and b"caught" in program.printed)
        assert program.watch.exit_status == 8


def test_a_shell_has_job_control() -> None:
    """Ctrl+Z stops what it runs, under watch, and fg lets it go on."""
    with on_terminal("bash", "--norc", "-i") as program:
        program.type("sleep 1000\r")
        lives = program.watch.story.lives
        program.wait_until(lambda: any(life.name == "sleep" for life in lives.values()))
        program.type("\x1a")
        program.wait_until(lambda: b"Stopped" in program.printed)
        program.type("fg\r")
        happenings = program.watch.story.happenings
        program.wait_until(lambda: any("SIGCONT" in each.words for each in happenings))
        program.type("\x03")
        program.wait_until(lambda: any(life.signal == 2 for life in lives.values()))
        program.type("exit 5\r")
        program.wait_until(lambda: program.watch.story.is_over)
        assert program.watch.exit_status == 5
        assert "stopped" in [each.what for each in happenings]


@pytest.mark.skipif(not shutil.which("vim"), reason="vim is not installed")
def test_vim_edits_a_file(tmp_path: Path) -> None:
    path = tmp_path / "text"
    with on_terminal("env", "TERM=xterm", "vim", "-u", "NONE", "-n", str(path)) as program:
        program.wait_until(lambda: b"text" in program.printed)
        program.type("ihello\x1b:wq\r")
        program.wait_until(lambda: program.watch.story.is_over)
        assert program.watch.exit_status == 0
    assert path.read_text() == "hello\n"
