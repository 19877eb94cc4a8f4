"""What is said where there is no map."""

from __future__ import annotations

import os
from collections.abc import Callable

from memtui import units
from memtui.session.chosen import Chosen


def no_map(chosen: Chosen, user: Callable[[int | None], str]) -> list[str]:
    """Why the chosen process has no map to show and what would help, a sentence a line."""
    process, gap = chosen.process, chosen.gap
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
        owner = user(process.uid)
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
