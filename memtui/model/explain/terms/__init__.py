"""What every figure and every term means, by topic. Imported when something is to be explained.

A new explanation is one entry in the module of its topic. Those of figures stand in the table of
metrics: here their names say only where among the terms of their topic they come, and one whose
name is not here comes last.
"""

from __future__ import annotations

from typing import Final

from memtui.model.entry import Term
from memtui.model.explain.terms.commitments import COMMITMENTS
from memtui.model.explain.terms.figures import FIGURES
from memtui.model.explain.terms.holders import HOLDERS
from memtui.model.explain.terms.paging import PAGING
from memtui.model.explain.terms.physical import PHYSICAL
from memtui.model.explain.terms.pressure import PRESSURE
from memtui.model.explain.terms.processes import PROCESSES
from memtui.model.explain.terms.reclaim import RECLAIM
from memtui.model.explain.terms.sarcolumns import SAR

TOPICS: Final[dict[str, tuple[Term, ...]]] = {
    "Figures of free": FIGURES,
    "Promises, and running out": COMMITMENTS,
    "Pressure and reclaim": PRESSURE,
    "Swap, lists and writing": RECLAIM,
    "Who holds memory": HOLDERS,
    "Zones, blocks and huge pages": PHYSICAL,
    "Addresses, page tables and faults": PAGING,
    "Processes and allocation": PROCESSES,
    "Columns of sar": SAR,
}
