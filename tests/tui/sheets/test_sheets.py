"""What opens over the map view: page table, who else maps it, what changed; and getting out of it."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.live.source import LiveSource
from memtui.tui.sheets.choice import ChoiceSheet
from memtui.tui.sheets.difference import DifferenceSheet
from memtui.tui.sheets.help import HelpScreen
from memtui.tui.sheets.sharers import SharersSheet
from memtui.tui.widgets.page import SheetTable
from tests.child import AREA, Child, child, read_again
from tests.conftest import open_host
from tests.interface import (
    SHEETS,
    app_watching,
    cursor,
    deliver,
    detail,
    go_to,
    is_whole,
    java,
    loaded,
    open_sheet,
    press,
    running,
    screen,
    screen_text,
    script_of,
    starts,
    table,
    until,
)
from tests.samples import MIB, sample

PAGE = os.sysconf("SC_PAGE_SIZE")
SHARED = "0x21"  # and anonymous


def figures(of: Child) -> dict[int, dict[str, int]]:
    """The size and the RSS of each mapping in bytes, by its start, as smaps has them."""
    found: dict[int, dict[str, int]] = {}
    for line in Path(f"/proc/{of.key.pid}/smaps").read_text().splitlines():
        if match := re.match(r"([0-9a-f]+)-[0-9a-f]+ ", line):
            here = found.setdefault(int(match[1], 16), {})
        elif match := re.match(r"(Size|Rss): +(\d+) kB", line):
            here[match[1]] = int(match[2]) << 10
    return found


# Down to the page table.


async def test_the_page_table_of_a_page_and_of_those_beside_it() -> None:
    with child() as process:
        process.run(f"area({AREA}, {MIB}); fill({AREA}, {PAGE})")
        app = process.watched()
        async with running(app) as pilot:
            await press(pilot, "enter")
            await go_to(pilot, AREA + 5)
            await open_sheet(pilot, "t")
            lines = screen_text(app)
            assert f"page table {AREA + 5:012x} of {process.key.pid}" in lines[0]
            assert "READ FROM THE KERNEL" in screen(app)
            byte = next(line for line in lines if re.match(r"[▌ ]byte ", line))
            assert re.search(r" 5 +1 B ", byte)
            await press(pilot, "right")
            await loaded(pilot)
            assert f"page table {AREA + PAGE:012x}" in screen_text(app)[0]
            assert app.session.chosen.address == AREA + PAGE
            await press(pilot, "left", "left")
            await loaded(pilot)
            assert f"page table {AREA - PAGE:012x}" in screen_text(app)[0]
            assert "not mapped" in screen_text(app)[0]
            assert "SIGSEGV" in screen(app)
            await press(pilot, "escape")
            # What was stepped to is where the cursor is.
            assert app.session.chosen.address == AREA - PAGE
            assert "is not mapped" in detail(app)[0]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_byte_in_the_page_is_there_as_ever_there_is_room(size: tuple[int, int]) -> None:
    with child() as process:
        app = process.watched()
        async with running(app, size) as pilot:
            await press(pilot, "enter")
            for address in (0x10, (1 << 64) - PAGE):  # beyond what the CPU translates, too
                await go_to(pilot, address)
                await open_sheet(pilot, "t")
                table = app.screen.query_one(SheetTable)
                if not table.page.rows:
                    continue
                rows = [line for line in screen_text(app) if re.match(r"[▌ ](P.D|PTE|byte) ", line)]
                assert len(rows) == len(table.page.rows) and rows[-1].split()[0] == "byte"
                assert "…" not in "".join(rows)
                await press(pilot, "escape")


async def test_the_indices_make_the_address() -> None:
    """Of each level as it is shown, put together again."""
    with child() as process:
        app = process.watched()
        async with running(app) as pilot:
            await press(pilot, "enter", "end", "up", "up")
            address = app.session.chosen.address
            await open_sheet(pilot, "t")
            rows = app.screen.query_one(SheetTable).page.rows
            if not rows:
                pytest.skip("the levels of this machine's page table are not known")
            total = 0
            for row in rows:
                low = str(row["bits"]).split("–")[1]
                total |= int(row["index"][0]) << int(low)
            assert total == address


async def test_a_new_reading_shows_in_the_page_table() -> None:
    with child() as process:
        process.run(f"area({AREA}, {MIB})")
        app = process.watched()
        async with running(app) as pilot:
            await press(pilot, "enter")
            await go_to(pilot, AREA)
            await open_sheet(pilot, "t")
            before = screen(app)
            process.run(f"fill({AREA}, {PAGE})")
            await read_again(pilot, process)
            await loaded(pilot)
            assert screen(app) != before
            process.run(f"unmap({AREA}, {MIB})")
            await read_again(pilot, process)
            await loaded(pilot)
            assert "not mapped" in screen_text(app)[0]
            assert "SIGSEGV" in screen(app)


async def test_a_captured_machine_has_a_page_table_and_no_pages() -> None:
    app = java(open_host("debian-6.18"))
    async with running(app) as pilot:
        await press(pilot, "enter")
        await open_sheet(pilot, "t")
        assert "READ FROM THE KERNEL" in screen(app)
        assert "frame unknown" in screen(app)
        is_whole(app)
        await press(pilot, "right", "down", "y", "escape")
        assert app.view_name == "map"


async def test_without_a_kernel_there_is_nothing_to_read_on_demand() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter")
        for key in ("t", "w"):
            await press(pilot, key)
            await loaded(pilot)
            assert "not recorded" in screen(app), key
            await press(pilot, "escape")
        await press(pilot, "d")
        assert isinstance(app.screen, DifferenceSheet)


# Who else maps it.


async def test_who_else_maps_it_finds_the_sibling() -> None:
    with child() as process:
        process.run(f"area({AREA}, {MIB}, {SHARED}); fill({AREA}, {MIB})")
        sibling = int(process.run("fork()"))
        app = process.watched()
        async with running(app) as pilot:
            await press(pilot, "enter")
            await go_to(pilot, AREA)
            await open_sheet(pilot, "w")
            page = app.screen.query_one(SheetTable).page
            assert {row["pid"][0] for row in page.rows} == {str(process.key.pid), str(sibling)}
            assert {row["size"][0] for row in page.rows} == {"1.0 MiB"}
            assert "2 processes map it" in screen(app)
            await press(pilot, "y")
            assert str(sibling) in app.clipboard
            await press(pilot, "escape")
            assert cursor(app) == app.session.chosen.row()


async def test_who_else_maps_private_memory_says_why_nobody_is_looked_for() -> None:
    with child() as process:
        process.run(f"area({AREA}, {MIB})")
        app = process.watched()
        async with running(app) as pilot:
            await press(pilot, "enter")
            await go_to(pilot, AREA)
            await open_sheet(pilot, "w")
            assert "Private memory has no name to look for" in screen(app)
            await press(pilot, "down", "enter", "y", "escape")
            assert len(app.screen_stack) == 1


class StuckFiles(LiveFiles):
    """A machine whose process 2 keeps who reads its maps waiting, until `may_answer`."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.may_answer = threading.Event()
        for pid in range(1, 9):
            (root / "proc" / str(pid)).mkdir(parents=True)

    def pieces(self, name: str) -> Iterator[bytes | Gap]:
        if name == "proc/2/maps":
            assert self.may_answer.wait(120)
        yield from super().pieces(name)


async def test_escape_stops_looking_and_then_goes_back(tmp_path: Path) -> None:
    files = StuckFiles(tmp_path)
    app = java(files)
    async with running(app) as pilot:
        await press(pilot, "enter", "n", *"path:libjvm", "enter")
        await press(pilot, "w")
        await until(pilot, lambda: "processes looked at" in screen(app), "progress")
        assert "Esc stops" in screen(app)
        await press(pilot, "escape")
        assert isinstance(app.screen, SharersSheet)
        files.may_answer.set()
        await until(pilot, lambda: "Stopped before all processes" in screen(app), "stopped")
        await press(pilot, "escape")
        assert len(app.screen_stack) == 1
        assert app.view_name == "map"


async def test_a_search_that_is_left_has_no_consequences(tmp_path: Path) -> None:
    files = StuckFiles(tmp_path)
    app = java(files)
    async with running(app) as pilot:
        await press(pilot, "enter", "n", *"path:libjvm", "enter")
        here = cursor(app)
        await press(pilot, "w", "escape", "escape")
        assert len(app.screen_stack) == 1
        await press(pilot, "w")
        await until(pilot, lambda: "processes looked at" in screen(app), "searched")
        await press(pilot, "1")
        assert app.view_name == "overview"
        files.may_answer.set()
        await loaded(pilot)
        await press(pilot, "3")
        assert cursor(app) == here


# What changed.


async def test_what_changed_since_the_mark() -> None:
    with child() as process:
        gone, grown, filled, new = (AREA + at * 64 * MIB for at in range(4))
        process.run(f"area({gone}, {2 * MIB}); fill({gone}, {MIB})")
        process.run(f"area({grown}, {MIB}); area({filled}, {4 * MIB})")
        app = process.watched()
        async with running(app, (200, 60)) as pilot:
            await press(pilot, "enter", "m")
            assert "marked" in screen(app)
            before = figures(process)
            process.run(f"unmap({gone}, {2 * MIB}); area({new}, {3 * MIB}); fill({new}, {MIB})")
            process.run(f"area({grown + MIB}, {2 * MIB}); fill({filled}, {2 * MIB})")
            await read_again(pilot, process)
            after = figures(process)
            await open_sheet(pilot, "d")
            assert "since the mark" in screen_text(app)[0]
            sheet = app.screen
            assert isinstance(sheet, DifferenceSheet)
            found = {change.side.start: change for change in sheet._changes}
            for start, what in (
                (gone, "gone"),
                (grown, "grown"),
                (filled, "filled"),
                (new, "new"),
            ):
                change = found[start]
                was, now = before.get(start), after.get(start)
                assert change.what == what
                for field, key in (("size", "Size"), ("rss", "Rss")):
                    expected = (now[key] if now else 0) - (was[key] if was else 0)
                    assert change.gain(field) == expected  # type: ignore[arg-type]
            rows = {row["what"][0]: row for row in sheet.table.page.rows}
            assert rows["gone"]["size_gain"][0] == "-2.0 MiB"
            assert rows["grown"]["size_gain"][0] == "+2.0 MiB"
            assert rows["new"]["rss_gain"][0] == "+1.0 MiB"
            weights = [abs(change.gain("rss") or 0) for change in sheet._changes]
            assert weights == sorted(weights, reverse=True)


async def test_enter_goes_to_a_change() -> None:
    with child() as process:
        app = process.watched()
        async with running(app) as pilot:
            await press(pilot, "enter", "m")
            process.run(f"area({AREA}, {3 * MIB}); area({AREA + 8 * MIB}, {MIB})")
            process.run(f"fill({AREA + 8 * MIB}, {MIB})")
            await read_again(pilot, process)
            await open_sheet(pilot, "d")
            # By what each has gained in memory.
            assert f"{AREA + 8 * MIB:012x}" in screen(app)
            await press(pilot, "enter")
            assert len(app.screen_stack) == 1
            assert app.session.chosen.address == AREA + 8 * MIB
            assert starts(app)[table(app).cursor] == AREA + 8 * MIB
            cursor(app)


async def test_without_a_mark_the_first_look_is_one() -> None:
    with child() as process:
        app = process.watched()
        async with running(app) as pilot:
            await press(pilot, "enter")
            await open_sheet(pilot, "d")
            assert "since it was first looked at" in screen_text(app)[0]
            assert "It has not been read again since" in screen(app)
            await read_again(pilot, process)
            # What others share of its pages may have changed meanwhile, and so PSS.
            await until(pilot, lambda: "It has not been read" not in screen(app), "compared")
            # While it is open, each reading shows in it.
            process.run(f"area({AREA}, {3 * MIB}); fill({AREA}, {MIB})")
            await read_again(pilot, process)
            await loaded(pilot)
            assert f"{AREA:012x}–{AREA + 3 * MIB:012x}" in screen(app)
            assert "Nothing" not in screen(app)
            await press(pilot, "escape", "m", "d")
            await loaded(pilot)
            assert "since the mark" in screen_text(app)[0]
            assert "It has not been read again since" in screen(app)


async def test_the_cursor_of_the_changes_stays_with_its_mapping() -> None:
    with child() as process:
        one, other = AREA, AREA + 64 * MIB
        app = process.watched()
        async with running(app) as pilot:
            await press(pilot, "enter", "m")
            process.run(f"area({one}, {8 * MIB}); area({other}, {8 * MIB})")
            process.run(f"fill({one}, {4 * MIB}); fill({other}, {2 * MIB})")
            await read_again(pilot, process)
            await open_sheet(pilot, "d")
            sheet = app.screen
            assert isinstance(sheet, DifferenceSheet)
            at = [change.side.start for change in sheet._changes].index(other)
            await press(pilot, *["down"] * at)
            process.run(f"fill({other}, {8 * MIB})")
            await read_again(pilot, process)
            await loaded(pilot)
            assert sheet.table.cursor < at
            assert sheet._changes[sheet.table.cursor].side.start == other


# Whatever happens meanwhile.


@pytest.mark.parametrize("key", SHEETS)
async def test_the_process_ends_while_a_sheet_is_open(key: str) -> None:
    with child() as process:
        process.run(f"area({AREA}, {MIB}, {SHARED})")
        app = process.watched()
        async with running(app) as pilot:
            await press(pilot, "enter")
            await go_to(pilot, AREA)
            await open_sheet(pilot, key)
            process.end()
            script_of(app).read(process.key, Gap(f"proc/{process.key.pid}/smaps", "gone"))
            await deliver(pilot, sample(1001.0))
            is_whole(app)
            await press(pilot, "right", "left", "down", "y")
            await loaded(pilot)
            is_whole(app)
            await press(pilot, "escape")
            assert "gone at" in screen_text(app)[1]
            # Opened only now.
            await open_sheet(pilot, key)
            is_whole(app)
            await press(pilot, "escape")
            assert len(app.screen_stack) == 1


async def test_a_live_process_ends_while_its_page_table_is_looked_at() -> None:
    with child() as process:
        source = LiveSource(LiveFiles(), 0.2)
        app = app_watching(source)
        async with running(app) as pilot:
            try:
                pid = process.key.pid
                await until(pilot, lambda: app.session.history.last is not None, "a sample")
                await press(pilot, "o", *str(pid), "enter")
                await until(pilot, lambda: "usage read" in screen(app), "its usage")
                await open_sheet(pilot, "t")
                process.end()
                await until(pilot, lambda: app.session.chosen.gone_s is not None, "gone")
                await press(pilot, "right")
                await loaded(pilot)
                is_whole(app)
                await press(pilot, "escape")
                assert "gone at" in screen_text(app)[1]
            finally:
                source.stop()


@pytest.mark.parametrize("key", SHEETS)
async def test_keys_that_work_everywhere_work_in_a_sheet(key: str) -> None:
    with child() as process:
        app = process.watched()
        async with running(app) as pilot:
            await press(pilot, "enter", "down", "down")
            await open_sheet(pilot, key)
            await press(pilot, "3")
            assert len(app.screen_stack) == 1
            assert app.focused is table(app)
            # Nobody minds that the sheet is no longer there.
            process.run(f"area({AREA}, {MIB})")
            await read_again(pilot, process)
            await loaded(pilot)
            assert AREA in starts(app)
            await open_sheet(pilot, key)
            await press(pilot, "1")
            assert (app.view_name, len(app.screen_stack)) == ("overview", 1)
            await press(pilot, "3")
            await open_sheet(pilot, key)
            await press(pilot, "space")
            assert app.session.is_frozen
            await press(pilot, "space")
            assert not app.session.is_frozen
            await press(pilot, "question_mark")
            assert isinstance(app.screen, HelpScreen)
            await press(pilot, "escape")
            assert isinstance(app.screen, SHEETS[key])
            await press(pilot, "o")
            assert len(app.screen_stack) == 1
            assert "open pid or name:" in screen_text(app)[-1]
            await press(pilot, "escape")
            await open_sheet(pilot, key)
            await press(pilot, "q")
            assert app._exit


@pytest.mark.parametrize("sheet", ["s", "C", "question_mark"])
async def test_ctrl_c_quits_from_what_takes_all_other_keys(sheet: str) -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter", sheet)
        assert isinstance(app.screen, ChoiceSheet | HelpScreen)
        await press(pilot, "ctrl+c")
        assert app._exit
