"""Whose memory, the same program twice, page tables, the forbidden address: what is told of them."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from memtui.kernel.livefiles import LiveFiles
from memtui.lab.experiments.forbidden import EXPERIMENT as FORBIDDEN
from memtui.lab.experiments.theirs import EXPERIMENT as THEIRS
from memtui.lab.needs import what_there_is
from tests.lab.runs import as_nobody, measured

pytestmark = pytest.mark.xdist_group("machine")

PAGE = os.sysconf("SC_PAGE_SIZE")


def test_the_same_address_is_other_memory_in_another_process() -> None:
    told = measured("theirs")
    own = told["a mapping of its own"]
    assert (own["value here"], own["value there"]) == (7, 42)
    if "ptrace" in what_there_is(LiveFiles(), THEIRS, readonly=False):
        assert told["reading it all the same"] == {"read": 42}
        assert told["writing it, too"]["value there"] == 43
    assert told["who may not"]["refusal"] > 0


def test_frames_are_shown_to_root_alone() -> None:
    nobody = as_nobody()
    if nobody is None:
        pytest.skip("needs root, setpriv, and a Python 3.11 that nobody may run")
    for name, title in (("theirs", "two frames"), ("twice", "the frames")):
        assert title in measured(name)
        assert title not in measured(name, nobody)


def test_a_program_twice_shares_its_text_at_two_addresses() -> None:
    told = measured("twice")
    cat = Path(shutil.which("cat") or "/bin/cat").resolve()
    assert told["what the file says"]["file text address"] == text_address(cat)
    shared = told["what is in memory once"]
    assert shared["text_shared_bytes"] > shared["text_proportional_bytes"]


def text_address(path: Path) -> int:
    """As pyelftools reads it."""
    with path.open("rb") as file:
        segments = [each.header for each in ELFFile(file).iter_segments("PT_LOAD")]
    texts: list[int] = [each.p_vaddr for each in segments if each.p_flags & 1]
    return min(texts) // PAGE * PAGE


def test_addresses_are_the_same_where_chance_is_taken_from_the_first() -> None:
    if not shutil.which("setarch"):
        pytest.skip("needs setarch")
    told = measured("twice", ("setarch", "-R", sys.executable))
    assert told["two processes of it"]["apart_bytes"] == 0


def test_page_tables_are_paid_for() -> None:
    told = measured("tables")
    assert told["the first touch"]["first fault"] == 1
    beside, apart = told["side by side"], told["far apart"]
    assert beside["faults beside"] == apart["faults apart"]
    assert apart["page_tables"] - beside["page_tables"] > apart["private_dirty"] // 2


def test_the_forbidden_address_is_explained_by_run() -> None:
    if "ptrace" not in what_there_is(LiveFiles(), FORBIDDEN, readonly=False):
        pytest.skip("ptrace is forbidden here: the wait status is all there is")
    told = measured("forbidden")
    assert fault(told["address 0"], "null") == (1, 0)
    code, constant = fault(told["read, but not written"], "constant")
    assert (code, constant % PAGE) == (2, 0)
    assert fault(told["one byte further"], "guard") == (2, constant + PAGE)


def fault(told: Mapping[str, int], what: str) -> tuple[int, int]:
    """The code and the address of a step's segmentation fault."""
    assert told[f"{what} signal"] == signal.SIGSEGV
    return told[f"{what} code"], told[f"{what} fault address"]
