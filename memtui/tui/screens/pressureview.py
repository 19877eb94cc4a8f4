"""View 4: what waits for memory, what reclaim does about it, and the verdict."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget

from memtui.tui.keys import bindings
from memtui.tui.screens.view import View
from memtui.tui.widgets.lines import Lines


class PressureView(View):
    """Draws what it is handed."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("pressure")]

    def __init__(self, page: int) -> None:
        super().__init__(id="pressure")
        self._page = page

    def compose(self) -> ComposeResult:
        yield Lines(id="verdict")

    @property
    def main(self) -> Widget:
        return self.query_one("#verdict")
