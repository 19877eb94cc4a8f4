"""Opens the dashboard: takes the first sample, then imports the interface, which is the slow part."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from memtui.kernel.files import Files
from memtui.live.machine import machine_of
from memtui.live.sampler import Sampler
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.model.sample import Sample
from memtui.settings.values import Settings
from memtui.targets import Target, largest_first
from memtui.tui import palettes
from memtui.tui.colours import system
from memtui.tui.earlyscreen import EarlyScreen

if TYPE_CHECKING:
    from memtui.live.source import LiveSource
    from memtui.tui.app import MemtuiApp
    from memtui.tui.running import Running

_SWITCH_S: Final = 0.001


class Occasion(NamedTuple):
    """What the dashboard is opened for, where it is not the machine alone.

    `machine`: not the one that runs it. `running`: a program under watch. `recorded`: a recording that
    is played. `begun` is called once, after the first frame.
    """

    machine: Machine | None = None
    running: Running | None = None
    recorded: RecordedSource | None = None
    begun: Callable[[MemtuiApp], None] | None = None


def run(
    files: Files,
    settings: Settings,
    target: Target | None,
    occasion: Occasion | None = None,
) -> int:
    """Opens the dashboard on the kernel below a root; the exit status at its end."""
    # A hundred thousand objects are made that all stay: looking for rubbish among them, at every
    # few hundred, takes a tenth of the way to the first frame.
    gc.disable()
    # The threads that read hold the interpreter for 5 ms at a time unless told otherwise, and a key
    # asks for it several times on its way to the screen.
    sys.setswitchinterval(_SWITCH_S)
    # A change waits for its frame: half as long at twice the 60 a second that Textual paints.
    os.environ.setdefault("TEXTUAL_FPS", "120")
    # What Textual makes of it goes by names, which tell less.
    os.environ["TEXTUAL_COLOR_SYSTEM"] = system()
    palettes.chosen = settings.theme  # before anything is imported that takes its colours
    occasion = occasion or Occasion()
    machine = occasion.machine or machine_of(files)
    # What is read is kept from the first sample on.
    noted = NotedFiles(files)
    sampler, early = Sampler(noted), EarlyScreen()
    size = early.size()
    # Before the imports and not beside them: an import holds the interpreter, and each of the
    # thousand reads would wait for it.
    if target is not None and target.filter:
        sample = sampler.sample(settings.interval_s)  # a filter wants everyone's name
    else:
        pid = target.pid if target else None
        sample = sampler.first(settings.interval_s, pid, *(size or ())[1:])  # a row each
    with early:
        if size is not None and not machine.still and occasion.running is None:
            from memtui.tui.firstfigures import first_figures, painted

            rows = first_figures(
                machine,
                sample,
                *size,
                interval_s=settings.interval_s,
                readonly=settings.readonly,
                whole=target is None and settings.view == "overview",
            )
            if rows:
                early.show(painted(rows))
        return _run_app(files, machine, settings, target, sampler, sample, early, occasion)


def _run_app(
    files: Files,
    machine: Machine,
    settings: Settings,
    target: Target | None,
    sampler: Sampler,
    sample: Sample,
    early: EarlyScreen,
    occasion: Occasion,
) -> int:
    from memtui.live.source import LiveSource, Reading
    from memtui.live.still import StillSource
    from memtui.session.inbox import Inbox
    from memtui.session.session import Session

    kind = StillSource if machine.still else LiveSource
    source, inbox = kind(files, settings.interval_s, machine, sampler), Inbox()
    wake: list[Callable[[], None]] = []

    def deliver(reading: Reading) -> None:
        inbox.put(reading)
        for call in wake:
            call()

    deliver(sample)
    source.start(deliver)
    try:
        from memtui.tui.app import MemtuiApp

        def started() -> None:
            _started(source)
            if occasion.begun is not None:
                occasion.begun(app)

        app = MemtuiApp(
            Session(source, settings),
            inbox,
            first=_first(files, sample, target),
            target=target,
            started=started,
            running=occasion.running,
        )
        if early.is_shown:
            app.driver_class = early.driver()
        wake.append(app.wake)
        app.run()
    finally:
        source.stop()
    return app.return_code or 0


def _first(files: Files, sample: Sample, target: Target | None) -> ProcessKey | None:
    """The process to begin with where none is asked for: the largest whose map may be read."""
    from memtui.ondemand.questions import first_readable

    candidates = largest_first(sample.processes.values(), target.filter if target else "")
    return first_readable(files, [each.key for each in candidates if each.rss_bytes])


def _started(source: LiveSource) -> None:
    """What can wait until the first frame is out: to watch for deaths, which takes 15 ms to import."""
    # What there is now stays, and need not be looked through again.
    gc.collect()
    gc.freeze()
    gc.enable()
    if source.machine.still:
        return
    from memtui.live.deathsigns import DeathSigns
    from memtui.tui.resident import stay_in_memory

    source.watch_deaths(DeathSigns(source.files, source.machine.page_bytes))
    stay_in_memory()
