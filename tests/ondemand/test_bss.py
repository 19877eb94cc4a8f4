"""What lies behind a library's data: its bss as the file's headers say, and whatever else is there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memtui.kernel.files import Gap, Malformed
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import parse_maps, read_mappings
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.labels import label
from memtui.ondemand.bss import parse_loads, read_bss_ends
from tests.programs import compiled, look, mapped
from tests.recorded import Recorded

FILES = LiveFiles()
MIB = 1 << 20


@pytest.fixture
def python() -> Iterator[int]:
    """With some 30 MiB of objects, which malloc and Python map behind whatever lies there."""
    script = "kept = [{} for _ in range(300000)]; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


def test_a_pythons_bss_is_no_more_than_its_files_say(python: int) -> None:
    map_ = look(python)
    said = 0
    for path in {path for path in map_.mappings.paths if path.startswith("/")}:
        data = Path(path).read_bytes()[:4096]
        if data[:4] == b"\x7fELF":
            said += sum(each.memory_bytes - each.file_bytes for each in parse_loads(data))
    found = {kind.name: totals.size for kind, totals in map_.by_kind.items()}
    assert 0 < found["bss"] <= 2 * said + 65536 < 8 * MIB
    assert found["anon"] + found["heap"] > 20 * MIB
    rows = [row for row in range(len(map_)) if map_.kind(row).name == "bss"]
    assert all(label(map_, row).sure == "certain" for row in rows)


def test_where_it_ends_is_where_readelf_says(tmp_path: Path) -> None:
    program = compiled("mapped", tmp_path)
    (load,) = parse_loads(program.read_bytes()[:4096])
    with mapped(program, tmp_path, "segments") as running:
        map_ = look(running.pid)
        row = next(row for row in map_.bss_ends if map_.mappings.paths[row - 1] == str(program))
        assert map_.bss_ends[row] == map_.mappings.ends[row]
        assert load.memory_bytes - load.file_bytes >= 300_000
        # Read once: from then on the file's device, inode, size and time are enough.
        assert read_bss_ends(FILES, running.pid, map_.mappings) == map_.bss_ends


LAYOUT = """7f0000000000-7f0000001000 r-xp 00000000 08:01 5 /lib/x.so
7f0000001000-7f0000002000 rw-p 00001000 08:01 5 /lib/x.so
7f0000002000-7f0000102000 rw-p 00000000 00:00 0
"""


@pytest.mark.parametrize(
    ("ends", "kind", "words"),
    [
        ({}, "anon", "anonymous memory"),  # a whole MiB
        ({2: 0x7F0000102000}, "bss", "x.so: zero-initialised data (bss)"),
        ({2: 0x7F00000F2000}, "bss", "x.so: zero-initialised data (bss), and 64.0 KiB behind it"),
        (
            {2: 0x7F0000012000},
            "anon",
            "anonymous memory, the first 64.0 KiB of it the bss of x.so",
        ),
        ({2: 0x7F0000002000}, "anon", "anonymous memory"),
    ],
)
def test_one_mapping_is_what_most_of_it_is(ends: dict[int, int], kind: str, words: str) -> None:
    map_ = AddressMap(ProcessKey(1, 1), parse_maps(LAYOUT.encode()), bss_ends=ends)
    assert map_.kind(2).name == kind
    assert label(map_, 2).words == words
    assert label(map_, 2).sure == "certain"


def test_a_file_that_cannot_be_read_tells_nothing() -> None:
    assert read_bss_ends(Recorded(), 1, parse_maps(LAYOUT.encode())) == {}


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\x7fELF\2\1", b"\x7fELF\2\1" + b"\xff" * 60])
def test_damaged_headers_are_errors_and_no_more(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_loads(data)


def test_real_processes_of_all_kinds_have_a_reading() -> None:
    for pid in FILES.pids():
        mappings = read_mappings(FILES, pid)
        if not isinstance(mappings, Gap):
            ends = read_bss_ends(FILES, pid, mappings)
            assert all(end >= mappings.starts[row] for row, end in ends.items())
