"""What every view is: told of new samples and maps, and asked what it wants read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from memtui.tui.chosen import Chosen

if TYPE_CHECKING:
    from memtui.live.plan import Plan, Reader
    from memtui.model.sample import Sample
    from memtui.session.seen import Seen
    from memtui.tui.app import MemtuiApp


class View(Vertical):
    """One of the table of views. Draws what it is handed, while it is shown; chooses nothing itself."""

    # The fields of SystemSample that it alone shows, with what reads them.
    READERS: ClassVar[Mapping[str, Reader]] = {}
    # Whether memtui's own control groups are shown though they have no limit.
    CONFINEMENT: ClassVar[bool] = False

    class Turned(Message):
        """Another part of the view is shown now: it may want something else read."""

    @classmethod
    def of(cls, app: MemtuiApp) -> Self:
        """One for this application."""
        raise NotImplementedError

    @property
    def readers(self) -> Mapping[str, Reader]:
        """What is read for it now."""
        return self.READERS

    @property
    def wanted(self) -> Plan:
        """What is read of processes for it now, beside the map of the chosen one."""
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
