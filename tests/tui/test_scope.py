"""The scope: the host, or the control group around memtui as if it were the machine."""

from __future__ import annotations

import re

import pytest

from memtui.kernel.cgroups import Confinement
from memtui.kernel.files import Gap
from memtui.model.sample import Sample
from memtui.model.system.free import free_figures
from memtui.model.system.metrics import METRICS
from memtui.session.scope import in_group
from memtui.tui.app import MemtuiApp
from memtui.tui.pages.sar import SarTable
from memtui.tui.views.pressure import PAGES
from memtui.tui.widgets.bars import Header
from memtui.tui.widgets.graph import TimeGraph
from memtui.views import VIEWS
from tests.interface import app_of, captured, deliver, is_whole, press, running, screen, screen_text
from tests.moments import NO_MEMINFO, confined, dashboard, moment, toasts
from tests.samples import GIB, MIB

HEADER = 0


def pod(count: int = 30) -> MemtuiApp:
    """A container of 1.5 GiB on its host, its page cache growing."""
    now, maps = captured("pod")
    samples = []
    for back in range(count - 1, -1, -1):
        confinement = now.system.confinement
        assert isinstance(confinement, Confinement)
        current = confinement.group.current_bytes
        assert current is not None
        group = confinement.group._replace(current_bytes=current - back * MIB)
        system = now.system._replace(confinement=confinement._replace(group=group))
        samples.append(now._replace(time_s=now.time_s - back, system=system))
    return app_of(samples, maps)


def group_of(app: MemtuiApp) -> Sample:
    last = app.session.seen["host"].history.last
    assert last is not None
    found = in_group(last)
    assert found is not None
    return found


def headline(app: MemtuiApp) -> str:
    return screen_text(app)[1]


def graph_top(app: MemtuiApp) -> str:
    return app.query_one("#memory-graph").query_one(TimeGraph).render_line(0).text[:6].strip()


async def test_c_switches_all_of_the_overview() -> None:
    app = pod()
    async with running(app, (200, 60)) as pilot:
        host = screen_text(app)
        total = free_figures(captured("pod")[0].system.meminfo).total
        assert total is not None and total > 8 * GIB
        assert re.search(r"host · \d+(\.\d)? GiB", host[HEADER])
        await press(pilot, "c")
        assert app.session.scope == "group"
        inside = group_of(app)
        free = free_figures(inside.system.meminfo)
        assert free.total == 1536 * MIB
        confinement = inside.system.confinement
        assert isinstance(confinement, Confinement)
        name = confinement.group.path.rpartition("/")[2]
        assert "cgroup " + name[:20] in screen_text(app)[HEADER]
        assert "· 1.5 GiB" in screen_text(app)[HEADER]
        available = METRICS["mem_available_bytes"]
        assert f"available {available.text(free.available)}" in headline(app)
        assert graph_top(app).startswith("1.5")
        assert graph_top(app)[:4] != host[2].strip()[:4]
        verdict = app.session.seen["group"].verdict
        assert verdict is not None
        assert f"{available.text(free.available)} are available" in verdict.sentence
        assert verdict.sentence.partition(": ")[2] in screen(app)
        anonymous = inside.system.meminfo
        assert not isinstance(anonymous, Gap)
        assert re.search(
            r"anonymous +" + METRICS["anon_bytes"].text(anonymous["AnonPages"]), screen(app)
        )
        # Each scope has its hour.
        assert len(app.session.seen["group"].history) == len(app.session.seen["host"].history) == 30
        await press(pilot, "c")
        assert screen_text(app) == host


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (50, 12)])
async def test_every_view_in_both_scopes(size: tuple[int, int]) -> None:
    app = pod(5)
    async with running(app, size) as pilot:
        for view in VIEWS:
            await press(pilot, view.key)
            for _ in PAGES if view.name == "pressure" else range(2):
                await press(pilot, "c", "right")
                is_whole(app)
                assert app.session.scope in screen_text(app)[HEADER].replace("cgroup", "group")
        # What state it is in is there at any width.
        await press(pilot, "c", "c", "c", "space")
        assert "FROZEN" in screen_text(app)[HEADER]


async def test_pressure_is_the_groups() -> None:
    app = pod()
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "4")
        host = screen_text(app)
        await press(pilot, "c")
        inside = group_of(app)
        for name in ("some_avg10_pct", "full_avg300_pct", "mem_available_bytes", "anon_bytes"):
            metric = METRICS[name]
            text = metric.text(metric.value(inside, None))
            assert re.search(rf"{metric.label} [●▲]? +{re.escape(text)} ", screen(app)), name
        assert host != screen_text(app)
        await press(pilot, "right")
        meminfo = inside.system.meminfo
        assert not isinstance(meminfo, Gap)
        assert re.search(rf"kbmemfree +{meminfo['MemFree'] >> 10} ", screen(app))
        track = app.query_one(SarTable)._track
        assert track is not None
        assert len(track.figures) == 1  # nothing of the host before it
        await press(pilot, "right")
        assert "of the whole machine" in screen(app)
        await press(pilot, "c", "left", "left")
        assert screen_text(app)[4:] == host[4:]


async def test_the_balance_is_the_groups() -> None:
    app = pod(3)
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "5", "c")
        assert "of the group" in screen(app)
        assert "1.5 GiB" in screen(app)


async def test_without_a_limit_nothing_changes() -> None:
    for confinement in (None, Gap("proc/self/cgroup", "denied"), confined(limit_bytes=None)):
        app = dashboard(moment(1000.0, confinement=confinement))
        async with running(app) as pilot:
            before = screen_text(app)
            await press(pilot, "c")
            assert app.session.scope == "host"
            assert toasts(app) == [
                "no control group around memtui has a limit below the host's memory"
            ]
            app.clear_notifications()
            await press(pilot)
            assert screen_text(app) == before


async def test_a_limit_above_the_hosts_memory_is_none() -> None:
    app = dashboard(moment(1000.0, confinement=confined(limit_bytes=64 * GIB)))
    async with running(app) as pilot:
        await press(pilot, "c")
        assert app.session.scope == "host"


@pytest.mark.parametrize("view", ["1", "4", "5"])
async def test_the_limit_goes_away(view: str) -> None:
    app = dashboard(*(moment(1000.0 + at, confinement=confined()) for at in range(5)))
    async with running(app) as pilot:
        await press(pilot, view, "c")
        assert "cgroup shop · 1.5 GiB" in screen_text(app)[HEADER]
        await deliver(pilot, moment(1005.0, confinement=confined(limit_bytes=None)))
        assert app.session.scope == "host"
        assert "host · 16.0 GiB" in screen_text(app)[HEADER]
        assert toasts(app) == ["the group has no limit any more: this is the host"]
        is_whole(app)
        # And comes back.
        await deliver(pilot, moment(1006.0, confinement=confined()))
        assert app.session.scope == "host"
        await press(pilot, "c")
        assert "cgroup shop · 1.5 GiB" in screen_text(app)[HEADER]
        assert len(app.session.history) == 6


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (50, 12)])
async def test_a_group_whose_counters_are_gone(size: tuple[int, int]) -> None:
    gone = confined(current_bytes=None)
    gone = gone._replace(
        group=gone.group._replace(
            stat=Gap("memory.stat", "gone"),
            events=Gap("memory.events", "gone"),
            pressure=Gap("memory.pressure", "gone"),
        )
    )
    app = dashboard(moment(1000.0, confinement=confined()), moment(1001.0, confinement=confined()))
    async with running(app, size) as pilot:
        await press(pilot, "c")
        await deliver(pilot, *(moment(1002.0 + at, confinement=gone) for at in range(3)))
        for view in VIEWS:
            await press(pilot, view.key)
            is_whole(app)
        await press(pilot, "1")
        assert "available n/a" in screen(app)
        assert "cgroup shop" in screen_text(app)[HEADER]
        assert "Traceback" not in screen(app)


async def test_the_hosts_meminfo_gone_while_in_the_group() -> None:
    app = dashboard(moment(1000.0, confinement=confined()))
    async with running(app) as pilot:
        await press(pilot, "c", "4")
        await deliver(pilot, moment(1001.0, meminfo=NO_MEMINFO, confinement=confined()))
        assert app.session.scope == "host"  # whose total a limit is measured by
        is_whole(app)


@pytest.mark.parametrize(
    ("path", "shown", "size"),
    [
        ("/kubepods/\x1b[31mred\x1b[0m", "\\e[31mred", (80, 24)),
        ("/a/" + "long-name-" * 20, "long-name-", (61, 16)),
        ("/a/" + "long-name-" * 20, "long-name-", (120, 40)),
        ("/[bold]x", "[bold]x", (120, 40)),
        ("/a/한글 그룹", "한글 그룹", (61, 16)),
        ("/a/한글 그룹", "한글 그룹", (80, 24)),
        ("/a/\u202egnp", "\\u202egnp", (120, 40)),
        ("/", "/", (61, 16)),
        ("/a/\udcff\udcfe", "\\xff", (80, 24)),
    ],
)
async def test_names_of_groups_are_other_peoples(
    path: str, shown: str, size: tuple[int, int]
) -> None:
    app = dashboard(moment(1000.0, confinement=confined(path=path)))
    async with running(app, size) as pilot:
        for view in ("1", "4"):
            await press(pilot, view)
            if app.session.scope == "host":
                await press(pilot, "c")
            is_whole(app)
            header = screen_text(app)[HEADER]
            assert f"cgroup {shown}" in header
            assert "LIVE 1 s" in header
            assert "1.5 GiB" in header


async def test_the_state_outlasts_what_may_be_seen() -> None:
    """A narrow header says how it samples rather than what this user may see."""
    app = dashboard(moment(1000.0, confinement=confined()))
    async with running(app, (80, 24)) as pilot:
        await press(pilot, "c")
        for size, sight in (((60, 20), False), ((80, 24), True), ((50, 12), False)):
            await pilot.resize_terminal(*size)
            await press(pilot)
            header = screen_text(app)[HEADER]
            assert "LIVE 1 s" in header
            assert ("maps of own" in header) == sight, header
        assert isinstance(app.query_one("#header"), Header)


async def test_frozen_the_other_scope_is_of_that_moment_too() -> None:
    app = dashboard(*(moment(1000.0 + at, confinement=confined(300 * MIB)) for at in range(5)))
    async with running(app) as pilot:
        await press(pilot, "c", "space")
        then = screen_text(app)
        await press(pilot, "c")
        host = screen_text(app)
        later = [
            moment(1005.0 + at, meminfo={"MemFree": GIB}, confinement=confined(900 * MIB))
            for at in range(9)
        ]
        await deliver(pilot, *later)
        assert screen_text(app) == host
        await press(pilot, "c")
        assert screen_text(app) == then
        await press(pilot, "space")
        assert screen_text(app)[1] != then[1]
