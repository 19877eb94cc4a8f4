"""What every view is: told of new moments and maps, and asked what it wants read."""

from __future__ import annotations

from collections.abc import Sequence

from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from memtui.live.plan import Plan
from memtui.session.chosen import Chosen
from memtui.session.session import Moment, Session


class View(Vertical):
    """One of the table of views. Draws what it is handed, while it is shown; chooses nothing itself."""

    class Turned(Message):
        """Another part of the view is shown now: it may want something else read."""

    def __init__(self, session: Session, *, id: str, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self.session = session

    @property
    def wanted(self) -> Plan:
        """What is read for it now, beside the map of the chosen process."""
        return Plan()

    def update(self, moment: Moment) -> None:
        """Another moment is to be shown."""

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
