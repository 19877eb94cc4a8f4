"""What is said where there is no map, and how a process is introduced."""

from __future__ import annotations

import os
import pwd
from functools import lru_cache

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.sample import ProcessSample


@lru_cache(maxsize=256)
def user_name(uid: int | None, of_this_machine: bool = True) -> str:
    """A user's name, else the number: another machine's users are not in this one's passwd."""
    if uid is None:
        return "?"
    if not of_this_machine:
        return str(uid)
    try:
        return units.printable(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)


def no_map(process: ProcessSample | None, gap: Gap | None, owner: str) -> list[str]:
    """Why a process, which is `owner`'s, has no map to show and what would help, a sentence a line."""
    if process is None:
        return ["choose a process"]
    name = f"{process.pid} {units.printable(process.name)}"
    if process.is_kernel_thread:
        return [
            f"{name} is a kernel thread.",
            "It has no address space of its own:",
            "it runs in the kernel's.",
        ]
    if process.is_zombie:
        return [
            f"{name} is a zombie: it has ended",
            "and given its memory back. It waits for",
            f"its parent {process.parent_pid} to take its exit status.",
        ]
    if gap is None:
        return ["reading …"]
    if gap.reason == "denied":
        lines = [f"The map of {name} may not be read:", f"it belongs to {owner}."]
        if os.geteuid() == 0:
            return [
                *lines,
                "Even root is refused here: that needs",
                "CAP_SYS_PTRACE over that process.",
            ]
        who = "root" if owner == "root" else f"root or as {owner}"
        return [*lines, "maps and smaps are denied together.", f"Run memtui as {who}."]
    if gap.reason == "gone":
        return [f"{name} has ended."]
    if gap.reason == "absent":
        return [f"There is no map of {name} here:", "its maps file does not exist."]
    return [f"The map of {name} cannot be read:", f"{gap.reason} {gap.detail}".strip()]
