"""Mounts: what is mounted where, as a process sees it.

Source: /proc/PID/mountinfo. Document: Documentation/filesystems/proc.rst, proc_pid_mountinfo(5).
Since: Linux 2.6.26. Permission: anyone. Cost: some 2 µs a mount.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mount. `number` is unique on the machine; `root` is what of the file system is there."""

    number: int
    device: tuple[int, int]
    root: str
    point: str
    kind: str


def parse_mountinfo(data: bytes) -> list[Mount]:
    """All mounts in their order; a line that cannot be understood is left out."""
    mounts = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        before, _, after = line.partition(" - ")
        words = before.split(" ")
        kind = after.split(" ", 1)[0]
        if len(words) < 5 or not kind:
            continue
        major, _, minor = words[2].partition(":")
        if not all(word.isdecimal() and len(word) <= 10 for word in (words[0], major, minor)):
            continue
        device = (int(major), int(minor))
        root, point = (_ESCAPE.sub(_unescaped, word) for word in words[3:5])
        mounts.append(Mount(int(words[0]), device, root, point, kind))
    return mounts


def _unescaped(match: re.Match[str]) -> str:
    # Blanks, tabs, line ends and backslashes alone are escaped, and these are single bytes.
    return chr(int(match[1], 8) & 0xFF)
