"""The dump that `memtui core FILE [EXE]` names, opened for its report or its screen."""

from __future__ import annotations

import contextlib
import sys

from memtui import units
from memtui.kernel.corefiles import CoreFiles
from memtui.kernel.files import Files, Gap
from memtui.ondemand.core import open_dump
from memtui.reports.output import NOT_PERMITTED, Failure, Options


def opened(files: Files, options: Options) -> CoreFiles:
    """The dump that the command line names. Fails where it cannot be opened, or EXE does not fit it."""
    path, *programs = options.arguments
    program = programs[0] if programs else None
    progress = _Progress(path)
    try:
        found = open_dump(path, program, files, progress)
    finally:
        progress.end()
    if isinstance(found, Gap):
        status = NOT_PERMITTED if found.reason == "denied" else 1
        raise Failure(f"{path}: {found.words}", status)
    if program is not None:
        mapped = found.mapped(found.layout.program)
        if isinstance(mapped, Gap):
            raise Failure(f"{program}: {mapped.words}; {path} opens without it")
    return found


class _Progress:
    """How far the decompression is, on a terminal: one line, taken away at its end."""

    def __init__(self, path: str) -> None:
        self._path = units.printable(path)
        self._is_shown = sys.stderr is not None and sys.stderr.isatty()
        self._percent = -1

    def __call__(self, done: int, total: int) -> None:
        percent = 100 * done // total if total else 100
        if not self._is_shown or percent == self._percent:
            return
        self._percent = percent
        self._write(f"\r\x1b[Kdecompressing {self._path} … {percent} %")

    def end(self) -> None:
        if self._percent >= 0:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()
