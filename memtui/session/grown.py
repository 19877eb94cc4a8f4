"""What processes gained in the minute before a moment of a recording: as a session would have counted
it that had been there, however one came to the moment."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from memtui.kernel.files import Gap, parsed
from memtui.kernel.process import parse_extent, parse_identity
from memtui.model.keys import ProcessKey
from memtui.model.sample import Sample
from memtui.recording.codec import Damaged, OpenBlock
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording, Span
from memtui.session.history import GrowthTracker

_BLOCKS_KEPT: Final = 3
_SPANS_AT_ONCE: Final = 3  # as a minute at a second has: it takes a while to open each
_MEANINGS_KEPT: Final = 10_000
_AT_ONCE: Final = 3000  # sizes that are put together of a jump: the rest follows


class Growths:
    """For one thread, that of its recording. `is_whole`: nothing of the last one is missing."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._known: OrderedDict[int, _Sizes] = OrderedDict()
        self._meanings = _Meanings()
        self.is_whole = False

    def at(
        self, moment: Moment, sample: Sample, go_on: Callable[[], bool] | None = None
    ) -> GrowthTracker:
        """Of the processes of a moment's sample. At once it may lack sizes in between, and where samples
        are less than a second apart who came in between; with `go_on`, which says whether to, it is whole.
        Raises Unusable.
        """
        growth = GrowthTracker()
        growth.remember(sample.time_s, sample.time_s, {})
        moments = self._minute(moment, growth.since_s)
        spans = self._recording.spans(moments)
        self.is_whole = True
        if go_on is None and len(spans) > _SPANS_AT_ONCE:
            spans, self.is_whole = [spans[0], spans[-1]], False
        sizes = [self._of(span()) for span in spans]
        left = _AT_ONCE
        found: dict[ProcessKey, Sequence[tuple[float, int]]] = {}
        for key, process in sample.processes.items():
            if go_on is not None and not go_on():
                self.is_whole = False
                break
            if process.rss_bytes is None:
                continue
            values: list[tuple[float, int]] = []
            # Else it is not statm's, as where the leader of its threads has ended.
            if sizes[-1].last(key.pid) == process.rss_bytes:
                for each in reversed(sizes):
                    begin = each.begin_of(key, each is sizes[-1])
                    if begin is None:
                        break
                    within, is_all = each.sizes(key.pid, begin, go_on is not None or left > 0)
                    left -= len(within)
                    self.is_whole = self.is_whole and is_all
                    values[:0] = within
                    if begin > each.first:
                        break
            found[key] = [*values, (sample.time_s, process.rss_bytes)]
        growth.remember(self._recording.since_boot(moments[0]), sample.time_s, found)
        return growth

    def _minute(self, moment: Moment, since_s: float) -> list[Moment]:
        """The moments up to this one of its run, from the last that is before a time on."""
        recording, found = self._recording, [moment]
        while recording.since_boot(found[-1]) >= since_s:
            before = recording.step(found[-1], -1)
            if before.run != moment.run or before.boot_s >= found[-1].boot_s:
                break
            found.append(before)
        return found[::-1]

    def _of(self, span: Span) -> _Sizes:
        """What is known of a block, for this span of it."""
        known = self._known.pop(id(span.block), None)
        if known is None or known.block is not span.block:
            page_bytes = self._recording.run_of(span.moments[0]).page_bytes
            known = _Sizes(span.block, page_bytes, self._meanings)
        self._known[id(span.block)] = known
        while len(self._known) > _BLOCKS_KEPT:
            self._known.popitem(last=False)
        known.take(span, [self._recording.since_boot(each) for each in span.moments])
        return known


class _Meanings:
    """What bytes mean: of most processes they are the same at any tick."""

    def __init__(self) -> None:
        self._sizes: dict[tuple[bytes, int], int | None] = {}
        self._starts: dict[bytes, int | None] = {}

    def rss_bytes(self, statm: bytes | None, page_bytes: int) -> int | None:
        if statm is None:
            return None
        key = statm, page_bytes
        if key not in self._sizes:
            if len(self._sizes) > _MEANINGS_KEPT:
                self._sizes.clear()
            extent = parsed("statm", statm, lambda data: parse_extent(data, page_bytes))
            self._sizes[key] = None if isinstance(extent, Gap) else extent.rss_bytes
        return self._sizes[key]

    def started(self, stat: bytes | None) -> int | None:
        if stat is None:
            return None
        if stat not in self._starts:
            if len(self._starts) > _MEANINGS_KEPT:
                self._starts.clear()
            identity = parsed("stat", stat, parse_identity)
            self._starts[stat] = None if isinstance(identity, Gap) else identity.starttime
        return self._starts[stat]


class _Sizes:
    """What processes were at the ticks of a block, put together once."""

    def __init__(self, block: OpenBlock, page_bytes: int, meanings: _Meanings) -> None:
        self.block = block
        self.first = self._end = 0
        self._page_bytes = page_bytes
        self._meanings = meanings
        self._times: list[float] = []
        self._sizes: dict[tuple[int, int], int | None] = {}
        self._changes: dict[str, list[int]] = {}
        self._since: dict[ProcessKey, int] = {}

    def take(self, span: Span, times: list[float]) -> None:
        """Which ticks of it are asked for from now on."""
        self.first, self._times = span.first, times
        self._end = span.first + len(times) - 1

    def begin_of(self, key: ProcessKey, is_there: bool) -> int | None:
        """The first tick of these at which it was there; None: none. `is_there`: at the last it was."""
        since = self._since.get(key)
        if since is not None and since <= self.first:
            return self.first
        if not is_there and not self._is(key, self._end):
            return None
        low, high = self.first, self._end  # once it is there, it stays
        if not self._changes_of("stat", key.pid) or self._is(key, low):
            high = low
        while low < high:
            middle = (low + high) // 2
            if self._is(key, middle):
                high = middle
            else:
                low = middle + 1
        self._since[key] = low
        return low

    def last(self, pid: int) -> int | None:
        return self._size(pid, self._end)

    def sizes(self, pid: int, begin: int, all_of_it: bool) -> tuple[list[tuple[float, int]], bool]:
        """RSS in bytes by time, from a tick on, where it changed: all of it, or the first alone; whether
        that is all."""
        changes = self._changes_of("statm", pid)
        later = changes[bisect_right(changes, begin) : bisect_right(changes, self._end)]
        found = []
        for tick in [begin, *later] if all_of_it else [begin]:
            size = self._size(pid, tick)
            if size is not None:
                found.append((self._times[tick - self.first], size))
        return found, all_of_it or not later

    def _changes_of(self, leaf: str, pid: int) -> list[int]:
        """The ticks at which a file of a process became another."""
        name = f"proc/{pid}/{leaf}"
        if name not in self._changes:
            self._changes[name] = self.block.changes(name)
        return self._changes[name]

    def _size(self, pid: int, tick: int) -> int | None:
        if (pid, tick) not in self._sizes:
            statm = self._get(f"proc/{pid}/statm", tick)
            self._sizes[pid, tick] = self._meanings.rss_bytes(statm, self._page_bytes)
        return self._sizes[pid, tick]

    def _is(self, key: ProcessKey, tick: int) -> bool:
        stat = self._get(f"proc/{key.pid}/stat", tick)
        return self._meanings.started(stat) == key.start_time_ticks

    def _get(self, name: str, tick: int) -> bytes | None:
        try:
            return self.block.get(name, tick)
        except Damaged:
            return None
