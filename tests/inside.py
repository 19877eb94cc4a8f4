"""The sheet of what is inside a mapping, on a program of which readelf tells all."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from memtui.kernel.files import Files
from memtui.live.looker import read_map
from memtui.model.keys import ProcessKey
from memtui.tui.app import MemtuiApp
from memtui.tui.sheets.inside import InsideSheet
from tests.elf_files import (
    FILES,
    Running,
    segments_by_readelf,
)
from tests.interface import (
    app_of,
    go_to,
    is_whole,
    press,
    running,
    screen,
    screen_text,
    until,
)
from tests.samples import process, sample

PAGE = os.sysconf("SC_PAGE_SIZE")
SIZES = [(80, 24), (120, 40)]

sizes = pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])


def app_on(key: ProcessKey, files: Files = FILES) -> MemtuiApp:
    """The application on one process of this machine."""
    found = process(key.pid, "program", 20, start=key.start_time_ticks)
    return app_of([sample(1000.0, found)], {key: read_map(files, key, "smaps").map}, None, files)


def sheet_of(pilot: Pilot[None]) -> InsideSheet:
    found = pilot.app.screen
    assert isinstance(found, InsideSheet)
    return found


def column(sheet: InsideSheet, name: str) -> list[str]:
    """That column's cells of all rows."""
    cells = (row.get(name, "") for row in sheet.table.page.rows)
    return [cell if isinstance(cell, str) else cell[0] for cell in cells]


def spoken(app: MemtuiApp) -> str:
    """All words on the screen, wherever their lines were broken."""
    return " ".join(screen(app).split())


async def look_inside(pilot: Pilot[None], address: int) -> InsideSheet:
    """The sheet of what is there, with all that it reads."""
    await go_to(pilot, address)
    await press(pilot, "enter")
    sheet = sheet_of(pilot)
    await until(pilot, lambda: "Reading the file" not in screen(pilot.app), "read")
    is_whole(pilot.app)
    # All of it fits: the title is at the top, and only the table scrolls.
    assert " inside " in screen_text(pilot.app)[0], screen(pilot.app)
    assert sheet.max_scroll_y == 0
    return sheet


@asynccontextmanager
async def on_map(app: MemtuiApp, size: tuple[int, int]) -> AsyncIterator[Pilot[None]]:
    async with running(app, size) as pilot:
        await press(pilot, "enter")
        assert app.view_name == "map"
        yield pilot


def code_row(child_: Running) -> int:
    """The program's own mapping that may be executed."""
    return next(
        row for row in child_.rows(child_.path) if child_.mappings.perms[row].startswith("r-x")
    )


def bias_by_readelf(of: Running) -> int:
    """The start of the code in memory less where readelf says that its page begins."""
    row = code_row(of)
    code = next(
        each for each in segments_by_readelf(of.path) if each.type == "LOAD" and "E" in each.flags
    )
    assert of.mappings.offsets[row] == code.offset // PAGE * PAGE
    return of.mappings.starts[row] - code.vaddr // PAGE * PAGE
