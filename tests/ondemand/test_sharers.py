from __future__ import annotations

import json
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from memtui import units
from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import Vma, read_mappings
from memtui.ondemand.sharers import Sharer, Sharers, find_sharers
from tests.conftest import HOSTS, open_host
from tests.oracles import until_alike
from tests.terminal import PROJECT, state, wait_until

PAGE = mmap.PAGESIZE

# Maps 64 shared pages, and has one child write to the first so many of them for each number. The
# parent has none of the pages mapped in, and ends its children when its standard input ends.
_HOLDERS = """
import ctypes, mmap, os, signal, sys
kind, path, *touched = sys.argv[1:]
size = 64 * mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
if kind == "sysv":
    number = libc.shmget(0, size, 0o1600)
    address = libc.shmat(number, None, 0)
    libc.shmctl(number, 0, None)
else:
    file = -1
    if kind in ("memfd", "twice"):
        file = os.memfd_create("frames, shared")
        os.ftruncate(file, size)
    elif kind != "zero":
        file = os.open(path, os.O_RDWR)
    sharing = mmap.MAP_PRIVATE if kind == "private" else mmap.MAP_SHARED
    sharing |= mmap.MAP_ANONYMOUS if kind == "zero" else 0
    address = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, sharing, file, 0)
    if kind == "twice":
        libc.mmap(None, size, mmap.PROT_READ, sharing, file, 0)  # nobody uses this one
children = []
for count in map(int, touched):
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        for page in range(count):
            ctypes.memset(address + page * mmap.PAGESIZE, 1, 1)
        os.write(done, b"x")
        while True:
            signal.pause()
    os.read(ready, 1)
    children.append(child)
print(address, *children, flush=True)
sys.stdin.read()
for child in children:
    os.kill(child, signal.SIGKILL)
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        pass
"""

# So that every page's share is a whole number of KiB: eight pages of four, sixteen of two.
_TOUCHED = (8, 8, 24, 24)


class Holders(NamedTuple):
    parent: int
    children: list[int]
    vma: Vma

    def find(self, files: Files | None = None) -> Sharers:
        return find_sharers(files or LiveFiles(), self.vma.dev, self.vma.inode, self.vma.path)


@contextmanager
def holders(
    kind: str, path: Path | str = "", touched: tuple[int, ...] = _TOUCHED
) -> Iterator[Holders]:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDERS, kind, str(path), *map(str, touched)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        address, *children = map(int, process.stdout.readline().split())
        mappings = read_mappings(LiveFiles(), process.pid, "maps")
        assert not isinstance(mappings, Gap)
        yield Holders(process.pid, children, mappings.vma(mappings.starts.index(address)))


def by_pid(found: Sharers) -> dict[int, Sharer]:
    return {sharer.key.pid: sharer for sharer in found.processes}


@pytest.fixture
def file_of_64_pages(tmp_path: Path) -> Path:
    path = tmp_path / "shared data"
    path.write_bytes(bytes(64 * PAGE))
    return path


# Real sharers --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memfd", "zero", "sysv", "file"])
def test_shared_pages_are_paid_for_once_by_all_together(kind: str, file_of_64_pages: Path) -> None:
    with holders(kind, file_of_64_pages) as held:
        found = held.find()
        shares = by_pid(found)
        assert set(shares) == {held.parent, *held.children}
        assert shares[held.parent].rss_bytes == 0
        resident = []
        for child, touched in zip(held.children, _TOUCHED, strict=True):
            share = shares[child]
            rss = share.rss_bytes or 0
            # A write maps in one page of shared memory, and of a file maybe its whole folio.
            assert rss >= touched * PAGE if kind == "file" else rss == touched * PAGE
            resident.append(rss)
            assert share.size_bytes == 64 * PAGE and share.mappings == 1
            assert share.private_bytes == 0 and share.shared_bytes == rss
            assert share.swap_bytes == 0 and share.hugetlb_bytes == 0
            assert share.path == held.vma.path
            stat = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2].split()
            assert share.key == (child, int(stat[19]))
            assert share.name == Path(f"/proc/{child}/comm").read_text().rstrip("\n")
            assert share.uid == os.geteuid()
        assert found.pss_bytes == max(resident)
        paid = [share.pss_bytes or 0 for share in found.processes]
        assert paid == sorted(paid, reverse=True)
        assert found.is_complete
        assert found.words[0].startswith("5 processes map it and pay ")
        assert "costs each 1/5 of it" in found.words[1]
        assert not any("others that are not listed" in sentence for sentence in found.words)


def test_what_they_pay_is_what_the_file_has_in_memory() -> None:
    with holders("memfd") as held:
        descriptors = Path(f"/proc/{held.parent}/fd").iterdir()
        (memfd,) = [each for each in descriptors if "memfd:frames" in os.readlink(each)]
        assert held.find().pss_bytes == memfd.stat().st_blocks * 512


def test_private_copies_are_paid_for_in_full(file_of_64_pages: Path) -> None:
    with holders("private", file_of_64_pages) as held:
        found = held.find()
        shares = by_pid(found)
        for child, touched in zip(held.children, _TOUCHED, strict=True):
            assert shares[child].rss_bytes == touched * PAGE
            assert shares[child].pss_bytes == shares[child].private_bytes == touched * PAGE
        assert found.pss_bytes == sum(_TOUCHED) * PAGE


def test_all_mappings_of_a_process_are_summed() -> None:
    with holders("twice", touched=(10,)) as held:
        share = by_pid(held.find())[held.children[0]]
        assert (share.mappings, share.size_bytes) == (2, 128 * PAGE)
        assert share.rss_bytes == 10 * PAGE


def test_a_library_as_pmap_has_it(stopped_pid: int) -> None:
    if not shutil.which("pmap"):
        pytest.skip("needs pmap")
    mappings = read_mappings(LiveFiles(), stopped_pid, "maps")
    assert not isinstance(mappings, Gap)
    row = next(at for at, path in enumerate(mappings.paths) if re.search(r"/libc[.-].*so", path))
    until_alike(lambda: pmap_agrees(stopped_pid, mappings.vma(row)))


def pmap_agrees(stopped_pid: int, vma: Vma) -> None:
    listing = subprocess.run(
        ["pmap", "-X", str(stopped_pid)], capture_output=True, text=True, check=True
    ).stdout
    columns = listing.splitlines()[1].split()
    lines = [
        dict(zip(columns, line.split(), strict=False))
        for line in listing.splitlines()[2:]
        if line.split()[3:5] == [vma.dev, str(vma.inode)]
    ]
    found = find_sharers(LiveFiles(), vma.dev, vma.inode, vma.path)
    share = by_pid(found)[stopped_pid]
    assert share.mappings == len(lines)
    assert share.size_bytes == 1024 * sum(int(line["Size"]) for line in lines)
    assert share.rss_bytes == 1024 * sum(int(line["Rss"]) for line in lines)
    assert share.swap_bytes == 1024 * sum(int(line["Swap"]) for line in lines)
    assert share.private_bytes is not None and share.shared_bytes is not None
    assert share.private_bytes + share.shared_bytes == share.rss_bytes
    assert os.getpid() in by_pid(found)


# Those that cannot be asked, or do not wait ---------------------------------------------------


class Interfering(LiveFiles):
    """Does something once, right before a process's maps or smaps is opened."""

    def __init__(self, name: str, interfere: Callable[[], object]) -> None:
        super().__init__()
        self._name = name
        self._interfere = interfere

    def pieces(self, name: str) -> Iterator[bytes | Gap]:
        if name == self._name:
            self._interfere()
        return super().pieces(name)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: state(pid) in ("", "Z"), "ended")


@pytest.mark.parametrize("source", ["maps", "smaps"])
def test_one_that_dies_while_it_is_looked_at_is_left_out(source: str) -> None:
    with holders("memfd") as held:
        victim, *others = held.children
        interfering = Interfering(f"proc/{victim}/{source}", lambda: _kill(victim))
        assert set(by_pid(held.find(interfering))) == {held.parent, *others}


def test_one_that_is_gone_when_its_turn_comes_is_counted() -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:

        def end_it(done: int, total: int) -> bool:
            if not done:
                child.kill()
                child.wait()
            return True

        found = find_sharers(LiveFiles(), "00:01", 1, "/memfd:none (deleted)", end_it)
        assert found.gone >= 1 and not found.processes
        assert any("ended meanwhile" in sentence for sentence in found.words)


def test_it_stops_before_the_next_process_when_told_to() -> None:
    asked: list[tuple[int, int]] = []

    def until_third(done: int, total: int) -> bool:
        asked.append((done, total))
        return done < 2

    with holders("memfd") as held:
        found = find_sharers(LiveFiles(), held.vma.dev, held.vma.inode, held.vma.path, until_third)
    assert [done for done, _ in asked] == [0, 1, 2]
    assert len({total for _, total in asked}) == 1
    assert not found.is_complete
    assert found.looked_at + found.denied + found.gone + found.unread == 2
    assert found.words[-1] == "stopped before all processes were looked at"


_AS_NOBODY = """
import json, sys
from memtui import units
from memtui.ondemand.sharers import find_sharers
from memtui.kernel.files import Files
from memtui.kernel.livefiles import LiveFiles
found = find_sharers(LiveFiles(), sys.argv[1], int(sys.argv[2]), sys.argv[3])
print(json.dumps([[each.key.pid for each in found.processes], found.denied, found.words]))
"""


def test_nobody_is_told_how_many_may_not_be_read() -> None:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv to become nobody")
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
    check = "import sys, memtui; sys.exit(sys.version_info < (3, 11))"
    if subprocess.run([*become, "-c", check], env=environment, check=False).returncode:
        pytest.skip("nobody may not run a Python 3.11 here, or not read memtui")
    with holders("memfd") as held, subprocess.Popen(["sleep", "1000"]) as zombie:
        zombie.kill()
        wait_until(lambda: state(zombie.pid) == "Z", "a zombie")

        def all_are_counted() -> None:
            """Some come and go meanwhile."""
            done = subprocess.run(
                [*become, "-c", _AS_NOBODY, held.vma.dev, str(held.vma.inode), held.vma.path],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            pids, denied, words = json.loads(done.stdout)
            statm = [LiveFiles().read(f"proc/{pid}/statm") for pid in LiveFiles().pids()]
            assert not pids
            # Kernel threads and zombies, of no size, have nothing to deny.
            sizes = [each for each in statm if isinstance(each, bytes)]
            with_memory = [each for each in sizes if not each.startswith(b"0 ")]
            assert len(held.children) < denied <= len(with_memory) + 10
            assert f"{units.count(denied)} processes may not be read and may map it too" in words

        until_alike(all_are_counted)


# Captured machines ----------------------------------------------------------------------------


LINE = re.compile(
    rb"^[0-9a-f]+-[0-9a-f]+ [rwxsp-]{4} [0-9a-f]+ (\S+) ([1-9]\d*) +(/.*)$", re.MULTILINE
)


def identities(host: str) -> dict[tuple[str, int, str], set[int]]:
    """Which processes map which file by which name, as a search in their maps alone has it."""
    found: dict[tuple[str, int, str], set[int]] = defaultdict(set)
    for pid in open_host(host).pids():
        data = open_host(host).read(f"proc/{pid}/maps")
        if isinstance(data, Gap) or isinstance(read_mappings(open_host(host), pid, "maps"), Gap):
            continue
        for dev, inode, path in LINE.findall(data):
            name = path.decode("utf-8", "surrogateescape")
            found[dev.decode(), int(inode), name].add(pid)
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_captured_processes_are_found_by_the_same_numbers(host: str) -> None:
    found = identities(host)
    assert found
    shared = sorted(found, key=lambda each: (-len(found[each]), each))
    for dev, inode, path in shared[:4] + shared[-4:]:
        # Some captures were made smaller by hand: numbers there may be those of several names.
        namesakes = [pids for key, pids in found.items() if key[:2] == (dev, inode)]
        sharers = find_sharers(open_host(host), dev, inode, path)
        assert set(by_pid(sharers)) == set().union(*namesakes)
        assert sharers.looked_at + sharers.unread + sharers.gone == len(open_host(host).pids())


def test_a_library_of_a_captured_machine_costs_its_sharers_what_its_smaps_say() -> None:
    files = open_host("debian-6.18")
    found = identities("debian-6.18")
    dev, inode, path = next(each for each in found if each[2].endswith("/libc.so.6"))
    sharers = find_sharers(files, dev, inode, path)
    head = re.compile(rf"^\S+ \S+ \S+ {dev} {inode} .*\n((?:\w+: .*\n)+)", re.MULTILINE)
    asked = [share for share in sharers.processes if share.pss_bytes is not None]
    assert len(asked) > 5
    for share in asked:
        data = files.read(f"proc/{share.key.pid}/smaps")
        assert isinstance(data, bytes)
        bodies = head.findall(data.decode())
        for name, figure in (("Rss", share.rss_bytes), ("Pss", share.pss_bytes)):
            kibs = [
                int(re.findall(rf"^{name}: +(\d+) kB", body, re.MULTILINE)[0]) for body in bodies
            ]
            assert figure == 1024 * sum(kibs)


# Identity -------------------------------------------------------------------------------------


def made(root: Path, processes: dict[int, str]) -> Files:
    """A tree of processes with these maps and nothing else but stat."""
    for pid, maps in processes.items():
        directory = root / "proc" / str(pid)
        directory.mkdir(parents=True)
        (directory / "maps").write_text(maps)
        numbers = " ".join("0" for _ in range(40))
        (directory / "stat").write_text(f"{pid} (made) S {numbers}\n")
    return LiveFiles(str(root))


def line(rest: str) -> str:
    return f"7f0000000000-7f0000004000 rw-s 00000000 {rest}\n"


def test_numbers_are_compared_whole_and_a_name_that_looks_like_them_is_none(tmp_path: Path) -> None:
    files = made(
        tmp_path,
        {
            1: line("fd:01 1234                      /data"),
            2: line("fd:01 12345                     /data"),
            3: line("1fd:01 1234                     /data"),
            4: line("08:01 99                        /odd fd:01 1234 name"),
            5: line("fd:01 1234"),
            6: line("08:01 99                        /a") + line("fd:01 1234     /a link to data"),
        },
    )
    found = find_sharers(files, "fd:01", 1234, "/data")
    assert set(by_pid(found)) == {1, 5, 6}
    assert by_pid(found)[6].path == "/a link to data"
    assert set(by_pid(find_sharers(files, "1fd:01", 1234, "/data"))) == {3}
    share = by_pid(found)[1]  # without smaps and status
    assert (share.size_bytes, share.rss_bytes, share.pss_bytes, share.uid) == (
        0x4000,
        None,
        None,
        None,
    )
    assert found.pss_bytes is None and "pay n/a" in found.words[0]


def test_a_segment_whose_id_is_the_inode_of_a_memfd_is_something_else(tmp_path: Path) -> None:
    segment, memfd = "/SYSV00001234 (deleted)", "/memfd:frames (deleted)"
    files = made(tmp_path, {1: line(f"00:01 25 {segment}"), 2: line(f"00:01 25 {memfd}")})
    assert set(by_pid(find_sharers(files, "00:01", 25, segment))) == {1}
    assert set(by_pid(find_sharers(files, "00:01", 25, memfd))) == {2}


def test_who_pays_too_little_shares_with_somebody_unseen(tmp_path: Path) -> None:
    with holders("memfd") as held:
        directory = tmp_path / "proc" / str(held.children[0])
        directory.mkdir(parents=True)
        for name in ("maps", "smaps", "stat", "status"):
            shutil.copy(f"/proc/{held.children[0]}/{name}", directory / name)
        found = held.find(LiveFiles(str(tmp_path)))
    assert [share.key.pid for share in found.processes] == [held.children[0]]
    assert found.words[0] == f"one process maps it and pays {units.size(2 * PAGE)}"
    assert "others that are not listed" in found.words[1]


def test_many_small_shares_are_said_to_be_cut_by_the_kernel(tmp_path: Path) -> None:
    shares = {pid: line("00:01 7 /memfd:small (deleted)") for pid in range(1, 41)}
    files = made(tmp_path, shares)
    for pid, maps in shares.items():
        usage = "Size: 16 kB\nRss: 16 kB\nPss: 0 kB\n"  # 409.6 bytes
        (tmp_path / "proc" / str(pid) / "smaps").write_text(maps + usage)
    found = find_sharers(files, "00:01", 7, "/memfd:small (deleted)")
    assert found.pss_bytes == 0
    assert "up to 40.0 KiB more: each share is cut to whole KiB" in found.words
    assert not any("others that are not listed" in sentence for sentence in found.words)


def test_huge_pages_are_told_apart_from_rss() -> None:
    files = open_host("debian-6.18")
    found = find_sharers(files, "00:11", 38355, "/anon_hugepage (deleted)")
    (share,) = found.processes
    assert share.rss_bytes == share.pss_bytes == 0
    assert share.hugetlb_bytes and share.hugetlb_bytes % (2 << 20) == 0
    assert "huge pages of hugetlbfs are in nobody's RSS and PSS" in found.words


@pytest.mark.parametrize(
    ("inode", "path", "reason"),
    [
        (0, "", "private memory has no name"),
        (0, "[heap]", "private memory has no name"),
        (0, "[anon:arena]", "private memory has no name"),
        (0, "[vdso]", "the kernel's own pages"),
        (0, "[vvar_vclock]", "the kernel's own pages"),
        (1057, "anon_inode:[perf_event]", "one inode number"),
    ],
)
def test_what_has_no_identity_is_not_looked_for(inode: int, path: str, reason: str) -> None:
    def never(done: int, total: int) -> bool:
        raise AssertionError("somebody was looked at")

    found = find_sharers(LiveFiles(), "00:00", inode, path, never)
    assert reason in found.reason and found.words == [found.reason]
    assert not found.processes and found.pss_bytes is None
