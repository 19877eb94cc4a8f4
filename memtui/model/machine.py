"""A machine: what holds for it as long as memtui looks at it."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

from memtui import units
from memtui.kernel.hidden import Hidden


class Users(Protocol):
    """The names of a machine's users."""

    def name(self, uid: int | None) -> str:
        """A user's name, else the number; `?` for None. Never waits for a name service."""


class Machine(NamedTuple):
    """Where samples come from.

    `booted_s` is when their `time_s` was 0, in seconds since the epoch. `ticks_per_s` is the unit of
    start times, `architecture` as uname -m has it and `release` as uname -r. None, or "": not told.
    `sight` says in words whose address spaces may be read, `hidden` why not all processes are to be
    seen, and `no_acting` why none can be signalled from here, "" where they can. `own_pid` is
    memtui's there, whose command line names whatever it was asked for. `still` says of a core dump
    when and of what it was written, and is "" of a machine that goes on.
    """

    name: str
    page_bytes: int
    booted_s: float | None
    ticks_per_s: int | None
    architecture: str
    release: str
    users: Users
    sight: str
    no_acting: str
    hidden: Hidden | None = None
    own_pid: int | None = None
    still: str = ""

    def time_of_day(self, time_s: float) -> str:
        """`14:03:59`: a time since boot as a clock on the wall shows it; without one, since boot."""
        if self.booted_s is None:
            return f"+{units.duration(time_s)}"
        try:
            return time.strftime("%H:%M:%S", time.localtime(self.booted_s + time_s))
        except (OverflowError, ValueError, OSError):  # a time that no calendar has
            return f"+{units.duration(time_s)}"


class Numbers:
    """Users of whom only the numbers are known: those of a captured machine."""

    def name(self, uid: int | None) -> str:
        return "?" if uid is None else str(uid)
