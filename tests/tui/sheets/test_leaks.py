"""The leak hunt and what grew, in the dashboard: of a recording, on a thread."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from memtui.recording.recording import Recording
from memtui.session.past import Past
from memtui.settings.values import DEFAULTS
from memtui.tui.app import MemtuiApp
from memtui.tui.sheets.leaks import LeaksSheet
from tests.interface import answer, app_of, captured, is_whole, press, running, screen, until
from tests.recording.test_hunt import Scripted, scripted


def leak(machine: Scripted, at: int) -> None:
    machine.files.resize(100, 1000 + 100 * at)
    if at == 100:
        machine.files.start(901, 5000, "newborn", 5000)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted(tmp_path_factory.mktemp("leak") / "day.memtui", 300, leak)


@pytest.fixture
def app(path: Path) -> Iterator[MemtuiApp]:
    sample, maps = captured("debian-6.18")
    app = app_of([sample], maps)
    past = app.session.past = Past(
        lambda: Recording(str(path)),
        app.deliver,
        DEFAULTS,
        machine=lambda: app.session.source.machine,
        kept=lambda: None,
    )
    yield app
    past.stop()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_leak_hunt_of_what_is_kept(app: MemtuiApp, size: tuple[int, int]) -> None:
    async with running(app, size) as pilot:
        await press(pilot, "2", "L")
        assert isinstance(app.screen, LeaksSheet)
        await until(pilot, lambda: "moments looked at" in screen(app), "found")
        assert re.search(r"process +100 x ", screen(app)), screen(app)
        assert "a minute (anonymous" in screen(app)
        assert "likely a leak" in screen(app) or "all but certain a leak" in screen(app)
        is_whole(app)
        await press(pilot, "escape")
        assert not isinstance(app.screen, LeaksSheet)


async def test_what_grew_one_by_one_and_together(app: MemtuiApp) -> None:
    async with running(app, (120, 40)) as pilot:
        await press(pilot, "2", "L")
        await until(pilot, lambda: "moments looked at" in screen(app), "found")
        await press(pilot, "d")
        await until(pilot, lambda: "all together" in screen(app), "compared")
        assert re.search(r" 100 grew +x", screen(app))
        assert re.search(r" 901 born +newborn", screen(app))
        for way in ("by name", "by user", "by control group"):
            await press(pilot, "d")
            await until(pilot, partial(compared_by, app, way), way)
        is_whole(app)
        await press(pilot, "d")
        await until(pilot, lambda: "moments looked at" in screen(app), "back at the hunt")


def compared_by(app: MemtuiApp, way: str) -> bool:
    return way in screen(app) and "PROCESSES" in screen(app)


async def test_from_when_until_when_is_asked(app: MemtuiApp, path: Path) -> None:
    recording = Recording(str(path))
    last = recording.last
    assert last is not None
    recording.close()

    def at(seconds: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(last.time_s + seconds))

    async with running(app, (120, 40)) as pilot:
        await press(pilot, "2", "L", "d")
        await until(pilot, lambda: "all together" in screen(app), "compared")
        await press(pilot, "slash")
        await answer(pilot, f"{at(-100)} {at(-50)}")
        await until(pilot, lambda: "· 50 s" in screen(app), "compared again")
        assert "newborn" not in screen(app)
        assert "+19.5 MiB" in screen(app)  # 50 times 100 pages
        await press(pilot, "slash")
        await answer(pilot, "1999-01-01 1999-01-02")
        await until(pilot, lambda: "nothing is kept of that time" in screen(app), "told")
        await press(pilot, "slash")
        for wrong in ("half past", "14:30 14:00", "1 2 3"):
            await answer(pilot, wrong)
            assert app.screen.query("#prompt"), wrong


async def test_where_nothing_is_kept_it_says_so() -> None:
    sample, maps = captured("debian-6.18")
    app = app_of([sample], maps)
    async with running(app, (120, 40)) as pilot:
        await press(pilot, "2", "L")
        assert "Nothing is kept here" in screen(app)
        await press(pilot, "d", "r", "enter", "escape")
        assert not isinstance(app.screen, LeaksSheet)
