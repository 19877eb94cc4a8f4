"""Fills the graphs with what was kept before the dashboard began: after its first frame, on a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memtui.kernel.files import Files, Gap
from memtui.tui.asking import look_up

if TYPE_CHECKING:
    from memtui.recording.earlier import Earlier
    from memtui.tui.app import MemtuiApp


def look_back(app: MemtuiApp, files: Files) -> None:
    """Asks for it; where there is none, or it cannot be read, the graphs begin empty."""
    from memtui.recording.earlier import WhatWas

    session = app.session
    booted_s = session.machine.booted_s

    def then(found: Earlier | Gap) -> None:
        if isinstance(found, Gap):
            return
        session.learn(found)
        if session.moment is not None and not app.is_tiny:
            app.view.update(session.moment)

    if booted_s is not None:
        look_up(app.view, WhatWas(files, booted_s), then)
