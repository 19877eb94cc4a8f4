"""Calls over real stacks, and over ones that are damaged: what is sound, and never without end."""

from __future__ import annotations

import os
import struct
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Files, FileStat, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import parse_maps
from memtui.kernel.registers import Processor, Registers, parse_registers, register_bytes
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.ondemand.memory import Memory
from memtui.ondemand.modules import Modules
from memtui.ondemand.unwind import Call, Unwinder
from tests.programs import key_of, look

PAGE = os.sysconf("SC_PAGE_SIZE")
CODE, STACK = 0x10000, 0x70000
MAPS = b"""\
00010000-00020000 r-xp 00000000 00:00 0
00070000-00080000 rw-p 00000000 00:00 0 [stack]
"""


class Made(LiveFiles):
    """Memory that a test makes: a stack, and nothing else."""

    def __init__(self, stack: bytes) -> None:
        super().__init__()
        self._stack = stack.ljust(0x10000, b"\0")

    def read_at(
        self, name: str, offset: int, length: int, of: FileStat | None = None
    ) -> bytes | Gap:
        if not name.endswith("/mem"):
            return super().read_at(name, offset, length, of)
        if STACK <= offset < STACK + len(self._stack):
            return self._stack[offset - STACK :][:length]
        return Gap(name, "failed", "Input/output error")


def registers(processor: Processor = "x86_64", **values: int) -> Registers:
    known = parse_registers(bytes(register_bytes(processor)), processor).values
    return Registers(processor, {**known, **values})


def unwinder(files: Files, map_: AddressMap) -> Unwinder:
    memory = Memory(files, map_.key.pid, PAGE)
    return Unwinder(map_, Modules(files, map_.key.pid, map_.mappings, memory, PAGE), memory)


def calls(stack: bytes, own: Registers) -> list[Call]:
    map_ = AddressMap(ProcessKey(os.getpid(), 1), parse_maps(MAPS))
    return unwinder(Made(stack), map_).calls(own)


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def test_frame_pointers_are_followed_where_there_is_nothing_else() -> None:
    # Of the innermost [rbp] is at STACK + 16: the caller's rbp and where it returns to.
    stack = words(1, 2, STACK + 48, CODE + 5, 3, 4, 0, CODE + 9)
    found = calls(stack, registers(rip=CODE, rsp=STACK, rbp=STACK + 16))
    assert [(each.address, each.how) for each in found] == [
        (CODE, "frame pointer"),
        (CODE + 5, "frame pointer"),
        (CODE + 9, ""),
    ]
    assert [each.stack_pointer for each in found] == [STACK, STACK + 32, STACK + 64]
    assert [each.is_return for each in found] == [False, True, True]


@pytest.mark.parametrize(
    ("base", "stack"),
    [
        (STACK + 16, words(0, 0, STACK + 16, CODE + 5)),  # a frame that is its own caller's
        (STACK + 16, words(0, 0, STACK, CODE + 5)),  # one that goes back
        (STACK + 17, words(0, 0, 0, CODE + 5)),  # one at no word's place
        (STACK - 16, words(0, 0, 0, CODE + 5)),  # one below the stack
        (0x41414141, words(*(8 * [0x41414141]))),
        (STACK + 16, words(0, 0, STACK + 64, STACK + 8)),  # a return to what is no code
    ],
)
def test_a_damaged_stack_ends_where_it_is_damaged(base: int, stack: bytes) -> None:
    found = calls(stack, registers(rip=CODE, rsp=STACK, rbp=base))
    assert 1 <= len(found) <= 2
    assert found[-1].how == ""


def test_a_jump_to_nowhere_has_its_caller_on_the_stack_or_in_the_link_register() -> None:
    found = calls(words(CODE + 7), registers(rip=0, rsp=STACK, rbp=0))
    assert [(each.address, each.how) for each in found] == [(0, "return address"), (CODE + 7, "")]
    # arm64 may have signed it, in the bits that no address has.
    signed = 0x00AB_0000_0000_0000 | CODE + 8
    found = calls(b"", registers("aarch64", pc=0, sp=STACK, x30=signed))
    assert [each.address for each in found] == [0, CODE + 8]


@given(st.binary(max_size=512), st.lists(st.integers(STACK, STACK + 600), min_size=2, max_size=2))
def test_any_stack_ends(stack: bytes, pointers: list[int]) -> None:
    found = calls(stack, registers(rip=CODE, rsp=min(pointers), rbp=max(pointers)))
    assert 1 <= len(found) <= 64
    assert [each.stack_pointer for each in found] == sorted(each.stack_pointer for each in found)


@cache
def own_map() -> AddressMap:
    """Of the first moment: what is drawn from it must not change meanwhile."""
    return look(os.getpid(), "maps")


@given(st.data())
def test_any_registers_in_a_real_program_end(data: st.DataObject) -> None:
    """Call frame information is applied anywhere, to registers that it was not made for."""
    map_ = own_map()
    texts = [row for row in range(len(map_)) if map_.mappings.perms[row][2] == "x"]
    row = data.draw(st.sampled_from(texts))
    start, end = map_.mappings.starts[row], map_.mappings.ends[row]
    values = {"rip": data.draw(st.integers(start, end - 1))}
    for name in ("rsp", "rbp", "rbx", "r10", "r12"):
        held = data.draw(st.sampled_from(range(len(map_))))
        values[name] = data.draw(
            st.integers(map_.mappings.starts[held], map_.mappings.ends[held] - 1)
            | st.integers(0, (1 << 64) - 1)
        )
    found = unwinder(LiveFiles(), map_).calls(registers("x86_64", **values))
    assert 1 <= len(found) <= 64
    assert key_of(os.getpid()) == map_.key


def test_memory_is_read_to_where_it_ends() -> None:
    memory = Memory(Made(words(1, 2)), os.getpid(), PAGE)
    assert memory.number(STACK + 8) == 2
    assert memory.number(STACK, 4) == 1
    assert memory.read(STACK + 0x10000 - 4, 16) == bytes(4)
    assert memory.number(STACK - 8) is None and memory.read((1 << 64) - 4, 8) == b""
    assert Path(f"/proc/{os.getpid()}/mem").exists()
