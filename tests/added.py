"""Where things are found that tests/test_declared_once.py has added to a copy of the package.

Run as a module with that copy first on the path; prints a JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import Awaitable, Callable

from memtui import cli
from memtui.kernel.files import Gap
from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.model.explain import explain as explaining
from memtui.model.explain.context import Context
from memtui.model.processes.columns import COLUMNS, FIELDS
from memtui.model.query import parse_query
from memtui.model.sample import Sample
from memtui.session.history import History
from memtui.settings.values import settings_of
from memtui.tui.app import MemtuiApp
from memtui.tui.pages.figures import FigureTable
from memtui.tui.sheets.help import help_text
from memtui.tui.views.processes import ProcessesView
from memtui.tui.widgets.section import SectionList
from tests.conftest import HOSTS_DIR, open_host
from tests.interface import app_of, deliver, press, running, screen, script_of
from tests.samples import MIB, map_of, process, sample

Found = dict[str, bool]
HOST = "debian-6.18"
TOP = process(7, "top", 900)
SIZE = (160, 48)


def moment(time_s: float) -> Sample:
    """A machine with 5 MiB of second page tables and a process of 3 MiB of shared memory."""
    made = sample(time_s, TOP._replace(shared_bytes=3 * MIB))
    assert not isinstance(made.system.meminfo, Gap)
    meminfo = {**made.system.meminfo, "SecPageTables": 5 * MIB}
    return made._replace(system=made.system._replace(meminfo=meminfo))


def app() -> MemtuiApp:
    return app_of([moment(100)], {TOP.key: map_of(TOP.key, "top")})


def printed(*words: str) -> str:
    """What the command line prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main(["--root", str(HOSTS_DIR / HOST), *words]) == 0
    return out.getvalue()


def of_history(now: Sample, name: str) -> float | None:
    history = History()
    history.record(now)
    return history.latest(name)


async def on_the_page_of_figures(name: str, label: str) -> Found:
    shown = app()
    async with running(shown, SIZE) as pilot:
        await deliver(pilot, moment(101))
        await press(pilot, "4")
        table = shown.query_one(FigureTable)
        at = [each for _, each in table.rows].index(name)
        await press(pilot, *["down"] * at)
        return {
            "the page of figures": label in screen(shown),
            "the graph": any(
                label in line and line.index(label) > SIZE[0] // 2 - 4
                for line in screen(shown).splitlines()
            ),
            "what i explains": list(shown.view.topics) == [name],
        }


async def figure() -> Found:
    now = moment(100)
    means = explaining.explain("second tables", Context(now))
    return {
        "history": of_history(now, "second_tables_bytes") == 5 * MIB,
        **await on_the_page_of_figures("second_tables_bytes", "second tables"),
        "explain": means.value == 5 * MIB and means.topic == "Who holds memory",
        "its name in explain": explaining.canonical("second_tables_bytes") == "second tables",
        "the list of explanations": "second tables" in printed("explain"),
        "JSON": json.loads(printed("explain", "second", "tables", "--json"))["name"]
        == "second tables",
        "help": "  second tables  SecPageTables\n" in help_text().plain,
    }


async def figure_of_a_new_file() -> Found:
    now = Sampler(open_host(HOST)).sample(plan=Plan(fields=frozenset({"load"})))
    runnable = getattr(getattr(now.system, "load", None), "runnable", None)
    shown = app()
    async with running(shown, SIZE) as pilot:
        await deliver(pilot, moment(101))
        is_wanted = "load" in script_of(shown).plan.fields
    return {
        "a sample": isinstance(runnable, int),
        "what is read at every tick": is_wanted,
        "history": of_history(now, "runnable_count") == runnable,
        **await on_the_page_of_figures("runnable_count", "runnable"),
        "explain": explaining.explain("runnable", Context(now)).value == runnable,
        "help": "read from /proc/loadavg" in help_text().plain,
    }


async def column() -> Found:
    shown = app()
    async with running(shown, SIZE) as pilot:
        await press(pilot, "2")
        view = shown.view
        assert isinstance(view, ProcessesView)
        await press(pilot, "s")
        of_sorting = screen(shown)
        await press(pilot, "escape", "C")
        of_columns = screen(shown)
        await press(pilot, "escape")
        view.processes.choose_columns(("pid", "name", "shared"))
        await deliver(pilot, moment(101))
        words = "what of it is of files or shared memory"
        return {
            "what can be sorted by": words in of_sorting,
            "what can be shown": words in of_columns,
            "its head": "SHARED" in screen(shown),
            "its cells": "3.0M" in screen(shown),
            "what i explains": list(view.topics) == [COLUMNS["shared"].topic],
            "filters": len(parse_query("shared>2M", FIELDS)) == 1
            and not view.processes.set_filter("shared>4M")
            and view.processes.row_count() == 0,
        }


async def section() -> Found:
    shown = app()
    async with running(shown, SIZE) as pilot:
        await press(pilot, "5")
        sections = shown.query_one(SectionList)
        listed = [sections.row_texts(row, ())["name"][0] for row in range(sections.row_count())]
        in_list = "fine weather" in screen(shown)
        await press(pilot, "home", *["down"] * listed.index("Weather"))
        return {
            "the list of sections": "Weather" in screen(shown),
            "its summary": in_list,
            "its page": "The sun shines on this machine." in screen(shown),
            "what i explains": list(shown.view.topics) == ["zone"],
        }


async def report() -> Found:
    return {
        "text": printed("weather") == "weather\nfine\n",
        "JSON": json.loads(printed("weather", "--json")) == {"weather": "fine"},
        "help": "\n  weather " in printed("--help"),
        "its own help": printed("weather", "--help").startswith("usage: memtui weather"),
    }


async def view() -> Found:
    shown = app()
    async with running(shown, SIZE) as pilot:
        before = screen(shown)
        await press(pilot, "7")
        opened, commands = screen(shown), list(shown.get_system_commands(shown.screen))
        await press(pilot, "r")
        return {
            "the list of views": "7 Weather" in before,
            "its key": "The sun shines on every machine." in opened,
            "the footer": "rain" in opened.splitlines()[-1],
            "its keys": "it rains" in screen(shown),
            "the palette": {"Weather (7)", "rain (r)"} <= {each.title for each in commands},
            "help": "KEYS IN WEATHER" in help_text().plain and "let it rain" in help_text().plain,
            "settings": settings_of({"view": "weather"}).view == "weather",
            "the help of --view": "lab, weather" in " ".join(printed("--help").split()),
        }


KINDS: dict[str, Callable[[], Awaitable[Found]]] = {
    "a figure from a file that is read": figure,
    "a figure from a new kernel file": figure_of_a_new_file,
    "a column of processes": column,
    "a section of Physical": section,
    "a report": report,
    "a view": view,
}


async def main() -> None:
    print(json.dumps({kind: await look() for kind, look in KINDS.items()}))


if __name__ == "__main__":
    asyncio.run(main())
