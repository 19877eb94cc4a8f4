"""What a test gives to a command of memtui's."""

from __future__ import annotations

import re
from pathlib import Path

from memtui.commands import COMMANDS, Command

# Those that print of a machine and end: not what goes on until it is told, or reads a recording.
PRINTING = tuple(command for command in COMMANDS if command.name not in ("record", "export"))


def arguments_of(command: Command, file: Path, pid: str) -> list[str]:
    """The arguments that a command takes: `file` is one that it may write, which is not there yet."""
    given = {"FILE": str(file), "PID": pid}
    return [given[word] for word in re.findall("FILE|PID", command.argument)]
