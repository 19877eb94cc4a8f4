"""The map view while its process changes, and where arranging its rows takes time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from textual.widgets import Input

from memtui.kernel.maps import parse_maps
from memtui.model.map.addressmap import AddressMap
from tests.child import AREA, child, read_again
from tests.interface import (
    BIG,
    choose,
    cursor,
    dashboard,
    deliver,
    detail,
    press,
    rows_words,
    running,
    screen_text,
    settle,
    starts,
    table,
    until,
)
from tests.samples import MIB
from tests.terminal import PROJECT

# Many.

MANY = 60_000


@pytest.fixture(scope="module")
def huge() -> AddressMap:
    """60,000 mappings of 1 to 97 pages; every third writable."""
    text = []
    for row in range(MANY):
        start = 0x7F0000000000 + row * 0x100000
        pages = row * 31 % 97 + 1
        perms = ("r--p", "rw-p", "---p")[row % 3]
        text.append(f"{start:x}-{start + pages * 4096:x} {perms} 00000000 00:00 0\n")
        text.append(f"Size: {4 * pages} kB\nRss: {4 * (pages // 2)} kB\n")
    return AddressMap(BIG.key, parse_maps("".join(text).encode()))


async def test_many_rows_are_filtered_and_sorted_on_a_thread(huge: AddressMap) -> None:
    app = dashboard(huge)
    async with running(app) as pilot:
        await press(pilot, "enter", "slash", *"perm:w size>64K", "enter")
        await press(pilot, "s")
        await choose(pilot, "rss")
        sizes = [row * 31 % 97 + 1 for row in range(MANY)]
        fits = [row for row in range(MANY) if row % 3 == 1 and sizes[row] > 16]
        fits.sort(key=lambda row: -(sizes[row] // 2))
        await until(pilot, lambda: list(table(app).rows) == fits, "in order")
        assert f"{len(fits):,} of 60,000 mappings".replace(",", " ") in rows_words(app)
        await press(pilot, "home")
        assert cursor(app) == fits[0]
        await press(pilot, "end")
        assert cursor(app) == fits[-1]


async def test_the_last_filter_holds_though_an_earlier_one_takes_longer(huge: AddressMap) -> None:
    app = dashboard(huge)
    async with running(app) as pilot:
        await press(pilot, "enter", "slash")
        # Every mapping's label is looked at for the word; for nothing, none is.
        typed = app.query_one(Input)
        typed.value = "q"
        typed.value = ""
        await press(pilot, "enter")
        await app.workers.wait_for_complete()
        await settle(pilot)
        assert len(table(app).rows) == MANY
        assert "all 60 000 mappings" in rows_words(app)


# Time goes on.


async def test_frozen_the_rows_stay_as_they_are() -> None:
    with child() as process_:
        app = process_.watched()
        async with running(app) as pilot:
            await press(pilot, "enter", "slash", *"perm:w", "enter", "space")
            before, rows = screen_text(app), starts(app)
            process_.run(f"area({AREA}, {4 * MIB}); fill({AREA}, {MIB})")
            await read_again(pilot, process_)
            await deliver(pilot, process_.sample(1001.0))
            assert screen_text(app) == before
            await press(pilot, "slash", "enter", "down", "up")
            assert starts(app) == rows
            await press(pilot, "space")
            await read_again(pilot, process_)
            assert starts(app) == sorted([*rows, AREA])


async def test_what_is_mapped_and_unmapped_comes_and_goes() -> None:
    with child() as process_:
        process_.run(f"area({AREA}, {MIB})")
        app = process_.watched()
        async with running(app) as pilot:
            await press(pilot, "enter", "at", *f"{AREA:x}", "enter")
            assert "256 pages" in detail(app)[1]
            process_.run(f"area({AREA + MIB}, {MIB}); fill({AREA}, {MIB})")
            await read_again(pilot, process_)
            assert f"{AREA:012x}–{AREA + 2 * MIB:012x}" in detail(app)[1]
            assert "50 % in memory: 1.0 MiB" in detail(app)[2]
            process_.run(f"unmap({AREA}, {2 * MIB})")
            await read_again(pilot, process_)
            assert app.session.chosen.address == AREA
            assert "is not mapped" in detail(app)[0]


async def test_the_filter_is_asked_of_each_new_reading() -> None:
    with child() as process_:
        app = process_.watched()
        async with running(app) as pilot:
            await press(pilot, "enter", "slash", *f"start>={AREA:x} end<={AREA + 64 * MIB:x}")
            await press(pilot, "enter")
            assert starts(app) == []
            process_.run(f"area({AREA}, {MIB}); area({AREA + 8 * MIB}, {MIB})")
            await read_again(pilot, process_)
            assert starts(app) == [AREA, AREA + 8 * MIB]
            process_.run(f"unmap({AREA}, {MIB})")
            await read_again(pilot, process_)
            assert starts(app) == [AREA + 8 * MIB]


def test_quitting_in_the_middle_of_arranging_leaves_no_trace(tmp_path: Path) -> None:
    """A thread that is still at work then finds nobody to tell."""
    program = tmp_path / "many.py"
    program.write_text(
        """
import asyncio
from tests.interface import app_of, process, running, sample
from memtui.kernel.maps import parse_maps
from memtui.model.map.addressmap import AddressMap

each = process(10, "big", 500)
line = "{:x}-{:x} rw-p 00000000 00:00 0\\n"
text = "".join(line.format(at << 13, (at << 13) + 4096) for at in range(1, 60_000))
app = app_of([sample(1.0, each)], {each.key: AddressMap(each.key, parse_maps(text.encode()))})

async def main():
    async with running(app) as pilot:
        await pilot.press("enter")
        await pilot.press("slash", *"q", "enter", "I", "q")

asyncio.run(main())
print("ended", app.return_code, flush=True)
"""
    )
    root = PROJECT
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout == "ended 0\n", done.stderr
    assert done.stderr == ""
