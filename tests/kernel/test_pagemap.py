"""Pages one by one: a compiled program's known memory, mincore(2), smaps, swap and huge pages."""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import shutil
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap
from memtui.kernel.maps import read_mappings
from memtui.kernel.pagemap import (
    BITS,
    EXCLUSIVE,
    FILE_OR_SHARED,
    FLAGS,
    GUARD,
    KPF_NOPAGE,
    KPF_ZERO_PAGE,
    PRESENT,
    SWAPPED,
    frame,
    is_hidden,
    read_map_count,
    read_page_flags,
    read_pagemap,
    swap_place,
)
from memtui.kernel.process import parse_identity
from memtui.model.keys import ProcessKey
from memtui.model.map.pages import PAGE_STATES, page_states, resident_share
from memtui.ondemand.pages import PagesReading, read_pages
from tests.conftest import HOSTS, open_host
from tests.oracles import until_alike
from tests.pages import FILES, HUGE_PAGE, PAGE, Model, needs_frames, running_model, some_swap
from tests.programs import key_of
from tests.terminal import PROJECT

UAPI = Path("/usr/include/linux/kernel-page-flags.h")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with running_model(tmp_path_factory.mktemp("pages")) as model:
        yield model


def _chars(buffer: mmap.mmap) -> ctypes.Array[ctypes.c_char]:
    return (ctypes.c_char * len(buffer)).from_buffer(buffer)


# Entries ----------------------------------------------------------------------------------------


def test_an_entry_is_taken_apart() -> None:
    assert frame(PRESENT | 0x1234) == 0x1234
    assert frame(PRESENT | (1 << 55) - 1 | EXCLUSIVE) == (1 << 55) - 1
    assert frame(PRESENT) is None and is_hidden(PRESENT | EXCLUSIVE)
    assert frame(0) is None and not is_hidden(0)
    assert swap_place(SWAPPED | 0x1234 << 5 | 3) == (3, 0x1234)
    assert swap_place(SWAPPED | ((1 << 50) - 1) << 5) == (0, (1 << 50) - 1)
    assert swap_place(SWAPPED) is None and is_hidden(SWAPPED)
    for no_place in (0, PRESENT | 0x1234, SWAPPED | GUARD | 0x1234, SWAPPED | 0x1234 << 5 | 31):
        assert swap_place(no_place) is None
    assert len({bit.mask for bit in BITS}) == len({bit.name for bit in BITS}) == len(BITS)


@pytest.mark.skipif(not UAPI.exists(), reason="the kernel's headers are not installed")
def test_flags_are_those_of_the_kernels_header() -> None:
    header = dict(re.findall(r"#define KPF_(\w+)\s+(\d+)", UAPI.read_text()))
    ours = {bit.name: str(bit.mask.bit_length() - 1) for bit in FLAGS}
    assert header.items() <= ours.items()
    assert all(1 << index == bit.mask and bit.words for index, bit in enumerate(FLAGS))


def state(entry: int) -> str:
    """A page's state, one `if` after the other."""
    if entry & PRESENT:
        kind = "file" if entry & FILE_OR_SHARED else "anonymous"
        return kind if entry & EXCLUSIVE else kind + "_shared"
    if entry & GUARD:
        return "guard"
    return "swapped" if entry & SWAPPED else "absent"


@given(
    st.lists(st.integers(0, (1 << 64) - 1), max_size=50), st.integers(1, 60), st.binary(max_size=50)
)
def test_states_and_shares_are_those_of_each_entry(
    values: list[int], per_cell: int, huge: bytes
) -> None:
    entries = array("Q", values)
    huge = huge.ljust(len(values), b"\0")[: len(values)]
    names = [PAGE_STATES[index].name for index in page_states(entries)]
    assert names == [state(value) for value in values]
    with_huge = [PAGE_STATES[index].name for index in page_states(entries, huge)]
    assert with_huge == [
        "huge" if is_huge and value & PRESENT else state(value)
        for is_huge, value in zip(huge, values, strict=True)
    ]
    cells = [values[at : at + per_cell] for at in range(0, len(values), per_cell)]
    assert resident_share(entries, per_cell) == [
        sum(bool(value & PRESENT) for value in cell) / len(cell) for cell in cells
    ]


def test_states_tell_themselves_apart() -> None:
    for field in ("name", "letter", "words", "colour"):
        assert len({getattr(each, field) for each in PAGE_STATES}) == len(PAGE_STATES)
    assert all(len(each.letter) == 1 for each in PAGE_STATES)


# Oracles ----------------------------------------------------------------------------------------


def mincore(buffer: mmap.mmap) -> list[bool]:
    libc = ctypes.CDLL(None, use_errno=True)
    found = (ctypes.c_ubyte * (len(buffer) // PAGE))()
    address = ctypes.c_void_p(ctypes.addressof(_chars(buffer)))
    assert libc.mincore(address, ctypes.c_size_t(len(buffer)), found) == 0
    return [bool(byte & 1) for byte in found]


def present(buffer: mmap.mmap) -> list[bool]:
    address = ctypes.addressof(_chars(buffer))
    entries = read_pagemap(FILES, os.getpid(), address, len(buffer) // PAGE, PAGE)
    assert isinstance(entries, array), entries
    return [bool(entry & PRESENT) for entry in entries]


@given(st.sets(st.integers(0, 99)))
def test_anonymous_pages_in_memory_are_those_of_mincore(touched: set[int]) -> None:
    buffer = mmap.mmap(-1, 100 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    buffer.madvise(mmap.MADV_NOHUGEPAGE)
    for page in touched:
        buffer[page * PAGE] = 1
    assert present(buffer) == mincore(buffer) == [page in touched for page in range(100)]


def test_a_files_pages_are_mapped_only_once_touched(tmp_path: Path) -> None:
    """mincore(2) tells of the page cache, pagemap of the page table."""
    path = tmp_path / "data"
    path.write_bytes(b"x" * 50 * PAGE)
    with path.open("r+b") as file:
        buffer = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        assert present(buffer) == mincore(buffer) == [True] * 50
        buffer.madvise(mmap.MADV_DONTNEED)
        assert present(buffer) == [False] * 50 and any(mincore(buffer))
        assert buffer[7 * PAGE] == ord("x")
        assert present(buffer)[7]
        assert all(
            cached for here, cached in zip(present(buffer), mincore(buffer), strict=True) if here
        )


def test_pages_sum_to_smaps(stopped_pid: int) -> None:
    """Rss of each mapping is its present pages, but for the page of zeros and the kernel's own."""
    needs_frames()
    until_alike(lambda: pages_are_summed(stopped_pid))


def pages_are_summed(stopped_pid: int) -> None:
    """The kernel may be moving a page meanwhile, to have huge ones for somebody."""
    key = key_of(stopped_pid)
    mappings = read_mappings(FILES, stopped_pid)
    assert not isinstance(mappings, Gap)
    compared = 0
    for row, start in enumerate(mappings.starts):
        if mappings.paths[row].startswith("[v"):
            continue
        count = (mappings.ends[row] - start) // PAGE
        reading = read_pages(FILES, key, start, count, PAGE, detailed=False)
        assert isinstance(reading, PagesReading) and len(reading.entries) == count
        resident = 0
        for entry in reading.entries:
            pfn = frame(entry)
            flags = read_page_flags(FILES, pfn) if pfn is not None else KPF_ZERO_PAGE
            assert isinstance(flags, int)
            resident += not flags & KPF_ZERO_PAGE
        assert resident * PAGE == mappings.get(row, "Rss"), mappings.vma(row)
        swapped = sum(bool(entry & SWAPPED) for entry in reading.entries)
        assert swapped * PAGE == mappings.get(row, "Swap")
        compared += resident
    assert compared > 1000


# A program's known memory -----------------------------------------------------------------------


def test_anonymous_pages_are_absent_until_touched(model: Model) -> None:
    states = model.states("anon")
    assert states[1] == "anonymous_shared"  # read only: the page of zeros, which all share
    touched = {page for page, name in enumerate(states) if name == "anonymous"}
    assert touched == set(range(0, 64, 3))
    assert states.count("absent") == 64 - len(touched) - 1
    shares = resident_share(model.entries("anon"), 3)
    assert shares == [2 / 3] + [1 / 3] * 20 + [1.0]


def test_a_page_is_shared_after_a_fork_until_it_is_written(model: Model) -> None:
    assert model.states("forked") == ["anonymous"] + ["anonymous_shared"] * 7


def test_shared_memory_and_files_are_told_from_anonymous_pages(model: Model) -> None:
    assert model.states("shared") == ["file"] * 4 + ["absent"] * 4
    states = model.states("file")
    assert states[0] in ("file", "file_shared")
    assert states[1] == "anonymous"  # written, and so copied


def test_guards_are_told_from_swapped_pages(model: Model) -> None:
    if "guarded" not in model.regions:
        pytest.skip("this kernel has no MADV_GUARD_INSTALL")
    if model.states("guarded")[1] == "swapped":
        pytest.skip("this kernel's pagemap does not tell guards")
    assert model.states("guarded") == ["anonymous", "guard", "anonymous", "anonymous"]


def test_huge_pages_are_told_where_frames_are_visible(tmp_path: Path) -> None:
    needs_frames()
    if "[never]" in (HUGE_PAGE / "enabled").read_text():
        pytest.skip("transparent huge pages are turned off")

    def huge_pages_are_told() -> None:
        """Of a program of its own each time: there may be none to be had at a moment."""
        with running_model(tmp_path) as model:
            tells_huge_pages(model)

    until_alike(huge_pages_are_told)


def tells_huge_pages(model: Model) -> None:
    assert set(model.states("whole", detailed=True)) == {"huge"}
    assert set(model.states("split", detailed=True)) == {"huge"}  # still, though mapped singly
    assert set(model.states("whole")) == {"anonymous"}
    for region in ("anon", "file"):  # of the file's eight pages the cache may make one folio
        assert "huge" not in model.states(region, detailed=True)
    assert model.reading("anon").huge is None


def test_flags_and_counts_of_frames(model: Model) -> None:
    needs_frames()
    until_alike(lambda: tells_flags_and_counts(model))


def tells_flags_and_counts(model: Model) -> None:
    """A page that the kernel moves is for a moment in another frame, or in none."""
    names: dict[str, set[str]] = {}
    counts: dict[str, int | Gap] = {}
    for name, region, page in (
        ("anon", "anon", 0),
        ("zero", "anon", 1),
        ("forked", "forked", 1),
        ("file", "file", 0),
    ):
        pfn = frame(model.entries(region)[page])
        assert pfn is not None
        flags = read_page_flags(FILES, pfn)
        assert isinstance(flags, int)
        names[name] = {bit.name for bit in FLAGS if flags & bit.mask}
        counts[name] = read_map_count(FILES, pfn)
    assert names["anon"] >= {"MMAP", "ANON", "SWAPBACKED"}
    assert names["forked"] >= {"MMAP", "ANON"}
    assert "ZERO_PAGE" in names["zero"]
    assert "MMAP" in names["file"] and "ANON" not in names["file"]
    assert counts["anon"] == 1 and counts["forked"] == 2
    beyond = 1 << 40
    assert read_page_flags(FILES, beyond) == KPF_NOPAGE
    assert read_map_count(FILES, beyond) == 0


@pytest.mark.xdist_group("machine")  # where others make swap, and take it away
def test_swapped_pages_have_a_place_in_swap(tmp_path: Path) -> None:
    with some_swap(tmp_path), running_model(tmp_path) as model:
        address, pages = model.regions["anon"]
        deadline = time.monotonic() + 20
        while "swapped" not in (states := model.states("anon")):
            if time.monotonic() > deadline:
                pytest.skip("the kernel pages nothing out, as in a group whose swap limit is 0")
            model.tell("o", address, pages)
        swapped = [page for page, name in enumerate(states) if name == "swapped"]
        assert {page % 3 for page in swapped} == {0}  # the absent have nothing to write out
        entries = model.entries("anon")
        if os.geteuid() == 0:
            places = [swap_place(entries[page]) for page in swapped]
            assert None not in places and len(set(places)) == len(places)
        model.tell("r", address + swapped[-1] * PAGE)
        assert model.states("anon")[swapped[-1]] == "anonymous"


# Who may not, and what is not there ----------------------------------------------------------------


_AS_NOBODY = """
import ctypes, mmap, os
from memtui.kernel.files import Files
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.pagemap import PRESENT, frame, is_hidden, read_page_flags, read_pagemap
from memtui.kernel.process import parse_identity
from memtui.ondemand.pages import read_pages
from memtui.model.keys import (ProcessKey)
files, page = LiveFiles(), mmap.PAGESIZE
buffer = mmap.mmap(-1, page)
buffer[0] = 1
address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
entry = read_pagemap(files, os.getpid(), address, 1, page)[0]
start = files.parsed(f"proc/{os.getpid()}/stat", parse_identity).starttime
reading = read_pages(files, ProcessKey(os.getpid(), start), address, 1, page, True)
print(bool(entry & PRESENT), frame(entry), is_hidden(entry), reading.huge)
print(read_page_flags(files, 1).reason, read_pagemap(files, os.getppid(), address, 1, page).reason)
"""


def test_nobody_sees_own_pages_but_no_frames() -> None:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv to become nobody")
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
    check = "import sys, memtui; sys.exit(sys.version_info < (3, 11))"
    if subprocess.run([*become, "-c", check], env=environment, check=False).returncode:
        pytest.skip("nobody may not run a Python 3.11 here, or not read memtui")
    done = subprocess.run(
        [*become, "-c", _AS_NOBODY], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["True None True None", "denied denied"]


def test_another_process_with_the_pid_is_not_taken_for_it(model: Model) -> None:
    other = ProcessKey(model.key.pid, model.key.start_time_ticks + 1)
    reading = read_pages(FILES, other, model.address("anon"), 1, PAGE, detailed=False)
    assert isinstance(reading, Gap) and reading.reason == "gone"
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        key = key_of(child.pid)
    reading = read_pages(FILES, key, 0, 1, PAGE, detailed=True)
    assert isinstance(reading, Gap) and reading.reason == "gone"


def test_a_process_without_an_address_space_has_no_pages() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        reading = read_pages(FILES, key_of(zombie.pid), 0, 9, PAGE, detailed=True)
        assert isinstance(reading, PagesReading), reading
        assert not reading.entries and reading.huge == b""


def test_there_are_no_pages_beyond_a_processs_addresses() -> None:
    pid = os.getpid()
    assert read_pagemap(FILES, pid, 0xFFFF_FFFF_FF60_0000, 1, PAGE) == array("Q")
    assert read_pagemap(FILES, pid, (1 << 64) - PAGE, 5, PAGE) == array("Q")
    nothing = read_pagemap(FILES, pid, 0, 5, PAGE)
    assert isinstance(nothing, array) and [entry & PRESENT for entry in nothing] == [0] * 5


@pytest.mark.parametrize("host", HOSTS)
def test_captured_machines_have_no_pagemap(host: str) -> None:
    files = open_host(host)
    for pid in files.pids():
        stat = files.parsed(f"proc/{pid}/stat", parse_identity)
        start = 0 if isinstance(stat, Gap) else stat.starttime
        reading = read_pages(files, ProcessKey(pid, start), 0x1000, 1, PAGE, detailed=True)
        assert isinstance(reading, Gap), pid
        assert reading.reason in ("absent", "denied", "gone")
