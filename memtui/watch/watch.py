"""Starts a program under watch, and tells what happens to it.

The watcher is a process of its own, forked before there are threads: ptrace answers only the thread
that seized, and a screen must never wait for it, nor it for the screen. It tells by a pipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from memtui.kernel.files import Gap
from memtui.watch.story import Happening, Held, Life


@dataclass(slots=True)
class Story:
    """Everything that is known of a run by now; happenings in their order, the oldest dropped.

    `held`: who stands still now, before its end. `is_over`: all have ended, and the watcher too.
    `missing`: what could not be watched, and why.
    """

    command: tuple[str, ...]
    lives: dict[int, Life] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)
    held: Held | None = None
    missing: list[Gap] = field(default_factory=list)
    is_over: bool = False


class Watch:
    """One run. Made before the process has a second thread; everything else from one thread.

    `holds`: a program that dies of its own doing stands still until `let_go`. `terminal`: the
    descriptor of the pty's slave that becomes the program's terminal; None: it has memtui's own
    input and output. `output`: where standard output and error go instead.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        holds: bool,
        terminal: int | None = None,
        output: int | None = None,
    ) -> None:
        self.story = Story(tuple(command))
        raise NotImplementedError

    def fileno(self) -> int:
        """Readable when something has happened."""
        raise NotImplementedError

    def take(self) -> bool:
        """Takes in what happened; whether anything did. Never waits."""
        raise NotImplementedError

    def let_go(self) -> None:
        """What is held goes on to its end."""
        raise NotImplementedError

    def kill(self) -> None:
        """Ends everything under watch."""
        raise NotImplementedError

    @property
    def exit_status(self) -> int | None:
        """The first program's, 128 + n for a signal; None while it lives."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends everything, and waits for it."""
        raise NotImplementedError
