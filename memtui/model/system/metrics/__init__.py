"""The one table of named figures: what each is called, means, is made of and was read from.

The history keeps a series of each; graphs, reports, the page of figures, help and the explanations
read this table. A new figure is one entry here, with its explanation, in the module of its subject.
"""

from __future__ import annotations

from typing import Final

from memtui.kernel.files import Gap
from memtui.model.formula import figure
from memtui.model.sample import Sample
from memtui.model.system.metrics import kernel, memory, promises, reclaim, stalls, traffic
from memtui.model.system.metrics.base import GROUPS, Metric, Value
from memtui.model.system.metrics.stalls import stalled_pct

__all__ = ["FIELDS", "GROUPS", "METRICS", "Metric", "Value", "figure", "gaps", "stalled_pct"]

METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for module in (memory, kernel, promises, reclaim, traffic, stalls)
    for metric in module.TABLE
}

# The fields of SystemSample that are read at every tick for figures' sake.
FIELDS: Final = frozenset(metric.field for metric in METRICS.values() if metric.field)


def gaps(sample: Sample) -> list[Gap]:
    """The sources of a sample that gave no value."""
    system = sample.system
    return [
        part for part in (system.meminfo, system.vmstat, system.pressure) if isinstance(part, Gap)
    ]
