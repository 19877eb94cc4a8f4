"""What a plan can name, and what comes of it."""

from __future__ import annotations

import subprocess
import sys
from typing import cast

import pytest

from memtui.kernel.files import Files, Gap
from memtui.live.budget import Budget
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS, READERS, Reader, Readers
from memtui.live.sampler import Sampler
from memtui.model.sample import SystemSample
from memtui.tui.pages import SECTIONS
from tests.conftest import open_host
from tests.recorded import FakeClock, Recorded, recorded
from tests.terminal import PROJECT

ALWAYS = {"meminfo", "vmstat", "pressure"}


def test_every_field_has_its_reader_and_every_section_names_fields() -> None:
    assert set(SystemSample._fields) - ALWAYS == FIELDS
    assert {field for section in SECTIONS for field in section.fields} <= FIELDS


def test_what_is_named_is_read_and_nothing_else() -> None:
    sampler = Sampler(open_host("debian-6.18"))
    for fields in (frozenset[str](), frozenset({"zones"}), frozenset({"slabs", "thp"}), FIELDS):
        system = sampler.sample(plan=Plan(fields=fields)).system
        found = {field for field, value in system._asdict().items() if value is not None}
        assert found - {"confinement"} == (ALWAYS | fields) - {"confinement"}
    sampler.close()


def test_a_defect_in_one_reader_costs_its_field_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Files) -> object:
        raise ZeroDivisionError("nobody thought of it")

    monkeypatch.setitem(cast(dict[str, Reader], READERS), "slabs", broken)
    found = readers(open_host("debian-6.18")).read({"slabs", "zones"})
    assert isinstance(found["slabs"], Gap) and "ZeroDivisionError" in found["slabs"].detail
    assert not isinstance(found["zones"], Gap)


def readers(files: Files, clock: FakeClock | None = None, budget: Budget | None = None) -> Readers:
    clock = clock or FakeClock()
    return Readers(files, budget or Budget(clock), clock)


TREE, OTHER = frozenset({"cgroups"}), frozenset({"zones"})


def tree_reader() -> tuple[Recorded, Readers, Budget]:
    clock = FakeClock()
    files = Recorded(recorded(open_host("pod").root).files, clock)
    budget = Budget(clock)
    return files, readers(files, clock, budget), budget


def is_read_anew(files: Recorded, of: Readers, fields: frozenset[str] = TREE) -> bool:
    before = group_reads(files)
    of.read(fields)
    return group_reads(files) > before


def group_reads(files: Recorded) -> int:
    return sum(count for name, count in files.reads.items() if name.endswith("/memory.pressure"))


def test_the_tree_is_read_again_no_sooner_than_the_budget_allows() -> None:
    files, of, budget = tree_reader()
    files.costs_s = {"memory.pressure": 0.2}
    assert is_read_anew(files, of)
    began, reads = files.clock.now_s, group_reads(files)
    while not is_read_anew(files, of):
        files.clock.now_s += 0.5
    assert files.clock.now_s - began >= 20 * 0.2 * reads
    budget.charge("map", 1.0)
    files.clock.now_s += 19
    assert not is_read_anew(files, of)
    found = of.read(TREE)
    assert found["cgroups"] is of.read(TREE)["cgroups"]  # the same, until it is read again


def test_a_cheap_tree_is_read_again_after_two_seconds() -> None:
    files, of, _ = tree_reader()
    assert is_read_anew(files, of)
    files.clock.now_s += 1.9
    assert not is_read_anew(files, of)
    files.clock.now_s += 0.1
    assert is_read_anew(files, of)


def test_a_tree_that_has_just_been_opened_is_read_at_once_and_charged() -> None:
    files, of, budget = tree_reader()
    files.costs_s = {"memory.pressure": 0.1}
    budget.charge("map", 5.0)
    rest = budget.wait_s("map")
    assert is_read_anew(files, of)
    assert budget.wait_s("map") > rest + 20 * 0.1 - 0.2
    files.clock.now_s += 10
    assert not is_read_anew(files, of)
    of.read(OTHER)
    assert is_read_anew(files, of)


def test_who_no_longer_wants_the_tree_keeps_nobody_waiting() -> None:
    files, of, budget = tree_reader()
    of.read(TREE)
    budget.charge("map", 1.0)
    files.clock.now_s += 3
    of.read(TREE, 60.0)  # it waits
    files.clock.now_s += 18
    assert not budget.may("map")  # and goes first
    of.read(OTHER)
    assert budget.may("map")


def test_the_sampling_thread_imports_nothing() -> None:
    """A machine in trouble may not be able to: all is imported by the thread that plans."""
    script = (
        "import sys, threading\n"
        "from memtui.kernel.livefiles import LiveFiles\n"
        "from memtui.live.source import LiveSource\n"
        "from memtui.live.plan import Plan\n"
        "source = LiveSource(LiveFiles(), 0.1)\n"
        "source.sampler.first(0.1)\n"
        "source.look_at(Plan())\n"
        "print('memtui.live.readers' in sys.modules)\n"
        "source.look_at(Plan(fields=frozenset({'zones', 'cgroups', 'settings'})))\n"
        "before, seen = set(sys.modules), threading.Event()\n"
        "source.start(lambda sample: sample.system.zones is not None and seen.set())\n"
        "print(seen.wait(20), sorted(set(sys.modules) - before))\n"
        "source.stop()\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\nTrue []\n"
