"""What names a process for good."""

from __future__ import annotations

from typing import NamedTuple


class ProcessKey(NamedTuple):
    """A process for life: a pid that comes back has another start time."""

    pid: int
    start_time_ticks: int
