"""The screen below all others."""

from __future__ import annotations

from textual import events
from textual.screen import Screen

from memtui.tui.views import breadth


class Dashboard(Screen[None]):
    """Styled once and laid out once for its first frame, where Textual does both again.

    `is_out`: whether that frame is; from then on all is as Textual has it.
    """

    is_out = False

    def __init__(self, width: int, height: int) -> None:
        room = breadth(width, height).items()
        super().__init__(id="_default", classes=" ".join(name for name, is_so in room if is_so))

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        if not self.is_out:
            event.refresh_styles = False  # they were applied when it was composed

    def on_resize(self, event: events.Resize) -> None:
        if not self.is_out and event.size == self.outer_size:
            event.stop()
            event.prevent_default()
