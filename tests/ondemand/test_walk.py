"""What is said of one address: compared with what accesses do, /proc/iomem, and captured hosts."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import parse_maps, read_mappings
from memtui.kernel.process import parse_identity
from memtui.live.machine import machine_of
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.pagetable import Paging
from memtui.ondemand.walk import Walk, walk
from tests.conftest import HOSTS, may_read, open_host
from tests.oracles import until_alike
from tests.pages import FILES, HUGE_PAGE, PAGE, Model, needs_frames, running_model, some_swap

SEGV_MAPERR, SEGV_ACCERR = 11_001, 11_002
CAPTURED = [
    (host, pid)
    for host in HOSTS
    for pid in sorted(open_host(host).pids())
    if may_read(open_host(host), f"proc/{pid}/maps")
]

HERE = machine_of(FILES)


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Model]:
    """Accesses change its memory, so each test has its own."""
    with running_model(tmp_path) as model:
        yield model


def at(model: Model, address: int, source: str = "smaps") -> Walk:
    mappings = read_mappings(FILES, model.key.pid, source)
    assert not isinstance(mappings, Gap)
    return walk(FILES, HERE, AddressMap(model.key, mappings), address)


def said(found: Walk, access: str) -> str:
    """What the sentences say of a read or a write."""
    names = {"r": "A read: ", "w": "A write: "}
    lines = [line for line in found.sentences if line.startswith((names[access], "Any access: "))]
    assert len(lines) == 1, found.sentences
    return lines[0]


def agrees(sentence: str, outcome: tuple[int, int, int]) -> bool:
    """Whether an access went as its sentence says."""
    code, minor, major = outcome
    if "SEGV_" in sentence:
        return code == (SEGV_MAPERR if "SEGV_MAPERR" in sentence else SEGV_ACCERR)
    if "no fault, or a minor one" in sentence:
        return code == 0 and major == 0 and minor <= 1
    if "no fault" in sentence:
        return (code, minor, major) == (0, 0, 0)
    return code == 0 and minor + major == 1


PLACES = [
    *((region, page) for region in ("anon", "closed", "readonly", "file") for page in range(4)),
    *((region, page) for region in ("forked", "guarded", "whole", "split") for page in range(3)),
    *(("shared", page) for page in (0, 3, 4, 7)),
    ("hole", 511),
    ("hole", 512),
    ("hole", 513),
]


@pytest.mark.parametrize("access", "rw")
def test_an_access_does_what_was_said(tmp_path: Path, access: str) -> None:
    """Whether it faults, and the signal that it ends with, asked of the CPU and the kernel."""

    def all_go_as_said() -> None:
        """In a new program each time, as the kernel may have moved a page between the two."""
        with running_model(tmp_path) as model:
            goes_as_said(model, access)

    until_alike(all_go_as_said)


def goes_as_said(model: Model, access: str) -> None:
    compared = set()
    for region, page in PLACES:
        if region not in model.regions:
            continue
        address = model.address(region, page)
        sentence = said(at(model, address), access)
        outcome = model.tell(access, address)
        assert agrees(sentence, outcome), (region, page, sentence, outcome)
        compared.add(outcome[0])
    assert compared == {0, SEGV_MAPERR, SEGV_ACCERR}


def test_a_stack_grows_as_far_as_was_said(model: Model) -> None:
    mappings = read_mappings(FILES, model.key.pid, "maps")
    assert not isinstance(mappings, Gap)
    top = mappings.ends[mappings.paths.index("[stack]")]
    codes = []
    for below in (1 << 20, 6 << 20, 5 << 20, 9 << 20, 1 << 30):
        found = at(model, top - below, "maps")
        sentence = said(found, "w")
        code, *_ = model.tell("w", top - below)
        codes.append(code)
        assert ("SEGV_MAPERR" in sentence) == (code == SEGV_MAPERR), sentence
        # The third is in the stack by then.
        grows = "lets the stack grow" in sentence
        assert grows == (found.row is None and code == 0), sentence  # the third is in it by then
    assert codes[0] == 0


def test_a_stack_keeps_away_from_what_is_below(model: Model) -> None:
    mappings = read_mappings(FILES, model.key.pid, "maps")
    assert not isinstance(mappings, Gap)
    below = mappings.ends[mappings.paths.index("[stack]")] - (6 << 20)
    model.tell("m", below)
    near, far = at(model, below + 100 * PAGE), at(model, below + 400 * PAGE)
    assert "stack guard gap" in said(near, "w") and "lets the stack grow" in said(far, "w")
    assert model.tell("w", near.address)[0] == SEGV_MAPERR
    assert model.tell("w", far.address)[0] == 0


def test_addresses_that_no_process_may_use(model: Model) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("needs x86-64")
    null = at(model, 0)
    assert agrees(said(null, "r"), model.tell("r", 0)) and null.hole and null.hole.start == 0
    kernels = at(model, 0xFFFF_8880_0000_0000)
    assert agrees(said(kernels, "r"), model.tell("r", kernels.address))
    assert kernels.hole and isinstance(kernels.paging, Paging)
    assert kernels.hole.start == kernels.paging.kernel_start
    top = at(model, kernels.paging.user_end - 1)
    assert top.hole and top.hole.end == kernels.paging.user_end and top.hole.above is None
    between = at(model, 0x00F0_0000_0000_0000 << 4)
    assert not between.steps and "SI_KERNEL" in said(between, "r")
    assert model.tell("r", between.address)[0] == 11_128
    vsyscall = at(model, 0xFFFF_FFFF_FF60_0000)
    if vsyscall.row is not None:
        assert vsyscall.entry is None and [step.index for step in vsyscall.steps][-1] == 0
        assert "SEGV_MAPERR" in vsyscall.sentences[-1]


def test_a_hole_says_how_far_its_neighbours_are(model: Model) -> None:
    start = model.address("hole", 512)
    found = at(model, start + 0x123)
    assert found.row is None and found.hole is not None
    assert (found.hole.start, found.hole.end) == (start, start + PAGE)
    assert found.hole.below is not None and found.hole.above == found.hole.below + 1
    assert found.offset == 0x123 and found.page_start == start
    assert found.entry is not None and not found.bits and found.frame is None


def test_physical_addresses_lie_in_ram_and_in_a_zone(model: Model) -> None:
    needs_frames()
    until_alike(lambda: lies_in_ram(model))


def lies_in_ram(model: Model) -> None:
    text = Path("/proc/iomem").read_text()
    ram = [
        (int(start, 16), int(end, 16))
        for start, end in re.findall(r"^(\w+)-(\w+) : System RAM$", text, re.MULTILINE)
    ]
    for region in ("anon", "shared", "file", "forked"):
        found = at(model, model.address(region) + 5)
        address = found.physical_address
        assert address is not None and address % PAGE == 5
        assert any(start <= address <= end for start, end in ram)
        assert found.place is not None
        assert {"PRESENT"} <= {bit.name for bit in found.bits}
        assert {"MMAP"} <= {bit.name for bit in found.flag_bits}
        assert isinstance(found.map_count, int) and found.map_count >= 1
        assert found.last_level == "PTE" or found.huge
        assert f"{address:#x}" in " ".join(found.sentences)


def test_where_the_walk_ends_for_huge_pages(tmp_path: Path) -> None:
    needs_frames()
    if "[never]" in (HUGE_PAGE / "enabled").read_text():
        pytest.skip("transparent huge pages are turned off")

    def it_ends_there() -> None:
        """Of a program of its own each time: there may be none to be had at a moment."""
        with running_model(tmp_path) as model:
            ends_for_huge_pages(model)

    until_alike(it_ends_there)


def ends_for_huge_pages(model: Model) -> None:
    whole = at(model, model.address("whole", 9))
    assert whole.last_level == "PMD" and whole.huge and "one PMD entry" in whole.huge
    assert "AnonHugePages" in Path(f"/proc/{model.key.pid}/smaps").read_text()
    unsure = at(model, model.address("whole", 9), "maps")
    assert unsure.last_level is None and unsure.huge and "where all of it" in unsure.huge
    # Write-protecting one page had the kernel map the rest by single entries.
    for page in (0, 1, 2):
        split = at(model, model.address("split", page))
        assert split.last_level == "PTE" and split.huge and "page by page" in split.huge
    zeros = at(model, model.address("zeros", 7))
    if (HUGE_PAGE / "use_zero_page").read_text().strip() == "1":
        assert zeros.last_level == "PMD" and "ZERO_PAGE" in {bit.name for bit in zeros.flag_bits}
    for region in ("anon", "file"):
        small = at(model, model.address(region))
        assert small.last_level == "PTE" and "transparent" not in (small.huge or "")


@pytest.mark.xdist_group("machine")  # where others make swap, and take it away
def test_a_swapped_page_says_where_it_is(tmp_path: Path) -> None:
    with some_swap(tmp_path), running_model(tmp_path) as model:
        for _ in range(50):
            model.tell("o", *model.regions["anon"])
            found = at(model, model.address("anon", 3))
            if found.swap_words:
                break
        else:
            pytest.skip("the kernel pages nothing out here")
        assert found.frame is None and found.frame_words == "none: the page is not in memory"
        assert found.swap_words in " ".join(found.sentences)
        swaps = Path("/proc/swaps").read_text()
        if found.swap and len(swaps.splitlines()) == 2:
            assert found.swap_words.endswith(swaps.split()[5])
        assert agrees(said(found, "r"), model.tell("r", found.address))


def test_another_process_with_the_pid_is_gone(model: Model) -> None:
    mappings = read_mappings(FILES, model.key.pid, "maps")
    assert not isinstance(mappings, Gap)
    other = ProcessKey(model.key.pid, model.key.start_time_ticks + 1)
    found = walk(FILES, HERE, AddressMap(other, mappings), model.address("anon"))
    assert isinstance(found.entry, Gap) and found.entry.reason == "gone"
    assert "gone" in found.frame_words and any("not known" in line for line in found.sentences)


# Captured machines ------------------------------------------------------------------------------


def captured(host: str, pid: int) -> tuple[Files, AddressMap]:
    files = open_host(host)
    mappings = read_mappings(files, pid, "maps")
    assert not isinstance(mappings, Gap)
    stat = files.parsed(f"proc/{pid}/stat", parse_identity)
    key = ProcessKey(pid, 0 if isinstance(stat, Gap) else stat.starttime)
    return files, AddressMap(key, mappings)


@pytest.mark.parametrize(("host", "pid"), CAPTURED)
def test_every_mapping_and_hole_of_captured_processes(host: str, pid: int) -> None:
    files, map_ = captured(host, pid)
    machine = machine_of(files)
    page = machine.page_bytes
    addresses = {0, page, 1 << 47, 1 << 63, (1 << 64) - 1}
    for row in range(0, len(map_), len(map_) // 40 + 1):
        start, end = map_.mappings.starts[row], map_.mappings.ends[row]
        addresses |= {start - 1, start, end - 1, end}
    for address in addresses - {-1, 1 << 64}:
        found = walk(files, machine, map_, address)
        assert (found.row is None) != (found.hole is None)
        assert found.row == map_.row_at(address)
        if found.hole is not None:
            assert found.hole.start <= address < found.hole.end
        assert isinstance(found.entry, Gap) and found.frame is None
        assert (found.place, found.flags, found.map_count) == (None, None, None)
        assert found.last_level is None and found.physical_address is None
        assert found.sentences


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("debian-6.18", "x86-64, 4 levels, pages of 4 KiB"),
        ("arm64-64k", "arm64, 3 levels, pages of 64 KiB"),
        ("linux-3.2", "x86-64, 4 levels, pages of 4 KiB"),
        ("no-psi", "x86-64, 4 levels, pages of 4 KiB"),
    ],
)
def test_a_captured_machine_is_told_by_what_it_shows(host: str, words: str) -> None:
    files, map_ = captured(host, 1)
    found = walk(files, machine_of(files), map_, map_.mappings.starts[0])
    assert isinstance(found.paging, Paging) and found.paging.words == words
    assert len(found.steps) == len(found.paging.levels)


def test_a_captured_machine_that_does_not_show_what_it_is() -> None:
    files, map_ = captured("linux-2.6.18-vendor", 1)
    found = walk(files, machine_of(files), map_, map_.mappings.starts[0])
    assert isinstance(found.paging, Gap) and not found.steps


CPUINFO = {
    b"flags\t\t: fpu vme lm la57 avx\n": "x86-64, 5 levels, pages of 4 KiB",
    b"flags\t\t: fpu vme lm avx\n": "x86-64, 4 levels, pages of 4 KiB",
    b"CPU implementer\t: 0x41\nCPU architecture: 8\n": "arm64, 4 levels, pages of 4 KiB",
    b"CPU implementer\t: 0x41\nCPU architecture: 7\n": None,
}


@pytest.mark.parametrize(("cpuinfo", "words"), CPUINFO.items())
def test_cpuinfo_tells_the_machine(tmp_path: Path, cpuinfo: bytes, words: str | None) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_bytes(b"processor\t: 0\n" + cpuinfo)
    map_ = AddressMap(
        ProcessKey(1, 1),
        parse_maps(b"7ffd0a000000-7ffd0a021000 rw-p 00000000 00:00 0     [stack]\n"),
    )
    files = LiveFiles(str(tmp_path))
    found = walk(files, machine_of(files)._replace(page_bytes=4096), map_, 0x7FFD_0A00_0010)
    assert (found.paging.words if isinstance(found.paging, Paging) else None) == words


HOST, BUSY = open_host("debian-6.18"), 688
FILES_688, MAP_688 = captured("debian-6.18", BUSY)


@given(st.integers(0, (1 << 64) - 1) | st.integers(0, 1 << 47))
def test_any_address_is_in_a_mapping_or_in_a_hole_without_any(address: int) -> None:
    found = walk(FILES_688, machine_of(FILES_688), MAP_688, address)
    mappings = MAP_688.mappings
    if found.row is not None:
        assert mappings.starts[found.row] <= address < mappings.ends[found.row]
        return
    assert found.hole is not None and found.hole.start <= address < found.hole.end
    assert not any(
        start < found.hole.end and end > found.hole.start
        for start, end in zip(mappings.starts, mappings.ends, strict=True)
    )
    if found.hole.below is not None:
        assert mappings.ends[found.hole.below] == found.hole.start
    if found.hole.above is not None:
        assert mappings.starts[found.hole.above] == found.hole.end


def test_the_page_of_this_very_test() -> None:
    """Its own pagemap may be read by whoever runs it; only frames may be hidden."""
    pid = os.getpid()
    stat = FILES.parsed(f"proc/{pid}/stat", parse_identity)
    mappings = read_mappings(FILES, pid, "smaps")
    assert not isinstance(stat, Gap) and not isinstance(mappings, Gap)
    key = ProcessKey(pid, stat.starttime)
    stack = mappings.ends[mappings.paths.index("[stack]")] - 8
    found = walk(FILES, HERE, AddressMap(key, mappings), stack)
    assert isinstance(found.entry, int) and "PRESENT" in {bit.name for bit in found.bits}
    assert (found.frame is None) == found.frame_words.startswith("hidden")
