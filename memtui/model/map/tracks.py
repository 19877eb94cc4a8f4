"""A process's mappings over many readings of its map: what became of each, as sizes over time."""

from __future__ import annotations

from collections.abc import Iterator

from memtui.kernel.maps import Mappings
from memtui.model.map.change import same_memory
from memtui.model.map.kinds import KINDS, Kind, classify
from memtui.model.processes.leaks import Series


class _Track:
    """One memory: where it was last, and what of it was in memory or swapped out, over time."""

    __slots__ = ("end", "kind", "path", "sizes", "start", "times")

    def __init__(self) -> None:
        self.start = self.end = 0
        self.path = ""
        self.kind: Kind = KINDS[0]
        self.times: list[float] = []
        self.sizes: list[int] = []

    @property
    def name(self) -> str:
        return self.path or self.kind.words


class Tracks:
    """Readings are added in their order. A mapping stays the same one as it grows, is split or merges,
    as `change.same_memory` tells: of several the largest."""

    def __init__(self) -> None:
        self._last: Mappings | None = None
        self._rows: list[_Track] = []  # of the last reading
        self._all: list[_Track] = []
        self._sums: dict[str, dict[float, int]] = {}
        self._counts: dict[str, int] = {}  # how many mappings of a name there were, at most

    def add(self, mappings: Mappings, time_s: float) -> None:
        kinds = classify(mappings)
        sizes = [_size(mappings, row) for row in range(len(mappings))]
        rows = self._followed(mappings, sizes)
        counts: dict[str, int] = {}
        for row, track in enumerate(rows):
            track.start, track.end = mappings.starts[row], mappings.ends[row]
            track.path, track.kind = mappings.paths[row], KINDS[kinds[row]]
            track.times.append(time_s)
            track.sizes.append(sizes[row])
            name = track.name
            own = self._sums.setdefault(name, {})
            own[time_s] = own.get(time_s, 0) + sizes[row]
            counts[name] = counts.get(name, 0) + 1
        for name, count in counts.items():
            self._counts[name] = max(count, self._counts.get(name, 0))
        self._last, self._rows = mappings, rows

    def _followed(self, mappings: Mappings, sizes: list[int]) -> list[_Track]:
        """The track of each mapping: an old one that it goes on, or a new one."""
        before: dict[int, list[_Track]] = {}
        if self._last is not None:
            for old, row in zip(*same_memory(self._last, mappings), strict=True):
                before.setdefault(row, []).append(self._rows[old])
        found: dict[int, _Track] = {}
        taken: set[int] = set()
        for row in sorted(range(len(mappings)), key=lambda row: sizes[row], reverse=True):
            free = [each for each in before.get(row, ()) if id(each) not in taken]
            track = max(free, key=lambda each: each.sizes[-1], default=None)
            if track is None:
                track = _Track()
                self._all.append(track)
            taken.add(id(track))
            found[row] = track
        return [found[row] for row in range(len(mappings))]

    def series(
        self, name: str, pid: int, of: tuple[object, ...], has_ended: bool
    ) -> Iterator[Series]:
        """Each mapping, and then those of one name together. `of` is the process, which may have
        ended."""
        there = set(map(id, self._rows))
        for track in self._all:
            span = track.start, track.end
            yield Series(
                *("mapping", name, pid, "rss", track.times, track.sizes),
                (*of, id(track)),
                ((*of, track.name),),
                track.name,
                track.kind.name,
                span,
                has_ended or id(track) not in there,
            )
        for path, sums in self._sums.items():
            count = self._counts[path]
            if count > 1:
                words = f"{path}, {count} mappings"
                times, values = list(sums), list(sums.values())
                yield Series(
                    *("mapping", name, pid, "rss", times, values, (*of, path)),
                    mapping=words,
                    has_ended=has_ended,
                )


def _size(mappings: Mappings, row: int) -> int:
    return (mappings.in_memory(row) or 0) + (mappings.get(row, "Swap") or 0)
