"""What a segfault was, in words: the access, and what the last map had at its address."""

from __future__ import annotations

from typing import Final

from memtui import units
from memtui.kernel.segfaults import Segfault
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.labels import label

# Nobody may map the lowest 64 KiB: an access there is to a member of nothing.
_NULL_UP_TO: Final = 65_536
_TOP: Final = 1 << 64
_KERNEL_HALF: Final = 1 << 63
_STACK_REACH: Final = (
    64 << 20
)  # so far below a stack an access is still one of a stack that overflows
_NEAR: Final = 1 << 20

_VERBS: Final = {"read": "read of", "write": "write to", "execute": "jump to"}
_NEEDS: Final = {"read": 0, "write": 1, "execute": 2}
_LACKS: Final = {
    "read": "not readable",
    "write": "read-only",
    "execute": "not executable",
}


def explain_segfault(fault: Segfault, map_: AddressMap | None = None) -> str:
    """One sentence: `write to 0x10: not mapped, a null pointer plus 16; at prog+0x115f`.

    `map_` is the process's last one, from before its death; None where none was read. Names of
    files in the sentence are raw: whoever shows it makes them printable.
    """
    at = _instruction(fault, map_)
    if fault.address is None:
        if fault.error:
            return f"access to an address that this kernel does not tell{at}"
        return f"access to an address that can be none (not canonical): a wild pointer{at}"
    verb = _VERBS[fault.access] if fault.access else "access to"
    return f"{verb} {fault.address:#x}: {_target(fault, fault.address, map_)}{at}"


def _target(fault: Segfault, address: int, map_: AddressMap | None) -> str:
    row = None if map_ is None else map_.row_at(address)
    if map_ is not None and row is not None:
        return _mapped(fault, map_, row)
    if address < _NULL_UP_TO:
        return "not mapped, a null pointer" + (f" plus {address}" if address else "")
    if address >= _TOP - _NULL_UP_TO:
        return f"not mapped, a null pointer minus {_TOP - address}"
    if address >= _KERNEL_HALF:
        return "the kernel's half of the addresses, which is closed to programs"
    if map_ is None:
        if fault.is_protection:
            return "mapped, but not for this"
        return "nothing there" if fault.is_protection is False else "refused"
    return f"not mapped{_neighbour(map_, address)}"


def _mapped(fault: Segfault, map_: AddressMap, row: int) -> str:
    perms, words = map_.mappings.perms[row], label(map_, row).words
    if map_.kind(row).name == "guard" and perms[:3] == "---":
        above = row + 1
        # A stack that overflows runs into its guard.
        if above < len(map_) and map_.kind(above).name in ("thread_stack", "stack"):
            return f"in the guard page below the {label(map_, above).words}: it has overflowed"
        return f"in memory without any access: {words}"
    if fault.access is None:
        return f"in {perms[:3]} memory of {words}"
    if perms[_NEEDS[fault.access]] == "-":
        lacks = _LACKS[fault.access]
        if fault.access == "write":
            return f"read-only memory of {words}"
        return f"{lacks} memory: {words}"
    return f"{words}, which allowed that at the last look: unmapped or protected since"


def _neighbour(map_: AddressMap, address: int) -> str:
    """What is next to an address that nothing holds, where that tells something."""
    mappings = map_.mappings
    above = next((row for row, start in enumerate(mappings.starts) if start > address), None)
    below = (above if above is not None else len(map_)) - 1
    if above is not None and map_.kind(above).name in ("stack", "thread_stack"):
        distance = mappings.starts[above] - address
        if distance <= _STACK_REACH:
            words = label(map_, above).words
            return (
                f", {units.size(distance)} below the {words}: it has overflowed, or hit its limit"
            )
    if below >= 0 and address - mappings.ends[below] < _NEAR:
        distance = address - mappings.ends[below]
        far = units.size(distance) if distance else "just"
        return f", {far} beyond the end of {label(map_, below).words}"
    if above is not None and mappings.starts[above] - address <= _NEAR:
        distance = mappings.starts[above] - address
        return f", {units.size(distance)} before the start of {label(map_, above).words}"
    return ", far from everything that is: a wild or an old pointer"


def _instruction(fault: Segfault, map_: AddressMap | None) -> str:
    """Where the program was; empty where that is the address itself or unknown."""
    if fault.instruction is None or fault.instruction == fault.address:
        return ""
    if fault.file is not None and fault.file_offset is not None:
        return f"; at {fault.file}+{fault.file_offset:#x}"
    row = None if map_ is None else map_.row_at(fault.instruction)
    if map_ is not None and row is not None and (path := map_.mappings.paths[row]).startswith("/"):
        offset = fault.instruction - map_.mappings.starts[row] + map_.mappings.offsets[row]
        return f"; at {path.rpartition('/')[2]}+{offset:#x}"
    if fault.file is None:
        return f"; at {fault.instruction:#x}"
    if fault.file_start is None:
        return f"; at {fault.instruction:#x} in {fault.file}"
    # Which part of the file is mapped there this kernel does not say.
    into = fault.instruction - fault.file_start
    return f"; at {fault.instruction:#x}, {into:#x} into the mapping of {fault.file}"
