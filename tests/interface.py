"""What the tests of the interface share: a source of samples, a child to look at, the screen as text."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import zip_longest
from typing import Any, TypeVar

from textual.app import App
from textual.events import Key
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input
from wcwidth import wcswidth

from memtui.kernel.details import DETAIL_FILES, read_shares
from memtui.kernel.files import Files, Gap
from memtui.kernel.pressure import Pressure
from memtui.kernel.uptime import since_boot_s
from memtui.live.looker import read_map
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS
from memtui.live.sampler import Sampler
from memtui.live.source import LiveSource, Reading
from memtui.live.users import KnownUsers
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.model.map.addressmap import AddressMap, MapReading
from memtui.model.sample import Sample
from memtui.ondemand.question import Answer, Asked, GoOn, Question, begin
from memtui.ondemand.questions import ContextOf, FirstReadable, TightestGroup
from memtui.session.inbox import Inbox
from memtui.session.session import Session
from memtui.settings.values import DEFAULTS, Settings
from memtui.targets import Target
from memtui.tui.app import MemtuiApp
from memtui.tui.sheets.choice import ChoiceTable
from memtui.tui.sheets.difference import DifferenceSheet
from memtui.tui.sheets.pagetable import PageTableSheet
from memtui.tui.sheets.sharers import SharersSheet
from memtui.tui.sheets.sheet import Sheet
from memtui.tui.widgets.mappings import MappingTable
from memtui.tui.widgets.picture import Picture
from tests.conftest import open_host
from tests.samples import map_of, process, sample

T = TypeVar("T")
Maps = Mapping[ProcessKey, AddressMap | Gap]
DEADLINE_S = 60.0


# Answered before the asking returns, so that a test need not wait; all else on threads.
_AT_ONCE = (ContextOf, FirstReadable, TightestGroup)
MACHINE = Machine(
    name="testhost",
    page_bytes=4096,
    booted_s=0.0,
    ticks_per_s=os.sysconf("SC_CLK_TCK"),
    architecture=os.uname().machine,
    release=os.uname().release,
    users=KnownUsers(),
    sight="maps of own processes",
    no_acting="",
)


class Script:
    """A source that hands in the samples and maps of a test, at once and in order.

    `files`: what questions are answered from.
    """

    def __init__(self, maps: Maps, files: Files | None = None, machine: Machine = MACHINE) -> None:
        self.interval_s = 1.0
        self.silent_s = 0.0
        self.files = files
        booted_s = time.time() - since_boot_s()
        no_acting = "" if files and files.is_live else "this is no running machine"
        self.machine = machine._replace(booted_s=booted_s, no_acting=no_acting)
        # Read in the future: its age is 0 s on every screen.
        self.read_at_s = 1e9
        self.maps = dict(maps)
        self.plan = Plan()
        self.plans: list[Plan] = []
        self.app: MemtuiApp | None = None

    def start(self, post: Callable[[Reading], None]) -> None:
        """Nothing of its own: tests deliver."""

    def stop(self) -> None:
        """Nothing to stop."""

    def ask(self, question: Question[Any]) -> Asked:
        assert self.app is not None
        if isinstance(question, _AT_ONCE):
            asked = Asked(question)
            self.app.deliver(Answer(asked, self._answer(question)))
            return asked
        return begin(question, lambda go_on: self._answer(question, go_on), self.app.deliver)

    def _answer(self, question: Question[Any], go_on: GoOn = lambda done, total: True) -> Any:
        if isinstance(question, FirstReadable):
            return next((key for key in question.keys if key in self._readable), None)
        if self.files is None:
            return Gap(question.source, "not recorded")
        return question.answer(self.files, self.machine, go_on)

    @property
    def _readable(self) -> set[ProcessKey]:
        return {key for key, map_ in self.maps.items() if isinstance(map_, AddressMap)}

    def may_look_again(self) -> bool:
        return False

    def look_at(self, plan: Plan) -> None:
        before, self.plan = self.plan, plan
        self.plans.append(plan)
        if plan.map_of is not None and plan.map_of != before.map_of:
            self.read(plan.map_of)

    def read(self, key: ProcessKey, map_: AddressMap | Gap | None = None) -> None:
        """Delivers a reading of a process's map: a new one, or the one it has."""
        if map_ is not None:
            self.maps[key] = map_
        found = self.maps.get(key, Gap(f"proc/{key.pid}/maps", "denied"))
        assert self.app is not None
        self.read_at_s += 1
        self.app.deliver(MapReading(key, found, None, self.read_at_s, 0.0))


def keep(readings: list[T], kind: type[T]) -> Callable[[Reading], None]:
    """What a source hands on, those of one kind kept in a list."""

    def post(reading: Reading) -> None:
        if isinstance(reading, kind):
            readings.append(reading)

    return post


def app_on(
    script: Script, settings: Settings = DEFAULTS, target: Target | None = None
) -> MemtuiApp:
    """The application on a script."""
    app = MemtuiApp(Session(script, settings), Inbox(), target=target)
    script.app = app
    return app


def app_of(
    samples: Iterable[Sample],
    maps: Maps,
    target: Target | None = None,
    files: Files | None = None,
) -> MemtuiApp:
    """The application with its samples in the inbox."""
    app = app_on(Script(maps, files), target=target)
    for each in samples:
        app.deliver(each)
    return app


def app_watching(source: LiveSource, target: Target | None = None) -> MemtuiApp:
    """The application on what a source reads, begun."""
    app = MemtuiApp(Session(source, DEFAULTS), Inbox(), target=target)
    source.start(app.deliver)
    return app


def script_of(app: MemtuiApp) -> Script:
    assert isinstance(app.session.source, Script)
    return app.session.source


async def quiet() -> None:
    """Waits until all that runs waits itself: for a timer, a file or a thread."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    for _ in range(2):  # a thread or a signal may have woken the loop, which it sees a turn later
        await asyncio.sleep(0)
        while ready:
            await asyncio.sleep(0)


def is_clean(screen: Screen[object]) -> bool:
    """Nothing is to be laid out, painted, or done after that."""
    return not (
        screen._layout_required
        or screen._scroll_required
        # One that shows through another asks for this for ever, once it has been painted.
        or (screen._repaint_required and screen is screen.app.screen)
        or screen._recompose_required
        or screen._dirty_widgets
        or screen._callbacks
    )


async def settle(pilot: Pilot[None]) -> None:
    """Waits until what follows from what follows is on the screen, and no longer.

    Not for threads: `until` waits for what one brings.
    """
    app = pilot.app
    deadline = time.monotonic() + DEADLINE_S
    while True:
        await quiet()
        if not app.is_running or not app._screen_stack:
            return
        await app.animator.wait_until_complete()
        if app._resize_event is not None:
            app._check_resize()  # within 1/120 s, lest a resize at every pixel be laid out
            continue
        shown = [each for each in app.screen_stack if each.is_current]
        if all(is_clean(each) for each in shown):
            return
        assert time.monotonic() < deadline, f"never still:\n{screen(app)}"
        if app._batch_count:  # holds back all painting until something that it awaits is done
            await asyncio.sleep(0.001)
        for each in shown:
            each._on_timer_update()  # the frame that is due within 1/60 s


def key_event(key: str) -> Key:
    """What the terminal's driver makes of a key, given by its name or its character."""
    name = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
    character: str | None
    try:
        character = unicodedata.lookup(_get_unicode_name_from_key(REPLACED_KEYS.get(name, name)))
    except KeyError:
        character = key if len(key) == 1 else None
    return Key(name, character)


class Hands(Pilot[None]):
    """Presses, clicks and resizes, and waits for what each does to be on the screen.

    Textual's own waits for a processor that is not busy, 20 ms at a time and twice a key.
    """

    async def pause(self, delay: float | None = None) -> None:
        await asyncio.sleep(delay or 0)
        await settle(self)

    async def press(self, *keys: str) -> None:
        assert self.app._driver is not None
        for key, following in zip_longest(keys, keys[1:]):
            self.app._driver.send_message(key_event(key))
            # One that is held down repeats faster than frames are painted.
            await (quiet() if key == following else self.pause())


def lines_of(widget: Widget) -> list[Strip]:
    """A widget's lines as it draws them."""
    return [widget.render_line(y) for y in range(widget.size.height)]


@asynccontextmanager
async def running(app: App[None], size: tuple[int, int] = (120, 40)) -> AsyncIterator[Hands]:
    """The application on a screen of that size, its samples shown."""
    async with app.run_test(size=size, notifications=True):
        hands = Hands(app)
        await settle(hands)
        yield hands
        app._exit = True  # as where somebody quits: no timer fires while it is taken apart


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await settle(pilot)


async def until(pilot: Pilot[None], condition: Callable[[], object], what: str) -> None:
    """Waits for what a thread brings."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"never {what}:\n{screen(pilot.app)}"
        await pilot.pause(0.01)


async def answer(pilot: Pilot[None], text: str) -> None:
    """Types all of an answer at once, and Enter."""
    pilot.app.screen.query_one(Input).value = text
    await pilot.pause()
    await press(pilot, "enter")


async def deliver(pilot: Pilot[None], *samples: Sample) -> None:
    """New samples, shown."""
    assert isinstance(pilot.app, MemtuiApp)
    for each in samples:
        pilot.app.deliver(each)
    await settle(pilot)


def screen_text(app: App[None]) -> list[str]:
    """The lines of the screen, as the terminal gets them."""
    return [strip.text for strip in app.screen._compositor.render_strips(app.size)]


def screen(app: App[None]) -> str:
    return "\n".join(screen_text(app))


def is_whole(app: App[None]) -> None:
    """Every line is as wide as the screen, and has nothing in it that a terminal would obey."""
    lines = screen_text(app)
    assert len(lines) == app.size.height
    for line in lines:
        assert wcswidth(line) == app.size.width, repr(line)


# What is in the map view.


def table(app: MemtuiApp) -> MappingTable:
    return app.query_one("#mappings", MappingTable)


def picture(app: MemtuiApp) -> Picture:
    return app.query_one("#picture", Picture)


def cursor(app: MemtuiApp) -> int:
    """The row of the map that table, picture, detail and application agree on."""
    row, map_ = table(app).row, app.session.chosen.map
    assert map_ is not None
    assert row is not None
    start, end = map_.mappings.starts[row], map_.mappings.ends[row]
    address = picture(app).address
    assert address is not None
    assert start <= address < end
    assert app.session.chosen.address == address or (
        app.session.chosen.address is None and row == 0
    )
    assert app.session.chosen.row() == row
    assert f"{start:012x}" in detail(app)[1]
    return row


def detail(app: MemtuiApp) -> list[str]:
    """The lines about what the cursor is on."""
    region = app.query_one("#detail").region
    return [line[region.x : region.right] for line in screen_text(app)[region.y : region.bottom]]


def rows_words(app: MemtuiApp) -> str:
    """What is said of the rows that are shown."""
    region = app.query_one("#map-rows").region
    return screen_text(app)[region.y][region.x : region.right]


def starts(app: MemtuiApp) -> list[int]:
    """Where the mappings in the table begin, in its order."""
    map_ = table(app).map
    assert map_ is not None
    return [map_.mappings.starts[row] for row in table(app).rows]


def map_in(app: MemtuiApp) -> AddressMap:
    assert app.session.chosen.map is not None
    return app.session.chosen.map


def values(app: MemtuiApp, key: str) -> list[int]:
    """A figure of the rows in the table, in its order."""
    mappings = map_in(app).mappings
    return [mappings.usage[key][row] for row in table(app).rows]


async def click_head(pilot: Pilot[None], name: str) -> None:
    assert isinstance(pilot.app, MemtuiApp)
    x = 1
    for column, width in table(pilot.app).columns():
        if column.name == name:
            await pilot.click("#mappings", offset=(x, 0))
            return
        x += width + 1
    raise AssertionError(f"no column {name}")


async def choose(pilot: Pilot[None], *names: str) -> None:
    """Takes these of a list that is open."""
    choices = pilot.app.screen.query_one(ChoiceTable)
    for name in names:
        await press(pilot, "home")
        at = [choice.name for choice in choices.choices].index(name)
        await press(pilot, *["down"] * at)
        if choices.columns()[0][0].name == "mark":
            await press(pilot, "space")
    await press(pilot, "enter")


# Sheets over the map view, by the key that opens them.

SHEETS: dict[str, type[Sheet]] = {
    "t": PageTableSheet,
    "w": SharersSheet,
    "d": DifferenceSheet,
}


async def go_to(pilot: Pilot[None], address: int) -> None:
    await press(pilot, "at", *f"0x{address:x}", "enter")


async def open_sheet(pilot: Pilot[None], key: str) -> None:
    """Opens one, and waits until all that it reads is there."""
    await press(pilot, key)
    assert isinstance(pilot.app.screen, SHEETS[key])
    await loaded(pilot)


async def loaded(pilot: Pilot[None]) -> None:
    """What is read in the background is there, with what it leads to."""

    def is_read() -> bool:
        names = {thread.name for thread in threading.enumerate()}
        return "answering" not in names and all(each.is_finished for each in pilot.app.workers)

    await until(pilot, is_read, "read in the background")


BIG = process(10, "big", 500)


def dashboard(map_: AddressMap | None = None) -> MemtuiApp:
    """One process, with a small map or that one."""
    return app_of([sample(1000.0, BIG)], {BIG.key: map_ or map_of(BIG.key, "big")})


# A captured machine.


@lru_cache
def captured(host: str) -> tuple[Sample, Maps]:
    """A captured host's sample, at a fixed time, and the maps of its processes."""
    files = open_host(host)
    sampler = Sampler(files)
    plan = Plan(fields=FIELDS, details=frozenset(DETAIL_FILES))
    everybody = frozenset(sampler.sample().processes)
    found = sampler.sample(1.0, plan._replace(visible=everybody))
    details = {key: each._replace(time_s=1000.0) for key, each in found.details.items()}
    shares = {key: read_shares(files, key.pid, 1000.0) for key in everybody}
    maps = {}
    for key in found.processes:
        reading = read_map(files, key, "smaps")
        if isinstance(reading.map, Gap):
            reading = read_map(files, key, "maps", None, reading.map)
        maps[key] = reading.map
    # User names are this machine's; root is everywhere.
    everyone = {key: each._replace(uid=0) for key, each in found.processes.items()}
    found = found._replace(time_s=1000.0, processes=everyone, details=details, shares=shares)
    return found, maps


def minutes_of(now: Sample, count: int = 240) -> list[Sample]:
    """Samples a second apart that end at `now`, memory filling up, then freed by half, and again."""
    meminfo, pressure = now.system.meminfo, now.system.pressure
    assert not isinstance(meminfo, Gap)
    made = []
    for back in range(count - 1, -1, -1):
        slack = (back % 100) * meminfo["MemTotal"] // 400
        cached = meminfo.get("Cached", 0) * (100 - back % 37) // 100
        changed = {
            **meminfo,
            "MemFree": meminfo["MemFree"] // 2 + slack,
            "Cached": cached,
            "MemAvailable": meminfo["MemFree"] // 2 + slack + cached * 3 // 4,
        }
        stalled = pressure
        if isinstance(pressure, Pressure) and pressure.some and pressure.full:
            us = 20_000 * max(0, 60 - back)
            stalled = Pressure(
                pressure.some._replace(total_us=pressure.some.total_us + us),
                pressure.full._replace(total_us=pressure.full.total_us + us // 2),
            )
        system = now.system._replace(meminfo=changed, pressure=stalled)
        made.append(now._replace(time_s=now.time_s - back, system=system))
    return made


def java(files: Files | None = None) -> MemtuiApp:
    """A captured machine, with a Java process of 241 mappings chosen."""
    now, maps = captured("debian-6.18")
    return app_of(minutes_of(now, 2), maps, files=files)
