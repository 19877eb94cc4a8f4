"""System V shared memory: the segments of the reader's own IPC namespace.

Source: /proc/sysvipc/shm. Document: proc_sysvipc(5), shmctl(2). Since: rss and swap since Linux
2.6.32. Permission: anyone. Cost: some 3 µs a segment, and the kernel counts the pages of each.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from memtui.kernel.files import Malformed

_NEEDED: Final = frozenset({"shmid", "size"})


class Segment(NamedTuple):
    """One segment, in bytes; None: not told by this kernel. Uids and pids are the reader's view.

    `changed_s` is when it was made or last changed by shmctl, in seconds since the epoch.
    """

    shmid: int
    key: int
    size_bytes: int
    rss_bytes: int | None
    swap_bytes: int | None
    attached: int | None
    creator_pid: int | None
    uid: int | None
    changed_s: int | None


def parse_sysvipc_shm(data: bytes) -> list[Segment]:
    """Every segment, by the names in the first line. Raises Malformed without those."""
    lines = data.decode("ascii", "replace").splitlines()
    names = lines[0].split() if lines else []
    if not set(names) >= _NEEDED:
        raise Malformed(repr(lines[0][:60]) if lines else "empty")
    segments = []
    for line in lines[1:]:
        words = line.split()
        if len(words) != len(names):
            continue
        numbers = {
            name: int(word)
            for name, word in zip(names, words, strict=True)
            if word.removeprefix("-").isdecimal() and len(word) <= 20
        }
        if not numbers.keys() >= _NEEDED:
            continue
        get = numbers.get
        segments.append(
            Segment(
                numbers["shmid"],
                get("key", 0),
                numbers["size"],
                get("rss"),
                get("swap"),
                get("nattch"),
                get("cpid"),
                get("uid"),
                get("ctime"),
            )
        )
    return segments
