"""The one table of settings: what can be set, by which option and which name in the file.

What the file says of alerts stands beside their rules, in model/shortage/alerts.py.
"""

from __future__ import annotations

import re
from typing import Final

from memtui.setting import Setting, choice, number, shown, switch
from memtui.views import VIEWS

INTERVAL_RANGE_S: Final = (0.1, 3600.0)
WINDOWS_S: Final = (60, 300, 900, 3600)
THEMES: Final = ("memtui", "light", "high-contrast")
_VIEWS: Final = tuple(view.name for view in VIEWS)

_WINDOW: Final = re.compile(r"([0-9]{1,4}) ?(s|m|min|h|)", re.ASCII)
_SECONDS: Final = {"s": 1, "": 1, "m": 60, "min": 60, "h": 3600}


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
        _VIEWS[0],
        choice(_VIEWS),
        f"the view to begin with: {', '.join(_VIEWS)} ({_VIEWS[0]})",
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
        "recording",
        "--from",
        "FILE",
        None,
        _file,
        "a report of what memtui record has written to FILE, as it was at --at",
    ),
    Setting(
        "at",
        "--at",
        "TIME",
        None,
        str,
        "when: -15m, 14:32, 14:32:07 or 2026-11-30T14:32 (the last moment in FILE)",
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
