from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import (
    Gap,
    KeptFile,
    KernelFiles,
    Malformed,
    parsed,
    raise_descriptor_limit,
)
from memtui.kernel.maps import Mappings, parse_maps, parse_smaps_rollup, read_mappings
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import parse_pressure
from memtui.kernel.process import parse_int, parse_stat, parse_statm, parse_status
from memtui.kernel.swaps import parse_swaps
from memtui.kernel.vmstat import parse_vmstat
from memtui.kernel.zones import parse_zoneinfo
from tests.terminal import PROJECT

SLEEP = ["sleep", "60"]


def reason(value: object) -> str:
    assert isinstance(value, Gap)
    return value.reason


def make(root: Path, name: str, data: bytes = b"") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)


def test_a_root_is_where_proc_and_sys_are(tmp_path: Path) -> None:
    make(tmp_path, "proc/meminfo", b"MemTotal: 1 kB\n")
    make(tmp_path, "proc/42/stat", b"")
    make(tmp_path, "proc/self/stat", b"")
    for root in (str(tmp_path), f"{tmp_path}/"):
        files = KernelFiles(root)
        assert files.read("proc/meminfo") == b"MemTotal: 1 kB\n"
        assert files.parsed("proc/meminfo", parse_meminfo) == {"MemTotal": 1024}
        assert files.pids() == [42]
        assert files.names("proc/42") == ["stat"]
        assert files.has_proc() and not files.is_live
    assert KernelFiles("/").is_live and KernelFiles("//proc/..").is_live


def test_a_directory_without_proc(tmp_path: Path) -> None:
    files = KernelFiles(str(tmp_path))
    assert not files.has_proc()
    assert (files.pids(), files.names("sys")) == ([], [])
    assert files.read("proc/meminfo") == Gap("proc/meminfo", "absent")
    assert list(files.pieces("proc/meminfo")) == [Gap("proc/meminfo", "absent")]
    assert files.keep("proc/meminfo") == Gap("proc/meminfo", "absent")


def test_absent_of_a_live_process_is_gone_of_a_dead_one(tmp_path: Path) -> None:
    make(tmp_path, "proc/42/stat", b"")
    files = KernelFiles(str(tmp_path))
    assert reason(files.read("proc/42/smaps_rollup")) == "absent"
    assert reason(files.read("proc/43/smaps_rollup")) == "gone"
    assert reason(files.keep("proc/43/statm")) == "gone"
    assert [reason(piece) for piece in files.pieces("proc/43/maps")] == ["gone"]
    assert reason(files.read("proc/sys/vm/swappiness")) == "absent"
    assert reason(files.read("proc/42/stat/x")) == "absent"
    assert reason(files.read("proc/42")) == "failed"


def test_malformed_costs_this_source_alone(tmp_path: Path) -> None:
    make(tmp_path, "proc/meminfo", b"MemTotal: all of it\n")
    gap = KernelFiles(str(tmp_path)).parsed("proc/meminfo", parse_meminfo)
    assert isinstance(gap, Gap)
    assert (gap.source, gap.reason) == ("proc/meminfo", "malformed")
    assert "all of it" in str(gap)


def test_a_process_that_dies_between_open_and_read() -> None:
    files = KernelFiles()
    with subprocess.Popen(SLEEP) as child:
        pid = child.pid
        # smaps_rollup is bound to an address space: open holds no process.
        kept = {
            name: files.keep(f"proc/{pid}/{name}")
            for name in ("statm", "stat", "status", "oom_score")
        }
        before = {name: kept_file(file).read_record() for name, file in kept.items()}
        child.kill()
    assert all(isinstance(data, bytes) and data for data in before.values())
    for file in kept.values():
        assert reason(kept_file(file).read_record()) == "gone"
        assert reason(kept_file(file).read()) == "gone"
        kept_file(file).close()
        kept_file(file).close()
    assert reason(files.read(f"proc/{pid}/statm")) == "gone"
    assert reason(read_mappings(files, pid)) == "gone"


def test_a_zombie_answers_with_zeros_and_an_empty_map() -> None:
    files = KernelFiles()
    with subprocess.Popen(SLEEP) as child:
        kept = kept_file(files.keep(f"proc/{child.pid}/statm"))
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert kept.read_record() == b"0 0 0 0 0 0 0\n"
        mappings = read_mappings(files, child.pid, "maps")
        stat = files.parsed(f"proc/{child.pid}/stat", parse_stat)
        kept.close()
    assert isinstance(mappings, Mappings) and len(mappings) == 0
    assert not isinstance(stat, Gap)
    assert stat.state == "Z" and not stat.is_kernel_thread


def test_an_address_space_ends_with_an_exec() -> None:
    """maps kept open from before goes empty, statm goes on: only files of the task are kept."""
    files = KernelFiles()
    shell = ["sh", "-c", "read line; exec cat"]
    with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin and child.stdout
        maps, statm = (
            kept_file(files.keep(f"proc/{child.pid}/{name}")) for name in ("maps", "statm")
        )
        assert maps.read()
        child.stdin.write(b"go\nback\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"back\n"
        assert maps.read() == b""
        mappings = read_mappings(files, child.pid, "maps")
        assert isinstance(mappings, Mappings) and any(
            path.endswith("cat") for path in mappings.paths
        )
        assert statm.read_record()
        for kept in (maps, statm):
            kept.close()
        child.stdin.close()


def test_a_kept_file_reads_the_present_each_time(tmp_path: Path) -> None:
    make(tmp_path, "proc/7/statm", b"1 1 1 1 0 1 0\n")
    kept = kept_file(KernelFiles(str(tmp_path)).keep("proc/7/statm"))
    assert kept.read_record() == kept.read() == b"1 1 1 1 0 1 0\n"
    make(tmp_path, "proc/7/statm", b"2 2 2 2 0 2 0\n" + b"x" * 100_000)
    assert kept.read() == b"2 2 2 2 0 2 0\n" + b"x" * 100_000
    kept.close()
    assert reason(kept.read()) == "failed"


def test_denied_is_a_value() -> None:
    """maps and smaps are denied together, to whom the process does not belong."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv to become somebody else")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from memtui.kernel.files import KernelFiles\n"
        "files = KernelFiles(sys.argv[3]); base = 'proc/' + sys.argv[2] + '/'\n"
        "for name in ('maps', 'smaps', 'smaps_rollup', 'stat'):\n"
        "    reason = getattr(files.read(base + name), 'reason', 'read')\n"
        "    print(name, files.may_read(base + name), reason)\n"
    )
    # The system's interpreter: an environment's may lie where nobody else may go.
    result = subprocess.run(
        [
            *"setpriv --reuid=65534 --regid=65534 --clear-groups /usr/bin/python3 -c".split(),
            program,
            str(PROJECT),
            str(os.getpid()),
            "/",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if "ModuleNotFoundError" in result.stderr or "No such file" in result.stderr:
        pytest.skip("no interpreter that another user may run, or no way into this directory")
    assert result.stdout.split("\n") == [
        "maps False denied",
        "smaps False denied",
        "smaps_rollup False denied",
        "stat True read",
        "",
    ], result.stderr


def test_only_a_regular_file_is_opened_and_nothing_is_waited_for(tmp_path: Path) -> None:
    make(tmp_path, "there", b"bytes")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    files = KernelFiles(str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    for name in ("there", "link"):
        file = files.open_regular(name)
        assert not isinstance(file, Gap)
        with file:
            assert file.read() == b"bytes" and not os.get_inheritable(file.fileno())
    other = Gap("pipe", "unsupported", "not a regular file")
    assert files.open_regular("pipe") == other
    assert files.open_regular(".") == other._replace(source=".")
    assert KernelFiles().open_regular("dev/zero") == other._replace(source="dev/zero")
    assert files.open_regular("th\0ere") == Gap("th\0ere", "absent")
    assert files.open_regular("missing") == Gap("missing", "absent")
    assert files.open_regular("there/no") == Gap("there/no", "absent")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_regular_file_that_may_not_be_read_is_denied(tmp_path: Path) -> None:
    make(tmp_path, "closed")
    (tmp_path / "closed").chmod(0)
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from memtui.kernel.files import KernelFiles\n"
        "if os.geteuid() == 0: os.setresuid(65534, 65534, 65534)\n"
        "print(KernelFiles(sys.argv[2]).open_regular('closed'))\n"
    )
    command = [sys.executable, "-c", program, str(PROJECT), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "closed: denied\n"


def test_a_file_of_records_is_read_to_its_end() -> None:
    """A single read of a seq_file returns about a page: this process's smaps is longer."""
    data = KernelFiles().read("proc/self/smaps")
    assert isinstance(data, bytes)
    assert len(data) > 65_536
    assert data.endswith(b"\n") and b"[stack]" in data


def _long(lines: int, length: int) -> bytes:
    return b"".join(b"%0*d\n" % (length - 1, n) for n in range(lines))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"one line\n",
        _long(3, 70_000),
        _long(40_000, 50),
        _long(5, 100_000),
        b"x" * 600_000,
    ],
    ids=["empty", "one byte", "one line", "long lines", "short lines", "longer lines", "no line"],
)
def test_pieces_are_whole_lines_and_the_whole_file(tmp_path: Path, data: bytes) -> None:
    make(tmp_path, "proc/9/smaps", data)
    pieces = list(KernelFiles(str(tmp_path)).pieces("proc/9/smaps"))
    joined = b"".join(piece for piece in pieces if isinstance(piece, bytes))
    assert joined == data
    assert all(isinstance(piece, bytes) and piece.endswith(b"\n") for piece in pieces[:-1])
    if b"\n" in data:
        assert all(isinstance(piece, bytes) and len(piece) <= 262_144 for piece in pieces)
    assert b"" not in pieces


def test_abandoned_pieces_leave_no_descriptor_open(tmp_path: Path) -> None:
    make(tmp_path, "proc/9/smaps", _long(40_000, 50))
    before = len(os.listdir("/proc/self/fd"))
    pieces = KernelFiles(str(tmp_path)).pieces("proc/9/smaps")
    assert next(pieces)
    del pieces
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_malformed_piece_is_a_gap(tmp_path: Path) -> None:
    make(
        tmp_path,
        "proc/9/smaps",
        b"1000-2000 r--p 0 0:0 0\nRss: 4 kB\n2000-1000 r--p 0 0:0 0\nRss: 4 kB\n",
    )
    assert reason(read_mappings(KernelFiles(str(tmp_path)), 9)) == "malformed"


def test_numbers_longer_than_python_converts_are_malformed() -> None:
    """Python refuses to convert more than 4,300 digits, with a ValueError."""
    digits = b"9" * 5000
    sources: list[tuple[Callable[[bytes], Any], bytes]] = [
        (parse_meminfo, b"MemTotal: %s kB\n"),
        (parse_vmstat, b"pgfault %s\n"),
        (parse_pressure, b"some avg10=0 avg60=0 avg300=0 total=%s\n"),
        (parse_zoneinfo, b"Node 0, zone Normal\n  pages free %s\n"),
        (parse_zoneinfo, b"Node %s, zone Normal\n"),
        (parse_swaps, b"head\n/swap file %s 0 -1\n"),
        (parse_stat, b"1 (x) S %s\n"),
        (parse_statm, b"%s 0 0 0 0 0 0\n"),
        (parse_status, b"Name:\tx\nVmRSS:\t%s kB\n"),
        (parse_int, b"%s\n"),
        (parse_maps, b"1000-2000 r--p 0 0:0 %s\n"),
        (parse_maps, b"1000-2000 r--p 0 0:0 0\nRss: %s kB\n"),
        (parse_smaps_rollup, b"1000-2000 r--p 0 0:0 0 [rollup]\nRss: %s kB\n"),
    ]
    raised = []
    for parse, line in sources:
        try:
            gap = parsed("x", line % digits, parse)
        except ValueError:
            raised.append((parse.__name__, line))
        else:
            assert reason(gap) == "malformed"
    assert raised == []


@given(st.binary(max_size=200))
def test_parsed_quotes_nothing_that_a_terminal_obeys(data: bytes) -> None:
    def refuse(data: bytes) -> int:
        raise Malformed(repr(data[:60].decode("ascii", "backslashreplace")))

    gap = parsed("proc/x", data, refuse)
    assert isinstance(gap, Gap)
    assert str(gap).isprintable()


def test_the_descriptor_limit_is_raised() -> None:
    program = (
        "import resource, sys; sys.path.insert(0, sys.argv[1])\n"
        "from memtui.kernel.files import raise_descriptor_limit\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))\n"
        "raised = raise_descriptor_limit()\n"
        "print(raised == hard, resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(PROJECT)], capture_output=True, text=True, check=True
    )
    assert result.stdout == "True True\n"
    assert raise_descriptor_limit() > 0


def kept_file(value: KeptFile | Gap) -> KeptFile:
    assert isinstance(value, KeptFile)
    return value
