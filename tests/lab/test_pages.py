"""What a program of the lab asks about pages, and its forks."""

from __future__ import annotations

import os
import signal

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.pagemap import read_pagemap
from memtui.lab.child import Child, signal_of
from memtui.lab.pages import byte_at, entries, map_at, present_pages, swapped_pages
from memtui.lab.tools import address_of, anonymous
from tests.oracles import until_alike

PAGE = os.sysconf("SC_PAGE_SIZE")


def test_pages_are_there_once_they_are_written() -> None:
    memory = anonymous(8 * PAGE)
    address, pid = address_of(memory), os.getpid()
    assert present_pages(pid, address, 8, PAGE) == 0
    memory[: 3 * PAGE : PAGE] = b"abc"
    assert present_pages(pid, address, 8, PAGE) == 3
    assert swapped_pages(pid, address, 8, PAGE) == 0
    assert byte_at(address + 2 * PAGE) == ord("c")

    def compare() -> None:
        """The kernel may move a page to another frame in between."""
        others = read_pagemap(LiveFiles(), pid, address, 8, PAGE)
        assert not isinstance(others, Gap) and entries(pid, address, 8, PAGE) == others

    until_alike(compare)


def test_memory_is_mapped_where_it_is_asked_for_or_not_at_all() -> None:
    room = anonymous(64 * PAGE)
    address = address_of(room)
    with pytest.raises(OSError, match=f"no memory can be had at {address:#x}"):
        map_at(address, PAGE)
    room.close()
    memory = map_at(address, PAGE)
    memory[0] = 7
    assert byte_at(address) == 7


def test_a_child_does_what_it_is_told_until_it_dies() -> None:
    child = Child(lambda number: byte_at(0) if number < 0 else number + 1)
    try:
        assert child.ask(41) == 42
        assert child.signal_within(0) is None
    finally:
        child.end()
    assert child.signal_within(0) == signal.SIGKILL


def test_a_signal_that_a_child_dies_of_is_told() -> None:
    killed = Child(dies)
    assert killed.ask(signal.SIGKILL) is None
    assert killed.signal_within(60) == signal.SIGKILL
    killed.end()
    assert signal_of(lambda: byte_at(0)) == signal.SIGSEGV
    assert signal_of(lambda: None) == 0


def dies(number: int) -> int:
    signal.raise_signal(signal.Signals(number))
    return 0
