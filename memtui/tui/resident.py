"""Keeps memtui itself in memory, so that it goes on when everything else waits for its pages."""

from __future__ import annotations

from typing import Final

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.process import parse_status

_CAP_IPC_LOCK: Final = 14
# <sys/mman.h>: what is mapped, what will be, and of both only pages that are used.
_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4


def stay_in_memory() -> bool:
    """Locks what memtui uses, where that is allowed without a limit; whether it is. Never raises.

    Under a limit the next mapping beyond it would fail, and whatever needed it.
    """
    try:
        import ctypes  # which not every Python has been built with
        import resource

        if not _may_lock_all() and resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != -1:
            return False
        return bool(ctypes.CDLL(None).mlockall(_CURRENT | _FUTURE | _ON_FAULT) == 0)
    except (ImportError, OSError, AttributeError):
        return False


def _may_lock_all() -> bool:
    status = LiveFiles().parsed("proc/self/status", parse_status)
    if isinstance(status, Gap):
        return False
    effective = str(status.get("CapEff", "0"))
    return bool(int(effective, 16) >> _CAP_IPC_LOCK & 1)
