"""What the tests of the interface share: a source that plays what it is given, and the screen as text."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache

from textual.pilot import Pilot
from textual.strip import Strip
from textual.widget import Widget

from memtui.kernel.files import Gap
from memtui.kernel.maps import parse_maps
from memtui.kernel.pressure import Pressure, Stall
from memtui.model.addressmap import AddressMap, MapReading
from memtui.model.sample import ProcessKey, ProcessSample, Sample, SystemSample
from memtui.sampling import Plan, Sampler, read_map
from memtui.targets import Target
from memtui.tui.app import MemtuiApp
from tests.conftest import open_host

Maps = Mapping[ProcessKey, AddressMap | Gap]
GIB = 1 << 30


class Script:
    """A source that hands in the samples and maps of a test, at once and in order."""

    def __init__(self, maps: Maps) -> None:
        self.interval_s = 1.0
        self.maps = dict(maps)
        self.plan = Plan()
        self.plans: list[Plan] = []
        self.app: MemtuiApp | None = None

    def start(
        self, on_sample: Callable[[Sample], None], on_map: Callable[[MapReading], None]
    ) -> None:
        """Nothing of its own: tests deliver."""

    def stop(self) -> None:
        """Nothing to stop."""

    def may_read_map(self, key: ProcessKey) -> bool:
        return isinstance(self.maps.get(key), AddressMap)

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
        # Read in the future: its age is 0 s on every screen.
        self.app.deliver(MapReading(key, found, None, math.inf, 0.0))


def app_of(samples: Iterable[Sample], maps: Maps, target: Target | None = None) -> MemtuiApp:
    """The application with its samples in the inbox."""
    script = Script(maps)
    app = MemtuiApp(script, host="testhost", sight="maps of own processes", target=target)
    script.app = app
    for each in samples:
        app.deliver(each)
    return app


def script_of(app: MemtuiApp) -> Script:
    assert isinstance(app.source, Script)
    return app.source


async def settle(pilot: Pilot[None]) -> None:
    """Waits until what follows from what follows is on the screen.

    Graphs are mounted after the first frame and drawn when they hear of their size: the largest is
    waited for, where there is room and something to draw.
    """
    for _ in range(4):
        await pilot.pause()
    app = pilot.app
    assert isinstance(app, MemtuiApp)
    for _ in range(40):
        if app.is_tiny or app.view_name != "overview" or not len(app.history):
            break
        if any(strip.text.strip() for graph in app.query("TimeGraph") for strip in lines_of(graph)):
            break
        await pilot.pause()


def lines_of(widget: Widget) -> list[Strip]:
    """A widget's lines as it draws them."""
    return [widget.render_line(y) for y in range(widget.size.height)]


@asynccontextmanager
async def running(app: MemtuiApp, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Pilot[None]]:
    """The application on a screen of that size, its samples shown."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        yield pilot


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await settle(pilot)


async def deliver(pilot: Pilot[None], *samples: Sample) -> None:
    """New samples, shown."""
    assert isinstance(pilot.app, MemtuiApp)
    for each in samples:
        pilot.app.deliver(each)
    await settle(pilot)


def screen_text(app: MemtuiApp) -> list[str]:
    """The lines of the screen, as the terminal gets them."""
    return [strip.text for strip in app.screen._compositor.render_strips(app.size)]


def screen(app: MemtuiApp) -> str:
    return "\n".join(screen_text(app))


# Samples made by hand.


def process(
    pid: int, name: str, rss_mib: float, start: int = 1, state: str = "S", **more: int | bool
) -> ProcessSample:
    rss = int(rss_mib * 2**20)
    made = ProcessSample(
        ProcessKey(pid, start), name, state, False, 2 * rss, rss, 0, 1, 1, 0, 0, pid
    )
    return made._replace(**more)  # type: ignore[arg-type]


def sample(time_s: float, *processes: ProcessSample, free: int = 4 * GIB) -> Sample:
    meminfo = {
        "MemTotal": 16 * GIB,
        "MemFree": free,
        "MemAvailable": free + 5 * GIB,
        "Buffers": GIB,
        "Cached": 5 * GIB,
        "SReclaimable": 0,
        "Shmem": 0,
        "SwapTotal": 2 * GIB,
        "SwapFree": GIB,
    }
    pressure = Pressure(Stall(1.0, 2.0, 3.0, 0), Stall(0.1, 0.2, 0.3, 0))
    system = SystemSample(meminfo, {}, pressure)
    return Sample(time_s, 1.0, system, {each.key: each for each in processes})


def map_of(key: ProcessKey, name: str, heap_pages: int = 16) -> AddressMap:
    """A small map: three mappings of a file, a heap, a stack, all but the last half resident."""
    pieces = [
        (0x555000, 4, "r--p", f"/bin/{name}"),
        (0x555004, 16, "r-xp", f"/bin/{name}"),
        (0x555014, 4, "rw-p", f"/bin/{name}"),
        (0x556000, heap_pages, "rw-p", "[heap]"),
        (0x7FFFF0, 33, "rw-p", "[stack]"),
    ]
    text = ""
    for first, pages, perms, path in pieces:
        inode = 9 if path.startswith("/") else 0
        text += f"{first << 12:x}-{first + pages << 12:x} {perms} 0 8:1 {inode} {path}\n"
        half = pages * 2
        text += f"Size: {2 * half} kB\nRss: {half} kB\nPss: {half} kB\nPrivate_Dirty: {half} kB\n"
    return AddressMap(key, parse_maps(text.encode()))


# A captured machine.


@lru_cache
def captured(host: str) -> tuple[Sample, Maps]:
    """A captured host's sample, at a fixed time, and the maps of its processes."""
    files = open_host(host)
    found = Sampler(files).sample()
    maps = {}
    for key in found.processes:
        reading = read_map(files, key, "smaps")
        if isinstance(reading.map, Gap):
            reading = read_map(files, key, "maps", None, reading.map)
        maps[key] = reading.map
    # User names are this machine's; root is everywhere.
    everyone = {key: each._replace(uid=0) for key, each in found.processes.items()}
    return found._replace(time_s=1000.0, processes=everyone), maps


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
