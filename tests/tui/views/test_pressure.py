"""The pressure view: the verdict, the figures and their graph, sar's columns, watermarks, events."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from textual.pilot import Pilot
from wcwidth import wcswidth

from memtui.kernel.files import Gap
from memtui.kernel.zones import parse_zoneinfo
from memtui.model.sample import Sample
from memtui.model.shortage.rules import LEVELS
from memtui.model.system.metrics import METRICS
from memtui.model.system.sar import COLUMNS
from memtui.session.history import History
from memtui.tui import theme
from memtui.tui.app import MemtuiApp
from memtui.tui.pages.figures import ROWS, FigureTable
from memtui.tui.pages.sar import SarTable
from memtui.tui.views.pressure import PAGES
from memtui.tui.widgets.lines import Lines, Table
from tests.conftest import HOSTS_DIR, open_host
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
    script_of,
    settle,
)
from tests.moments import dashboard, moment, trouble

NAMES = [name for _, name in ROWS]
PLAIN_UNITS = re.compile(r" ?(pages)?/s$")


def shown(app: MemtuiApp, table: Table) -> list[dict[str, str]]:
    """The rows of a table that are on the screen, by column."""
    region = table.region
    rows = []
    for line in screen_text(app)[region.y + 1 : region.bottom]:
        cells, x = {}, region.x + 1
        for column, width in table.columns():
            cells[column.name] = line[x : x + width].strip()
            x += width + 1
        rows.append(cells)
    return rows


async def all_figures(app: MemtuiApp, pilot: Pilot[None]) -> dict[str, dict[str, str]]:
    """Every figure's cells, scrolled through."""
    table = app.query_one(FigureTable)
    found: dict[str, dict[str, str]] = {}
    app.clear_notifications()
    await press(pilot, "home")
    for _ in range(len(NAMES)):
        for row, cells in enumerate(shown(app, table)):
            found[NAMES[table.top + row]] = cells
        if len(found) == len(NAMES):
            return found
        await press(pilot, "pagedown")
    raise AssertionError(f"never shown: {set(NAMES) - found.keys()}")


def title(app: MemtuiApp) -> str:
    region = app.query_one("#figure-title").region
    return screen_text(app)[region.y][region.x : region.right].strip()


def banner(app: MemtuiApp) -> list[str]:
    region = app.query_one("#verdict").region
    return [line.rstrip() for line in screen_text(app)[region.y : region.bottom]]


async def test_it_opens_with_its_key() -> None:
    app = dashboard(*trouble())
    async with running(app) as pilot:
        await press(pilot, "4")
        assert app.view_name == "pressure"
        assert isinstance(app.focused, FigureTable)
        lines = screen_text(app)
        assert banner(app)[0].startswith(" ▲ thrashing  4 000 pages a second come back")
        assert "tasks waited for memory: some above, all below" in lines[4]
        assert any("[figures] sar  watermarks  OOM  events" in line for line in lines)
        await press(pilot, "1", "4")
        assert isinstance(app.focused, FigureTable)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_figures_are_those_of_the_metrics(size: tuple[int, int]) -> None:
    samples = trouble(70, 20)
    app = dashboard(*samples)
    history = History()
    for each in samples:
        history.record(each)
    async with running(app, size) as pilot:
        await press(pilot, "4")
        found = await all_figures(app, pilot)
        for name, cells in found.items():
            metric = METRICS[name]
            over = history.total if metric.unit == "count" else history.mean
            values = {
                "now": metric.value(samples[-1], samples[-2]),
                "minute": over(name, 60),
                "most": history.highest(name),
            }
            for column, value in values.items():
                text = metric.text(value)
                assert cells[column] == PLAIN_UNITS.sub("", text) or cells[column] == text
                assert "…" not in cells[column]
            unit = PLAIN_UNITS.search(metric.text(1.0))
            if unit and "B" not in metric.text(1.0):
                assert cells["unit"] == ("" if values["most"] is None else unit[0].strip())
        assert found["refaults_anon_pages_per_s"]["now"] == "4 000"
        assert found["refaults_anon_pages_per_s"]["minute"] == "1 333"
        assert found["stalled_some_pct"]["now"] == "20 %"
        assert found["swap_out_pages_per_s"]["most"] == "0"
        assert found["page_tables_bytes"]["now"] == "n/a"


async def test_the_largest_numbers_have_room() -> None:
    calm = moment(1000.0, vmstat={"pgscan_anon": 0, "pgpgin": 0, "pgfault": 0})
    wild = {"pgscan_anon": 99_999_999, "pgpgin": 999 << 20, "pgfault": 99_999_999}
    app = dashboard(calm, moment(1001.0, vmstat=wild))
    async with running(app, (80, 24)) as pilot:
        await press(pilot, "4")
        found = await all_figures(app, pilot)
        assert found["minor_faults_per_s"]["now"] == "99 999 999"
        assert found["paged_in_bytes_per_s"]["most"] == "999 GiB/s"
        for cells in found.values():
            assert not any("…" in text for text in cells.values()), cells


async def test_kills_of_a_minute_are_counted() -> None:
    samples = [moment(1000.0 + at, vmstat={"oom_kill": (at > 3) + 2 * (at > 5)}) for at in range(9)]
    app = dashboard(*samples)
    async with running(app) as pilot:
        await press(pilot, "4")
        found = await all_figures(app, pilot)
        kills = found["oom_kills"]
        assert (kills["now"], kills["minute"], kills["most"]) == ("0", "3", "2")
        assert kills["figure"] == "OOM kills †"
        assert banner(app)[0].startswith(" † being killed  the OOM killer ended 3 processes")


async def test_evidence_is_marked_while_the_machine_is_not_well() -> None:
    samples = trouble(5, 15)
    app = dashboard(*samples[:5])
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "4")
        assert app.session.seen["host"].verdict is not None
        assert app.session.seen["host"].verdict.level == "comfortable"
        assert marked(app) == set()
        await deliver(pilot, *samples[5:])
        verdict = app.session.seen["host"].verdict
        assert verdict.level == "thrashing"
        evidence = {each.metric for each in verdict.evidence if each.decides} & set(NAMES)
        assert "stalled_some_pct" in evidence
        # What is available is told beside, and nothing is wrong with it.
        assert "mem_available_bytes" in {each.metric for each in verdict.evidence} - evidence
        assert marked(app) == evidence
        found = await all_figures(app, pilot)
        glyphs = {name for name, cells in found.items() if cells["figure"].endswith("▲")}
        assert glyphs == evidence
        for each in verdict.evidence[:3]:
            assert f"{each.label} {each.text}" in banner(app)[1]


def marked(app: MemtuiApp) -> set[str]:
    """The figures in a level's colour."""
    table = app.query_one(FigureTable)
    colours = {theme.style(colour, bold=True) for colour in (theme.GROWS, theme.ALARM)}
    found = set()
    for row, name in enumerate(NAMES):
        now = table.row_texts(row, ["now"])["now"]
        if now[1] in colours:
            found.add(name)
    return found


# The graph of the figure under the cursor.


@pytest.mark.parametrize(("size", "first"), [((80, 24), "some 20 %"), ((120, 40), "available")])
async def test_the_graph_is_of_the_figure_under_the_cursor(
    size: tuple[int, int], first: str
) -> None:
    """Where the stalls are drawn beside it, it is of what is available instead of them again."""
    app = dashboard(*trouble())
    async with running(app, size) as pilot:
        await press(pilot, "4")
        assert title(app).startswith(first)
        for name in NAMES[1:]:
            await pilot.press("down")
            await pilot.pause()
            if name == "stalled_full_pct" and size[0] >= 100:
                continue
            metric = METRICS[name]
            latest = app.session.history.latest(name)
            assert title(app) == f"{metric.label} {metric.text(latest)}"


async def test_a_click_chooses_the_figure() -> None:
    app = dashboard(*trouble())
    async with running(app) as pilot:
        await press(pilot, "4")
        await pilot.click(FigureTable, offset=(12, 1 + NAMES.index("some_avg60_pct")))
        await settle(pilot)
        assert title(app) == "some 60 s 0 %"
        # Its graph is drawn: the axis is that of the figure.
        assert " 5 %┤" in screen(app)


async def test_windows() -> None:
    now, maps = captured("debian-6.18")
    app = app_of(minutes_of(now), maps)
    async with running(app) as pilot:
        await press(pilot, "4")
        assert screen(app).count("-5 min") == 2
        for key, label in (
            ("plus", "-60 s"),
            ("plus", "-60 s"),
            ("minus", "-5 min"),
            ("minus", "-15 min"),
            ("minus", "-60 min"),
        ):
            before = [cells["picture"] for cells in shown(app, app.query_one(FigureTable))]
            await press(pilot, key)
            assert screen(app).count(label) == 2
            after = [cells["picture"] for cells in shown(app, app.query_one(FigureTable))]
            assert (after != before) or label == "-60 s"


# Its pages.


def open_page(app: MemtuiApp) -> str:
    found = [name for name in PAGES if app.query_one(f"#{name}").display]
    assert len(found) == 1
    line = next(line for line in screen_text(app) if "[" + found[0] in line)
    assert line.count("[") == 1
    return found[0]


async def test_pages_turn_by_keys_and_clicks() -> None:
    app = dashboard(*trouble())
    async with running(app) as pilot:
        await press(pilot, "4")
        seen = []
        for _ in range(len(PAGES) + 1):
            seen.append(open_page(app))
            await press(pilot, "right")
        assert seen == [*PAGES, PAGES[0]]
        await press(pilot, "left", "left")
        assert open_page(app) == PAGES[-1]
        for name in PAGES:
            tabs = app.query_one("#pressure-tabs")
            at = screen_text(app)[tabs.region.y].index(name)
            await pilot.click("#pressure-tabs", offset=(at + 1, 0))
            await settle(pilot)
            assert open_page(app) == name
            # The keys are the page's: the cursor moves in it.
            focused = app.focused
            assert isinstance(focused, Table)
            assert focused.display or name in ("watermarks", "OOM")  # which have no rows here
        await pilot.click("#pressure-tabs", offset=(100, 0))
        await settle(pilot)
        assert open_page(app) == PAGES[-1]


def machine_at(host: str) -> Sample:
    uptime_s = float((HOSTS_DIR / host / "proc/uptime").read_text().split()[0])
    return captured(host)[0]._replace(time_s=uptime_s)


async def test_sar_says_what_memtui_sar_says() -> None:
    roots = ("debian-6.18", "debian-6.18-later")
    argv = [word for host in roots for word in ("--root", str(HOSTS_DIR / host))]
    done = subprocess.run(
        [sys.executable, "-m", "memtui", "sar", "-rBSWHq", "--json", *argv],
        capture_output=True,
        check=True,
        text=True,
        cwd=HOSTS_DIR.parent.parent,
    )
    expected = json.loads(done.stdout)
    samples = [machine_at(host) for host in roots]
    app = app_of(samples, {})
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "4", "right")
        found = {}
        for _ in range(4):
            for cells in shown(app, app.query_one(SarTable)):
                found[cells["name"]] = cells
            await press(pilot, "pagedown")
        found.pop("", None)
        assert found.keys() == COLUMNS.keys()
        for name, column in COLUMNS.items():
            assert found[name]["now"] == column.text(expected[name]), name
            if found[name]["section"]:
                assert found[name]["section"] == column.section


async def test_sars_average_is_over_what_was_shown() -> None:
    rates = (100, 300, 500)
    counts = [sum(rates[:at]) for at in range(4)]
    samples = [
        moment(1000.0 + at, vmstat={"pgmajfault": count}, meminfo={"MemFree": (1 + at) << 30})
        for at, count in enumerate(counts)
    ]
    app = dashboard(samples[0], samples[1])
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "4", "right")
        table = app.query_one(SarTable)

        def row(name: str) -> dict[str, str]:
            return next(each for each in shown(app, table) if each["name"] == name)

        assert row("majflt/s")["now"] == "100.00"  # at once: the sample before is known
        await deliver(pilot, samples[2])
        await press(pilot, "left")
        await deliver(pilot, samples[3])
        await press(pilot, "right")
        faults, free = row("majflt/s"), row("kbmemfree")
        assert (faults["now"], faults["-1"], faults["-2"]) == ("500.00", "300.00", "100.00")
        assert faults["average"] == "300.00"
        assert free["now"] == str(4 << 20)
        assert free["average"] == str(3 << 20)
        # Away for a while: that time is in no rate and in no average.
        await press(pilot, "1")
        vmstat = {"pgmajfault": 100_000}
        await deliver(pilot, moment(1030.0, vmstat=vmstat))
        await press(pilot, "4")
        await deliver(pilot, moment(1031.0, vmstat={"pgmajfault": 100_500}))
        assert row("majflt/s")["now"] == "500.00"
        assert float(row("majflt/s")["average"]) < 4000


async def test_watermarks_are_read_only_while_they_are_shown() -> None:
    now, maps = captured("debian-6.18")
    now = now._replace(system=now.system._replace(zones=None))
    app = app_of(minutes_of(now, 3), maps)
    async with running(app) as pilot:
        await press(pilot, "4", "right")
        assert script_of(app).plan.fields == {"accounts"}
        await press(pilot, "right")
        assert script_of(app).plan.fields == {"accounts", "zones"}
        assert "not read yet" in screen(app)
        read = open_host("debian-6.18").parsed("proc/zoneinfo", parse_zoneinfo)
        system = now.system._replace(zones=read)
        await deliver(pilot, now._replace(time_s=1001.0, system=system))
        text = screen(app)
        for word in ("ZONE", "MIN", "LOW", "HIGH", "DMA32", "Normal"):
            assert word in text
        await press(pilot, "right")
        assert "zones" not in script_of(app).plan.fields
        await press(pilot, "left")
        assert "zones" in script_of(app).plan.fields
        await press(pilot, "1")
        assert "zones" not in script_of(app).plan.fields
        await press(pilot, "4")
        assert "zones" in script_of(app).plan.fields


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_banner_never_cuts_its_sentence(size: tuple[int, int]) -> None:
    """A kill in a group at its limit has the longest sentence."""
    samples = [moment(1000.0 + at, vmstat={"oom_kill": at // 3}) for at in range(6)]
    app = dashboard(*samples)
    async with running(app, size) as pilot:
        await press(pilot, "4")
        verdict = app.session.seen["host"].verdict
        assert verdict is not None and verdict.in_group
        words = " ".join(" ".join(banner(app)).split())
        assert verdict.sentence.partition(": ")[2] in words
        assert words.startswith(f"† {LEVELS['being_killed'].label}")
        is_whole(app)
        assert all(wcswidth(line) <= size[0] for line in banner(app))


async def test_lines_tell_apart_what_was_never_known() -> None:
    app = dashboard(moment(1000.0, vmstat=Gap("proc/vmstat", "denied")))
    async with running(app) as pilot:
        await press(pilot, "4", *["down"] * NAMES.index("kswapd_scanned_pages_per_s"))
        assert title(app) == "kswapd scans n/a: proc/vmstat: denied · available 9.0 GiB"
        assert isinstance(app.query_one("#figure-title"), Lines)
