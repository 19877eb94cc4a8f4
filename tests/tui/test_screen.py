"""The screen as a whole: sizes, windows, freezing, help, terminals, and other people's names."""

from __future__ import annotations

import re

import psutil
import pytest
from textual.binding import Binding
from textual.dom import DOMNode
from wcwidth import wcswidth

from memtui import units
from memtui.model.map.kinds import KINDS
from memtui.model.system.metrics import METRICS
from memtui.settings.table import WINDOWS_S
from memtui.tui import theme
from memtui.tui.app import MemtuiApp
from memtui.tui.keys import KEYS
from memtui.tui.sheets.choice import ChoiceSheet
from memtui.tui.sheets.crash import CrashSheet
from memtui.tui.sheets.difference import DifferenceSheet
from memtui.tui.sheets.explain import ExplainSheet, TermsSheet
from memtui.tui.sheets.group import GroupSheet
from memtui.tui.sheets.help import HelpScreen, help_text, own_cost
from memtui.tui.sheets.leaks import LeaksSheet
from memtui.tui.sheets.obituary import ObituarySheet
from memtui.tui.sheets.owners import OwnersSheet
from memtui.tui.sheets.pagetable import PageTableSheet
from memtui.tui.sheets.pagetypes import PageTypesSheet
from memtui.tui.sheets.policy import PolicySheet
from memtui.tui.sheets.sharers import SharersSheet
from memtui.tui.timekeys import INTERVALS_S
from memtui.tui.views.lab import LabView
from memtui.tui.views.map import MapView
from memtui.tui.views.overview import Overview
from memtui.tui.views.physical import PhysicalView
from memtui.tui.views.pressure import PressureView
from memtui.tui.views.processes import ProcessesView
from memtui.tui.views.run import RunView
from memtui.tui.widgets.processes import ProcessList
from memtui.views import RUN, VIEWS
from tests.interface import (
    app_of,
    captured,
    deliver,
    minutes_of,
    press,
    running,
    screen,
    screen_text,
    settle,
    table,
    until,
)
from tests.samples import GIB, map_of, process, sample

BIG = process(10, "big", 500)


def dashboard() -> MemtuiApp:
    return app_of([sample(1000.0, BIG)], {BIG.key: map_of(BIG.key, "big")})


def machine(host: str) -> MemtuiApp:
    now, maps = captured(host)
    return app_of(minutes_of(now), maps)


async def test_header_figures_and_footer_of_the_overview() -> None:
    app = machine("debian-6.18")
    async with running(app, (140, 40)) as pilot:
        lines = screen_text(app)
        assert len(lines) == 40
        for words in ("memtui", "testhost", "23.5 GiB", "LIVE 1 s", "maps of own processes"):
            assert words in lines[0]
        assert "available 10.4 GiB 44 %" in lines[1]
        footer = lines[-1]
        for view in VIEWS:
            assert f"{view.key} {view.title}" in footer
        for key in KEYS:
            if key.footer and key.views in ((), ("overview",)) and key.shown != "[":  # no past yet
                assert f"{key.shown} {key.footer}" in footer
        await press(pilot, "enter")
        assert "Esc back" in screen_text(app)[-1]
        assert "+ window" not in screen_text(app)[-1]


async def test_a_click_on_the_footer_is_its_key() -> None:
    app = dashboard()
    async with running(app) as pilot:
        at = screen_text(app)[-1].index("i explain")
        await pilot.click("#footer", offset=(at + 2, 0))
        await settle(pilot)
        assert isinstance(app.screen, TermsSheet)


async def test_frozen_the_screen_stands_still_and_history_goes_on() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "space")
        assert "FROZEN" in screen_text(app)[0]
        assert "LIVE" not in screen_text(app)[0]
        before = screen_text(app)
        other = process(11, "newcomer", 900)
        await deliver(pilot, *(sample(1001.0 + at, other, free=GIB) for at in range(30)))
        assert screen_text(app) == before
        assert len(app.session.history) == 31
        await press(pilot, "space")
        assert "LIVE" in screen_text(app)[0]
        assert "newcomer" in screen(app)
        assert "available 6.0 GiB" in screen_text(app)[1]


async def test_windows() -> None:
    app = machine("debian-6.18")

    def window() -> int:
        return app.query_one(Overview)._window_s

    async with running(app) as pilot:
        assert window() == 300
        assert "-5 min" in screen(app)
        for key, window_s, label in (
            ("plus", 60, "-60 s"),
            ("plus", 60, "-60 s"),
            ("minus", 300, "-5 min"),
            ("minus", 900, "-15 min"),
            ("minus", 3600, "-60 min"),
            ("minus", 3600, "-60 min"),
        ):
            await press(pilot, key)
            assert window() == window_s
            assert label in screen(app)
        assert set(WINDOWS_S) == {60, 300, 900, 3600}


async def test_intervals() -> None:
    app = dashboard()
    async with running(app) as pilot:
        seen = [app.session.source.interval_s]
        for _ in INTERVALS_S:
            await press(pilot, "greater_than_sign")
            seen.append(app.session.source.interval_s)
        assert seen[1:6] == [2, 5, 10, 30, 60]
        assert seen[-1] == 60
        assert "LIVE 1 min" in screen_text(app)[0]
        for _ in INTERVALS_S:
            await press(pilot, "less_than_sign")
        assert app.session.source.interval_s == INTERVALS_S[0]
        assert "LIVE 0.2 s" in screen_text(app)[0]


async def test_resizing_in_the_middle() -> None:
    app = machine("debian-6.18")
    async with running(app, (80, 24)) as pilot:
        for view in ("1", "3", "1"):
            await press(pilot, view)
            for width, height in ((120, 40), (200, 60), (50, 12), (60, 15), (81, 25), (20, 5)):
                await pilot.resize_terminal(width, height)
                await settle(pilot)
                lines = screen_text(app)
                assert len(lines) == height
                assert {wcswidth(line) for line in lines} == {width}
            await pilot.resize_terminal(80, 24)
            await settle(pilot)
        assert "688 java" in screen(app)


@pytest.mark.parametrize("size", [(59, 24), (80, 14), (50, 12), (40, 10)])
async def test_a_small_terminal_gets_the_figures_as_text(size: tuple[int, int]) -> None:
    app = machine("debian-6.18")
    async with running(app, size) as pilot:
        text = screen(app)
        for words in ("available 10.4 GiB 44 %", "total", "used", "buff/cache", "swap", "stalled"):
            assert words in text
        assert "java" not in text
        await press(pilot, "down", "enter", "escape", "s", "plus", "space", "space")
        assert "available 10.4 GiB 44 %" in screen(app)
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert "java" in screen(app)


@pytest.mark.parametrize("keys", [(), ("enter",), ("enter", "d")])
async def test_keys_work_again_after_a_terminal_too_small(keys: tuple[str, ...]) -> None:
    app = machine("debian-6.18")
    async with running(app) as pilot:
        await press(pilot, *keys)
        for width, height in ((50, 12), (80, 24)):
            await pilot.resize_terminal(width, height)
            await settle(pilot)
        await press(pilot, *["escape"] * ("d" in keys))
        moved = table(app) if keys else app.query_one(ProcessList)
        before = moved.cursor
        await press(pilot, "down")
        assert moved.cursor == before + 1


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40), (200, 60)])
async def test_every_essential_at_every_size(size: tuple[int, int]) -> None:
    app = machine("debian-6.18")
    async with running(app, size):
        text = screen(app)
        for words in ("available", "java", "stalled", "now", "Overview"):
            assert words in text
        assert {wcswidth(line) for line in screen_text(app)} == {size[0]}


# Other people's names.


@pytest.mark.parametrize("size", [(80, 24), (61, 16)])
async def test_hostile_names_are_shown_and_not_obeyed(size: tuple[int, int]) -> None:
    app = machine("hostile")
    async with running(app, size) as pilot:
        await press(pilot, "home")
        for _ in range(app.query_one(ProcessList).row_count()):
            for key in ("3", "1"):
                await pilot.press(key)
                await pilot.pause()
                for line in screen_text(app):
                    # -1 where there is anything that a terminal would obey.
                    assert wcswidth(line) == size[0], repr(line)
                    assert units.printable(line) == line
            await pilot.press("down")


async def test_hostile_names_as_escapes() -> None:
    app = machine("hostile")
    async with running(app, (200, 60)):
        text = screen(app)
        for name in (
            "\\e[31mred\\e[0m",
            "[bold]x[/bold]",
            "a) S (b\\n7 (c) R",
            "\\u202egnp.exe",
            "\\xff\\xfe",
            "한글처리",
            "  blank  ",
        ):
            assert name in text


async def test_a_hostile_filter() -> None:
    app = machine("hostile")
    async with running(app) as pilot:
        await press(pilot, "slash", *"[/bold]x")
        assert "no process has “[/bold]x” in" in screen(app)
        await press(pilot, *["backspace"] * 8, *"[bold]", "enter")
        assert [row.pid for row in app.query_one(ProcessList)._rows] == [1000002]


# Help and palette.


def test_help_mentions_every_key_figure_and_kind() -> None:
    text = help_text().plain
    for key in KEYS:
        assert re.search(rf"^  {re.escape(key.shown)} +{re.escape(key.help)}$", text, re.MULTILINE)
    for view in VIEWS:
        assert view.help in text
    for metric in METRICS.values():
        for words in (metric.label, metric.definition, metric.formula, metric.source):
            assert words in text
    for kind in KINDS:
        assert f"{kind.letter} {kind.name:<13} {kind.words}" in text


def test_memtuis_own_cost_is_an_ornament(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"itself: .+ of processor time, PSS [0-9.]+ MiB", own_cost())
    # As where the kernel has no smaps: psutil leaves the field out.
    monkeypatch.setattr(psutil.Process, "memory_full_info", psutil.Process.memory_info)
    assert own_cost().endswith("of processor time, PSS n/a")
    assert "PSS n/a" in help_text().plain


@pytest.mark.parametrize("size", [(50, 12), (80, 24), (120, 40)])
async def test_help_opens_scrolls_and_closes(size: tuple[int, int]) -> None:
    app = machine("debian-6.18")
    async with running(app, size) as pilot:
        before = screen_text(app)
        await press(pilot, "question_mark")
        assert isinstance(app.screen, HelpScreen)
        assert "KEYS" in screen(app)
        await press(pilot, *["pagedown"] * 3, "end")
        assert "KEYS" not in screen(app)
        assert "pagemap tells" in screen(app)  # its last words
        await press(pilot, "escape")
        assert screen_text(app) == before


@pytest.mark.parametrize(("key", "title"), [(each.key, each.title) for each in VIEWS])
async def test_help_begins_with_what_one_looks_at(key: str, title: str) -> None:
    app = machine("debian-6.18")
    async with running(app) as pilot:
        await press(pilot, key, "question_mark")
        heads = [line for line in screen_text(app) if "KEYS " in line]
        assert f"KEYS IN {title.upper()}" in heads[0]


def test_help_is_searched_by_how_words_begin() -> None:
    found = help_text(sought="oom").plain
    assert "oom_score_adj" in found
    assert "zoom out" not in found
    assert "nothing here has" in help_text(sought="nosuchword").plain
    both = help_text(sought="clear filter").plain.splitlines()
    keys = [line for line in both if line.startswith("  Esc")]
    assert keys
    assert all("clear the filter" in line for line in keys)


@pytest.mark.parametrize("width", [40, 70])
def test_help_is_as_narrow_as_its_room(width: int) -> None:
    lines = help_text(width=width, cost="itself").plain.splitlines()
    wide = [line for line in lines if units.width(line) > width]
    # What cannot be broken: names of files, headings, keys.
    assert len(wide) < len(lines) // 20
    assert max(map(units.width, lines)) < 80


async def test_what_is_sought_narrows_help_and_esc_takes_it_back() -> None:
    app = machine("debian-6.18")
    async with running(app) as pilot:
        await press(pilot, "question_mark", "slash", *"refault", "enter")
        assert isinstance(app.screen, HelpScreen)
        assert "refault" in screen(app).casefold()
        assert "KEYS EVERYWHERE" not in screen(app)
        await press(pilot, "escape")
        assert isinstance(app.screen, HelpScreen)
        assert "KEYS IN OVERVIEW" in screen(app)
        await press(pilot, "escape")
        assert not isinstance(app.screen, HelpScreen)


async def test_the_palette_finds_pages_figures_and_terms() -> None:
    app = machine("debian-6.18")
    async with running(app) as pilot:
        commands = {each.title: each for each in app.get_system_commands(app.screen)}
        assert {"OOM, a page of Pressure", "explain oom_score", "explain OOM killer"} <= set(
            commands
        )
        assert not commands["explain oom_score"].discover  # too many to list unasked
        commands["OOM, a page of Pressure"].callback()
        await until(pilot, lambda: app.view_name == "pressure", "there")
        await settle(pilot)
        assert "oom" in "".join(app.view.topics).casefold()
        commands["slabs, a page of Physical"].callback()
        await until(pilot, lambda: app.view_name == "physical", "there")
        await settle(pilot)
        assert "Slab" in screen(app)
        commands["explain oom_score"].callback()
        await until(pilot, lambda: "oom_score" in screen(app), "explained")


async def test_samples_arrive_while_help_is_open() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "question_mark")
        await deliver(pilot, sample(1001.0, process(11, "newcomer", 900)))
        await pilot.resize_terminal(90, 30)
        await pilot.resize_terminal(40, 12)
        await pilot.resize_terminal(100, 30)
        await press(pilot, "escape")
        assert "newcomer" in screen(app)


PLACES: dict[str, type[DOMNode]] = {
    "overview": Overview,
    "processes": ProcessesView,
    "map": MapView,
    "pressure": PressureView,
    "physical": PhysicalView,
    "lab": LabView,
    "pagetable": PageTableSheet,
    "sharers": SharersSheet,
    "difference": DifferenceSheet,
    "choice": ChoiceSheet,
    "explain": ExplainSheet,
    "terms": TermsSheet,
    "pagetypes": PageTypesSheet,
    "obituary": ObituarySheet,
    "policy": PolicySheet,
    "owners": OwnersSheet,
    "group": GroupSheet,
    "run": RunView,
    "crash": CrashSheet,
    "leaks": LeaksSheet,
}


def test_every_key_does_one_thing_wherever_it_works() -> None:
    views = {view for key in KEYS for view in key.views}
    assert views - {"inside"} == PLACES.keys()
    numbers = [view.key for view in (*VIEWS, RUN)]
    for view in views:
        # A view's own keys come before those that work everywhere.
        own = [name for key in KEYS if view in key.views for name in key.key.split(",")]
        assert len(own) == len(set(own)), view
        assert not set(own) & set(numbers), view
    everywhere = [name for key in KEYS if not key.views for name in key.key.split(",")] + numbers
    assert len(everywhere) == len(set(everywhere))


def test_every_key_is_bound_where_it_works_and_has_its_action() -> None:
    for key in KEYS:
        name = f"action_{key.action.split('(')[0]}"
        for place in [PLACES[view] for view in key.views if view in PLACES] or [MemtuiApp]:
            assert hasattr(place, name), (key, place)
            bound = {
                (each.key, each.action) for each in place.BINDINGS if isinstance(each, Binding)
            }
            assert (key.key, key.action) in bound


async def test_the_palette_lists_views_and_keys() -> None:
    app = dashboard()
    async with running(app) as pilot:
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert len(titles) == len(set(titles))
        for view in VIEWS:
            assert any(view.title in title for title in titles)
        await press(pilot, "ctrl+p")
        assert "Overview (1)" in screen(app)
        await press(pilot, *"Map (3)", "enter")
        assert app.view_name == "map"


# Terminals.


def test_glyphs_are_those_the_terminal_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert theme.glyphs().coloured
    assert theme.glyphs().line == "braille"
    monkeypatch.setenv("NO_COLOR", "1")
    assert not theme.glyphs().coloured
    assert len(set(theme.glyphs().fills)) == 3
    monkeypatch.setenv("TERM", "linux")
    assert theme.glyphs().line != "braille"
    assert set(theme.glyphs().eighths) <= set(" ▄█")
    monkeypatch.delenv("NO_COLOR")
    assert len(set(theme.glyphs().fills)) == 3


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "linux")])
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_terminals_without_colours_or_braille(
    name: str, value: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    app = machine("debian-6.18")
    async with running(app, size) as pilot:
        text = screen(app)
        assert "██" in text
        assert "▒▒" in text
        if name == "TERM":
            assert not re.search("[\u2800-\u28ff▁▂▃▅▆▇]", text)
        assert {wcswidth(line) for line in screen_text(app)} == {size[0]}
        await press(pilot, "enter")
        assert "java" in screen(app)
