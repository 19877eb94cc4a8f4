"""What holds for a machine as long as memtui looks at it."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Final

from memtui.kernel.files import Files, Gap
from memtui.kernel.process import (
    parse_statm,
    parse_status,
)

if TYPE_CHECKING:
    pass


_CAP_SYS_PTRACE: Final = 19


def may_see(files: Files) -> str:
    """In words, whose address spaces this user may read."""
    if not files.is_live:
        return "captured machine"
    status = files.parsed("proc/self/status", parse_status)
    effective = 0 if isinstance(status, Gap) else int(str(status.get("CapEff", "0")), 16)
    return "maps of all processes" if effective >> _CAP_SYS_PTRACE & 1 else "maps of own processes"


def page_size(files: Files) -> int:
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
