"""The one file that memtui can write: how willing the OOM killer is to take a process.

Source: /proc/PID/oom_score_adj. Document: Documentation/filesystems/proc.rst. Since: 2.6.36.
Permission: the process's owner may raise it; lowering it takes CAP_SYS_RESOURCE. Always of the live
kernel, whatever root is looked at.
"""

from __future__ import annotations

import errno
import os

from memtui.kernel.files import Gap, parsed
from memtui.kernel.process import parse_identity

ADJ_LEAST = -1000  # never taken
ADJ_MOST = 1000


def started_at(pid: int) -> int | None:
    """When the process that has this pid now began, in ticks since boot; None: there is none."""
    try:
        return _started(os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return None


def write_oom_score_adj(pid: int, start_time_ticks: int, value: int) -> Gap | None:
    """Changes it for the process that began then, and no other; what went wrong.

    Through one directory, which stays that process's: a pid that comes back is not written to.
    """
    name = f"proc/{pid}/oom_score_adj"
    try:
        directory = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            stat = os.open("stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
            if _started(stat) != start_time_ticks:
                return Gap(name, "gone", "another process")
            file = os.open("oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
            try:
                os.write(file, str(value).encode())
            finally:
                os.close(file)
        finally:
            os.close(directory)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            return Gap(name, "denied")
        if error.errno in (errno.ENOENT, errno.ESRCH):
            return Gap(name, "gone")
        return Gap(name, "failed", error.strerror or "")
    return None


def _started(descriptor: int) -> int | None:
    try:
        stat = parsed("stat", os.read(descriptor, 4096), parse_identity)
    finally:
        os.close(descriptor)
    return None if isinstance(stat, Gap) else stat.starttime
