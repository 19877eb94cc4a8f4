"""Deaths in the kernel's log: whom the OOM killer took, and who touched memory that was not theirs.

Source: /dev/kmsg. Document: mm/oom_kill.c, mm/memcontrol.c; arch/*/mm/fault.c. Since: always, in many
spellings. Segfaults only with debug.exception-trace, and of programs that do not catch them.
Cost: 1 µs a record.

Names of programs, groups and files in these lines are other people's, who may choose them to look
like the rest of the line. A comm has at most 15 bytes and numbers are numbers: what follows the name
is matched to the end of the line, and only the kernel's own records count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from memtui.kernel.kmsg import KERNEL_FACILITY, LogRecord

Access = Literal["read", "write", "execute"]


class OomKill(NamedTuple):
    """One kill. Sizes in bytes; None: this kernel does not say it.

    `is_group`: a memory cgroup was full, `oom_group`, and not the machine. `task_group` is where the
    process was. `constraint` is the kernel's word. `invoked_by` asked for the memory.
    """

    time_us: int
    pid: int
    name: str
    is_group: bool
    total_vm_bytes: int | None
    anon_rss_bytes: int | None
    file_rss_bytes: int | None
    shmem_rss_bytes: int | None
    page_tables_bytes: int | None
    uid: int | None
    oom_score_adj: int | None
    constraint: str | None
    oom_group: str | None
    task_group: str | None
    invoked_by: str | None

    @property
    def rss_bytes(self) -> int | None:
        parts = (self.anon_rss_bytes, self.file_rss_bytes, self.shmem_rss_bytes)
        known = [part for part in parts if part is not None]
        return sum(known) if known else None


class Segfault(NamedTuple):
    """One access to memory that was refused. `tid` is the thread's id; None: not said.

    `error` is the processor's own code. `is_protection`: a page was there that does not allow this;
    False: none was, and mostly nothing is mapped (a mapping's page may not have been touched yet).
    `file` is the base name of the file the instruction is in, mapped at `file_start` for
    `file_bytes`; `file_offset` is the instruction's place in the file, which recent kernels say.
    """

    time_us: int
    tid: int
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


_COMM: Final = rb"(.{1,15}?)"
_IN: Final = (
    rb"(?:,? in (?P<file>.{1,255}?)\[(?:(?P<offset>[0-9a-f]{1,16}),)?(?P<start>[0-9a-f]{1,16})\+"
    rb"(?P<size>[0-9a-f]{1,16})\])?"
)
_CPU: Final = rb"(?: likely on CPU \d+ \(core \d+, socket \d+\))?\s*"


def _pattern(text: bytes) -> re.Pattern[bytes]:
    return re.compile(text, re.DOTALL)


_INVOKED: Final = _pattern(_COMM + rb" invoked oom-killer: (?:gfp_mask|order)=.*")
# 2.6 wrote vsz for total-vm; RHEL 7 and kernels about 4.4 the uid in the middle.
_KILLED: Final = _pattern(
    rb"(?:(?P<why>[A-Z][A-Za-z_ ()]{1,60}): )?Killed process (?P<pid>\d{1,10}) "
    rb"\((?P<name>.{0,15})\),?(?: UID (?P<uid1>\d{1,10}),)? (?:total-vm|vsz):(?P<vm>\d{1,18})kB, "
    rb"anon-rss:(?P<anon>\d{1,18})kB, file-rss:(?P<file>\d{1,18})kB"
    rb"(?:, shmem-rss:(?P<shmem>\d{1,18})kB)?(?:,? UID:(?P<uid>\d{1,10}))?"
    rb"(?: pgtables:(?P<tables>\d{1,18})kB)?(?: oom_score_adj:(?P<adj>-?\d{1,4}))?\s*"
)
# Before 5.1 in two lines: the chosen one, then the one that died, maybe a child of it.
_CHOSEN: Final = _pattern(
    rb"(?P<why>[A-Z][A-Za-z_ ()]{1,60}): [Kk]ill process (?P<pid>\d{1,10}) \(.{0,15}\) score \d+ or "
    rb"(?:sacrifice child|a child)\s*"
)
_CONTEXT: Final = _pattern(rb"oom-kill:constraint=([A-Z_]{1,40}),nodemask=.*")
_MEMBER: Final = _pattern(rb"Task in (/.*) killed as a result of limit of (/.*)")
_WHOLE: Final = _pattern(rb"Tasks in /.* are going to be killed due to memory\.oom\.group set")
_TOGETHER_US: Final = 1_000_000
_GROUP_WORDS: Final = b"Memory cgroup out of memory"

_X86: Final = _pattern(
    _COMM
    + rb"\[(?P<tid>\d{1,10})\]: segfault at (?P<at>[0-9a-f]{1,16}) (?:rip|ip):? ?(?P<ip>[0-9a-f]{1,16})"
    + rb" (?:rsp|sp):? ?(?P<sp>[0-9a-f]{1,16}) error:? ?(?P<error>[0-9a-f]{1,8})"
    + _IN
    + _CPU
)
# A general protection fault is a segfault too, at an address that can be none: nobody says which.
_X86_TRAP: Final = _pattern(
    rb"(?:traps: )?"
    + _COMM
    + rb"\[(?P<tid>\d{1,10})\] general protection(?: fault)? ip:(?P<ip>[0-9a-f]{1,16}) "
    + rb"sp:(?P<sp>[0-9a-f]{1,16}) error:(?P<error>[0-9a-f]{1,8})"
    + _IN
    + _CPU
)
# arm64 from 4.16, and before; its 32-bit elder names no pid.
_ARM64: Final = _pattern(
    _COMM
    + rb"\[(?P<tid>\d{1,10})\]: unhandled exception: [^,]{1,60}, ESR 0x(?P<error>[0-9a-f]{1,16}), "
    + rb"[a-z0-9 ()-]{1,60}?"
    + _IN
    + rb"\s*"
)
_ARM64_OLD: Final = _pattern(
    _COMM
    + rb"\[(?P<tid>\d{1,10})\]: unhandled (?:[a-z0-9 ]{1,40}) \(11\) at 0x(?P<at>[0-9a-f]{1,16}), "
    + rb"(?:esr|code) 0x(?P<error>[0-9a-f]{1,16})"
    + _IN
    + rb"\s*"
)
_RISCV: Final = _pattern(
    _COMM
    + rb"\[(?P<tid>\d{1,10})\]: unhandled signal 11 code 0x(?P<code>[0-9a-f]{1,8}) at "
    + rb"0x(?P<at>[0-9a-f]{1,16})"
    + _IN
    + rb"\s*"
)
_POWER: Final = _pattern(
    _COMM
    + rb"\[(?P<tid>\d{1,10})\]: (?:User access of kernel address|segfault) \(11\) at "
    + rb"(?P<at>[0-9a-f]{1,16}) nip (?P<ip>[0-9a-f]{1,16}) lr [0-9a-f]{1,16} code (?P<code>[0-9a-f]{1,8})"
    + _IN
    + rb"\s*"
)
_FAULTS: Final = (_X86, _X86_TRAP, _ARM64, _ARM64_OLD, _RISCV, _POWER)


class _Report(NamedTuple):
    """What the lines before a kill have said of it. `chosen`: one that was named, of old kernels.
    `whole_us` is when a group was said to die as a whole, which the kill of the chosen one precedes."""

    invoked_by: str | None = None
    context: bytes | None = None
    member: tuple[str, str] | None = None
    is_group: bool | None = None
    whole_us: int | None = None


class DeathReader:
    """Reads records in their order: a report of the OOM killer is several of them."""

    def __init__(self) -> None:
        self._report = _Report()
        self._last = _Report()  # of the kill before this one, with what its line about groups said
        self._constraint: str | None = None
        self._oom_group: str | None = None

    def feed(self, record: LogRecord) -> OomKill | Segfault | None:
        """The death that is complete with this record, if any."""
        if record.facility != KERNEL_FACILITY:
            return None
        text = record.message
        if b"oom" in text or b"ill" in text:
            kill = self._oom(record, text)
            if kill is not None:
                return kill
        if b"segfault" in text or b"unhandled" in text or b"general protection" in text:
            return parse_segfault(record.time_us, text)
        return None

    def _oom(self, record: LogRecord, text: bytes) -> OomKill | None:
        if match := _INVOKED.fullmatch(text):
            self._report = _Report(_text(match[1]))
        elif _CONTEXT.fullmatch(text):
            self._report = self._report._replace(context=text)
        elif match := _MEMBER.fullmatch(text):
            self._report = self._report._replace(member=(_text(match[1]), _text(match[2])))
        elif match := _CHOSEN.fullmatch(text):
            self._report = self._report._replace(is_group=match["why"] == _GROUP_WORDS)
        elif _WHOLE.fullmatch(text):
            self._last = self._last._replace(whole_us=record.time_us)
        elif match := _KILLED.fullmatch(text):
            return self._killed(record.time_us, match)
        return None

    def _killed(self, time_us: int, match: re.Match[bytes]) -> OomKill:
        pid, name = int(match["pid"]), match["name"]
        # With many kills the kernel leaves out the lines before: those of another are not this one's.
        report, self._report = self._report, _Report()
        constraint = oom_group = task_group = None
        if report.context is not None:
            known = _context(report.context, pid, name)
            if known is None:
                report = _Report()
            else:
                constraint, oom_group, task_group = known
        if report.member is not None:
            task_group, oom_group = report.member
        whole_us = self._last.whole_us
        if report == _Report() and whole_us is not None and time_us - whole_us <= _TOGETHER_US:
            # Those that die with the chosen one have no report of their own.
            report = self._last
            constraint, oom_group = self._constraint, self._oom_group
        else:
            self._last, self._constraint, self._oom_group = report, constraint, oom_group
        is_group = oom_group is not None
        if match["why"] is not None:
            is_group = match["why"] == _GROUP_WORDS
        elif report.is_group is not None:
            is_group = report.is_group
        total_vm, tables = _kilo(match["vm"]), _kilo(match["tables"])
        if tables is not None and total_vm is not None and tables > total_vm // 8:
            # 5.4 to 5.6 wrote bytes and said kB; tables are a 512th of what they map, and little more.
            tables //= 1024
        return OomKill(
            time_us,
            pid,
            _text(name),
            is_group,
            total_vm,
            _kilo(match["anon"]),
            _kilo(match["file"]),
            _kilo(match["shmem"]),
            tables,
            _number(match["uid"] or match["uid1"]),
            _number(match["adj"]),
            constraint,
            oom_group,
            task_group,
            report.invoked_by,
        )


def deaths(records: Iterable[LogRecord]) -> list[OomKill | Segfault]:
    """Every death in a log, in its order."""
    reader = DeathReader()
    found = (reader.feed(record) for record in records)
    return [each for each in found if each is not None]


def _context(
    text: bytes, pid: int, name: bytes
) -> tuple[str | None, str | None, str | None] | None:
    """Constraint, the group that was full and the victim's; None where it is another victim's line.

    The groups' names may hold anything, so the line is cut at what is known of its victim.
    """
    match = _CONTEXT.fullmatch(text)
    end = text.rfind(b",task=%b,pid=%d,uid=" % (name, pid))
    if match is None or end < 0:
        return None
    constraint = _text(match[1])
    start = text.find(b",oom_memcg=")
    if start < 0:
        at = text.find(b",task_memcg=")
        return constraint, None, _text(text[at + 12 : end]) if 0 <= at < end else None
    groups = text[start + 11 : end]
    at = groups.find(b",task_memcg=")
    while at >= 0:
        full, own = groups[:at], groups[at + 12 :]
        # The victim's group is the full one or below it, whatever commas the names have.
        if own == full or own.startswith(full.rstrip(b"/") + b"/"):
            return constraint, _text(full), _text(own)
        at = groups.find(b",task_memcg=", at + 1)
    return constraint, None, None


def parse_segfault(time_us: int, text: bytes) -> Segfault | None:
    """A line about a refused access; None where it is something else."""
    for pattern in _FAULTS:
        match = pattern.fullmatch(text)
        if match:
            break
    else:
        return None
    found = match.groupdict()
    error = _hex(found.get("error"))
    access: Access | None = None
    is_protection = is_user = None
    if pattern is _X86 and error is not None:
        # Bits of the code: 0 a page is there, 1 write, 2 user mode, 4 instruction fetch.
        access = "execute" if error & 16 else "write" if error & 2 else "read"
        is_protection, is_user = bool(error & 1), bool(error & 4)
    elif pattern in (_ARM64, _ARM64_OLD) and error is not None:
        access, is_protection = _of_esr(error)
    elif (code := _hex(found.get("code"))) in (1, 2):
        is_protection = code == 2  # SEGV_MAPERR, SEGV_ACCERR
    address, instruction = _hex(found.get("at")), _hex(found.get("ip"))
    if access is None and address is not None and address == instruction:
        access = "execute"
    return Segfault(
        time_us,
        int(match["tid"]),
        _text(match[1]),
        address,
        instruction,
        _hex(found.get("sp")),
        error,
        access,
        is_protection,
        is_user,
        None if found["file"] is None else _text(found["file"]),
        _hex(found["start"]),
        _hex(found["size"]),
        _hex(found["offset"]),
    )


def _of_esr(esr: int) -> tuple[Access | None, bool | None]:
    """What arm64's syndrome says: the class of the exception, the bit of a write, the kind of fault."""
    kind = esr >> 26
    access: Access | None = None
    if kind in (0x20, 0x21):
        access = "execute"
    elif kind in (0x24, 0x25):
        access = "write" if esr & 64 else "read"
    status = esr & 0x3F
    if 4 <= status <= 7:
        return access, False  # translation fault
    return access, True if 8 <= status <= 15 else None  # access flag, permission


def _number(digits: bytes | None) -> int | None:
    return None if digits is None else int(digits)


def _kilo(digits: bytes | None) -> int | None:
    return None if digits is None else int(digits) * 1024


def _hex(digits: bytes | None) -> int | None:
    return None if digits is None else int(digits, 16)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
