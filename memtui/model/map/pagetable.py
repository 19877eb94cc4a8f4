"""How a CPU takes a virtual address apart: the levels of its page table, and an index into each.

All computed from the address and the machine, nothing read: no file shows a page table itself.
Source: Documentation/arch/x86/x86_64/{mm,5level-paging}.rst, Documentation/arch/arm64/memory.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from memtui.kernel.files import Gap

# By number of levels, top first; Linux folds those that a machine lacks.
_LEVEL_NAMES: Final = {
    2: ("PGD", "PTE"),
    3: ("PGD", "PMD", "PTE"),
    4: ("PGD", "PUD", "PMD", "PTE"),
    5: ("PGD", "P4D", "PUD", "PMD", "PTE"),
}
# Widths of arm64's addresses that a kernel can be built for, by its page size.
_ARM64_BITS: Final = {
    4 << 10: (39, 48, 52),
    16 << 10: (36, 47, 48, 52),
    64 << 10: (42, 48, 52),
}
_ADDRESSES: Final = 1 << 64


class Level(NamedTuple):
    """One table of the walk: indexed by `bits` bits of the address from bit `shift` on."""

    name: str
    shift: int
    bits: int

    @property
    def covers_bytes(self) -> int:
        """What one entry covers."""
        return 1 << self.shift


class Paging(NamedTuple):
    """How a machine translates addresses. A process may map those below 1 << `user_bits`; as many
    at the very top are the kernel's, and the CPU refuses all between."""

    architecture: str
    levels: tuple[Level, ...]
    page_bits: int
    va_bits: int
    user_bits: int

    @property
    def words(self) -> str:
        size_kib = (1 << self.page_bits) >> 10
        return f"{self.architecture}, {len(self.levels)} levels, pages of {size_kib} KiB"

    @property
    def user_end(self) -> int:
        return 1 << self.user_bits

    @property
    def kernel_start(self) -> int:
        return _ADDRESSES - self.user_end

    def is_canonical(self, address: int) -> bool:
        """Whether the CPU translates it at all."""
        return 0 <= address < self.user_end or self.kernel_start <= address < _ADDRESSES


@dataclass(frozen=True, slots=True)
class Step:
    """One level of the walk for an address: the entry it selects, which covers [start, end)."""

    level: Level
    index: int
    start: int
    end: int


def paging_of(
    machine: str, page_bytes: int, has_la57: bool | None, highest_address: int
) -> Paging | Gap:
    """How a machine (as uname -m names it) translates addresses, or why that cannot be told.

    `has_la57` is what /proc/cpuinfo says, None where it is not there: then an address may tell.
    `highest_address`: the end of a process's highest mapping below the kernel's half. On arm64 the
    stack lies right below the end of the address space, whose width nothing else tells; a kernel
    for 52 bits looks like one for 48, since programs get higher addresses only where they ask.
    """
    if machine == "x86_64" and page_bytes == 4 << 10:
        # The kernel takes la57 off /proc/cpuinfo where it runs with four levels.
        is_high = has_la57 is None and highest_address > 1 << 47
        va_bits = 57 if has_la57 or is_high else 48
        return _paging("x86-64", page_bytes, va_bits, va_bits - 1)
    if machine == "aarch64" and page_bytes in _ARM64_BITS:
        if highest_address <= 1 << 32:
            return _unknown("a 32-bit process does not show how wide arm64's addresses are")
        for va_bits in _ARM64_BITS[page_bytes]:
            if highest_address <= 1 << va_bits:
                return _paging("arm64", page_bytes, va_bits, va_bits)
    if machine in ("i386", "i486", "i586", "i686"):
        return _unknown("32-bit x86: the kernel does not say whether it uses PAE")
    return _unknown(f"the page tables of {machine or 'this machine'} are not described here")


def split(paging: Paging, address: int) -> tuple[Step, ...]:
    """The entry that each level of the walk selects, top first; () for one the CPU refuses."""
    if not paging.is_canonical(address):
        return ()
    steps = []
    for level in paging.levels:
        start = address >> level.shift << level.shift
        index = address >> level.shift & (1 << level.bits) - 1
        steps.append(Step(level, index, start, start + level.covers_bytes))
    return tuple(steps)


def page_offset(paging: Paging, address: int) -> int:
    """The rest of the address below the last level: the byte in its page."""
    return address & (1 << paging.page_bits) - 1


def _paging(architecture: str, page_bytes: int, va_bits: int, user_bits: int) -> Paging:
    """A table fills a page with 8-byte entries; the top one has the bits that are left over."""
    page_bits = page_bytes.bit_length() - 1
    table_bits = page_bits - 3
    shifts = range(page_bits, va_bits, table_bits)[::-1]
    names = _LEVEL_NAMES[len(shifts)]
    levels = tuple(
        Level(name, shift, min(table_bits, va_bits - shift))
        for name, shift in zip(names, shifts, strict=True)
    )
    return Paging(architecture, levels, page_bits, va_bits, user_bits)


def _unknown(why: str) -> Gap:
    return Gap("page table", "unsupported", why)
