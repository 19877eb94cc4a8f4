"""The line of the source that an address was compiled from: of DWARF's line tables.

Only the compile unit that has the address is read, found by .debug_aranges, else by the units' own
ranges. Cost: 3 ms of a small program, 100 ms of CPython's largest unit; bounded by size and time.
"""

from __future__ import annotations

import io
import os
import struct
import time
from array import array
from collections.abc import Iterator
from inspect import signature
from typing import Any, Final

from memtui.ondemand.modules import Module

_SECTIONS: Final = (
    *("debug_info", "debug_abbrev", "debug_aranges", "debug_line", "debug_str", "debug_line_str"),
    *("debug_str_offsets", "debug_addr", "debug_ranges", "debug_rnglists"),
)
_SECTIONS_AT_MOST: Final = 64 << 20  # bytes of these, in a file
_TABLE_AT_MOST: Final = 512 << 10  # bytes of a unit's line table
_UNITS_AT_MOST: Final = 300  # that are looked at where there are no .debug_aranges
_PAIR_BYTES: Final = 16  # an address and a length

# DWARF 5, 6.2.5.2 and 6.2.5.3.
_COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE, _CONST_ADD_PC, _FIXED_ADVANCE_PC = 1, 2, 3, 4, 8, 9
_END_SEQUENCE, _SET_ADDRESS = 1, 2

Row = tuple[int, int, int, bool]  # address, file, line, and whether a sequence ends before it


class Lines:
    """File and line of addresses. `until_s` (monotonic): nothing new is begun after it, and `ran_out`
    then tells that something would have been."""

    def __init__(self, until_s: float) -> None:
        self._until_s = until_s
        self.ran_out = False
        self._dwarfs: dict[str, Any] = {}
        self._known: dict[tuple[str, int], tuple[str, int] | None] = {}

    def at(self, module: Module, address: int) -> tuple[str, int] | None:
        """Of one of the file's own addresses. Never raises."""
        which = (module.path, address)
        if which not in self._known and not self._is_late():
            try:
                self._known[which] = self._at(module, address)
            # Debug information of somebody's making: pyelftools answers bad ones with anything.
            except Exception:
                self._known[which] = None
        return self._known.get(which)

    def _is_late(self) -> bool:
        self.ran_out = self.ran_out or time.monotonic() >= self._until_s
        return self.ran_out

    def _at(self, module: Module, address: int) -> tuple[str, int] | None:
        if module.path not in self._dwarfs:
            self._dwarfs[module.path] = _dwarf_of(module)
        dwarf = self._dwarfs[module.path]
        unit = None if dwarf is None else self._unit(dwarf, address)
        if unit is None or self._is_late():
            return None
        program = dwarf.line_program_for_CU(unit)
        if program is None or program["unit_length"] > _TABLE_AT_MOST:
            return None
        last: Row | None = None
        for row in _rows(program):
            if last is not None and last[0] <= address < row[0]:
                return _source(unit, program, last[1]), last[2]
            last = None if row[3] else row
        return None

    def _unit(self, dwarf: Any, address: int) -> Any:
        ranges = dwarf.debug_aranges_sec
        if ranges is not None and ranges.size:
            offset = _by_aranges(ranges.stream.getvalue(), address)
            return None if offset is None else dwarf.get_CU_at(offset)
        for number, unit in enumerate(dwarf.iter_CUs()):
            if number >= _UNITS_AT_MOST or self._is_late():
                return None
            if _has(unit, address):
                return unit
        return None


def _dwarf_of(module: Module) -> Any:
    """The debug information of a file, in itself or beside it; None: none, or too much of it."""
    from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo
    from elftools.elf.elffile import ELFFile

    for file in (module.file, module.debug):
        sections = {} if file is None else _sections(ELFFile(file))
        if sections and sum(each.data_size for each in sections.values()) <= _SECTIONS_AT_MOST:
            parts = dict.fromkeys(list(signature(DWARFInfo).parameters)[1:])
            for name, each in sections.items():
                data = io.BytesIO(each.data())
                parts[f"{name}_sec"] = DebugSectionDescriptor(
                    data, name, each["sh_offset"], each.data_size, 0
                )
            return DWARFInfo(DwarfConfig(True, "", 8), **parts)
    return None


def _sections(elf: Any) -> dict[str, Any]:
    """Those that lines are told from; empty where there are none."""
    found = {}
    for each in elf.iter_sections():
        name = each.name.removeprefix(".")
        if name in _SECTIONS and each["sh_type"] != "SHT_NOBITS":
            found[name] = each
    return found if "debug_line" in found and "debug_info" in found else {}


def _by_aranges(data: bytes, address: int) -> int | None:
    """The offset of the unit that has an address, in a tenth of the time that pyelftools takes."""
    at = 0
    while at + 12 <= len(data):
        length, _, unit, address_bytes, _ = struct.unpack_from("<IHIBB", data, at)
        if length >= 0xFFFF_FFF0 or address_bytes != 8:
            return None
        begin, end = at + _PAIR_BYTES, at + 4 + length
        pairs = array("Q", data[begin : begin + (end - begin) // _PAIR_BYTES * _PAIR_BYTES])
        for start, size in zip(pairs[::2], pairs[1::2], strict=True):
            if start <= address < start + size:
                return int(unit)
        at = end
    return None


def _has(unit: Any, address: int) -> bool:
    """Whether a unit's code has an address, as its own first entry says."""
    attributes = unit.get_top_DIE().attributes
    low, high = attributes.get("DW_AT_low_pc"), attributes.get("DW_AT_high_pc")
    if low is not None and high is not None:
        end = high.value if high.form == "DW_FORM_addr" else low.value + high.value
        return bool(low.value <= address < end)
    ranges, lists = attributes.get("DW_AT_ranges"), unit.dwarfinfo.range_lists()
    if ranges is None or lists is None:
        return False
    base = low.value if low is not None else 0
    for each in lists.get_range_list_at_offset(ranges.value, unit):
        if hasattr(each, "base_address"):
            base = each.base_address
            continue
        start = 0 if getattr(each, "is_absolute", False) else base
        if start + each.begin_offset <= address < start + each.end_offset:
            return True
    return False


def _rows(program: Any) -> Iterator[Row]:
    """The rows of a line table, in their order. pyelftools makes an object of each operation, in
    ten times the time."""
    header = program.header
    base, span = header["opcode_base"], header["line_range"]
    lowest, step = header["line_base"], header["minimum_instruction_length"]
    lengths = header["standard_opcode_lengths"]
    program.stream.seek(program.program_start_offset)
    data = program.stream.read(program.program_end_offset - program.program_start_offset)
    address, file, line, at, end = 0, 1, 1, 0, len(data)
    while at < end:
        code = data[at]
        at += 1
        if code >= base:
            address += (code - base) // span * step
            line += lowest + (code - base) % span
            yield address, file, line, False
        elif code == 0:
            length, at = _unsigned(data, at)
            if data[at] == _END_SEQUENCE:
                yield address, file, line, True
                address, file, line = 0, 1, 1
            elif data[at] == _SET_ADDRESS:
                (address,) = struct.unpack_from("<Q", data, at + 1)
            at += length
        elif code == _COPY:
            yield address, file, line, False
        elif code == _ADVANCE_PC:
            value, at = _unsigned(data, at)
            address += value * step
        elif code == _ADVANCE_LINE:
            value, after = _unsigned(data, at)
            line += value - (1 << 7 * (after - at) if data[after - 1] & 0x40 else 0)
            at = after
        elif code == _SET_FILE:
            file, at = _unsigned(data, at)
        elif code == _CONST_ADD_PC:
            address += (255 - base) // span * step
        elif code == _FIXED_ADVANCE_PC:
            address += int.from_bytes(data[at : at + 2], "little")
            at += 2
        else:
            for _ in range(lengths[code - 1]):
                _, at = _unsigned(data, at)


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    """A number in LEB128, and where it ends. Raises IndexError."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _source(unit: Any, program: Any, number: int) -> str:
    """The path of a file of the table, below the directory that it was compiled in."""
    header = program.header
    is_five = header["version"] >= 5
    entry = header["file_entry"][number if is_five else number - 1]
    directories = [os.fsdecode(each) for each in header["include_directory"]]
    directory = ""
    if is_five or entry.dir_index:
        directory = directories[entry.dir_index if is_five else entry.dir_index - 1]
    compiled_in = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
    base = os.fsdecode(compiled_in.value) if compiled_in is not None else ""
    return os.path.normpath(os.path.join(base, directory, os.fsdecode(entry.name)))
