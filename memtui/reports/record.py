"""`memtui record`: writes down what a machine's memory does, for days, without a screen."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

from memtui import units
from memtui.kernel.files import Files
from memtui.recording.beginning import make_room
from memtui.recording.collector import MapsWanted
from memtui.recording.recorder import Recorder
from memtui.recording.store import Unusable, default_path
from memtui.recording.times import span_of
from memtui.recording.writer import Keep
from memtui.reports.output import FAILED, NOT_PERMITTED, USAGE, Failure, Options

_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?) ?([KMGT])(?:i?B)?", re.ASCII)
_LEAST_BYTES: Final = 1 << 20
_MAPS_EVERY_S: Final = 60.0
_LOOK_EVERY_S: Final = 1.0
_COLUMNS: Final = 78


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui record [FILE]`, until SIGTERM, SIGHUP or Ctrl+C."""
    path = options.argument or default_path()
    maps = MapsWanted(
        tuple(options.map or ()),
        _count(options.largest),
        max(1, round(_MAPS_EVERY_S / options.interval_s)),
    )
    keep = Keep(_span(options.keep), _size(options.max_size))
    try:
        if not options.argument:
            make_room(path)
        recorder = Recorder(
            files,
            path,
            options.interval_s,
            maps=maps,
            keep=keep,
            commands=not options.no_commands,
        )
    except Unusable as error:
        raise Failure(str(error), NOT_PERMITTED if error.is_denied else FAILED) from None
    return _recorded(recorder, path)


def _recorded(recorder: Recorder, path: str) -> Iterator[str]:
    """Records until a signal; on a terminal one line that says how far it is."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    shows = sys.stdout is not None and sys.stdout.isatty()
    began_s = time.monotonic()
    trouble, has_looked = "", False
    recorder.start()
    try:
        while not stopping.wait(_LOOK_EVERY_S):
            if recorder.ticks and not has_looked:
                has_looked = True
                for who in recorder.lacking:
                    _tell(f"no process {who!r} yet: its map is kept once there is one")
            if recorder.trouble != trouble:
                trouble = recorder.trouble
                _tell(f"{path}: {trouble}" if trouble else f"{path}: goes on")
            if shows:
                yield _line(recorder, path, time.monotonic() - began_s)
    finally:
        recorder.stop()
    if shows:
        yield "\n"
    if recorder.trouble:
        _tell(f"{path}: {recorder.trouble}: the last of it is missing")


def _line(recorder: Recorder, path: str, seconds: float) -> str:
    writer = recorder.writer
    words = f"{path}: {units.duration(seconds)}, {units.count(recorder.ticks)} moments"
    if writer.size_bytes:
        words += f", {units.size(writer.size_bytes)}"
    if writer.lost:
        words += f", {units.count(writer.lost)} lost"
    words = units.printable(f"{words}; Ctrl+C ends it")
    return "\r" + units.fit(words, _COLUMNS, "<")


def _tell(words: str) -> None:
    """Beside the output, where a journal takes it."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"memtui: {units.printable(words)}\n")
            sys.stderr.flush()


def _count(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 7):
        raise Failure(f"--largest takes a number, not {text!r}", USAGE)
    return int(text)


def _span(text: str | None) -> float | None:
    try:
        return None if text is None else span_of(text)
    except ValueError as error:
        raise Failure(f"--keep: {error}", USAGE) from None


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    found = _SIZE.fullmatch(text.strip())
    size = 0 if found is None else round(float(found[1]) * (1 << 10 * " KMGT".index(found[2])))
    if size < _LEAST_BYTES:
        raise Failure(f"--max-size: expected a size from 1M, such as 500M, not {text!r}", USAGE)
    return size
