"""Why a program died that could not be watched: the kernel's log knows of accesses that it refused."""

from __future__ import annotations

from memtui.kernel.deaths import DeathReader
from memtui.kernel.files import Files, Gap
from memtui.kernel.kmsg import KernelLog
from memtui.kernel.segfaults import Segfault
from memtui.model.crash.target import explain_segfault


class LogOfFaults:
    """The log from now on."""

    def __init__(self, files: Files) -> None:
        self._log = KernelLog(files, only_new=True)

    def of(self, pid: int) -> str | Gap:
        """What it says of a process's fault, in a sentence; "": nothing. A Gap: it may not be read."""
        part = self._log.read()
        if isinstance(part, Gap):
            return part
        reader = DeathReader()
        for death in [*reader.read(part.records), *reader.read(())]:
            if isinstance(death, Segfault) and death.tid == pid:
                return explain_segfault(death)
        return ""
