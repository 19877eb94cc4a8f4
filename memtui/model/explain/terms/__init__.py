"""What every figure and every term means, by topic. Imported when something is to be explained.

A new explanation is one entry in the module of its topic; of a figure of the metrics table only
what that table does not say.
"""

from __future__ import annotations

from typing import Final

from memtui.model.explain.entry import Entry
from memtui.model.explain.terms.commitments import COMMITMENTS
from memtui.model.explain.terms.figures import FIGURES
from memtui.model.explain.terms.holders import HOLDERS
from memtui.model.explain.terms.paging import PAGING
from memtui.model.explain.terms.physical import PHYSICAL
from memtui.model.explain.terms.pressure import PRESSURE
from memtui.model.explain.terms.processes import PROCESSES
from memtui.model.explain.terms.reclaim import RECLAIM
from memtui.model.explain.terms.sarcolumns import SAR

TOPICS: Final[dict[str, tuple[Entry, ...]]] = {
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
