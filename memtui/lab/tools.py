"""What experiments' programs use: the calls of the C library that Python has no module for.

Runs in the program's own process. Failures raise OSError.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import Final, NamedTuple

MIB: Final = 1 << 20

_PR_SET_THP_DISABLE: Final = 41
_CACHESTAT: Final = 451  # of every processor, as all since 5.0 are numbered alike

libc: Final = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    """What a call of `libc` gave. Raises OSError where that is -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def anonymous(size_bytes: int, *, shared: bool = False) -> mmap.mmap:
    """Private memory of this process's own, or memory shared with those that it forks. Pages are of
    the usual size, so that they can be counted."""
    kind = mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE
    made = mmap.mmap(-1, size_bytes, flags=kind | mmap.MAP_ANONYMOUS)
    small_pages(made)
    return made


def small_pages(mapping: mmap.mmap) -> None:
    """No huge pages in it, where the kernel knows any."""
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        try:
            mapping.madvise(mmap.MADV_NOHUGEPAGE)
        except OSError:  # a kernel without huge pages
            return


def no_huge_pages() -> None:
    """None in this process, nor in those that it starts: also in the heap of malloc."""
    libc.prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def touch(mapping: mmap.mmap, first_page: int, pages: int, page_bytes: int) -> None:
    """Writes a byte into each of these pages."""
    for offset in range(first_page * page_bytes, (first_page + pages) * page_bytes, page_bytes):
        mapping[offset] = 1


def address_of(mapping: mmap.mmap) -> int:
    """Where a writable mapping is."""
    return ctypes.addressof(ctypes.c_char.from_buffer(mapping))


def write_file(descriptor: int, size_bytes: int) -> None:
    """Fills a file from where it stands."""
    block = b"memtui's lab. \n" * (MIB // 16)
    while size_bytes > 0:
        size_bytes -= os.write(descriptor, block[:size_bytes])


def read_file(descriptor: int) -> int:
    """Reads a file from its start, without keeping it; how many bytes."""
    block = bytearray(MIB)
    offset = 0
    while count := os.preadv(descriptor, [block], offset):
        offset += count
    return offset


def drop_cache(descriptor: int) -> None:
    """Takes a file out of the page cache: what is not written yet is first, as only clean pages go."""
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


class CacheStat(NamedTuple):
    """What of a file is in the page cache, in pages."""

    cached: int
    dirty: int
    writeback: int


def cache_stat(descriptor: int) -> CacheStat | None:
    """None where the kernel does not tell: before 6.5."""
    whole = (ctypes.c_uint64 * 2)(0, 0)
    found = (ctypes.c_uint64 * 5)()
    if libc.syscall(_CACHESTAT, descriptor, whole, found, 0) != 0:
        return None
    return CacheStat(*list(found)[:3])


def cached_bytes(descriptor: int, size_bytes: int) -> int:
    """How much of a file of one's own is in the page cache, by mincore(2)."""
    page_bytes = mmap.PAGESIZE
    with mmap.mmap(descriptor, size_bytes, flags=mmap.MAP_SHARED) as mapping:
        pages = (ctypes.c_ubyte * (-(-size_bytes // page_bytes)))()
        start = ctypes.c_char.from_buffer(mapping)
        address = ctypes.c_void_p(ctypes.addressof(start))
        try:
            checked(libc.mincore(address, ctypes.c_size_t(size_bytes), pages))
        finally:
            del start  # or it could not be unmapped
        return sum(page & 1 for page in pages) * page_bytes


def fetched_bytes() -> int | None:
    """What this process has had read from a disk; None where the kernel does not count it."""
    try:
        with open("/proc/self/io", "rb") as file:
            counts = dict(line.split(b": ") for line in file.read().splitlines())
    except OSError:
        return None
    return int(counts[b"read_bytes"])
