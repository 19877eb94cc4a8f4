"""What the watcher tells memtui, each message complete in itself: plain values, pickled in batches.

Times count in seconds from the start of the first program.
"""

from __future__ import annotations

from typing import NamedTuple

from memtui.kernel.files import Gap
from memtui.watch.story import Held, What


class Born(NamedTuple):
    """A process is there: the first, or one that another forked."""

    at_s: float
    pid: int
    parent: int


class Became(NamedTuple):
    """An exec has succeeded. `mappings`: how many the new address space has, where they were read."""

    at_s: float
    pid: int
    start_time_ticks: int | None
    name: str
    command: str
    mappings: int | None


class Figures(NamedTuple):
    """A process by now. Faults are since its first exec, for the first program; None: not read."""

    rss_bytes: int | None = None
    peak_rss_bytes: int | None = None
    minor_faults: int | None = None
    major_faults: int | None = None
    start_time_ticks: int | None = None
    name: str = ""


class Looked(NamedTuple):
    """What a look at a process gave; `threads`: the most it had at once."""

    pid: int
    figures: Figures
    threads: int


class Happened(NamedTuple):
    """A happening without its words; `name` is what it is about: a file, a signal, who it was."""

    at_s: float
    pid: int
    what: What
    name: str = ""
    size_bytes: int | None = None
    number: int | None = None


class Ended(NamedTuple):
    """A process is gone, with the status that waitpid gives."""

    at_s: float
    pid: int
    status: int


class Holding(NamedTuple):
    """A thread stands still before its end."""

    at_s: float
    held: Held


class Freed(NamedTuple):
    """It does no longer."""

    tid: int


class Lacking(NamedTuple):
    """Something cannot be watched."""

    gap: Gap


class Lost(NamedTuple):
    """So many messages were not told, as memtui did not take in those before."""

    number: int


class Over(NamedTuple):
    """The last message: all have ended, but those that went on unwatched."""

    at_s: float
    left: frozenset[int] = frozenset()


# What may be lost where memtui does not listen: a later one makes up for it.
Droppable = Happened | Looked
Message = Born | Became | Looked | Happened | Ended | Holding | Freed | Lacking | Lost | Over
