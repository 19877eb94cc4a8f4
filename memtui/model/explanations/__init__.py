"""What every figure and every term means, by topic. Imported when something is to be explained.

A new explanation is one entry in the module of its topic; of a figure of the metrics table only
what that table does not say.
"""

from __future__ import annotations

from typing import Final

from memtui.model.explanations.commitments import COMMITMENTS
from memtui.model.explanations.entry import Entry
from memtui.model.explanations.figures import FIGURES
from memtui.model.explanations.holders import HOLDERS
from memtui.model.explanations.paging import PAGING
from memtui.model.explanations.physical import PHYSICAL
from memtui.model.explanations.pressure import PRESSURE
from memtui.model.explanations.processes import PROCESSES
from memtui.model.explanations.reclaim import RECLAIM
from memtui.model.explanations.sarcolumns import SAR

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
