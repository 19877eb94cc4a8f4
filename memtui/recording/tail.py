"""The end of a recording, which is in no block yet: rows, each against all before it, put together."""

from __future__ import annotations

from collections.abc import Mapping

from memtui.recording.codec import Block, Damaged, OpenBlock, versions_of
from memtui.recording.store import Packed, Running, Time, unpacked_times


class Tail:
    """Successive rows of `recent`, of one run and one base. `rows` say which ones have been taken.

    A damaged one ends it: what follows is against it.
    """

    def __init__(self, run: int, base: int, contents: Mapping[str, bytes]) -> None:
        self.run = run
        self.base = base
        self.rows: list[tuple[int, bytes]] = []
        self.times: list[Time] = []
        self.is_broken = False
        self._base = contents
        self._state = dict(contents)
        self._block = Block()
        self._opened: OpenBlock | None = None

    def add(self, row: tuple[int, bytes], data: bytes) -> None:
        """One more row, `(id, times)`, and its ticks."""
        self.rows.append(row)
        if self.is_broken:
            return
        try:
            times = unpacked_times(row[1])
            opened = OpenBlock(data, self._state)
            before = dict(self._state)
            for tick in range(len(times)):
                now = {name: opened.get(name, tick) for name in opened.changed}
                changes = {name: each for name, each in now.items() if each != before.get(name)}
                self._block.add(versions_of(before, changes))
                self.times.append(times[tick])
                for name, each in changes.items():
                    if each is None:
                        before.pop(name, None)
                    else:
                        before[name] = each
            self._state = before
        except Damaged:
            self.is_broken = True
        self._opened = None

    def opened(self) -> OpenBlock:
        """All of it as one block."""
        if self._opened is None:
            self._opened = OpenBlock(self._block.packed(self._base, zlib_level=1), self._base)
        return self._opened

    def packed(self) -> Packed:
        """All of it as a block for the file."""
        return Packed(self.run, self.base, tuple(self.times), self._block.packed(self._base))


class RunningTail:
    """The end of a recording in memory, as of when it was asked for."""

    def __init__(self, running: Running, contents: Mapping[str, bytes]) -> None:
        self.run = running.run
        self.base = running.base
        self.times = list(running.times)
        self._base = contents
        self._versions = running.block.versions
        self._opened: OpenBlock | None = None

    def opened(self) -> OpenBlock:
        """All of it as one block."""
        if self._opened is None:
            self._opened = OpenBlock.of(len(self.times), self._versions, self._base)
        return self._opened
