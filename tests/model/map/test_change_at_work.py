"""What changes in the map of a real process is told as what it did."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from memtui.kernel.livefiles import LiveFiles
from memtui.live.looker import read_map
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.change import Change, Snapshot, Trail, difference, gain, gains
from tests.programs import key_of

# Its own area, far from what the interpreter maps, so that nothing else merges with it.
_WORKER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.sbrk.restype = ctypes.c_void_p
word, size = ctypes.c_void_p, ctypes.c_size_t
libc.mmap.argtypes = [word, size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [word, size, ctypes.c_int]
libc.munmap.argtypes = [word, size]
libc.sbrk.argtypes = [ctypes.c_long]
page = os.sysconf("SC_PAGE_SIZE")
area = libc.mmap(None, 4096 * page, 0, 0x22, -1, 0) + 1024 * page
def at(first): return area + first * page
def map_(first, count, flags=0x32, fd=-1):
    assert libc.mmap(at(first), count * page, 3, flags, fd, 0) == at(first)
def touch(first, count): ctypes.memset(at(first), 1, count * page)
def protect(first, count, rights): assert libc.mprotect(at(first), count * page, rights) == 0
def unmap(first, count): assert libc.munmap(at(first), count * page) == 0
def memfd(first, count):
    fd = os.memfd_create("growing")
    os.ftruncate(fd, 64 * page)
    map_(first, count, 0x11, fd)
def heap(count): ctypes.memset(libc.sbrk(count * page), 1, count * page)
unmap(-512, 2048)
print(hex(area), page, flush=True)
for line in sys.stdin:
    eval(line)
    print("done", flush=True)
"""


class Worker:
    """A process that does as it is told, read after each step."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout
        area, page = child.stdout.readline().split()
        self.area, self.page = int(area, 16), int(page)
        self._child = child
        self._key = key_of(child.pid)
        self.last: AddressMap | None = None

    def do(self, line: str) -> None:
        assert self._child.stdin and self._child.stdout
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()
        assert self._child.stdout.readline() == "done\n"

    def read(self) -> AddressMap:
        map_ = read_map(LiveFiles(), self._key, "smaps", self.last).map
        assert isinstance(map_, AddressMap), map_
        self.last = map_
        return map_

    def changes_in(self, first: int, count: int, line: str) -> list[Change]:
        """What a step changed in some pages of the area."""
        before = Snapshot.of(self.read(), 0.0)
        self.do(line)
        low = self.area + first * self.page
        return [
            change
            for change in difference(before, Snapshot.of(self.read(), 0.0)).changes
            if low <= change.side.start < low + count * self.page
        ]


@pytest.fixture
def worker() -> Iterator[Worker]:
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        yield Worker(child)


def summary(found: list[Change], page: int) -> list[tuple[str, int, int]]:
    """What, and the pages that size and RSS gained."""
    return [
        (it.what, (it.gain("size") or 0) // page, (it.gain("rss") or 0) // page) for it in found
    ]


def test_every_step_of_a_process_is_the_change_that_it_is(worker: Worker) -> None:
    def step(line: str) -> list[tuple[str, int, int]]:
        return summary(worker.changes_in(-64, 1024, line), worker.page)

    assert step("map_(0, 16)") == [("new", 16, 0)]
    assert step("touch(0, 4)") == [("filled", 0, 4)]
    assert step("(map_(16, 16), touch(16, 2))") == [("grown", 16, 2)]
    assert step("(map_(-8, 8), touch(-8, 8))") == [("grown", 8, 8)]
    assert step("protect(4, 8, 1)") == [("re-protected", 0, 0)]
    assert step("touch(12, 2)") == [("filled", 0, 2)]
    assert step("protect(4, 8, 3)") == [("re-protected", 0, 0)]
    assert step("unmap(16, 16)") == [("shrunk", -16, -2)]
    assert step("(memfd(64, 32), touch(64, 3))") == [("new", 32, 3)]
    assert step("protect(72, 8, 1)") == [("re-protected", 0, 0)]
    assert step("map_(64, 8)") == [("gone", -8, -3), ("new", 8, 0)]
    assert step("(unmap(-8, 24), unmap(64, 32))") == [
        ("gone", -24, -14),
        ("gone", -8, 0),
        ("gone", -8, 0),
        ("gone", -16, 0),
    ]


def test_pieces_and_permissions_of_what_was_split(worker: Worker) -> None:
    worker.do("(map_(0, 16), touch(0, 16))")
    (change,) = worker.changes_in(0, 16, "protect(4, 8, 0)")
    assert change.before and change.after
    assert (change.before.pieces, change.after.pieces) == (1, 3)
    assert (change.before.perms, change.after.perms) == ("rw-p", "---p")
    assert change.reprotected_bytes == 8 * worker.page
    before = Snapshot.of(worker.read(), 0.0)
    worker.do("touch(0, 1)")
    now = worker.read()
    rows = [row for row in range(len(now)) if 0 <= now.mappings.starts[row] - worker.area < 65536]
    assert [gain(before, now.mappings, row, "Rss") for row in rows] == [0, 0, 0]


def test_the_heap_grows_by_what_it_was_given(worker: Worker) -> None:
    before = Snapshot.of(worker.read(), 0.0)
    worker.do("heap(256)")
    after = worker.read()
    (row,) = (row for row, path in enumerate(after.mappings.paths) if path == "[heap]")
    value = gain(before, after.mappings, row, "Rss")
    assert value is not None and value >= 256 * worker.page
    assert gains(before, after.mappings, "Rss")[row] == value
    (grown,) = (
        change
        for change in difference(before, Snapshot.of(after, 0.0)).changes
        if change.side.path == "[heap]"
    )
    assert (grown.what, grown.gain("rss")) == ("grown", value)
    size = grown.gain("size")
    assert size is not None and size >= 256 * worker.page


def test_a_leak_is_the_mapping_that_gained_most(worker: Worker) -> None:
    trail = Trail()
    worker.do("map_(0, 512)")
    for at in range(4):
        trail.add(worker.read(), 20.0 * at)
        worker.do(f"touch({at * 64}, 64)")
    now = worker.read()
    trail.add(now, 80.0)
    assert trail.minute and trail.minute.time_s == 20.0
    found = [value or 0 for value in gains(trail.minute, now.mappings, "Rss")]
    assert now.mappings.starts[found.index(max(found))] == worker.area
    assert max(found) == 3 * 64 * worker.page
