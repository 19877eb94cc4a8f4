from __future__ import annotations

import gc
import mmap
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

from memtui.kernel.files import FileStat, Gap, Kept, Malformed, parsed
from memtui.kernel.livefiles import LiveFiles, raise_descriptor_limit
from memtui.kernel.maps import Mappings, parse_maps, read_mappings
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import parse_pressure
from memtui.kernel.process import parse_int, parse_stat
from memtui.kernel.swaps import parse_swaps
from memtui.kernel.zones import parse_zoneinfo
from tests.oracles import until_alike
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
        files = LiveFiles(root)
        assert files.read("proc/meminfo") == b"MemTotal: 1 kB\n"
        assert files.parsed("proc/meminfo", parse_meminfo) == {"MemTotal": 1024}
        assert files.pids() == [42]
        assert files.names("proc/42") == ["stat"]
        assert not files.is_live
    assert LiveFiles("/").is_live and LiveFiles("//proc/..").is_live


def test_a_directory_without_proc(tmp_path: Path) -> None:
    files = LiveFiles(str(tmp_path))
    assert files.stat("proc") == Gap("proc", "absent")
    assert (files.pids(), files.names("sys")) == ([], [])
    assert files.read("proc/meminfo") == Gap("proc/meminfo", "absent")
    assert list(files.pieces("proc/meminfo")) == [Gap("proc/meminfo", "absent")]
    assert files.keep("proc/meminfo") == Gap("proc/meminfo", "absent")


def test_absent_of_a_live_process_is_gone_of_a_dead_one(tmp_path: Path) -> None:
    make(tmp_path, "proc/42/stat", b"")
    files = LiveFiles(str(tmp_path))
    assert reason(files.read("proc/42/smaps_rollup")) == "absent"
    assert reason(files.read("proc/43/smaps_rollup")) == "gone"
    assert reason(files.keep("proc/43/statm")) == "gone"
    assert [reason(piece) for piece in files.pieces("proc/43/maps")] == ["gone"]
    assert reason(files.read("proc/sys/vm/swappiness")) == "absent"
    assert reason(files.read("proc/42/stat/x")) == "absent"
    assert reason(files.read("proc/42")) == "unsupported"


def test_malformed_costs_this_source_alone(tmp_path: Path) -> None:
    make(tmp_path, "proc/meminfo", b"MemTotal: all of it\n")
    gap = LiveFiles(str(tmp_path)).parsed("proc/meminfo", parse_meminfo)
    assert isinstance(gap, Gap)
    assert (gap.source, gap.reason) == ("proc/meminfo", "malformed")
    assert "all of it" in str(gap)


def test_a_process_that_dies_between_open_and_read() -> None:
    files = LiveFiles()
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
    files = LiveFiles()
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
    files = LiveFiles()
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

        def old_space_is_gone() -> None:
            """Who reads all processes at that moment keeps it a little longer."""
            assert maps.read() == b""

        until_alike(old_space_is_gone)
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
    kept = kept_file(LiveFiles(str(tmp_path)).keep("proc/7/statm"))
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
        "from memtui.kernel.livefiles import LiveFiles\n"
        "files = LiveFiles(sys.argv[3]); base = 'proc/' + sys.argv[2] + '/'\n"
        "for name in ('maps', 'smaps', 'smaps_rollup', 'stat'):\n"
        "    reason = getattr(files.read_at(base + name, 0, 1), 'reason', 'read')\n"
        "    print(name, reason)\n"
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
        "maps denied",
        "smaps denied",
        "smaps_rollup denied",
        "stat read",
        "",
    ], result.stderr


def test_what_a_name_leads_to_is_told_without_opening_it(tmp_path: Path) -> None:
    make(tmp_path, "there", b"bytes")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    files = LiveFiles(str(tmp_path))
    own = (tmp_path / "there").stat()
    device = (os.major(own.st_dev), os.minor(own.st_dev))
    found = FileStat("file", device, own.st_ino, 5, own.st_mtime_ns)
    assert files.stat("there") == files.stat("link") == found
    kinds = [files.stat("."), files.stat("pipe"), LiveFiles().stat("dev/zero")]
    assert [each.kind for each in kinds if isinstance(each, FileStat)] == [
        "directory",
        "other",
        "other",
    ]
    assert files.stat("th\0ere") == Gap("th\0ere", "absent")
    assert files.stat("missing") == Gap("missing", "absent")
    assert files.stat("there/no") == Gap("there/no", "absent")


def test_that_very_file_is_read_and_nothing_is_waited_for(tmp_path: Path) -> None:
    make(tmp_path, "there", b"0123456789")
    files = LiveFiles(str(tmp_path))
    found = files.stat("there")
    assert isinstance(found, FileStat)
    gc.collect()  # what other tests have left closes now, and not meanwhile
    before = len(os.listdir("/proc/self/fd"))
    assert files.read_at("there", 2, 3, found) == b"234"
    assert files.read_at("there", 8, 30, found) == b"89"
    make(tmp_path, "there", b"012345678")
    assert reason(files.read_at("there", 0, 1, found)) == "gone"
    make(tmp_path, "other", b"0123456789")
    os.replace(tmp_path / "other", tmp_path / "there")
    assert reason(files.read_at("there", 0, 1, found)) == "gone"
    (tmp_path / "there").unlink()
    os.mkfifo(tmp_path / "there")
    assert reason(files.read_at("there", 0, 1, found)) == "unsupported"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_out_of_a_copied_tree_leads_nowhere(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    make(tmp_path, "outside")
    make(tree, "proc/42/stat")
    for name in ("link", "proc/42/root", "proc/42/exe"):
        (tree / name).symlink_to(tmp_path / "outside")
    (tree / "proc/self").symlink_to("42")
    files = LiveFiles(str(tree))
    assert reason(files.stat("link")) == "absent"
    assert reason(files.stat("proc/42/root")) == "absent"
    assert reason(files.stat("proc/42/exe")) == "absent"
    assert isinstance(files.stat("proc/self/stat"), FileStat)
    # The kernel's own links lead where they should, wherever its /proc is mounted.
    (tmp_path / "host").mkdir()
    (tmp_path / "host/proc").symlink_to("/proc")
    host = LiveFiles(str(tmp_path / "host"))
    assert isinstance(host.stat(f"proc/{os.getpid()}/root{tmp_path}/outside"), FileStat)


def test_no_more_files_are_kept_than_may_be(tmp_path: Path) -> None:
    make(tmp_path, "proc/7/statm", b"1")
    program = (
        "import os, resource, sys; sys.path.insert(0, sys.argv[1])\n"
        "from memtui.kernel.files import Gap\n"
        "from memtui.kernel.livefiles import LiveFiles\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (138, 138))\n"
        "files = LiveFiles(sys.argv[2])\n"
        "before = len(os.listdir('/proc/self/fd'))\n"
        "kept = [files.keep('proc/7/statm') for _ in range(30)]\n"
        "refused = [each for each in kept if isinstance(each, Gap)]\n"
        "print(len(kept) - len(refused), {each.reason for each in refused})\n"
        "kept[0].close(); kept[0].close(); kept[1].close()\n"
        "again = [files.keep('proc/7/statm') for _ in range(3)]\n"
        "print([isinstance(each, Gap) for each in again])\n"
        "del kept, again\n"
        "print(len(os.listdir('/proc/self/fd')) - before)\n"
    )
    command = [sys.executable, "-c", program, str(PROJECT), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "10 {'failed'}\n[False, False, True]\n0\n"


def test_a_saved_log_is_read_on_and_only_a_log_is_opened(tmp_path: Path) -> None:
    make(tmp_path, "dev/kmsg", b"one\n")
    os.mkfifo(tmp_path / "pipe")
    files = LiveFiles(str(tmp_path))
    whole, news = files.records("dev/kmsg"), files.records("dev/kmsg", only_new=True)
    assert not isinstance(whole, Gap) and not isinstance(news, Gap)
    with (tmp_path / "dev/kmsg").open("ab") as log:
        log.write(b"two\n")
    assert whole.read(1) == ([b"one\ntwo\n"], False)
    assert news.read(1) == ([b"two\n"], False)
    assert whole.read(1) == news.read(1) == ([], False)
    for each in (whole, news, whole):
        each.close()
    assert reason(files.records("pipe")) == "unsupported"
    assert reason(files.records("missing")) == "absent"


def test_a_file_of_records_is_read_to_its_end() -> None:
    """A single read of a seq_file returns about a page: this process's smaps is longer."""
    # Neighbours of two sorts, which the kernel does not merge.
    more = [
        mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE, prot=prot)
        for _ in range(60)
        for prot in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE)
    ]
    data = LiveFiles().read("proc/self/smaps")
    assert isinstance(data, bytes)
    assert len(data) > 65_536
    for each in more:
        each.close()
    assert data.endswith(b"\n") and b"[stack]" in data


def test_what_is_no_regular_file_is_refused_unopened(tmp_path: Path) -> None:
    """A pipe would be waited for, and /dev/zero read without end."""
    make(tmp_path, "proc/9/stat")
    os.mkfifo(tmp_path / "proc/meminfo")
    (tmp_path / "proc/vmstat").symlink_to("/dev/zero")
    (tmp_path / "proc/loop").symlink_to("loop")
    (tmp_path / "proc/tty").symlink_to("/dev/tty")
    files = LiveFiles(str(tmp_path))
    for name in ("proc/meminfo", "proc/vmstat", "proc/9", "proc/tty"):
        assert reason(files.read(name)) == "unsupported"
        assert reason(files.read_record(name)) == "unsupported"
        assert reason(files.read_at(name, 0, 10)) == "unsupported"
        assert reason(files.keep(name)) == "unsupported"
        assert [reason(piece) for piece in files.pieces(name)] == ["unsupported"]
        assert reason(files.records(name)) == "unsupported"
    assert reason(files.read("proc/loop")) == "failed"


def test_a_file_without_an_end_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "proc/9/smaps", b"x")
    os.truncate(tmp_path / "proc/9/smaps", 1 << 40)  # a hole, without a line's end
    files = LiveFiles(str(tmp_path))
    kept = files.keep("proc/9/smaps")
    assert not isinstance(kept, Gap)
    assert reason(files.read("proc/9/smaps")) == reason(kept.read()) == "malformed"
    assert [reason(piece) for piece in files.pieces("proc/9/smaps")] == ["malformed"]


def test_a_nul_in_a_name_is_no_file(tmp_path: Path) -> None:
    make(tmp_path, "proc/9/stat")
    files = LiveFiles(str(tmp_path))
    for name in ("proc/9\0/stat", "proc/9/stat\0"):
        assert reason(files.read(name)) == reason(files.read_record(name)) == "absent"
        assert reason(files.read_at(name, 0, 1)) == reason(files.keep(name)) == "absent"
        assert [reason(piece) for piece in files.pieces(name)] == ["absent"]
        assert reason(files.records(name)) == "absent"
        assert files.names(name) == files.directories(name) == []


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
    ],
    ids=["empty", "one byte", "one line", "long lines", "short lines", "longer lines"],
)
def test_pieces_are_whole_lines_and_the_whole_file(tmp_path: Path, data: bytes) -> None:
    make(tmp_path, "proc/9/smaps", data)
    pieces = list(LiveFiles(str(tmp_path)).pieces("proc/9/smaps"))
    joined = b"".join(piece for piece in pieces if isinstance(piece, bytes))
    assert joined == data
    assert all(isinstance(piece, bytes) and piece.endswith(b"\n") for piece in pieces[:-1])
    assert all(isinstance(piece, bytes) and len(piece) <= 262_144 for piece in pieces)
    assert b"" not in pieces


def test_abandoned_pieces_leave_no_descriptor_open(tmp_path: Path) -> None:
    make(tmp_path, "proc/9/smaps", _long(40_000, 50))
    before = len(os.listdir("/proc/self/fd"))
    pieces = LiveFiles(str(tmp_path)).pieces("proc/9/smaps")
    assert next(pieces)
    del pieces
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_malformed_piece_is_a_gap(tmp_path: Path) -> None:
    make(
        tmp_path,
        "proc/9/smaps",
        b"1000-2000 r--p 0 0:0 0\nRss: 4 kB\n2000-1000 r--p 0 0:0 0\nRss: 4 kB\n",
    )
    assert reason(read_mappings(LiveFiles(str(tmp_path)), 9)) == "malformed"


def test_numbers_longer_than_python_converts_are_malformed() -> None:
    """Python refuses to convert more than 4,300 digits, with a ValueError."""
    digits = b"9" * 5000
    sources: list[tuple[Callable[[bytes], Any], bytes]] = [
        (parse_pressure, b"some avg10=0 avg60=0 avg300=0 total=%s\n"),
        (parse_zoneinfo, b"Node %s, zone Normal\n"),
        (parse_swaps, b"head\n/swap file 0 0 -%s\n"),
        (parse_stat, b"1 (x) S %s\n"),
        (parse_int, b"%s\n"),
        (parse_maps, b"1000-2000 r--p 0 0:0 %s\n"),
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
        "from memtui.kernel.livefiles import LiveFiles, raise_descriptor_limit\n"
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


def kept_file(value: Kept | Gap) -> Kept:
    assert not isinstance(value, Gap)
    return value
