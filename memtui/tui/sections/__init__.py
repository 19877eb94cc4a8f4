"""The sections of the physical view: pure functions of a sample.

A new section is a module here and one entry of the table.
"""

from __future__ import annotations

from typing import Final

from memtui.tui.sections.balance import BALANCE
from memtui.tui.sections.base import Section
from memtui.tui.sections.cgroup import CGROUP
from memtui.tui.sections.cgroups import CGROUPS
from memtui.tui.sections.fragmentation import FRAGMENTATION
from memtui.tui.sections.hugepages import HUGE_PAGES
from memtui.tui.sections.ksm import KSM
from memtui.tui.sections.slabs import SLABS
from memtui.tui.sections.swap import SWAP
from memtui.tui.sections.zones import NODES, ZONES

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
)

# What stands beside the section that is read where there is room: short, and cheap to read.
COMPANIONS: Final = (BALANCE, ZONES, FRAGMENTATION, SWAP, HUGE_PAGES, CGROUP, NODES, KSM)
