"""Segfaults in the kernel's log, in the spelling of each processor.

Source: /dev/kmsg. Document: arch/*/mm/fault.c, arch/*/kernel/traps.c. Since: always, in many
spellings; only with debug.exception-trace (arm32: user_debug), and of programs that do not catch
them. Cost: 1 µs a record.

Some tell it in one line, and some in several, of which the first may say neither who nor where.
Names are other people's: see `deaths`.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

Access = Literal["read", "write", "execute"]


class Segfault(NamedTuple):
    """One access to memory that was refused. `tid` is the thread's id. None, or "": not said.

    `error` is the processor's own code. `is_protection`: a page was there that does not allow this;
    False: none was, and mostly nothing is mapped (a mapping's page may not have been touched yet).
    `file` is the base name of the file the instruction is in, mapped at `file_start` for
    `file_bytes`; `file_offset` is the instruction's place in the file, which recent kernels say.
    """

    time_us: int
    tid: int | None
    name: str
    address: int | None
    instruction: int | None
    stack_pointer: int | None
    error: int | None
    access: Access | None
    is_protection: bool | None
    is_user: bool | None
    file: str | None
    file_start: int | None
    file_bytes: int | None
    file_offset: int | None = None


_Meaning = tuple[Access | None, bool | None]
_Found = dict[str, bytes | None]

_COMM: Final = rb"(?P<name>.{1,15}?)"
_WHO: Final = _COMM + rb"\[(?P<tid>\d{1,10})\]"
_IN_FILE: Final = (
    rb"in (?P<file>.{1,255}?)\[(?:(?P<offset>[0-9a-f]{1,16}),)?(?P<start>[0-9a-f]{1,16})\+"
    rb"(?P<size>[0-9a-f]{1,16})\]"
)
_IN: Final = rb"(?:,? " + _IN_FILE + rb")?"
_CPU: Final = rb"(?: likely on CPU \d+ \(core \d+, socket \d+\))?"


def _pattern(text: bytes) -> re.Pattern[bytes]:
    return re.compile(text + rb"\s*", re.DOTALL)


_X86: Final = _pattern(
    _WHO
    + rb": segfault at (?P<at>[0-9a-f]{1,16}) (?:rip|ip):? ?(?P<ip>[0-9a-f]{1,16})"
    + rb" (?:rsp|sp):? ?(?P<sp>[0-9a-f]{1,16}) error:? ?(?P<error>[0-9a-f]{1,8})"
    + _IN
    + _CPU
)
# A general protection fault is a segfault too, at an address that can be none: nobody says which.
_X86_TRAP: Final = _pattern(
    rb"(?:traps: )?"
    + _WHO
    + rb" general protection(?: fault)? ip:(?P<ip>[0-9a-f]{1,16}) "
    + rb"sp:(?P<sp>[0-9a-f]{1,16}) error:(?P<error>[0-9a-f]{1,8})"
    + _IN
    + _CPU
)
# arm64 from 4.16, and before.
_ARM64: Final = _pattern(
    _WHO
    + rb": unhandled exception: [^,]{1,60}, ESR 0x(?P<error>[0-9a-f]{1,16}), [a-z0-9 ()-]{1,60}?"
    + _IN
)
_ARM64_OLD: Final = _pattern(
    _WHO
    + rb": unhandled (?:[a-z0-9 ]{1,40}) \(11\) at 0x(?P<at>[0-9a-f]{1,16}), "
    + rb"(?:esr|code) 0x(?P<error>[0-9a-f]{1,16})"
    + _IN
)
_ARM32: Final = _pattern(
    _COMM
    + rb": unhandled page fault \(11\) at 0x(?P<at>[0-9a-f]{1,16}), code 0x(?P<error>[0-9a-f]{1,8})"
)
_RISCV: Final = _pattern(
    _WHO
    + rb": unhandled signal 11 code 0x(?P<code>[0-9a-f]{1,8}) at 0x(?P<at>[0-9a-f]{1,16})"
    + _IN
)
# From 4.20, and before.
_POWER: Final = _pattern(
    _WHO
    + rb": (?:User access of kernel address|segfault) \(11\) at "
    + rb"(?P<at>[0-9a-f]{1,16}) nip (?P<ip>[0-9a-f]{1,16}) lr [0-9a-f]{1,16} code (?P<code>[0-9a-f]{1,8})"
    + _IN
)
_POWER_OLD: Final = _pattern(
    _WHO
    + rb": unhandled signal 11 at (?P<at>[0-9a-f]{1,16}) nip (?P<ip>[0-9a-f]{1,16}) "
    + rb"lr [0-9a-f]{1,16} code (?P<code>[0-9a-f]{1,8})"
    + _IN
)
# MIPS and LoongArch; MIPS before 3.13 in one line.
_MIPS: Final = _pattern(
    rb"\s*do_page_fault\(\)(?: #\d)?: sending SIGSEGV to "
    + _COMM
    + rb" for invalid (?P<access>read access from|write access to)\s+(?P<at>[0-9a-f]{1,16})"
    + rb"(?: \(epc == (?P<ip>[0-9a-f]{1,16}), ra == [0-9a-f]{1,16}\))?"
)
_MIPS_AT: Final = _pattern(
    rb"(?:epc|era)\s*= (?P<ip>[0-9a-f]{1,16})(?: in)?(?: " + _IN_FILE[3:] + rb")?"
)
# The codes of what is no mapping, or one that does not allow it; before 3.16 there is no ilc.
_S390: Final = _pattern(
    rb"User process fault: interruption code (?:0x)?(?P<interruption>[0-9A-Fa-f]{1,8})"
    rb"(?: ilc:\d)?" + _IN
)
_S390_AT: Final = _pattern(
    rb"[Ff]ailing address: (?P<at>[0-9a-f]{1,16})(?: TEID: (?P<error>[0-9a-f]{1,16}))?"
)
_S390_PSW: Final = _pattern(rb"User PSW : [0-9a-f]{16} (?P<ip>[0-9a-f]{16})(?: \(.*\))?")
# A name may look like what follows it: the longest is the whole of it.
_REGISTERS: Final = _pattern(
    rb"CPU: \d{1,5} (?:UID: \d{1,10} )?PID: (?P<tid>\d{1,10}) Comm: (?P<name>.{1,15}) "
    rb"(?:Not tainted|Tainted: ).*"
)
_ARM32_AT: Final = _pattern(rb"(?:PC is at|pc :) (?:0x|\[<)(?P<ip>[0-9a-f]{1,16}).*")

# Each with the lines that tell more of it, in their order; with the last of them it is complete.
_SPELLINGS: Final[dict[re.Pattern[bytes], tuple[re.Pattern[bytes], ...]]] = {
    _X86: (),
    _X86_TRAP: (),
    _ARM64: (),
    _ARM64_OLD: (),
    _ARM32: (_REGISTERS, _ARM32_AT),
    _RISCV: (),
    _POWER: (),
    _POWER_OLD: (),
    _MIPS: (_MIPS_AT,),
    _S390: (_S390_AT, _REGISTERS, _S390_PSW),
}
_WORDS: Final = (b"segfault", b"unhandled", b"general protection", b"SIGSEGV", b"process fault")
_TOGETHER_US: Final = 1_000_000  # the lines of one report are not further apart


class _Report:
    """A fault of which the kernel may say more. `found` is what it has said by the patterns' names."""

    def __init__(self, time_us: int, spelling: re.Pattern[bytes], found: _Found) -> None:
        self.time_us = time_us
        self.spelling = spelling
        self.found = found
        self.awaited = _SPELLINGS[spelling]
        if found.get("ip") is not None:
            self.awaited = ()

    def add(self, time_us: int, text: bytes) -> None:
        """Takes what this line says of it, if anything."""
        if time_us - self.time_us > _TOGETHER_US:
            return
        for at, pattern in enumerate(self.awaited):
            match = pattern.fullmatch(text)
            if match is not None:
                more = match.groupdict()
                if self.found.get("name") not in (None, more.get("name", self.found.get("name"))):
                    return  # another process's registers
                self.found |= {name: value for name, value in more.items() if value is not None}
                self.awaited = self.awaited[at + 1 :]
                return


class SegfaultReader:
    """Reads lines in their order."""

    def __init__(self) -> None:
        self._report: _Report | None = None

    def feed(self, time_us: int, text: bytes) -> list[Segfault]:
        """The faults that are told whole with this line, and one that another has cut short."""
        found = []
        report = self._report
        if report is not None:
            report.add(time_us, text)
        begun = None
        if any(word in text for word in _WORDS):
            begun = _begun(time_us, text)
        if report is not None and (begun is not None or not report.awaited):
            found += self.end()
        if begun is not None:
            self._report = begun
            if not begun.awaited:
                found += self.end()
        return found

    @property
    def incomplete(self) -> object | None:
        """The fault that more may be said of, for as long as it is the same one."""
        return self._report

    def end(self) -> list[Segfault]:
        """The one that more was to be said of, by what is known of it."""
        report, self._report = self._report, None
        return [] if report is None else [_fault(report)]


def _begun(time_us: int, text: bytes) -> _Report | None:
    for spelling in _SPELLINGS:
        match = spelling.fullmatch(text)
        if match is None:
            continue
        found: _Found = match.groupdict()
        if spelling is _S390 and int(match["interruption"], 16) & 0xFFFF not in _S390_CODES:
            return None
        if spelling is _ARM64 and _of_esr(int(match["error"], 16))[0] is None:
            return None  # a breakpoint, an instruction that is none
        return _Report(time_us, spelling, found)
    return None


def _fault(report: _Report) -> Segfault:
    spelling, found = report.spelling, report.found
    error = _hex(found.get("error"))
    access, is_protection = _meaning(spelling, found, error)
    address, instruction = _hex(found.get("at")), _hex(found.get("ip"))
    if access is None and address is not None and address == instruction:
        access = "execute"
    tid, file = found.get("tid"), found.get("file")
    return Segfault(
        report.time_us,
        None if tid is None else int(tid),
        _text(found.get("name") or b""),
        address,
        instruction,
        _hex(found.get("sp")),
        error,
        access,
        is_protection,
        bool(error & 4) if spelling is _X86 and error is not None else None,
        None if file is None else _text(file),
        _hex(found.get("start")),
        _hex(found.get("size")),
        _hex(found.get("offset")),
    )


def _meaning(spelling: re.Pattern[bytes], found: _Found, error: int | None) -> _Meaning:
    """What was tried, and whether a page was there that does not allow it."""
    if (wanted := found.get("access")) is not None:
        return "write" if wanted.startswith(b"write") else "read", None
    if (code := _hex(found.get("code"))) is not None:
        # si_code: SEGV_MAPERR, SEGV_ACCERR; its upper half was the kernel's own before 4.14.
        return None, {1: False, 2: True}.get(code & 0xFFFF)
    if (interruption := found.get("interruption")) is not None:
        # The translation exception's bits say store or fetch where the machine tells them.
        told = {0x400: "write", 0x800: "read"}.get((error or 0) & 0xC00)
        access: Access | None = "write" if told == "write" else "read" if told == "read" else None
        return access, _S390_CODES[int(interruption, 16) & 0xFFFF]
    if error is None:
        return None, None
    if spelling is _X86:
        # Bits of the code: 0 a page is there, 1 write, 2 user mode, 4 instruction fetch.
        return "execute" if error & 16 else "write" if error & 2 else "read", bool(error & 1)
    if spelling in (_ARM64, _ARM64_OLD):
        return _of_esr(error)
    return _of_fsr(error) if spelling is _ARM32 else (None, None)


# Protection, addressing; translation of segment, page, ASCE and regions.
_S390_CODES: Final = {
    4: True,
    5: False,
    **dict.fromkeys((0x10, 0x11, 0x38, 0x39, 0x3A, 0x3B), False),
}


def _of_esr(esr: int) -> _Meaning:
    """What arm64's syndrome says: the class of the exception, the bit of a write, the kind of fault."""
    kind = esr >> 26
    access: Access | None = None
    if kind in (0x20, 0x21):
        access = "execute"
    elif kind in (0x24, 0x25):
        access = "write" if esr & 64 else "read"
    return access, _of_status(esr & 0x3F)


def _of_status(status: int) -> bool | None:
    if 4 <= status <= 7:
        return False  # translation fault
    return True if 8 <= status <= 15 else None  # access flag, permission


def _of_fsr(fsr: int) -> _Meaning:
    """What arm32's fault status says: bit 31 a fetch (Linux's own), 11 a write, 9 the long format."""
    access: Access = "execute" if fsr & 1 << 31 else "write" if fsr & 1 << 11 else "read"
    if fsr & 1 << 9:
        return access, _of_status(fsr & 0x3F)
    status = fsr & 15 | fsr >> 6 & 16
    # Translation of section and page; access flag, domain and permission of both.
    return access, {5: False, 7: False, **dict.fromkeys((3, 6, 9, 11, 13, 15), True)}.get(status)


def _hex(digits: bytes | None) -> int | None:
    return None if digits is None else int(digits, 16)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
