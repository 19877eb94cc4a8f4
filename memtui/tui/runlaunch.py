"""Starts a program under watch, then opens the dashboard on it."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from memtui import units
from memtui.kernel.files import Files
from memtui.settings.values import Settings
from memtui.targets import Target
from memtui.tui import launch
from memtui.watch.program import NotStarted, new_file
from memtui.watch.watch import Watch

# What the pane's emulator understands.
_TERMINAL: Final = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
_UNWANTED: Final = ("COLUMNS", "LINES")
_FIRST_WORD_S: Final = 2.0  # until the watcher has told of the program


def run(files: Files, settings: Settings, options: Any) -> int:
    """Shows a program from birth to death; its exit status, at the end of the dashboard.

    The option detach_output is a file, not there yet, for what it writes; without, it has a pane.
    """
    command: Sequence[str] = options.rest
    detach_output: str | None = options.detach_output
    if not files.is_live:
        return _failed("run starts a program on this machine, and --root is of another", 2)
    size = pane_size(*_screen())
    master = None
    try:
        # Before there is a thread: it forks.
        if detach_output is None:
            master, watch = _in_terminal(command, size)
        else:
            with new_file(detach_output) as output, _inherited(no_input=True):
                watch = Watch(command, holds=True, output=output)
    except NotStarted as error:
        return _failed(str(error), error.status)
    except OSError as error:
        return _failed(f"a terminal for the program: {error.strerror}", 1)
    try:
        _wait_for_first(watch)
        return _show(files, settings, watch, master, size) or _status(watch)
    finally:
        watch.close()
        if master is not None:
            os.close(master)


def _in_terminal(command: Sequence[str], size: tuple[int, int]) -> tuple[int, Watch]:
    """A pty's master, and what runs on the slave. Raises NotStarted, and OSError without a pty."""
    from memtui.tui.pseudoterminal import open_terminal

    master, slave = open_terminal(*size)
    try:
        with _inherited(no_input=False):
            return master, Watch(command, holds=True, terminal=slave)
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)


def _failed(words: str, status: int) -> int:
    print(f"memtui: {units.printable(words)}", file=sys.stderr)
    return status


def _show(
    files: Files, settings: Settings, watch: Watch, master: int | None, size: tuple[int, int]
) -> int:
    from memtui.tui.pseudoterminal import Pseudoterminal
    from memtui.tui.running import Running

    terminal = None if master is None else Pseudoterminal(master)
    pid = watch.story.first_pid
    target = None if pid is None else Target(pid, "")
    occasion = launch.Occasion(running=Running(watch, terminal, size))
    return launch.run(files, settings, target, occasion)


def _status(watch: Watch) -> int:
    watch.close()
    return 1 if watch.exit_status is None else watch.exit_status


def _wait_for_first(watch: Watch) -> None:
    """Until the program has a pid, which the dashboard opens on."""
    poll = select.poll()
    poll.register(watch.fileno(), select.POLLIN)
    while watch.story.first is None and not watch.story.is_over:
        if not poll.poll(1000 * _FIRST_WORD_S):
            return
        watch.take()


@contextmanager
def _inherited(no_input: bool) -> Iterator[None]:
    """What the program inherits says which terminal it has; `no_input`: and it has none to read."""
    before, keys = os.environ.copy(), os.dup(0)
    if no_input:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
    else:
        os.environ.update(_TERMINAL)
        for name in _UNWANTED:
            os.environ.pop(name, None)
    try:
        yield
    finally:
        os.dup2(keys, 0)
        os.close(keys)
        os.environ.clear()
        os.environ.update(before)


def _screen() -> tuple[int, int]:
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return 80, 24
    return size.columns, size.lines


def pane_size(columns: int, rows: int) -> tuple[int, int]:
    """Columns and rows of the pane on a screen of that size: what the style sheet comes to.

    The program wants to know before there is a pane.
    """
    below = (14 if columns >= 160 else 10) if rows >= 30 else 6 if rows >= 18 else 4
    frame = 5 if rows >= 18 else 4  # header, footer, the run's line, its map's, the pane's title
    if columns >= 160:
        return columns - 45 - 64, rows - frame - below
    if columns >= 100:
        return columns - 31, rows - frame - below
    return columns, max(1, rows - frame - below - (2 if rows >= 18 else 0))
