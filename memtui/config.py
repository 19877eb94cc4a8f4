"""The one table of settings: what can be set, by which option, and what holds otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

INTERVAL_RANGE_S: Final = (0.1, 3600.0)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `value_name` is what help calls its value, empty for a switch.

    `convert` turns the option's text into the value; ValueError says in words what was expected.
    """

    key: str
    flag: str
    value_name: str
    default: str | float | bool
    convert: Callable[[str], str | float]
    help: str


def _directory(text: str) -> str:
    # Nothing before "/proc" would be this machine, which nobody means by an empty variable.
    if not text:
        raise ValueError("expected a directory, not nothing")
    return text


def _interval(text: str) -> float:
    low, high = INTERVAL_RANGE_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not low <= seconds <= high:  # which NaN is not, either
        raise ValueError(f"expected {low:g} to {high:g} seconds, not {text!r}")
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
    ),
    Setting(
        "json", "--json", "", False, str, "one JSON document: sizes in bytes, null for unknown"
    ),
    Setting(
        "csv", "--csv", "", False, str, "a table as CSV, its heads JSON's keys: sizes in bytes"
    ),
)
