"""The course of a recording's figures, for the graphs around a moment of it: by blocks, each with the
last value it had, and of the block that the moment is in tick by tick."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from memtui.recording.moment import Moment
from memtui.recording.recording import Recording, Stretch
from memtui.recording.replay import figures_of
from memtui.recording.store import Summary, Unusable

_AROUND_S: Final = 5400.0  # that is fetched at once, before what is asked for and after
_FINE_KEPT: Final = 4  # blocks
_TOGETHER: Final = 3.5  # intervals: what is further apart has a hole in between
_HELD: Final = 1.5  # for how many times its length History holds a value
_SOON_S: Final = 0.001


class Entry(NamedTuple):
    """What figures were at a time, which stands for `span_s` as `History` holds it."""

    time_s: float
    span_s: float
    figures: Mapping[str, float]


class Course:
    """For one thread, that of its recording."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._fetched: tuple[float, float, list[Stretch]] | None = None
        self._holes: Sequence[tuple[float, float]] = ()
        self._fine: OrderedDict[tuple[Moment, Moment], list[Stretch]] = OrderedDict()
        # Of blocks that have none, as those that a killed recorder left.
        self._summaries: dict[tuple[Moment, Moment], dict[str, Summary]] = {}

    def forget(self, holes: Sequence[tuple[float, float]]) -> None:
        """There is more of it now, with these holes, in seconds since boot."""
        self._fetched, self._holes = None, holes

    def entries(self, since_s: float, until_s: float) -> Iterator[Entry]:
        """Of a time in seconds since boot, its begin excluded, in order; without a hole but where the
        recording has one, or where `look_through` has not been. Raises Unusable.
        """
        since_boot = self._recording.since_boot
        before: Stretch | None = None
        for stretch in self._stretches(since_s, until_s):
            begin, end, _ = stretch
            begin_s, end_s = since_boot(begin), since_boot(end)
            interval_s = self._recording.run_of(end).interval_s
            if end_s <= since_s or begin_s > until_s:
                pass
            elif fine := self._fine.get((begin, end)):
                for each in fine:
                    if since_s < since_boot(each.end) <= until_s:
                        yield Entry(since_boot(each.end), max(1.0, interval_s), _last(each.figures))
            elif figures := self._figures(stretch):
                known = before
                if known is None or begin_s - since_boot(known.end) > _TOGETHER * interval_s + 1:
                    known = stretch
                at_s = max(begin_s, since_s + _SOON_S)
                first = _last(self._figures(known)) or _last(figures)
                for one_s, next_s in self._without_holes(at_s, end_s):
                    yield Entry(one_s, (next_s - one_s) / _HELD, first)
                if at_s < end_s <= until_s:
                    yield Entry(end_s, max(1.0, interval_s), _last(figures))
            before = stretch

    def look_through(
        self, moment: Moment, since_s: float, until_s: float, go_on: Callable[[], bool]
    ) -> bool:
        """Goes through the ticks of the block that a moment is in, and of those of a time that have no
        summary; False where it was not to go on. Raises Unusable."""
        for stretch in self._stretches(since_s, until_s):
            key = stretch.begin, stretch.end
            is_own = _holds(stretch, moment)
            if (is_own and key in self._fine) or (not is_own and self._figures(stretch)):
                continue
            if not go_on():
                return False
            ticks = self._ticks(stretch)
            self._summaries[key] = self._figures(stretch) or _summary(ticks)
            if is_own:
                self._fine[key] = ticks
                while len(self._fine) > _FINE_KEPT:
                    self._fine.popitem(last=False)
        return True

    def is_looked_through(self, moment: Moment) -> bool:
        """Whether `look_through` has been at a moment's block, as long as that is."""
        return any(_holds(Stretch(*each, {}), moment) for each in self._fine)

    def _stretches(self, since_s: float, until_s: float) -> list[Stretch]:
        recording, last = self._recording, self._recording.last
        known = self._fetched
        if known is None or since_s < known[0] or until_s > known[1]:
            from memtui.model.system.metrics import METRICS

            booted_s = 0.0 if last is None else last.time_s - recording.since_boot(last)
            begin_s, end_s = since_s - _AROUND_S, until_s + _AROUND_S
            stretches = recording.series(METRICS.keys(), booted_s + begin_s, booted_s + end_s)
            known = self._fetched = begin_s, end_s, stretches
        return known[2]

    def _without_holes(self, begin_s: float, end_s: float) -> Iterator[tuple[float, float]]:
        """The parts of a block's time in which it was recorded."""
        for hole_s, on_s in self._holes:
            if begin_s < on_s and hole_s < end_s:
                if begin_s <= hole_s:
                    yield begin_s, hole_s
                begin_s = on_s
        if begin_s <= end_s:
            yield begin_s, end_s

    def _figures(self, stretch: Stretch) -> dict[str, Summary]:
        return stretch.figures or self._summaries.get((stretch.begin, stretch.end), {})

    def _ticks(self, stretch: Stretch) -> list[Stretch]:
        """Of each tick of a block its figures; of a damaged one none."""
        recording, (begin, end, _) = self._recording, stretch
        moments = [begin]
        while moments[-1].boot_s < end.boot_s:
            moments.append(recording.step(moments[-1], 1))
        before = recording.step(begin, -1)  # what is counted a second begins there
        try:
            if before.run == begin.run and before.boot_s < begin.boot_s:
                return figures_of(recording, [before, *moments])[1:]
            return figures_of(recording, moments)
        except Unusable:
            return []


def _holds(stretch: Stretch, moment: Moment) -> bool:
    begin, end, _ = stretch
    return begin.run == moment.run and begin.boot_s <= moment.boot_s <= end.boot_s


def _last(figures: Mapping[str, Summary]) -> dict[str, float]:
    return {name: each[2] for name, each in figures.items()}


def _summary(ticks: list[Stretch]) -> dict[str, Summary]:
    """The least, the largest and the last value of each figure."""
    found: dict[str, Summary] = {}
    for tick in ticks:
        for name, (value, _, _) in tick.figures.items():
            least, most, _ = found.get(name, (value, value, value))
            found[name] = min(least, value), max(most, value), value
    return found
