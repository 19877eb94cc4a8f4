"""From a line of the balance to who holds it: processes, owners, sections, a group."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from textual.pilot import Pilot

from memtui.kernel.cgroups import read_levels
from memtui.kernel.livefiles import LiveFiles
from memtui.model.system.balance import UNACCOUNTED
from memtui.ondemand.questions import ShmemOwners
from memtui.tui.pages import SECTIONS
from memtui.tui.sheets.group import GroupSheet, gauge
from memtui.tui.sheets.owners import OwnersSheet
from memtui.tui.views.physical import PhysicalView
from memtui.tui.views.processes import ProcessesView
from tests.interface import app_of, is_whole, loaded, press, running, screen, screen_text, until
from tests.tui.views.test_physical import dashboard, sampled

HOLDS = """
import os, sys
pool = os.memfd_create("memtui-sheet")
os.write(pool, b"x" * (9 << 20))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


async def into_line(pilot: Pilot[None], name: str) -> None:
    """Enter on a line of the balance."""
    await press(pilot, "5", "enter")
    rows = pilot.app.query_one(PhysicalView).rows
    at = list(rows.page.keys).index(name)  # type: ignore[attr-defined]
    await press(pilot, "home", *["down"] * at)
    await press(pilot, "enter")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_shared_memory_goes_to_who_holds_it(holder: int, size: tuple[int, int]) -> None:
    app = app_of([sampled()], {}, files=LiveFiles())
    async with running(app, size) as pilot:
        await into_line(pilot, "shmem")
        assert isinstance(app.screen, OwnersSheet)
        await loaded(pilot)
        assert "of shared memory (Shmem)" in screen(app)
        is_whole(app)
        # Others may hold more.
        names = [row["name"][0] for row in app.screen.table.page.rows]
        await press(pilot, "home", *["down"] * names.index("memtui-sheet"))
        (line,) = (line for line in screen_text(app) if "▌" in line)
        assert "memtui-sheet" in line
        assert "9.0 MiB" in line
        is_whole(app)
        await press(pilot, "escape")
        assert app.view_name == "physical"


async def test_it_is_read_on_request_alone_and_can_be_stopped() -> None:
    app = app_of([sampled()], {}, files=LiveFiles())
    async with running(app) as pilot:
        await press(pilot, "5", "enter", "down", "down")
        assert not any(isinstance(each.question, ShmemOwners) for each in app.asking._waiting)
        app.push_screen(sheet := OwnersSheet(app.session))
        await until(pilot, lambda: sheet._asked is not None, "asked")
        await press(pilot, "escape")
        await until(
            pilot,
            lambda: app.screen is not sheet or "stopped before" in screen(app) or sheet._found,
            "stopped or done",
        )


@pytest.mark.parametrize(
    ("line", "column"), [("anon", "anon"), ("page_tables", "tables"), ("swap_cache", "swap")]
)
async def test_a_line_goes_to_the_processes_by_that(line: str, column: str) -> None:
    app = dashboard()
    async with running(app, (200, 60)) as pilot:
        await into_line(pilot, line)
        assert app.view_name == "processes"
        processes = app.query_one(ProcessesView).processes
        assert processes.sorted_by() == (column, True)
        assert column in {each.name for each, _ in processes.columns()}
        assert processes.cursor == 0
        is_whole(app)


async def test_slabs_and_pools_have_sections_of_their_own() -> None:
    app = dashboard()
    async with running(app) as pilot:
        for line, section in (("slab_unreclaimable", "slabs"), ("free", "zones"), ("zram", "swap")):
            await into_line(pilot, line)
            assert app.query_one(PhysicalView).section.name == section
            await press(pilot, "escape", "home")
        # What nobody accounts for is held by nobody.
        await into_line(pilot, UNACCOUNTED)
        assert app.view_name == "physical"


async def test_a_group_goes_to_its_processes_and_how_full_it_is() -> None:
    app = dashboard()
    async with running(app) as pilot:
        at = [each.name for each in SECTIONS].index("cgroups")
        await press(pilot, "5", *["down"] * at, "enter", "enter")
        assert isinstance(app.screen, GroupSheet)
        await loaded(pilot)
        is_whole(app)
        await press(pilot, "escape")
        assert app.view_name == "physical"


def test_a_gauge_says_what_is_left(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("root")
    group = root / "sys/fs/cgroup/a"
    group.mkdir(parents=True)
    (root / "sys/fs/cgroup/cgroup.controllers").write_text("memory\n")
    (group / "memory.current").write_text("94371840\n")
    (group / "memory.max").write_text("104857600\n")
    (level, *_) = read_levels(LiveFiles(str(root)), "/a", 2)
    text = "".join(part for part, _ in gauge(level, True, 120))
    assert "90 %" in text
    assert "90.0 MiB of 100 MiB" in text
    assert "10.0 MiB left" in text
    assert text.count("█") == 36
