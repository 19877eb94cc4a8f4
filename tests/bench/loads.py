"""What is looked at while it is measured: many processes, and one with many mappings.

Both end when their standard input does, so nothing is left behind however the benchmark ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
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
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def _load(script: str, count: int) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", script, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        if process.stdout.readline() != b"ready\n":
            raise OSError(f"could not make {count} of them")
        yield process.pid


@contextmanager
def many_processes(count: int) -> Iterator[None]:
    """So many processes that sleep."""
    with _load(_MANY_PROCESSES, count):
        yield


@contextmanager
def many_mappings(count: int) -> Iterator[int]:
    """The pid of a process with at least so many mappings."""
    allowed = int(Path("/proc/sys/vm/max_map_count").read_text())
    if count + 1000 > allowed:
        raise OSError(f"vm.max_map_count is {allowed}, {count + 1000} are needed")
    with _load(_MANY_MAPPINGS, count) as pid:
        yield pid
