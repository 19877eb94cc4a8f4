"""The one table of settings: what can be set, by which option and which name in the file.

What the file says of alerts stands beside their rules, in model/alerts.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

INTERVAL_RANGE_S: Final = (0.1, 3600.0)
WINDOWS_S: Final = (60, 300, 900, 3600)
THEMES: Final = ("memtui", "light", "high-contrast")
VIEWS: Final = ("overview", "processes", "map", "pressure", "physical")

_WINDOW: Final = re.compile(r"([0-9]{1,4}) ?(s|m|min|h|)", re.ASCII)
_SECONDS: Final = {"s": 1, "": 1, "m": 60, "min": 60, "h": 3600}


class Setting(NamedTuple):
    """One setting. `value_name` is what help calls its value, empty for a switch.

    `convert` turns the option's text, or the file's value, into what is meant; ValueError says in
    words what was expected. `name` is what the file calls it; empty: an option alone.
    """

    key: str
    flag: str
    value_name: str
    default: Any
    convert: Callable[[Any], Any]
    help: str
    name: str = ""


def shown(value: object) -> str:
    """A value of the file or of an option, as an error quotes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else str(value)


def choice(names: tuple[str, ...]) -> Callable[[object], str]:
    """A converter that takes one of these names."""

    def convert(value: object) -> str:
        if isinstance(value, str) and value in names:
            return value
        words = f"{', '.join(names[:-1])} or {names[-1]}"
        raise ValueError(f"expected {words}, not {shown(value)}")

    return convert


def switch(value: object) -> bool:
    """On or off, in the file; on the command line a switch has no value."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"expected true or false, not {shown(value)}")


def number(value: object) -> float | None:
    """What a text or a value of the file is as a number; None: none that is finite."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) <= 1e300 else None  # which NaN is not, either


def _directory(text: str) -> str:
    # Nothing before "/proc" would be this machine, which nobody means by an empty variable.
    if not text:
        raise ValueError("expected a directory, not nothing")
    return text


def _file(text: str) -> str:
    if not text:
        raise ValueError("expected a file, not nothing")
    return text


def _interval(value: object) -> float:
    low, high = INTERVAL_RANGE_S
    seconds = number(value)
    if seconds is None or not low <= seconds <= high:
        raise ValueError(f"expected {low:g} to {high:g} seconds, not {shown(value)}")
    return seconds


def _window(value: object) -> int:
    match = _WINDOW.fullmatch(str(value)) if isinstance(value, (str, int)) else None
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if seconds not in WINDOWS_S:
        raise ValueError(f"expected 1m, 5m, 15m or 60m, not {shown(value)}")
    return seconds


SETTINGS: Final = (
    Setting(
        "root",
        "--root",
        "DIR",
        "/",
        _directory,
        "read DIR/proc and DIR/sys: a container's mount of its host, a captured machine",
    ),
    Setting(
        "interval_s",
        "--interval",
        "SECONDS",
        1.0,
        _interval,
        "how often to look, 0.1 to 3600 (1)",
        "interval",
    ),
    Setting(
        "window_s",
        "--window",
        "TIME",
        WINDOWS_S[1],
        _window,
        "what the graphs show at first: 1m, 5m, 15m or 60m (5m)",
        "window",
    ),
    Setting(
        "view",
        "--view",
        "NAME",
        VIEWS[0],
        choice(VIEWS),
        f"the view to begin with: {', '.join(VIEWS)} ({VIEWS[0]})",
        "view",
    ),
    Setting(
        "theme",
        "--theme",
        "NAME",
        THEMES[0],
        choice(THEMES),
        f"colours: {', '.join(THEMES)} ({THEMES[0]})",
        "theme",
    ),
    Setting(
        "readonly",
        "--readonly",
        "",
        False,
        switch,
        "offer nothing that changes the machine",
        "readonly",
    ),
    Setting(
        "json", "--json", "", False, str, "one JSON document: sizes in bytes, null for unknown"
    ),
    Setting(
        "csv", "--csv", "", False, str, "a table as CSV, its heads JSON's keys: sizes in bytes"
    ),
    Setting(
        "config",
        "--config",
        "FILE",
        None,
        _file,
        "settings from FILE instead of ~/.config/memtui/config.toml",
    ),
)
