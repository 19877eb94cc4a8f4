"""The calls that had not returned: from the registers outward, over the stack.

By call frame information (.eh_frame: DWARF's rules for each instruction, in most of what is compiled),
else by frame pointers. A stack that is damaged gives what is sound, and ends there.
"""

from __future__ import annotations

import io
import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from memtui.kernel.registers import DWARF_NAMES, Registers
from memtui.model.crash.crash import FRAMES_AT_MOST
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.image import file_offset
from memtui.ondemand.memory import Memory
from memtui.ondemand.modules import Module, Modules

How = Literal["", "call frame information", "frame pointer", "return address"]

_MASK: Final = (1 << 64) - 1
_WORD: Final = 8
_TABLE_AT_MOST: Final = 16 << 20
_ENTRY_AT_MOST: Final = 1 << 16
_TABLE_ENCODING: Final = 0x3B  # DW_EH_PE_datarel | DW_EH_PE_sdata4: what all linkers write
_ARM_BITS: Final = 48  # of an address, but in kernels that are built for 52
_OPERATIONS_AT_MOST: Final = 100
_ROLES: Final = {"x86_64": ("rip", "rsp", "rbp"), "aarch64": ("pc", "sp", "x29")}


class Call(NamedTuple):
    """A frame's address and stack pointer; `how` its caller was found. `is_return`: the address is
    where a call returns to, and not where the program was."""

    address: int
    stack_pointer: int
    how: How
    is_return: bool


class Unwinder:
    """One thread's stack."""

    def __init__(self, map_: AddressMap, modules: Modules, memory: Memory) -> None:
        self._map = map_
        self._modules = modules
        self._memory = memory
        self._tables: dict[str, tuple[int, Any, Any]] = {}
        self._rules: dict[tuple[str, int], Any] = {}

    def calls(self, registers: Registers) -> list[Call]:
        """The innermost first. Never raises, and ends: each caller's stack is above the callee's."""
        pointer, stack, _ = _ROLES[registers.processor]
        values = dict(registers.values)
        calls: list[Call] = []
        is_return = False
        while len(calls) < FRAMES_AT_MOST:
            how, caller, is_signal = self._caller(registers, values, is_return, not calls)
            calls.append(Call(values[pointer], values[stack], how, is_return))
            if caller is None:
                break
            is_higher = caller[stack] > values[stack]
            # A leaf on arm64 may have no stack of its own; a signal's frame is on any stack.
            is_first = len(calls) == 1 and caller[pointer] != values[pointer]
            if not (is_higher or is_signal or (is_first and caller[stack] == values[stack])):
                calls[-1] = calls[-1]._replace(how="")
                break
            values, is_return = caller, not is_signal
        return calls

    def _caller(
        self, registers: Registers, values: dict[str, int], is_return: bool, is_first: bool
    ) -> tuple[How, dict[str, int] | None, bool]:
        """How the caller was found, its registers, and whether it was interrupted by a signal."""
        pointer = _ROLES[registers.processor][0]
        if is_first and not self._is_code(values[pointer]):
            return "return address", self._returned(registers, values), False
        try:
            found = self._by_rules(registers, values, is_return)
        # Call frame information of somebody's making: pyelftools answers bad ones with anything.
        except Exception:
            found = None
        if found is not None:
            caller, is_signal = found
            if caller is None or not self._is_code(caller[pointer]):
                return "", None, False
            return "call frame information", caller, is_signal
        caller = self._by_frame_pointer(registers, values)
        return ("frame pointer", caller, False) if caller is not None else ("", None, False)

    def _is_code(self, address: int) -> bool:
        row = self._map.row_at(address)
        return row is not None and self._map.mappings.perms[row][2] == "x"

    def _returned(self, registers: Registers, values: dict[str, int]) -> dict[str, int] | None:
        """As if a jump to nowhere returned at once."""
        pointer, stack, _ = _ROLES[registers.processor]
        if registers.processor == "aarch64":
            address: int | None = _address(registers, values["x30"])
            above = values[stack]
        else:
            address, above = self._memory.number(values[stack]), values[stack] + _WORD
        if address is None or not self._is_code(address):
            return None
        return {**values, pointer: address, stack: above}

    def _by_frame_pointer(
        self, registers: Registers, values: dict[str, int]
    ) -> dict[str, int] | None:
        pointer, stack, frame = _ROLES[registers.processor]
        base = values[frame]
        if base < values[stack] or base % _WORD:
            return None
        row = self._map.row_at(values[stack])
        if row is None or self._map.row_at(base) != row:
            return None
        before, address = self._memory.number(base), self._memory.number(base + _WORD)
        if before is None or address is None:
            return None
        address = _address(registers, address)
        if not self._is_code(address):
            return None
        return {**values, pointer: address, stack: base + 2 * _WORD, frame: before}

    # Call frame information

    def _by_rules(
        self, registers: Registers, values: dict[str, int], is_return: bool
    ) -> tuple[dict[str, int] | None, bool] | None:
        """The caller's registers; None in it: there is none. None: there are no rules here."""
        pointer, stack, _ = _ROLES[registers.processor]
        address = values[pointer]
        row = self._map.row_at(address - is_return)
        module = None if row is None else self._modules.at(row)
        if module is None:
            return None
        looked = address - is_return - module.bias
        entry = self._entry(module, looked)
        if entry is None:
            return None
        start, description = entry
        table = description.get_decoded().table
        into = looked - start + description["initial_location"]
        line = next((each for each in reversed(table) if each["pc"] <= into), None)
        if line is None:
            return None
        names = DWARF_NAMES[registers.processor]
        frame = _Frame(names, values, self._memory, description.structs)
        top = frame.canonical_address(line["cfa"])
        if top is None:
            return None
        caller = {**values, stack: top}
        for number, rule in line.items():
            if isinstance(number, int) and number < len(names):
                known = frame.restored(rule, top, names[number])
                if known is not None:
                    caller[names[number]] = known
        returns_in = description.cie["return_address_register"]
        rule = line.get(returns_in)
        if rule is not None and rule.type == "UNDEFINED":
            return None, False  # the outermost: _start, clone
        if rule is None and registers.processor == "x86_64":
            return None, False
        caller[pointer] = _address(registers, caller[names[returns_in]])
        is_signal = b"S" in description.cie["augmentation"]
        return caller, is_signal

    def _entry(self, module: Module, address: int) -> tuple[int, Any] | None:
        """The description that covers an address of the file's own, and where it begins to."""
        if module.path not in self._tables:
            self._tables[module.path] = _search_table(module)
        base, starts, offsets = self._tables[module.path]
        at = bisect_right(starts, address - base) - 1
        if at < 0:
            return None
        which = (module.path, offsets[at])
        if which not in self._rules:
            self._rules[which] = _description(module, base + offsets[at])
        start, description = base + starts[at], self._rules[which]
        if address >= start + description["address_range"]:
            return None
        return start, description


def _address(registers: Registers, value: int) -> int:
    """A return address without what arm64 signs it with, in the bits that no address has."""
    return value & (1 << _ARM_BITS) - 1 if registers.processor == "aarch64" else value


def _at_address(module: Module, address: int, length: int) -> bytes:
    offset = file_offset(module.image, address)
    if offset is None or length <= 0:
        return b""
    module.file.seek(offset)
    return module.file.read(length)


def _search_table(module: Module) -> tuple[int, Any, Any]:
    """.eh_frame_hdr: its address, and of each description where it begins and is, relative to that."""
    nothing = (0, array("i"), array("i"))
    header = next((each for each in module.image.segments if each.type == "GNU_EH_FRAME"), None)
    if header is None or header.file_size > _TABLE_AT_MOST:
        return nothing
    data = _at_address(module, header.vaddr, header.file_size)
    # Version, three encodings; where .eh_frame is (4 bytes, as linkers write it); how many.
    if len(data) < 12 or data[0] != 1 or data[2] != 3 or data[3] != _TABLE_ENCODING:
        return nothing
    (count,) = struct.unpack_from("<I", data, 8)
    pairs = array("i", data[12 : 12 + min(count * 8, (len(data) - 12) // 8 * 8)])
    return header.vaddr, pairs[::2], pairs[1::2]


def _description(module: Module, address: int) -> Any:
    """The description (FDE) at an address, parsed with its common part (CIE), and nothing else."""
    from elftools.dwarf.callframe import CallFrameInfo
    from elftools.dwarf.structs import DWARFStructs

    own = _entry_bytes(module, address)
    (distance,) = struct.unpack_from("<I", own, 4)
    common = _entry_bytes(module, address + 4 - distance)
    # As if these were all there is: the description then is right behind its common part.
    stream = common + own[:4] + struct.pack("<I", len(common) + 4) + own[8:]
    structs = DWARFStructs(little_endian=True, dwarf_format=32, address_size=8)
    entries = CallFrameInfo(io.BytesIO(stream), len(stream), 0, structs, for_eh_frame=True)
    return entries.get_entries()[1]


def _entry_bytes(module: Module, address: int) -> bytes:
    """One record with its length before it. Raises ValueError."""
    (length,) = struct.unpack("<I", _at_address(module, address, 4))
    if not 8 <= length <= _ENTRY_AT_MOST:
        raise ValueError(f"call frame information of {length} bytes")
    data = _at_address(module, address, 4 + length)
    if len(data) < 4 + length:
        raise ValueError("the file ends before its call frame information")
    return data


class _Frame:
    """What rules are worked out from: a frame's registers, and memory."""

    def __init__(
        self, names: tuple[str, ...], values: dict[str, int], memory: Memory, structs: Any
    ) -> None:
        self._names = names
        self._values = values
        self._memory = memory
        self._structs = structs

    def canonical_address(self, rule: Any) -> int | None:
        """The CFA: the stack pointer as it was before the call."""
        if rule.expr is not None:
            return self._worked_out(rule.expr, None)
        value = self._values.get(self._names[rule.reg])
        return None if value is None else (value + int(rule.offset)) & _MASK

    def restored(self, rule: Any, top: int, name: str) -> int | None:
        """What a register had in the caller; None: it is not known."""
        if rule.type == "OFFSET":
            return self._memory.number((top + rule.arg) & _MASK)
        if rule.type == "VAL_OFFSET":
            return (top + int(rule.arg)) & _MASK
        if rule.type == "REGISTER":
            return self._values.get(self._names[rule.arg])
        if rule.type in ("EXPRESSION", "VAL_EXPRESSION"):
            value = self._worked_out(rule.arg, top)
            is_address = rule.type == "EXPRESSION"
            return self._memory.number(value) if is_address and value is not None else value
        return self._values.get(name)

    def _worked_out(self, expression: Any, pushed: int | None) -> int | None:
        """A DWARF expression, of the operations that PLTs and signals' frames use. Raises KeyError
        for others."""
        from elftools.dwarf.dwarf_expr import DWARFExprParser

        stack = [] if pushed is None else [pushed]
        for each in DWARFExprParser(self._structs).parse_expr(expression)[:_OPERATIONS_AT_MOST]:
            name = each.op_name.removeprefix("DW_OP_")
            if name.startswith("breg"):
                stack.append((self._values[self._names[int(name[4:])]] + each.args[0]) & _MASK)
            elif name.startswith("lit"):
                stack.append(int(name[3:]))
            elif name.startswith("const"):
                stack.append(each.args[0] & _MASK)
            elif name == "plus_uconst":
                stack.append((stack.pop() + each.args[0]) & _MASK)
            elif name == "deref":
                value = self._memory.number(stack.pop())
                if value is None:
                    return None
                stack.append(value)
            else:
                right, left = stack.pop(), stack.pop()
                stack.append(_OPERATIONS[name](left, right) & _MASK)
        return stack.pop() if stack else None


_OPERATIONS: Final[dict[str, Callable[[int, int], int]]] = {
    "plus": lambda left, right: left + right,
    "minus": lambda left, right: left - right,
    "and": lambda left, right: left & right,
    "or": lambda left, right: left | right,
    "shl": lambda left, right: left << min(right, 64),
    "shr": lambda left, right: left >> min(right, 64),
    "mul": lambda left, right: left * right,
    "ge": lambda left, right: int(left >= right),
    "gt": lambda left, right: int(left > right),
    "le": lambda left, right: int(left <= right),
    "lt": lambda left, right: int(left < right),
    "eq": lambda left, right: int(left == right),
    "ne": lambda left, right: int(left != right),
}
