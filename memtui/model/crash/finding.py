"""What a program did that a signal ended it for: told from the signal, the instruction and the map."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from memtui.kernel.files import Gap
from memtui.kernel.segfaults import Access
from memtui.kernel.siginfo import signal_name
from memtui.model.crash.crash import Crash, Frame, Instruction, Operand
from memtui.model.crash.target import Refused, distance, named, overflowed, target, verb
from memtui.model.map.addressmap import AddressMap

How = Literal[
    "page fault",
    "kernel address",
    "stack overflow",
    "protection key",
    "file end",
    "bad memory",
    "not canonical",
    "misaligned",
    "privileged",
    "division",
    "illegal",
    "trap",
    "abort",
    "system call",
    "sent",
    "other",
]

_MAPERR, _ACCERR, _ADRALN, _ADRERR = 1, 2, 1, 2  # SEGV_MAPERR, SEGV_ACCERR, BUS_ADRALN, BUS_ADRERR
_MCEERR: Final = (4, 5)  # BUS_MCEERR_AR, BUS_MCEERR_AO
_INTDIV, _INTOVF = 1, 2
_FLOATS: Final = {3: "division by zero", 4: "overflow", 5: "underflow", 7: "invalid operation"}
_HALF: Final = 1 << 47  # where the program's half of the canonical addresses ends
_LONGEST: Final = 15  # bytes of an instruction
_HEAP_CALLS: Final = frozenset(
    "free cfree __libc_free malloc __libc_malloc realloc __libc_realloc calloc __libc_calloc "
    "memalign aligned_alloc posix_memalign malloc_trim reallocarray".split()
)
_HEAP_WORDS: Final = ("free()", "malloc", "realloc()", "corrupted", "chunk", "tcache", "fastbin")


class Finding(NamedTuple):
    """How it came to its end, in words and as a name; `access` and `address` of the memory it was
    about, where it was about memory."""

    how: How
    words: str
    access: Access | None = None
    address: int | None = None


def find(crash: Crash) -> Finding:
    """What the signal was for."""
    info = crash.siginfo
    if info.signal == signal.SIGABRT and info.was_sent and _is_own(crash):
        return _abort(crash)
    if info.was_sent:
        return _sent(crash)
    return _FINDERS.get(info.signal, _other)(crash)


def refused_of(crash: Crash, address: int, access: Access | None) -> Refused:
    """The access that was refused, as `target` takes it."""
    info = crash.siginfo
    is_segv = info.signal == signal.SIGSEGV
    return Refused(
        address,
        access,
        None if not is_segv else info.code != _MAPERR,
        None if isinstance(crash.registers, Gap) else crash.registers.stack_pointer,
        crash.stack_limit_bytes,
        is_now=True,
        key=info.key,
    )


def is_canonical(address: int) -> bool:
    """Whether an address is one at all on x86-64: its upper bits are copies of bit 47."""
    return address < _HALF or address >= (1 << 64) - _HALF


def _is_own(crash: Crash) -> bool:
    return crash.siginfo.sender_pid in (crash.key.pid, crash.tid)


def _sent(crash: Crash) -> Finding:
    info = crash.siginfo
    if _is_own(crash):
        return Finding("sent", f"{info.name} that it sent to itself, by raise() or kill()")
    if info.sender_pid:
        user = "" if info.sender_uid is None else f" of user {info.sender_uid}"
        words = (
            f"{info.name} that process {info.sender_pid}{user} sent it, and no access of its own"
        )
        return Finding("sent", words)
    return Finding(
        "sent", f"{info.name} that was sent, and no access of its own ({info.code_name})"
    )


def _abort(crash: Crash) -> Finding:
    said = f": {crash.message.strip()}" if crash.message.strip() else ""
    calls = [each.place.symbol for each in crash.frames]
    by = next((name for name in calls if name in _HEAP_CALLS), None)
    is_heap = any(word in crash.message for word in _HEAP_WORDS) or not said
    if by is not None and is_heap:
        name = by.removeprefix("__libc_")
        quoted = f' ("{crash.message.strip()}")' if said else ""
        return Finding("abort", f"abort from {name}(): glibc found its heap damaged{quoted}")
    if any("terminate" in name for name in calls):
        return Finding("abort", f"abort(): a C++ exception that nothing caught{said}")
    return Finding("abort", f"abort(){said or ', which the program called itself'}")


def _segv(crash: Crash) -> Finding:
    address = crash.siginfo.address
    if address is None:
        return _without_address(crash)
    access = access_at(crash, address)
    refused = refused_of(crash, address, access)
    map_ = None if isinstance(crash.map, Gap) else crash.map
    words = target(refused, map_)
    how: How = "page fault"
    if crash.siginfo.key is not None:
        how = "protection key"
    elif map_ is not None and overflowed(refused, map_) is not None:
        how = "stack overflow"
    elif address >= 1 << 63:
        how = "kernel address"
    return Finding(how, f"{verb(access)} {address:#x}: {words}", access, address)


def _bus(crash: Crash) -> Finding:
    info, address = crash.siginfo, crash.siginfo.address
    if address is None:
        return _without_address(crash)
    access = access_at(crash, address)
    done = f"{verb(access)} {address:#x}"
    if info.code == _ADRALN:
        words = f"{done}: misaligned, and this instruction or memory takes no such address"
        return Finding("misaligned", words, access, address)
    if info.code in _MCEERR:
        words = f"{done}: the hardware found errors in that page of memory"
        return Finding("bad memory", words, access, address)
    if info.code == _ADRERR:
        return Finding("file end", f"{done}: {past_file(crash, address)}", access, address)
    return Finding("other", f"{done}: {info.code_name}", access, address)


def past_file(crash: Crash, address: int) -> str:
    """What a mapped file does not have at an address."""
    row = None if isinstance(crash.map, Gap) else crash.map.row_at(address)
    if isinstance(crash.map, Gap) or row is None:
        return "mapped, but there is nothing to put there"
    mappings = crash.map.mappings
    path = mappings.paths[row].removesuffix(" (deleted)")
    name = path.rpartition("/")[2] or named(crash.map, row)
    at = address - mappings.starts[row] + mappings.offsets[row]
    if crash.file_bytes is None or at < crash.file_bytes:
        return (
            f"{name} is mapped there, and that page cannot be had: cut short, unreadable or no room"
        )
    past = at - crash.file_bytes
    far = f"{distance(past)} past" if past else "right at"
    return (
        f"{far} the end of {name}, which has {distance(crash.file_bytes)}; it is mapped beyond that"
    )


def _without_address(crash: Crash) -> Finding:
    """A general protection fault of x86: the kernel tells no address, the instruction does."""
    instruction = crash.instruction
    if isinstance(instruction, Gap):
        words = "access to an address that can be none (not canonical), or by an instruction that may not"
        return Finding("other", words)
    for each in instruction.operands:
        if not is_canonical(each.address):
            return _not_canonical(each.access, each.address)
    if instruction.target is not None and not is_canonical(instruction.target):
        return _not_canonical("execute", instruction.target)
    for each in instruction.operands:
        if each.address % each.must_align_to:
            return _misaligned(instruction, each)
    name = instruction.text.partition(" ")[0]
    if instruction.is_privileged:
        return Finding("privileged", f"{name}: an instruction that is the kernel's alone")
    return Finding("other", f"{name}: the processor refused it (general protection)")


def _not_canonical(access: Access, address: int) -> Finding:
    words = f"{verb(access)} {address:#x}: it can be no address (not canonical), a wild pointer"
    return Finding("not canonical", words, access, address)


def _misaligned(instruction: Instruction, operand: Operand) -> Finding:
    name = instruction.text.partition(" ")[0]
    over = operand.address % operand.must_align_to
    words = (
        f"{verb(operand.access)} {operand.address:#x}: misaligned by {distance(over)}, "
        f"{name} takes multiples of {operand.must_align_to}"
    )
    return Finding("misaligned", words, operand.access, operand.address)


def access_at(crash: Crash, address: int) -> Access | None:
    """What was done at an address: as the operand says that is there; None: not known."""
    pointer = None if isinstance(crash.registers, Gap) else crash.registers.instruction_pointer
    instruction = crash.instruction
    if pointer is not None and _may_not_execute(crash.map, address):
        if pointer == address:
            return "execute"
        # The next page may be the one that its end is in.
        if isinstance(instruction, Gap) and 0 <= address - pointer < _LONGEST:
            return "execute"
    if isinstance(instruction, Gap):
        return None
    for each in instruction.operands:
        if each.address <= address < each.address + max(1, each.size_bytes):
            return each.access
    return None


def _may_not_execute(map_: AddressMap | Gap, address: int) -> bool:
    if isinstance(map_, Gap):
        return True
    row = map_.row_at(address)
    return row is None or map_.mappings.perms[row][2] != "x"


def _fpe(crash: Crash) -> Finding:
    code, instruction = crash.siginfo.code, crash.instruction
    divisor = None if isinstance(instruction, Gap) else instruction.divisor
    if code == _INTDIV and divisor:
        words = f"division by {divisor}, whose quotient is too large for its register"
        return Finding("division", words)
    if code == _INTDIV:
        text = "" if isinstance(instruction, Gap) else f": {instruction.text}"
        return Finding("division", f"division of an integer by zero{text}")
    if code == _INTOVF:
        return Finding("division", "an integer's overflow that was to be trapped")
    what = _FLOATS.get(code, crash.siginfo.code_name)
    return Finding("division", f"floating-point exception: {what}")


def _ill(crash: Crash) -> Finding:
    instruction = crash.instruction
    if isinstance(instruction, Gap):
        return Finding("illegal", "what is no instruction was to be executed")
    name = instruction.text.partition(" ")[0]
    if name in ("ud0", "ud1", "ud2", "udf"):
        words = f"{name}, the instruction that is none: compilers put it where no program may come"
        return Finding("illegal", words)
    return Finding("illegal", f"{name}: this processor has no such instruction, or refused it")


def _trap(crash: Crash) -> Finding:
    return Finding("trap", "a breakpoint or trap, and no debugger that waits for it")


def _system_call(crash: Crash) -> Finding:
    number = None
    if not isinstance(crash.registers, Gap):
        values = crash.registers.values
        number = values.get("orig_rax", values.get("x8"))
    which = "" if number is None else f" number {number}"
    return Finding("system call", f"system call{which}, which its seccomp filter forbids")


def _other(crash: Crash) -> Finding:
    return Finding("other", f"{signal_name(crash.siginfo.signal)} ({crash.siginfo.code_name})")


_FINDERS: Final[dict[int, Callable[[Crash], Finding]]] = {
    signal.SIGSEGV: _segv,
    signal.SIGBUS: _bus,
    signal.SIGFPE: _fpe,
    signal.SIGILL: _ill,
    signal.SIGTRAP: _trap,
    signal.SIGSYS: _system_call,
}


def culprit(crash: Crash) -> Frame | None:
    """The innermost frame of the program itself; of one that is all libraries, of the next file."""
    frames = [each for each in crash.frames if each.place.symbol != "_start"]
    own = next((each for each in frames if each.place.is_program), None)
    if own is not None or not frames:
        return own
    first = frames[0].place.file
    named = (each for each in frames if each.place.symbol)
    return next((each for each in named if each.place.file != first), None)
