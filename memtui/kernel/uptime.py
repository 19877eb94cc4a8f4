"""How long the machine has been up, and when that began.

Source: /proc/uptime; btime in /proc/stat. Document: Documentation/filesystems/proc.rst. Since: always.
Permission: anyone. Cost: some 10 µs; /proc/stat some 100 µs, more with many interrupts.
"""

from __future__ import annotations

import time
from typing import Final

from memtui.kernel.files import Files, Gap, Malformed
from memtui.kernel.values import number

_LONGEST_S: Final = 1 << 40  # 34,000 years


def since_boot_s() -> float:
    """Seconds since this machine was booted, suspends included: the clock of samples."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_uptime_s(files: Files) -> float | None:
    """How long the machine below the root has been up, by which its counters are means since boot.

    Of this machine by its clock: /proc/uptime may be the container's, and the counters the host's.
    """
    if files.is_live:
        return since_boot_s()
    uptime = files.parsed("proc/uptime", parse_uptime)
    return None if isinstance(uptime, Gap) else uptime


def parse_uptime(data: bytes) -> float:
    """Seconds since boot, suspends included. Raises Malformed where that is no such number."""
    try:
        seconds = float(data.split()[0])
    except (IndexError, ValueError):
        raise Malformed(_quote(data)) from None
    if not 0 <= seconds < _LONGEST_S:  # which NaN is not, either
        raise Malformed(_quote(data))
    return seconds


def parse_boot_time(data: bytes) -> int:
    """When it was booted, in seconds since the epoch, of /proc/stat. Raises Malformed without."""
    for line in data.splitlines():
        if line.startswith(b"btime "):
            seconds = number(line[6:].strip())
            if seconds is None or seconds >= _LONGEST_S:
                raise Malformed(_quote(line))
            return seconds
    raise Malformed("no btime")


def _quote(data: bytes) -> str:
    return repr(data[:60])[1:]
