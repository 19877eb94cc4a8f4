"""What a plan can name, and what comes of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from memtui.kernel.files import Files, Gap
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS, Readers
from memtui.live.sampler import Sampler
from memtui.model.sample import SystemSample
from memtui.tui.pages import SECTIONS
from tests.conftest import open_host
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
    files = open_host("debian-6.18")
    readers = Readers(files)

    def broken(_: Files) -> object:
        raise ZeroDivisionError("nobody thought of it")

    monkeypatch.setitem(readers._readers, "slabs", broken)
    found = readers.read({"slabs", "zones"})
    assert isinstance(found["slabs"], Gap) and "ZeroDivisionError" in found["slabs"].detail
    assert not isinstance(found["zones"], Gap)


def test_the_sampling_thread_imports_nothing() -> None:
    """A machine in trouble may not be able to: all is imported by the thread that plans."""
    script = (
        "import sys, threading\n"
        "from memtui.kernel.files import LiveFiles\n"
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
