"""Deaths on the screen: real kills and a real segfault while the dashboard runs, and written ones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from memtui.kernel.files import Files, Gap
from memtui.kernel.kmsg import LogPart, read_log
from memtui.kernel.livefiles import LiveFiles
from memtui.live.deathsigns import DeathSigns
from memtui.live.source import LiveSource
from memtui.model.oom.obituary import Obituary
from memtui.model.shortage.events import Event
from memtui.settings.values import DEFAULTS
from memtui.targets import Target
from memtui.tui.app import MemtuiApp
from memtui.tui.pages.oom import OomPage
from memtui.tui.sheets.obituary import ObituarySheet
from memtui.tui.views.pressure import PressureView
from tests.interface import (
    answer,
    app_of,
    app_watching,
    deliver,
    is_whole,
    press,
    running,
    screen,
    screen_text,
    settle,
    until,
)
from tests.model.oom.test_death_signs import BIG, DENIED, MIB, SMALL, killed, seen
from tests.programs import compiled
from tests.programs.ooms import SCENARIOS, scenario
from tests.samples import map_of
from tests.terminal import memtui

pytestmark = pytest.mark.xdist_group("machine")

PAGE = os.sysconf("SC_PAGE_SIZE")
REAL = ("big swap", "raised adj", "adj too small", "many small", "groups in the group")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled("oomer", tmp_path_factory.mktemp("oomer"))


@asynccontextmanager
async def watching(
    files: Files, target: Target | None = None, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[MemtuiApp, Pilot[None]]]:
    """The dashboard on this machine, deaths watched for."""
    source = LiveSource(files, 0.2)
    source.watch_deaths(DeathSigns(files, PAGE))
    app = app_watching(source, target)
    async with running(app, size) as pilot:
        try:
            await until(pilot, lambda: app.session.history.last is not None, "a sample")
            yield app, pilot
        finally:
            source.stop()


async def turn_to(pilot: Pilot[None], page: str) -> PressureView:
    if not pilot.app.query("#pressure"):
        await press(pilot, "4")
    view = pilot.app.query_one(PressureView)
    for _ in range(5):
        if f"[{page}" in screen(pilot.app):
            break
        await press(pilot, "right")
    return view


def obituaries(app: MemtuiApp, pids: frozenset[int]) -> list[Obituary]:
    return [each for each in app.session.seen["host"].obituaries.values() if each.pid in pids]


def is_listed(app: MemtuiApp, pid: int) -> bool:
    last = app.session.history.last
    return last is not None and any(key.pid == pid for key in last.processes)


def has_map(app: MemtuiApp, pid: int) -> bool:
    chosen = app.session.chosen
    return chosen.process is not None and chosen.process.pid == pid and chosen.map is not None


def without_log(tmp_path: Path) -> Files:
    """This machine, but for its log."""
    root = tmp_path / "root"
    root.mkdir()
    for name in ("proc", "sys"):
        (root / name).symlink_to(f"/{name}")
    return LiveFiles(str(root))


@pytest.mark.parametrize("name", REAL)
async def test_the_page_names_the_victim_before_and_the_obituary_is_right_after(
    name: str, program: Path, tmp_path: Path
) -> None:
    made = SCENARIOS[name]
    with scenario(made, program, tmp_path) as full:
        files = LiveFiles() if name != "many small" else without_log(tmp_path)
        async with watching(files) as (app, pilot):
            await turn_to(pilot, "OOM")
            page = app.query_one(OomPage)
            await until(pilot, lambda: page.outlook is not None, "the ranking")
            await press(pilot, "slash")
            await answer(pilot, made.dies)
            await press(pilot, "enter")
            await until(
                pilot,
                lambda: page.outlook and page.outlook.ranking.scope.path == full.path,
                "in the group",
            )
            outlook = page.outlook
            assert outlook is not None and outlook.prediction.victim is not None
            victim = outlook.prediction.victim
            assert victim.name == made.dies and victim.pid in full.pids
            assert f"† {made.dies} ({victim.pid}) would be killed in {full.path}" in screen(app)
            await until(
                pilot,
                lambda: (
                    (last := app.session.seen["host"].history.last)
                    and last.signs
                    and any(key.pid == victim.pid for key in last.signs.known)
                ),
                "remembered",
            )
            full.go()
            await asyncio.to_thread(full.wait_for, victim.pid)
            await until(pilot, lambda: obituaries(app, full.pids), "an obituary")
            found, *_ = obituaries(app, full.pids)
            assert (found.pid, found.name, found.cause) == (victim.pid, made.dies, "oom in cgroup")
            assert found.source == (
                "kernel log" if isinstance(read_log(files), LogPart) else "inferred"
            )
            assert found.group == victim.group
            assert found.command is not None and found.command.startswith(f"{program} ")
            assert found.rss_bytes is not None and victim.rss_pages is not None
            assert found.rss_bytes == pytest.approx(victim.rss_pages * PAGE, rel=0.1, abs=4 * MIB)
            # Of kills: other tests' programs may have crashed meanwhile.
            told = [each for each in app.session.seen["host"].events if each.kind == "oom_kill"]
            known = app.session.seen["host"].obituaries.values()
            assert len(told) == len([each for each in known if each.was_killed])
            await press(pilot, "1")

            def is_named() -> bool:
                known = app.session.seen["host"].obituaries.values()  # there may be more by now
                *_, last = (each for each in known if each.was_killed)
                at = app.session.machine.time_of_day(last.time_s)[:5]
                return f"† {last.name} {at}" in screen(app)

            await until(pilot, is_named, "named on the overview")


async def test_a_real_segfault_is_read_against_the_map_of_the_chosen_one(tmp_path: Path) -> None:
    if os.geteuid() != 0 or os.uname().machine != "x86_64":
        pytest.skip("needs root, and the words of x86")
    if Path("/proc/sys/debug/exception-trace").read_text().strip() == "0":
        pytest.skip("needs debug.exception-trace")
    faulty = compiled("faulty", tmp_path)

    deadline = time.monotonic() + 120
    pids: frozenset[int] = frozenset()
    found: list[Obituary] = []
    async with watching(LiveFiles()) as (app, pilot):
        # The kernel writes ten such lines in five seconds and no more, whoever they are of.
        while not found:
            assert time.monotonic() < deadline, "the kernel says nothing"
            with subprocess.Popen(
                [faulty, "null"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as child:
                assert child.stdout and child.stdout.readline() == "ready\n"
                pid = child.pid
                pids |= {pid}
                await until(pilot, partial(is_listed, app, pid), "in the list")
                await press(pilot, "o")
                await answer(pilot, str(pid))
                await until(pilot, partial(has_map, app, pid), "its map")
                await asyncio.to_thread(child.communicate, "\n")
                assert child.returncode == -11
            end = time.monotonic() + 1.0
            while not (found := obituaries(app, pids)) and time.monotonic() < end:
                await pilot.pause(0.05)
        assert found[0].cause == "segfault" and found[0].map is not None
        words = "write to 0x10: not mapped, a null pointer plus 0x10; at faulty+0x"
        assert words in found[0].sentence
        await turn_to(pilot, "events")
        await until(pilot, lambda: words[:40] in screen(app), "on the page")


def reads_log(pid: int) -> bool:
    links = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            links.append(os.readlink(each))
    return "/dev/kmsg" in links


def test_a_terminal_shows_who_was_killed_while_it_ran(program: Path, tmp_path: Path) -> None:
    if isinstance(read_log(LiveFiles()), Gap):
        pytest.skip("needs a log of the kernel that may be read")
    with (
        scenario(SCENARIOS["tiny but adj +900"], program, tmp_path) as full,
        memtui("--interval", "0.2", columns=80, rows=24) as terminal,
    ):
        terminal.wait_for("1 Overview", "LIVE")
        terminal.wait_until(lambda: reads_log(terminal.pid), "watching for deaths")
        full.go()
        terminal.wait_for("† tiny ", "being killed")


# Written ones.


def written(*samples: object) -> MemtuiApp:
    return app_of(list(samples), {})  # type: ignore[arg-type]


KILL = killed(10, "big", 2_500_000)
DYING = (seen(2.0, BIG, SMALL), seen(3.0, SMALL, kills=1, deaths=(KILL,)))


async def test_one_death_is_one_event_that_opens_marks_and_stays_for_fifteen_minutes() -> None:
    app = written(*DYING)
    async with running(app, (80, 24)) as pilot:
        assert "† big " in screen(app)
        events = [each for each in app.session.seen["host"].events if "verdict" not in each.kind]
        assert [each.kind for each in events] == ["oom_kill"]
        assert events[0] in list(app.session.seen["host"].marks)
        await deliver(pilot, seen(900.0, SMALL, kills=1))
        assert "† big " in screen(app)
        await deliver(pilot, seen(903.0, SMALL, kills=1))
        assert "† big " not in screen(app)
        await turn_to(pilot, "events")
        await press(pilot, "end")
        app.clear_notifications()  # which cover the last lines
        await settle(pilot)
        assert "Enter: all that is known of it" in screen(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, ObituarySheet)
        text = screen(app)
        for words in (
            "big (10) was killed at",
            "/bin/big --all",
            "memory   500 MiB · anon 4.0 MiB, file 1.0 MiB",
            "asks asked for more · /g was full",
            "from the kernel's log",
            "Its map was not looked at before",
        ):
            assert words in text, words
        is_whole(app)
        await press(pilot, "escape")
        assert not isinstance(app.screen, ObituarySheet)


async def test_the_sheet_has_the_map_of_the_last_look() -> None:
    app = app_of([DYING[0]], {BIG.key: map_of(BIG.key, "big")})
    async with running(app, (120, 40)) as pilot:
        assert app.session.chosen.key == BIG.key
        await deliver(pilot, DYING[1])
        await turn_to(pilot, "events")
        await press(pilot, "end", "enter")
        text = screen(app)
        assert "ITS MAP at the last look: 5 mappings" in text
        assert "h heap" in text and "k main stack" in text
        is_whole(app)


@pytest.mark.parametrize("size", [(80, 24)])
async def test_why_there_is_no_log_is_said_on_the_page(size: tuple[int, int]) -> None:
    app = written(seen(2.0, BIG, SMALL, log=DENIED), seen(3.0, BIG, log=DENIED, kills=1))
    async with running(app, size) as pilot:
        app.clear_notifications()  # which cover the last lines
        await turn_to(pilot, "events")
        text = " ".join(" ".join(screen_text(app)).split())
        assert "kernel.dmesg_restrict is 1" in text
        assert "Kills are inferred from their count and from who vanished" in text
        await press(pilot, "home", "enter")
        assert "inferred: the kernel counted a kill, and this one vanished" in screen(app)
        is_whole(app)


def test_with_the_alert_off_a_kill_is_only_listed_and_marked() -> None:
    event = Event(1.0, "oom_kill", "alarm", "the kernel killed big (10)")
    alerts = DEFAULTS.alerts
    assert "notify" in alerts.actions_of(event)
    assert alerts._replace(oom_kill=False).actions_of(event) == ("mark",)
    # Crashes of others are no alarm.
    assert alerts.actions_of(Event(1.0, "segfault", "warning", "segfault of x")) == ("mark",)


async def test_names_that_lie_are_shown_as_text() -> None:
    evil = BIG._replace(name="\x1b[31m[b]x")
    kill = killed(10, "\x1b[31m[b]x", 2_500_000)
    app = written(seen(2.0, evil, SMALL), seen(3.0, SMALL, kills=1, deaths=(kill,)))
    async with running(app, (80, 24)) as pilot:
        assert "† \\e[31m[b]x" in screen(app)
        await turn_to(pilot, "events")
        await press(pilot, "end", "enter")
        assert "\\e[31m[b]x (10) was killed" in screen(app)
        is_whole(app)
