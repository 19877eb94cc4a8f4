"""What was seen of a machine, or of a control group as one, up to now."""

from __future__ import annotations

from memtui.history import History
from memtui.model.sample import Sample


class Seen:
    """The last hour's figures. One for the host, one for the group that memtui is confined to."""

    def __init__(self) -> None:
        self.history = History()

    def record(self, sample: Sample) -> None:
        self.history.record(sample)
