"""What a test gives to a command of memtui's."""

from __future__ import annotations

import re
from pathlib import Path

from memtui.commands import Command


def arguments_of(command: Command, file: Path, pid: str) -> list[str]:
    """The arguments with which a command prints: `file` is one that it may write, not there yet."""
    given = {"FILE": str(file), "PID": pid}
    words = [given[word] for word in re.findall("FILE|PID", command.argument)]
    return [*words, "--list"] if command.opens else words
