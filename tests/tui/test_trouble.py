"""What views do with figures that are missing or mad, frozen screens, and poor terminals."""

from __future__ import annotations

import itertools
import re

import pytest
from textual.pilot import Pilot
from wcwidth import wcswidth

from memtui.kernel.files import Gap
from memtui.tui.app import MemtuiApp
from memtui.tui.pages.figures import FigureTable
from memtui.tui.views.pressure import PAGES
from memtui.views import VIEWS
from tests.interface import (
    app_of,
    captured,
    deliver,
    is_whole,
    minutes_of,
    press,
    running,
    screen,
    screen_text,
    settle,
    until,
)
from tests.moments import (
    NO_MEMINFO,
    NO_PSI,
    NO_VMSTAT,
    PSI_OFF,
    dashboard,
    events_page,
    moment,
    trouble,
)
from tests.samples import GIB

SIZES = [(80, 24), (120, 40), (200, 60), (50, 12)]


# Figures that are missing.

HOLES: dict[str, dict[str, Gap]] = {
    "PSI off": {"pressure": PSI_OFF},
    "no PSI": {"pressure": NO_PSI},
    "no vmstat": {"vmstat": NO_VMSTAT},
    "no meminfo": {"meminfo": NO_MEMINFO},
    "nothing": {"pressure": NO_PSI, "vmstat": NO_VMSTAT, "meminfo": NO_MEMINFO},
}


@pytest.mark.parametrize(
    ("hole", "size"),
    [
        ("PSI off", (80, 24)),
        ("PSI off", (200, 60)),
        ("no PSI", (120, 40)),
        ("no PSI", (50, 12)),
        ("no vmstat", (80, 24)),
        ("no vmstat", (50, 12)),
        ("no meminfo", (120, 40)),
        ("no meminfo", (200, 60)),
        *(("nothing", size) for size in SIZES),
    ],
)
async def test_no_view_minds_what_is_missing(hole: str, size: tuple[int, int]) -> None:
    missing = HOLES[hole]
    app = dashboard(*(moment(1000.0 + at, **missing) for at in range(4)))  # type: ignore[arg-type]
    async with running(app, size) as pilot:
        for view in VIEWS:
            await press(pilot, view.key)
            is_whole(app)
            if view.name == "pressure":
                for _ in PAGES:
                    await press(pilot, "right")
                    is_whole(app)
        # Come and gone while it is looked at.
        await press(pilot, "4")
        await deliver(pilot, moment(1004.0), moment(1005.0))
        await deliver(pilot, moment(1006.0, **missing))  # type: ignore[arg-type]
        is_whole(app)
        if size != (50, 12):
            assert "n/a" in screen(app) or hole == "no vmstat"


REASONS = {
    "PSI off": "some n/a: PSI is off (boot with psi=1)",
    "no PSI": "some n/a: this kernel has no PSI",
    "nothing": "Nothing to judge by",
}


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("hole", REASONS)
async def test_what_is_missing_is_said(hole: str, size: tuple[int, int]) -> None:
    app = dashboard(*(moment(1000.0 + at, **HOLES[hole]) for at in range(3)))  # type: ignore[arg-type]
    async with running(app, size) as pilot:
        line = next(line for line in screen_text(app) if "stalls n/a" in line)
        assert re.search("stalls n/a: (PSI is off|this kernel has no PSI)", line)
        await press(pilot, "4")
        assert REASONS[hole] in screen(app)
        assert "tasks waited" not in screen(app)  # over a graph of nothing


async def test_psi_that_comes_and_goes() -> None:
    app = dashboard(moment(1000.0, pressure=PSI_OFF))
    async with running(app) as pilot:
        await press(pilot, "4")
        assert "tasks waited" not in screen(app)
        await deliver(pilot, moment(1001.0), moment(1002.0, some_us=500_000))
        assert "tasks waited for memory: some above, all below" in screen(app)
        assert app.session.history.latest("stalled_some_pct") == 50
        await press(pilot, "1")
        assert "stalled 50.0 %" in screen(app)


# Counters that go backwards, and time that was not lived through.


async def test_a_counter_that_goes_backwards_is_no_rate() -> None:
    samples = trouble(5, 10)
    app = dashboard(*samples)
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "4")
        assert " 4 000 " in screen(app)
        await deliver(pilot, moment(samples[-1].time_s + 1, some_us=5))
        lines = screen_text(app)
        for label in ("anon refaults", "major faults", "stalls   some"):
            line = next(line for line in lines if label in line)
            assert re.search(f"{label}( ▲)? +n/a", line), line
        await press(pilot, "right")
        assert re.search(r"majflt/s +n/a", screen(app))
        assert "inf" not in screen(app) and "-700" not in screen(app)


async def test_a_suspended_machine_leaves_a_hole() -> None:
    before = [moment(1000.0 + at, some_us=at * 100_000) for at in range(60)]
    after = [moment(1180.0 + at, some_us=6_000_000 + at * 100_000) for at in range(60)]
    app = dashboard(*before, *after)
    async with running(app) as pilot:
        await press(pilot, "4", "down", "down")
        table = app.query_one(FigureTable)
        picture = table.row_texts(0, ["picture"])["picture"][0]
        assert re.fullmatch(r" *█+ +▂?█+", str(picture)), picture
        assert "nothing was seen for" in " ".join(await events_page(app, pilot))


async def test_time_that_goes_back_begins_anew() -> None:
    app = dashboard(*trouble())
    async with running(app) as pilot:
        for page in range(len(PAGES)):
            await press(pilot, "4", *["right"] * (page > 0))
            await deliver(pilot, moment(10.0 - page), moment(11.0 - page))
            is_whole(app)
        assert app.session.seen["host"].verdict.level == "comfortable"  # type: ignore[union-attr]


# Frozen.


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_frozen_every_page_is_of_that_moment(size: tuple[int, int]) -> None:
    app = dashboard(*trouble(5, 10))
    async with running(app, size) as pilot:
        await press(pilot, "space")
        app.clear_notifications()
        screens = await tour(app, pilot)
        later = [
            moment(1016.0 + at, meminfo={"MemFree": GIB}, vmstat={"pgfault": 5000 * at})
            for at in range(40)
        ]
        await deliver(pilot, *later)
        app.clear_notifications()
        assert await tour(app, pilot) == screens
        assert len(app.session.history) == 56


@pytest.mark.parametrize("size", [(120, 40), (50, 12)])
async def test_a_frozen_screen_drawn_anew_is_still_of_then(size: tuple[int, int]) -> None:
    app = dashboard(*trouble(5, 10))
    async with running(app, size) as pilot:
        await press(pilot, "4", "space")
        app.clear_notifications()
        await settle(pilot)
        before = screen_text(app)
        await deliver(pilot, *(moment(1016.0 + at, meminfo={"MemFree": GIB}) for at in range(30)))
        app.clear_notifications()
        for width, height in ((100, 30), size):
            await pilot.resize_terminal(width, height)
            await settle(pilot)
        assert screen_text(app) == before
        await press(pilot, "space")
        await until(pilot, lambda: "LIVE" in screen_text(app)[0], "live")
        assert "thrashing" not in screen(app)


async def tour(app: MemtuiApp, pilot: Pilot[None]) -> list[list[str]]:
    """The overview, and every page of the pressure view with its cursor moved."""
    await press(pilot, "1")
    screens = [screen_text(app)]
    for _ in PAGES:
        await press(pilot, "4", "home", "down")
        screens.append(screen_text(app))
        await press(pilot, "right")
    return screens


# Terminals.


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_names_in_every_view(size: tuple[int, int]) -> None:
    now, maps = captured("hostile")
    app = app_of(minutes_of(now, 5), maps)
    async with running(app, size) as pilot:
        for view, scope in itertools.product(VIEWS, ("", "c")):
            await press(pilot, view.key, *scope)
            is_whole(app)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "linux")])
async def test_without_colours(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    app = dashboard(*trouble())
    async with running(app, (200, 60)) as pilot:
        assert "▲ thrashing" in screen(app)
        await press(pilot, "4")
        text = screen(app)
        assert "▲ thrashing" in text
        assert re.search(r"some ▲ +20 %", text)  # evidence is told by more than colour
        assert not re.search(r"some 10 s ▲", text)
        if name == "TERM":
            assert not re.search("[\u2800-\u28ff▁▂▃▅▆▇]", text), text
        assert {wcswidth(line) for line in screen_text(app)} == {200}


@pytest.mark.parametrize("size", [(50, 12), (40, 14), (59, 24), (120, 14)])
async def test_a_tiny_terminal_has_the_verdict_whole(size: tuple[int, int]) -> None:
    for samples in (trouble(), [moment(1000.0), moment(1001.0)]):
        app = dashboard(*samples)
        async with running(app, size):
            verdict = app.session.seen["host"].verdict
            assert verdict is not None
            words = " ".join(screen(app).split())
            level, _, sentence = verdict.sentence.partition(": ")
            assert level.lower() in words
            assert sentence in words
            for word in ("available", "swap", "stalled"):
                assert word in words
            is_whole(app)


@pytest.mark.parametrize(("size", "swap"), [((80, 24), " swap "), ((120, 40), " swap ")])
async def test_the_overviews_line_says_why(size: tuple[int, int], swap: str) -> None:
    app = dashboard(*trouble())
    async with running(app, size):
        line = next(line for line in screen_text(app) if "▲ thrashing" in line)
        assert "stalled 20.0 %" in line
        assert swap + "1.0" in line
        assert "4 000 pages a second come" in line
        assert line.rstrip().endswith(" …")
