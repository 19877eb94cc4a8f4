"""The figures of an experiment are those that memtui tells everywhere."""

from __future__ import annotations

import os

from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.lab.figures import FIGURES, figure_of, label, read_figures, text
from memtui.live.machine import page_bytes_of
from memtui.model.system.free import free_figures
from tests.conftest import open_host

# One that has ended, or never was: pids do not go so far.
_NOBODY = 1 << 30


def test_the_machine_s_are_those_of_free() -> None:
    host = open_host("debian-6.18")
    found = read_figures(host, {}, None, page_bytes_of(host))
    free = free_figures(host.parsed("proc/meminfo", parse_meminfo))
    assert (found["free"], found["buff_cache"]) == (free.free, free.buff_cache)
    assert found["available"] == free.available
    assert {figure.key for figure in FIGURES if figure.of == "machine"} == set(found)


def test_a_process_s_add_up(stopped_pid: int) -> None:
    files = LiveFiles()
    processes = {"": stopped_pid, "gone": _NOBODY}
    found = read_figures(files, processes, None, os.sysconf("SC_PAGE_SIZE"))
    private = found["private_dirty"] + found["private_clean"]
    assert found["uss"] == private
    assert found["shared"] == found["shared_clean"] + found["shared_dirty"]
    assert found["rss"] == private + found["shared"]
    assert found["uss"] <= found["pss"] <= found["rss"] <= found["virtual"]
    assert not [key for key in found if key.startswith("gone.")]


def test_a_figure_and_a_fact_are_told_by_their_key() -> None:
    assert (label("child.rss"), text("child.rss", 4096)) == ("child RSS", "4.0 KiB")
    assert (label("minor_faults"), text("minor_faults", 4096)) == ("minor faults", "4 096")
    assert (label("file_dirty_bytes"), text("file_dirty_bytes", 4096)) == ("file dirty", "4.0 KiB")
    assert text("heap_address", 4096) == "000000001000"
    assert figure_of("mappings") is None and text("mappings", 4096) == "4 096"
