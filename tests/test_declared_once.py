"""What is added is declared once: a figure, a column, a section, a report and a view more, each in
as few files as can be, are found everywhere they belong.

A copy of the package gets them; tests/added.py looks for them there, in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

PROJECT = Path(__file__).parent.parent

# The copy is made once, by one worker.
pytestmark = pytest.mark.xdist_group("added")

_FIGURE = """\
    of_meminfo(
        "second_tables_bytes",
        "second tables",
        "SecPageTables",
        "Page tables that virtual machines and devices have beside the processes' own.",
        group="memory",
        topic="Who holds memory",
        entry=Entry("second tables", "Second page tables", "", "They are in no process's RSS."),
    ),
"""
_FIGURE_OF_LOAD = """\
    Metric(
        "runnable_count",
        "runnable",
        "count",
        "/proc/loadavg, field 4",
        "Tasks that run or could run now.",
        "the number before the slash",
        lambda now, _: getattr(now.system.load, "runnable", None),
        group="stalls",
        topic="Pressure and reclaim",
        entry=Entry("runnable", "Runnable tasks", "", "It is no share of time."),
        field="load",
    ),
"""
_LOAD = '''\
"""Tasks that could run: /proc/loadavg."""

from __future__ import annotations

from typing import NamedTuple


class Load(NamedTuple):
    runnable: int


def parse_loadavg(data: bytes) -> Load:
    return Load(int(data.split()[3].partition(b"/")[0]))
'''
_COLUMN = """\
    ProcessColumn(
        "shared",
        "SHARED",
        "what of it is of files or shared memory, by statm",
        "bytes",
        lambda _, each: each.shared_bytes,
        width=7,
        topic="mapped",
    ),
"""
_SECTION = '''\
"""A section that is about nothing."""

from __future__ import annotations

from memtui.tui.pages.base import Arrangement, Facts, Section, SectionPage, Summary
from memtui.tui.pages.base import only_words, plain


def _summary(_facts: Facts) -> Summary:
    return plain("fine weather")


def _page(_facts: Facts, _width: int, _arrangement: Arrangement) -> SectionPage:
    return only_words("The sun shines on this machine.")


WEATHER = Section("weather", "Weather", "zone", (), _summary, _page)
'''
_REPORT = '''\
"""`memtui weather`: what it is like outside."""

from __future__ import annotations

from collections.abc import Iterator

from memtui.kernel.files import Files
from memtui.reports.output import Options, document, form_of


def run(files: Files, options: Options) -> Iterator[str]:
    yield document({"weather": "fine"}) if form_of(options) == "json" else "weather\\nfine\\n"
'''
_VIEW = '''\
"""View 7: what it is like outside."""

from __future__ import annotations

from memtui.tui.keys import bindings
from memtui.tui.views.view import View
from memtui.tui.widgets.page import Page, SheetTable


class WeatherView(View):
    BINDINGS = [*bindings("weather")]

    def __init__(self, session):
        super().__init__(session, id="weather")

    def compose(self):
        yield SheetTable(id="weather-table")

    @property
    def main(self):
        return self.query_one(SheetTable)

    def update(self, moment):
        self.main.show(Page((), empty="The sun shines on every machine."))

    def action_rain(self):
        self.notify("it rains")
'''

# By kind, each file with what it is, or behind what in it what comes.
Change = str | tuple[str, str]
ADDITIONS: Final[dict[str, dict[str, Change]]] = {
    "a figure from a file that is read": {
        "model/system/metrics/kernel.py": ("TABLE: Final = (\n", _FIGURE),
    },
    "a figure from a new kernel file": {
        "model/system/metrics/stalls.py": ("TABLE: Final = (\n", _FIGURE_OF_LOAD),
        "kernel/loadavg.py": _LOAD,
        "model/sample.py": (
            "    cgroups: Tree | Gap | None = None\n",
            "    load: object | None = None\n",
        ),
        "live/readers.py": (
            "READERS: Final[Mapping[str, Reader]] = {\n",
            '    "load": lambda files: files.parsed("proc/loadavg", parse_loadavg),\n',
        ),
    },
    "a column of processes": {
        "model/processes/columns.py": ("_TABLE: Final = (\n", _COLUMN),
    },
    "a section of Physical": {
        "tui/pages/weather.py": _SECTION,
        "tui/pages/__init__.py": ("SECTIONS: Final[tuple[Section, ...]] = (\n", "    WEATHER,\n"),
    },
    "a report": {
        "reports/weather.py": _REPORT,
        "commands.py": (
            "COMMANDS: Final = (\n",
            '    Command("weather", "", "what it is like outside", "memtui.reports.weather:run"),\n',
        ),
    },
    "a view": {
        "tui/views/weather.py": _VIEW,
        "views.py": (
            '        "memtui.tui.views.lab:LabView",\n    ),\n',
            '    ViewEntry("7", "weather", "Weather", "Sky", "what it is like outside",\n'
            '              "memtui.tui.views.weather:WeatherView"),\n',
        ),
        "tui/keys.py": (
            "KEYS: Final = (\n",
            '    Key("r", "rain", "r", "let it rain", "rain", ("weather",)),\n',
        ),
    },
}
# What a file that gets an entry must import for it: in the same file.
_IMPORTS: Final = {
    "live/readers.py": "from memtui.kernel.loadavg import parse_loadavg\n",
    "tui/pages/__init__.py": "from memtui.tui.pages.weather import WEATHER\n",
}
FILES_TOUCHED: Final = {
    "a figure from a file that is read": 1,
    "a figure from a new kernel file": 4,  # three, and the figure's own entry
    "a column of processes": 1,
    "a section of Physical": 2,
    "a report": 2,
    "a view": 3,
}


def put_in(package: Path, name: str, change: Change) -> None:
    """Makes a file, or puts a text into one behind the one place that has the other."""
    path = package / name
    if isinstance(change, str):
        assert not path.exists()
        path.write_text(change)
        return
    anchor, text = change
    source = path.read_text()
    assert source.count(anchor) == 1, f"{name}: {anchor!r}"
    source = source.replace(anchor, anchor + text)
    future = "from __future__ import annotations\n"
    path.write_text(source.replace(future, f"{future}\n{_IMPORTS.get(name, '')}", 1))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bool]]:
    """By kind, where the additions are found, and where they are not."""
    root = tmp_path_factory.mktemp("added")
    package = root / "memtui"
    shutil.copytree(PROJECT / "memtui", package, ignore=shutil.ignore_patterns("__pycache__"))
    for changes in ADDITIONS.values():
        for name, change in changes.items():
            put_in(package, name, change)
    done = subprocess.run(
        [sys.executable, "-m", "tests.added"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}:{PROJECT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, dict[str, bool]] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize("kind", ADDITIONS)
def test_what_is_added_is_found_everywhere(
    kind: str, found: dict[str, dict[str, bool]], record_property: Callable[[str, object], None]
) -> None:
    record_property("files touched", len(ADDITIONS[kind]))
    print(f"{kind}: {len(ADDITIONS[kind])} files, found in {', '.join(found[kind])}")
    assert len(found[kind]) >= 3
    assert [place for place, is_there in found[kind].items() if not is_there] == []


def test_how_many_files_an_addition_touches() -> None:
    assert {kind: len(changes) for kind, changes in ADDITIONS.items()} == FILES_TOUCHED
