"""The explanations: every figure has one, and its numbers are those of the tables and of other programs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import unicodedata
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import parse_pressure
from memtui.kernel.vmstat import parse_vmstat
from memtui.live.machine import machine_of
from memtui.model.entry import Entry, Fact
from memtui.model.explain import explain as explaining
from memtui.model.explain.explain import Context, UnknownName, explain
from memtui.model.formula import Formula
from memtui.model.sample import Sample, SystemSample
from memtui.model.system import sar
from memtui.model.system.balance import balance
from memtui.model.system.metrics import METRICS
from memtui.ondemand.context import context_of
from tests.conftest import HOSTS, open_host
from tests.oracles import until_alike

ENTRIES = explaining.entries()
NAMES = explaining.names()
EMPTY = Context(Sample(0.0, 0.0, SystemSample({}, {}, Gap("proc/pressure/memory", "absent")), {}))


def moment(files: Files, time_s: float = 0.0) -> Sample:
    system = SystemSample(
        files.parsed("proc/meminfo", parse_meminfo),
        files.parsed("proc/vmstat", parse_vmstat),
        files.parsed("proc/pressure/memory", parse_pressure),
    )
    return Sample(time_s, 1.0, system, {})


@cache
def context(host: str) -> Context:
    files = LiveFiles() if host == "live" else open_host(host)
    return context_of(moment(files), files, machine_of(files))


EVERYWHERE = ["live", *HOSTS]


def formulas(entry: Entry) -> list[Formula]:
    facts = [each.formula for each in entry.here if isinstance(each, Fact)]
    tools = [each.formula for each in (*entry.differs, *entry.older)]
    return [*([entry.formula] if entry.formula else []), *tools, *facts]


# What begins a sentence in small letters, being a name.
LOWER = frozenset(
    "allocatable kbmemused kbswpused kbswpcad kbhugused kB free() tmpfs overcommit_memory low high "
    "min free(1)'s free vmstat".split()
)


# What is there -------------------------------------------------------------------------------


def test_every_metric_has_one_explanation() -> None:
    for name, metric in METRICS.items():
        assert ENTRIES.count(metric.entry) == 1, name
        assert metric.entry in explaining.by_topic()[metric.topic], name
        assert explaining.canonical(name) == explaining.canonical(metric.label)


def test_every_column_of_sar_and_line_of_the_balance_is_explained() -> None:
    for name in sar.COLUMNS:
        assert explaining.canonical(name) is not None, name
    for line in balance({"MemTotal": 1}).lines:
        assert explaining.canonical(line.name) is not None, line.name
        assert explaining.canonical(line.label) == explaining.canonical(line.name), line


def test_every_line_of_meminfo_is_explained() -> None:
    for host in ("live", "debian-6.18", "numa", "arm64-64k"):
        unknown = [key for key in context(host).meminfo if not explaining.canonical(key)]
        assert unknown == []


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("buff/cache", "buff/cache"),
        ("BUFFCACHE", "buff/cache"),
        ("oom", "OOM"),
        ("oom_killer", "OOM killer"),
        ("OOM-Killer", "OOM killer"),
        ("available", "available"),
        ("mem_available_bytes", "available"),
        ("MemAvailable", "available"),
        ("%Commit", "%commit"),
        ("commit", "commit"),
        ("pte", "PTE"),
        ("Active(anon)", "active anon"),
        ("pgscank", "pgscank/s"),
        ("kbmemused", "kbmemused"),
        ("segfault", "SIGSEGV"),
        ("SEGV_ACCERR", "SIGSEGV"),
        ("process_vm_readv", "reaching in"),
        ("cow", "copy-on-write"),
        ("readelf", "load bias"),
    ],
)
def test_names_as_people_type_them(typed: str, name: str) -> None:
    assert explain(typed, EMPTY).name == name


def test_every_spelling_means_one_thing() -> None:
    meant: dict[str, str] = {}
    for entry in ENTRIES:
        for spelling in explaining.spellings(entry):
            key = explaining._key(spelling)
            assert key, spelling
            assert meant.setdefault(key, entry.name) == entry.name, spelling
            assert explaining.canonical(spelling) == entry.name


def test_an_unknown_name_has_near_ones() -> None:
    with pytest.raises(UnknownName) as unknown:
        explain("swapines", EMPTY)
    assert unknown.value.nearest[0] == "swappiness"
    for nonsense in ("", "→", "zzzzqqqq"):
        with pytest.raises(UnknownName):
            explain(nonsense, EMPTY)


def test_a_search_finds_the_closest_first() -> None:
    assert explaining.search("used")[0][0] == "used"
    assert explaining.search("page fault")[0][0] == "page fault"
    assert [name for name, _, _ in explaining.search("")] == NAMES
    assert explaining.search("no such thing") == []


def test_a_topic_leads_on() -> None:
    for entry in ENTRIES:
        assert entry.see, entry.name
        assert entry.name not in entry.see
        assert len(set(entry.see)) == len(entry.see)
        for name in entry.see:
            assert name in NAMES, (entry.name, name)


# How it is written ---------------------------------------------------------------------------


def test_texts_are_sentences() -> None:
    for name in NAMES:
        found = explain(name, context("live"))
        for text in (found.definition, found.is_not, *found.here):
            assert text[-1] == ".", (name, text)
            assert text[0].isupper() or text.split()[0].strip(":'") in LOWER, (name, text)
            assert "  " not in text
            assert ".." not in text.replace("…", "")
        assert 1 <= len(re.findall(r"[.](?: |$)", found.definition)) <= 4, (name, found.definition)
        assert not found.title.endswith(".")
        whole = " ".join((found.title, found.definition, found.is_not, *found.here))
        assert not any(unicodedata.category(letter).startswith("C") for letter in whole)


def test_files_are_short() -> None:
    directory = Path(explaining.__file__).parent
    for file in directory.rglob("*.py"):
        assert len(file.read_text().splitlines()) <= 400, file


# The numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("host", EVERYWHERE)
def test_a_formula_gives_what_the_metric_gives(host: str) -> None:
    moment = context(host)
    for metric in METRICS.values():
        entry, value = metric.entry, metric.value(moment.sample, None)
        assert explain(entry.name, moment).value == pytest.approx(value), entry.name
        if entry.formula is not None and (got := entry.formula.value(moment.get)) is not None:
            assert got == pytest.approx(value), entry.name


@pytest.mark.parametrize("host", EVERYWHERE)
def test_a_formula_gives_what_the_column_of_sar_gives(host: str) -> None:
    moment = context(host)
    system = moment.sample.system
    now = sar.state(system.meminfo, system.vmstat, system.pressure)
    figures = sar.figures(now, None, None, sar.COLUMNS.values())
    for name, column in sar.COLUMNS.items():
        value, found = figures[name], explain(name, moment)
        if column.unit == "kB" and value is not None:
            value *= 1024
        if found.value is not None or value is not None:
            assert found.value == pytest.approx(value, abs=1023), name


@pytest.mark.parametrize("host", EVERYWHERE)
def test_a_formula_means_what_it_says(host: str) -> None:
    """Python, given the same text with the same numbers, comes to the same."""
    moment = context(host)
    for entry in ENTRIES:
        for formula in formulas(entry):
            found = {name: moment.get(name).value for name in formula.names}
            optional = set(re.findall(r"([\w/.()]+)\?", formula.text))
            known = {
                name: 0 if value is None and name in optional else value
                for name, value in found.items()
            }
            value = formula.value(moment.get)
            if None in known.values():
                assert value is None, (entry.name, formula.text)
                assert "n/a" in formula.worked(moment.get)
                continue
            longest_first = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
            text = re.sub(
                rf"(?<!\w)({longest_first})(?![\w(])",
                lambda match: f"({known[match[0]]})",  # noqa: B023
                formula.shown,
            )
            text = text.replace("−", "-").replace("×", "*")
            try:
                expected = eval(text, {"min": min, "max": max})
            except ZeroDivisionError:
                expected = None
            if expected is not None and expected < 0:
                expected = None
            assert value == pytest.approx(expected), (entry.name, formula.text)


@given(st.sets(st.sampled_from(sorted(context("debian-6.18").meminfo))))
def test_a_number_is_never_made_of_what_is_missing(missing: set[str]) -> None:
    whole = context("debian-6.18")
    system = whole.sample.system
    meminfo = {key: value for key, value in whole.meminfo.items() if key not in missing}
    partial = whole._replace(sample=whole.sample._replace(system=system._replace(meminfo=meminfo)))
    for entry in ENTRIES:
        for formula in formulas(entry):
            required = set(re.findall(r"[\w/.()]+(?![\w/.()?])", formula.text)) & missing
            if required & set(formula.names):
                assert formula.value(partial.get) is None, (formula.text, required)
                assert formula.worked(partial.get).endswith("n/a")


def test_without_anything_all_is_unknown() -> None:
    for name in NAMES:
        found = explain(name, EMPTY)
        assert found.value is None, name
        assert all(each.value is None for each in (*found.differs, *found.older))
        assert found.shown in ("", "n/a")


@pytest.mark.parametrize("host", EVERYWHERE)
def test_every_host_is_explained(host: str) -> None:
    for name in NAMES:
        found = explain(name, context(host))
        for text in (found.formula, *found.here, *(each.worked for each in found.differs)):
            assert "None" not in text
            assert "nan" not in text


def test_a_rate_is_of_two_samples() -> None:
    before, after = context("debian-6.18"), context("debian-6.18-later")
    both = after._replace(before=before.sample, sample=after.sample._replace(time_s=10.0))
    found = explain("minor faults", both)
    assert found.value == METRICS["minor_faults_per_s"].value(both.sample, both.before)
    assert found.value is not None
    assert "A rate needs two readings" not in " ".join(found.here)
    growth = after.vmstat["pgfault"] - before.vmstat["pgfault"]
    assert explain("fault/s", both).value == pytest.approx(growth / 10)
    assert "On average since boot" in " ".join(explain("fault/s", after).here)


# Other programs on the same moment -----------------------------------------------------------


def test_free_says_the_same() -> None:
    version = subprocess.run(["free", "-V"], capture_output=True, text=True, check=True).stdout
    if not re.search(r" 4\.(0\.[1-9]|[1-9])", version):
        pytest.skip(f"used is defined otherwise by {version.strip()}")
    until_alike(free_agrees)


def free_agrees() -> None:
    before = context_of(moment(LiveFiles()), LiveFiles(), machine_of(LiveFiles()))
    done = subprocess.run(["free", "-b", "-w"], capture_output=True, text=True, check=True)
    after = context_of(moment(LiveFiles()), LiveFiles(), machine_of(LiveFiles()))
    names = ["total", "used", "free", "shared", "buffers", "cache", "available"]
    values = list(map(int, done.stdout.splitlines()[1].split()[1:]))
    for name, value in zip(names, values, strict=True):
        ends = [explain(name, each).value for each in (before, after)]
        assert None not in ends
        low, high = sorted(end for end in ends if end is not None)
        slack = 0 if name == "total" else 64 << 20
        assert low - slack <= value <= high + slack, name


def test_psutil_says_the_same() -> None:
    import psutil

    tools = {each.tool: each.value for each in explain("used", context("live")).differs}
    if tuple(map(int, psutil.__version__.split(".")[:2])) < (7, 2):
        pytest.skip(f"psutil {psutil.__version__} defines used otherwise")
    assert tools.keys() >= {"psutil 7.2", "btop", "htop 3"}

    def psutil_agrees() -> None:
        fresh = context_of(moment(LiveFiles()), LiveFiles(), machine_of(LiveFiles()))
        value = {each.tool: each.value for each in explain("used", fresh).differs}["psutil 7.2"]
        assert value == pytest.approx(psutil.virtual_memory().used, abs=64 << 20)

    until_alike(psutil_agrees)


def test_sar_of_its_version_says_the_same() -> None:
    if not shutil.which("sar"):
        pytest.skip("sar is not installed")
    version = subprocess.run(["sar", "-V"], capture_output=True, text=True, check=False)
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", version.stdout + version.stderr)
    assert found
    if not (11, 7, 4) <= tuple(map(int, found.groups())) < (12, 7, 8):
        pytest.skip(f"sar {found[0]} has the definition of today")
    until_alike(sar_agrees)


def sar_agrees() -> None:
    done = subprocess.run(
        ["sar", "-r", "1", "1"], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
    )
    rows = [line.split() for line in done.stdout.splitlines() if line]
    head = next(row for row in rows if "kbmemused" in row)
    value = int(rows[rows.index(head) + 1][head.index("kbmemused")]) * 1024
    fresh = context_of(moment(LiveFiles()), LiveFiles(), machine_of(LiveFiles()))
    old = explain("kbmemused", fresh).older[0]
    assert old.tool.startswith("sysstat 11.7.4")
    assert old.value == pytest.approx(value, abs=128 << 20)


@pytest.mark.parametrize("host", ["live", "debian-6.18", "debian-6.18-later"])
def test_available_is_rebuilt_from_its_parts(host: str) -> None:
    """Other processes change it between the readings of the two files."""
    until_alike(lambda: rebuilt_agrees(host))


def rebuilt_agrees(host: str) -> None:
    files = LiveFiles() if host == "live" else open_host(host)
    fresh = context_of(moment(files), files, machine_of(files))
    entry = next(entry for entry in ENTRIES if entry.name == "available")
    [rebuilt] = [each.formula for each in entry.here if isinstance(each, Fact)]
    value = rebuilt.value(fresh.get)
    if value is None:
        pytest.skip("no zoneinfo, or a kernel before 4.20")
    assert value == pytest.approx(fresh.meminfo["MemAvailable"], abs=32 << 20)


def test_the_limit_of_promises_follows_from_the_ratio() -> None:
    fresh = context("live")
    if fresh.setting("overcommit_kbytes") != "0":
        pytest.skip("overcommit_kbytes is set")
    entry = next(entry for entry in ENTRIES if entry.name == "CommitLimit")
    facts = [each.formula for each in entry.here if isinstance(each, Fact)]
    # Rounded to pages.
    assert facts[0].value(fresh.get) == pytest.approx(fresh.meminfo["CommitLimit"], abs=65536)


# When it is imported -------------------------------------------------------------------------


def test_nothing_of_it_is_imported_to_start() -> None:
    script = (
        "import sys, memtui.tui.app, memtui.tui.views.map, memtui.live.source\n"
        "print([name for name in sys.modules if 'explain' in name or 'explanations' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
