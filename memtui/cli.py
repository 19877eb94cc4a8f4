"""The command line. The interface is imported only when it is wanted."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from typing import Final, cast

from memtui import __version__, targets
from memtui.commandline import (
    Line,
    check_meaning,
    check_words,
    help_of,
    lacks_terminal,
    parsed,
    report_names,
)
from memtui.commands import Command
from memtui.defects import defect
from memtui.imported import imported
from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.reports.output import Failure, Outcome, no_process, unreadable
from memtui.settings.table import SETTINGS
from memtui.settings.values import Settings, default_path, settings_of
from memtui.targets import Target
from memtui.units import printable

_INTERRUPTED: Final = 130


def main(argv: list[str] | None = None) -> int:
    """Runs one command line, `sys.argv` by default; the exit status.

    Never raises: a defect is one line too, and a traceback only under `python -X dev`.
    """
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except Failure as failure:
        return _complain(str(failure), failure.status)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        _discard_output()
        return _complain(defect(error), 1)


def _run(argv: list[str]) -> int:
    line = parsed(argv)
    command, options = line.command, line.options
    if options.version:
        return _print([f"memtui {__version__}\n"])
    if options.help:
        return _print([help_of(line)])
    check_words(line)
    settings = _take_settings(options, is_dashboard=line.is_shown)
    check_meaning(line)
    if options.recording is not None:
        assert command is not None
        return _report_of_recording(command, options)
    files = LiveFiles(options.root)
    if isinstance(files.stat("proc"), Gap):
        raise Failure(f"{options.root}: no proc directory in it; --root takes the directory above")
    if command and command.source:
        files = imported(command.source)(files, options)
    if command is None or line.is_shown:
        assert settings is not None
        return _show(line, files, settings)
    output = imported(command.code)(files, options)
    if isinstance(output, Outcome):
        return _print(output.pieces) or output.status
    return _print(output, options.csv)


def _report_of_recording(command: Command, options: argparse.Namespace) -> int:
    """A report of a moment that was recorded; status 1 where it lacks what was not."""
    from memtui.reports.recorded import not_recorded, recorded_files

    files = recorded_files(options.recording, options.at)
    status = _print(imported(command.code)(files, options), options.csv)
    missing = not_recorded(files)
    return _complain(missing, 1) if missing else status


def _take_settings(options: argparse.Namespace, is_dashboard: bool) -> Settings | None:
    """Reads the file of settings for the dashboard, or where it is named; fills in the options."""
    settings = None
    if is_dashboard or options.config is not None:
        if options.config is None and not os.path.lexists(default_path()):
            settings = settings_of(vars(options))
        else:
            settings = _settings_with_file(options)
        vars(options).update(settings._asdict())
    for setting in SETTINGS:
        if getattr(options, setting.key) is None:
            setattr(options, setting.key, setting.default)
    return settings


def _settings_with_file(options: argparse.Namespace) -> Settings:
    from memtui.settings.file import BadConfig, read_settings

    try:
        return read_settings(options.config, vars(options))
    except BadConfig as error:
        raise Failure(str(error)) from None


def _show(line: Line, files: Files, settings: Settings) -> int:
    """Opens the dashboard, or a command's screen; the exit status at its end."""
    command, text = line.command, line.options.argument
    target = None if command or text is None else _meant(files, text)
    if lacks := lacks_terminal():
        raise Failure(f"the dashboard {lacks}; to print there is {report_names()}")
    try:
        if command:
            return int(imported(command.screen)(files, settings, line.options))
        from memtui.tui.launch import run

        return run(files, settings, target)
    except ModuleNotFoundError as error:
        instead = f"memtui {command.usage} --headless" if command else report_names()
        raise Failure(
            f"the dashboard needs {error.name}, which this Python lacks; to print there is {instead}"
        ) from None


def _meant(files: Files, text: str) -> Target:
    """The process, or those, that somebody named."""
    target = targets.find(files, text)
    if target is None:
        raise no_process(files, text, ", and no command either: memtui --help lists those")
    if target.pid is not None:
        stat = files.read(f"proc/{target.pid}/stat")
        if isinstance(stat, Gap) and stat.reason == "denied":
            raise unreadable(files, stat)
    return target


def _print(pieces: Iterable[str], as_bytes: bool = False) -> int:
    """Writes each piece at once. `as_bytes`: other people's names as the bytes they were."""
    out = sys.stdout
    if out is None:
        raise Failure("standard output is closed")
    if isinstance(out, io.TextIOWrapper):
        if as_bytes:
            out.reconfigure(encoding="utf-8", errors="surrogateescape")
        else:
            # A name in a script that the terminal's encoding lacks is no reason to stop.
            out.reconfigure(errors="backslashreplace")
    pieces = iter(pieces)
    try:
        piece = next(pieces, None)
        while piece is not None:
            try:
                out.write(piece)
                out.flush()
            except KeyboardInterrupt:
                piece = _interrupt(pieces)
            else:
                piece = next(pieces, None)
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        _discard_output()
        raise Failure(f"cannot write the output: {error.strerror}") from None
    return 0


def _interrupt(pieces: Iterator[str]) -> str | None:
    """What a report that is ended with Ctrl+C still has to say; most have nothing.

    Told here, as Ctrl+C may find memtui writing, and not in the report that would wait for it.
    """
    if not isinstance(pieces, Generator):
        raise KeyboardInterrupt
    try:
        return cast(str, pieces.throw(KeyboardInterrupt()))
    except StopIteration:
        return None


def _discard_output() -> None:
    """Leaves nothing that the interpreter's own flush at exit could fail on."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _complain(message: str, status: int) -> int:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"memtui: {printable(message)}\n")
            sys.stderr.flush()
    return status
