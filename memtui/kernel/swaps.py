"""Swap devices and files.

Source: /proc/swaps. Document: Documentation/filesystems/proc.rst. Permission: anyone. Cost: 10 µs.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from memtui.kernel.files import Malformed
from memtui.kernel.values import number, part, signed

_OCTAL = re.compile(rb"\\([0-7]{3})")


class Swap(NamedTuple):
    """One line. `kind` is `partition` or `file`; a higher priority is used first (zram has 100).

    A size is None where what is said cannot be.
    """

    name: str
    kind: str
    size_bytes: int | None
    used_bytes: int | None
    priority: int


def parse_swaps(data: bytes) -> list[Swap]:
    """Every device, in the file's order; none is an empty list. Raises Malformed."""
    swaps = []
    for line in data.splitlines()[1:]:
        # The name may hold escaped blanks, and plain ones before "(deleted)": four columns end it.
        columns = line.rsplit(None, 4)
        priority = signed(columns[-1]) if len(columns) == 5 else None
        if priority is None or not (columns[2] + columns[3]).isdigit():
            raise Malformed(repr(line[:60].decode("ascii", "backslashreplace")))
        name, kind, *sizes = columns[:4]
        size, used = (number(digits, 1024) for digits in sizes)
        # mangle_path() writes blank, tab, newline and backslash as \040 \011 \012 \134.
        name = _OCTAL.sub(lambda octal: bytes([int(octal[1], 8) & 0xFF]), name)
        swaps.append(
            Swap(
                name.decode("utf-8", "surrogateescape"),
                kind.decode("ascii", "replace"),
                size,
                part(used, size),
                priority,
            )
        )
    return swaps
