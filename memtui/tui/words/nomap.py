"""What is said where there is no map."""

from __future__ import annotations

import os
from collections.abc import Callable

from memtui import units
from memtui.model.machine import Machine
from memtui.session.chosen import Chosen


def gone_words(chosen: Chosen, machine: Machine) -> str:
    """That the process has ended, and when; of a moment of the past, that it had not begun."""
    assert chosen.gone_s is not None
    if _is_to_come(chosen, machine.ticks_per_s):
        return "not begun yet"
    return f"gone at {machine.time_of_day(chosen.gone_s)}"


def _is_to_come(chosen: Chosen, ticks_per_s: int | None) -> bool:
    """Whether it began after the moment that is shown."""
    key = chosen.key
    if not chosen.is_past or key is None or ticks_per_s is None or chosen.gone_s is None:
        return False
    return key.start_time_ticks / ticks_per_s > chosen.gone_s


def no_map(chosen: Chosen, user: Callable[[int | None], str], ticks_per_s: int | None) -> list[str]:
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
    if _is_to_come(chosen, ticks_per_s):
        return [f"{name} had not begun yet."]
    if gap.reason == "gone":
        return [f"{name} has ended."]
    if gap.reason == "absent":
        return [f"There is no map of {name} here:", "its maps file does not exist."]
    return [f"The map of {name} cannot be read:", f"{units.printable(gap.words)}."]
