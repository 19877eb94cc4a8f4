"""What holds for the machine below a root as long as memtui looks at it."""

from __future__ import annotations

import math
import os
import re
import struct
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from memtui.kernel.files import Files, Gap
from memtui.kernel.hidden import FOREIGN, Hidden, is_own_proc, read_hidden
from memtui.kernel.process import parse_statm, parse_status, status_bytes
from memtui.kernel.uptime import since_boot_s
from memtui.model.machine import Machine, Numbers

_CAP_SYS_PTRACE: Final = 19
_AT_PAGESZ: Final = 6  # of the auxiliary vector
_PAGES: Final = frozenset(1 << bits for bits in range(12, 19))  # of all of Linux's architectures
_SIGNS: Final = 12  # that are enough to agree
_FIRST_MAPPING: Final = 4096  # bytes of smaps that hold its first, which is of no huge pages
_KERNEL_PAGE: Final = re.compile(rb"\nKernelPageSize:\s+(\d{1,7}) kB\n")


def machine_of(files: Files) -> Machine:
    """The machine below the root. Of a captured one the name, the release and the pages are known."""
    from memtui.live.users import KnownUsers  # and its thread, which no report needs

    here = files.is_live
    hidden = read_hidden(files)
    no_acting = _no_acting(files)
    return Machine(
        name=_value(files, "proc/sys/kernel/hostname") or (os.uname().nodename if here else "?"),
        page_bytes=page_bytes_of(files),
        booted_s=time.time() - since_boot_s(),
        ticks_per_s=os.sysconf("SC_CLK_TCK") if here else None,
        architecture=os.uname().machine if here else "",
        release=_value(files, "proc/sys/kernel/osrelease") or (os.uname().release if here else ""),
        users=KnownUsers() if files.has_our_users else Numbers(),
        sight=_sight(files, hidden),
        no_acting=no_acting,
        hidden=hidden,
        own_pid=None if no_acting else os.getpid(),
    )


def page_bytes_of(files: Files) -> int:
    """Bytes a page of the machine below the root: a captured one may differ from this one.

    What most of the processes agree on that tell at all: some kernels lie (WSL1's VmSize is 0), and
    some captures have been mended by hand.
    """
    here = os.sysconf("SC_PAGE_SIZE")
    if files.is_live:
        return here
    if files.page_bytes is not None:
        return files.page_bytes
    votes: Counter[int] = Counter()
    for pid in files.pids():
        votes.update(size for size in _page_signs(files, f"proc/{pid}") if size in _PAGES)
        if votes.total() >= _SIGNS:
            break
    return votes.most_common(1)[0][0] if votes else here


def _page_signs(files: Files, process: str) -> Iterator[int]:
    """What one process says of the size of a page, in up to three ways."""
    auxv = files.read(f"{process}/auxv")
    if not isinstance(auxv, Gap):
        yield from (
            value
            for key, value in struct.iter_unpack("=QQ", auxv[: len(auxv) // 16 * 16])
            if key == _AT_PAGESZ
        )
    smaps = files.read_at(f"{process}/smaps", 0, _FIRST_MAPPING)
    if not isinstance(smaps, Gap) and (kib := _KERNEL_PAGE.search(smaps)):
        yield int(kib[1]) * 1024
    status = files.read(f"{process}/status")
    statm = files.parsed(f"{process}/statm", parse_statm)
    size = None if isinstance(status, Gap) else status_bytes(status, b"VmSize")
    if size and not isinstance(statm, Gap) and statm.size_pages:
        yield 1 << max(0, round(math.log2(size / statm.size_pages)))


def _no_acting(files: Files) -> str:
    """Why no process of it can be signalled from here; "" where they can."""
    if not files.is_live:
        return "this is no running machine"
    return "" if is_own_proc(files.read("proc/self/status"), os.getpid()) else FOREIGN


def _sight(files: Files, hidden: Hidden | None) -> str:
    """In words, whose address spaces this user may read."""
    if not files.is_live:
        return "captured machine"
    status = files.parsed("proc/self/status", parse_status)
    effective = 0 if isinstance(status, Gap) else int(str(status.get("CapEff", "0")), 16)
    reads_all = effective >> _CAP_SYS_PTRACE & 1
    if hidden is None:
        return "maps of all processes" if reads_all else "maps of own processes"
    return f"maps of {'all that are seen' if reads_all else 'own processes'}, {hidden.short}"


def _value(files: Files, name: str) -> str:
    data = files.read(name)
    return "" if isinstance(data, Gap) else data.decode("utf-8", "surrogateescape").strip()
