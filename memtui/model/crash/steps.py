"""What the processor and the kernel did, one after the other, until the program had ended."""

from __future__ import annotations

import signal
from typing import Final, NamedTuple

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.segfaults import Access
from memtui.model.crash.crash import Crash
from memtui.model.crash.finding import Finding, How, past_file, refused_of
from memtui.model.crash.target import distance, named, neighbours, overflowed
from memtui.model.map.addressmap import AddressMap


class Step(NamedTuple):
    """One thing that happened, and the kernel's or the processor's word for it."""

    words: str
    term: str = ""


_DOING: Final = {"read": "reading", "write": "writing", "execute": "executing"}
_MEANT: Final = {"read": "read", "write": "write", "execute": "instruction fetch"}
# Of a page fault's error code on x86: asm/trap_pf.h.
_PRESENT, _WRITE, _USER, _FETCH, _KEY = 1, 2, 4, 16, 32
_VECTORS: Final[dict[How, tuple[str, str]]] = {
    "not canonical": ("general protection fault", "vector 13, #GP"),
    "misaligned": ("general protection fault", "vector 13, #GP"),
    "privileged": ("general protection fault", "vector 13, #GP"),
    "division": ("divide error", "vector 0, #DE"),
    "illegal": ("invalid opcode", "vector 6, #UD"),
    "trap": ("breakpoint or trap", "vector 3 or 1"),
}
_INTEGERS: Final = (1, 2)  # FPE_INTDIV, FPE_INTOVF
_FAULTS: Final = ("page fault", "kernel address", "stack overflow", "protection key", "file end")


def steps_of(crash: Crash, finding: Finding) -> tuple[Step, ...]:
    """From the access or the instruction to the exit status."""
    if finding.how in _FAULTS and finding.address is not None:
        steps = _page_fault(crash, finding, finding.address)
    elif finding.how in _VECTORS:
        steps = _exception(crash, finding)
    else:
        steps = [_first(crash, finding)]
    number = crash.siginfo.signal
    ends = "aborts" if number == signal.SIGABRT else "ends"
    last = f"{crash.siginfo.name}: by its default action the program {ends}, with status {128 + number}"
    return (*steps, Step(last, f"128 + {number}"))


def _first(crash: Crash, finding: Finding) -> Step:
    if finding.how == "abort":
        return Step("the C library's abort() sent the program SIGABRT", crash.siginfo.code_name)
    if finding.how == "sent":
        return Step("a signal was sent to it", crash.siginfo.code_name)
    if finding.how == "system call":
        return Step("the kernel's seccomp filter refused the system call", crash.siginfo.code_name)
    if finding.how == "bad memory":
        return Step("the hardware told the kernel of errors in a page", crash.siginfo.code_name)
    return Step("the processor could not execute the instruction", crash.siginfo.code_name)


def _is_x86(crash: Crash) -> bool:
    return not isinstance(crash.registers, Gap) and crash.registers.processor == "x86_64"


def _exception(crash: Crash, finding: Finding) -> list[Step]:
    why = {
        "not canonical": "the upper bits of the address are not copies of bit 47",
        "misaligned": "the address is not a multiple of what the instruction needs",
        "privileged": "the instruction is for the kernel alone",
        "division": "the processor could not work it out",
        "illegal": "the processor found no instruction that it may execute",
        "trap": "the processor came to a breakpoint, or a trap",
    }[finding.how]
    name, term = _VECTORS[finding.how]
    if finding.how == "division" and crash.siginfo.code not in _INTEGERS:
        name, term = "floating-point exception", "vector 19 or 16, #XM or #MF"
    if crash.siginfo.signal == signal.SIGBUS and _is_x86(crash):
        name, term = "stack segment fault", "vector 12, #SS"
    if not _is_x86(crash):
        name, term = "exception", ""
    steps = [Step(why), Step(f"{name}, from user mode", term)]
    if finding.how in ("not canonical", "misaligned", "privileged") and _is_x86(crash):
        told = "the kernel is told no address with it: this one is worked out from the registers"
        steps.append(
            Step(
                told if finding.address is not None else "the kernel is told no address",
                crash.siginfo.code_name,
            )
        )
    else:
        steps.append(Step("the kernel turned it into a signal", crash.siginfo.code_name))
    return steps


def _page_fault(crash: Crash, finding: Finding, address: int) -> list[Step]:
    access = finding.access
    present = _is_present(crash, finding, address)
    fetch = ", to fetch an instruction," if access == "execute" else ""
    page = f"the CPU looked for the page of {address:#x}{fetch}"
    if finding.how == "kernel address":
        first = Step(f"{page} in the kernel's half, which is closed to programs", "U/S = 0")
    elif present is None:
        first = Step(f"{page} and found no entry that allows it")
    elif present:
        bit = {"write": "R/W = 0", "execute": "NX = 1"}.get(access or "", "")
        if finding.how == "protection key":
            bit = "protection key"
        doing = _DOING[access] if access else "that"
        first = Step(f"{page} and found an entry that does not allow {doing}", bit)
    else:
        first = Step(f"{page} and found no entry", "P = 0")
    if not _is_x86(crash):
        first = first._replace(term="")
    meant = f"{_MEANT[access]}, " if access else ""
    second = Step(f"page fault: {meant}from user mode", _error_code(crash, finding, present))
    return [first, second, *_handler(crash, finding, address)]


def _is_present(crash: Crash, finding: Finding, address: int) -> bool | None:
    """Whether the processor found a page: None is not known."""
    if isinstance(crash.map, Gap):
        return None
    row = crash.map.row_at(address)
    # Pages of memory without any access are marked as not present, whatever is in them.
    if row is None or crash.map.mappings.perms[row].startswith("---") or finding.how == "file end":
        return False
    return crash.is_present


def _error_code(crash: Crash, finding: Finding, present: bool | None) -> str:
    """As x86 hands it to the kernel, where all of its bits are known."""
    access = finding.access
    if not _is_x86(crash) or present is None or access is None or finding.how == "kernel address":
        return ""
    code = _USER | (_PRESENT if present else 0)
    code |= {"read": 0, "write": _WRITE, "execute": _FETCH}[access]
    if finding.how == "protection key":
        code |= _KEY
    return f"error code {code:#x}"


def _handler(crash: Crash, finding: Finding, address: int) -> list[Step]:
    term = crash.siginfo.code_name
    if isinstance(crash.map, Gap):
        return [Step("the kernel's handler found nothing that allows it", term)]
    map_ = crash.map
    if finding.how == "kernel address":
        return [Step("the kernel's handler gives no program an address of its own", term)]
    if finding.how == "file end":
        return [
            Step(f"the kernel's handler wanted to read the page: {past_file(crash, address)}", term)
        ]
    row = map_.row_at(address)
    if finding.how == "stack overflow":
        return _stack(crash, map_, address, finding.access)
    if row is None:
        found = Step(f"the kernel's handler found no mapping at {address:#x}", term)
        return [found, Step(beside(map_, address))]
    start, end = map_.mappings.starts[row], map_.mappings.ends[row]
    perms = map_.mappings.perms[row]
    if finding.how == "protection key":
        lacks = f"whose protection key {crash.siginfo.key} is closed to this thread"
    elif finding.access is None:
        lacks = f"which is {perms}"
    else:
        lacks = f"which is {perms} and does not allow {_DOING[finding.access]}"
    found = Step(f"the kernel's handler found {named(map_, row)}, {lacks}", term)
    return [found, Step(f"the mapping is {start:#x}–{end:#x}, {units.size(end - start)}")]


def _stack(crash: Crash, map_: AddressMap, address: int, access: Access | None) -> list[Step]:
    term = crash.siginfo.code_name
    stack = overflowed(refused_of(crash, address, access), map_)
    if stack is None:
        return []
    length = map_.mappings.ends[stack] - map_.mappings.starts[stack]
    if map_.row_at(address) is not None:
        words = (
            f"the kernel's handler found the guard below {named(map_, stack)}, closed to everything"
        )
        return [Step(words, term), Step(f"all of the stack's {units.size(length)} are used")]
    limit = crash.stack_limit_bytes
    needed = length + map_.mappings.starts[stack] - address
    if limit is not None and needed > limit:
        words = (
            f"the kernel's handler would have grown the stack, but {units.size(limit)} is its limit"
        )
        return [Step(words, term), Step(f"{units.size(length)} of it are used", "RLIMIT_STACK")]
    words = "the kernel's handler could not grow the stack: what is below it is too near"
    return [Step(words, term), Step(beside(map_, address))]


def beside(map_: AddressMap, address: int) -> str:
    """The mappings below and above an address that none holds, and how far they are."""
    mappings = map_.mappings
    below, above = neighbours(map_, address)
    under, over = "below it nothing", "above it nothing"
    if below is not None:
        end = mappings.ends[below]
        far = f"{distance(address - end)} away" if address > end else "right there"
        under = f"below it {named(map_, below)} up to {end:#x}, {far}"
    if above is not None:
        start = mappings.starts[above]
        over = f"above it {named(map_, above)} from {start:#x}, {distance(start - address)} away"
    return f"{under}; {over}"
