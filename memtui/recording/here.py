"""Whether a recording is of the machine that memtui runs on now."""

from __future__ import annotations

import os
from functools import lru_cache

from memtui.kernel.files import Gap
from memtui.kernel.hidden import is_own_proc
from memtui.recording.store import Run


def is_of_here(run: Run, status: bytes | Gap) -> bool:
    """Of this boot, by a recorder on this host itself: users have the same names. `status`: what was
    recorded of /proc/self/status, which of another's /proc, as a container's host, is not its own."""
    boot_id = _boot_id()
    is_same = bool(boot_id) and run.boot_id == boot_id and run.machine == os.uname().nodename
    return is_same and is_own_proc(status, run.pid)


@lru_cache(maxsize=1)
def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""
