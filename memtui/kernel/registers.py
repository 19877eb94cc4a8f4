"""A thread's registers, of ptrace and of a core dump.

Source: PTRACE_GETREGSET NT_PRSTATUS; pr_reg of the note NT_PRSTATUS. Document: asm/user_64.h
(user_regs_struct), asm/ptrace.h (user_pt_regs). Since: 2.6.34. Cost: 4 µs.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from memtui.frozen import FrozenDict
from memtui.kernel.files import Malformed

Processor = Literal["x86_64", "aarch64"]

_X86_64: Final = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx"),
    *("rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base"),
    *("ds", "es", "fs", "gs"),
)
_AARCH64: Final = (*(f"x{each}" for each in range(31)), "sp", "pc", "pstate")
_LAYOUTS: Final[dict[Processor, tuple[str, ...]]] = {"x86_64": _X86_64, "aarch64": _AARCH64}
_ROLES: Final[dict[Processor, tuple[str, str, str]]] = {
    "x86_64": ("rip", "rsp", "rbp"),
    "aarch64": ("pc", "sp", "x29"),
}
# By DWARF's numbers: x86-64 psABI, figure 3.36; AAPCS64, 4.1.
_DWARF_X86_64: Final = (
    *("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"),
    *(f"r{each}" for each in range(8, 16)),
    "rip",
)
_DWARF_AARCH64: Final = (*(f"x{each}" for each in range(31)), "sp", "pc")
DWARF_NAMES: Final[dict[Processor, tuple[str, ...]]] = {
    "x86_64": _DWARF_X86_64,
    "aarch64": _DWARF_AARCH64,
}
PROCESSORS: Final = tuple(_LAYOUTS)


class Registers(NamedTuple):
    """A thread's registers by the processor's names, in the kernel's order."""

    processor: Processor
    values: Mapping[str, int]

    @property
    def instruction_pointer(self) -> int:
        return self.values[_ROLES[self.processor][0]]

    @property
    def stack_pointer(self) -> int:
        return self.values[_ROLES[self.processor][1]]

    @property
    def frame_pointer(self) -> int:
        return self.values[_ROLES[self.processor][2]]


def register_bytes(processor: Processor) -> int:
    """How long a set of them is."""
    return 8 * len(_LAYOUTS[processor])


def parse_registers(data: bytes, processor: Processor) -> Registers:
    """A set as the kernel hands it out. Raises Malformed, also for a 32-bit program's."""
    names = _LAYOUTS[processor]
    if len(data) < 8 * len(names):
        raise Malformed(f"{len(data)} bytes of registers")
    values = struct.unpack_from(f"<{len(names)}Q", data)
    return Registers(processor, FrozenDict(zip(names, values, strict=True)))
