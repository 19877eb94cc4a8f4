"""What is at an address that may not be used so, in words: of a crash, and of a line in the log."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, NamedTuple

from memtui import units
from memtui.kernel.segfaults import Access, Segfault
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.labels import label

# Nobody may map the lowest 64 KiB: an access there is to a member of nothing.
_NULL_UP_TO: Final = 65_536
_TOP: Final = 1 << 64
_HALF: Final = 1 << 63
# So far below a stack an access is still one of a stack that overflows: there is no mapping nearer,
# and a function may have large variables.
_STACK_REACH: Final = 1 << 30
_NEAR: Final = 1 << 20
_EXACT: Final = 1 << 16  # a distance up to this is told to the byte
_RED_ZONE: Final = 256  # below its stack pointer a function may use so much, and a call pushes

_VERBS: Final = {"read": "read of", "write": "write to", "execute": "jump to"}
_NEEDS: Final = {"read": 0, "write": 1, "execute": 2}
_LACKS: Final = {
    "read": "not readable",
    "write": "read-only",
    "execute": "not executable",
}
_PARTS: Final = {
    "text": "the program code of",
    "rodata": "the read-only data of",
    "relro": "the read-only data (RELRO) of",
    "data": "the initialised data of",
}
_BSS: Final = "zero-initialised data (bss)"
_CLOSED: Final = "no access: "  # as labels of such memory begin


class Refused(NamedTuple):
    """An access that was refused. None: not known.

    `is_protection`: something is mapped there, and does not allow it; False: nothing is. `is_now`:
    the map is of this moment, and not from before it. `key`: the protection key that forbade it.
    """

    address: int
    access: Access | None
    is_protection: bool | None = None
    stack_pointer: int | None = None
    stack_limit_bytes: int | None = None
    is_now: bool = False
    key: int | None = None


class Neighbours(NamedTuple):
    """The rows of the mappings next to an address that none holds."""

    below: int | None
    above: int | None


def explain_segfault(fault: Segfault, map_: AddressMap | None = None) -> str:
    """One sentence: `write to 0x10: not mapped, a null pointer plus 0x10; at prog+0x115f`.

    `map_` is the process's last one, from before its death; None where none was read. Names of
    files in the sentence are raw: whoever shows it makes them printable.
    """
    at = _instruction(fault, map_)
    if fault.address is None:
        if fault.error:
            return f"access to an address that this kernel does not tell{at}"
        return f"access to an address that can be none (not canonical): a wild pointer{at}"
    refused = Refused(fault.address, fault.access, fault.is_protection, fault.stack_pointer)
    return f"{verb(fault.access)} {fault.address:#x}: {target(refused, map_)}{at}"


def verb(access: Access | None) -> str:
    """`write to`, for an address behind it."""
    return _VERBS[access] if access else "access to"


def target(refused: Refused, map_: AddressMap | None) -> str:
    """What is at the address, or next to it, and why that refuses the access."""
    address = refused.address
    row = None if map_ is None else map_.row_at(address)
    if map_ is not None and row is not None:
        return _mapped(refused, map_, row)
    if address < _NULL_UP_TO:
        return "not mapped, a null pointer" + (f" plus {address:#x}" if address else "")
    if address >= _TOP - _NULL_UP_TO:
        return f"not mapped, a null pointer minus {_TOP - address:#x}"
    if address >= _HALF:
        return "the kernel's half of the addresses, which is closed to programs"
    if map_ is None:
        if refused.is_protection:
            return "mapped, but not for this"
        return "nothing there" if refused.is_protection is False else "refused"
    return f"not mapped{_beside(refused, map_)}"


def neighbours(map_: AddressMap, address: int) -> Neighbours:
    """Those of an address that nothing holds."""
    above = bisect_right(map_.mappings.starts, address)
    return Neighbours(above - 1 if above else None, above if above < len(map_) else None)


def named(map_: AddressMap, row: int) -> str:
    """A mapping as a sentence names it: `the heap`, `the read-only data of libfoo.so`."""
    kind, path = map_.kind(row).name, map_.mappings.paths[row]
    if kind in _PARTS and path:
        return f"{_PARTS[kind]} {path.removesuffix(' (deleted)').rpartition('/')[2]}"
    if path == "[heap]":
        return "the heap"
    words = label(map_, row).words
    file, _, what = words.partition(": ")
    if kind == "bss" and what == _BSS:
        return f"the {what} of {file}"
    if words.startswith(_CLOSED):
        return f"closed memory ({words.removeprefix(_CLOSED)})"
    return f"the {words}" if kind in ("stack", "thread_stack") else words


def distance(length_bytes: int) -> str:
    """`8 bytes`; what is far is rounded."""
    if length_bytes == 1:
        return "1 byte"
    if length_bytes < _EXACT:
        return f"{units.count(length_bytes)} bytes"
    return units.size(length_bytes)


def overflowed(refused: Refused, map_: AddressMap) -> int | None:
    """The row of the stack that overflowed, if that is what happened.

    It has where the access is below a stack, and so is the stack pointer, or just at its end: a
    wild pointer may lead there too, from a function whose own stack is sound.
    """
    row = map_.row_at(refused.address)
    above = neighbours(map_, refused.address).above if row is None else row + 1
    if above is None or above >= len(map_):
        return None
    if map_.kind(above).name not in ("stack", "thread_stack"):
        return None
    if row is not None and (map_.kind(row).name, map_.mappings.perms[row][:3]) != ("guard", "---"):
        return None
    if map_.mappings.starts[above] - refused.address > _STACK_REACH:
        return None
    pointer = refused.stack_pointer
    is_near = pointer is None or pointer <= refused.address + _RED_ZONE
    return above if is_near else None


def _mapped(refused: Refused, map_: AddressMap, row: int) -> str:
    perms = map_.mappings.perms[row]
    words = named(map_, row)
    if map_.kind(row).name == "guard" and perms[:3] == "---":
        stack = overflowed(refused, map_)
        if stack is not None:
            used = _used(refused, map_, stack)
            return f"in the guard page below {named(map_, stack)}: it has overflowed{used}"
        return f"in memory without any access: {label(map_, row).words.removeprefix(_CLOSED)}"
    if refused.key is not None:
        return f"{words}, which protection key {refused.key} forbids to this thread"
    if refused.access is None:
        return f"in {perms[:3]} memory of {words}"
    if perms[_NEEDS[refused.access]] == "-":
        lacks = _LACKS[refused.access]
        if refused.access == "write":
            return f"read-only memory, {words}"
        return f"{lacks} memory, {words}"
    if refused.is_now:
        return f"{words}, which allows that"
    return f"{words}, which allowed that at the last look: unmapped or protected since"


def _used(refused: Refused, map_: AddressMap, stack: int) -> str:
    """How much of its limit a stack uses; a thread's is as large as its mapping."""
    if not refused.is_now:
        return ""
    mappings = map_.mappings
    length = mappings.ends[stack] - mappings.starts[stack]
    if map_.kind(stack).name == "thread_stack":
        return f", all of its {units.size(length)} used"
    limit = refused.stack_limit_bytes
    if limit is None:
        return f", {units.size(length)} used"
    return f", {units.size(length)} of {units.size(limit)} used"


def _beside(refused: Refused, map_: AddressMap) -> str:
    """What is next to an address that nothing holds, where that tells something."""
    mappings, address = map_.mappings, refused.address
    stack = overflowed(refused, map_)
    if stack is not None:
        far = distance(mappings.starts[stack] - address)
        why = "it has overflowed" if refused.is_now else "it has overflowed, or hit its limit"
        return f", {far} below {named(map_, stack)}: {why}{_used(refused, map_, stack)}"
    below, above = neighbours(map_, address)
    past = None if below is None else address - mappings.ends[below]
    before = None if above is None else mappings.starts[above] - address
    near = [each for each in (past, before) if each is not None and each <= _NEAR]
    if not near:
        return ", far from everything that is: a wild or an old pointer"
    if below is not None and past is not None and past == min(near):
        far = f"{distance(past)} past" if past else "right at"
        return f", {far} the end of {named(map_, below)}"
    assert above is not None and before is not None
    return f", {distance(before)} before the start of {named(map_, above)}"


def _instruction(fault: Segfault, map_: AddressMap | None) -> str:
    """Where the program was; empty where that is the address itself or unknown."""
    if fault.instruction is None or fault.instruction == fault.address:
        return ""
    if fault.file is not None and fault.file_offset is not None:
        return f"; at {fault.file}+{fault.file_offset:#x}"
    if map_ is not None and (found := map_.in_file(fault.instruction)) is not None:
        return f"; at {found[0].rpartition('/')[2]}+{found[1]:#x}"
    if fault.file is None:
        return f"; at {fault.instruction:#x}"
    if fault.file_start is None:
        return f"; at {fault.instruction:#x} in {fault.file}"
    # Which part of the file is mapped there this kernel does not say.
    into = fault.instruction - fault.file_start
    return f"; at {fault.instruction:#x}, {into:#x} into the mapping of {fault.file}"
