"""Deaths in the kernel's log: whom the OOM killer took, who touched memory that was not theirs
(`segfaults`), and whose memory had errors.

Source: /dev/kmsg. Document: mm/oom_kill.c, mm/memcontrol.c, mm/memory-failure.c. Since: always, in many
spellings. Cost: 1 µs a record.

Names of programs, groups and files in these lines are other people's, who may choose them to look
like the rest of the line. A comm has at most 15 bytes and numbers are numbers: what follows the name
is matched to the end of the line, and only the kernel's own records count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from memtui.kernel.kmsg import KERNEL_FACILITY, LogRecord
from memtui.kernel.segfaults import Segfault, SegfaultReader


class OomKill(NamedTuple):
    """One kill. Sizes in bytes; None: this kernel does not say it.

    `is_group`: a memory cgroup was full, `oom_group`, and not the machine. `task_group` is where the
    process was. `constraint` is the kernel's word, and `nodes` the NUMA nodes that a cpuset or a
    memory policy confined it to. `invoked_by` asked for the memory. `is_manual`: nobody did, it was
    SysRq f. `took_asker`: it is the one that asked, whatever its points (oom_kill_allocating_task).
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
    is_manual: bool = False
    nodes: str | None = None
    took_asker: bool = False

    @property
    def rss_bytes(self) -> int | None:
        parts = (self.anon_rss_bytes, self.file_rss_bytes, self.shmem_rss_bytes)
        known = [part for part in parts if part is not None]
        return sum(known) if known else None


class Poisoned(NamedTuple):
    """A process that had a page with errors that the hardware could not correct.

    `is_killed`: it had no way to go on; else a SIGBUS told it, which programs such as QEMU may outlive.
    `page_frame` is the page's number, `address` where the process touched it. None: not said.
    """

    time_us: int
    pid: int
    name: str
    is_killed: bool
    page_frame: int | None
    address: int | None


Death = OomKill | Segfault | Poisoned

_COMM: Final = rb"(.{1,15}?)"


def _pattern(text: bytes) -> re.Pattern[bytes]:
    return re.compile(text, re.DOTALL)


_INVOKED: Final = _pattern(_COMM + rb" invoked oom-killer: ((?:gfp_mask|order)=.*)")
_ORDER: Final = re.compile(rb"\border=(-?\d{1,9})\b")
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
_CONTEXT: Final = _pattern(
    rb"oom-kill:constraint=([A-Z_]{1,40}),nodemask=([\d,-]{1,400}|\(null\)),cpuset=.*?"
    rb"(?:,mems_allowed=([\d,-]{0,400}),(?:global_oom|oom_memcg=|task_memcg=).*)?"
)
_MEMBER: Final = _pattern(rb"Task in (/.*) killed as a result of limit of (/.*)")
_WHOLE: Final = _pattern(rb"Tasks in /.* are going to be killed due to memory\.oom\.group set")
_TOGETHER_US: Final = 1_000_000
_GROUP_WORDS: Final = b"Memory cgroup out of memory"
_ASKER_WORDS: Final = b"(oom_kill_allocating_task)"
CPUSET: Final = "CONSTRAINT_CPUSET"
POLICY: Final = "CONSTRAINT_MEMORY_POLICY"
# How kernels before 2.6.36 said so.
_OLD_WORDS: Final = {
    b"No available memory (cpuset)": CPUSET,
    b"No available memory (MPOL_BIND)": POLICY,
}

# From 4.17, and before; the last is x86's and POWER's own, at the access.
_POISONED: Final = _pattern(
    rb"(?:Memory failure: |MCE:? |mce: )(?:0x(?P<frame>[0-9a-f]{1,16}): )?"
    rb"(?P<what>Killing|Sending SIGBUS to|forcibly killing) (?P<name>.{1,15}):(?P<pid>\d{1,10}) "
    rb"(?:due to hardware memory corruption(?: fault at (?:0x)?(?P<at>[0-9a-f]{1,16}))?|"
    rb"because of failure to unmap corrupted page)\s*"
)
# A kill by hand: since 4.4 the order says so too, which before was that of any worker's request.
_BY_HAND: Final = _pattern(rb"(?:sysrq: )?(?:SysRq : )?Manual OOM execution\s*")
_MANUAL_ORDER: Final = b"-1"
_WORKERS: Final = (b"kworker/", b"events/")


class _Report(NamedTuple):
    """What the lines before a kill have said of it. `is_group` and `constraint` are of one that was
    named, by old kernels. `whole_us` is when a group was said to die as a whole, which the kill of the
    chosen one precedes."""

    invoked_by: str | None = None
    is_manual: bool = False
    context: bytes | None = None
    member: tuple[str, str] | None = None
    is_group: bool | None = None
    constraint: str | None = None
    whole_us: int | None = None


class _Context(NamedTuple):
    """What was full, and where the victim was."""

    constraint: str | None = None
    nodes: str | None = None
    oom_group: str | None = None
    task_group: str | None = None


class DeathReader:
    """Reads records in their order: a report of a death may be several of them."""

    def __init__(self) -> None:
        self._report = _Report()
        self._manual_us: int | None = None
        # Of the kill before this one, with what its line about groups said.
        self._last = _Report()
        self._last_context = _Context()
        self._poisoned: Poisoned | None = None
        self._segfaults = SegfaultReader()

    def read(self, records: Iterable[LogRecord]) -> list[Death]:
        """The deaths that these records tell. One that more may be said of waits for those after."""
        incomplete = self._segfaults.incomplete
        found = [death for record in records for death in self._feed(record)]
        if incomplete is not None and self._segfaults.incomplete is incomplete:
            found += self._segfaults.end()
        return found

    def _feed(self, record: LogRecord) -> Iterable[Death]:
        if record.facility != KERNEL_FACILITY:
            return ()
        text = record.message
        if b"oom" in text or b"OOM" in text or b"ill" in text:
            kill = self._oom(record, text)
            if kill is not None:
                return (kill,)
        if b"corrupt" in text and (match := _POISONED.fullmatch(text)):
            return self._poison(record.time_us, match)
        return self._segfaults.feed(record.time_us, text)

    def _oom(self, record: LogRecord, text: bytes) -> OomKill | None:
        if match := _INVOKED.fullmatch(text):
            self._report = _Report(_text(match[1]), self._is_manual(record.time_us, match))
        elif _CONTEXT.fullmatch(text):
            self._report = self._report._replace(context=text)
        elif match := _MEMBER.fullmatch(text):
            self._report = self._report._replace(member=(_text(match[1]), _text(match[2])))
        elif match := _CHOSEN.fullmatch(text):
            self._report = self._report._replace(
                is_group=match["why"] == _GROUP_WORDS, constraint=_OLD_WORDS.get(match["why"])
            )
        elif _WHOLE.fullmatch(text):
            self._last = self._last._replace(whole_us=record.time_us)
        elif _BY_HAND.fullmatch(text):
            self._manual_us = record.time_us
        elif match := _KILLED.fullmatch(text):
            return self._killed(record.time_us, match)
        return None

    def _is_manual(self, time_us: int, invoked: re.Match[bytes]) -> bool:
        order = _ORDER.search(invoked[2])
        if order is not None and order[1] == _MANUAL_ORDER:
            return True
        is_near = self._manual_us is not None and time_us - self._manual_us <= _TOGETHER_US
        return is_near and invoked[1].startswith(_WORKERS)

    def _killed(self, time_us: int, match: re.Match[bytes]) -> OomKill:
        pid, name = int(match["pid"]), match["name"]
        # With many kills the kernel leaves out the lines before: those of another are not this one's.
        report, self._report = self._report, _Report()
        context = _Context(report.constraint)
        if report.context is not None:
            known = _context(report.context, pid, name)
            if known is None:
                report, context = _Report(), _Context()
            else:
                context = known
        if report.member is not None:
            task_group, oom_group = report.member
            context = context._replace(task_group=task_group, oom_group=oom_group)
        whole_us = self._last.whole_us
        if report == _Report() and whole_us is not None and time_us - whole_us <= _TOGETHER_US:
            # Those that die with the chosen one have no report of their own.
            report, context = self._last, self._last_context._replace(task_group=None)
        else:
            self._last, self._last_context = report, context
        is_group = context.oom_group is not None
        why = match["why"]
        if why is not None:
            is_group = why == _GROUP_WORDS
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
            context.constraint or _OLD_WORDS.get(why),
            context.oom_group,
            context.task_group,
            report.invoked_by,
            report.is_manual,
            context.nodes,
            why is not None and why.endswith(_ASKER_WORDS),
        )

    def _poison(self, time_us: int, match: re.Match[bytes]) -> Iterable[Poisoned]:
        frame, at = match["frame"], match["at"]
        found = Poisoned(
            time_us,
            int(match["pid"]),
            _text(match["name"]),
            match["what"] != b"Sending SIGBUS to",
            None if frame is None else int(frame, 16),
            None if at is None else int(at, 16),
        )
        before, self._poisoned = self._poisoned, found
        # One page is told by whoever finds it, and by the processor's own handler.
        if (
            before is not None
            and before.pid == found.pid
            and time_us - before.time_us <= _TOGETHER_US
            and (None in (before.page_frame, frame) or before.page_frame == found.page_frame)
            and before.is_killed >= found.is_killed
        ):
            return ()
        return (found,)


def deaths(records: Iterable[LogRecord]) -> list[Death]:
    """Every death in a log, in its order."""
    reader = DeathReader()
    return [*reader.read(records), *reader.read(())]


def _context(text: bytes, pid: int, name: bytes) -> _Context | None:
    """What the line says; None where it is another victim's.

    The groups' names may hold anything, so the line is cut at what is known of its victim.
    """
    match = _CONTEXT.fullmatch(text)
    end = text.rfind(b",task=%b,pid=%d,uid=" % (name, pid))
    if match is None or end < 0:
        return None
    constraint = _text(match[1])
    nodes = {POLICY: match[2], CPUSET: match[3]}.get(constraint)
    context = _Context(constraint, _text(nodes) if nodes and nodes != b"(null)" else None)
    start = text.find(b",oom_memcg=")
    if start < 0:
        at = text.find(b",task_memcg=")
        return context._replace(task_group=_text(text[at + 12 : end])) if 0 <= at < end else context
    groups = text[start + 11 : end]
    at = groups.find(b",task_memcg=")
    while at >= 0:
        full, own = groups[:at], groups[at + 12 :]
        # The victim's group is the full one or below it, whatever commas the names have.
        if own == full or own.startswith(full.rstrip(b"/") + b"/"):
            return context._replace(oom_group=_text(full), task_group=_text(own))
        at = groups.find(b",task_memcg=", at + 1)
    return context


def _number(digits: bytes | None) -> int | None:
    return None if digits is None else int(digits)


def _kilo(digits: bytes | None) -> int | None:
    return None if digits is None else int(digits) * 1024


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
