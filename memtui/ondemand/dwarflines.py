"""The line of the source that an address was compiled from: of DWARF's line tables.

Only the compile unit that has the address is read, found by .debug_aranges, else by the units' own
ranges. Cost: 3 ms of a small program, 60 ms of a large unit's table; bounded by size and time.
"""

from __future__ import annotations

import os
import struct
import time
from array import array
from typing import Any, BinaryIO, Final

from memtui.ondemand.modules import Module

_SECTIONS_AT_MOST: Final = 64 << 20  # of debug information, in a file
_TABLE_AT_MOST: Final = 256 << 10  # of a unit's line table
_UNITS_AT_MOST: Final = 300  # that are looked at where there are no .debug_aranges
_PAIR_BYTES: Final = 16  # an address and a length


class Lines:
    """File and line of addresses. `until_s` (monotonic): nothing new is begun after it."""

    def __init__(self, until_s: float) -> None:
        self._until_s = until_s
        self._dwarfs: dict[str, Any] = {}
        self._tables: dict[tuple[str, int], list[tuple[int, int, str, int]]] = {}

    def at(self, module: Module, address: int) -> tuple[str, int] | None:
        """Of one of the file's own addresses. Never raises."""
        try:
            return self._at(module, address)
        # Debug information of somebody's making: pyelftools answers bad ones with nearly any exception.
        except Exception:
            return None

    def _at(self, module: Module, address: int) -> tuple[str, int] | None:
        dwarf = self._dwarf(module)
        unit = None if dwarf is None else self._unit(dwarf, address)
        if dwarf is None or unit is None:
            return None
        known = self._tables.get((module.path, unit.cu_offset))
        if known is None:
            if self._is_late():
                return None
            known = self._tables[module.path, unit.cu_offset] = _table(dwarf, unit)
        return next(
            ((name, line) for start, end, name, line in known if start <= address < end), None
        )

    def _is_late(self) -> bool:
        return time.monotonic() > self._until_s

    def _dwarf(self, module: Module) -> Any:
        if module.path not in self._dwarfs:
            if self._is_late():
                return None
            self._dwarfs[module.path] = None
            for file in (module.file, module.debug):
                if file is not None and (found := _dwarf_of(file)) is not None:
                    self._dwarfs[module.path] = found
        return self._dwarfs[module.path]

    def _unit(self, dwarf: Any, address: int) -> Any:
        offset = _by_aranges(dwarf, address)
        if offset is not None:
            return dwarf.get_CU_at(offset)
        for number, unit in enumerate(dwarf.iter_CUs()):
            if number >= _UNITS_AT_MOST or self._is_late():
                return None
            if _has(unit, address):
                return unit
        return None


def _dwarf_of(file: BinaryIO) -> Any:
    """The debug information in a file; None where there is none, or too much of it."""
    from elftools.elf.elffile import ELFFile

    file.seek(0)
    elf = ELFFile(file)
    names = [each for each in elf.iter_sections() if each.name.startswith((".debug_", ".zdebug_"))]
    if sum(each.data_size for each in names) > _SECTIONS_AT_MOST:
        return None
    # Sections of zeros in the file: what was stripped, in a debug file the code.
    has_lines = any(each.name.endswith("debug_line") for each in names)
    return (
        elf.get_dwarf_info(relocate_dwarf_sections=False, follow_links=False) if has_lines else None
    )


def _by_aranges(dwarf: Any, address: int) -> int | None:
    """The offset of the unit that has an address, read in a tenth of the time pyelftools takes."""
    section = dwarf.debug_aranges_sec
    data = b"" if section is None else section.stream.getvalue()
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
    die = unit.get_top_DIE()
    low = die.attributes.get("DW_AT_low_pc")
    high = die.attributes.get("DW_AT_high_pc")
    if low is not None and high is not None:
        is_length = high.form != "DW_FORM_addr"
        return bool(low.value <= address < high.value + (low.value if is_length else 0))
    ranges = die.attributes.get("DW_AT_ranges")
    lists = unit.dwarfinfo.range_lists()
    if ranges is None or lists is None:
        return False
    base = low.value if low is not None else 0
    for each in lists.get_range_list_at_offset(ranges.value, unit):
        if hasattr(each, "base_address"):
            base = each.base_address
        elif not hasattr(each, "begin_offset"):
            continue
        else:
            start = 0 if getattr(each, "is_absolute", False) else base
            if start + each.begin_offset <= address < start + each.end_offset:
                return True
    return False


def _table(dwarf: Any, unit: Any) -> list[tuple[int, int, str, int]]:
    """[start, end), file and line of all that a unit has."""
    program = dwarf.line_program_for_CU(unit)
    if program is None or program["unit_length"] > _TABLE_AT_MOST:
        return []
    names: dict[int, str] = {}
    found = []
    last = None
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if last is not None and not last.end_sequence and state.address > last.address:
            if last.file not in names:
                names[last.file] = _source(unit, program, last.file)
            found.append((last.address, state.address, names[last.file], last.line))
        last = state
    return found


def _source(unit: Any, program: Any, number: int) -> str:
    """The path of a file of the table, as the compiler was called with it where it says so."""
    header = program.header
    at = number if header["version"] >= 5 else number - 1
    entry = header["file_entry"][at]
    name = os.fsdecode(entry.name)
    directories = [os.fsdecode(each) for each in header["include_directory"]]
    if header["version"] >= 5:
        directory = directories[entry.dir_index] if entry.dir_index < len(directories) else ""
    else:
        directory = directories[entry.dir_index - 1] if entry.dir_index else ""
    top = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
    base = os.fsdecode(top.value) if top is not None else ""
    return os.path.normpath(os.path.join(base, directory, name))
