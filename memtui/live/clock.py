"""The clocks that what reads goes by; a test hands in one that stands still."""

from __future__ import annotations

import time
from typing import Protocol

from memtui.kernel.uptime import since_boot_s


class Clock(Protocol):
    """All in seconds."""

    def monotonic_s(self) -> float:
        """For when something is due."""

    def boot_s(self) -> float:
        """Since boot, suspends included: the time of a sample."""

    def cpu_s(self) -> float:
        """Of a processor, that this thread has taken."""


class SystemClock:
    """This machine's."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def boot_s(self) -> float:
        return since_boot_s()

    def cpu_s(self) -> float:
        return time.thread_time()
