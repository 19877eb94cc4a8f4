"""What is read of the machine only while a view shows it, by the field of SystemSample it goes to.

Imported when a plan first names one, on the thread of whoever plans: the one that samples imports
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from memtui.kernel.buddy import parse_buddyinfo
from memtui.kernel.cgroups import read_tree
from memtui.kernel.files import Files, defect_gap
from memtui.kernel.hugepages import read_huge_pools, read_thp
from memtui.kernel.ksm import read_ksm
from memtui.kernel.numa import read_nodes
from memtui.kernel.slabs import parse_slabinfo
from memtui.kernel.swaps import parse_swaps
from memtui.kernel.tunables import read_vm_settings
from memtui.kernel.zones import parse_zoneinfo
from memtui.kernel.zram import read_zrams, read_zswap

Reader = Callable[[Files], Any]

# Reading them all takes 150 µs a group.
_GROUPS_AT_MOST: Final = 500
_LEAST_S: Final = 2.0
_COST_FACTOR: Final = 20


class Seldom:
    """A reading that is repeated no sooner than 20 times what it cost: 5 % of a core at most."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._last: tuple[float, Any] | None = None

    def __call__(self, files: Files) -> Any:
        now_s = time.monotonic()
        if self._last is not None and now_s < self._last[0]:
            return self._last[1]
        began_s = time.thread_time()
        value = self._read(files)
        cost_s = time.thread_time() - began_s
        self._last = now_s + max(_LEAST_S, _COST_FACTOR * cost_s), value
        return value


_READERS: Final[Mapping[str, Reader]] = {
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
    "cgroups": lambda files: read_tree(files, _GROUPS_AT_MOST),
}

CONFINEMENT: Final = "confinement"
# All that a plan can name.
FIELDS: Final = frozenset(_READERS) | {CONFINEMENT}


class Readers:
    """One machine's readers, those that remember among them."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._readers: dict[str, Reader] = {**_READERS, "cgroups": Seldom(_READERS["cgroups"])}

    def read(self, fields: Iterable[str]) -> dict[str, Any]:
        """The values of some fields; a defect in reading one is a Gap, and costs that field alone."""
        found: dict[str, Any] = {}
        for field in fields:
            try:
                found[field] = self._readers[field](self._files)
            except Exception as error:
                found[field] = defect_gap(field, error)
        return found
