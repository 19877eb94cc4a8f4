"""`memtui replay FILE` on a terminal: the dashboard on a recording, standing where it was asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memtui.recording.source import RecordedSource, ReplayedFiles
from memtui.settings.values import Settings
from memtui.tui import launch

if TYPE_CHECKING:
    from memtui.tui.app import MemtuiApp


def run(files: ReplayedFiles, settings: Settings, _options: object) -> int:
    """Opens the dashboard on a recording; the exit status at its end."""
    source = RecordedSource(files)

    def begun(app: MemtuiApp) -> None:
        app.session.go_to(files.recording.since_boot(files.moment))

    settings = settings._replace(readonly=True)
    return launch.run(files, settings, None, launch.Occasion(recorded=source, begun=begun))
