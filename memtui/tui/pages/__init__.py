"""The sections of the physical view: pure functions of a sample.

A new section is a module here and one entry of the table.
"""

from __future__ import annotations

from typing import Final

from memtui.tui.pages.allocations import ALLOCATIONS
from memtui.tui.pages.balance import BALANCE
from memtui.tui.pages.base import Section
from memtui.tui.pages.cgroup import CGROUP
from memtui.tui.pages.cgroups import CGROUPS
from memtui.tui.pages.fragmentation import FRAGMENTATION
from memtui.tui.pages.hugepages import HUGE_PAGES
from memtui.tui.pages.ksm import KSM
from memtui.tui.pages.slabs import SLABS
from memtui.tui.pages.swap import SWAP
from memtui.tui.pages.zones import NODES, ZONES

SECTIONS: Final[tuple[Section, ...]] = (
    BALANCE,
    ZONES,
    FRAGMENTATION,
    NODES,
    SLABS,
    HUGE_PAGES,
    SWAP,
    KSM,
    CGROUP,
    CGROUPS,
    ALLOCATIONS,
)

# What stands beside the section that is read where there is room: short, and cheap to read.
COMPANIONS: Final = (BALANCE, ZONES, FRAGMENTATION, SWAP, HUGE_PAGES, CGROUP, NODES, KSM)
