"""View 5: the balance of all memory, and where in the machine it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget

from memtui.kernel.files import KernelFiles
from memtui.sampling import Reader
from memtui.sources import readers
from memtui.tui.keys import bindings
from memtui.tui.screens.view import View
from memtui.tui.widgets.lines import Lines


class PhysicalView(View):
    """Draws what it is handed; pagetypeinfo alone it reads itself, on demand."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("physical")]
    READERS: ClassVar[Mapping[str, Reader]] = readers(
        "zones",
        "free_blocks",
        "slabs",
        "swaps",
        "nodes",
        "zrams",
        "zswap",
        "huge_pools",
        "thp",
        "ksm",
        "settings",
    )
    CONFINEMENT = True

    def __init__(self, page: int, files: KernelFiles | None) -> None:
        super().__init__(id="physical")
        self._page = page
        self._files = files

    def compose(self) -> ComposeResult:
        yield Lines(id="balance")

    @property
    def main(self) -> Widget:
        return self.query_one("#balance")
