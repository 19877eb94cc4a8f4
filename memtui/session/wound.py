"""`Wound`: a moment of the past, as a thread has put it together for the interface's."""

from __future__ import annotations

from typing import NamedTuple

from memtui.model.machine import Machine
from memtui.model.map.addressmap import MapReading
from memtui.recording.moment import Moment
from memtui.session.memory import Memory


class Wound(NamedTuple):
    """`memory` is what a session would have remembered then; `has_all`: its history and events too,
    which are not those of a machine that goes on. `map` is that of the process that is looked at, as it
    was last read. `epoch` is what was handed in when it was asked for.
    """

    epoch: int
    moment: Moment
    machine: Machine
    memory: Memory
    map: MapReading | None
    missing: str
    has_all: bool

    @property
    def time_s(self) -> float:
        """Since boot, as its samples count."""
        return self.memory.last["host"].time_s

    @property
    def at(self) -> float:
        """Since the epoch, as clocks on the wall showed it."""
        return self.moment.time_s


class NoWound(NamedTuple):
    """A moment that could not be gone to, and why."""

    epoch: int
    why: str
