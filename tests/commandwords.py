"""What a test gives to a command of memtui's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from memtui.commands import COMMANDS, Command

# Those that print what they read of a machine, and end.
REPORTS: Final = tuple(command for command in COMMANDS if command.is_report)


def arguments_of(command: Command, file: Path, pid: str) -> list[str]:
    """The arguments that a command takes: `file` is one that it may write, which is not there yet,
    or reads."""
    if command.source:  # it reads a dump
        from tests.coredumps import made

        file.write_bytes(made())
        return [str(file)]
    given = {"FILE": str(file), "PID": pid}
    return [given[word] for word in re.findall("FILE|PID", command.argument)]
