"""The views, what opens over them, and what a terminal's size leaves room for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memtui.tui.app import MemtuiApp
    from memtui.tui.views.view import View


def breadth(width: int, height: int) -> dict[str, bool]:
    """The style classes of a terminal's size: what there is room for."""
    return {
        "-tiny": width < 60 or height < 15,
        "-wide": width >= 100,
        "-vast": width >= 160,
        "-low": height < 30,
        "-flat": height < 18,
    }


def made(name: str, app: MemtuiApp) -> View:
    """A view of the table of views; its module is imported when it is first wanted."""
    # All but the overview's, which would take its time before the first frame.
    app.stylesheet.read(Path(__file__).parent.parent / "views.tcss")
    files, page = app.source.files, app.page
    if name == "processes":
        from memtui.tui.views.processes import ProcessesView

        return ProcessesView(app.growth, files, page, is_live=app.is_live, readonly=app.readonly)
    if name == "map":
        from memtui.tui.views.map import MapView

        return MapView(page, files)
    if name == "pressure":
        from memtui.tui.views.pressure import PressureView

        return PressureView(page, files)
    from memtui.tui.views.physical import PhysicalView

    return PhysicalView(page, files)
