"""One process: who it is, what it holds, how the OOM killer sees it.

Source: /proc/PID/{stat,statm,status,oom_score,oom_score_adj,cmdline}. Document:
Documentation/filesystems/proc.rst, proc(5). Since: always; RssAnon, RssFile and RssShmem 4.5.
Permission: anyone (hidepid apart); addresses in stat need ptrace access and are 0 or 1 without.
Cost of 1,000 kept open: statm 1.3 ms, oom_score 1 ms, stat 4 ms, status 9 ms.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from memtui.kernel.files import Files, Gap, Malformed
from memtui.kernel.values import BELOW_ZERO, number, part, signed

PF_KTHREAD: Final = 0x0020_0000
_KTHREADD: Final = 2
_PAGES: Final = BELOW_ZERO >> 12  # of the smallest size there is: nobody has as many
_USUAL_STATM: Final = 128  # bytes; a longer one may hold a number that Python does not convert


class Stat(NamedTuple):
    """/proc/PID/stat, fields as proc(5) names them; times in clock ticks, rss in pages.

    Fields that an old kernel does not write are None, and counters and sizes whose number cannot be;
    those that a newer one adds are in `extra`.
    `comm` is as the kernel has it: at most 15 bytes, blanks, parentheses and newlines included.
    """

    pid: int
    comm: str
    state: str
    ppid: int | None = None
    pgrp: int | None = None
    session: int | None = None
    tty_nr: int | None = None
    tpgid: int | None = None
    flags: int | None = None
    minflt: int | None = None
    cminflt: int | None = None
    majflt: int | None = None
    cmajflt: int | None = None
    utime: int | None = None
    stime: int | None = None
    cutime: int | None = None
    cstime: int | None = None
    priority: int | None = None
    nice: int | None = None
    num_threads: int | None = None
    itrealvalue: int | None = None
    starttime: int | None = None
    vsize: int | None = None
    rss: int | None = None
    rsslim: int | None = None
    startcode: int | None = None
    endcode: int | None = None
    startstack: int | None = None
    kstkesp: int | None = None
    kstkeip: int | None = None
    signal: int | None = None
    blocked: int | None = None
    sigignore: int | None = None
    sigcatch: int | None = None
    wchan: int | None = None
    nswap: int | None = None
    cnswap: int | None = None
    exit_signal: int | None = None
    processor: int | None = None
    rt_priority: int | None = None
    policy: int | None = None
    delayacct_blkio_ticks: int | None = None
    guest_time: int | None = None
    cguest_time: int | None = None
    start_data: int | None = None
    end_data: int | None = None
    start_brk: int | None = None
    arg_start: int | None = None
    arg_end: int | None = None
    env_start: int | None = None
    env_end: int | None = None
    exit_code: int | None = None
    extra: tuple[int, ...] = ()

    @property
    def is_kernel_thread(self) -> bool:
        return bool((self.flags or 0) & PF_KTHREAD)


class Identity(NamedTuple):
    """The fields of stat that tell who a process is and how it fares; see `Stat`.

    Where there is only a status, faults are None and `starttime` is 0: not known.
    """

    comm: str
    state: str
    ppid: int
    flags: int
    minflt: int | None
    majflt: int | None
    num_threads: int
    starttime: int

    @property
    def is_kernel_thread(self) -> bool:
        return bool(self.flags & PF_KTHREAD)

    @property
    def has_ended(self) -> bool:
        """A zombie, or about to be none any more: it has no memory."""
        return self.state in ("Z", "X")

    @property
    def has_lost_its_leader(self) -> bool:
        """Whether its first thread has ended, and with it what /proc/PID tells, while others live."""
        return self.has_ended and self.num_threads > 1


_IDENTITY: Final = (1, 6, 7, 9, 17, 19)  # after the name
_STAT_NUMBERS: Final = len(Stat._fields) - 4  # all but pid, comm, state and extra
_LARGEST: Final = 1 << 64  # of anything: addresses, masks and limits go up to it


def parse_stat(data: bytes) -> Stat:
    """The one record of stat. Raises Malformed."""
    # "7 (a) S (b) R 1 2": a name may hold anything, the last parenthesis ends it.
    begin, end = data.find(b" ("), data.rfind(b") ")
    try:
        if begin < 0 or end < begin:
            raise ValueError
        words = data[end + 2 :].split()
        numbers = list(map(_in_64_bits, words[1:]))
        missing = [None] * (_STAT_NUMBERS - len(numbers))
        stat = Stat._make(
            (
                _in_64_bits(data[:begin]),
                data[begin + 2 : end].decode("utf-8", "surrogateescape"),
                words[0].decode("ascii"),
                *numbers[:_STAT_NUMBERS],
                *missing,
                tuple(numbers[_STAT_NUMBERS:]),
            )
        )
        return stat._replace(
            minflt=_possible(stat.minflt),
            cminflt=_possible(stat.cminflt),
            majflt=_possible(stat.majflt),
            cmajflt=_possible(stat.cmajflt),
            vsize=_possible(stat.vsize),
            rss=_possible(stat.rss),
        )
    except (ValueError, IndexError):
        raise Malformed(repr(data[:60].decode("ascii", "backslashreplace"))) from None


def parse_identity(data: bytes) -> Identity:
    """The head of stat, in a fifth of the time that all of it takes. Raises Malformed."""
    begin, end = data.find(b" ("), data.rfind(b") ")
    words = data[end + 2 :].split(None, 20)
    try:
        if begin < 0 or end < begin:
            raise ValueError
        numbers = [int(words[at]) for at in _IDENTITY]
        if max(numbers) >= _LARGEST:
            raise ValueError
        parent, flags, minor, major, threads, started = numbers
        return Identity(
            data[begin + 2 : end].decode("utf-8", "surrogateescape"),
            words[0].decode("ascii"),
            parent,
            flags,
            _possible(minor),
            _possible(major),
            threads,
            started,
        )
    except (ValueError, IndexError):
        raise Malformed(repr(data[:60].decode("ascii", "backslashreplace"))) from None


def identity_of_status(status: bytes) -> Identity:
    """The same from status, which captures may have alone. Raises Malformed."""
    values = parse_status(status)
    pid, parent = values.get("Pid"), values.get("PPid", 0)
    state, threads = str(values.get("State", ""))[:1], values.get("Threads", 1)
    if not (isinstance(pid, int) and isinstance(parent, int) and isinstance(threads, int)):
        raise Malformed("no Pid, PPid or Threads in status")
    # Before 6.8 it does not say so; kernel threads are kthreadd and its children.
    is_kernel = values.get("Kthread") == 1 or (
        "VmSize" not in values and _KTHREADD in (pid, parent)
    )
    name = str(values["Name"]).replace("\\n", "\n").replace("\\\\", "\\")
    flags = PF_KTHREAD if is_kernel and state not in "ZX" else 0
    return Identity(name, state, parent, flags, None, None, threads, 0)


def read_identity(files: Files, pid: int) -> Identity | Gap:
    """Who a process is: by its stat, and in a capture that has none by its status."""
    found = files.parsed(f"proc/{pid}/stat", parse_identity)
    if isinstance(found, Gap) and found.reason == "absent":
        status = files.parsed(f"proc/{pid}/status", identity_of_status)
        return found if isinstance(status, Gap) else status
    return found


class Statm(NamedTuple):
    """/proc/PID/statm, in pages. `text`, `lib` and `dt` are constant 0 or useless since 2.6.

    None where what is said cannot be: shared has been 2^64 − 1.
    """

    size_pages: int | None
    resident_pages: int | None
    shared_pages: int | None
    text_pages: int | None
    lib_pages: int | None
    data_pages: int | None
    dt_pages: int | None


def parse_statm(data: bytes) -> Statm:
    """The one record of statm. Raises Malformed."""
    words = data.split()
    if len(words) != len(Statm._fields) or not b"".join(words).isdigit():
        raise Malformed(repr(data[:60].decode("ascii", "backslashreplace")))
    if len(data) < _USUAL_STATM and max(numbers := list(map(int, words))) < _PAGES:
        statm = Statm._make(numbers)
    else:
        statm = Statm._make(
            pages if (pages := number(word)) is not None and pages < _PAGES else None
            for word in words
        )
    shared = part(statm.shared_pages, statm.resident_pages)
    return statm if shared == statm.shared_pages else statm._replace(shared_pages=shared)


def _possible(value: int | None) -> int | None:
    # Other fields may be negative, or an address, a mask, "unlimited" (2^64 − 1).
    return value if value is not None and 0 <= value < BELOW_ZERO else None


def _in_64_bits(digits: bytes) -> int:
    """Raises ValueError."""
    value = int(digits)
    if not -_LARGEST < value < _LARGEST:
        raise ValueError
    return value


class Extent(NamedTuple):
    """How large a process is, and what of that is in memory; in bytes. None: not told, or impossible."""

    size_bytes: int | None
    rss_bytes: int | None
    shared_bytes: int | None


def parse_extent(data: bytes, page_bytes: int) -> Extent:
    """Of a statm, or of a status that stands for one: a capture may have that alone. Raises Malformed."""
    if not data.startswith(b"Name:"):
        statm = parse_statm(data)
        pages = (statm.size_pages, statm.resident_pages, statm.shared_pages)
        return Extent(*(None if count is None else count * page_bytes for count in pages))
    sizes = status_sizes(data)
    shared = None
    if sizes.rss_file is not None and sizes.rss_shmem is not None:
        shared = sizes.rss_file + sizes.rss_shmem
    # Kernel threads and zombies have no such lines, and statm says 0.
    return Extent(status_bytes(data, b"VmSize") or 0, sizes.rss or 0, shared)


_STATUS_SIZE = re.compile(rb"\s*(-?\d+) kB\s*")
_STATUS_KEY = re.compile(rb"[\w.-]+")
_DIGITS: Final = 20  # of a number; more is a text


def status_value(data: bytes, key: bytes) -> bytes | None:
    """One key of status without parsing the sixty others, blanks stripped; None where it is not."""
    start = data.find(b"\n" + key + b":")
    if start < 0:
        return None
    start += len(key) + 2
    end = data.find(b"\n", start)
    return data[start : end if end >= 0 else len(data)].strip()


def status_bytes(status: bytes, key: bytes) -> int | None:
    """A size of status in bytes; None where it has none, or no size."""
    value = status_value(status, key)
    return number(value[:-3], 1024) if value and value.endswith(b" kB") else None


class Sizes(NamedTuple):
    """What status tells of a process's memory, in bytes; None where it does not."""

    peak_rss: int | None
    rss: int | None
    rss_anon: int | None
    rss_file: int | None
    rss_shmem: int | None
    page_tables: int | None
    swap: int | None
    hugetlb: int | None


_SIZE_KEYS: Final = (
    *(b"VmHWM", b"VmRSS", b"RssAnon", b"RssFile", b"RssShmem", b"VmPTE", b"VmSwap"),
    b"HugetlbPages",
)
# As every kernel since 4.5 writes them, if it has hugetlb; one before 4.10 has VmPMD after VmPTE.
_SIZES = re.compile(
    rb"\nVmHWM:\s+(\d+) kB\nVmRSS:\s+(\d+) kB\nRssAnon:\s+(\d+) kB\nRssFile:\s+(\d+) kB\n"
    rb"RssShmem:\s+(\d+) kB\n(?:Vm(?:Data|Stk|Exe|Lib):\s+\d+ kB\n)*VmPTE:\s+(\d+) kB\n"
    rb"(?:VmPMD:\s+\d+ kB\n)?VmSwap:\s+(\d+) kB\n"
    rb"(?:HugetlbPages:\s+(\d+) kB\n)?"
)


def status_sizes(status: bytes) -> Sizes:
    """The sizes that processes are compared by, in a tenth of the time that a search for each takes."""
    found = _SIZES.search(status)
    if found is None:  # a kernel thread, a zombie, another kernel
        sizes = Sizes._make(status_bytes(status, key) for key in _SIZE_KEYS)
    else:
        sizes = Sizes._make([number(size, 1024) for size in found.groups()])
    rss = sizes.rss
    if rss is None or max(sizes.rss_anon or 0, sizes.rss_file or 0, sizes.rss_shmem or 0) <= rss:
        return sizes
    return sizes._replace(
        rss_anon=part(sizes.rss_anon, rss),
        rss_file=part(sizes.rss_file, rss),
        rss_shmem=part(sizes.rss_shmem, rss),
    )


def status_name(status: bytes) -> str | None:
    """The name in status; None where it has an escape in it, and only stat tells it as it is."""
    name = status[6 : status.find(b"\n")]
    if not status.startswith(b"Name:\t") or b"\\" in name:
        return None
    return name.decode("utf-8", "surrogateescape")


def parse_status(data: bytes) -> dict[str, int | str]:
    """Every key verbatim: kB as bytes, single decimal numbers as int, anything else as text.

    A size whose number cannot be is not there. Raises Malformed where a Vm or Rss line is no size in
    kB, or there is no `Name:`.
    """
    values: dict[str, int | str] = {}
    for line in data.split(b"\n"):
        key, colon, rest = line.partition(b":")
        if not colon or not _STATUS_KEY.fullmatch(key):
            continue
        name = key.decode("ascii", "surrogateescape")
        if name == "Name":
            # The kernel escapes newline and backslash here; a blank at the end belongs to it.
            values[name] = rest.removeprefix(b"\t").decode("utf-8", "surrogateescape")
        elif match := _STATUS_SIZE.fullmatch(rest):
            value = number(match[1], 1024)
            if value is not None:
                values[name] = value
        elif name.startswith(("Vm", "Rss")):
            raise Malformed(repr(line[:60].decode("ascii", "backslashreplace")))
        else:
            text = rest.strip().decode("utf-8", "surrogateescape")
            # Masks ("0000000000000000") and lists stay text: they are no decimal numbers.
            is_number = text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0")
            values[name] = int(text) if is_number and len(text) <= _DIGITS else text
    if "Name" not in values:
        raise Malformed(repr(data[:60].decode("ascii", "backslashreplace")))
    return values


def parse_int(data: bytes) -> int:
    """A file of one number: oom_score, oom_score_adj. Raises Malformed."""
    value = signed(data)
    if value is None:
        raise Malformed(repr(data[:60].decode("ascii", "backslashreplace")))
    return value


def parse_cmdline(data: bytes) -> str:
    """Arguments with blanks between; empty for kernel threads and zombies."""
    return data.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "surrogateescape")
