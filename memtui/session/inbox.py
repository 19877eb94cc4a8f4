"""What has come from a source and is not taken yet."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from memtui.live.source import Reading
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import MapReading
from memtui.model.sample import Sample
from memtui.session.wound import NoWound, Wound

SAMPLES_AT_MOST: Final = 256


class Inbox:
    """Any thread puts, one takes, in the order of arrival.

    Of a process's map the last reading alone waits, and of moments of the past the last. Of samples
    the newest 256 do; `lost` counts those before them that nobody took.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A map stands here as its process, and once: its last reading is in `_maps`.
        self._waiting: deque[Reading | Wound | NoWound | ProcessKey] = deque()
        self._maps: dict[ProcessKey, MapReading] = {}
        self._samples = 0
        self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, reading: Reading | Wound | NoWound) -> None:
        with self._lock:
            if isinstance(reading, Wound):
                waiting = [each for each in self._waiting if not isinstance(each, Wound)]
                self._waiting = deque(waiting)
            if isinstance(reading, MapReading):
                if reading.key not in self._maps:
                    self._waiting.append(reading.key)
                self._maps[reading.key] = reading
                return
            self._waiting.append(reading)
            if isinstance(reading, Sample):
                self._samples += 1
                if self._samples > SAMPLES_AT_MOST:
                    self._lose_oldest()

    def take(self) -> Reading | Wound | NoWound | None:
        """The next one; None where nothing waits."""
        with self._lock:
            if not self._waiting:
                return None
            found = self._waiting.popleft()
            if isinstance(found, ProcessKey):
                return self._maps.pop(found)
            if isinstance(found, Sample):
                self._samples -= 1
            return found

    def first_sample(self) -> Sample | None:
        """The oldest sample that waits, which goes on waiting."""
        with self._lock:
            return next((each for each in self._waiting if isinstance(each, Sample)), None)

    def _lose_oldest(self) -> None:
        at = next(at for at, each in enumerate(self._waiting) if isinstance(each, Sample))
        del self._waiting[at]
        self._samples -= 1
        self.lost += 1
