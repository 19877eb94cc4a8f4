"""Opens the dashboard: takes the first sample, then imports the interface, which is the slow part."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from memtui.kernel.files import Files
from memtui.live.machine import machine_of
from memtui.live.sampler import Sampler
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.model.sample import Sample
from memtui.recording.looked import LookedFiles
from memtui.recording.noted import NotedFiles
from memtui.settings.values import Settings
from memtui.targets import Target, largest_first
from memtui.tui import palettes
from memtui.tui.colours import system
from memtui.tui.earlyscreen import EarlyScreen

if TYPE_CHECKING:
    from memtui.live.source import LiveSource
    from memtui.recording.source import RecordedSource
    from memtui.session.past import Past, Reply
    from memtui.session.session import Session
    from memtui.session.wound import NoWound, Wound
    from memtui.tui.app import MemtuiApp
    from memtui.tui.running import Running

_SWITCH_S: Final = 0.001
_STILL_LATER_S: Final = 1.0


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
    recorded, early = occasion.recorded, EarlyScreen()
    machine = occasion.machine or (recorded.machine if recorded else machine_of(files))
    # What is read is kept, from the first sample on.
    noted = NotedFiles(files)
    noted.page_bytes = files.page_bytes
    sampler = Sampler(files if machine.still else noted)
    size = early.size()
    # Before the imports and not beside them: an import holds the interpreter, and each of the
    # thousand reads would wait for it.
    if target is not None and target.filter:
        sample = sampler.sample(settings.interval_s)  # a filter wants everyone's name
    else:
        pid = target.pid if target else None
        first = recorded.first if recorded else partial(sampler.first, settings.interval_s)
        sample = first(pid, *(size or ())[1:])  # a row each
    with early:
        if size is not None and not machine.still and occasion.running is None:
            from memtui.tui.firstfigures import first_figures, painted

            rows = first_figures(
                machine,
                sample,
                *size,
                interval_s=recorded.interval_s if recorded else settings.interval_s,
                is_replay=recorded is not None,
                readonly=settings.readonly,
                whole=target is None and settings.view == "overview",
            )
            if rows:
                early.show(painted(rows))
        begins = _Begins(files, noted, machine, sampler, sample, target)
        return _run_app(begins, settings, early, occasion)


class _Begins(NamedTuple):
    """What there is before the interface."""

    files: Files
    noted: NotedFiles
    machine: Machine
    sampler: Sampler
    sample: Sample
    target: Target | None


def _run_app(begins: _Begins, settings: Settings, early: EarlyScreen, occasion: Occasion) -> int:
    from memtui.live.source import Reading
    from memtui.session.inbox import Inbox
    from memtui.session.session import Session

    live = None if occasion.recorded else _live(begins, settings.interval_s)
    source, inbox = occasion.recorded or live, Inbox()
    assert source is not None
    session = Session(source, settings)
    wake: list[Callable[[], None]] = []

    def deliver(reading: Reading | Wound | NoWound) -> None:
        inbox.put(reading)
        for call in wake:
            call()

    deliver(begins.sample)
    source.start(deliver)
    if occasion.recorded is not None:
        session.past = _recorded_past(occasion.recorded, deliver, settings)
    try:
        from memtui.tui.app import MemtuiApp
        from memtui.tui.earlier import look_back

        def started() -> None:
            if live is not None and live.machine.still:
                app.set_timer(_STILL_LATER_S, _settled)  # its map comes after the first frame
            else:
                _settled()
                if live is not None:
                    _keep(live, session, begins.noted, deliver)
                    if live.files.is_live:
                        look_back(app, live.files)
            if occasion.begun is not None:
                occasion.begun(app)

        app = MemtuiApp(
            session,
            inbox,
            first=_first(begins.files, begins.sample, begins.target),
            target=begins.target,
            started=started,
            running=occasion.running,
        )
        app.driver_class = early.driver()
        wake.append(app.wake)
        app.run()
    finally:
        source.stop()
        if session.past is not None:
            session.past.stop()
        if session.kept_by is not None:
            session.kept_by.close()
    return app.return_code or 0


def _live(begins: _Begins, interval_s: float) -> LiveSource:
    """What samples the machine; its maps are noted too."""
    from memtui.live.source import LiveSource
    from memtui.live.still import StillSource

    files, machine, sampler = begins.files, begins.machine, begins.sampler
    if machine.still:
        return StillSource(files, interval_s, machine, sampler)
    return LiveSource(files, interval_s, machine, sampler, looked=LookedFiles(files))


def _recorded_past(source: RecordedSource, deliver: Reply, settings: Settings) -> Past:
    """All of a recording, which is from now on its thread's."""
    from memtui.recording.recording import Recording
    from memtui.session.past import Past

    recording = source.recording
    return Past(lambda: recording, deliver, settings, again=lambda: Recording(recording.path))


def _first(files: Files, sample: Sample, target: Target | None) -> ProcessKey | None:
    """The process to begin with where none is asked for: the largest whose map may be read."""
    from memtui.ondemand.questions import first_readable

    candidates = largest_first(sample.processes.values(), target.filter if target else "")
    return first_readable(files, [each.key for each in candidates if each.rss_bytes])


def _settled() -> None:
    """What there is when the first frame is out stays, and need not be looked through again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _keep(source: LiveSource, session: Session, noted: NotedFiles, deliver: Reply) -> None:
    """From here on deaths are watched for, and what is read is kept: 40 ms to import."""
    from memtui.live.deathsigns import DeathSigns
    from memtui.recording.lasthour import LastHour
    from memtui.session.past import Past
    from memtui.tui.resident import stay_in_memory

    machine, looked = source.machine, source.looked
    source.watch_deaths(DeathSigns(source.files, machine.page_bytes))
    assert isinstance(looked, LookedFiles)
    kept_by = LastHour(noted, looked, machine, session.settings.alerts, source.interval_s)
    session.kept_by = kept_by
    session.past = Past(
        kept_by.opened,
        deliver,
        session.settings,
        machine=lambda: source.machine,
        kept=lambda: kept_by.kept,
    )
    source.note_with(kept_by.note)
    stay_in_memory()
