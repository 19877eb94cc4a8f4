"""Files of one value each, of which /sys and /proc/sys are made.

Source: see the callers. Permission: mostly anyone. Cost: some 5 µs a file.
"""

from __future__ import annotations

import re

from memtui.kernel.files import Files, Gap

# Twenty digits hold any 64-bit number; Python refuses to convert thousands of them.
_NUMBER = re.compile(rb"\s*(-?\d{1,20})\s*")
_CHOSEN = re.compile(rb"\[([^\s\[\]]+)\]")


def read_number(files: Files, name: str) -> int | None:
    """A file that is one whole number, in whatever unit it has; None where it is not."""
    data = files.read(name)
    match = None if isinstance(data, Gap) else _NUMBER.fullmatch(data)
    return int(match[1]) if match else None


def read_numbers(files: Files, name: str) -> tuple[int, ...]:
    """A file of numbers between blanks; empty where it is anything else."""
    data = files.read(name)
    if isinstance(data, Gap):
        return ()
    matches = [_NUMBER.fullmatch(word) for word in data.split()]
    return tuple(int(match[1]) for match in matches if match) if all(matches) else ()


def read_word(files: Files, name: str) -> str | None:
    """A file that is one word."""
    data = files.read(name)
    words = [] if isinstance(data, Gap) else data.split()
    return words[0].decode("utf-8", "surrogateescape") if len(words) == 1 else None


def read_choice(files: Files, name: str) -> str | None:
    """The word in brackets of a file that lists the choices: `always [madvise] never`."""
    data = files.read(name)
    match = None if isinstance(data, Gap) else _CHOSEN.search(data)
    return match[1].decode("utf-8", "surrogateescape") if match else None
