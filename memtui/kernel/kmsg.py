"""The kernel's log, record by record.

Source: /dev/kmsg. Document: Documentation/ABI/testing/dev-kmsg. Since: 3.5. Permission: anyone where
kernel.dmesg_restrict is 0, else CAP_SYSLOG; containers mostly have none. Cost: 1 µs a record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from memtui.kernel.files import Files, Gap, Malformed
from memtui.kernel.values import read_number

SOURCE: Final = "dev/kmsg"
KERNEL_FACILITY: Final = 0
RECORDS_AT_ONCE: Final = 50_000

_HEAD: Final = re.compile(rb"(\d{1,10}),(\d{1,20}),(\d{1,20}),([^,;]{0,32})((?:,[^;]*)?)")
_CALLER: Final = re.compile(rb",caller=([TC]\d{1,10})(?=,|$)")
_ESCAPE: Final = re.compile(rb"\\x([0-9a-f]{2})")
_RECORD_START: Final = re.compile(rb"^(?=\d)", re.MULTILINE)


class LogRecord(NamedTuple):
    """One record. `time_us` counts from boot, without the time in suspend.

    `facility` is 0 only for what the kernel itself said: programs that write to the log get another.
    `level` is 0 (emergency) to 7 (debug). `message` is as the kernel meant it, escapes undone, and
    may hold other people's text. `flags` is `-`, or `c` and `+` for a piece of a line (`WholeLines`).
    `caller` is the thread or processor that said it, where the kernel tells (CONFIG_PRINTK_CALLER).
    """

    facility: int
    level: int
    sequence: int
    time_us: int
    flags: str
    message: bytes
    fields: Mapping[str, str]
    caller: str = ""


class LogPart(NamedTuple):
    """What was new in the log, line by line. `lost`: older ones had been overwritten before they were
    read."""

    records: list[LogRecord]
    lost: bool


def parse_kmsg_record(data: bytes) -> LogRecord:
    """`PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;MESSAGE` and ` KEY=VALUE` lines. Raises Malformed."""
    first, *rest = data.removesuffix(b"\n").split(b"\n")
    # The message may have semicolons, and fields that later kernels add have none.
    head, semicolon, message = first.partition(b";")
    match = _HEAD.fullmatch(head)
    if not match or not semicolon:
        raise Malformed(repr(data[:60].decode("ascii", "backslashreplace")))
    priority = int(match[1])
    fields = {}
    for line in rest:
        if line.startswith(b" "):
            key, _, value = line[1:].partition(b"=")
            fields[_text(key)] = _text(_unescaped(value))
    return LogRecord(
        priority >> 3,
        priority & 7,
        int(match[2]),
        int(match[3]),
        _text(match[4]),
        _unescaped(message),
        fields,
        _text(caller[1]) if (caller := _CALLER.search(match[5])) else "",
    )


def parse_kmsg(data: bytes) -> list[LogRecord]:
    """A saved log: records one after the other; what is none is left out."""
    records = []
    for piece in _RECORD_START.split(data):
        try:
            records.append(parse_kmsg_record(piece))
        except Malformed:
            continue
    return records


class WholeLines:
    """Puts lines together that are longer than a record, some 1,000 bytes: paths of groups make such.

    A piece with the flag `c` continues what its caller said last, with others' records between them
    perhaps. Before 4.10 `c` is the first piece, and those that continue it have `+`.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[int, str], LogRecord] = {}

    def of(self, records: list[LogRecord]) -> list[LogRecord]:
        """The records with each line in the first one's place. A line whose beginning was in the
        records before comes again, whole."""
        lines: list[LogRecord] = []
        last: dict[tuple[int, str], int] = {}
        for number, record in enumerate(records):
            by = (record.facility, record.caller)
            if _continues(record, records[number + 1 : number + 2]):
                at = last.get(by)
                before = self._last.get(by) if at is None else lines[at]
                if before is not None:
                    record = before._replace(message=before.message + record.message)
                if at is not None:
                    lines[at] = record
                    continue
            last[by] = len(lines)
            lines.append(record)
        if lines:
            self._last = {by: lines[at] for by, at in last.items()}
        return lines


def _continues(record: LogRecord, following: list[LogRecord]) -> bool:
    if record.flags == "c":
        return not any(each.flags == "+" for each in following)
    return record.flags == "+"


def _unescaped(text: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), text)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


class KernelLog:
    """The log, read on from where the last reading ended; the first gives all there is.

    A captured machine may have it as a plain file. Never waits.
    """

    def __init__(self, files: Files, *, only_new: bool = False) -> None:
        """`only_new`: what was logged before is left out."""
        self._files = files
        self._log = files.records(SOURCE, only_new=only_new)
        self._lines = WholeLines()

    def read(self, at_most: int = RECORDS_AT_ONCE) -> LogPart | Gap:
        """What came since; a Gap where the log may not be read, with the reason in words."""
        found = self._log if isinstance(self._log, Gap) else self._log.read(at_most)
        if isinstance(found, Gap):
            return self._explained(found)
        pieces, lost = found
        records = [record for piece in pieces for record in parse_kmsg(piece)]
        return LogPart(self._lines.of(records), lost)

    def close(self) -> None:
        if not isinstance(self._log, Gap):
            self._log.close()
            self._log = Gap(SOURCE, "gone", "closed")

    def _explained(self, gap: Gap) -> Gap:
        if gap.reason == "denied":
            restricted = read_number(self._files, "proc/sys/kernel/dmesg_restrict")
            if restricted:
                return gap._replace(
                    detail="kernel.dmesg_restrict is 1: root and holders of CAP_SYSLOG may"
                )
            return gap._replace(detail="root may, and holders of CAP_SYSLOG")
        if gap.reason == "absent" and not gap.detail:
            return gap._replace(
                detail="this machine, or this container, shows no log of its kernel"
            )
        return gap


def read_log(files: Files) -> LogPart | Gap:
    """All that the log still has."""
    log = KernelLog(files)
    try:
        return log.read()
    finally:
        log.close()
