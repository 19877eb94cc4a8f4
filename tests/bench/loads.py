"""What is looked at while it is measured: many processes, and ones of many mappings or much memory.

All end when their standard input does, so nothing is left behind however the benchmark ends.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# The children wait on a pipe whose other end is the parent's alone.
_MANY_PROCESSES = """
import os, sys
ours, theirs = os.pipe()
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        os.close(theirs)
        os.close(0)
        os.read(ours, 1)
        os._exit(0)
print("ready", flush=True)
sys.stdin.read()
os.close(theirs)
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
"""

# Neighbours differ in protection or file, or the kernel would merge them; half have a page in use.
_MANY_MAPPINGS = """
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
file = os.open(os.path.realpath(sys.executable), os.O_RDONLY)
size, none = 2 * mmap.PAGESIZE, ctypes.c_void_p(-1).value
for at in range(int(sys.argv[1])):
    writable = at % 2
    protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    flags = mmap.MAP_PRIVATE | (0 if at % 10 == 0 else mmap.MAP_ANONYMOUS)
    address = libc.mmap(None, size, protection, flags, -1 if at % 10 else file, 0)
    if address == none:
        sys.exit(os.strerror(ctypes.get_errno()))
    if writable:
        ctypes.memset(address, 1, 1)
"""

_WAITING = """
print("ready", flush=True)
sys.stdin.read()
"""

# Read-only, so that the kernel does not merge it with the last of the others. The count of pairs
# goes where the parent sees it, every few milliseconds.
_CHURNING = """
import struct, threading
counter = mmap.mmap(int(sys.argv[2]), mmap.PAGESIZE)
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
protection, flags, pairs = mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 0
print("ready", flush=True)
while True:
    for _ in range(256):
        libc.munmap(libc.mmap(None, size, protection, flags, -1, 0), size)
    pairs += 256
    struct.pack_into("Q", counter, 0, pairs)
"""

# Reserved memory of which the first pages are touched, and memory that is all there.
_LARGE = """
import mmap, sys
reserved, resident = map(int, sys.argv[1:])
private, no_reserve = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 0x4000  # named since Python 3.13
sparse = mmap.mmap(-1, reserved, flags=private | no_reserve)
sparse[: 4 * mmap.PAGESIZE] = bytes(4 * mmap.PAGESIZE)
full = mmap.mmap(-1, resident, flags=private | mmap.MAP_POPULATE)
"""


@contextmanager
def _load(script: str, *words: int, shared: Sequence[int] = ()) -> Iterator[int]:
    """The pid of a script that has said it is ready; it inherits the descriptors in `shared`."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=shared,
    ) as process:
        assert process.stdout
        if process.stdout.readline() != b"ready\n":
            raise OSError(f"could not make a load of {words}")
        yield process.pid


@contextmanager
def many_processes(count: int) -> Iterator[None]:
    """So many processes that sleep."""
    with _load(_MANY_PROCESSES, count):
        yield


@contextmanager
def many_mappings(count: int) -> Iterator[int]:
    """The pid of a process with at least so many mappings."""
    _allow(count)
    with _load(_MANY_MAPPINGS + _WAITING, count) as pid:
        yield pid


@contextmanager
def churning(count: int) -> Iterator[tuple[int, Callable[[], int]]]:
    """A process with so many mappings that maps and unmaps two pages without end.

    Its pid, and what tells how often it has done so.
    """
    _allow(count)
    descriptor = os.memfd_create("pairs")
    try:
        os.ftruncate(descriptor, mmap.PAGESIZE)
        with (
            mmap.mmap(descriptor, mmap.PAGESIZE) as counter,
            _load(_MANY_MAPPINGS + _CHURNING, count, descriptor, shared=(descriptor,)) as load,
        ):
            yield load, lambda: int.from_bytes(counter[:8], sys.byteorder)
    finally:
        os.close(descriptor)


@contextmanager
def large(reserved_bytes: int, resident_bytes: int) -> Iterator[int]:
    """The pid of a process that reserves so much and uses four pages of it, and uses so much more."""
    with _load(_LARGE + _WAITING, reserved_bytes, resident_bytes) as pid:
        yield pid


def _allow(count: int) -> None:
    allowed = int(Path("/proc/sys/vm/max_map_count").read_text())
    if count + 1000 > allowed:
        raise OSError(f"vm.max_map_count is {allowed}, {count + 1000} are needed")
