"""The user's file of settings: where it is, what it says, and in which line it says nonsense."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from memtui.model.shortage.alerts import ALERTS, Limit
from memtui.setting import Setting, shown
from memtui.settings.table import SETTINGS
from memtui.settings.values import Settings, default_path, settings_of

_AT_MOST_BYTES: Final = 65_536  # nobody's settings are longer, and a device has no end
_AT_LINE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")


class BadConfig(Exception):
    """What is wrong with the file, in one line that names it, the line in it and the key."""


def read_settings(named: str | None, given: Mapping[str, Any]) -> Settings:
    """Defaults, over them the file, over that what was given by options (absent or None: nothing).

    `named` is the file of the command line, which must be there; None: the default one. Raises
    BadConfig.
    """
    said = _read(default_path() if named is None else named, must_exist=named is not None)
    return settings_of(given, said)


def _read(path: str, must_exist: bool) -> dict[str, Any]:
    """What the file says, by the keys of the settings."""
    name = _shown_path(path)
    try:
        with open(path, "rb") as file:
            data = file.read(_AT_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        if must_exist:
            raise BadConfig(f"{name}: no such file") from None
        return {}
    except OSError as error:
        if not must_exist and not os.access(os.path.dirname(path), os.X_OK):
            return {}  # another user's home, as with setpriv or sudo: nobody asked for this file
        raise BadConfig(f"{name}: {error.strerror}") from None
    if len(data) > _AT_MOST_BYTES:
        raise BadConfig(f"{name}: no file of settings is longer than {_AT_MOST_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadConfig(f"{name}:{line}: not UTF-8") from None
    return _values(name, text, _parsed(name, text))


def _parsed(name: str, text: str) -> dict[str, Any]:
    import tomllib  # 15 ms, which who has no file need not wait for

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise BadConfig(f"{name}: nested too deeply") from None
    except ValueError as error:  # a number of 5,000 digits is no TOMLDecodeError
        words = str(error)
        at = _AT_LINE.search(words)
        line = int(at[1]) if at and at[1] else len(text.rstrip("\n").split("\n"))
        words = words[: at.start()] if at else words
        raise BadConfig(f"{name}:{line}: {words[:1].lower()}{words[1:]}") from None


def _values(name: str, text: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """The document's values as the settings' converters take them."""
    known = {each.name: each for each in SETTINGS if each.name}
    alerts = document.get("alerts", {})
    if not isinstance(alerts, dict):
        line = line_of(text, ("alerts",))
        raise BadConfig(f"{name}:{line}: alerts: expected a table, not {shown(alerts)}")
    values = {
        setting.key: value
        for setting, value in _converted(name, text, (), document, known, others=("alerts",))
    }
    of_alerts = {each.name: each for each in ALERTS}
    found = {
        setting.key: value
        for setting, value in _converted(name, text, ("alerts",), alerts, of_alerts)
    }
    return {**values, "alerts": found}


def _converted(
    name: str,
    text: str,
    table: tuple[str, ...],
    found: Mapping[str, Any],
    known: Mapping[str, Setting],
    others: tuple[str, ...] = (),
) -> Iterator[tuple[Setting, Any]]:
    """Each setting of a table of the file with its value."""
    for key, value in found.items():
        if key in others:
            continue
        setting = known.get(key)
        problem = ""
        if setting is None:
            problem = f"no such setting; {_nearest(key, [*known, *others])}"
        else:
            try:
                yield setting, setting.convert(value)
            except ValueError as error:
                problem = str(error)
        if problem:
            line = line_of(text, (*table, key))
            raise BadConfig(f"{name}:{line}: {'.'.join((*table, key))}: {problem}")


def _nearest(key: str, names: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, names, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


def line_of(text: str, path: tuple[str, ...]) -> int:
    """The line in which a TOML document that is known to be right sets this key.

    tomllib tells no lines; but a statement of TOML is a document, and begins where the one before
    it ended. So each is parsed alone.
    """
    import tomllib

    table: tuple[str, ...] = ()
    statement, began = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        try:
            found: Any = tomllib.loads(statement)
        except ValueError:
            continue  # it goes on in the next line
        if statement.lstrip().startswith("["):
            table = _only_path(found)
            if table[: len(path)] == path:
                return began
        elif _has(found, table, path):
            return began
        statement, began = "", number + 1
    return 1


def _only_path(header: Any) -> tuple[str, ...]:
    """The names in a table's header, which is parsed as tables in tables (or in lists of one)."""
    path: list[str] = []
    while header:
        if isinstance(header, list):
            header = header[0]
            continue
        name, header = next(iter(header.items()))
        path.append(name)
    return tuple(path)


def _has(found: Any, table: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether what is set below a table is what the path names."""
    if path[: len(table)] != table:
        return False
    for name in path[len(table) :]:
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    return True


def _shown_path(path: str) -> str:
    home = os.path.expanduser("~")
    return "~" + path.removeprefix(home) if home != "/" and path.startswith(f"{home}/") else path


def run(_files: object, _options: object) -> Iterator[str]:
    """The command: `memtui config`."""
    return default_file()


def default_file() -> Iterator[str]:
    """A file that sets everything as it is anyway, a comment above each line."""
    for setting in SETTINGS:
        if setting.name:
            yield f"# {setting.help}\n{setting.name} = {_toml(setting.default)}\n"
    yield "\n[alerts]  # false switches one off\n"
    for setting in ALERTS:
        if setting.default is not None:
            yield f"# {setting.help}\n{setting.name} = {_toml(setting.default)}\n"
    yield "# what a single one does instead\n"
    yield '# oom_kill_actions = ["mark", "bell", "notify"]\n'


def _toml(value: object) -> str:
    """A default as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and not isinstance(value, Limit):
        return f"[{', '.join(map(_toml, value))}]"
    return f"{value:g}" if isinstance(value, (int, float)) else f'"{value}"'
