"""What is known of a program at the moment a signal ended it."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from memtui.kernel.files import Gap
from memtui.kernel.registers import Registers
from memtui.kernel.segfaults import Access
from memtui.kernel.siginfo import SigInfo
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap


class Operand(NamedTuple):
    """Memory that an instruction is about: where, how many bytes, and what it does there.

    `text` is how the address is made, as the assembler writes it: `[rax + 0x10]`. What is both read
    and written is a write: the processor asks for both rights at once. `value`: what is there, of at
    most eight bytes, where it could be read. `must_align_to`: what the address must be a multiple of.
    """

    address: int
    size_bytes: int
    access: Access
    text: str
    value: int | None = None
    must_align_to: int = 1


class Instruction(NamedTuple):
    """One instruction: its text as the assembler writes it, and the memory it is about.

    `uses`: the registers that it reads, with their values. `target`: where it goes on, of one that
    takes that from a register or from memory. `divisor`: of a division of integers. `is_privileged`:
    it is the kernel's alone.
    """

    address: int
    data: bytes
    text: str
    operands: tuple[Operand, ...] = ()
    uses: tuple[tuple[str, int], ...] = ()
    target: int | None = None
    divisor: int | None = None
    is_privileged: bool = False


class Place(NamedTuple):
    """Where an instruction stands. None, or "": not known.

    `file` is the path of what is mapped, `file_offset` the place in it; `link_address` is the address
    that readelf and addr2line know it by. `source` and `line` are of the debug information.
    """

    address: int
    file: str = ""
    file_offset: int | None = None
    link_address: int | None = None
    section: str = ""
    symbol: str = ""
    symbol_offset: int = 0
    source: str = ""
    line: int | None = None

    @property
    def is_program(self) -> bool:
        """Whether it is in the program itself, and not in a library of it."""
        name = self.file.rpartition("/")[2]
        return bool(name) and ".so" not in name and not name.startswith("[")


FRAMES_AT_MOST: Final = 64  # that are told, the innermost


class Frame(NamedTuple):
    """A call that had not returned, the innermost first. `how` its caller was found from it."""

    place: Place
    stack_pointer: int
    how: Literal["", "call frame information", "frame pointer", "return address"]


class Crash(NamedTuple):
    """A program that a signal is ending, while its memory is still whole.

    `key` is the process's, `tid` the thread that it happened in. `instruction` and `registers` are
    Gaps where they could not be had; `map` likewise. `stack_limit_bytes` is the soft RLIMIT_STACK;
    None: none, or not known. `file_bytes`: how long the file is that is mapped at the address.
    `is_present`: whether the page table had a page there. `message`: what glibc said as it aborted.
    `lines_missed`: there was no time to look up file and line of all frames.
    """

    key: ProcessKey
    tid: int
    name: str
    siginfo: SigInfo
    registers: Registers | Gap
    map: AddressMap | Gap
    instruction: Instruction | Gap
    frames: tuple[Frame, ...] = ()
    stack_limit_bytes: int | None = None
    page_bytes: int = 0
    file_bytes: int | None = None
    is_present: bool | None = None
    message: str = ""
    lines_missed: bool = False
