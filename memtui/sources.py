"""What is read of the machine only while a view shows it, by the field of SystemSample it goes to.

Imported by the views that need it, so that the thread that samples imports nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from memtui.kernel.buddy import parse_buddyinfo
from memtui.kernel.hugepages import read_huge_pools, read_thp
from memtui.kernel.ksm import read_ksm
from memtui.kernel.numa import read_nodes
from memtui.kernel.slabs import parse_slabinfo
from memtui.kernel.swaps import parse_swaps
from memtui.kernel.tunables import read_vm_settings
from memtui.kernel.zones import parse_zoneinfo
from memtui.kernel.zram import read_zrams, read_zswap
from memtui.sampling import Reader

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
}


def readers(*fields: str) -> dict[str, Reader]:
    """Those of some fields, for a view to name as its needs."""
    return {field: READERS[field] for field in fields}
