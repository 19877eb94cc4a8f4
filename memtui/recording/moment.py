"""`Moment`: a tick of a recording. Here, and not beside what reads it: whoever shows one imports little."""

from __future__ import annotations

import time
from typing import NamedTuple


class Moment(NamedTuple):
    """A tick of a recording: `time_s` since the epoch, `boot_s` since boot, as samples count."""

    time_s: float
    boot_s: float
    run: int

    @property
    def words(self) -> str:
        """`2026-11-30 14:32:07`, as clocks on the wall showed it."""
        try:
            return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.time_s))
        except (OverflowError, ValueError, OSError):
            return f"+{self.boot_s:.0f} s"
