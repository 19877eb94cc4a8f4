"""The machine's memory by use.

Source: /proc/meminfo. Document: Documentation/filesystems/proc.rst. Since: always; MemAvailable 3.14.
Permission: anyone. Cost: some 30 µs.
"""

from __future__ import annotations

import re

from memtui.kernel.files import Malformed

# "ShadowCallStack:10373888 kB" on arm64 vendor kernels: no blank after the colon.
_LINE = re.compile(rb"([^\s:]+):\s*(-?\d+)(?: (kB))?\s*")
_KEY = re.compile(rb"([^\s:]+):")

# Without these there is no telling how much memory there is: a line of them that cannot be read is
# an error of the whole file. Any other line that is not "Key: number" is somebody's addition.
_ESSENTIAL = frozenset(
    b"MemTotal MemFree MemAvailable Buffers Cached SReclaimable Shmem SwapTotal SwapFree".split()
)


def parse_meminfo(data: bytes) -> dict[str, int]:
    """Every key verbatim; sizes in bytes, keys without kB (HugePages_Total …) as plain counts.

    Raises Malformed where a line that free(1) needs is not a number, or there are no lines at all.
    """
    values: dict[str, int] = {}
    for line in data.splitlines():
        if match := _LINE.fullmatch(line):
            key, number, kilo = match.groups()
            values[key.decode("ascii", "surrogateescape")] = int(number) * (1024 if kilo else 1)
        elif (start := _KEY.match(line)) and start[1] in _ESSENTIAL:
            raise Malformed(_quote(line))
        # Else a 2.4-style table in bytes that some vendors print first, its head, or an addition.
    if not values:
        raise Malformed(_quote(data) if data.strip() else "empty")
    return values


def _quote(line: bytes) -> str:
    return repr(line[:60])[1:]
