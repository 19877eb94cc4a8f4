"""What experiments' programs do with malloc itself: glibc's, of which more can be asked than of others.

Document: malloc(3), mallopt(3), mallinfo(3), brk(2). Since: mallinfo2 glibc 2.33; before, sizes are
those of mallinfo, of 32 bits.
"""

from __future__ import annotations

import ctypes
from typing import Final, NamedTuple

from memtui.lab.tools import libc

# struct mallinfo's fields, in their order.
_FIELDS: Final = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


# Holes that no block of an experiment's fits into.
_HOLES: Final = 32
_HOLE: Final = 32 << 10


class _MallInfo(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_size_t) for name in _FIELDS)


class _OldMallInfo(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int) for name in _FIELDS)


class Heap(NamedTuple):
    """In bytes. `used` and `unused` are of what malloc has from brk; `mapped` is from mmap besides."""

    end_address: int
    used: int
    unused: int
    mapped: int


def heap() -> Heap:
    """As it is now. glibc alone."""
    libc.sbrk.restype = ctypes.c_void_p
    libc.sbrk.argtypes = (ctypes.c_ssize_t,)
    is_new = hasattr(libc, "mallinfo2")
    ask = libc.mallinfo2 if is_new else libc.mallinfo
    ask.restype = _MallInfo if is_new else _OldMallInfo
    info = ask()
    return Heap(libc.sbrk(0) or 0, info.uordblks, info.fordblks, info.hblkhd)


def leave_holes() -> None:
    """Free blocks below the end of the heap, for what the interpreter itself asks for between steps:
    else that would lie at the end, and hold it."""
    blocks = [allocate(_HOLE) for _ in range(2 * _HOLES)]
    for address in blocks[::2]:
        release(address)


def allocate(size_bytes: int) -> int:
    """malloc(3); the address."""
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = (ctypes.c_size_t,)
    address: int | None = libc.malloc(size_bytes)
    if not address:
        raise MemoryError
    return address


def release(address: int) -> None:
    """free(3)."""
    libc.free.restype = None
    libc.free.argtypes = (ctypes.c_void_p,)
    libc.free(address)


def trim() -> None:
    """malloc_trim(3): whole free pages go back to the kernel."""
    libc.malloc_trim.argtypes = (ctypes.c_size_t,)
    libc.malloc_trim(0)


def fill(address: int, size_bytes: int) -> None:
    """Writes to all of it."""
    ctypes.memset(address, 1, size_bytes)
