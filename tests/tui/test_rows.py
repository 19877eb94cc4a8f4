"""The rows of the map view: filtered, sorted, gone to and looked through."""

from __future__ import annotations

import pytest

from memtui.tui.sheets.choice import ChoiceSheet
from memtui.tui.widgets.lines import Table
from tests.child import AREA, child
from tests.interface import (
    BIG,
    app_of,
    choose,
    click_head,
    cursor,
    dashboard,
    deliver,
    detail,
    is_whole,
    java,
    map_in,
    picture,
    press,
    rows_words,
    running,
    screen,
    screen_text,
    script_of,
    table,
    until,
    values,
)
from tests.samples import MIB, map_of, process, sample

# Filters.


async def test_a_filter_works_as_it_is_typed_and_escape_clears_it() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter", "slash", *"path:jvm")
        assert "filter:" in screen_text(app)[-1]
        paths = map_in(app).mappings.paths
        fitting = [row for row, path in enumerate(paths) if "jvm" in path]
        assert 0 < len(fitting) < 241
        assert list(table(app).rows) == fitting
        assert f"{len(fitting)} of 241 mappings · filter path:jvm" in rows_words(app)
        await press(pilot, *" rss>1M", "enter")
        assert not app.query("#prompt")
        assert app.focused is table(app)
        assert 0 < len(table(app).rows) < len(fitting)
        assert min(values(app, "Rss")) > MIB
        assert cursor(app) in fitting
        await press(pilot, "escape")
        assert app.view_name == "map"
        assert len(table(app).rows) == 241


async def test_a_filter_half_typed_is_complained_of_and_the_rows_stay() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter", "slash", *"perms:w")
        rows = list(table(app).rows)
        assert 0 < len(rows) < 241
        await press(pilot, *" -")
        assert "no word after -" in screen_text(app)[-1]
        assert list(table(app).rows) == rows
        await press(pilot, "enter")
        assert app.query("#prompt")
        assert "no word after -" in screen_text(app)[-1]
        await press(pilot, *"rss>")
        assert "rss> wants a size, as in rss>100M" in screen_text(app)[-1]
        await press(pilot, *"1M")
        assert "wants" not in screen_text(app)[-1]
        await press(pilot, "enter")
        assert not app.query("#prompt")
        assert 0 < len(table(app).rows) < len(rows)
        assert max(values(app, "Rss")) <= MIB
        assert {map_in(app).mappings.perms[row][1] for row in table(app).rows} == {"w"}


async def test_escape_while_typing_leaves_the_filter_that_was_there() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter", "slash", *"jvm", "enter")
        rows = list(table(app).rows)
        await press(pilot, "slash", *["backspace"] * 3, *"[heap]")
        assert list(table(app).rows) != rows
        await press(pilot, "escape")
        assert not app.query("#prompt")
        assert list(table(app).rows) == rows
        assert "filter jvm" in rows_words(app)


async def test_a_filter_that_nothing_fits_says_so() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter", "slash", *"[/bold]x", "enter")
        assert len(table(app).rows) == 0
        assert "no mapping fits the filter" in screen(app)
        assert "0 of 241 mappings · filter [/bold]x" in rows_words(app)
        await press(pilot, "down", "up", "end", "home", "y", "s", "escape", "I", "n", "escape")
        await press(pilot, "escape")
        assert len(table(app).rows) == 241


async def test_kind_and_filter_hold_together() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter", "slash", *"jvm", "enter")
        app.query_one("#kinds").focus()
        await press(pilot, "down")
        kind = app.query_one("#kinds", Table).row_texts(1, ())["kind"]
        for row in table(app).rows:
            assert "jvm" in map_in(app).mappings.paths[row]
            assert map_in(app).kind(row).words in kind[0]
        await press(pilot, "escape")
        assert len(table(app).rows) == 241


async def test_another_process_is_shown_whole() -> None:
    other = process(20, "other", 100)
    maps = {each.key: map_of(each.key, each.name) for each in (BIG, other)}
    app = app_of([sample(1000.0, BIG, other)], maps)
    async with running(app) as pilot:
        await press(pilot, "enter", "slash", *"heap", "enter")
        assert len(table(app).rows) == 1
        await press(pilot, "I", "1", "down", "3")
        assert app.session.chosen.key == other.key
        assert list(table(app).rows) == [0, 1, 2, 3, 4]
        assert "all 5 mappings · by address" in rows_words(app)


# Addresses.


@pytest.mark.parametrize("keys", [("slash", "@"), ("at",)])
async def test_an_address_is_gone_to(keys: tuple[str, ...]) -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter")
        for row in (200, 17, 240, 0):
            start, end = map_in(app).mappings.starts[row], map_in(app).mappings.ends[row]
            await press(pilot, *keys, *f"{end - 1:012x}", "enter")
            assert cursor(app) == row
            assert app.session.chosen.address == picture(app).address == end - 1 >= start
        await press(pilot, *keys, *"0xzz", "enter")
        assert "is no address" in screen_text(app)[-1]
        assert cursor(app) == 0
        await press(pilot, "escape")
        assert cursor(app) == 0
        assert len(table(app).rows) == 241


async def test_an_address_in_a_hole_says_what_is_next_to_it() -> None:
    with child() as process_:
        process_.run(f"area({AREA}, {MIB}); area({AREA + 16 * MIB}, {2 * MIB})")
        app = process_.watched()
        async with running(app) as pilot:
            await press(pilot, "enter", "at", *f"{AREA + 4 * MIB:x}", "enter")
            lines = detail(app)
            assert f"{AREA + 4 * MIB:012x} is not mapped" in lines[0]
            assert "in a hole of 15.0 MiB" in lines[0]
            below = f"below it, 3.0 MiB away: {AREA:012x}–{AREA + MIB:012x}"
            above = f"above it, 12.0 MiB away: {AREA + 16 * MIB:012x}–{AREA + 18 * MIB:012x}"
            assert below in lines[1]
            assert above in lines[2]
            assert table(app).address == AREA  # the one below
            await press(pilot, "t")
            await until(pilot, lambda: "SIGSEGV" in screen(app), "what an access does")
            assert f"{AREA + 4 * MIB:012x}" in screen_text(app)[0]
            assert "not mapped" in screen_text(app)[0]
            await press(pilot, "escape", "down")
            assert app.session.chosen.address == AREA + 16 * MIB


@pytest.mark.parametrize("address", [0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
async def test_addresses_beyond_everything(address: int) -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter", "at", *f"0x{address:x}", "enter")
        assert app.session.chosen.address == address
        assert f"{address:012x} is not mapped" in detail(app)[0]
        is_whole(app)
        picture(app).focus()
        await press(pilot, *["plus"] * 4, "left", "up", "right", "down", *["minus"] * 4, "pageup")
        is_whole(app)
        table(app).focus()
        await press(pilot, "end")
        assert cursor(app) == 240


# Orders.


async def test_sorting_by_the_list() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter", "s")
        assert isinstance(app.screen, ChoiceSheet)
        await choose(pilot, "rss")
        assert values(app, "Rss") == sorted(values(app, "Rss"), reverse=True)
        assert "by rss ▼" in rows_words(app)
        await press(pilot, "I")
        assert values(app, "Rss") == sorted(values(app, "Rss"))
        assert "by rss ▲" in rows_words(app)
        await press(pilot, "s", "escape")
        assert "by rss ▲" in rows_words(app)
        await press(pilot, "s")
        await choose(pilot, "")
        assert list(table(app).rows) == list(range(241))
        assert "by address" in rows_words(app)
        await press(pilot, "I")
        assert list(table(app).rows) == list(range(240, -1, -1))
        await press(pilot, "I")
        assert list(table(app).rows) == list(range(241))


@pytest.mark.parametrize("name", ["size", "rss", "pss", "swap", "perms", "offset", "name", "kind"])
async def test_a_click_on_a_head_sorts_by_its_column(name: str) -> None:
    app = java()
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "enter")
        mappings = map_in(app).mappings
        ends = zip(mappings.starts, mappings.ends, strict=True)
        by: dict[str, list[int] | list[str]] = {
            "size": [end - start for start, end in ends],
            "rss": list(mappings.usage["Rss"]),
            "pss": list(mappings.usage["Pss"]),
            "swap": list(mappings.usage["Swap"]),
            "perms": list(mappings.perms),
            "offset": list(mappings.offsets),
            "name": list(mappings.paths),
            "kind": [map_in(app).kind(row).name for row in range(241)],
        }
        await click_head(pilot, name)
        first = [by[name][row] for row in table(app).rows]
        texts = name in ("perms", "name", "kind")
        assert first == sorted(by[name], reverse=not texts)
        await click_head(pilot, name)
        second = [by[name][row] for row in table(app).rows]
        assert second == sorted(by[name], reverse=texts)
        await click_head(pilot, "range")
        assert list(table(app).rows) == list(range(241))


@pytest.mark.parametrize("name", ["size", "perms", "name"])
async def test_the_head_that_rows_are_sorted_by_has_an_arrow(name: str) -> None:
    app = java()
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "enter")
        region = table(app).region
        assert not set("▼▲") & set(screen_text(app)[region.y])
        await click_head(pilot, name)
        assert set("▼▲") & set(screen_text(app)[region.y])


async def test_the_cursor_stays_at_its_address_whatever_the_rows() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "enter", "end", "up")
        assert app.session.chosen.address == 0x556000000

        def stays() -> None:
            assert app.session.chosen.address == picture(app).address == 0x556000000
            assert cursor(app) == 3

        await press(pilot, "s")
        await choose(pilot, "size")
        assert table(app).rows[0] == 4
        stays()
        await press(pilot, "I")
        stays()
        await press(pilot, "slash", *"perm:w", "enter")
        assert len(table(app).rows) == 3
        stays()
        grown = map_of(BIG.key, "big", heap_pages=200)
        script_of(app).read(BIG.key, grown)
        await deliver(pilot, sample(1001.0, BIG))
        assert table(app).rows[-1] == 3  # by now the largest
        stays()
        await press(pilot, "escape")
        stays()


# Finding.


async def test_finding_goes_on_and_round() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter")
        fits = [at for at, path in enumerate(map_in(app).mappings.paths) if "libc" in path]
        assert 2 < len(fits) < 20
        await press(pilot, "n")
        assert "find:" in screen_text(app)[-1]
        await press(pilot, *"path:libc", "enter")
        assert not app.query("#prompt")
        seen = [cursor(app)]
        for _ in fits[1:]:
            await press(pilot, "n")
            seen.append(cursor(app))
        assert seen == fits
        await press(pilot, "n")
        assert cursor(app) == fits[0]
        await press(pilot, "N")
        assert cursor(app) == fits[-1]
        await press(pilot, "N")
        assert cursor(app) == fits[-2]


async def test_finding_nothing_or_nonsense_is_complained_of() -> None:
    app = java()
    async with running(app) as pilot:
        await press(pilot, "enter", "down", "down", "n", *"nowhere[/b]", "enter")
        assert "no mapping fits 'nowhere[/b]'" in screen_text(app)[-1]
        assert cursor(app) == 2
        await press(pilot, *["backspace"] * 11, *"rss>>", "enter")
        assert "is not a size" in screen_text(app)[-1]
        await press(pilot, *["backspace"] * 5, *"path:libc", "enter")
        assert "libc" in map_in(app).mappings.paths[cursor(app)]
        # What was found before is not among these rows.
        await press(pilot, "slash", *"[heap]", "enter", "n")
        assert "no mapping fits 'path:libc'" in screen(app)
