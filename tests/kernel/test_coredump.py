"""Core dumps as bytes: made here, damaged, and this kernel's own against readelf."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.coredump import CoreDump, parse_core
from memtui.kernel.files import Gap, Malformed
from memtui.kernel.registers import Registers
from tests.coredumps import (
    AUXV,
    FILE,
    NOTES,
    PAGE,
    PRPSINFO,
    PRSTATUS,
    SIGINFO,
    Load,
    by_gcore,
    died,
    dumped,
    file_note,
    made,
    note,
    opened,
    prstatus,
    siginfo,
)


def parsed(data: bytes) -> CoreDump:
    return parse_core(lambda offset, length: data[offset : offset + length], len(data))


def test_what_a_dump_tells() -> None:
    dump = parsed(
        made(
            (Load(0x400000, b"x" * PAGE, 3 * PAGE, 5), Load(0x600000, b"", PAGE)),
            (*NOTES, note(FILE, file_note([(0x400000, 0x403000, 2, b"/bin/made")]))),
        )
    )
    assert [(each.start, each.end, each.perms, each.dumped_bytes) for each in dump.segments] == [
        (0x400000, 0x403000, "r-x", PAGE),
        (0x600000, 0x601000, "rw-", 0),
    ]
    assert dump.files == ((0x400000, 0x403000, 2 * PAGE, "/bin/made"),)
    assert dump.program is not None
    assert (dump.program.name, dump.program.command, dump.program.uid) == (
        "made",
        "./made it",
        1000,
    )
    assert dump.auxv[6] == PAGE
    assert dump.pid == 7 and not dump.by_gdb and not dump.gaps
    (thread,) = dump.threads
    assert isinstance(thread.registers, Registers)
    assert thread.registers.instruction_pointer == 0x401000
    assert dump.death is not None and dump.death.siginfo is not None
    assert dump.death.siginfo.code_name == "SEGV_MAPERR" and dump.death.siginfo.address == 0x10


def test_the_first_thread_is_the_one_that_died_and_gdb_begins_with_the_process() -> None:
    kernels = [*NOTES, note(PRSTATUS, prstatus(8))]
    assert [each.tid for each in parsed(made(notes=kernels)).threads] == [7, 8]
    gdbs = [NOTES[1], NOTES[0], note(SIGINFO, siginfo(19, 0x80)), note(PRSTATUS, prstatus(8))]
    dump = parsed(made(notes=gdbs))
    assert dump.by_gdb and dump.death is None  # SIGSTOP: it lived on


def test_before_3_7_there_was_no_siginfo() -> None:
    death = parsed(made(notes=NOTES[:2])).death
    assert death is not None and death.siginfo is not None
    assert (death.siginfo.name, death.siginfo.address) == ("SIGSEGV", None)


def test_more_program_headers_than_the_header_can_count() -> None:
    loads = [Load(0x1000_0000 + 2 * PAGE * each, b"", PAGE) for each in range(70_000)]
    assert len(parsed(made(loads, many=True)).segments) == 70_000


def test_registers_of_an_unknown_processor_are_a_gap() -> None:
    dump = parsed(made(machine=243))
    assert dump.processor is None and isinstance(dump.threads[0].registers, Gap)
    assert dump.threads[0].tid == 7


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not an ELF file"),
        (b"#!/bin/sh\n" * 20, "not an ELF file"),
        (made()[:40], "cut off in its ELF header"),
        (made()[:150], "cut off in its program headers"),
        (made().replace(b"\x7fELF\2", b"\x7fELF\1"), "32-bit"),
        (made().replace(b"\x7fELF\2\1", b"\x7fELF\2\2"), "big-endian"),
        (made()[:16] + b"\2" + made()[17:], "no core dump: an executable"),
        (made(notes=[]), "no process in it"),
        (made(notes=[note(PRSTATUS, prstatus(-1))]), "no process in it"),
    ],
)
def test_what_is_no_dump_says_why(data: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        parsed(data)


@pytest.mark.parametrize("type_", [PRPSINFO, AUXV, FILE, SIGINFO])
def test_a_damaged_note_costs_itself_alone(type_: int) -> None:
    dump = parsed(made(notes=[note(PRSTATUS, prstatus()), note(type_, b"\xff" * 17)]))
    assert [each.tid for each in dump.threads] == [7]
    assert bool(dump.gaps) == (type_ != AUXV)  # of which any whole pair is one


def test_sizes_that_lie_are_bounded_by_the_file() -> None:
    data = bytearray(made())
    struct.pack_into("<Q", data, 64 + 56 + 32, 1 << 62)  # p_filesz of the first PT_LOAD
    (segment,) = parsed(bytes(data)).segments
    assert (segment.dumped_bytes, segment.claimed_bytes) == (PAGE, 2 * PAGE)
    data = bytearray(made())
    struct.pack_into("<Q", data, 64 + 32, 1 << 62)  # of the notes
    assert parsed(bytes(data)).gaps[-1].detail == "the dump is cut off in them"
    struct.pack_into("<HQ", data, 56, 0xFFFF, 0)
    with pytest.raises(Malformed):
        parsed(bytes(data))


@given(st.integers(0, len(made())))
def test_a_dump_that_is_cut_anywhere_is_read_or_refused(length: int) -> None:
    data = made()[:length]
    try:
        dump = parsed(data)
    except Malformed:
        return
    there = [each for each in dump.segments if each.dumped_bytes]
    assert all(each.offset + each.dumped_bytes <= length for each in there)


@given(
    st.lists(st.tuples(st.integers(0, len(made()) - 1), st.integers(0, 255)), max_size=40),
    st.binary(max_size=64),
)
def test_any_bytes_are_read_or_refused(changes: list[tuple[int, int]], tail: bytes) -> None:
    data = bytearray(made() + tail)
    for at, value in changes:
        data[at % 0x600] = value  # the headers and the notes
    try:
        parsed(bytes(data))
    except Malformed:
        return


@given(st.lists(st.tuples(st.sampled_from((1, 3, 6, FILE, SIGINFO)), st.binary(max_size=400))))
def test_any_notes_are_read_or_refused(notes: list[tuple[int, bytes]]) -> None:
    try:
        parsed(made(notes=[*NOTES[:1], *(note(*each) for each in notes)]))
    except Malformed:
        return


@pytest.mark.parametrize("threads", [0, 3])
@pytest.mark.parametrize("coredump_filter", [0x33, 0x00, 0x7F, None])
def test_the_kernels_own_agrees_with_readelf(
    tmp_path: Path, threads: int, coredump_filter: int | None
) -> None:
    with dumped(tmp_path, threads, coredump_filter) as process:
        path = died(process, tmp_path)
    _agrees_with_readelf(path, threads + 1)
    dump = opened(path).dump
    assert dump.pid == process.pid
    assert dump.death is not None and dump.death.siginfo is not None
    assert dump.death.siginfo.address == 0x10 and not dump.by_gdb


@pytest.mark.parametrize("threads", [0, 3])
def test_gcores_agrees_with_readelf(tmp_path: Path, threads: int) -> None:
    with dumped(tmp_path, threads) as process:
        path = by_gcore(process.pid, tmp_path)
    _agrees_with_readelf(path, threads + 1)
    dump = opened(path).dump
    assert dump.pid == process.pid and dump.by_gdb and dump.death is None


def _agrees_with_readelf(path: Path, threads: int) -> None:
    if not shutil.which("readelf"):
        pytest.skip("readelf is not installed")
    dump = opened(path).dump
    headers = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True)
    theirs = [
        (int(address, 16), int(file_bytes, 16), int(memory, 16), flags.replace(" ", ""))
        for address, file_bytes, memory, flags in re.findall(
            r"^  LOAD +\S+ (\S+) \S+ (\S+) (\S+) ([R ][W ][E ])", headers.stdout, re.M
        )
    ]
    letters = str.maketrans("rwx", "RWE", "-")
    assert theirs == [
        (each.start, each.dumped_bytes, each.end - each.start, each.perms.translate(letters))
        for each in dump.segments
    ]
    notes = subprocess.run(["readelf", "-nW", path], capture_output=True, text=True, check=True)
    assert notes.stdout.count("NT_PRSTATUS") == threads == len(dump.threads)
    size = re.search(r"CORE +0x([0-9a-f]+)\s+NT_FILE", notes.stdout)
    assert size is not None
    names = sum(len(each.path.encode()) + 1 for each in dump.files)
    assert int(size[1], 16) == 16 + 24 * len(dump.files) + names
    decoded = re.findall(
        r"^ +0x([0-9a-f]+)  0x([0-9a-f]+)  0x([0-9a-f]+)\n +(\S.*)$", notes.stdout, re.M
    )
    if "Cannot decode" not in notes.stdout:  # Debian's, built for 32 bits too
        assert [
            (int(start, 16), int(end, 16), int(pages, 16) * PAGE, file)
            for start, end, pages, file in decoded
        ] == list(dump.files)


def test_mapped_files_are_those_that_gdb_sees(tmp_path: Path) -> None:
    if not shutil.which("gdb"):
        pytest.skip("gdb is not installed")
    with dumped(tmp_path) as process:
        path = died(process, tmp_path)
    command = ["gdb", "-nx", "-batch", "-ex", "info proc mappings", "-c", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "terminated with signal SIGSEGV" in told
    found = re.findall(r"^ +0x(\w+) +0x(\w+) +0x\w+ +0x(\w+) +(.+)$", told, re.M)
    assert [
        (int(start, 16), int(end, 16), int(offset, 16), file) for start, end, offset, file in found
    ] == list(opened(path).dump.files)
