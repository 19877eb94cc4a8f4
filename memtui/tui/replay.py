"""`memtui replay FILE` on a terminal: the dashboard on a recording, standing where it was asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from memtui.recording.source import RecordedSource, ReplayedFiles
from memtui.settings.values import Settings
from memtui.tui import launch

if TYPE_CHECKING:
    from memtui.session.session import Session
    from memtui.tui.app import MemtuiApp

SPEEDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


def run(files: ReplayedFiles, settings: Settings, _options: object) -> int:
    """Opens the dashboard on a recording; the exit status at its end."""
    source = RecordedSource(files)

    def begun(app: MemtuiApp) -> None:
        app.session.go_to(files.recording.since_boot(files.moment))

    settings = settings._replace(readonly=True)
    return launch.run(files, settings, None, launch.Occasion(recorded=source, begun=begun))


def play(session: Session) -> None:
    """Plays, or stands."""
    if session.past is not None:
        session.past.speed = 0.0 if session.past.speed else SPEEDS[0]


def faster(session: Session) -> None:
    """To the next speed, from standing to the first."""
    if session.past is not None:
        speed = session.past.speed
        session.past.speed = next((each for each in SPEEDS if each > speed), SPEEDS[-1])


def slower(session: Session) -> None:
    """To the speed before, from the first to standing."""
    if session.past is not None:
        speed = session.past.speed
        session.past.speed = next((each for each in reversed(SPEEDS) if each < speed), 0.0)
