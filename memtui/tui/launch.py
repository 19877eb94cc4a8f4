"""Opens the dashboard: takes the first sample, then imports the interface, which is the slow part."""

from __future__ import annotations

import gc
import os
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from memtui.kernel.files import KernelFiles
from memtui.live.machine import may_see, page_size
from memtui.live.sampler import Sampler
from memtui.model.sample import Sample
from memtui.settings.values import Settings
from memtui.targets import Target
from memtui.tui import palettes
from memtui.tui.earlyscreen import EarlyScreen

if TYPE_CHECKING:
    from memtui.live.source import LiveSource
    from memtui.model.map.addressmap import MapReading

_SWITCH_S: Final = 0.001


def run(files: KernelFiles, settings: Settings, target: Target | None) -> int:
    """Opens the dashboard on the kernel below a root; the exit status at its end."""
    # A hundred thousand objects are made that all stay: looking for rubbish among them, at every
    # few hundred, takes a tenth of the way to the first frame.
    gc.disable()
    # The threads that read hold the interpreter for 5 ms at a time unless told otherwise, and a key
    # asks for it several times on its way to the screen.
    sys.setswitchinterval(_SWITCH_S)
    # A change waits for its frame: half as long at twice the 60 a second that Textual paints.
    os.environ.setdefault("TEXTUAL_FPS", "120")
    palettes.chosen = settings.theme  # before anything is imported that takes its colours
    early = EarlyScreen()
    size = early.size()
    sampler = Sampler(files)
    # Before the imports and not beside them: an import holds the interpreter, and each of the
    # thousand reads would wait for it.
    if target is not None and target.pid is None:
        first = sampler.sample(settings.interval_s)  # a filter wants everyone's name
    else:
        pid = target.pid if target else None
        first = sampler.first(settings.interval_s, pid, *(size or ())[1:])  # a row each
    host, sight = _host_name(files), may_see(files)
    with early:
        if size is not None:
            from memtui.tui.firstfigures import first_figures, painted

            rows = first_figures(
                first,
                *size,
                host=host,
                sight=f"{sight} · read-only" if settings.readonly else sight,
                interval_s=settings.interval_s,
                is_live=files.is_live,
                whole=target is None and settings.view == "overview",
            )
            if rows:
                early.show(painted(rows))
        return _run_app(files, settings, target, sampler, first, host, sight, early)


def _run_app(
    files: KernelFiles,
    settings: Settings,
    target: Target | None,
    sampler: Sampler,
    first: Sample,
    host: str,
    sight: str,
    early: EarlyScreen,
) -> int:
    from memtui.live.source import LiveSource

    inbox: deque[Sample | MapReading] = deque([first], maxlen=256)
    wake: list[Callable[[], None]] = []

    def deliver(reading: Sample | MapReading) -> None:
        inbox.append(reading)
        for call in wake:
            call()

    source = LiveSource(files, settings.interval_s, sampler)
    source.start(deliver, deliver)
    try:
        from memtui.tui.app import MemtuiApp

        app = MemtuiApp(
            source,
            host=host,
            sight=sight,
            page=page_size(files),
            is_live=files.is_live,
            target=target,
            inbox=inbox,
            settings=settings,
            started=partial(_started, source),
            silent_s=source.silent_s,
        )
        if early.is_shown:
            app.driver_class = early.driver()
        wake.append(app.wake)
        app.run()
    finally:
        source.stop()
    return app.return_code or 0


def _started(source: LiveSource) -> None:
    """What can wait until the first frame is out: to watch for deaths, which takes 15 ms to import."""
    from memtui.live.deathsigns import DeathSigns
    from memtui.tui.resident import stay_in_memory

    source.watch_deaths(DeathSigns(source.files, page_size(source.files)))
    stay_in_memory()


def _host_name(files: KernelFiles) -> str:
    name = files.read("proc/sys/kernel/hostname")
    return name.decode("utf-8", "surrogateescape").strip() if isinstance(name, bytes) else "?"
