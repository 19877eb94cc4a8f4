"""A time as somebody types it: `-15m`, `14:32`, `14:32:07`, `2026-11-30T14:32`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

_BACK: Final = re.compile(r"-([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(s|m|min|h|d|)", re.ASCII)
_OF_DAY: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII)
_SPAN: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(s|m|min|h|d)", re.ASCII)
_SECONDS: Final = {"s": 1, "": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_A_MINUTE: Final = timedelta(seconds=59)

EXPECTED: Final = "a time such as -15m, 14:32, 14:32:07 or 2026-11-30T14:32"


def time_of(text: str, last_s: float) -> float:
    """Seconds since the epoch. `last_s`: from where `-15m` counts back, and which day 14:32 is of: the
    last one on which it was not later. Raises ValueError with what was expected.
    """
    text = text.strip()
    if back := _BACK.fullmatch(text):
        return last_s - float(back[1]) * _SECONDS[back[2]]
    try:
        if of_day := _OF_DAY.fullmatch(text):
            last = datetime.fromtimestamp(last_s)
            hour, minute, second = (int(each or 0) for each in of_day.groups())
            found = last.replace(hour=hour, minute=minute, second=second, microsecond=0)
            if found > last + _A_MINUTE:
                found -= timedelta(days=1)
            return found.timestamp()
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"expected {EXPECTED}, not {text!r}") from None


def span_of(text: str) -> float:
    """A length of time, `7d` or `90m`, in seconds. Raises ValueError with what was expected."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise ValueError(f"expected a time such as 90m, 12h or 7d, not {text!r}")
    return float(found[1]) * _SECONDS[found[2]]
