"""What memtui can do to a process, never without asking: a signal, its OOM adjustment.

Both are refused where the process is no longer the one that was meant. What goes wrong is a line.
"""

from __future__ import annotations

import signal
from typing import Final

from memtui.kernel.writes import ADJ_LEAST, ADJ_MOST, started_at, write_oom_score_adj
from memtui.model.keys import ProcessKey

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


def send_signal(key: ProcessKey, name: str) -> str:
    """Sends a signal; what went wrong, or ""."""
    import psutil

    try:
        # It remembers the start time that it sees now, which must be the one that was meant, and
        # compares it again when it sends.
        process = psutil.Process(key.pid)
        started = started_at(key.pid)
        if started != key.start_time_ticks:
            return _ended(key) if started is None else _another(key)
        process.send_signal(signal.Signals[f"SIG{name}"])
    except psutil.NoSuchProcess:
        return _ended(key)
    except psutil.AccessDenied:
        return f"not permitted: {key.pid} is somebody else's"
    except (OSError, ValueError) as error:
        return f"{key.pid}: {error}"
    return ""


def set_oom_score_adj(key: ProcessKey, value: int) -> str:
    """Changes oom_score_adj; what went wrong, or ""."""
    gap = write_oom_score_adj(key.pid, key.start_time_ticks, value)
    if gap is None:
        return ""
    if gap.reason == "denied":
        return f"not permitted: {value:+d} for {key.pid}; lowering it takes CAP_SYS_RESOURCE"
    if gap.reason == "gone":
        return _another(key) if gap.detail else _ended(key)
    return f"{key.pid}: {gap.detail}"


def parse_adj(text: str) -> int | None:
    """An adjustment as somebody types it; None where it is none."""
    digits = text.strip().removeprefix("+")
    number = digits.removeprefix("-")
    if not (number.isascii() and number.isdecimal() and len(number) <= 4):
        return None
    value = int(digits)
    return value if ADJ_LEAST <= value <= ADJ_MOST else None


def _ended(key: ProcessKey) -> str:
    return f"{key.pid} has ended"


def _another(key: ProcessKey) -> str:
    return f"{key.pid} is another process by now: nothing was done"
