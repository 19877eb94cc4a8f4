"""A process's resource limits.

Source: /proc/PID/limits. Document: proc_pid_limits(5), getrlimit(2). Since: 2.6.24.
Permission: anyone. Cost: 20 µs.
"""

from __future__ import annotations

import re
from typing import Final

from memtui.kernel.files import Files, Gap

_STACK: Final = re.compile(rb"^Max stack size\s+(\d{1,20}|unlimited)\s", re.MULTILINE)


def read_stack_limit_bytes(files: Files, pid: int) -> int | Gap | None:
    """The soft RLIMIT_STACK, to which the main stack grows; None: there is no limit."""
    name = f"proc/{pid}/limits"
    data = files.read(name)
    if isinstance(data, Gap):
        return data
    match = _STACK.search(data)
    if match is None:
        return Gap(name, "malformed", "no stack size in it")
    return int(match[1]) if match[1].isdigit() else None
