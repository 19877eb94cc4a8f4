"""The command line. The interface is imported only when it is wanted."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import sys
import textwrap
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple, NoReturn, cast

from memtui import __version__, targets
from memtui.commands import COMMANDS, Command, Option
from memtui.defects import defect
from memtui.imported import imported
from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.reports.output import USAGE, Failure, Outcome, no_process, unreadable
from memtui.setting import Setting
from memtui.settings.table import SETTINGS
from memtui.settings.values import Settings, default_path, settings_of
from memtui.targets import Target
from memtui.units import printable

_INTERRUPTED: Final = 130
_TIME_FLAGS: Final = ("--at", "--since", "--until")


_COMMAND_BY_NAME: Final = {command.name: command for command in COMMANDS}


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


class _Line(NamedTuple):
    """A command line, taken apart: `words` are its positionals, without the command."""

    command: Command | None
    options: argparse.Namespace
    words: list[str]

    @property
    def hint(self) -> str:
        return _help_hint(self.command)

    @property
    def is_shown(self) -> bool:
        """Whether it opens a screen, and prints nothing: a report does not where there is no terminal."""
        command, options = self.command, self.options
        if command is None:
            return True
        prints = options.json or any(
            each.prints and getattr(options, each.key) for each in command.options
        )
        return bool(command.screen) and not prints and not _lacks_terminal()

    @property
    def own(self) -> tuple[Option, ...]:
        return self.command.options if self.command else ()


def _run(argv: list[str]) -> int:
    line, unknown = _parsed(argv)
    command, options = line.command, line.options
    if options.version:
        return _print([f"memtui {__version__}\n"])
    if options.help:
        return _print([_command_help(command) if command else _help()])
    _check(line, _REST_RULES)
    if unknown:
        raise Failure(_no_option(unknown[0], command), USAGE)
    _check(line, _OPTION_RULES)
    settings = _take_settings(options, is_dashboard=line.is_shown)
    _check(line, _RULES)
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


def _parsed(argv: list[str]) -> tuple[_Line, list[str]]:
    """A command line taken apart, and the options in it that are none here."""
    argv = _with_times(argv)
    end = argv.index("--") if "--" in argv else len(argv)
    after = argv[end + 1 :]  # never a command: `memtui -- free` is a program of that name
    options, words = _options_parser(()).parse_known_args(argv[:end])
    plain = [word for word in words if not word.startswith("-")]
    command = _COMMAND_BY_NAME.get(plain[0]) if plain else None
    if command and command.options:
        options, words = _options_parser(command.options).parse_known_args(argv[:end])
    unknown = [word for word in words if word.startswith("-")]
    options.rest = []
    if command:
        words = words[1:]
        if command.rest:
            options.rest, after = after, []
    words += after
    if command and command.is_phrase and words:
        words = [" ".join(words)]
    options.argument = words[0] if words else None
    options.arguments = words
    return _Line(command, options, words), unknown


def _with_times(argv: list[str]) -> list[str]:
    """`--at -15m` as `--at=-15m`, which argparse would take for an option."""
    words: list[str] = []
    for word in argv:
        if words and words[-1] in _TIME_FLAGS and re.match(r"-[0-9]", word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


_Rule = Callable[[_Line], str]


def _check(line: _Line, rules: Iterable[_Rule]) -> None:
    """Fails with what the first of these rules has to say."""
    for rule in rules:
        if complaint := rule(line):
            raise Failure(complaint, USAGE)


def _too_many_values(line: _Line) -> str:
    for option in line.own:
        given = getattr(line.options, option.key)
        if option.values > 1 and given and len(given) > option.values:
            return (
                f"{given[option.values]!r} is one too many for {option.flag} {option.value_name}: "
                f"{line.hint}"
            )
    return ""


def _words_before_dashes(line: _Line) -> str:
    """`memtui run ls -l`: its -l would be memtui's."""
    if line.command is None or not line.command.rest or line.command.argument or not line.words:
        return ""
    name, word = line.command.name, line.words[0]
    if word.startswith("-"):
        return ""
    return f"what to {name} stands after --: memtui {name} -- {word} …"


def _too_many_words(line: _Line) -> str:
    most = len(line.command.argument.split()) if line.command else 1
    if len(line.words) <= most:
        return ""
    return f"{line.words[most]!r} is one argument too many: {line.hint}"


def _lacks_argument(line: _Line) -> str:
    command, options = line.command, line.options
    if command is None:
        return ""
    if command.rest and not options.rest:
        return f"{command.name} needs {command.rest} after --: {line.hint}"
    if any(getattr(options, each.key) for each in command.options if not each.prints):
        return ""
    if command.argument and not command.argument.startswith("[") and not line.words:
        return f"{command.name} needs a {command.argument.split()[0]}: {line.hint}"
    return ""


def _two_forms(line: _Line) -> str:
    if line.options.json and line.options.csv:
        return f"--json or --csv, not both: {line.hint}"
    return ""


def _form_of_no_report(line: _Line) -> str:
    if line.command or not (line.options.json or line.options.csv):
        return ""
    flag = "--json" if line.options.json else "--csv"
    return f"{flag} goes with a report: {_report_names()}"


def _no_table(line: _Line) -> str:
    if line.command is None or not line.options.csv or line.command.is_table:
        return ""
    instead = ": take --json" if line.command.is_document else ""
    return f"{line.command.name} is no table, and so no --csv{instead}"


def _no_document(line: _Line) -> str:
    if line.command is None or not line.options.json or line.command.is_document:
        return ""
    return f"{line.command.name} prints no figures, and no --json"


def _recorded_and_not(line: _Line) -> str:
    options, command = line.options, line.command
    if options.recording is None:
        if command is not None and command.takes_time:
            return ""
        return f"--at goes with --from FILE: {line.hint}" if options.at is not None else ""
    if options.roots:
        return f"--from or --root, not both: {line.hint}"
    if command is None:
        return f"--from goes with a report: {_report_names()}"
    return "" if command.is_report else f"{command.name} is no report, and takes no --from"


# What must hold of a command line, before the file of settings is read and after; each rule says
# what is wrong, or nothing.
_REST_RULES: Final[tuple[_Rule, ...]] = (_words_before_dashes,)
_OPTION_RULES: Final[tuple[_Rule, ...]] = (_too_many_values,)
_RULES: Final[tuple[_Rule, ...]] = (
    _too_many_words,
    _lacks_argument,
    _two_forms,
    _form_of_no_report,
    _no_table,
    _no_document,
    _recorded_and_not,
)


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


def _no_option(word: str, command: Command | None) -> str:
    """What to say of an option that is none here."""
    flag = word.partition("=")[0]
    for other in COMMANDS:
        if any(option.flag == flag for option in other.options):
            return f"{flag} goes with {other.name}, and after it: {_help_hint(other)}"
    return f"no option {word!r}: {_help_hint(command)}"


def _show(line: _Line, files: Files, settings: Settings) -> int:
    """Opens the dashboard, or a command's screen; the exit status at its end."""
    command, text = line.command, line.options.argument
    target = None if command or text is None else _meant(files, text)
    if lacks := _lacks_terminal():
        raise Failure(f"the dashboard {lacks}; to print there is {_report_names()}")
    try:
        if command:
            return int(imported(command.screen)(files, settings, line.options))
        from memtui.tui.launch import run

        return run(files, settings, target)
    except ModuleNotFoundError as error:
        instead = f"memtui {command.usage} --headless" if command else _report_names()
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


def _lacks_terminal() -> str:
    """Why no screen can be shown; empty where one can."""
    if not _is_terminal(sys.stdin) or not _is_terminal(sys.stdout):
        return "needs a terminal"
    return "cannot draw on TERM=dumb" if os.environ.get("TERM") == "dumb" else ""


class _Last(argparse.Action):
    """The last value counts; all that were given stand under the name with an s."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        value: object,
        _flag: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, value)
        setattr(namespace, f"{self.dest}s", [*getattr(namespace, f"{self.dest}s", ()), value])


class _Parser(argparse.ArgumentParser):
    """Errors become a Failure: one line, and no usage before it."""

    def error(self, message: str) -> NoReturn:
        raise Failure(f"{message.removeprefix('argument ')} (memtui --help)", USAGE)


def _options_parser(own: Iterable[Option]) -> argparse.ArgumentParser:
    """The options that mean the same before and after every command, and a command's own.

    The rest is left over.
    """
    parser = _Parser(
        prog="memtui",
        add_help=False,
        allow_abbrev=False,
        # Of a given width: it would import shutil, for 3 ms, to learn that of a terminal.
        formatter_class=partial(argparse.HelpFormatter, width=80),
    )
    for setting in SETTINGS:
        if setting.value_name:
            parser.add_argument(
                setting.flag,
                dest=setting.key,
                type=_converter(setting),
                action=_Last,
            )
            parser.set_defaults(**{f"{setting.key}s": ()})
        else:
            # None is "not given": the file may say it.
            parser.add_argument(setting.flag, dest=setting.key, action="store_true", default=None)
    for option in own:
        if option.repeats:
            parser.add_argument(option.flag, dest=option.key, action="append")
        elif option.values:
            nargs = "+" if option.values > 1 else None
            parser.add_argument(option.flag, dest=option.key, nargs=nargs)
        else:
            parser.add_argument(option.flag, dest=option.key, action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    return parser


def _converter(setting: Setting) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return setting.convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _help() -> str:
    return (
        "usage: memtui [OPTIONS] [PID | NAME]\n"
        "       memtui [OPTIONS] COMMAND\n\n"
        "A terminal dashboard for Linux memory. Without a command it opens, with a pid or a name\n"
        "on that process's map; `memtui -- free` is for a program that is called like a command.\n"
        "Commands print and exit.\n\ncommands:\n"
        + _columns([(command.usage, command.help) for command in COMMANDS])
        + "\n"
        + _options_help()
        + "\n"
        + _file_help()
        + "\nexit status: 1 failed, 2 wrong usage, 3 not permitted, 4 no such process\n"
    )


def _command_help(command: Command) -> str:
    rest = f" -- {command.rest}" if command.rest else ""
    usage = f"usage: memtui {command.name} {command.argument}".rstrip() + f" [OPTIONS]{rest}\n\n"
    usage += command.help[0].upper() + command.help[1:] + ".\n"
    if "PID" in command.argument:
        usage += "PID is a number, or a name that fits exactly one process.\n"
    if command.options:
        rows = [(f"{option.flag} {option.value_name}", option.help) for option in command.options]
        usage += f"\noptions of {command.name}, after it:\n{_columns(rows)}"
    return f"{usage}\n{_options_help()}"


def _options_help() -> str:
    rows = [(f"{setting.flag} {setting.value_name}", setting.help) for setting in SETTINGS]
    rows += [("--version", "print the version"), ("-h, --help", "print this")]
    return "options, before or after the command:\n" + _columns(rows)


def _file_help() -> str:
    names = ", ".join(setting.name for setting in SETTINGS if setting.name)
    return (
        textwrap.fill(
            f"~/.config/memtui/config.toml may set {names} and alerts, and options go before it: "
            "`memtui config` prints one. The dashboard alone reads it, and ends with status 1 at an "
            "error in it; reports print the same for everybody.",
            90,
        )
        + "\n"
    )


def _columns(rows: list[tuple[str, str]]) -> str:
    lines = []
    for name, words in rows:
        begin = f"  {name:<20}"
        if len(name) >= 20:
            lines.append(begin)
            begin = " " * 22
        lines += textwrap.wrap(words, 90, initial_indent=begin, subsequent_indent=" " * 22)
    return "\n".join(lines) + "\n"


def _help_hint(command: Command | None) -> str:
    return f"memtui {command.name} --help" if command else "memtui --help"


def _report_names() -> str:
    return ", ".join(f"memtui {command.usage}" for command in COMMANDS)


def _is_terminal(stream: io.TextIOBase | object) -> bool:
    # A stream is None where the shell closed it (`<&-`).
    return isinstance(stream, io.TextIOBase) and stream.isatty()


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
