"""A core dump as the /proc of its process: compared with what that was before it died."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from memtui.kernel.corefiles import CoreFiles, open_core
from memtui.kernel.files import FileStat, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.process import parse_cmdline, parse_identity, parse_status
from memtui.live.looker import read_map
from memtui.live.machine import page_bytes_of
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.labels import label
from memtui.ondemand.elf import read_image
from tests.coredumps import (
    FILE,
    NOTES,
    PAGE,
    Load,
    by_gcore,
    died,
    dumped,
    file_note,
    made,
    note,
    opened,
)
from tests.programs import compiled, look

_VVAR = ("[vvar]", "[vvar_vclock]")


def map_of(files: CoreFiles) -> AddressMap:
    found = read_map(files, ProcessKey(files.dump.pid, 0), "smaps").map
    assert isinstance(found, AddressMap), found
    return found


def rows(map_: AddressMap, *, left_out: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
    """What of a mapping a dump can tell: a file's may have been shared, and names go."""
    mappings = map_.mappings
    return [
        (
            f"{mappings.starts[row]:x}-{mappings.ends[row]:x}",
            mappings.perms[row][:3],
            mappings.offsets[row],
            mappings.paths[row],
            map_.kind(row).name,
        )
        for row in range(len(map_))
        if mappings.paths[row] not in left_out
    ]


def made_files(path: Path, **parts: Any) -> CoreFiles:
    path.write_bytes(made(**parts))
    return opened(path)


@pytest.mark.parametrize("threads", [0, 3])
@pytest.mark.parametrize("coredump_filter", [0x33, 0x3F, 0x23])
def test_the_kernels_dump_has_the_map_that_the_process_had(
    tmp_path: Path, threads: int, coredump_filter: int
) -> None:
    with dumped(tmp_path, threads, coredump_filter) as process:
        alive = look(process.pid)
        path = died(process, tmp_path)
    files = opened(path)
    dead = map_of(files)
    assert rows(dead) == rows(alive)
    shared = [row for row in range(len(alive)) if alive.kind(row).name == "shm"]
    assert shared and all(dead.mappings.perms[row] == "rw-s" for row in shared)
    stacks = [row for row in range(len(dead)) if dead.kind(row).name == "thread_stack"]
    assert [label(dead, row).sure for row in stacks] == ["certain"] * threads


@pytest.mark.parametrize("threads", [0, 2])
def test_gcores_dump_has_it_but_for_the_kernels_own_data(tmp_path: Path, threads: int) -> None:
    with dumped(tmp_path, threads) as process:
        path = by_gcore(process.pid, tmp_path)
        alive = look(process.pid)
    ours, theirs = rows(map_of(opened(path))), rows(alive, left_out=_VVAR)
    # gdb leaves a mapping of a file out that nobody may write to, with its permissions, and one that
    # nobody may access, without a file.
    missing = [row for row in theirs if row not in ours]
    assert all(row[3] in ("", "[vsyscall]") or row[4] == "file" for row in missing), missing
    known = [row for row in theirs if row[4] not in ("guard", "vdso", "file")]
    assert [row for row in ours if row[4] not in ("guard", "vdso", "file", "anon")] == [
        row for row in known if row[4] != "anon"
    ]


def test_who_the_process_was(tmp_path: Path) -> None:
    with dumped(tmp_path, 2) as process:
        path = died(process, tmp_path)
    files = opened(path)
    own = f"proc/{process.pid}"
    assert files.pids() == [process.pid]
    stat = files.parsed(f"{own}/stat", parse_identity)
    assert not isinstance(stat, Gap)
    assert (stat.comm, stat.num_threads, stat.starttime) == ("dumped", 3, 0)
    status = files.parsed(f"{own}/status", parse_status)
    assert not isinstance(status, Gap)
    assert (status["Threads"], status["Pid"]) == (3, process.pid)
    assert str(status["Uid"]).split()[0] == str(os.getuid())
    command = files.parsed(f"{own}/cmdline", parse_cmdline)
    assert isinstance(command, str) and f"{tmp_path}/dumped 2".startswith(command[:40])
    assert len(files.names(f"{own}/task")) == 3
    assert page_bytes_of(files) == os.sysconf("SC_PAGE_SIZE")
    assert not files.is_live
    for name in ("proc/meminfo", f"{own}/limits", "sys/kernel/mm", f"{own}/map_files/zz"):
        gap = files.read(name)
        assert isinstance(gap, Gap) and gap.reason == "absent"


def test_memory_is_the_dumps_then_the_files(tmp_path: Path) -> None:
    with dumped(tmp_path) as process:
        alive = look(process.pid)
        wanted = [
            (alive.mappings.starts[row], alive.mappings.ends[row])
            for row in range(len(alive))
            if alive.kind(row).name in ("text", "rodata", "relro", "data", "bss", "heap")
        ]
        with open(f"/proc/{process.pid}/mem", "rb") as file:
            memory = []
            for start, end in wanted:
                file.seek(start)
                memory.append(file.read(end - start))
        path = died(process, tmp_path)
    files = opened(path)
    name = f"proc/{process.pid}/mem"
    for (start, end), there in zip(wanted, memory, strict=True):
        data = files.read_at(name, start, end - start)
        assert isinstance(data, bytes) and len(data) == end - start
        # stdio moves a few bytes of the heap and of libc's data before it dies.
        assert sum(a != b for a, b in zip(data, there, strict=True)) < 300, f"{start:x}"
    assert isinstance(files.read_at(name, 0, 16), Gap)


def test_without_the_first_bit_only_code_is_taken_from_files(tmp_path: Path) -> None:
    with dumped(tmp_path, 0, 0x10) as process:
        path = died(process, tmp_path)
    files = opened(path)
    map_ = map_of(files)
    name = f"proc/{process.pid}/mem"
    for row in range(len(map_)):
        start, end = map_.mappings.starts[row], map_.mappings.ends[row]
        data = files.read_at(name, end - 16, 16)
        if map_.kind(row).name == "text":
            assert isinstance(data, bytes) and len(data) == 16
        elif map_.kind(row).name in ("data", "relro", "heap", "bss") and end - start > PAGE:
            assert isinstance(data, Gap) and data.detail == "it is not in the dump"


def test_the_program_of_another_build_is_told_and_not_believed(tmp_path: Path) -> None:
    program = compiled("dumped", tmp_path)
    with dumped(tmp_path, program=program) as process:
        path = died(process, tmp_path)
    assert not isinstance(opened(path).mapped(str(program)), Gap)
    row = next(
        row for row, each in enumerate(map_of(opened(path)).mappings.paths) if each == str(program)
    )
    kept = tmp_path / "elsewhere"
    program.rename(kept)
    gone = opened(path).mapped(str(program))
    assert isinstance(gone, Gap) and gone.reason == "absent"
    subprocess.run(["gcc", "-O2", "-pthread", "-o", program, _source("dumped")], check=True)
    another = opened(path).mapped(str(program))
    assert isinstance(another, Gap) and "another build" in another.detail
    # Said where it is, it is taken; and every reader of files finds it.
    files = opened(path, kept)
    found = files.mapped(str(program))
    assert not isinstance(found, Gap) and found[0] == str(kept).lstrip("/")
    image = read_image(files, ProcessKey(process.pid, 0), map_of(files).mappings, row)
    assert not isinstance(image, Gap) and image[0].sections
    wrong = read_image(opened(path), ProcessKey(process.pid, 0), map_of(files).mappings, row)
    assert isinstance(wrong, Gap) and "another build" in wrong.detail


def _source(program: str) -> str:
    return str(Path(__file__).parent.parent / "programs" / f"{program}.c")


def test_one_segment_of_several_files_and_files_without_a_segment(tmp_path: Path) -> None:
    files = made_files(
        tmp_path / "core",
        loads=(Load(0x400000, b"z" * 3 * PAGE, 4 * PAGE, 4),),
        notes=(
            *NOTES,
            note(
                FILE,
                file_note(
                    [
                        (0x400000, 0x401000, 0, b"/a\n[b]"),
                        (0x402000, 0x406000, 1, b"/dev/shm/c"),
                        (0x500000, 0x501000, 9, b"/d"),
                    ]
                ),
            ),
        ),
    )
    assert b"".join(files.layout.maps()).splitlines() == [
        b"00400000-00401000 r--p 00000000 00:00 0 /a\\012[b]",
        b"00401000-00402000 r--p 00000000 00:00 0",
        b"00402000-00404000 r--s 00001000 00:00 0 /dev/shm/c",
        b"00404000-00406000 r--s 00003000 00:00 0 /dev/shm/c",
        b"00500000-00501000 r--p 00009000 00:00 0 /d",
    ]
    assert [row.dumped_bytes for row in files.layout.rows] == [PAGE, PAGE, PAGE, 0, 0]


def test_memory_that_is_cut_off_is_not_taken_from_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "core"
    data = made((Load(0x400000, b"y" * 2 * PAGE, 2 * PAGE),))
    path.write_bytes(data[:-PAGE])
    files = opened(path)
    assert files.read_at("proc/7/mem", 0x400000, 3 * PAGE) == b"y" * PAGE
    gap = files.read_at("proc/7/mem", 0x401000, 4)
    assert isinstance(gap, Gap) and gap.detail == "it is not in the dump"
    assert files.dump.cut == ((0x400000, 0x402000),)


def test_names_from_outside_stay_names(tmp_path: Path) -> None:
    hostile = b"a) R 1\n\x1b[2J\xff"
    files = made_files(
        tmp_path / "core",
        notes=(
            NOTES[0],
            note(
                3,
                struct.pack("<BBBbxxxxQIIiiii", *[0] * 7, 7, 1, 1, 1)
                + hostile.ljust(16, b"\0")
                + hostile.ljust(80, b"\0"),
            ),
        ),
    )
    stat = files.parsed("proc/7/stat", parse_identity)
    assert not isinstance(stat, Gap) and stat.comm.encode("utf-8", "surrogateescape") == hostile
    status = files.parsed("proc/7/status", parse_status)
    assert not isinstance(status, Gap) and status["Pid"] == 7
    assert isinstance(files.stat("proc/7/stat"), FileStat)
    assert files.stat("proc/7") == FileStat("directory", (0, 0), 0, 0, 0)
    assert files.directories("proc/7") == ["task"]


def test_debug_information_is_the_disks(tmp_path: Path) -> None:
    name = "usr/lib/debug/.build-id/ab/cdef.debug"
    disk = LiveFiles(str(tmp_path))
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x7fELF and more")
    dump = tmp_path / "core"
    dump.write_bytes(made())
    files = open_core(os.open(dump, os.O_RDONLY), str(dump), disk)
    assert not isinstance(files, Gap)
    found = files.stat(name)
    assert not isinstance(found, Gap) and found.size_bytes == 13
    assert files.read_at(name, 5, 3, found) == b"and"
    assert isinstance(files.stat("usr/lib/debug/.build-id/ab/none.debug"), Gap)
