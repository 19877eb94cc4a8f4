"""What memtui can do to a process, in words: the signals there are, and what went wrong, as a line."""

from __future__ import annotations

import signal
from typing import Final

from memtui.kernel.writes import ADJ_LEAST, ADJ_MOST, Change

# The gentle one first, then those that are of use here, then all others by name.
_FIRST: Final = ("TERM", "INT", "HUP", "KILL", "STOP", "CONT", "QUIT", "USR1", "USR2")
_WORDS: Final = {
    "TERM": "asks it to end: most programs save what they have",
    "INT": "as Ctrl+C does",
    "HUP": "its terminal is gone; servers read their configuration again",
    "KILL": "ends it at once: it cannot save anything",
    "STOP": "halts it where it is; its memory stays",
    "CONT": "lets it go on after STOP",
    "QUIT": "as Ctrl+\\ does, with a core dump; Java prints its threads",
    "USR1": "what the program makes of it",
    "USR2": "what the program makes of it",
    "ABRT": "ends it with a core dump",
    "SEGV": "as a wild pointer would",
}


def signal_names() -> list[tuple[str, str]]:
    """Every signal by its name without SIG, and what it does."""
    known = [each.name.removeprefix("SIG") for each in signal.Signals]
    rest = sorted(name for name in known if name not in _FIRST)
    return [(name, _WORDS.get(name, "")) for name in (*_FIRST, *rest) if name in known]


def went_wrong(change: Change, pid: int) -> str:
    """Does it; what went wrong, or ""."""
    gap = change.do()
    if gap is None:
        return ""
    if gap.reason == "denied":
        if gap.detail:
            return f"{gap.detail}: nothing was done"
        if gap.source.endswith("oom_score_adj"):
            return f"not permitted: {change.words} {pid}; lowering it takes CAP_SYS_RESOURCE"
        return f"not permitted: {pid} is somebody else's"
    if gap.reason == "gone":
        return (
            f"{pid} is {gap.detail} by now: nothing was done" if gap.detail else f"{pid} has ended"
        )
    return f"{pid}: {gap.detail}"


def parse_adj(text: str) -> int | None:
    """An adjustment as somebody types it; None where it is none."""
    digits = text.strip().removeprefix("+")
    number = digits.removeprefix("-")
    if not (number.isascii() and number.isdecimal() and len(number) <= 4):
        return None
    value = int(digits)
    return value if ADJ_LEAST <= value <= ADJ_MOST else None
