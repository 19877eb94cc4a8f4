"""What every view is: told of new moments and maps, and asked what it wants read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from memtui.live.plan import Plan
from memtui.model.sample import ProcessSample
from memtui.session.chosen import Chosen
from memtui.session.session import Moment, Session
from memtui.tui.asking import look_up
from memtui.tui.keyed import Keyed
from memtui.tui.widgets.lines import Table

if TYPE_CHECKING:
    from memtui.tui.export import Exported


class View(Keyed, Vertical):
    """One of the table of views. Draws what it is handed, while it is shown; chooses nothing itself."""

    # Its parts that can be gone to by name, with what is there in words.
    PAGES: ClassVar[Mapping[str, str]] = {}

    class Picked(Message):
        """From now on this process is to be looked at."""

        def __init__(self, process: ProcessSample) -> None:
            super().__init__()
            self.process = process

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

    def open_page(self, name: str) -> None:
        """Goes to one of its pages."""

    @property
    def exported(self) -> Exported | None:
        """What `e` writes; None where there is nothing."""
        from memtui.tui.export import of_rows

        table = self.main
        return of_rows(self.view_part, "row", table.values()) if isinstance(table, Table) else None

    @property
    def view_part(self) -> str:
        """What of the view that is, as a word."""
        return str(self.id)

    async def action_export(self) -> None:
        from memtui.tui.export import proposed
        from memtui.tui.widgets.prompt import ask

        exported = self.exported
        if exported is None:
            self.notify("there is nothing here to write", timeout=3)
            return
        question = "write to file (.csv or .json): "
        await ask(self, question, self._export, proposed(exported.stem))

    def _export(self, name: str, _final: bool) -> str:
        from memtui.tui.export import begin_export

        exported = self.exported
        if exported is None or not name:
            return ""
        export = begin_export(name, exported)
        if isinstance(export, str):
            return export
        look_up(self, export, lambda outcome: self.notify(str(outcome), markup=False))
        return ""

    @property
    def topics(self) -> Sequence[str]:
        """The figures that are shown, by the names that explain them; one alone: under the cursor."""
        return ()
