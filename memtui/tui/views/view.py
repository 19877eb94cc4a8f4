"""What every view is: told of new samples and maps, and asked what it wants read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from memtui.tui.chosen import Chosen

if TYPE_CHECKING:
    from memtui.live.plan import Plan
    from memtui.model.sample import Sample
    from memtui.session.seen import Seen


class View(Vertical):
    """One of the table of views. Draws what it is handed, while it is shown; chooses nothing itself."""

    class Turned(Message):
        """Another part of the view is shown now: it may want something else read."""

    @property
    def wanted(self) -> Plan:
        """All that is read for it now, beside the map of the chosen one."""
        from memtui.live.plan import Plan

        return Plan()

    def update(self, sample: Sample, seen: Seen) -> None:
        """A new sample of the machine, or of a group as one, and what was seen of it before."""

    def show_map(self, chosen: Chosen) -> None:
        """The chosen process's map was read, or another was chosen."""

    @property
    def main(self) -> Widget:
        """The widget that gets the keys."""
        raise NotImplementedError

    @property
    def topics(self) -> Sequence[str]:
        """The figures that are shown, by the names that explain them; one alone: under the cursor."""
        return ()
