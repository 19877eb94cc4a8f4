"""A time as somebody types it: `-15m`, `14:32`, `14:32:07`, `2026-11-30T14:32`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

_BACK: Final = re.compile(r"-([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(s|m|min|h|d|)", re.ASCII)
_OF_DAY: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII)
_SPAN: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(s|m|min|h|d)", re.ASCII)
_SECONDS: Final = {"s": 1, "": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
A_MINUTE_S: Final = 59.0  # that 14:32 may be later than 14:32:07, at which there is an end

EXPECTED: Final = "a time such as -15m, 14:32, 14:32:07 or 2026-11-30T14:32"


def time_of(
    text: str, now_s: float, first_s: float = float("-inf"), last_s: float | None = None
) -> float:
    """Seconds since the epoch. `-15m` counts back from `now_s`; 14:32 is the last one of what there is
    from `first_s` to `last_s`, without that to `now_s`, else the one that is nearest to it. Raises
    ValueError with what was expected.
    """
    last_s = now_s if last_s is None else last_s
    text = text.strip()
    if back := _BACK.fullmatch(text):
        return now_s - float(back[1]) * _SECONDS[back[2]]
    try:
        if of_day := _OF_DAY.fullmatch(text):
            last = datetime.fromtimestamp(last_s)
            hour, minute, second = (int(each or 0) for each in of_day.groups())
            same = last.replace(hour=hour, minute=minute, second=second, microsecond=0)
            found = [(same + timedelta(days=days)).timestamp() for days in (1, 0, -1)]
            return min(found, key=lambda each: max(first_s - each, each - last_s - A_MINUTE_S, 0.0))
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"expected {EXPECTED}, not {text!r}") from None


def span_of(text: str) -> float:
    """A length of time, `7d` or `90m`, in seconds. Raises ValueError with what was expected."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise ValueError(f"expected a time such as 90m, 12h or 7d, not {text!r}")
    return float(found[1]) * _SECONDS[found[2]]
