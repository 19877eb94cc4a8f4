"""A recording gone through for what grew: as few of its moments as tell, so that a day takes seconds.

At most 72 blocks of it are opened, and so many moments looked at that some 50,000 processes are: two
thirds of them evenly over all of the time, a third in its last twelfth, where what began lately is.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from memtui import units
from memtui.kernel.details import memory_path, read_shares
from memtui.kernel.files import Gap
from memtui.kernel.maps import parse_maps
from memtui.kernel.process import status_bytes, status_value
from memtui.model.keys import ProcessKey
from memtui.model.map.tracks import Tracks
from memtui.model.processes.leaks import (
    FIGURE_WORDS,
    MACHINE_FIGURES,
    Leak,
    Series,
    hunted,
    series_of,
)
from memtui.model.processes.use import Look, Use, use_of
from memtui.model.sample import ProcessSample, Sample
from memtui.model.system.metrics import METRICS
from memtui.ondemand.question import GoOn
from memtui.recording.files import RecordedFiles
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.replay import Replay
from memtui.recording.store import Unusable

_BLOCKS_AT_MOST: Final = 72
_PASSING_AT_MOST: Final = 24  # to find who came and went
_USES_AT_MOST: Final = 50_000
_LOOKS: Final = range(60, 241)
_LATELY: Final = 12  # the last such part of the time is looked at as often again
_MAP_BYTES_AT_MOST: Final = 512 << 20  # that are parsed, of all maps together
_GOLDEN: Final = (math.sqrt(5) - 1) / 2


class Hunt(NamedTuple):
    """What came of it. `looks` of `moments` were looked at, from `first` to `last`; `mapped` are so many
    processes whose maps were kept. `troubles`: what could not be read."""

    leaks: list[Leak]
    plateaus: list[Leak]
    first: Moment
    last: Moment
    looks: int
    moments: int
    mapped: int
    available_bytes: float | None
    troubles: list[str]

    @property
    def words(self) -> str:
        """What was looked at."""
        maps = (
            f"the maps of {self.mapped} processes" if self.mapped != 1 else "the map of 1 process"
        )
        looks, moments = units.count(self.looks), units.count(self.moments)
        return f"{looks} of {moments} moments looked at, {maps if self.mapped else 'no maps were kept'}"

    def sentence(self, leak: Leak) -> str:
        """What one of its leaks is, in a sentence or two, printable."""
        series, growth = leak.series, leak.growth
        since = time.strftime("%H:%M:%S", time.localtime(growth.since_s))
        a_minute = units.size(60 * growth.slope_per_s)
        words = (
            f"{series.who} grew by {units.size(growth.grown)} since {since}, {a_minute} a minute "
            f"({FIGURE_WORDS[series.figure]}): "
        )
        if leak.is_plateau:
            until = time.strftime("%H:%M:%S", time.localtime(growth.until_s))
            return f"{words}until {until}, and then no more."
        words += f"{leak.words} a leak."
        inside = [
            each
            for each in self.leaks
            if each.series.what == "mapping" and each.series.of[:2] == series.of
        ]
        if series.what == "process" and inside:
            share = min(1.0, inside[0].growth.slope_per_s / growth.slope_per_s)
            of_it = units.percent(100 * share)
            words += f" It is in {units.printable(inside[0].series.mapping)}, {of_it} of it."
        elif series.what == "process" and not self.mapped:
            words += " Where in it is told by a recording with its maps: memtui record --map."
        if series.has_ended:
            return f"{words} It has ended."
        if leak.until_full_s is not None:
            words += (
                f" At this pace it has eaten the {units.size(self.available_bytes)} that were "
                f"available at the end in {units.duration(leak.until_full_s)}."
            )
        return words


def hunt(recording: Recording, since_s: float, until_s: float, go_on: GoOn) -> Hunt | None:
    """What grew in a time; None: nothing was recorded of it, or `go_on` says so."""
    moments = moments_of(recording, since_s, until_s)
    if not moments:
        return None
    looker = Looker(recording, len(moments))
    looks = []
    troubles: list[str] = []
    for done, moment in enumerate(moments):
        if not go_on(done, len(moments)):
            return None
        try:
            looks.append(looker.look(moment))
        except Unusable as error:
            troubles.append(str(error))
    if not looks:
        return None
    available = looks[-1].figures.get("mem_available_bytes")
    series = [*series_of(looks), *looker.mappings()]
    leaks, plateaus = hunted(series, available)
    total = len(recording.moments(since_s, until_s))
    first, last = moments[0], moments[-1]
    return Hunt(
        *(leaks, plateaus, first, last, len(looks), total, looker.mapped, available, troubles)
    )


def looks_between(recording: Recording, before: Moment, after: Moment, go_on: GoOn) -> list[Look]:
    """The looks at two moments, the first and the last of them, and at some in between.

    Raises Unusable where an end cannot be read.
    """
    looker = Looker(recording)
    between = moments_of(recording, before.time_s, after.time_s, _PASSING_AT_MOST)
    looks = [looker.look(before)]
    for done, moment in enumerate(between):
        if not go_on(done, len(between)):
            break
        if before.time_s < moment.time_s < after.time_s:
            with contextlib.suppress(Unusable):
                looks.append(looker.look(moment))
    return [*looks, looker.look(after)]


class Looker:
    """Looks at one moment after the other, forward, and follows the maps that were kept, where it is
    told how many `looks` there will be."""

    def __init__(self, recording: Recording, looks: int = 0) -> None:
        self._recording = recording
        self._replay = Replay(recording, details=False)
        self._looks = looks
        self._done = 0
        self._tracks: dict[tuple[str, ProcessKey], tuple[str, Tracks]] = {}
        self._read: dict[ProcessKey, bytes] = {}
        self._there: set[tuple[str, ProcessKey]] = set()
        self._every = 0  # so many looks, maps are parsed

    @property
    def mapped(self) -> int:
        """How many processes' maps there were."""
        return len(self._tracks)

    def look(self, moment: Moment) -> Look:
        """Raises Unusable."""
        sample = self._replay.sample(moment)
        files = self._replay.files
        assert files is not None
        boot = self._recording.run_of(moment).boot_id
        names = self._recording.view(moment).contents.names()
        uses: dict[ProcessKey, Use] = {}
        mapped: list[ProcessSample] = []
        for key, process in sample.processes.items():
            has_map = bool(self._looks) and f"proc/{key.pid}/smaps" in names
            use = _use(files, process, moment, has_map)
            if use is not None:
                uses[key] = use
                if has_map:
                    mapped.append(process)
        self._there = {(boot, key) for key in uses}
        self._follow(files, mapped, boot, moment.time_s)
        self._done += 1
        return Look(moment.time_s, boot, uses, _figures(sample))

    def _follow(
        self, files: RecordedFiles, mapped: list[ProcessSample], boot: str, time_s: float
    ) -> None:
        """Parses the maps that were read anew, and of very many not at each look."""
        if not mapped or (self._every and self._done % self._every):
            return
        total = 0
        for process in mapped:
            data = files.read(f"proc/{process.pid}/smaps")
            if isinstance(data, Gap) or not data:
                continue
            total += len(data)
            if self._read.get(process.key) == data:
                continue
            self._read[process.key] = data
            try:
                mappings = parse_maps(data)
            except ValueError:
                continue
            _, tracks = self._tracks.setdefault((boot, process.key), (process.name, Tracks()))
            tracks.add(mappings, time_s)
        self._every = max(self._every, math.ceil(total * self._looks / _MAP_BYTES_AT_MOST))

    def mappings(self) -> Iterator[Series]:
        """Of each process its mappings, as sizes over time."""
        for (boot, key), (name, tracks) in self._tracks.items():
            has_ended = (boot, key) not in self._there
            yield from tracks.series(name, key.pid, (boot, key), has_ended)


def _use(files: RecordedFiles, process: ProcessSample, moment: Moment, has_map: bool) -> Use | None:
    if process.is_kernel_thread:
        return None
    own = f"proc/{process.pid}"
    status = files.read(f"{own}/status")
    swap = uid = pss = None
    if not isinstance(status, Gap):
        swap = status_bytes(status, b"VmSwap")
        uids = (status_value(status, b"Uid") or b"").split()
        uid = int(uids[1]) if len(uids) > 1 and uids[1].isdigit() else None
    if has_map:
        shares = read_shares(files, process.pid, moment.boot_s)
        pss = None if isinstance(shares, Gap) else shares.pss_bytes
    group = files.parsed(f"{own}/cgroup", memory_path)
    cgroup = None if isinstance(group, Gap) else group
    return use_of(process, swap_bytes=swap, pss_bytes=pss, uid=uid, cgroup=cgroup)


def _figures(sample: Sample) -> dict[str, float]:
    """Of the machine what may leak, and what is left."""
    names = ("mem_available_bytes", *MACHINE_FIGURES)
    values = {name: METRICS[name].value(sample, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def moments_of(
    recording: Recording, since_s: float, until_s: float, blocks_at_most: int = _BLOCKS_AT_MOST
) -> list[Moment]:
    """Those to look at: all where they are few, times ascending whatever the clock was set to."""
    stretches = list(recording.stretches(since_s, until_s))
    if not stretches:
        return []
    first_s, last_s = max(since_s, stretches[0][0].time_s), min(until_s, stretches[-1][1].time_s)
    late_s = last_s - (last_s - first_s) / _LATELY
    late = [each for each in stretches if each[1].time_s >= late_s]
    blocks = {
        *_evenly(stretches, blocks_at_most * 2 // 3),
        *_evenly(late, blocks_at_most // 3),
    }
    processes = len(recording.files_at(stretches[-1][1]).pids()) or 1
    most = min(max(_USES_AT_MOST // processes, _LOOKS.start), _LOOKS.stop)
    found: list[Moment] = []
    each_has = max(1, most // len(blocks))
    for number, (begin, end) in enumerate(sorted(blocks, key=lambda each: each[0].time_s)):
        ticks = recording.moments(max(since_s, begin.time_s), min(until_s, end.time_s))
        ticks = [each for each in ticks if each.run == begin.run]
        if len(ticks) <= each_has:
            found += ticks
            continue
        # Not the same place of each block: what comes and goes with it would not be seen.
        shift = number * _GOLDEN % 1
        found += [ticks[int((at + shift) * len(ticks) / each_has)] for at in range(each_has)]
    ascending: list[Moment] = []
    for moment in found:
        if not ascending or moment.time_s > ascending[-1].time_s:
            ascending.append(moment)
    return ascending


def _evenly(
    stretches: Sequence[tuple[Moment, Moment]], most: int
) -> Sequence[tuple[Moment, Moment]]:
    if len(stretches) <= most:
        return stretches
    step = (len(stretches) - 1) / (most - 1)
    return [stretches[round(at * step)] for at in range(most)]
