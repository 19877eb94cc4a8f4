"""Makes the pictures in this folder: `python -m screenshots.make`, from the project's own folder.

They show the program of today on captured hosts in tests/hosts. A capture is one moment,
so the minutes before it are made by arithmetic: a service that grows, a cache that gives way.
"""

from __future__ import annotations

import asyncio
import math
import re
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure
from memtui.model.sample import ProcessSample, Sample
from memtui.tui.sheets import help as help_sheet
from tests.conftest import open_host
from tests.interface import MACHINE, Script, app_on, captured, settle
from tests.past import today_at, with_past
from tests.situations import load

HERE = Path(__file__).parent
HOST = "debian-6.18"
NODES = "numa"  # with all that physical memory can have
LEAKING = "leaking"  # one process, and in leaking-later the same some seconds later


class Picture(NamedTuple):
    """File, size, keys pressed before it is taken, and the host if it is another.

    "later" among the keys reads the map as it was later. Of a recorded situation, the first `seconds`
    are shown on that host. `is_past`: it can be wound back.
    """

    name: str
    size: tuple[int, int]
    keys: tuple[str, ...] = ()
    host: str = HOST
    situation: str = ""
    seconds: int = 0
    is_past: bool = False


_TO_POSTGRES = ("down", "down", "down", "enter")
PICTURES = (
    Picture("overview-80x24", (80, 24)),
    Picture("overview-120x40", (120, 40)),
    Picture("overview-200x60", (200, 60)),
    Picture("map-120x40", (120, 40), (*_TO_POSTGRES, "down", "down")),
    Picture("map-80x24", (80, 24), _TO_POSTGRES),
    Picture("zoomed-120x40", (120, 40), (*_TO_POSTGRES, *["down"] * 5, "plus", "plus")),
    Picture("changes-120x40", (120, 40), ("enter", "m", "later", "d"), LEAKING),
    Picture(
        "pressure-120x40", (120, 40), ("4", "minus", "plus", "plus"), HOST, "squeezed-to-death", 33
    ),
    Picture("past-120x40", (120, 40), (*["left_curly_bracket"] * 2,), is_past=True),
    Picture("oom-120x40", (120, 40), ("4", "left", "left")),
    Picture("processes-120x40", (120, 40), ("2", "down", "down", "down")),
    Picture("physical-120x40", (120, 40), ("5",), NODES),
    Picture("physical-200x60", (200, 60), ("5", "down", "down"), NODES),
    Picture("explain-100x40", (100, 40), ("4", *["down"] * 30, "i")),
    Picture("help", (100, 40), ("question_mark",)),
)

# As a dashboard's help tells it after its first minute; this script's own would be none of memtui's.
COST = "itself: 0.7 s of processor time, PSS 40.4 MiB"

# What of their last size some processes gained in the minutes shown.
GROWTH = {"java": 0.11, "postgres": 0.02, "nginx": -0.05}


def earlier(process: ProcessSample, age: float) -> int | None:
    """What a process had in memory, in bytes, at an age from 1, the first, to 0, now."""
    if process.rss_bytes is None:
        return None
    return int(process.rss_bytes * (1 - GROWTH.get(process.name, 0) * age)) // 4096 * 4096


def story(now: Sample, seconds: int = 330) -> list[Sample]:
    """Samples a second apart that end at `now`."""
    meminfo, pressure = now.system.meminfo, now.system.pressure
    assert not isinstance(meminfo, Gap)
    assert isinstance(pressure, Pressure)
    assert pressure.some is not None
    assert pressure.full is not None
    samples = []
    stalled_us = 0
    for back in range(seconds, -1, -1):
        age = back / seconds
        # The cache fills until a service grows into it two minutes before the end.
        grown = 1 / (1 + math.exp((back - 120) / 9))
        cache = 1.9 - 0.9 * grown + 0.03 * math.sin(back / 7)
        given_way = (cache - 1) * meminfo["Cached"]
        before_growth = (1 - grown) * 4.2e9 + age * 0.6e9 + 2e7 * math.sin(back / 3)
        free = int(meminfo["MemFree"] + before_growth - given_way)
        changed = {
            **meminfo,
            "MemFree": free,
            "Cached": int(meminfo["Cached"] * cache),
            "MemAvailable": int(meminfo["MemAvailable"] + before_growth - 0.1 * given_way),
        }
        stalled_us += int(9e4 * math.exp(-(((back - 118) / 10) ** 2)))
        some = pressure.some._replace(total_us=stalled_us)
        full = pressure.full._replace(total_us=stalled_us // 3)
        processes = {
            key: each._replace(rss_bytes=earlier(each, age)) for key, each in now.processes.items()
        }
        system = now.system._replace(meminfo=changed, pressure=Pressure(some, full))
        samples.append(now._replace(time_s=now.time_s - back, system=system, processes=processes))
    return samples


def recorded(now: Sample, name: str, seconds: int) -> list[Sample]:
    """The first seconds of a recorded situation, as if that host had been in it."""
    samples = load(name).machine[: seconds + 1]
    late = now.time_s - samples[-1].time_s
    return [
        now._replace(
            time_s=each.time_s + late,
            system=now.system._replace(
                meminfo=each.system.meminfo,
                vmstat=each.system.vmstat,
                pressure=each.system.pressure,
            ),
        )
        for each in samples
    ]


async def take(picture: Picture) -> None:
    """One picture."""
    host = picture.host
    now, maps = captured(host)
    machine = MACHINE._replace(name="db7", sight="maps of all processes")
    script = Script(maps, open_host(host), machine)
    app = app_on(script)
    samples = story(now)
    if picture.situation:
        samples = recorded(now, picture.situation, picture.seconds)
    samples = samples[-240:]
    for sample in samples:
        app.deliver(sample)
    if picture.is_past:
        with_past(app, samples)
        today_at(app, samples[-1], 14, 34, 8)
    async with app.run_test(size=picture.size) as pilot:
        await settle(pilot)
        for key in picture.keys:
            if key == "later":
                key_of_map = app.session.chosen.key
                assert key_of_map
                script.read(key_of_map, captured(f"{host}-later")[1][key_of_map])
            else:
                await pilot.press(key)
            await settle(pilot)
        if not (picture.situation or picture.is_past):
            app.deliver(samples[-1]._replace(time_s=samples[-1].time_s + 1))
            await settle(pilot)
        svg = app.export_screenshot(title=" ")
    # The fonts that Textual names would be fetched from elsewhere: any monospaced one will do.
    svg = re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "DejaVu Sans Mono")
    path = HERE / f"{picture.name}.svg"
    path.write_text(svg + "\n" if not svg.endswith("\n") else svg)
    print(path.name)


def main() -> None:
    with patch.object(help_sheet, "own_cost", lambda: COST):
        for picture in PICTURES:
            asyncio.run(take(picture))


if __name__ == "__main__":
    main()
