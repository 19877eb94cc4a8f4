"""What a setting is, and how what somebody gives for it becomes its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


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
