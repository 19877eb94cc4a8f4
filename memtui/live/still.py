"""A source whose machine does not change: a core dump. Nothing is read again and again."""

from __future__ import annotations

from collections.abc import Callable

from memtui.kernel.files import defect_gap
from memtui.live.looker import Looker, read_map
from memtui.live.source import LiveSource, Reading
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import MapReading


class StillSource(LiveSource):
    """Takes a sample when it starts and when a view wants more of it; reads a map once."""

    @property
    def silent_s(self) -> float:
        return 0.0  # nobody waits for the next

    def _look(self, _looker: Looker) -> None:
        seen: ProcessKey | None = None
        while True:
            self._look_wanted.wait()
            self._look_wanted.clear()
            if self._stopping.is_set():
                return
            key = self._plan.map_of
            if key is not None and key != seen:
                seen = key
                self._post(self._read(key))

    def _read(self, key: ProcessKey) -> MapReading:
        """The whole of it at once: what a quick look would leave out costs nothing here."""
        try:
            return read_map(self.files, key, "smaps", clock=self._clock)
        except Exception as error:
            gap = defect_gap(f"proc/{key.pid}/smaps", error)
            return MapReading(key, gap, None, self._clock.monotonic_s(), 0.0)

    def _tick(self, post: Callable[[Reading], None]) -> None:
        while not self._stopping.is_set():
            post(self._sample(self._interval_s, 0))
            self._interval_changed.wait()
            self._interval_changed.clear()
        self.sampler.close()
