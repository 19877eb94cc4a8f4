"""All that is known of one death."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from memtui.model.oom.obituary import Obituary
from memtui.session.session import Session
from memtui.tui.keys import bindings
from memtui.tui.sheets.sheet import Sheet
from memtui.tui.widgets.timewindow import MomentWanted
from memtui.tui.words.deaths import obituary_page


class ObituarySheet(Sheet):
    """Nothing is read for it: who it is about is gone."""

    VIEW = "obituary"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def __init__(self, session: Session, obituary: Obituary) -> None:
        super().__init__(session)
        self._obituary = obituary

    def begin(self) -> None:
        self.show(obituary_page(self._obituary, self.session.machine, self.size.width))

    @property
    def leads(self) -> bool:
        return True

    async def action_goto(self) -> None:
        """To the machine as it was then."""
        self.post_message(MomentWanted(self._obituary.time_s))

    def on_resize(self) -> None:
        super().on_resize()
        if self.is_attached and self.query("#sheet-head"):
            self.begin()
