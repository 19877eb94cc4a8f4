"""The cache of ZFS, which is memory of its own and in no counter of the kernel's.

Source: /proc/spl/kstat/zfs/arcstats. Document: zfs's module/zfs/arc.c, arcstat(1). Since: ZFS on Linux
0.6. Permission: anyone. Cost: some 30 µs where there is no ZFS, 100 µs where there is.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from memtui.kernel.files import Malformed

ARCSTATS: Final = "proc/spl/kstat/zfs/arcstats"
# "size                            4    8589934592": a name, its type, the value.
_ROW = re.compile(rb"^(size|c_min|data_size|metadata_size) +\d+ +(\d{1,19})$", re.MULTILINE)


class Arc(NamedTuple):
    """`size_bytes` is all of it; it is not shrunk below `min_bytes`, c_min.

    `pages_bytes` is what of it lies in pages of its own; the rest is in slabs, where meminfo counts it.
    """

    size_bytes: int
    min_bytes: int
    pages_bytes: int

    @property
    def gives_way_bytes(self) -> int:
        """What it gives back when memory is short, by htop's and btop's rule."""
        return max(0, self.size_bytes - self.min_bytes)


def parse_arcstats(data: bytes) -> Arc:
    """Raises Malformed without a size."""
    rows = {key: int(value) for key, value in _ROW.findall(data)}
    size = rows.get(b"size")
    if size is None:
        raise Malformed(repr(data[:60])[1:])
    parts = [rows[key] for key in (b"data_size", b"metadata_size") if key in rows]
    return Arc(size, rows.get(b"c_min", 0), min(size, sum(parts)) if parts else size)
