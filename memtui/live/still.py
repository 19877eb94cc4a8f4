"""A source whose machine does not change: a core dump. Nothing is read again and again."""

from __future__ import annotations

from collections.abc import Callable

from memtui.live.looker import Looker
from memtui.live.source import LiveSource, Reading


class StillSource(LiveSource):
    """Takes a sample when it starts and when a view wants more of it; reads a map once."""

    @property
    def silent_s(self) -> float:
        return 0.0  # nobody waits for the next

    def _look(self, looker: Looker) -> None:
        """Reads each map that is gone to, its layout and what is known of it."""
        while True:
            self._look_wanted.wait()
            self._look_wanted.clear()
            if self._stopping.is_set():
                return
            looker.look(lambda: self._plan)

    def _tick(self, post: Callable[[Reading], None]) -> None:
        while not self._stopping.is_set():
            post(self._sample(self._interval_s, 0))
            self._interval_changed.wait()
            self._interval_changed.clear()
        self.sampler.close()
