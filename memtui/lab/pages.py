"""What an experiment's program finds out about pages: its own, and those of processes that it started.

Source: /proc/PID/pagemap. Document: Documentation/admin-guide/mm/pagemap.rst. Frame numbers are 0 for
a reader without CAP_SYS_ADMIN. Failures raise OSError.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from array import array
from typing import Final

from memtui.lab.tools import libc

_PRESENT: Final = 1 << 63
_SWAPPED: Final = 1 << 62
_FRAME_MASK: Final = (1 << 55) - 1
_ENTRY_BYTES: Final = 8
_MAP_FIXED_NOREPLACE: Final = 0x100000  # since 4.17; before that a mere wish

_mmap: Final = libc.mmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
_madvise: Final = libc.madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def map_at(address: int, size_bytes: int) -> memoryview:
    """Private memory at that very address, in small pages, for good."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED_NOREPLACE
    got = _mmap(address, size_bytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    if got != address:
        raise OSError(ctypes.get_errno(), f"no memory can be had at {address:#x}")
    _madvise(address, size_bytes, mmap.MADV_NOHUGEPAGE)
    return memoryview((ctypes.c_ubyte * size_bytes).from_address(address)).cast("B")


def byte_at(address: int) -> int:
    """What is there. Nothing asks first whether there is anything."""
    return ctypes.c_ubyte.from_address(address).value


def entries(pid: int, address: int, pages: int, page_bytes: int) -> array[int]:
    """The pagemap's entry for each page from the address on."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as file:
        offset = address // page_bytes * _ENTRY_BYTES
        return array("Q", os.pread(file.fileno(), pages * _ENTRY_BYTES, offset))


def is_present(entry: int) -> bool:
    """Whether there is a page frame behind it."""
    return bool(entry & _PRESENT)


def present_pages(pid: int, address: int, pages: int, page_bytes: int) -> int:
    """How many of them have a page frame behind them."""
    return sum(map(is_present, entries(pid, address, pages, page_bytes)))


def swapped_pages(pid: int, address: int, pages: int, page_bytes: int) -> int:
    """How many of them are in swap, as the page table has it: perhaps not gone from memory yet."""
    found = entries(pid, address, pages, page_bytes)
    return sum(bool(entry & _SWAPPED) for entry in found)


def frame(entry: int) -> int:
    """The number of the page frame; 0: none, or hidden."""
    return entry & _FRAME_MASK if entry & _PRESENT else 0
