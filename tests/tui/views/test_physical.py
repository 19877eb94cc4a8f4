"""The physical view in the application: its list, its sections, keys, mouse, sizes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.model.sample import Sample
from memtui.tui.app import MemtuiApp
from memtui.tui.pages import SECTIONS
from memtui.tui.sheets.pagetypes import PageTypesSheet
from memtui.tui.views.physical import PhysicalView
from tests.conftest import open_host
from tests.interface import (
    answer,
    app_of,
    captured,
    deliver,
    is_whole,
    loaded,
    press,
    running,
    screen,
    screen_text,
    script_of,
    settle,
)
from tests.physical import machine

SIZES = ((80, 24), (120, 40), (200, 60))
NAMES = [section.name for section in SECTIONS]


def sampled(host: str = "debian-6.18", time_s: float = 1000.0, **changed: object) -> Sample:
    """A captured machine with its processes, and all that the view reads."""
    now = machine(host)
    system = now.system._replace(**changed)  # type: ignore[arg-type]
    return captured(host)[0]._replace(time_s=time_s, system=system)


def dashboard(
    host: str = "debian-6.18", files: Files | None = None, **changed: object
) -> MemtuiApp:
    return app_of([sampled(host, 1000.0, **changed)], captured(host)[1], files=files)


def view(pilot: Pilot[None]) -> PhysicalView:
    return pilot.app.query_one(PhysicalView)


async def go(pilot: Pilot[None], name: str) -> None:
    """To a section, from the list."""
    await press(pilot, "escape", "home", *["down"] * NAMES.index(name))
    assert view(pilot).section.name == name


Test = Callable[[Pilot[None]], Coroutine[Any, Any, None]]


def on(
    size: tuple[int, int] = (80, 24), host: str = "debian-6.18", **changed: object
) -> Callable[[Test], Callable[[], Coroutine[Any, Any, None]]]:
    """Runs a test on a captured machine with the view open."""

    def decorate(test: Test) -> Callable[[], Coroutine[Any, Any, None]]:
        @wraps(test)
        async def run() -> None:
            files = open_host(host)
            async with running(dashboard(host, files, **changed), size) as pilot:
                await press(pilot, "5")
                await test(pilot)

        del run.__wrapped__  # pytest would ask for its arguments
        return run

    return decorate


@pytest.mark.parametrize(
    ("host", "size"),
    [
        ("debian-6.18", (80, 24)),
        ("debian-6.18", (200, 60)),
        ("numa", (120, 40)),
        ("hostile", (80, 24)),
        ("hostile", (120, 40)),
        ("arm64-64k", (80, 24)),
        ("container", (200, 60)),
    ],
)
async def test_every_section_fills_the_screen(host: str, size: tuple[int, int]) -> None:
    async with running(dashboard(host), size) as pilot:
        await press(pilot, "5")
        for section in SECTIONS:
            is_whole(pilot.app)
            assert view(pilot).section is section
            text = screen(pilot.app)
            assert section.title in text
            # It may be read, so it is never said that it was not.
            assert "not read yet" not in text
            await press(pilot, "tab", "end", "tab", "tab", "down")
            if not view(pilot).main.has_focus:
                view(pilot).main.focus()
            await go(pilot, section.name)
            await press(pilot, "down")


@on()
async def test_the_list_says_all_at_a_glance(pilot: Pilot[None]) -> None:
    lines = [line[1:27].split("  ") for line in screen_text(pilot.app)[2 : 2 + len(SECTIONS)]]
    found = {line[0].strip(): line[-1].strip() for line in lines}
    assert list(found) == [section.title for section in SECTIONS]
    assert found["Fragmentation"] == "2 MiB: yes"
    assert found["Swap"] == "791M/4.0G"
    assert found["KSM"] == "off"


@on()
async def test_only_what_is_shown_is_read(pilot: Pilot[None]) -> None:
    assert isinstance(pilot.app, MemtuiApp)
    source = script_of(pilot.app)
    assert "slabs" not in source.plan.fields
    assert source.plan.fields >= {"zones", "free_blocks", "confinement"}
    await go(pilot, "slabs")
    assert "slabs" in source.plan.fields
    assert "thp" not in source.plan.fields
    await go(pilot, "hugepages")
    assert "slabs" not in source.plan.fields
    await press(pilot, "1")
    assert source.plan.fields == {"accounts"}  # of which a figure is made at every tick


@on((200, 60))
async def test_what_stands_beside_is_read_too(pilot: Pilot[None]) -> None:
    assert isinstance(pilot.app, MemtuiApp)
    fields = script_of(pilot.app).plan.fields
    assert fields >= {"swaps", "thp", "nodes"}
    assert "slabs" not in fields
    # A click on one beside makes it the one that is read.
    swap = next(at for at, line in enumerate(screen_text(pilot.app)) if " Swap" in line[120:])
    await pilot.click(offset=(150, swap))
    await settle(pilot)
    assert view(pilot).section.name == "swap"
    is_whole(pilot.app)


@on((120, 40))
async def test_slabs_are_sorted_and_filtered(pilot: Pilot[None]) -> None:
    await go(pilot, "slabs")
    rows = view(pilot).rows

    def names() -> list[str]:
        return [str(row["name"][0]) for row in rows.page.rows]

    await press(pilot, "enter")
    assert rows.has_focus
    assert names()[0] == "ext4_inode_cache"
    await press(pilot, "I")
    assert names()[-1] == "ext4_inode_cache"
    # The cursor has stayed with its cache.
    assert names()[rows.cursor] == "ext4_inode_cache"
    await press(pilot, "I", "s")
    assert rows.sorted_by() == ("use", False)
    x = 1
    for column, cells in rows.columns():
        if column.name == "name":
            break
        x += cells + 1
    await pilot.click(rows, offset=(x, 0))
    await settle(pilot)
    assert rows.sorted_by() == ("name", False)
    await press(pilot, "slash")
    await answer(pilot, "inode")
    assert names()
    assert all("inode" in name for name in names())
    assert "filter inode" in screen(pilot.app)
    is_whole(pilot.app)
    await press(pilot, "escape")
    assert len(names()) > 100
    await press(pilot, "escape")
    assert view(pilot).main.has_focus


@on()
async def test_a_click_opens_a_section_and_a_row(pilot: Pilot[None]) -> None:
    row = NAMES.index("fragmentation") + 1
    await pilot.click("#sections", offset=(3, row))
    await settle(pilot)
    assert view(pilot).section.name == "fragmentation"
    await pilot.click(view(pilot).rows, offset=(3, 4))
    await settle(pilot)
    assert view(pilot).rows.cursor == 3
    assert "DMA32, unusable" in screen(pilot.app)
    assert view(pilot).topics == ("fragmentation",)


@on()
async def test_the_line_under_the_cursor_explains_itself(pilot: Pilot[None]) -> None:
    assert view(pilot).topics == ("balance",)
    await press(pilot, "enter", "down", "down", "down")
    assert view(pilot).topics == ("page cache",)
    left = " ".join(line[:27].strip() for line in screen_text(pilot.app)[12:])
    assert "cache, clean Enter: control groups" in left
    assert "Contents of files" in left


@on()
async def test_the_cursor_comes_back_to_its_row(pilot: Pilot[None]) -> None:
    await press(pilot, "enter", "down", "down", "down")
    await go(pilot, "zones")
    assert view(pilot).rows.cursor == 0
    await go(pilot, "balance")
    assert view(pilot).rows.cursor == 3


@on(slabs=Gap("proc/slabinfo", "denied"), swaps=None, zones=Gap("proc/zoneinfo", "absent"))
async def test_what_cannot_be_read_says_why(pilot: Pilot[None]) -> None:
    await go(pilot, "slabs")
    assert "root only" in screen(pilot.app)
    await press(pilot, "enter", "s", "I")  # nothing to go into, and no harm
    await go(pilot, "swap")
    assert "swap: not read yet" in screen(pilot.app)
    await go(pilot, "zones")
    assert "This kernel has none: there is no /proc/zoneinfo." in screen(pilot.app)
    is_whole(pilot.app)
    # It comes when it is read.
    await deliver(pilot, sampled(time_s=1001.0))
    assert "DMA32" in screen(pilot.app)
    # And is gone when it is gone.
    await deliver(pilot, sampled(time_s=1002.0, zones=Gap("proc/zoneinfo", "gone")))
    assert "the zones: /proc/zoneinfo cannot be read: it is" in screen(pilot.app)
    is_whole(pilot.app)


@on()
async def test_other_sections_are_neither_sorted_nor_filtered(pilot: Pilot[None]) -> None:
    before = view(pilot).rows.page.rows
    await press(pilot, "s", "slash", *"q1x")
    # What is typed after it goes nowhere else, and is told why nothing comes of it.
    assert "only slab caches and control groups" in screen_text(pilot.app)[-1]
    assert view(pilot).rows.page.rows == before
    await press(pilot, "escape", "I")
    assert view(pilot).rows.page.rows == before
    assert view(pilot).main.has_focus


@on((120, 40))
async def test_page_types_are_read_on_demand(pilot: Pilot[None]) -> None:
    await press(pilot, "p")
    assert isinstance(pilot.app.screen, PageTypesSheet)
    await loaded(pilot)
    text = screen(pilot.app)
    assert "page blocks of 2.0 MiB" in text
    assert "Unmovable" in text
    assert "free blocks from one page up" in text
    is_whole(pilot.app)
    await press(pilot, "y", "escape")
    assert view(pilot).main.has_focus


async def test_page_types_that_may_not_be_read(tmp_path: Path) -> None:
    async with running(dashboard(files=LiveFiles(str(tmp_path))), (80, 24)) as pilot:
        await press(pilot, "5", "p")
        await loaded(pilot)
        assert "there is no /proc/pagetypeinfo" in screen(pilot.app)
        is_whole(pilot.app)


@on((120, 40))
async def test_a_terminal_that_shrinks_and_grows(pilot: Pilot[None]) -> None:
    await go(pilot, "fragmentation")
    for size in ((80, 24), (60, 15), (40, 10), (200, 60), (61, 16), (120, 40)):
        await pilot.resize_terminal(*size)
        await settle(pilot)
        is_whole(pilot.app)
    assert "Fragmentation" in screen(pilot.app)
    assert view(pilot).main.has_focus


@on()
async def test_the_footer_has_what_matters(pilot: Pilot[None]) -> None:
    footer = screen_text(pilot.app)[-1]
    for word in (
        "1 Over",
        "3 Map",
        "4 Pres",
        "5 Physical",
        "6 Lab",
        "Enter rows",
        "? help",
        "q quit",
    ):
        assert word in footer


@on()
async def test_nothing_is_painted_where_nothing_changed(pilot: Pilot[None]) -> None:
    painted: list[object] = []
    rows = view(pilot).rows
    real = rows.refresh

    def refresh(*regions: Any, **how: Any) -> Any:
        painted.extend(regions)
        return real(*regions, **how)

    rows.refresh = refresh  # type: ignore[method-assign]
    await deliver(pilot, sampled(time_s=1001.0))
    assert not painted
    meminfo = machine("debian-6.18").system.meminfo
    assert isinstance(meminfo, dict)
    changed = {**meminfo, "Dirty": meminfo["Dirty"] + (50 << 20)}
    await deliver(pilot, sampled(time_s=1002.0, meminfo=changed))
    assert 1 <= len(painted) <= 3  # dirty, clean, and maybe a share
