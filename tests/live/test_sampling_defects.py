"""A defect in a sampling thread, or a reading that hangs, is seen on the screen and survived."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.live.plan import Plan
from memtui.live.source import LiveSource
from memtui.model.map.addressmap import AddressMap, MapReading
from memtui.model.sample import Sample
from tests.conftest import open_host
from tests.interface import app_of, keep, running, screen_text, script_of
from tests.samples import sample

T = TypeVar("T")


class Breaking(LiveFiles):
    """A captured machine whose reading goes wrong in a way that nobody thought of."""

    breaks = False

    def pids(self) -> list[int]:
        if self.breaks:
            raise ZeroDivisionError("nobody thought of it")
        return super().pids()

    def parsed(self, name: str, parse: Callable[[bytes], T]) -> T | Gap:
        if self.breaks:
            raise ZeroDivisionError("nobody thought of it")
        return super().parsed(name, parse)


def breaking() -> Breaking:
    return Breaking(open_host("debian-6.18").root)


def wait(condition: Callable[[], object]) -> None:
    done = threading.Event()
    for _ in range(2000):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError("never")


def test_a_sample_that_cannot_be_made_is_one_of_gaps() -> None:
    files = breaking()
    source = LiveSource(files, 0.1)
    samples: list[Sample] = []
    source.start(keep(samples, Sample))
    try:
        wait(lambda: len(samples) > 1)
        files.breaks = True
        wait(lambda: isinstance(samples[-1].system.meminfo, Gap))
        at = next(at for at, each in enumerate(samples) if isinstance(each.system.meminfo, Gap))
        whole, broken = samples[at - 1 : at + 1]
        told = str(broken.system.meminfo)
        assert told.startswith("sampling: failed (a defect in memtui: test_sampling_defects.py:")
        assert told.endswith(": ZeroDivisionError: nobody thought of it)")
        assert broken.processes == whole.processes  # the last that were seen
        assert broken.time_s > whole.time_s
        files.breaks = False
        wait(lambda: not isinstance(samples[-1].system.meminfo, Gap))
    finally:
        source.stop()


def test_a_map_that_cannot_be_made_is_a_gap() -> None:
    files = breaking()
    source = LiveSource(files, 60)
    key = max(source.sampler.sample().processes.values(), key=lambda each: each.rss_bytes or 0).key
    readings: list[MapReading] = []
    files.breaks = True
    source.start(keep(readings, MapReading))
    try:
        source.look_at(Plan(map_of=key))
        wait(lambda: readings)
        assert isinstance(readings[0].map, Gap)
        assert "ZeroDivisionError" in str(readings[0].map)
        files.breaks = False
        wait(lambda: isinstance(readings[-1].map, AddressMap))
    finally:
        source.stop()


async def test_a_source_that_falls_silent_is_told() -> None:
    app = app_of([sample(0.0)], {})
    script = script_of(app)
    async with running(app) as pilot:
        app._watch_source()
        await pilot.pause()
        assert "LIVE" in screen_text(app)[0]
        script.silent_s = 12.3
        app._watch_source()
        await pilot.pause()
        assert "‖ NO SAMPLE FOR 12 s · every 1 s" in screen_text(app)[0]
        assert "LIVE" not in screen_text(app)[0]
        script.silent_s = 0.2
        app._watch_source()
        await pilot.pause()
        assert "LIVE" in screen_text(app)[0]


def test_a_live_source_tells_how_long_it_is_silent() -> None:
    source = LiveSource(open_host("debian-6.18"), 0.1)
    taken = threading.Event()
    source.start(lambda _: taken.set())
    try:
        first = source.silent_s
        assert taken.wait(20)
        wait(lambda: source.silent_s < 0.09)
        assert first >= 0
    finally:
        source.stop()
    for thread in source._threads:  # it may be in the midst of its last reading
        thread.join(20)
    last = source.silent_s
    wait(lambda: source.silent_s > last)
