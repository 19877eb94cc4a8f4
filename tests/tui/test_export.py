"""The map view's columns, and what it gives out: to the clipboard and to files."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from memtui.tui.app import MemtuiApp
from memtui.tui.export import proposed
from memtui.tui.sheets.choice import ChoiceSheet, ChoiceTable
from tests.child import child
from tests.interface import (
    answer,
    choose,
    click_head,
    cursor,
    is_whole,
    java,
    map_in,
    press,
    running,
    screen,
    screen_text,
    table,
    until,
    values,
)


def columns(app: MemtuiApp) -> list[str]:
    return [column.name for column, _ in table(app).columns()]


async def test_columns_are_added_and_taken_away() -> None:
    app = java()
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "enter")
        before = columns(app)
        assert "private_dirty" not in before
        await press(pilot, "C")
        assert isinstance(app.screen, ChoiceSheet)
        await choose(pilot, "private_dirty", "offset")
        assert columns(app) == [name for name in before if name != "offset"] + ["private_dirty"]
        assert "PRDIRTY" in screen_text(app)[table(app).region.y]
        assert "OFFSET" not in screen_text(app)[table(app).region.y]
        is_whole(app)
        await click_head(pilot, "private_dirty")
        found = values(app, "Private_Dirty")
        assert found == sorted(found, reverse=True)
        await press(pilot, "C", "space", "escape")
        assert columns(app)[-1] == "private_dirty"
        await press(pilot, "C")
        await choose(pilot, "private_dirty", "offset")
        assert sorted(columns(app)) == sorted(before)


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40)])
async def test_every_column_at_once(size: tuple[int, int]) -> None:
    app = java()
    async with running(app, size) as pilot:
        await press(pilot, "enter", "C")
        choices = app.screen.query_one(ChoiceTable)
        for choice in choices.choices:
            if choice.name not in choices.taken:
                await pilot.press("space")
            await pilot.press("down")
        await press(pilot, "enter")
        assert len(table(app).names) == len(choices.choices)
        assert {"range", "size", "rss"} <= set(columns(app))
        is_whole(app)


# Out of the program.


async def test_a_copy_is_the_line_of_maps() -> None:
    with child() as process_:
        app = process_.watched()
        async with running(app) as pilot:
            await press(pilot, "enter", "down", "y")
            row = cursor(app)
            line = Path(f"/proc/{process_.key.pid}/maps").read_text().splitlines()[row]
            assert app.clipboard.split() == line.split()
            assert "sent to the terminal" in screen(app)


async def written(pilot: Pilot[None], path: Path) -> str:
    await press(pilot, "e")
    await answer(pilot, str(path))
    await until(pilot, lambda: "written to" in screen(pilot.app), "written")
    return path.read_bytes().decode()


async def test_the_rows_are_written_as_csv(tmp_path: Path) -> None:
    app = java()
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "enter", "slash", *"perm:w", "enter")
        await click_head(pilot, "size")
        text = await written(pilot, tmp_path / "out.csv")
        rows = list(csv.DictReader(text.splitlines()))
        mappings = map_in(app).mappings
        assert len(rows) == len(table(app).rows) > 9
        for row, found in zip(table(app).rows, rows, strict=True):
            assert int(found["size_bytes"]) == mappings.ends[row] - mappings.starts[row]
            assert int(found["rss_bytes"]) == mappings.usage["Rss"][row]
            assert found["perms"] == mappings.perms[row]


@pytest.mark.parametrize("suffix", ["csv", "json"])
async def test_what_is_written_says_where_and_what_each_mapping_is(
    suffix: str, tmp_path: Path
) -> None:
    app = java()
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "enter")
        text = await written(pilot, tmp_path / f"out.{suffix}")
        rows = json.loads(text) if suffix == "json" else list(csv.DictReader(text.splitlines()))
        mappings = map_in(app).mappings
        assert [int(row["start"], 16) for row in rows] == list(mappings.starts)
        assert [int(row["end"], 16) for row in rows] == list(mappings.ends)
        assert [row["path"] for row in rows] == list(mappings.paths)


async def test_the_rows_are_written_as_json_with_the_figures_as_numbers(tmp_path: Path) -> None:
    app = java()
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "enter", "C")
        await choose(pilot, "private_dirty")
        rows = json.loads(await written(pilot, tmp_path / "out.JSON"))
        assert [row["private_dirty_bytes"] for row in rows] == values(app, "Private_Dirty")
        assert [row["rss_bytes"] for row in rows] == values(app, "Rss")


@pytest.mark.parametrize("view", ["1", "2", "4", "5"])
@pytest.mark.parametrize("suffix", ["csv", "json"])
async def test_every_view_is_written(view: str, suffix: str, tmp_path: Path) -> None:
    app = java()
    path = tmp_path / f"out.{suffix}"
    async with running(app, (200, 60)) as pilot:
        await press(pilot, view)
        text = await written(pilot, path)
    rows = json.loads(text) if suffix == "json" else list(csv.DictReader(text.splitlines()))
    assert len(rows) > 1
    assert len({tuple(row) for row in rows}) == 1
    if view == "2":
        # As numbers, the largest first as it is shown.
        sizes = [int(row["rss_bytes"]) for row in rows]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] > 1 << 20


async def test_a_name_is_proposed_that_no_file_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter", "e")
        name = app.query_one("#prompt Input", Input).value
        assert name.startswith("memtui-map-")
        assert name.endswith(".csv")
        await press(pilot, "enter")
        await until(pilot, lambda: "written to" in screen(app), "written")
        assert os.listdir(tmp_path) == [name]
        assert proposed("a/b c").startswith("memtui-a_b_c-")


async def test_nothing_is_written_over_and_nowhere_else(tmp_path: Path) -> None:
    app = java()
    kept = tmp_path / "kept.csv"
    kept.write_text("mine")
    async with running(app) as pilot:
        await press(pilot, "enter")
        for name, complaint in (
            (str(kept), "exists"),
            (str(tmp_path / "out.txt"), "must end in .csv or .json"),
            (str(tmp_path / "no" / "out.csv"), "No such file or directory"),
            ("/proc/out.csv", "No such file"),
        ):
            await press(pilot, "e")
            await answer(pilot, name)
            assert app.query("#prompt"), name
            # A long path may leave its complaint no room; what is there is in one line.
            words = app.query_one("#prompt-complaint")._lines[0][0][0]  # type: ignore[attr-defined]
            assert complaint in words
            is_whole(app)
            await press(pilot, "escape")
            assert not app.query("#prompt")
        assert kept.read_text() == "mine"
        assert os.listdir(tmp_path) == ["kept.csv"]
