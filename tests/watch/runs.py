"""Runs of real programs under watch, in this process."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from memtui.watch.story import Happening, Held, Story, What
from memtui.watch.watch import Watch
from tests.programs import compiled

DEADLINE_S = 90.0  # a JVM under watch, on a slow machine


@pytest.fixture(scope="session")
def lives(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program of tests/programs/lives.c."""
    return str(compiled("lives", tmp_path_factory.mktemp("lives")))


class Run:
    """A watch, and what the program printed: both taken in while something is waited for."""

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        try:
            self.watch = Watch(command, output=writing, **options)
        finally:
            os.close(writing)
        self.printed = b""
        self._is_printing = True
        self.holds: list[Held] = []

    @property
    def story(self) -> Story:
        return self.watch.story

    @property
    def pid(self) -> int:
        self.wait_until(lambda: self.story.first_pid is not None)
        assert self.story.first_pid is not None
        return self.story.first_pid

    def take(self) -> None:
        """Waits for a moment at most."""
        ready = select.poll()
        ready.register(self.watch.fileno(), select.POLLIN)
        if self._is_printing:
            ready.register(self._reading, select.POLLIN)
        ready.poll(20)
        self.watch.take()
        while self._is_printing:
            try:
                piece = os.read(self._reading, 1 << 16)
            except BlockingIOError:
                break
            self._is_printing = bool(piece)
            self.printed += piece

    def wait_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, self.story.happenings[-20:]
            self.take()

    def finish(self) -> Story:
        """To the end of the story, letting go of all who are held."""
        deadline = time.monotonic() + DEADLINE_S
        while not self.story.is_over:
            assert time.monotonic() < deadline, self.story.happenings[-20:]
            self.take()
            if self.story.held is not None and self.story.held not in self.holds:
                self.holds.append(self.story.held)
                self.watch.let_go()
        return self.story

    def told(self, what: What) -> list[Happening]:
        return [each for each in self.story.happenings if each.what == what]

    def close(self) -> None:
        self.watch.close()
        os.close(self._reading)


@contextmanager
def running(*command: str, **options: Any) -> Iterator[Run]:
    """A run, whose program and all of its children are ended with the block."""
    run = Run(command, **{"holds": True, **options})
    try:
        yield run
    finally:
        run.close()


def finished(*command: str, **options: Any) -> Run:
    """A run that has come to its end."""
    with running(*command, **options) as run:
        run.finish()
    return run


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(") ")[2][0] not in "ZX"
