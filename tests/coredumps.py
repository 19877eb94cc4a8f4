"""Core dumps for tests: made byte by byte, by this kernel of a program of ours, by gcore."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from memtui.kernel.corefiles import CoreFiles
from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.ondemand.core import open_dump
from tests.programs import compiled
from tests.terminal import wait_until

PAGE = 4096
PRSTATUS, PRPSINFO, AUXV, FILE, SIGINFO = 1, 3, 6, 0x46494C45, 0x53494749


class Load(NamedTuple):
    """A PT_LOAD of a made dump: what it holds, and of how much."""

    address: int
    data: bytes
    memory_bytes: int
    flags: int = 6


def note(type_: int, data: bytes, name: bytes = b"CORE") -> bytes:
    head = struct.pack("<III", len(name) + 1, len(data), type_)
    return head + _padded(name + b"\0") + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def prstatus(
    tid: int = 7, signal: int = 11, pc: int = 0x401000, sp: int = 0x7FFF_0000_0F00
) -> bytes:
    registers = [0] * 27
    registers[16], registers[19] = pc, sp
    head = struct.pack("<iiihxxQQiiii", signal, 0, 0, signal, 0, 0, tid, 1, 1, 1)
    return head + bytes(64) + struct.pack("<27Q", *registers) + bytes(8)


def prpsinfo(pid: int = 7, name: bytes = b"made", command: bytes = b"./made it") -> bytes:
    head = struct.pack("<BBBbxxxxQIIiiii", 0, ord("R"), 0, 0, 0, 1000, 1000, pid, 1, 1, 1)
    return head + name.ljust(16, b"\0") + command.ljust(80, b"\0")


def siginfo(signal: int = 11, code: int = 1, address: int = 0x10) -> bytes:
    return struct.pack("<iiixxxxQ", signal, 0, code, address).ljust(128, b"\0")


def auxv(values: dict[int, int]) -> bytes:
    return b"".join(struct.pack("<QQ", *item) for item in [*values.items(), (0, 0)])


def file_note(files: Sequence[tuple[int, int, int, bytes]], page: int = PAGE) -> bytes:
    """Start, end, offset in pages and path of each."""
    places = b"".join(struct.pack("<QQQ", *each[:3]) for each in files)
    names = b"".join(each[3] + b"\0" for each in files)
    return struct.pack("<QQ", len(files), page) + places + names


NOTES = (
    note(PRSTATUS, prstatus()),
    note(PRPSINFO, prpsinfo()),
    note(SIGINFO, siginfo()),
    note(AUXV, auxv({6: PAGE})),
)


def made(
    loads: Sequence[Load] = (Load(0x400000, b"abcd" * 1024, 8192),),
    notes: Sequence[bytes] = NOTES,
    *,
    many: bool = False,
    machine: int = 62,
) -> bytes:
    """A dump. `many`: its number of program headers stands in section header 0, as past 65,534."""
    count = 1 + len(loads)
    notes_at = 64 + 56 * count + (64 if many else 0)
    all_notes = b"".join(notes)
    offset = -(-(notes_at + len(all_notes)) // PAGE) * PAGE
    table = [struct.pack("<IIQQQQQQ", 4, 0, notes_at, 0, 0, len(all_notes), 0, 4)]
    pieces, at = [], offset
    for load in loads:
        sizes = (at, load.address, 0, len(load.data), load.memory_bytes, PAGE)
        table.append(struct.pack("<IIQQQQQQ", 1, load.flags, *sizes))
        pieces.append(load.data + bytes(-len(load.data) % PAGE))
        at += len(pieces[-1])
    headers, body = b"".join(table), b"".join(pieces)
    sections_at = 64 + len(headers) if many else 0
    head = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH",
        *(4, machine, 1, 0, 64, sections_at, 0, 64, 56, 0xFFFF if many else count, 64),
        *(1 if many else 0, 0),
    )
    section = struct.pack("<IIQQQQIIQQ", *[0] * 7, count, 0, 0) if many else b""
    return (head + headers + section + all_notes).ljust(offset, b"\0") + body


def opened(path: Path, program: Path | None = None) -> CoreFiles:
    found = open_dump(str(path), str(program) if program else None, LiveFiles(), lambda *_: None)
    assert not isinstance(found, Gap), found
    return found


def complaint(path: Path) -> str:
    """What is said of a file that cannot be opened."""
    found = open_dump(str(path), None, LiveFiles(), lambda *_: None)
    assert isinstance(found, Gap)
    return found.detail


@contextmanager
def dumped(
    directory: Path,
    threads: int = 0,
    coredump_filter: int | None = None,
    program: Path | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A running `dumped`, whose death leaves a core dump in the directory."""
    program = program or compiled("dumped", directory)
    limits = "ulimit -c unlimited || exit 9"
    if coredump_filter is not None:
        limits += f"; echo {coredump_filter:#x} > /proc/self/coredump_filter"
    command = ["sh", "-c", f'{limits}; exec "$@"', "sh", str(program), str(threads), str(directory)]
    with subprocess.Popen(
        command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            if process.poll() == 9:
                pytest.skip("this user may not raise the limit of core dumps")
            assert line == "ready\n"
            # Threads that are still on their way to sleep have no stack pointer to tell.
            wait_until(lambda: all_sleep(process.pid), "asleep")
            yield process
        finally:
            process.kill()


def all_sleep(pid: int) -> bool:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return all((task / "stat").read_text().rpartition(") ")[2][0] == "S" for task in tasks)


def died(process: subprocess.Popen[str], directory: Path, how: str = "write 10") -> Path:
    """Has it die; its core dump, by this kernel."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern != "core":
        pytest.skip(f"core dumps go elsewhere here: core_pattern is {pattern}")
    assert process.stdin
    process.stdin.write(f"{how}\n")
    process.stdin.flush()
    process.wait(60)
    named = directory / f"core.{process.pid}"
    path = named if named.exists() else directory / "core"
    if not path.exists():
        pytest.skip("the kernel writes no core dump here")
    return path


def by_gcore(pid: int, directory: Path) -> Path:
    """A running process's dump, by gdb."""
    if not shutil.which("gcore"):
        pytest.skip("gdb is not installed")
    result = subprocess.run(
        ["gcore", "-o", str(directory / "gcore"), str(pid)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    path = directory / f"gcore.{pid}"
    if not path.exists():
        pytest.skip(f"gcore may not look at it: {result.stderr[-100:]}")
    return path


def with_hole(path: Path, into: Path, hole_bytes: int = 20 << 30) -> Path:
    """A copy of a small dump with one more mapping, of so many bytes that were never written."""
    data = bytearray(path.read_bytes())
    (headers_at,) = struct.unpack_from("<Q", data, 32)
    (count,) = struct.unpack_from("<H", data, 56)
    end = -(-len(data) // PAGE) * PAGE
    # The table moves to the end of the file, behind the hole, where there is room for one more.
    table = bytes(data[headers_at : headers_at + 56 * count])
    table += struct.pack("<IIQQQQQQ", 1, 6, end, 0x1000_0000_0000, 0, hole_bytes, hole_bytes, PAGE)
    struct.pack_into("<Q", data, 32, end + hole_bytes)
    struct.pack_into("<H", data, 56, count + 1)
    with into.open("wb") as file:
        file.write(data)
        file.seek(end + hole_bytes)
        file.write(table)
    assert os.stat(into).st_blocks * 512 < hole_bytes // 100
    return into
