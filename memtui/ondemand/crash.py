"""Reads what is known of a crash while its memory is still whole: held under watch, or a core dump.

Memory is read through /proc/PID/mem, and ELF files as they are mapped.
"""

from __future__ import annotations

from memtui.kernel.files import Files, Gap
from memtui.kernel.registers import Registers
from memtui.kernel.siginfo import SigInfo
from memtui.model.crash.crash import Crash
from memtui.model.keys import ProcessKey


def read_crash(
    files: Files,
    key: ProcessKey,
    tid: int,
    siginfo: SigInfo,
    registers: Registers | Gap,
    page_bytes: int,
) -> Crash:
    """The crash of a thread that stands still. Never raises."""
    raise NotImplementedError
