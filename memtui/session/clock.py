"""Times since boot, which samples and events have, as times of day."""

from __future__ import annotations

import time


def time_of_day(time_s: float) -> str:
    """`14:03:59`, by the clock as it is set now."""
    booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.strftime("%H:%M:%S", time.localtime(booted_s + time_s))
