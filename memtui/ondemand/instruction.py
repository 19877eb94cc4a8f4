"""The instruction that a program stands at, decoded, and the memory that it is about.

capstone tells the operands; registers give them addresses. x86-64 and arm64.
"""

from __future__ import annotations

import re
from typing import Any, Final

from memtui.kernel.files import Gap
from memtui.kernel.registers import Registers
from memtui.kernel.segfaults import Access
from memtui.model.crash.crash import Instruction, Operand
from memtui.ondemand.memory import Memory

_LONGEST: Final = {"x86_64": 15, "aarch64": 4}  # bytes
_ADDRESSES: Final = 1 << 64
_WORD: Final = 8
_DIRECTION: Final = 1 << 10  # in eflags: string instructions go downwards
_TOUCHES_NOT: Final = re.compile(r"lea$|nop|prefetch|prfm")  # these name memory, and leave it alone
# SSE takes 16 bytes at multiples of 16, but for these; AVX does where the name says so.
_UNALIGNED: Final = re.compile(r"movup|movdqu|lddqu|pcmp[ei]str|v(?!mov(?:ap|dqa|nt))")
_HIGH_BYTES: Final = {"ah": "rax", "bh": "rbx", "ch": "rcx", "dh": "rdx"}
_LEGACY: Final = re.compile(r"[re]?([abcd])[xl]|[re]?(si|di|bp|sp)l?")
_NUMBERED: Final = re.compile(r"(r\d+)([dwb]?)")
_ARM_NAMES: Final = {"fp": "x29", "lr": "x30", "wsp": "sp", "xzr": "", "wzr": ""}
# Of capstone: how a register that is added to an address is widened; bits, and whether signed.
_EXTENDS: Final = {1: (8, 0), 2: (16, 0), 3: (32, 0), 5: (8, 1), 6: (16, 1), 7: (32, 1)}
_PAIR: Final = re.compile(r"(?:ld|st)(?:p|np|xp|axp|lxp)")
_READS_AND_WRITES: Final = re.compile(r"ld(?:add|clr|eor|set|[su]max|[su]min)")
_ARM_SIZES: Final = {"b": 1, "h": 2, "s": 4, "w": 4, "d": 8, "x": 8, "q": 16, "v": 16}


def read_instruction(memory: Memory, registers: Registers) -> Instruction | Gap:
    """The one at the instruction pointer."""
    address = registers.instruction_pointer
    data = memory.read(address, _LONGEST[registers.processor])
    if not data:
        return Gap(f"{address:#x}", "absent", "no instruction can be read there")
    return decode(data, registers, memory)


def decode(data: bytes, registers: Registers, memory: Memory) -> Instruction | Gap:
    """The first instruction in these bytes, which are those at the instruction pointer."""
    try:
        import capstone
    except ImportError:
        return Gap("capstone", "unsupported", "without this package no instruction is told")
    is_x86 = registers.processor == "x86_64"
    if is_x86:
        decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    else:
        decoder = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    decoder.detail = True
    address = registers.instruction_pointer
    found = next(decoder.disasm(data, address, 1), None)
    if found is None:
        return Gap(f"{address:#x}", "unsupported", f"no instruction: {data[:8].hex(' ')}")
    operands = (_x86_operands if is_x86 else _arm_operands)(found, registers)
    target = divisor = None
    if is_x86:
        target, divisor = _target(found, registers, memory), _divisor(found, registers, memory)
    return Instruction(
        address,
        bytes(found.bytes),
        f"{found.mnemonic} {found.op_str}".strip(),
        tuple(each._replace(value=_value(each, memory)) for each in operands),
        _uses(found, registers),
        target,
        divisor,
        is_x86 and found.group(capstone.CS_GRP_PRIVILEGE),
    )


def register_value(name: str, registers: Registers) -> int | None:
    """Of any name the assembler has for it or a part of it; None: of none that is known."""
    values = registers.values
    if registers.processor == "aarch64":
        name = _ARM_NAMES.get(name, name)
        if not name:
            return 0
        if name.startswith("w") and name[1:].isdecimal():
            value = values.get(f"x{name[1:]}")
            return None if value is None else value & 0xFFFF_FFFF
        return values.get(name)
    if name in _HIGH_BYTES:
        return values[_HIGH_BYTES[name]] >> 8 & 0xFF
    whole, bits = name, 64
    if (match := _NUMBERED.fullmatch(name)) is not None:
        whole, bits = match[1], {"": 64, "d": 32, "w": 16, "b": 8}[match[2]]
    elif (match := _LEGACY.fullmatch(name)) is not None:
        whole = f"r{match[1]}x" if match[1] else f"r{match[2]}"
        bits = (
            8
            if name.endswith("l")
            else {"r": 64, "e": 32}.get(name[0] if len(name) > 2 else "", 16)
        )
    value = values.get(whole)
    return None if value is None else value & (1 << bits) - 1


def _value(operand: Operand, memory: Memory) -> int | None:
    if not 0 < operand.size_bytes <= _WORD:
        return None
    return memory.number(operand.address, operand.size_bytes)


def _uses(found: Any, registers: Registers) -> tuple[tuple[str, int], ...]:
    """The registers it reads, whole ones, each once; flags and vectors left out."""
    values = registers.values
    uses: dict[str, int] = {}
    for number in found.regs_access()[0]:
        name = found.reg_name(number)
        whole = _whole(name, registers)
        if whole in values and whole not in ("rip", "pc"):
            uses[whole] = values[whole]
    return tuple(uses.items())


def _whole(name: str, registers: Registers) -> str:
    if registers.processor == "aarch64":
        name = _ARM_NAMES.get(name, name)
        return f"x{name[1:]}" if name.startswith("w") else name
    if name in ("fs", "gs"):
        return f"{name}_base"
    if name in _HIGH_BYTES:
        return _HIGH_BYTES[name]
    if (match := _NUMBERED.fullmatch(name)) is not None:
        return match[1]
    if (match := _LEGACY.fullmatch(name)) is not None:
        return f"r{match[1]}x" if match[1] else f"r{match[2]}"
    return name


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


# x86-64


def _x86_operands(found: Any, registers: Registers) -> list[Operand]:
    """Those that the assembler writes, and the stack that it does not write."""
    from capstone import CS_AC_WRITE, CS_GRP_CALL, CS_OP_MEM

    name = found.mnemonic.rpartition(" ")[2]
    operands = []
    parts = found.op_str.split(", ")
    for at, each in enumerate(found.operands):
        if each.type != CS_OP_MEM or _TOUCHES_NOT.match(name):
            continue
        address = _x86_address(found, each.mem, registers)
        if address is None:
            continue
        size = each.size
        if found.mnemonic.startswith("rep"):
            address, size = _repeated(address, size, registers)
        access: Access = "write" if each.access & CS_AC_WRITE else "read"
        text = parts[at] if at < len(parts) else ""
        operands.append(
            Operand(address, size, access, text[text.find("[") :], None, _align(name, each.size))
        )
    pointer = registers.stack_pointer
    if name.startswith("push") or found.group(CS_GRP_CALL):
        operands.append(Operand((pointer - _WORD) % _ADDRESSES, _WORD, "write", "[rsp - 8]"))
    elif name.startswith(("pop", "ret", "iret")):
        operands.append(Operand(pointer, _WORD, "read", "[rsp]"))
    elif name == "leave":
        operands.append(Operand(registers.frame_pointer, _WORD, "read", "[rbp]"))
    return operands


def _x86_address(found: Any, place: Any, registers: Registers) -> int | None:
    """The effective address; None where a register of it is not known, as a vector's."""
    total = int(place.disp)
    for number, times in ((place.base, 1), (place.index, place.scale)):
        if not number:
            continue
        name = found.reg_name(number)
        if name in ("rip", "eip"):
            total += found.address + found.size
            continue
        if name in ("riz", "eiz"):
            continue
        value = register_value(name, registers)
        if value is None:
            return None
        total += value * times
    total %= 1 << 8 * int(found.addr_size)
    if place.segment:
        total += registers.values.get(f"{found.reg_name(place.segment)}_base", 0)
    return total % _ADDRESSES


def _repeated(address: int, size_bytes: int, registers: Registers) -> tuple[int, int]:
    """All that a string instruction still has before it: [start, length)."""
    count = registers.values["rcx"]
    # As many as there are addresses at most: a count that came out below zero is a large one.
    length = max(1, min(count * size_bytes, _ADDRESSES - address))
    if registers.values["eflags"] & _DIRECTION:
        length = max(1, min(count * size_bytes, address + size_bytes))
        return address + size_bytes - length, length
    return address, length


def _align(name: str, size_bytes: int) -> int:
    if name == "cmpxchg16b":
        return 16
    return size_bytes if size_bytes in (16, 32, 64) and not _UNALIGNED.match(name) else 1


def _target(found: Any, registers: Registers, memory: Memory) -> int | None:
    """Where a jump, call or return goes that takes that from a register or memory."""
    from capstone import CS_GRP_CALL, CS_GRP_JUMP, CS_GRP_RET, CS_OP_IMM

    if found.group(CS_GRP_RET):
        return memory.number(registers.stack_pointer)
    if not (found.group(CS_GRP_CALL) or found.group(CS_GRP_JUMP)) or not found.operands:
        return None
    operand = found.operands[0]
    return None if operand.type == CS_OP_IMM else _operand_value(found, operand, registers, memory)


def _divisor(found: Any, registers: Registers, memory: Memory) -> int | None:
    if found.mnemonic not in ("div", "idiv") or not found.operands:
        return None
    operand = found.operands[0]
    value = _operand_value(found, operand, registers, memory)
    is_signed = found.mnemonic == "idiv" and value is not None
    return _signed(value or 0, 8 * operand.size) if is_signed else value


def _operand_value(found: Any, operand: Any, registers: Registers, memory: Memory) -> int | None:
    from capstone import CS_OP_REG

    if operand.type == CS_OP_REG:
        return register_value(found.reg_name(operand.reg), registers)
    address = _x86_address(found, operand.mem, registers)
    return None if address is None else memory.number(address, operand.size)


# arm64


def _arm_operands(found: Any, registers: Registers) -> list[Operand]:
    from capstone import CS_OP_MEM

    name = found.mnemonic
    if _TOUCHES_NOT.match(name):
        return []
    operands = []
    for each in found.operands:
        if each.type != CS_OP_MEM:
            continue
        address = _arm_address(found, each, registers)
        if address is None:
            continue
        # Loads begin with ld; of stores, and of what does both at once, the right to write is asked.
        is_load = name.startswith("ld") and not _READS_AND_WRITES.match(name)
        text = found.op_str[found.op_str.find("[") :]
        size = _arm_size(found)
        operands.append(Operand(address, size, "read" if is_load else "write", text))
    return operands


def _arm_address(found: Any, operand: Any, registers: Registers) -> int | None:
    place = operand.mem
    base = register_value(found.reg_name(place.base), registers)
    if base is None:
        return None
    total = base + int(place.disp)
    if place.index:
        index = register_value(found.reg_name(place.index), registers)
        if index is None:
            return None
        if (extend := _EXTENDS.get(operand.ext)) is not None:
            bits, is_signed = extend
            index = _signed(index, bits) if is_signed else index & (1 << bits) - 1
        total += index << operand.shift.value
    return total % _ADDRESSES


def _arm_size(found: Any) -> int:
    """As the name says, else as wide as the register; twice that of a pair."""
    name, registers = found.mnemonic, found.op_str
    if name.startswith(("stx", "stlx")):
        _, _, registers = registers.partition(", ")  # the first is what says whether it was stored
    suffix = next((each for each in ("b", "h", "sw") if name.endswith(each)), "")
    named = {"b": 1, "h": 2, "sw": 4}.get(suffix)
    size = named or _ARM_SIZES.get(registers.lstrip("{ ")[:1], _WORD)
    return 2 * size if _PAIR.match(name) else size
