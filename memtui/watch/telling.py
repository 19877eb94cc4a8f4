"""Makes a story of what the watcher tells: pure, a message at a time."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Final

from memtui import units
from memtui.kernel.siginfo import signal_name
from memtui.model.keys import ProcessKey
from memtui.watch.changes import HEAP
from memtui.watch.messages import (
    Became,
    Born,
    Ended,
    Figures,
    Freed,
    Happened,
    Holding,
    Lacking,
    Looked,
    Lost,
    Message,
    Over,
)
from memtui.watch.story import Happening, Life, Story, What

HAPPENINGS_KEPT: Final = 10_000
LIVES_KEPT: Final = 5_000
_DROPPED_AT_ONCE: Final = 1_000
# The same again within so long is one happening that goes on: a fiftieth of the story's length, so that
# a short one shows each step and a long one stays short.
_TOGETHER_S: Final = (0.1, 5.0)
_FINENESS: Final = 50
_REMEMBERED: Final = 256
_COMMAND_SHOWN: Final = 80  # characters; a life has all of it
_JOINED: Final[frozenset[What]] = frozenset(
    ("grew", "shrank", "resident", "faults", "signal", "thread", "thread exit")
)


class Teller:
    """Adds messages to a story in their order."""

    def __init__(self, story: Story) -> None:
        self.story = story
        # Where a happening stands that may go on, counted from the first there was, by pid, what,
        # name, and whether it was less.
        self._recent: dict[tuple[int, What, str, bool], int] = {}
        self._phase_s: dict[int, float] = {}  # when the last one began
        self._held_s: dict[int, float] = {}  # since when who is held stands still

    def tell(self, message: Message) -> None:
        """Takes in one message. Never raises, also where those before it were lost."""
        match message:
            case Happened():
                self._add(message)
            case Looked():
                self._look(message)
            case Born():
                self._born(message)
            case Became():
                self._became(message)
            case Ended():
                self._ended(message)
            case Holding(at_s, held):
                self.story.holding.append(held)
                self._held_s[held.key.pid] = at_s
                self._add(Happened(at_s, held.key.pid, "held", held.siginfo.name))
            case Freed(tid):
                holding = self.story.holding
                holding[:] = [held for held in holding if held.tid != tid]
            case Lacking(gap):
                if gap not in self.story.missing:
                    self.story.missing.append(gap)
            case Lost(number):
                self._lost(number)
            case Over(at_s, left):
                self.finish(at_s, left)

    def finish(self, at_s: float | None = None, left: Collection[int] = ()) -> None:
        """The story is over: whoever's end was not told has ended by now, but those that are `left`.

        `at_s` None: when that was is not known, but that it was after all that has been told.
        """
        story = self.story
        if at_s is None:
            at_s = story.happenings[-1].at_s if story.happenings else 0.0
        for life in story.lives.values():
            if life.died_s is None and life.pid not in left:
                self._close(life, at_s)
        story.is_over = True

    def _add(self, new: Happened) -> None:
        story = self.story
        # What was more and is less again are two things.
        key = (new.pid, new.what, new.name, (new.size_bytes or 0) < 0)
        at = self._recent.get(key, -1) - story.dropped
        least_s, most_s = _TOGETHER_S
        together_s = min(max(least_s, new.at_s / _FINENESS), most_s)
        if at >= 0 and new.at_s - story.happenings[at].at_s <= together_s:
            before = story.happenings[at]
            new = new._replace(
                at_s=before.at_s,
                size_bytes=_sum(before.size_bytes, new.size_bytes),
                number=_sum(before.number, new.number),
            )
            story.happenings[at] = _happening(new)
            return
        story.happenings.append(_happening(new))
        if new.what in _JOINED:
            if len(self._recent) >= _REMEMBERED:
                self._recent.clear()
            self._recent[key] = story.dropped + len(story.happenings) - 1
        if len(story.happenings) > HAPPENINGS_KEPT:
            del story.happenings[:_DROPPED_AT_ONCE]
            story.dropped += _DROPPED_AT_ONCE

    def _born(self, born: Born) -> None:
        story = self.story
        is_first = story.first_pid is None
        if is_first:
            story.first_pid = born.pid
        elif len(story.lives) >= LIVES_KEPT:
            self._drop_lives()
        life = Life(born.pid, born.parent, born.at_s)
        parent = story.lives.get(born.parent)
        if parent is not None and not is_first:
            life.name, life.command = parent.name, parent.command
        # A pid that came back: its new life is the one that is told, and stands last.
        story.lives.pop(born.pid, None)
        story.lives[born.pid] = life
        self._phase_s[born.pid] = born.at_s
        if is_first:
            self._add(Happened(born.at_s, born.pid, "start", str(born.pid)))
        else:
            self._add(Happened(born.at_s, born.parent, "fork", str(born.pid)))

    def _drop_lives(self) -> None:
        """Of those that have ended the first ones, but for the first program."""
        story = self.story
        ended = [
            pid
            for pid, life in story.lives.items()
            if life.died_s is not None and pid != story.first_pid
        ]
        for pid in ended[:_DROPPED_AT_ONCE]:
            del story.lives[pid]
        story.lives_dropped += len(ended[:_DROPPED_AT_ONCE])

    def _became(self, became: Became) -> None:
        life = self.story.lives.get(became.pid)
        if life is None:
            return
        self._end_phase(life, became.at_s)
        life.name, life.command = became.name, became.command
        if became.start_time_ticks is not None:
            life.key = ProcessKey(became.pid, became.start_time_ticks)
        words = f"{became.name} ({_cut(became.command)})"
        self._add(Happened(became.at_s, became.pid, "exec", words, number=became.mappings))

    def _look(self, looked: Looked) -> None:
        life = self.story.lives.get(looked.pid)
        if life is not None:
            _take_figures(life, looked.figures)
            life.threads = max(life.threads, looked.threads)

    def _ended(self, ended: Ended) -> None:
        life = self.story.lives.get(ended.pid)
        if life is None:
            return
        self._close(life, ended.at_s)
        if os.WIFSIGNALED(ended.status):
            life.signal = os.WTERMSIG(ended.status)
            life.core_dumped = os.WCOREDUMP(ended.status)
            life.exit_status = 128 + life.signal
            words = signal_name(life.signal) + (", core dumped" if life.core_dumped else "")
        else:
            life.exit_status = os.waitstatus_to_exitcode(ended.status)
            words = f"status {life.exit_status}"
        self._add(Happened(ended.at_s, ended.pid, "exit", words))

    def _close(self, life: Life, at_s: float) -> None:
        life.died_s = at_s
        life.held_s = at_s - self._held_s.pop(life.pid, at_s)
        self._end_phase(life, at_s - life.held_s)
        self._phase_s.pop(life.pid, None)

    def _end_phase(self, life: Life, at_s: float) -> None:
        name = life.name if life.phases else "start"
        life.phases.append((name, at_s - self._phase_s.get(life.pid, life.born_s)))
        self._phase_s[life.pid] = at_s

    def _lost(self, count: int) -> None:
        at_s = self.story.happenings[-1].at_s if self.story.happenings else 0.0
        words = (
            f"{units.count(count)} happenings were not told: they came faster than they were read"
        )
        self._add(Happened(at_s, self.story.first_pid or 0, "note", words, number=count))


def _take_figures(life: Life, figures: Figures) -> None:
    if figures.start_time_ticks is not None and life.key is None:
        life.key = ProcessKey(life.pid, figures.start_time_ticks)
    if figures.peak_rss_bytes is not None:
        life.peak_rss_bytes = figures.peak_rss_bytes
    if figures.rss_bytes is not None:
        life.ended_with_bytes = figures.rss_bytes
    if figures.minor_faults is not None:
        life.minor_faults = figures.minor_faults
    if figures.major_faults is not None:
        life.major_faults = figures.major_faults
    life.name = figures.name or life.name


def _cut(command: str) -> str:
    return command if len(command) <= _COMMAND_SHOWN else command[: _COMMAND_SHOWN - 1] + "…"


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else one + other


def _happening(of: Happened) -> Happening:
    return Happening(of.at_s, of.pid, of.what, _words(of), of.size_bytes, of.number)


def _words(of: Happened) -> str:
    name, size = of.name, units.size(of.size_bytes)
    match of.what:
        case "start":
            return f"process {name} begins"
        case "exec":
            return f"exec {name}" + (f", {of.number} mappings" if of.number else "")
        case "fork":
            return f"fork: process {name}"
        case "thread":
            return _several(of.number, "a thread", "threads")
        case "thread exit":
            return _several(of.number, "a thread ended", "threads ended")
        case "mapped" | "unmapped":
            count = f" in {of.number} mappings" if of.number and of.number > 1 else ""
            return f"{name} {of.what}, {size}{count}"
        case "grew":
            return f"brk +{size}" if name == HEAP else f"{name} grew by {size}"
        case "shrank":
            return f"brk -{size}" if name == HEAP else f"{name} shrank by {size}"
        case "resident":
            return f"resident {units.change(of.size_bytes, short=False)}"
        case "faults":
            return f"{units.count(of.number)} {name} fault{'' if of.number == 1 else 's'}"
        case "signal":
            return name + ("" if of.number in (None, 1) else f", {units.count(of.number)} times")
        case "held":
            return f"{name} is about to end it"
        case "stopped":
            return f"stopped by {name}"
        case "exit":
            return f"ended: {name}"
        case "note":
            return name


def _several(number: int | None, one: str, more: str) -> str:
    return one if number in (None, 1) else f"{units.count(number)} {more}"
