"""What happened to a program's memory, from birth to death: pure, and the same for screen and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from memtui.kernel.files import Gap
from memtui.kernel.registers import Registers
from memtui.kernel.siginfo import SigInfo
from memtui.model.keys import ProcessKey

What = Literal[
    "start",  # fork of the first: it is there, and not yet the program
    "exec",
    "fork",  # vfork too
    "thread",
    "mapped",
    "unmapped",
    "grew",  # a mapping, the heap or the stack
    "shrank",
    "resident",  # RSS went by so much
    "faults",
    "signal",
    "held",  # a signal that will end it: it stands still until it is let go
    "stopped",  # by job control
    "exit",
    "thread exit",
    "note",  # what is missing, and why
]


class Happening(NamedTuple):
    """One thing that happened. `at_s` counts from the start of the first program.

    `words` say it whole ("brk +132 KiB", "libc.so.6 mapped, 2.1 MiB"); names in it are raw.
    `size_bytes` is by how much, where it is about memory; `number` of how many mappings or faults.
    """

    at_s: float
    pid: int
    what: What
    words: str
    size_bytes: int | None = None
    number: int | None = None


@dataclass(slots=True)
class Life:
    """One process under watch. Times are seconds since the first program's start; None: not yet.

    `key` is None until its start time has been read. `peak_rss_bytes`, faults and `ended_with_bytes`
    (RSS) are of the moment before its end, and the last look's before; faults count from the exec of the
    first program. `signal`: the one that ended it. `threads`: the most it had at once. `held_s`: how
    long it stood still before its end. `phases`: how long each program in it ran, by what began it
    ("start", then the name of each program it became), without that.
    """

    pid: int
    parent: int
    born_s: float
    key: ProcessKey | None = None
    name: str = ""
    command: str = ""
    died_s: float | None = None
    exit_status: int | None = None
    signal: int | None = None
    core_dumped: bool = False
    peak_rss_bytes: int | None = None
    ended_with_bytes: int | None = None
    minor_faults: int | None = None
    major_faults: int | None = None
    threads: int = 1
    held_s: float = 0.0
    phases: list[tuple[str, float]] = field(default_factory=list)

    @property
    def duration_s(self) -> float | None:
        """How long it ran: not while it was held. None: it has not ended."""
        return None if self.died_s is None else self.died_s - self.born_s - self.held_s


class Held(NamedTuple):
    """A thread that stands still before the signal that will end it."""

    key: ProcessKey
    tid: int
    siginfo: SigInfo
    registers: Registers | Gap


@dataclass(slots=True)
class Story:
    """Everything that is known of a run by now; happenings in their order, the oldest dropped.

    `first_pid` is the first program's. `holding`: who stands still now, before its end. `is_over`:
    all have ended or gone on unwatched, and the watcher has ended too. `missing`: what could not be
    watched, and why. `dropped`: how many of the oldest happenings, and of the lives, are left out.
    """

    command: tuple[str, ...]
    lives: dict[int, Life] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)
    holding: list[Held] = field(default_factory=list)
    missing: list[Gap] = field(default_factory=list)
    is_over: bool = False
    first_pid: int | None = None
    dropped: int = 0
    lives_dropped: int = 0

    @property
    def held(self) -> Held | None:
        """Who is to be explained, and let go, first."""
        return self.holding[0] if self.holding else None

    @property
    def first(self) -> Life | None:
        """The first program's life; None: it is not there yet."""
        return None if self.first_pid is None else self.lives.get(self.first_pid)
