"""The policy in force when memory runs out, setting by setting."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from memtui.ondemand.oom import Outlook
from memtui.session.session import Session
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.pages.base import DIM
from memtui.tui.pages.ranking import policy_lines
from memtui.tui.sheets.sheet import Sheet
from memtui.tui.widgets.page import Page


class PolicySheet(Sheet):
    """What was read for the ranking, in full."""

    VIEW = "policy"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def __init__(self, session: Session, outlook: Outlook) -> None:
        super().__init__(session)
        self._outlook = outlook

    def begin(self) -> None:
        title = [
            (" When memory runs out", theme.style(theme.ACCENT, bold=True)),
            (" · /proc/sys/vm", DIM),
        ]
        sentence = self._outlook.prediction.sentence
        self.show(
            Page(
                title,
                [
                    f"{sentence}.",
                    [],
                    *policy_lines(self._outlook, self.size.width or 80)[1:],
                ],
            )
        )
