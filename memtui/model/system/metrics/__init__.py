"""The one table of named figures: what each is called, means, is made of and was read from.

The history keeps a series of each; the graphs, the reports and the explanations read this table.
A new figure is one entry: in `gauges` what memory is used for, in `rates` what the kernel does about
it, in `stalls` who waits.
"""

from __future__ import annotations

from typing import Final

from memtui.kernel.files import Gap
from memtui.model.sample import Sample
from memtui.model.system.metrics import gauges, rates, stalls
from memtui.model.system.metrics.base import Metric, Unit, Value, figure
from memtui.model.system.metrics.stalls import stalled_pct

__all__ = ["METRICS", "Metric", "Unit", "Value", "figure", "gaps", "stalled_pct"]

METRICS: Final[dict[str, Metric]] = {
    metric.name: metric for metric in (*gauges.TABLE, *rates.TABLE, *stalls.TABLE)
}


def gaps(sample: Sample) -> list[Gap]:
    """The sources of a sample that gave no value."""
    system = sample.system
    return [
        part for part in (system.meminfo, system.vmstat, system.pressure) if isinstance(part, Gap)
    ]
