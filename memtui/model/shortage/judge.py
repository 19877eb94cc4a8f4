"""The verdict over time: it rises fast, falls slowly, and does not flicker.

What it remembers is a few seconds of counters: the same samples give the same verdicts, live, from a
recording, and whatever the interval.
"""

from __future__ import annotations

from typing import Final

from memtui.kernel.files import Gap
from memtui.model.sample import Sample
from memtui.model.shortage.rules import KILL_SHOWN_S, LEVELS, Figures, Level, figures_of, level_of
from memtui.model.shortage.trend import WINDOW_S as TREND_S
from memtui.model.shortage.trend import time_to_zero_s
from memtui.model.shortage.verdict import Verdict, eased, spares, worded
from memtui.model.system.metrics import METRICS

WINDOW_S: Final = 10.0  # rates are over this long
RISES_AFTER_S: Final = 0.9  # a level counts when two looks at least this far apart agree
FALLS_AFTER_S: Final = 10.0  # and is left when it was not reached for so long
_RAW_KEPT: Final = 100
_STEP_S: Final = 0.9  # what is kept is this far apart: a faster interval adds nothing

_ORDER: Final = tuple(LEVELS)
_KEPT: Final = (
    *("pgscan", "pgsteal", "kswapd_steal", "allocstall", "workingset_refault", "pswp"),
    *("pgfault", "pgmajfault", "oom_kill", "limit_hits"),
)


class Judge:
    """Fed with every sample of one machine, or of one control group, in order.

    A machine that slept is not judged by what it did not do; time that goes back begins anew.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._last: Sample | None = None
        self._window: list[Sample] = []
        self._raw: list[tuple[float, int]] = []
        self._confirmed: list[tuple[float, int]] = []
        self._kills: list[tuple[float, int, bool]] = []  # when, how many, and in a group
        self._available: tuple[list[float], list[float]] = ([], [])
        self._to_zero_s: float | None = None
        # What things were like when a level was last reached.
        self._reached: dict[Level, tuple[Figures, Sample, Sample]] = {}
        self.verdict: Verdict | None = None

    def see(self, sample: Sample) -> Verdict:
        """The verdict now that this was seen."""
        last = self._last
        if last is not None and sample.time_s <= last.time_s:
            self._forget()
            last = None
        slept = last is not None and _slept(sample, last)
        if slept:
            self._window.clear()
            self._raw.clear()
            self._available = ([], [])
            self._to_zero_s = None
        now = _kept(sample)
        self._last = now
        if not slept or self.verdict is None:
            self._count_kills(now, last)
            self._follow_available(now)
            self.verdict = self._judge(now)
        self._remember(now)
        return self.verdict

    def _judge(self, now: Sample) -> Verdict:
        time_s = now.time_s
        start = next((each for each in self._window if time_s - each.time_s <= WINDOW_S), None)
        if start is None and self._window:
            start = self._window[-1]  # an interval longer than the window
        kills = sum(count for _, count, _ in self._kills)
        figures = figures_of(now, start, kills if start else None, self._to_zero_s)
        held = self.verdict.level if self.verdict else None
        raw = level_of({**figures, "kills": None}, held)
        in_group = all(group for _, _, group in self._kills)
        if start is None:  # averages of before: good for a first sentence, and for nothing to last
            return worded(raw, figures, now, start, False)
        self._raw = [*self._raw[-_RAW_KEPT:], (time_s, _ORDER.index(raw))]
        self._confirmed = [each for each in self._confirmed if time_s - each[0] < FALLS_AFTER_S]
        self._confirmed.append((time_s, self._agreed(time_s)))
        level = _ORDER[max(index for _, index in self._confirmed)]
        if kills:
            level = "being_killed"
        elif _ORDER.index(raw) < _ORDER.index(level):
            return eased(worded(level, *self._reached[level], False), self._to_zero_s)
        for each in _ORDER[: _ORDER.index(raw) + 1]:
            self._reached[each] = (figures, now, start)
        return worded(level, figures, now, start, in_group)

    def _agreed(self, time_s: float) -> int:
        """The worst level that all looks of the last moment reach, of two at least."""
        lowest = self._raw[-1][1]
        for at, index in reversed(self._raw[:-1]):
            lowest = min(lowest, index)
            if time_s - at >= RISES_AFTER_S:
                break
        return lowest

    def _count_kills(self, now: Sample, last: Sample | None) -> None:
        grown = METRICS["oom_kills"].value(now, last)
        # A counter that this kernel lacks stays at no kills: the rule needs one.
        self._kills = [each for each in self._kills if now.time_s - each[0] < KILL_SHOWN_S]
        if grown and last is not None:
            before = self._window[0] if self._window else last
            # What it freed makes the machine look well after any kill: reclaim before it tells.
            self._kills.append((now.time_s, int(grown), spares(figures_of(now, before))))

    def _follow_available(self, now: Sample) -> None:
        times, values = self._available
        available = METRICS["mem_available_bytes"].value(now, None)
        if available is None or (times and now.time_s - times[-1] < _STEP_S):
            return
        times.append(now.time_s)
        values.append(available)
        if now.time_s - times[0] > TREND_S:
            del times[0], values[0]
        self._to_zero_s = time_to_zero_s(times, values)

    def _remember(self, now: Sample) -> None:
        if not self._window or now.time_s - self._window[-1].time_s >= _STEP_S:
            self._window = [each for each in self._window if now.time_s - each.time_s <= WINDOW_S]
            self._window.append(now)


def _kept(sample: Sample) -> Sample:
    """What the rules look at, without the processes and two hundred counters."""
    system = sample.system
    if not isinstance(system.vmstat, Gap):
        vmstat = {key: value for key, value in system.vmstat.items() if key.startswith(_KEPT)}
        system = system._replace(vmstat=vmstat)
    kept = type(system)(system.meminfo, system.vmstat, system.pressure, accounts=system.accounts)
    return Sample(sample.time_s, sample.interval_s, kept, {}, sample.skipped)


def _slept(now: Sample, last: Sample) -> bool:
    """Whether the time between two samples is more than the ticks in it, skipped ones included.

    A machine that stalls skips ticks, which are counted; one that was suspended does not.
    """
    ticks = max(0, now.skipped - last.skipped) + 1
    return now.time_s - last.time_s > 2 + 1.5 * ticks * max(now.interval_s, last.interval_s)
