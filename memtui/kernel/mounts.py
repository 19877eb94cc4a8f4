"""What is mounted where, and what of a machine a mounted /proc shows.

Source: /proc/self/mountinfo. Document: Documentation/filesystems/proc.rst. Since: 2.6.26; hidepid 3.3,
subset 5.8. Permission: anyone. Cost: 20 µs.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from memtui.kernel.files import Files, Gap

_ESCAPE: Final = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mount. `device` is its major and minor number, `root` the directory of the file system that
    is at `point`; `options` are those of the file system as a whole. `number` is the mount's own,
    unique on the machine."""

    device: tuple[int, int]
    root: str
    point: str
    type: str
    options: tuple[str, ...]
    number: int = 0

    def option(self, name: str) -> str | None:
        """What stands behind `name=`."""
        begin = f"{name}="
        return next(
            (each[len(begin) :] for each in self.options if each.startswith(begin)),
            None,
        )


def parse_mountinfo(data: bytes) -> list[Mount]:
    """Every mount, in the order they were made; a line that is none is left out."""
    mounts = []
    for line in data.splitlines():
        head, dash, tail = line.partition(b" - ")
        words, types = head.split(), tail.split(b" ")  # a source may be empty
        major, colon, minor = words[2].partition(b":") if len(words) > 5 else (b"", b"", b"")
        number = words[0] if words else b""
        if (
            dash
            and colon
            and number.isdigit()
            and major.isdigit()
            and minor.isdigit()
            and len(types) > 1
        ):
            mounts.append(
                Mount(
                    (int(major[:9]), int(minor[:9])),
                    _text(words[3]),
                    _text(words[4]),
                    _text(types[0]),
                    tuple(_text(types[-1]).split(",")) if len(types) > 2 else (),
                    int(number[:10]),
                )
            )
    return mounts


def _text(word: bytes) -> str:
    unescaped = _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 255]), word)
    return unescaped.decode("utf-8", "surrogateescape")


_HIDEPID: Final = {"noaccess": 1, "invisible": 2, "ptraceable": 4}


class ProcMount(NamedTuple):
    """How /proc is mounted. `hidepid` 1 closes other users' processes, 2 hides them, 4 all that this
    user may not trace, but for the group `gid` (not with 4). `has_only_pids`: subset=pid."""

    hidepid: int = 0
    gid: int = 0
    has_only_pids: bool = False


def proc_mount(mounts: list[Mount], device: tuple[int, int]) -> ProcMount | None:
    """The one that a directory with this device number is of; None where that is no mounted /proc."""
    found = [each for each in mounts if each.type == "proc" and each.device == device]
    if not found:
        return None
    hidepid, gid = found[-1].option("hidepid") or "0", found[-1].option("gid") or "0"
    return ProcMount(
        _HIDEPID.get(hidepid) or int(hidepid if hidepid in "0124" else 0),
        int(gid) if gid.isdecimal() and len(gid) < 11 else 0,
        found[-1].option("subset") == "pid",
    )


def read_proc_mount(files: Files) -> ProcMount | None:
    """How the /proc below the root is mounted; None where it is a copy, or nothing tells."""
    mountinfo, directory = files.read("proc/self/mountinfo"), files.stat("proc")
    if isinstance(mountinfo, Gap) or isinstance(directory, Gap):
        return None
    return proc_mount(parse_mountinfo(mountinfo), directory.device)
