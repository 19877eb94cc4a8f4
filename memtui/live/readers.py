"""What is read of the machine only while a view shows it, by the field of SystemSample it goes to.

Imported by the views that need it, so that the thread that samples imports nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from memtui.kernel.buddy import parse_buddyinfo
from memtui.kernel.cgroups import read_tree
from memtui.kernel.files import KernelFiles
from memtui.kernel.hugepages import read_huge_pools, read_thp
from memtui.kernel.ksm import read_ksm
from memtui.kernel.numa import read_nodes
from memtui.kernel.slabs import parse_slabinfo
from memtui.kernel.swaps import parse_swaps
from memtui.kernel.tunables import read_vm_settings
from memtui.kernel.zones import parse_zoneinfo
from memtui.kernel.zram import read_zrams, read_zswap
from memtui.live.plan import Reader

# Reading them all takes 150 µs a group.
_GROUPS_AT_MOST: Final = 500
_LEAST_S: Final = 2.0
_COST_FACTOR: Final = 20


class Seldom:
    """A reading that is repeated no sooner than 20 times what it cost: 5 % of a core at most."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._last: tuple[KernelFiles, float, Any] | None = None

    def __call__(self, files: KernelFiles) -> Any:
        now_s = time.monotonic()
        if self._last is not None and self._last[0] is files and now_s < self._last[1]:
            return self._last[2]
        began_s = time.thread_time()
        value = self._read(files)
        cost_s = time.thread_time() - began_s
        self._last = files, now_s + max(_LEAST_S, _COST_FACTOR * cost_s), value
        return value


READERS: Final[Mapping[str, Reader]] = {
    "zones": lambda files: files.parsed("proc/zoneinfo", parse_zoneinfo),
    "free_blocks": lambda files: files.parsed("proc/buddyinfo", parse_buddyinfo),
    "slabs": lambda files: files.parsed("proc/slabinfo", parse_slabinfo),
    "swaps": lambda files: files.parsed("proc/swaps", parse_swaps),
    "nodes": read_nodes,
    "zrams": read_zrams,
    "zswap": read_zswap,
    "huge_pools": read_huge_pools,
    "thp": read_thp,
    "ksm": read_ksm,
    "settings": read_vm_settings,
    "cgroups": Seldom(lambda files: read_tree(files, _GROUPS_AT_MOST)),
}


def readers(*fields: str) -> dict[str, Reader]:
    """Those of some fields, for a view to name as its needs."""
    return {field: READERS[field] for field in fields}
