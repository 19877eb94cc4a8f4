"""What is read of the machine only while a view shows it, by the field of SystemSample it goes to.

Imported when a plan first names one, on the thread of whoever plans: the one that samples imports
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any, Final

from memtui.kernel.accounts import read_accounts
from memtui.kernel.allocations import parse_allocinfo
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
from memtui.live.budget import Budget
from memtui.live.clock import Clock
from memtui.live.machine import page_bytes_of

Reader = Callable[[Files], Any]

# Reading them all takes 150 µs a group.
_GROUPS_AT_MOST: Final = 500
_LEAST_S: Final = 2.0
_CGROUPS: Final = "cgroups"


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
    "allocations": lambda files: files.parsed("proc/allocinfo", parse_allocinfo),
    _CGROUPS: lambda files: read_tree(files, _GROUPS_AT_MOST),
}

ACCOUNTS: Final = "accounts"
CONFINEMENT: Final = "confinement"
# All of SystemSample that a plan can name.
FIELDS: Final = frozenset(READERS) | {ACCOUNTS, CONFINEMENT}


class Readers:
    """One machine's readers, for the thread that samples. The tree of groups is read seldom: within
    the budget, or when it has just been opened.
    """

    def __init__(self, files: Files, budget: Budget, clock: Clock) -> None:
        self._files = files
        self._budget = budget
        self._clock = clock
        self._page_bytes = page_bytes_of(files)
        self._before: Set[str] = frozenset()
        self._tree: Any = None
        self._tree_due_s = 0.0

    def read(self, fields: Set[str], again_s: float = 1.0) -> dict[str, Any]:
        """The values of some fields; a defect in reading one is a Gap, and costs that field alone.

        `again_s`: how soon they are asked for again.
        """
        if _CGROUPS in self._before and _CGROUPS not in fields:
            self._budget.leave(_CGROUPS)
        found = {field: self._read(field, again_s) for field in fields}
        self._before = fields
        return found

    def _read(self, field: str, again_s: float) -> Any:
        if field == _CGROUPS and not self._is_due(again_s):
            return self._tree
        began_s = self._clock.cpu_s()
        try:
            value = (
                read_accounts(self._files, self._page_bytes)
                if field == ACCOUNTS
                else READERS[field](self._files)
            )
        except Exception as error:
            value = defect_gap(field, error)
        if field == _CGROUPS:
            self._tree = value
            self._tree_due_s = self._clock.monotonic_s() + _LEAST_S
            self._budget.charge(_CGROUPS, self._clock.cpu_s() - began_s)
        return tuple(value) if isinstance(value, list) else value

    def _is_due(self, again_s: float) -> bool:
        if self._tree is not None and self._clock.monotonic_s() < self._tree_due_s:
            return False
        return _CGROUPS not in self._before or self._budget.may(_CGROUPS, again_s)
