"""The process that is looked at: its map, its last map, or why there is none."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from memtui.kernel.files import Gap
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap, MapReading
from memtui.model.sample import ProcessSample, Sample

if TYPE_CHECKING:
    from memtui.model.map.change import Trail


class Chosen:
    """One process, for as long as it is looked at; every view shows this one, its cursor at `address`.

    `gone_s` is when it was found to have ended, since boot; `by_itself`: nobody has asked for it;
    `is_past`: as it was at a moment that is gone, when it may not have begun yet.
    """

    def __init__(
        self,
        process: ProcessSample | None = None,
        *,
        by_itself: bool = False,
        is_past: bool = False,
    ) -> None:
        self.process = process
        self.by_itself = by_itself
        self.is_past = is_past
        self.map: AddressMap | None = None
        self.gap: Gap | None = None
        self.address: int | None = None
        self.gone_s: float | None = None
        self._now_s = 0.0
        self.read_at: float | None = None
        self._trail: Trail | None = None

    @property
    def trail(self) -> Trail:
        """Its earlier readings, from the first on that had usage."""
        # Imported after the first frame, which comes before any usage.
        from memtui.model.map.change import Trail

        if self._trail is None:
            self._trail = Trail()
        return self._trail

    @property
    def key(self) -> ProcessKey | None:
        return self.process.key if self.process else None

    def update(self, sample: Sample) -> None:
        """Follows the process through exec and death."""
        self._now_s = sample.time_s
        if self.process is None:
            return
        now = sample.processes.get(self.process.key)
        if now is not None:
            self.process = now
            if now.is_zombie and self.map is not None and self.gone_s is None:
                self._gone()
        elif self.gone_s is None:
            self._gone()

    def read(self, reading: MapReading) -> bool:
        """A new reading; whether it was of this process."""
        if reading.key != self.key:
            return False
        if isinstance(reading.map, Gap):
            if reading.map.reason == "gone":
                if self.gone_s is None:
                    self._gone()
            else:
                self.map, self.gap = None, reading.map
            return True
        if not len(reading.map) and self.map is not None:
            return True  # in the middle of an exec, or dead: the next sample tells
        self.gap = None
        self.map = reading.map if len(reading.map) else None
        if self.map is not None and (self.map.has_usage or self.map.usage_gap is not None):
            # Without smaps layouts alone can be compared.
            self.read_at = reading.time_s
            self.trail.add(self.map, reading.time_s)
        return True

    def row(self) -> int:
        """The mapping at the cursor's address, or the next below it where that is in a hole."""
        if self.map is None or self.address is None:
            return 0
        return max(0, bisect_right(self.map.mappings.starts, self.address) - 1)

    def _gone(self) -> None:
        if self.map is None and self.key is not None:
            self.gap = Gap(f"proc/{self.key.pid}/maps", "gone")
        self.gone_s = self._now_s
