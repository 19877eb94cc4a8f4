"""What holds for the machine below a root as long as memtui looks at it."""

from __future__ import annotations

import math
import os
import time
from typing import Final

from memtui.kernel.files import Files, Gap
from memtui.kernel.hidden import FOREIGN, Hidden, is_own_proc, read_hidden
from memtui.kernel.process import parse_statm, parse_status
from memtui.kernel.uptime import since_boot_s
from memtui.model.machine import Machine, Numbers

_CAP_SYS_PTRACE: Final = 19


def machine_of(files: Files) -> Machine:
    """The machine below the root. Of a captured one the name, the release and the pages are known."""
    from memtui.live.users import KnownUsers  # and its thread, which no report needs

    here = files.is_live
    hidden = read_hidden(files)
    return Machine(
        name=_value(files, "proc/sys/kernel/hostname") or (os.uname().nodename if here else "?"),
        page_bytes=page_bytes_of(files),
        booted_s=time.time() - since_boot_s(),
        ticks_per_s=os.sysconf("SC_CLK_TCK") if here else None,
        architecture=os.uname().machine if here else "",
        release=_value(files, "proc/sys/kernel/osrelease") or (os.uname().release if here else ""),
        users=KnownUsers() if here else Numbers(),
        sight=_sight(files, hidden),
        no_acting=_no_acting(files),
        hidden=hidden,
    )


def page_bytes_of(files: Files) -> int:
    """Bytes a page of the machine below the root: a captured one may differ from this one."""
    here = os.sysconf("SC_PAGE_SIZE")
    if files.is_live:
        return here
    for pid in files.pids():
        status = files.parsed(f"proc/{pid}/status", parse_status)
        statm = files.parsed(f"proc/{pid}/statm", parse_statm)
        if isinstance(status, Gap) or isinstance(statm, Gap) or not statm.size_pages:
            continue
        size = status.get("VmSize")
        if isinstance(size, int):
            return 1 << round(math.log2(max(1, size / statm.size_pages)))
    return here


def _no_acting(files: Files) -> str:
    """Why no process of it can be signalled from here; "" where they can."""
    if not files.is_live:
        return "this is no running machine"
    return "" if is_own_proc(files.read("proc/self/status"), os.getpid()) else FOREIGN


def _sight(files: Files, hidden: Hidden | None) -> str:
    """In words, whose address spaces this user may read."""
    if not files.is_live:
        return "captured machine"
    status = files.parsed("proc/self/status", parse_status)
    effective = 0 if isinstance(status, Gap) else int(str(status.get("CapEff", "0")), 16)
    reads_all = effective >> _CAP_SYS_PTRACE & 1
    if hidden is None:
        return "maps of all processes" if reads_all else "maps of own processes"
    return f"maps of {'all that are seen' if reads_all else 'own processes'}, {hidden.short}"


def _value(files: Files, name: str) -> str:
    data = files.read(name)
    return "" if isinstance(data, Gap) else data.decode("utf-8", "surrogateescape").strip()
