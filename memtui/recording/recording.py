"""`Recording`: a recording's file, read: which moments it has, and the machine at each of them."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from memtui.recording.codec import Damaged, OpenBlock
from memtui.recording.connecting import Reader
from memtui.recording.files import RecordedFiles, View
from memtui.recording.moment import Moment
from memtui.recording.store import (
    DAMAGE,
    EventRow,
    Packed,
    Run,
    Running,
    Store,
    Summary,
    Time,
    Unusable,
    checksum,
    unpacked_times,
    words_of,
)
from memtui.recording.tail import RunningTail, Tail

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_BLOCKS_KEPT: Final = 8  # that were put together last
_BASES_KEPT: Final = 2
_RUNNING: Final = -1  # the place of a tail that is in no row
_TICKS_AT_MOST: Final = 100_000  # in a block: more are damage
_RUN: Final = (
    "id, machine, boot_id, page_bytes, ticks_per_s, architecture, interval_s, pid, wall, boot"
)
_RUN_TYPES: Final = (int, str, str, int, int, str, float, int, int, int)
_RECENT: Final = "id, run, base, cast(times as blob), cast(data as blob), checksum"
_INDEX: Final = "id, run, base, first_wall, first_boot, last_wall, last_boot, ticks"


class Stretch(NamedTuple):
    """What figures were from one moment to another, of some ticks together: their least, largest and
    last value. A figure that had none is not in it.
    """

    begin: Moment
    end: Moment
    figures: dict[str, Summary]


class Span(NamedTuple):
    """Successive ticks of a block: their moments, and which of the block's the first of them is."""

    block: OpenBlock
    moments: list[Moment]
    first: int


class _Chunk(NamedTuple):
    """Where ticks stand together: a row of `block` by its id, or, `tail` in order, rows of `recent`."""

    id: int
    is_tail: bool
    run: int
    base: int
    first: Time
    last: Time
    ticks: int


class Recording:
    """Open until `close`; for one thread. `troubles` say, a line each, what of it cannot be read.

    It may be written to meanwhile: `refresh` takes in what came.
    """

    def __init__(self, path: str, store: Store | None = None) -> None:
        """`store`: what writes it, where it is in no file. Raises Unusable."""
        self.path = path
        self.troubles: list[str] = []
        self.runs: dict[int, Run] = {}
        self._chunks: list[_Chunk] = []
        self._tails: list[Tail] = []
        self._running: RunningTail | None = None
        self._times: OrderedDict[int, tuple[Time, ...]] = OrderedDict()
        self._bases: OrderedDict[int, dict[str, bytes]] = OrderedDict()
        self._opened: OrderedDict[tuple[int, int], OpenBlock] = OrderedDict()
        self._store = store
        self._lock = store.lock if store is not None else threading.RLock()
        self._reader: Reader | None = None
        if store is None:
            self._reader = Reader(path)
            self._database = self._reader.database()
        else:
            self._database = store.database
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise
        if not self.runs:
            self.close()
            raise Unusable(f"{path} is a recording in which nothing can be read")

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _turn_to_the_file(self) -> None:
        if self._reader is not None and not self._database.in_transaction:
            self._database = self._reader.database()

    # What there is.

    def refresh(self) -> None:
        """Takes in what was recorded, and what was thrown away, since. Raises Unusable."""
        try:
            with self._lock:
                self._turn_to_the_file()
                self._database.execute("begin")
                try:
                    running = self._store.running if self._store is not None else None
                    self._read_runs()
                    self._read_index()
                    self._read_tails(running)
                finally:
                    self._database.execute("rollback")
        except DAMAGE as error:
            raise Unusable(f"{self.path} cannot be read: {words_of(error)}") from None

    @property
    def first(self) -> Moment | None:
        """The first moment that there is."""
        return _moment(self._chunks[0].run, self._chunks[0].first) if self._chunks else None

    @property
    def last(self) -> Moment | None:
        """The last moment that there is."""
        return _moment(self._chunks[-1].run, self._chunks[-1].last) if self._chunks else None

    @property
    def ticks(self) -> int:
        """How many moments there are."""
        return sum(chunk.ticks for chunk in self._chunks)

    def at(self, time_s: float) -> Moment | None:
        """The moment that was shown on the wall's clock at a time, else the last before it, else the
        first. Where the clock was set back and a time was twice, the later one.
        """
        wall_ms = round(time_s * 1000)
        best: _Chunk | None = None
        nearest = -1
        for chunk in self._chunks:
            if chunk.first.wall_ms <= wall_ms:
                near = min(chunk.last.wall_ms, wall_ms)
                if near >= nearest:
                    best, nearest = chunk, near
        if best is None:
            return self.first
        times = self._times_of(best)
        at = bisect_right(times, wall_ms, key=lambda each: each.wall_ms)
        return _moment(best.run, times[max(0, at - 1)]) if times else self.first

    def step(self, moment: Moment, ticks: int) -> Moment:
        """The moment so many ticks later, or earlier; the last, or the first, where there are less."""
        place, tick = self._place(moment)
        tick += ticks
        while tick < 0 and place > 0:
            place -= 1
            tick += self._chunks[place].ticks
        while tick >= self._chunks[place].ticks and place < len(self._chunks) - 1:
            tick -= self._chunks[place].ticks
            place += 1
        chunk = self._chunks[place]
        times = self._times_of(chunk)
        return _moment(chunk.run, times[min(max(0, tick), len(times) - 1)])

    def moments(self, since_s: float, until_s: float) -> list[Moment]:
        """All of a time, both ends included, in the order in which they were."""
        since_ms, until_ms = since_s * 1000 - 0.5, until_s * 1000 + 0.5
        found = []
        for chunk in self._chunks:
            if chunk.last.wall_ms < since_ms or chunk.first.wall_ms > until_ms:
                continue
            found += [
                _moment(chunk.run, each)
                for each in self._times_of(chunk)
                if since_ms <= each.wall_ms <= until_ms
            ]
        return found

    def since_boot(self, moment: Moment) -> float:
        """When a moment was, in seconds since the last boot that is in it: what was before that boot
        counts by the clock on the wall."""
        last = self.last
        if last is None or self.runs[last.run].boot_id == self.run_of(moment).boot_id:
            return moment.boot_s
        return moment.time_s - (last.time_s - last.boot_s)

    def run_of(self, moment: Moment) -> Run:
        """Which recorder, on which machine."""
        return self.runs[moment.run]

    # What it was like.

    def files_at(self, moment: Moment) -> RecordedFiles:
        """The machine's files at a moment. Raises Unusable where it is damaged, or no more there."""
        return RecordedFiles(self.path, self.run_of(moment).page_bytes, self.view(moment))

    def view(self, moment: Moment) -> View:
        """What `RecordedFiles.move_to` takes. Raises Unusable."""
        place, tick = self._place(moment)
        contents = _Contents(self._block(self._chunks[place]), tick)
        before = self.step(moment, -1)
        is_known = before.run == moment.run and before.boot_s < moment.boot_s
        earlier = (lambda: self.view(before)) if is_known else None
        run = self.run_of(moment)
        return View(contents, moment.time_s, moment.words, moment.boot_s, run, earlier)

    def stretches(self, since_s: float, until_s: float) -> Iterator[tuple[Moment, Moment]]:
        """The begin and the end of each block of a time."""
        for chunk in self._between(since_s, until_s):
            yield _moment(chunk.run, chunk.first), _moment(chunk.run, chunk.last)

    def series(self, names: Collection[str], since_s: float, until_s: float) -> list[Stretch]:
        """Some figures over a time, a block of some 60 ticks each; of a block that has no summary, as
        the one that is being written, no figures. Raises Unusable.
        """
        chunks = self._between(since_s, until_s)
        ids = [chunk.id for chunk in chunks if not chunk.is_tail]
        found: dict[int, dict[str, Summary]] = {}
        if ids:
            known = dict(self._all("select id, name from figure"))
            wanted = [number for number, name in known.items() if name in names]
            marks = ", ".join(map(str, wanted))
            rows = self._all(
                "select block, figure, least, most, last from summary "
                f"where block between ? and ? and figure in ({marks})",
                (ids[0], ids[-1]),
            )
            for block, figure, *summary in rows:
                found.setdefault(block, {})[known[figure]] = tuple(summary)
        return [
            Stretch(
                _moment(chunk.run, chunk.first),
                _moment(chunk.run, chunk.last),
                {} if chunk.is_tail else found.get(chunk.id, {}),
            )
            for chunk in chunks
        ]

    def events(self, since_s: float, until_s: float) -> list[EventRow]:
        """Alerts and deaths of a time, in the order in which they were told. Raises Unusable."""
        rows = self._all(
            "select run, wall, boot, kind, level, text, metric, detail from event "
            "where wall between ? and ? order by id",
            (since_s * 1000, until_s * 1000),
        )
        types = (int, int, int, str, str, str, str, str)
        return [EventRow(*row) for row in rows if _is_sound(row, types)]

    def packed_tails(self) -> list[Packed]:
        """The ticks that are in no block yet, as blocks."""
        return [tail.packed() for tail in self._tails if tail.times]

    def spans(self, moments: Sequence[Moment]) -> list[Callable[[], Span]]:
        """Successive moments of one run, by the blocks they are in, which are opened when a span is
        called for. Those raise Unusable.
        """
        places: dict[int, tuple[int, list[Moment]]] = {}
        for moment in moments:
            place, tick = self._place(moment)
            places.setdefault(place, (tick, []))[1].append(moment)

        def span(place: int, first: int, own: list[Moment]) -> Callable[[], Span]:
            chunk = self._chunks[place]
            return lambda: Span(self._block(chunk), own, first)

        return [span(place, first, own) for place, (first, own) in places.items()]

    # How it is found.

    def _between(self, since_s: float, until_s: float) -> list[_Chunk]:
        since_ms, until_ms = since_s * 1000 - 0.5, until_s * 1000 + 0.5
        return [
            chunk
            for chunk in self._chunks
            if chunk.last.wall_ms >= since_ms and chunk.first.wall_ms <= until_ms
        ]

    def _place(self, moment: Moment) -> tuple[int, int]:
        """The chunk, and the tick in it, of a moment, else of the one before it."""
        boot_ms = round(moment.boot_s * 1000)
        at = bisect_right(
            self._chunks, (moment.run, boot_ms), key=lambda each: (each.run, each.first.boot_ms)
        )
        place = max(0, at - 1)
        times = self._times_of(self._chunks[place])
        tick = bisect_right(times, boot_ms, key=lambda each: each.boot_ms) - 1
        return place, min(max(0, tick), len(times) - 1)

    def _times_of(self, chunk: _Chunk) -> tuple[Time, ...]:
        if chunk.is_tail:
            return tuple(self._tail(chunk.id).times)
        if chunk.id not in self._times:
            row = self._one("select cast(times as blob) from block where id = ?", chunk.id)
            try:
                self._times[chunk.id] = _times_in(row[0], chunk)
            except Damaged:
                # Evenly, then: its contents may be whole.
                self._times[chunk.id] = _evenly(chunk)
        return self._times[chunk.id]

    def _block(self, chunk: _Chunk) -> OpenBlock:
        if chunk.is_tail:
            return self._tail(chunk.id).opened()

        def opened() -> OpenBlock:
            data = self._data("block", chunk.id)
            try:
                return OpenBlock(data, self._base(chunk.base))
            except Damaged as error:
                raise Unusable(f"{self.path}: {error}") from None

        return _kept(self._opened, (chunk.id, chunk.base), opened, _BLOCKS_KEPT)

    def _base(self, number: int) -> dict[str, bytes]:
        def contents() -> dict[str, bytes]:
            try:
                return OpenBlock(self._data("base", number), {}).contents(0)
            except Damaged as error:
                raise Unusable(f"{self.path}: {error}") from None

        return _kept(self._bases, number, contents, _BASES_KEPT)

    def _data(self, table: str, number: int) -> bytes:
        # As a blob, whatever a flipped bit has made of its type.
        row = self._one(f"select cast(data as blob), checksum from {table} where id = ?", number)
        if row[0] is None or checksum(row[0]) != row[1]:
            raise Unusable(f"{self.path}: {table} {number} is damaged, and what is in it is lost")
        data: bytes = row[0]
        return data

    def _one(self, query: str, number: int) -> tuple[Any, ...]:
        rows = self._all(query, (number,))
        if not rows:
            raise Unusable(f"{self.path}: that moment is no more in it")
        return rows[0]

    def _all(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                self._turn_to_the_file()
                return self._database.execute(query, values).fetchall()
        except DAMAGE as error:
            raise Unusable(f"{self.path} cannot be read: {words_of(error)}") from None

    def _read_runs(self) -> None:
        rows = self._readable("run", _RUN, _RUN_TYPES, 0)
        self.runs = {row[0]: Run(*row[1:]) for row in rows}

    def _read_index(self) -> None:
        blocks = [chunk for chunk in self._chunks if not chunk.is_tail]
        oldest = self._database.execute("select min(id) from block").fetchone()[0]
        blocks = [chunk for chunk in blocks if oldest is not None and chunk.id >= oldest]
        after = blocks[-1].id if blocks else 0
        for row in self._readable("block", _INDEX, (int,) * 8, after):
            number, run, base, first_wall, first_boot, last_wall, last_boot, ticks = row
            first, last = Time(first_wall, first_boot), Time(last_wall, last_boot)
            blocks.append(_Chunk(number, False, run, base, first, last, ticks))
        self._chunks = [
            chunk
            for chunk in blocks
            if chunk.run in self.runs and 0 < chunk.ticks <= _TICKS_AT_MOST
        ]

    def _readable(
        self, table: str, columns: str, types: tuple[type, ...], after: int
    ) -> list[tuple[Any, ...]]:
        """Rows of a table in order; of a damaged one from both ends, as far as they can be read, and
        those alone whose values are of these types.
        """
        found: dict[int, tuple[Any, ...]] = {}
        for order in ("asc", "desc"):
            try:
                for row in self._database.execute(
                    f"select {columns} from {table} where id > ? order by id {order}", (after,)
                ):
                    if row[0] in found:
                        break
                    found[row[0]] = row
                else:
                    break
            except DAMAGE as error:
                self._complain(f"{self.path} is damaged: {words_of(error)}")
        sound = [found[number] for number in sorted(found) if _is_sound(found[number], types)]
        if len(sound) < len(found):
            self._complain(f"{self.path} is damaged: {table} has rows that say nothing")
        return sound

    def _complain(self, trouble: str) -> None:
        if trouble not in self.troubles:
            self.troubles.append(trouble)

    def _read_tails(self, running: Running | None) -> None:
        """The rows that are in no block yet; of those that are known only what came since."""
        self._running = None
        if running is not None:
            last = self._chunks[-1] if self._chunks else None
            if (
                last is None
                or last.run != running.run
                or last.last.boot_ms < running.times[0].boot_ms
            ):
                self._running = RunningTail(running, self._base(running.base))
                self._append(self._running, _RUNNING)
            return
        rows = self._readable("recent", _RECENT, (int, int, int, bytes, bytes, int), 0)
        known = [tail for tail in self._tails if tail.rows]
        if not rows or not known or known[0].rows[0] != (rows[0][0], rows[0][3]):
            self._tails = []
        read = sum(len(tail.rows) for tail in self._tails)
        for number, run, base, times, data, check_ in rows[read:]:
            if not self._tails or (self._tails[-1].run, self._tails[-1].base) != (run, base):
                try:
                    self._tails.append(Tail(run, base, self._base(base)))
                except Unusable as error:
                    self._complain(str(error))
                    break
            tail = self._tails[-1]
            tail.add((number, times), data if checksum(data) == check_ else b"")
            if tail.is_broken:
                self._complain(f"{self.path}: recent {number} is damaged, and what follows it")
        for at, tail in enumerate(self._tails):
            if tail.times and tail.run in self.runs:
                self._append(tail, at)

    def _append(self, tail: Tail | RunningTail, at: int) -> None:
        first, last = tail.times[0], tail.times[-1]
        self._chunks.append(_Chunk(at, True, tail.run, tail.base, first, last, len(tail.times)))

    def _tail(self, at: int) -> Tail | RunningTail:
        return self._tails[at] if self._running is None else self._running


class _Contents:
    """A block's contents at a tick."""

    def __init__(self, block: OpenBlock, tick: int) -> None:
        self._block = block
        self._tick = tick

    def get(self, name: str) -> bytes | None:
        return self._block.get(name, self._tick)

    def names(self) -> frozenset[str]:
        return self._block.names(self._tick)


def _is_sound(row: tuple[Any, ...], types: tuple[type, ...]) -> bool:
    return all(isinstance(value, type_) for value, type_ in zip(row, types, strict=True))


def _times_in(data: bytes | None, chunk: _Chunk) -> tuple[Time, ...]:
    """A block's times. Raises Damaged where they are not those of so many ticks, in their order."""
    times = unpacked_times(data or b"")
    boots = [each.boot_ms for each in times]
    if len(times) != chunk.ticks or boots != sorted(boots):
        raise Damaged("damaged times")
    return times


def _kept(cache: OrderedDict[K, T], key: K, make: Callable[[], T], most: int) -> T:
    """What is in the cache, or is made for it; those that were asked for last stay."""
    found = cache.pop(key, None)
    cache[key] = value = make() if found is None else found
    while len(cache) > most:
        cache.popitem(last=False)
    return value


def _moment(run: int, time_: Time) -> Moment:
    return Moment(time_.wall_ms / 1000, time_.boot_ms / 1000, run)


def _evenly(chunk: _Chunk) -> tuple[Time, ...]:
    """The times of a block of which only the first and the last are known."""
    steps = max(1, chunk.ticks - 1)
    wall, boot = chunk.last.wall_ms - chunk.first.wall_ms, chunk.last.boot_ms - chunk.first.boot_ms
    return tuple(
        Time(chunk.first.wall_ms + wall * at // steps, chunk.first.boot_ms + boot * at // steps)
        for at in range(chunk.ticks)
    )
