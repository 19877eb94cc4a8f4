"""Looks at processes under watch, at their stops and between, and tells what of their memory changed.

Cost of a look: 60 µs without the map, 130 µs with a map of 40 mappings.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from memtui.kernel.files import Files, Gap
from memtui.kernel.process import Identity, parse_cmdline, parse_identity
from memtui.watch.changes import changes, count
from memtui.watch.messages import Became, Figures, Happened, Looked, Message

_COMMAND_BYTES: Final = 4096
_STEP_BYTES: Final = 64 << 10  # by so much RSS must have gone to be told
_MAPS_APART_S: Final = 0.05  # at stops of others than the first program
# Two figures of fifty, at each exit: parse_status takes six times as long.
_MEMORY: Final = re.compile(rb"\nVmHWM:\s+(\d{1,15}) kB\nVmRSS:\s+(\d{1,15}) kB\n")
_MASKS: Final = re.compile(rb"\nSigIgn:\s+([0-9a-f]{16})\nSigCgt:\s+([0-9a-f]{16})\n")


@dataclass(slots=True)
class Watched:
    """A process under watch. `maps` is its last reading; what was told of RSS and faults last.

    `tids`: its threads but those that are ending. `first_faults`: those before its first exec, where
    they are memtui's own; None: they are not known, nor those after it.
    """

    pid: int
    is_first: bool = False
    tids: set[int] = field(default_factory=set)
    threads: int = 1  # the most at once
    maps: bytes | None = None
    figures: Figures = field(default_factory=Figures)
    first_faults: tuple[int, int] | None = (0, 0)
    rss_told_bytes: int = 0
    faults_told: tuple[int, int] = (0, 0)
    signals: dict[str, int] = field(default_factory=dict)
    threads_born: int = 0
    threads_ended: int = 0
    has_begun: bool = True  # False: the first one, until its exec
    is_stopped: bool = False
    is_told: bool = False


class Looks:
    """Reads, and tells by `tell`; `now_s` is the story's clock."""

    def __init__(
        self, files: Files, tell: Callable[[Message], None], now_s: Callable[[], float]
    ) -> None:
        self._files = files
        self._tell = tell
        self._now_s = now_s
        self._map_read_s = 0.0

    def exec(self, process: Watched, *, is_late: bool = False) -> None:
        """A program has begun in it: just now, unless `is_late`."""
        at_s = self._now_s()
        who = self._identity(process)
        command = self._files.read_record(f"proc/{process.pid}/cmdline")
        mappings = None
        if self._may_read_map(process):
            process.maps = self._maps(process)
            mappings = None if process.maps is None else count(process.maps)
        else:
            process.maps = None
        process.rss_told_bytes = 0
        name = ticks = None
        if who is not None:
            name, ticks = who.comm, who.starttime
            if not process.has_begun:
                faults = (who.minflt or 0, who.majflt or 0)
                process.first_faults = None if is_late else faults
        process.has_begun = True
        process.figures = process.figures._replace(start_time_ticks=ticks, name=name or "")
        words = "" if isinstance(command, Gap) else parse_cmdline(command[:_COMMAND_BYTES])
        self._tell(Became(at_s, process.pid, ticks, name or "?", words, mappings))

    def look(self, process: Watched, tid: int | None = None, *, at_stop: bool = False) -> None:
        """What is new. `tid`: a thread to ask where the first one has ended. `at_stop`: it waits."""
        if not process.has_begun:
            return
        at_s = self._now_s()
        self._counts(process, at_s)
        maps = None
        if not at_stop or self._may_read_map(process):
            maps = self._maps(process, tid)
        old = process.figures
        process.figures, has_memory = self._read_figures(process, tid)
        if has_memory and maps:  # else it has ended meanwhile, and the map may be half of one
            for change in changes(process.maps or maps, maps):
                self._tell(Happened(at_s, process.pid, *change))
            process.maps = maps
        if process.figures != old or not process.is_told:
            self._tell_figures(process, at_s)

    def flush(self, process: Watched) -> None:
        """What was only counted until now."""
        self._counts(process, self._now_s())

    def will_end(self, tid: int, number: int) -> bool:
        """Whether a signal that a thread is about to get ends its program: nobody takes it.

        One that a processor's fault forced on a thread that blocks or ignores it has lost its handler
        by now: the kernel takes that away first.
        """
        status = self._files.read_record(f"proc/{tid}/status")
        match = None if isinstance(status, Gap) else _MASKS.search(status)
        if match is None:
            return False
        return not (int(match[1], 16) | int(match[2], 16)) >> (number - 1) & 1

    def _may_read_map(self, process: Watched) -> bool:
        """At a stop the program waits: of a thousand short ones not every map is read."""
        now_s = time.monotonic()
        if process.is_first or now_s - self._map_read_s >= _MAPS_APART_S:
            self._map_read_s = now_s
            return True
        return False

    def _counts(self, process: Watched, at_s: float) -> None:
        if process.signals:
            for name, number in process.signals.items():
                self._tell(Happened(at_s, process.pid, "signal", name, number=number))
            process.signals.clear()
        if process.threads_born:
            self._tell(Happened(at_s, process.pid, "thread", number=process.threads_born))
            process.threads_born = 0
        if process.threads_ended:
            self._tell(Happened(at_s, process.pid, "thread exit", number=process.threads_ended))
            process.threads_ended = 0

    def _tell_figures(self, process: Watched, at_s: float) -> None:
        process.is_told = True
        new = process.figures
        self._tell(Looked(process.pid, new, process.threads))
        if new.rss_bytes is not None:
            grown = new.rss_bytes - process.rss_told_bytes
            if abs(grown) >= max(_STEP_BYTES, process.rss_told_bytes >> 6):
                self._tell(Happened(at_s, process.pid, "resident", "", grown))
                process.rss_told_bytes = new.rss_bytes
        now = (new.minor_faults or 0, new.major_faults or 0)
        for name, more, less in zip(("minor", "major"), now, process.faults_told, strict=True):
            if more > less:
                self._tell(Happened(at_s, process.pid, "faults", name, number=more - less))
        process.faults_told = now

    def _read_figures(self, process: Watched, tid: int | None) -> tuple[Figures, bool]:
        """Those by now, and whether it has memory; of one that has none any more the last ones stay."""
        figures = process.figures
        who = self._identity(process)
        status = self._files.read_record(
            f"proc/{process.pid}/status" if tid is None else f"proc/{process.pid}/task/{tid}/status"
        )
        if who is not None:
            figures = figures._replace(start_time_ticks=who.starttime, name=who.comm)
            if process.first_faults is not None:
                minor, major = process.first_faults
                figures = figures._replace(
                    minor_faults=None if who.minflt is None else who.minflt - minor,
                    major_faults=None if who.majflt is None else who.majflt - major,
                )
        match = None if isinstance(status, Gap) else _MEMORY.search(status)
        if match is not None:
            figures = figures._replace(
                peak_rss_bytes=int(match[1]) * 1024, rss_bytes=int(match[2]) * 1024
            )
        return figures, match is not None

    def _identity(self, process: Watched) -> Identity | None:
        data = self._files.read_record(f"proc/{process.pid}/stat")
        try:
            return None if isinstance(data, Gap) else parse_identity(data)
        except ValueError:
            return None

    def _maps(self, process: Watched, tid: int | None = None) -> bytes | None:
        name = f"proc/{process.pid}/maps" if tid is None else f"proc/{process.pid}/task/{tid}/maps"
        data = self._files.read(name)
        return data if isinstance(data, bytes) and data else None
