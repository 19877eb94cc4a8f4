"""Instructions and the memory they are about, from bytes and registers, on x86-64 and arm64."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap
from memtui.kernel.registers import Processor, Registers, parse_registers, register_bytes
from memtui.model.crash.crash import Instruction
from memtui.ondemand.instruction import decode, register_value
from memtui.ondemand.memory import Memory
from tests.programs import LIVE

PC = 0x401000
PAGE = os.sysconf("SC_PAGE_SIZE")
MASK = (1 << 64) - 1
X86 = {
    "rip": PC,
    "rax": 0x1000,
    "rcx": 4,
    "rdx": 0x123456789ABCDEF0,
    "rsi": 0x6000,
    "rdi": 0x7000,
    "rsp": 0x9000,
    "rbp": 0xA000,
    "r10": MASK,
    "fs_base": 0x80000,
}
ARM = {"pc": PC, "sp": 0x9000, "x1": 0x1000, "x2": 3, "x3": 0xFFFFFFFF}


def registers(processor: Processor, values: dict[str, int]) -> Registers:
    known = parse_registers(bytes(register_bytes(processor)), processor)
    return Registers(processor, {**known.values, **values})


def decoded(code: str, processor: Processor = "x86_64", **values: int) -> Instruction:
    data = bytes.fromhex(code)
    base = X86 if processor == "x86_64" else ARM
    found = decode(data, registers(processor, base | values), Memory(LIVE, os.getpid(), PAGE))
    assert isinstance(found, Instruction), found
    return found


def word(code: int) -> str:
    """An arm64 instruction as the manuals write it: its bytes in memory are the other way round."""
    return code.to_bytes(4, "little").hex()


@pytest.mark.parametrize(
    ("code", "text", "operands"),
    [
        ("c700 01000000", "mov dword ptr [rax], 1", [(0x1000, 4, "write", "[rax]")]),
        ("488b4408f0", "mov rax, qword ptr [rax + rcx - 0x10]", [(0xFF4, 8, "read", "[rax + rcx - 0x10]")]),
        ("0fb68488f0ffffff", "movzx eax", [(0x1000, 1, "read", "[rax + rcx*4 - 0x10]")]),
        ("488b05f0ffffff", "mov rax", [(PC + 7 - 0x10, 8, "read", "[rip - 0x10]")]),
        ("64488b042528000000", "mov rax", [(0x80028, 8, "read", "[0x28]")]),
        ("678b4208", "mov eax, dword ptr [edx + 8]", [(0x9ABCDEF8, 4, "read", "[edx + 8]")]),
        ("418b4a02", "mov ecx, dword ptr [r10 + 2]", [(1, 4, "read", "[r10 + 2]")]),
        # What is read and written needs the right to write.
        ("f0480fc108", "lock xadd", [(0x1000, 8, "write", "[rax]")]),
        ("830001", "add dword ptr [rax], 1", [(0x1000, 4, "write", "[rax]")]),
        ("3b08", "cmp ecx, dword ptr [rax]", [(0x1000, 4, "read", "[rax]")]),
        # The stack, which the assembler does not write.
        ("50", "push rax", [(0x8FF8, 8, "write", "[rsp - 8]")]),
        ("ff10", "call qword ptr [rax]", [(0x1000, 8, "read", "[rax]"), (0x8FF8, 8, "write", "[rsp - 8]")]),
        ("e800000000", "call", [(0x8FF8, 8, "write", "[rsp - 8]")]),
        ("c3", "ret", [(0x9000, 8, "read", "[rsp]")]),
        ("5d", "pop rbp", [(0x9000, 8, "read", "[rsp]")]),
        ("c9", "leave", [(0xA000, 8, "read", "[rbp]")]),
        # String instructions, with all that they still have before them.
        ("f3a4", "rep movsb", [(0x7000, 4, "write", "[rdi]"), (0x6000, 4, "read", "[rsi]")]),
        ("f348ab", "rep stosq", [(0x7000, 32, "write", "[rdi]")]),
        ("aa", "stosb", [(0x7000, 1, "write", "[rdi]")]),
        # Vectors.
        ("0f2900", "movaps xmmword ptr [rax], xmm0", [(0x1000, 16, "write", "[rax]")]),
        ("c5fd6f00", "vmovdqa ymm0, ymmword ptr [rax]", [(0x1000, 32, "read", "[rax]")]),
        # What names memory and leaves it alone; what cannot be told.
        ("488d4008", "lea rax", []),
        ("0f1f00", "nop dword ptr [rax]", []),
        ("0f1808", "prefetcht0", []),
        ("c4e2f1900408", "vpgatherdq", []),
        ("89c8", "mov eax, ecx", []),
    ],
)  # fmt: skip
def test_operands_of_x86(code: str, text: str, operands: list[tuple[int, int, str, str]]) -> None:
    found = decoded(code)
    assert found.text.startswith(text)
    assert [
        (each.address, each.size_bytes, each.access, each.text) for each in found.operands
    ] == operands


@pytest.mark.parametrize(
    ("code", "align"),
    [
        ("0f2800", 16),  # movaps
        ("660f6f00", 16),  # movdqa
        ("660ffc00", 16),  # paddb
        ("0f1000", 1),  # movups
        ("f30f6f00", 1),  # movdqu
        ("f20f1000", 1),  # movsd
        ("660f3a630000", 1),  # pcmpistri
        ("c5fc2800", 32),  # vmovaps
        ("c5fe6f00", 1),  # vmovdqu
        ("c5fdfc00", 1),  # vpaddb
        ("480fc708", 16),  # cmpxchg16b
        ("8b00", 1),
    ],
)
def test_what_must_be_aligned(code: str, align: int) -> None:
    assert decoded(code).operands[0].must_align_to == align


def test_downwards_and_without_end() -> None:
    down = decoded("f3a4", eflags=1 << 10).operands[0]
    assert (down.address, down.size_bytes) == (0x7000 - 3, 4)
    # A length that came out below zero is a large one.
    endless = decoded("f3a4", rcx=MASK - 1).operands[0]
    assert endless.address + endless.size_bytes == 1 << 64


def test_divisors_and_targets() -> None:
    assert decoded("f7f9", rcx=0).divisor == 0
    assert decoded("f7f9", rcx=0xFFFFFFFF).divisor == -1
    assert decoded("f7f1", rcx=0xFFFFFFFF).divisor == 0xFFFFFFFF
    assert decoded("ffe0").target == 0x1000
    assert decoded("ffd2").target == X86["rdx"]
    assert decoded("e800000000").target is None  # where it goes is in the instruction
    assert decoded("f4").is_privileged and not decoded("90").is_privileged


def test_what_is_at_an_operand_is_read() -> None:
    here = (0x1122334455667788).to_bytes(8, "little")
    at = id(here) + here.__sizeof__() - len(here) - 1  # CPython keeps the bytes at the object's end
    found = decoded("8b00", rax=at)
    assert found.operands[0].value == 0x55667788
    assert decoded("ff10", rax=at).target == 0x1122334455667788
    assert decoded("8b00").operands[0].value is None


def test_the_registers_it_uses() -> None:
    assert decoded("488b4408f0").uses == (("rax", 0x1000), ("rcx", 4))
    assert dict(decoded("64488b042528000000").uses) == {"fs_base": 0x80000}
    assert decoded(word(0xF8627820), "aarch64").uses == (("x1", 0x1000), ("x2", 3))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rdx", 0x123456789ABCDEF0),
        ("edx", 0x9ABCDEF0),
        ("dx", 0xDEF0),
        ("dl", 0xF0),
        ("dh", 0xDE),
        ("sil", 0x00),
        ("esi", 0x6000),
        ("r10d", 0xFFFFFFFF),
        ("r10w", 0xFFFF),
        ("r10b", 0xFF),
        ("bp", 0xA000),
        ("xmm0", None),
    ],
)
def test_parts_of_registers(name: str, value: int | None) -> None:
    assert register_value(name, registers("x86_64", X86)) == value


@pytest.mark.parametrize(
    ("code", "text", "operands"),
    [
        (0xF9400420, "ldr x0, [x1, #8]", [(0x1008, 8, "read")]),
        (0xF8408C20, "ldr x0, [x1, #8]!", [(0x1008, 8, "read")]),
        (0xF8408420, "ldr x0, [x1], #8", [(0x1000, 8, "read")]),
        (0xB9000020, "str w0, [x1]", [(0x1000, 4, "write")]),
        (0x39400020, "ldrb w0, [x1]", [(0x1000, 1, "read")]),
        (0x79000020, "strh w0, [x1]", [(0x1000, 2, "write")]),
        (0xB9800020, "ldrsw x0, [x1]", [(0x1000, 4, "read")]),
        (0xA9BF7BFD, "stp x29, x30, [sp, #-0x10]!", [(0x8FF0, 16, "write")]),
        (0xF8627820, "ldr x0, [x1, x2, lsl #3]", [(0x1018, 8, "read")]),
        (0xF863D820, "ldr x0, [x1, w3, sxtw #3]", [(0x1000 - 8, 8, "read")]),
        (0xF8635820, "ldr x0, [x1, w3, uxtw #3]", [(0x1000 + 8 * 0xFFFFFFFF, 8, "read")]),
        (0x885FFC20, "ldaxr w0, [x1]", [(0x1000, 4, "read")]),
        (0xC8037C20, "stxr w3, x0, [x1]", [(0x1000, 8, "write")]),
        (0xF8E00020, "ldaddal x0, x0, [x1]", [(0x1000, 8, "write")]),
        (0x3DC00020, "ldr q0, [x1]", [(0x1000, 16, "read")]),
        (0x4C407020, "ld1 {v0.16b}, [x1]", [(0x1000, 16, "read")]),
        (0xF9800020, "prfm", []),
        (0xD63F0020, "blr x1", []),
        (0x8B020020, "add x0, x1, x2", []),
    ],
)
def test_operands_of_arm64(code: int, text: str, operands: list[tuple[int, int, str]]) -> None:
    found = decoded(word(code), "aarch64")
    assert found.text.startswith(text)
    assert [(each.address, each.size_bytes, each.access) for each in found.operands] == operands


def test_bytes_that_are_no_instruction() -> None:
    memory = Memory(LIVE, os.getpid(), PAGE)
    found = decode(b"\x06" * 8, registers("x86_64", X86), memory)
    assert isinstance(found, Gap) and found.detail == "no instruction: 06 06 06 06 06 06 06 06"
    assert isinstance(decode(bytes(4), registers("aarch64", ARM), memory), Gap | Instruction)


@given(
    st.binary(min_size=1, max_size=15),
    st.sampled_from(["x86_64", "aarch64"]),
    st.lists(st.integers(0, MASK), min_size=4, max_size=4),
)
def test_any_bytes_are_decoded_or_not(data: bytes, processor: Processor, values: list[int]) -> None:
    base = X86 if processor == "x86_64" else ARM
    names = ("rax", "rcx", "rsp", "r10") if processor == "x86_64" else ("x0", "x1", "sp", "x3")
    own = registers(processor, base | dict(zip(names, values, strict=True)))
    found = decode(data, own, Memory(LIVE, os.getpid(), PAGE))
    if isinstance(found, Instruction):
        assert all(0 <= each.address <= MASK and each.size_bytes > 0 for each in found.operands)
