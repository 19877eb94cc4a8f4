"""Whose memory, the same program twice, page tables, the forbidden address: run to their end."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from memtui.kernel.livefiles import LiveFiles
from memtui.lab.experiments.forbidden import EXPERIMENT as FORBIDDEN
from memtui.lab.needs import what_there_is
from tests.lab.running import Done, User, is_root, run_lab

pytestmark = pytest.mark.xdist_group("machine")

PAGE = os.sysconf("SC_PAGE_SIZE")
USERS: tuple[User, ...] = ("me", "nobody")


def sees_frames(user: User) -> bool:
    return user == "me" and is_root()


@pytest.mark.parametrize("user", USERS)
def test_the_same_address_is_other_memory_in_another_process(user: User) -> None:
    done = run_lab("theirs", user)
    assert done.disagreeing == []
    assert done.measured("a mapping of its own") | {"value here": 7, "value there": 42} == (
        done.measured("a mapping of its own")
    )
    assert done.measured("writing it, too")["value there"] == 43
    assert done.measured("who may not")["refusal"] > 0
    assert ("two frames" in done.titles) == sees_frames(user)


@pytest.mark.parametrize("user", USERS)
def test_a_program_twice_shares_its_text_at_two_addresses(user: User) -> None:
    done = run_lab("twice", user)
    assert done.disagreeing == []
    cat = Path(shutil.which("cat") or "/bin/cat").resolve()
    assert done.measured("what the file says")["file text address"] == text_address(cat)
    shared = done.measured("what is in memory once")
    assert shared["text_shared_bytes"] > shared["text_proportional_bytes"]
    assert ("the frames" in done.titles) == sees_frames(user)


def text_address(path: Path) -> int:
    """As pyelftools reads it."""
    with path.open("rb") as file:
        segments = [each.header for each in ELFFile(file).iter_segments("PT_LOAD")]
    texts: list[int] = [each.p_vaddr for each in segments if each.p_flags & 1]
    return min(texts) // PAGE * PAGE


@pytest.mark.parametrize("user", USERS)
def test_page_tables_are_paid_for(user: User) -> None:
    done = run_lab("tables", user)
    assert done.disagreeing == []
    assert done.measured("the first touch")["first fault"] == 1
    beside, apart = done.measured("side by side"), done.measured("far apart")
    assert beside["faults beside"] == apart["faults apart"]
    assert apart["page_tables"] - beside["page_tables"] > apart["private_dirty"] // 2


@pytest.mark.parametrize("user", USERS)
def test_the_forbidden_address_is_explained_by_run(user: User) -> None:
    done = run_lab("forbidden", user)
    assert done.disagreeing == []
    if "ptrace" not in what_there_is(LiveFiles(), FORBIDDEN, readonly=False):
        pytest.skip("ptrace is forbidden here: the wait status is all there is")
    assert fault(done, "address 0", "null") == (1, 0)
    assert fault(done, "read, but not written", "constant")[0] == 2
    before, after = (
        fault(done, title, what)[1]
        for title, what in (("read, but not written", "constant"), ("one byte further", "guard"))
    )
    assert after - before == PAGE


def fault(done: Done, title: str, what: str) -> tuple[int, int]:
    """The code and the address of a step's segmentation fault."""
    measured = done.measured(title)
    assert measured[f"{what} signal"] == signal.SIGSEGV
    return measured[f"{what} code"], measured[f"{what} fault address"]
