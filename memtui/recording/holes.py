"""Where nothing was recorded: between recorders, while a machine was suspended, when a disk was full."""

from __future__ import annotations

from typing import Final

from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.writer import BLOCK_TICKS

_EVER: Final = (float("-inf"), float("inf"))
_HOLE: Final = 3.0  # intervals, and a second


def holes(recording: Recording) -> list[tuple[Moment, Moment]]:
    """Between which moments nothing was recorded. Raises Unusable."""
    found = []
    before: Moment | None = None
    for begin, end in recording.stretches(*_EVER):
        interval_s = max(0.01, recording.run_of(begin).interval_s)
        moments = [begin, end]
        if end.time_s - begin.time_s > interval_s * (BLOCK_TICKS + _HOLE) + 1:
            moments = recording.moments(begin.time_s, end.time_s)
        for moment in moments:
            longest_s = _HOLE * interval_s + 1
            if len(moments) == 2 and moment is end:
                longest_s = interval_s * (BLOCK_TICKS + _HOLE) + 1
            if before is not None and moment.time_s - before.time_s > longest_s:
                found.append((before, moment))
            before = moment
    return found
