"""The machine's memory by use.

Source: /proc/meminfo. Document: Documentation/filesystems/proc.rst. Since: always; MemAvailable 3.14.
Permission: anyone. Cost: some 30 µs.
"""

from __future__ import annotations

import re

from memtui.kernel.files import Malformed
from memtui.kernel.values import Counters, number

# "ShadowCallStack:10373888 kB" on arm64 vendor kernels: no blank after the colon.
_LINE = re.compile(rb"([^\s:]+):\s*(-?\d+)(?: (kB))?\s*")
_KEY = re.compile(rb"([^\s:]+):")

# Without these there is no telling how much memory there is: a line of them that cannot be read is
# an error of the whole file. Any other line that is not "Key: number" is somebody's addition.
_ESSENTIAL = frozenset(
    b"MemTotal MemFree MemAvailable Buffers Cached SReclaimable Shmem SwapTotal SwapFree".split()
)

# Written without kB by some container's file systems; of other keys that is a count.
_SIZES = _ESSENTIAL | frozenset(
    b"SwapCached Active Inactive Active(anon) Inactive(anon) Active(file) Inactive(file) Unevictable "
    b"Mlocked Dirty Writeback AnonPages Mapped KReclaimable Slab SUnreclaim KernelStack PageTables "
    b"SecPageTables Bounce WritebackTmp CommitLimit Committed_AS VmallocTotal VmallocUsed Percpu "
    b"AnonHugePages ShmemHugePages FileHugePages CmaTotal CmaFree Hugepagesize Hugetlb Zswap "
    b"Zswapped".split()
)


def parse_meminfo(data: bytes) -> Counters:
    """Every key verbatim; sizes in bytes, keys without kB (HugePages_Total …) as plain counts.

    A size without its kB is one all the same. MemAvailable has been seen as -1, SwapFree as
    2^64 − 128 kB: such are impossible. Raises Malformed where a line that free(1) needs is no
    number, or there are no lines at all.
    """
    values: dict[str, int] = {}
    impossible = []
    for line in data.splitlines():
        if match := _LINE.fullmatch(line):
            key, digits, kilo = match.groups()
            name = key.decode("ascii", "surrogateescape")
            value = number(digits, 1024 if kilo or key in _SIZES else 1)
            if value is None:
                impossible.append(name)
            else:
                values[name] = value
        elif (start := _KEY.match(line)) and start[1] in _ESSENTIAL:
            raise Malformed(_quote(line))
        # Else a 2.4-style table in bytes that some vendors print first, its head, or an addition.
    if not values and not impossible:
        raise Malformed(_quote(data) if data.strip() else "empty")
    return Counters(values, impossible)


def _quote(line: bytes) -> str:
    return repr(line[:60])[1:]
