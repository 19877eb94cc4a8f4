"""Starts a program under watch, and tells what happens to it.

The watcher is a process of its own, forked before there are threads: ptrace answers only the thread
that seized, and a screen must never wait for it, nor it for the screen. It tells by a pipe.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import select
import signal
import time
from collections.abc import Sequence
from typing import Final

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.watch import program
from memtui.watch.outgoing import Incoming, Outgoing
from memtui.watch.program import NotStarted
from memtui.watch.story import Story
from memtui.watch.telling import Teller
from memtui.watch.watcher import Watcher, watch
from memtui.watch.wish import Wish, Wishes, written

__all__ = ["NotStarted", "Story", "Watch"]

_PIPE_BYTES: Final = 1 << 20
_AT_ONCE_BYTES: Final = 4 << 20
_PATIENCE_S: Final = 2.0


class Watch:
    """One run. Made before the process has a second thread; everything else from one thread.

    `holds`: a program that dies of its own doing stands still until `let_go`, and what outlives the
    first program is watched until it ends too. Without, it stands still for at most half a minute,
    and what outlives the first goes on unwatched: the story ends, and says so. `terminal`: the
    descriptor of the pty's slave that becomes the program's terminal; None: it has memtui's own
    input and output. `output`: where standard output and error go instead. Both stay the caller's
    to close.

    Raises NotStarted where the program is not there or cannot be run.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        holds: bool,
        terminal: int | None = None,
        output: int | None = None,
    ) -> None:
        path = program.find_program(command[0])
        self.story = Story(tuple(command))
        self._teller = Teller(self.story)
        told, telling = program.pipe()
        wishes, self._wishes = program.pipe()
        failed, said = program.pipe()
        with contextlib.suppress(OSError):  # beyond what a user may have in pipes
            fcntl.fcntl(telling, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        streams = program.Streams(terminal, output)
        self._watcher = os.fork()
        if self._watcher == 0:
            for descriptor in (told, self._wishes, failed):
                os.close(descriptor)
            gc.freeze()
            out, asked = Outgoing(telling), Wishes(wishes)
            unwatched = program.gains_privileges(path)
            watcher = Watcher(
                LiveFiles(), command, path, out, asked, holds=holds, unwatched=unwatched
            )
            watch(watcher, streams, said, out)
        for descriptor in (telling, wishes, said):
            os.close(descriptor)
        os.set_blocking(self._wishes, False)
        self._incoming = Incoming(told)
        self._is_ended = False
        self._raise_failure(command[0], failed)

    def _raise_failure(self, name: str, failed: int) -> None:
        """Waits for the exec, which closes the pipe; what it could not do is written there."""
        try:
            error = os.read(failed, 16)
        finally:
            os.close(failed)
        if error:
            self.close()
            words = os.strerror(int(error))
            raise NotStarted(f"{name}: cannot be run: {words}", program.NOT_EXECUTABLE)

    def fileno(self) -> int:
        """Readable when something has happened."""
        return self._incoming.descriptor

    def take(self) -> bool:
        """Takes in what happened; whether anything did. Never waits."""
        if self.story.is_over:
            return False
        messages = self._incoming.take(_AT_ONCE_BYTES)
        for message in messages:
            self._teller.tell(message)
        if self._incoming.is_closed and not self.story.is_over:
            self.story.missing.append(
                Gap("the watcher", "gone", "it was ended, and what it watched with it")
            )
            self._teller.finish()
            return True
        return bool(messages)

    def let_go(self) -> None:
        """What is held goes on to its end."""
        held = self.story.held
        if held is not None:
            self._wish("let go", held.tid)

    def signal(self, number: int) -> None:
        """To the first program, if it lives."""
        self._wish("signal", number)

    def kill(self) -> None:
        """Ends everything under watch."""
        self._wish("kill")

    def _wish(self, wish: Wish, number: int = 0) -> None:
        with contextlib.suppress(OSError):  # a watcher that has ended wants to know nothing
            os.write(self._wishes, written(wish, number))

    @property
    def exit_status(self) -> int | None:
        """The first program's, 128 + n for a signal; None while it lives."""
        first = self.story.first
        return None if first is None else first.exit_status

    def close(self) -> None:
        """Ends everything, and waits for it."""
        if self._is_ended:
            return
        self._is_ended = True
        self.kill()
        deadline = time.monotonic() + _PATIENCE_S
        room = select.poll()
        room.register(self.fileno(), select.POLLIN)
        while not self.story.is_over and (left_s := deadline - time.monotonic()) > 0:
            room.poll(1000 * left_s)
            self.take()
        if not self.story.is_over:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._watcher, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._watcher, 0)
        for descriptor in (self.fileno(), self._wishes):
            os.close(descriptor)
        if not self.story.is_over:
            self._teller.finish()
