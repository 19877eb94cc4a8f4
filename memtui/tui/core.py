"""`memtui core FILE` on a terminal: the dump's map, and over it why the program died."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from memtui.kernel.corefiles import CoreFiles
from memtui.kernel.files import Gap
from memtui.live.machine import machine_of
from memtui.model.crash.crash import Crash
from memtui.model.machine import Machine
from memtui.ondemand.core import crash_in
from memtui.settings.values import Settings
from memtui.targets import Target
from memtui.tui import launch

if TYPE_CHECKING:
    from memtui.tui.app import MemtuiApp

_SOON_S: Final = 0.01


def run(files: CoreFiles, settings: Settings, _options: object) -> int:
    """Opens the dashboard on a dump; the exit status at its end."""
    question = crash_in(files)

    def begun(app: MemtuiApp) -> None:
        if question is not None:
            from memtui.tui.sheets.crash import look_up_crash

            look_up_crash(app.view, question, partial(_explain, app), partial(_know, app))

    settings = settings._replace(readonly=True)
    occasion = launch.Occasion(_machine(files), begun=begun)
    return launch.run(files, settings, Target(files.dump.pid, ""), occasion)


def _machine(files: CoreFiles) -> Machine:
    dump = files.dump
    name = dump.program.name if dump.program else "?"
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(files.written_s))
    death = dump.death
    what = death.siginfo.name if death and death.siginfo else "taken while it lived"
    return machine_of(files)._replace(
        name=f"core dump of {name} ({dump.pid})",
        architecture=dump.processor or "",
        still=f"{what} · {when}",
    )


def _explain(app: MemtuiApp, crash: Crash | Gap) -> None:
    """Opens the explanation over the map, whose cursor is where it happened."""
    if isinstance(crash, Gap):
        app.notify(str(crash), severity="warning", markup=False)
        return
    from memtui.model.crash.explain import explain

    _know(app, crash)
    app.session.chosen.address = explain(crash).address
    _open(app)


def _know(app: MemtuiApp, crash: Crash) -> None:
    app.session.crash = crash


def _open(app: MemtuiApp) -> None:
    """The sheet, once there is a map below it, which may take longer than the explanation."""
    chosen = app.session.chosen
    if app.view_name == "map" and (chosen.map is not None or chosen.gap is not None):
        app.call_after_refresh(app.run_view_action, "crash")
    else:
        app.set_timer(_SOON_S, partial(_open, app))
