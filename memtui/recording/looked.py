"""`LookedFiles`: what is read of address spaces, on a thread of its own, noted for the one that samples."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import Final

from memtui.kernel.files import Files, Gap
from memtui.live.clock import Clock, SystemClock
from memtui.recording.noted import GAP, READ, NotedFiles, gap_bytes

# A map is kept as its file's bytes, some 700 a mapping; in each block they stand anew.
MAP_BYTES_AT_MOST: Final = 1 << 20
_MAPS_BYTES_AT_MOST: Final = 2 << 20  # of all maps together
_ROLLUPS_AT_MOST: Final = 500
_MAPS: Final = ("smaps", "maps")
_ROLLUP: Final = "smaps_rollup"
_TOO_LARGE: Final = Gap("", "not recorded", "its map is too large to be kept")


class LookedFiles(NotedFiles):
    """Notes maps and rollups, and the names of threads; of those that were read longest ago nothing
    is known any more. One thread reads; `take` is another's.
    """

    def __init__(self, files: Files, clock: Clock | None = None) -> None:
        super().__init__(files)
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._rollups: OrderedDict[str, int] = OrderedDict()

    def take(self, pids: Collection[int]) -> dict[str, bytes | None]:
        """What changed since the last time that this was asked; of these processes, others have ended."""
        with self._lock:
            for pid in self._by_pid.keys() - pids:
                self.forget(pid)
            return self.changes()

    def forget(self, pid: int) -> None:
        for leaf in (*_MAPS, _ROLLUP):
            self._sizes.pop(f"proc/{pid}/{leaf}", None)
            self._rollups.pop(f"proc/{pid}/{leaf}", None)
        super().forget(pid)

    def _note(self, name: str, data: bytes) -> None:
        leaf = name.rpartition("/")[2]
        with self._lock:
            if leaf in _MAPS and name.startswith("proc/"):
                self._note_map(name, data)
            elif leaf == _ROLLUP or "/task" in name or name.startswith(READ):
                super()._note(name, data)
                if leaf == _ROLLUP and name.startswith("proc/"):
                    self.note_read(name, self._clock.boot_s())
                    self._turn(self._rollups, name, len(data))
                    while len(self._rollups) > _ROLLUPS_AT_MOST:
                        oldest, _ = self._rollups.popitem(last=False)
                        self._drop(oldest)
                        self._drop(READ + oldest)

    def _note_map(self, name: str, data: bytes) -> None:
        """Bounds what is kept of maps: all of them are read here, of one process after another."""
        if len(data) > MAP_BYTES_AT_MOST:
            self._sizes.pop(name, None)
            self._drop(name)
            super()._note(GAP + name, gap_bytes(_TOO_LARGE))
            return
        super()._note(name, data)
        self.note_read(name, self._clock.boot_s())
        self._turn(self._sizes, name, len(data))
        while sum(self._sizes.values()) > _MAPS_BYTES_AT_MOST:
            oldest, _ = self._sizes.popitem(last=False)
            self._drop(oldest)
            self._drop(READ + oldest)

    @staticmethod
    def _turn(names: OrderedDict[str, int], name: str, value: int) -> None:
        names[name] = value
        names.move_to_end(name)
