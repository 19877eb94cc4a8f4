"""A command line taken apart, what must hold of it, and what help says."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, NamedTuple, NoReturn

from memtui.commands import COMMANDS, Command, Option
from memtui.reports.output import USAGE, Failure
from memtui.setting import Setting
from memtui.settings.table import SETTINGS

_TIME_FLAGS: Final = ("--at", "--since", "--until")
_COMMAND_BY_NAME: Final = {command.name: command for command in COMMANDS}


class Line(NamedTuple):
    """A command line, taken apart: `words` are its positionals, without the command; `unknown` are
    options that are none here.
    """

    command: Command | None
    options: argparse.Namespace
    words: list[str]
    unknown: list[str]

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
        return bool(command.screen) and not prints and not lacks_terminal()

    @property
    def own(self) -> tuple[Option, ...]:
        return self.command.options if self.command else ()


def parsed(argv: list[str]) -> Line:
    """A command line taken apart. Fails where a value is none that its option takes."""
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
    return Line(command, options, words, unknown)


def _with_times(argv: list[str]) -> list[str]:
    """`--at -15m` as `--at=-15m`, which argparse would take for an option."""
    words: list[str] = []
    for word in argv:
        if words and words[-1] in _TIME_FLAGS and re.match(r"-[0-9]", word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


_Rule = Callable[[Line], str]


def check_words(line: Line) -> None:
    """Fails where it is not well formed: before the file of settings is read."""
    _check(line, _WORD_RULES)


def check_meaning(line: Line) -> None:
    """Fails where its parts do not go together."""
    _check(line, _MEANING_RULES)


def _check(line: Line, rules: Iterable[_Rule]) -> None:
    """Fails with what the first of these rules has to say."""
    for rule in rules:
        if complaint := rule(line):
            raise Failure(complaint, USAGE)


def _too_many_values(line: Line) -> str:
    for option in line.own:
        given = getattr(line.options, option.key)
        if option.values > 1 and given and len(given) > option.values:
            return (
                f"{given[option.values]!r} is one too many for {option.flag} {option.value_name}: "
                f"{line.hint}"
            )
    return ""


def _words_before_dashes(line: Line) -> str:
    """`memtui run ls -l`: its -l would be memtui's."""
    if line.command is None or not line.command.rest or line.command.argument or not line.words:
        return ""
    name, word = line.command.name, line.words[0]
    if word.startswith("-"):
        return ""
    return f"what to {name} stands after --: memtui {name} -- {word} …"


def _unknown_option(line: Line) -> str:
    if not line.unknown:
        return ""
    word = line.unknown[0]
    flag = word.partition("=")[0]
    for other in COMMANDS:
        if any(option.flag == flag for option in other.options):
            return f"{flag} goes with {other.name}, and after it: {_help_hint(other)}"
    return f"no option {word!r}: {line.hint}"


def _too_many_words(line: Line) -> str:
    most = len(line.command.argument.split()) if line.command else 1
    if len(line.words) <= most:
        return ""
    return f"{line.words[most]!r} is one argument too many: {line.hint}"


def _lacks_argument(line: Line) -> str:
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


def _two_forms(line: Line) -> str:
    if line.options.json and line.options.csv:
        return f"--json or --csv, not both: {line.hint}"
    return ""


def _form_of_no_report(line: Line) -> str:
    if line.command or not (line.options.json or line.options.csv):
        return ""
    flag = "--json" if line.options.json else "--csv"
    return f"{flag} goes with a report: {report_names()}"


def _no_table(line: Line) -> str:
    if line.command is None or not line.options.csv or line.command.is_table:
        return ""
    instead = ": take --json" if line.command.is_document else ""
    return f"{line.command.name} is no table, and so no --csv{instead}"


def _no_document(line: Line) -> str:
    if line.command is None or not line.options.json or line.command.is_document:
        return ""
    return f"{line.command.name} prints no figures, and no --json"


def _recorded_and_not(line: Line) -> str:
    options, command = line.options, line.command
    if options.recording is None:
        if command is not None and command.takes_time:
            return ""
        return f"--at goes with --from FILE: {line.hint}" if options.at is not None else ""
    if options.roots:
        return f"--from or --root, not both: {line.hint}"
    if command is None:
        return f"--from goes with a report: {report_names()}"
    return "" if command.is_report else f"{command.name} is no report, and takes no --from"


# What must hold of a command line, before the file of settings is read and after; each rule says
# what is wrong, or nothing.
_WORD_RULES: Final[tuple[_Rule, ...]] = (_words_before_dashes, _unknown_option, _too_many_values)
_MEANING_RULES: Final[tuple[_Rule, ...]] = (
    _too_many_words,
    _lacks_argument,
    _two_forms,
    _form_of_no_report,
    _no_table,
    _no_document,
    _recorded_and_not,
)


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


def help_of(line: Line) -> str:
    """What --help prints."""
    return _command_help(line.command) if line.command else _help()


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


def report_names() -> str:
    """How each command is called."""
    return ", ".join(f"memtui {command.usage}" for command in COMMANDS)


def lacks_terminal() -> str:
    """Why no screen can be shown; empty where one can."""
    if not _is_terminal(sys.stdin) or not _is_terminal(sys.stdout):
        return "needs a terminal"
    return "cannot draw on TERM=dumb" if os.environ.get("TERM") == "dumb" else ""


def _is_terminal(stream: io.TextIOBase | object) -> bool:
    # A stream is None where the shell closed it (`<&-`).
    return isinstance(stream, io.TextIOBase) and stream.isatty()
