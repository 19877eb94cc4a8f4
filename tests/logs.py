"""Records of the kernel's log, made by hand."""

from __future__ import annotations

import os
import stat

import pytest

from memtui.kernel.deaths import OomKill, deaths
from memtui.kernel.kmsg import (
    LogRecord,
    WholeLines,
    parse_kmsg,
)

KILLED = (
    "Memory cgroup out of memory: Killed process {} ({}) total-vm:9000kB, anon-rss:1kB, file-rss:0kB, "
    "shmem-rss:0kB, UID:0 pgtables:8kB oom_score_adj:0"
)


def said(*lines: str | bytes, facility: int = 0) -> list[LogRecord]:
    """Records of these messages, a millisecond apart."""
    return [
        LogRecord(
            facility,
            4,
            number,
            number * 1000,
            "-",
            line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line,
            {},
        )
        for number, line in enumerate(lines, 1)
    ]


def pieces(*records: str) -> list[LogRecord]:
    """What a log of these records says, line by line."""
    numbered = (f"4,{number},{number}000,{each}" for number, each in enumerate(records, 1))
    return WholeLines().of(parse_kmsg("\n".join(numbered).encode()))


def only_kill(*lines: str | bytes) -> OomKill:
    (found,) = deaths(said(*lines))
    assert isinstance(found, OomKill)
    return found


def needs_log() -> None:
    try:
        is_log = stat.S_ISCHR(os.stat("/dev/kmsg").st_mode)
    except OSError:
        is_log = False
    if os.geteuid() != 0 or not is_log:
        pytest.skip("needs root and /dev/kmsg")
