"""Which processes cannot be seen, and whose pids those in /proc are.

Source: /proc/self/{mountinfo,status}, /proc/{1,2}. Document: Documentation/filesystems/proc.rst,
pid_namespaces(7). Since: hidepid 3.3, NSpid 4.1. Permission: anyone. Cost: 0.1 ms.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from memtui.kernel.files import Files, Gap
from memtui.kernel.mounts import ProcMount, read_proc_mount
from memtui.kernel.process import read_identity, status_value

FOREIGN: Final = "/proc is another PID namespace's, whose pids are not those that a signal goes to"

_INIT_PID_NAMESPACE: Final = 0xEFFF_FFFC  # include/uapi/linux/nsfs.h
_KTHREADD: Final = 2
_CAP_SYS_PTRACE: Final = 19


class Hidden(NamedTuple):
    """Why not every process is to be seen: `words` as a sentence's part, `short` for a line's end.

    `is_namespace`: those that are seen are those of a PID namespace, and their pids its own, where
    the kernel's log has those of the first. Of a control group there they are mostly all.
    """

    words: str
    short: str
    is_namespace: bool = False


_BY_MOUNT: Final = {
    1: Hidden("hidepid=1 closes other users' processes", "others closed"),
    2: Hidden("hidepid=2 hides other users' processes", "others hidden"),
    4: Hidden("hidepid=4 hides processes that this user may not trace", "others hidden"),
}
_NAMESPACE: Final = Hidden(
    "processes outside this PID namespace cannot be seen", "PID namespace", True
)
_NO_INIT: Final = Hidden(
    "process 1 cannot be seen, and so others may be hidden too", "others hidden"
)
_NOT_CAPTURED: Final = Hidden("process 1 was not captured, and so others may be missing too", "")


def read_hidden(files: Files) -> Hidden | None:
    """What keeps processes from being seen here; None where nothing does."""
    mount = read_proc_mount(files)
    if mount is None and not files.is_live:
        # A captured tree, which may be one of a single process, or of none.
        pids = files.pids()
        return _NOT_CAPTURED if pids and 1 not in pids else None
    mount = mount or ProcMount()
    status = files.read("proc/self/status")
    if mount.hidepid and not _is_let_in(mount, b"" if isinstance(status, Gap) else status):
        return _BY_MOUNT[mount.hidepid]
    if isinstance(files.read("proc/1/stat"), Gap):
        return _NO_INIT
    kthreadd = read_identity(files, _KTHREADD)
    if not isinstance(kthreadd, Gap) and kthreadd.is_kernel_thread:
        return None
    namespace = files.stat("proc/self/ns/pid")
    if not isinstance(namespace, Gap) and namespace.inode == _INIT_PID_NAMESPACE:
        return None
    return _NAMESPACE


def _is_let_in(mount: ProcMount, status: bytes) -> bool:
    """Whether a process with that status sees all in spite of hidepid."""
    if int(status_value(status, b"CapEff") or b"0", 16) >> _CAP_SYS_PTRACE & 1:
        return True
    groups = (status_value(status, b"Groups") or b"").split()
    groups += (status_value(status, b"Gid") or b"").split()[3:]  # that of file access
    return mount.hidepid != 4 and str(mount.gid).encode() in groups


def is_own_proc(status: bytes | Gap, pid: int) -> bool:
    """Whether the pids of a /proc are those of this process, by what /proc/self/status is there."""
    if isinstance(status, Gap):
        return False
    # From the namespace of the mount inward: one that is further out has more than one.
    pids = status_value(status, b"NSpid") or status_value(status, b"Pid")
    return pids == str(pid).encode()
