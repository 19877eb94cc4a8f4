"""Swap devices and files.

Source: /proc/swaps. Document: Documentation/filesystems/proc.rst. Permission: anyone. Cost: 10 µs.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from memtui.kernel.files import Malformed

_OCTAL = re.compile(rb"\\([0-7]{3})")
# The name may hold escaped blanks, and plain ones before "(deleted)": the four columns end it.
_LINE = re.compile(rb"(.+?)\s+(\S+)\s+(\d+)\s+(\d+)\s+(-?\d+)\s*")


class Swap(NamedTuple):
    """One line. `kind` is `partition` or `file`; a higher priority is used first (zram has 100)."""

    name: str
    kind: str
    size_bytes: int
    used_bytes: int
    priority: int


def parse_swaps(data: bytes) -> list[Swap]:
    """Every device, in the file's order; none is an empty list. Raises Malformed."""
    swaps = []
    for line in data.splitlines()[1:]:
        match = _LINE.fullmatch(line)
        if not match:
            raise Malformed(repr(line[:60].decode("ascii", "backslashreplace")))
        name, kind, size, used, priority = match.groups()
        # mangle_path() writes blank, tab, newline and backslash as \040 \011 \012 \134.
        name = _OCTAL.sub(lambda octal: bytes([int(octal[1], 8) & 0xFF]), name)
        swaps.append(
            Swap(
                name.decode("utf-8", "surrogateescape"),
                kind.decode("ascii", "replace"),
                int(size) * 1024,
                int(used) * 1024,
                int(priority),
            )
        )
    return swaps
