"""`memtui core FILE [EXE]`: whose core dump it is, why it died, and what of its memory is in it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any, Final

from memtui import units
from memtui.kernel.corefiles import CoreFiles
from memtui.kernel.coremaps import page_bytes_of
from memtui.kernel.files import Gap
from memtui.kernel.registers import Registers
from memtui.live.looker import read_map
from memtui.live.machine import machine_of
from memtui.model.crash.crash import Crash
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.labels import label
from memtui.model.map.leftout import LeftOut, left_out
from memtui.ondemand.core import crash_in, key_of
from memtui.reports.crash import crash_document, crash_lines
from memtui.reports.mappings import mapping_rows
from memtui.reports.output import (
    ROWS_AT_ONCE,
    Failure,
    Options,
    TextColumn,
    form_of,
    table,
)

_THREADS_SHOWN: Final = 50
_WIDTH: Final = 100


def run(files: CoreFiles, options: Options) -> Iterator[str]:
    """The command: the report of a dump that is `opened`."""
    found = read_map(files, key_of(files), "smaps").map
    if isinstance(found, Gap):
        raise Failure(f"{files.root}: {found}")
    question = crash_in(files)
    crash = None
    if question is not None:
        answer = question.answer(files, machine_of(files), lambda done, total: True)
        crash = answer if isinstance(answer, Crash) else None
    missing = list(left_out(found, files.dump.cut))
    if form_of(options) == "json":
        return _json(files, found, crash, missing)
    return _text(files, found, crash, missing)


def _gaps(files: CoreFiles, map_: AddressMap, missing: list[LeftOut]) -> list[Gap]:
    """What could not be understood, and which mapped files could not be looked into."""
    gaps = [*files.gaps]
    if files.dump.cut:
        gaps.append(
            Gap(files.root, "malformed", "the dump is cut off: memory at its end is missing")
        )
    paths = dict.fromkeys(map_.mappings.paths[each.row] for each in missing)
    found = (files.mapped(path) for path in paths if path.startswith("/"))
    return [*gaps, *(each for each in found if isinstance(each, Gap))]


# As JSON.


def _json(
    files: CoreFiles, map_: AddressMap, crash: Crash | None, missing: list[LeftOut]
) -> Iterator[str]:
    dump = files.dump
    death = dump.death
    program = dump.program
    head: dict[str, Any] = {
        "file": os.path.abspath(files.root),
        "name": program.name if program else None,
        "pid": dump.pid,
        "command": program.command if program else None,
        "uid": program.uid if program else None,
        "written": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(files.written_s)),
        "processor": dump.processor,
        "signal": death.siginfo.name if death and death.siginfo else None,
        "crash": None if crash is None else crash_document(crash),
        "threads": [
            {
                "tid": thread.tid,
                "signal": thread.signal or None,
                "registers": {name: f"{value:#x}" for name, value in registers.values.items()}
                if isinstance(registers := thread.registers, Registers)
                else None,
            }
            for thread in dump.threads
        ],
    }
    yield json.dumps(head)[:-1] + ', "mappings": [\n'
    rows = mapping_rows(map_)
    for first in range(0, len(rows), ROWS_AT_ONCE):
        yield (",\n" if first else "") + ",\n".join(rows[first : first + ROWS_AT_ONCE])
    totals = map_.totals
    tail = {
        "by_kind": {
            kind.name: {
                "mappings": sums.mappings,
                "size_bytes": sums.size,
                "dumped_bytes": sums.dumped,
            }
            for kind, sums in map_.by_kind.items()
        },
        "dumped": {
            "bytes": totals.dumped,
            "of_bytes": totals.size,
            "left_out": [_left_out_document(map_, each) for each in missing],
        },
        "gaps": list(map(str, _gaps(files, map_, missing))),
    }
    yield "\n], " + json.dumps(tail)[1:] + "\n"


def _left_out_document(map_: AddressMap, each: LeftOut) -> dict[str, Any]:
    return {
        "start": f"{each.start:#x}",
        "end": f"{each.end:#x}",
        "size_bytes": each.size_bytes,
        "path": map_.mappings.paths[each.row],
        "kind": map_.kind(each.row).name,
        "why": each.why,
    }


# As text.


def _text(
    files: CoreFiles, map_: AddressMap, crash: Crash | None, missing: list[LeftOut]
) -> Iterator[str]:
    yield from _who(files)
    if crash is not None:
        yield "\n" + "".join(f"{line}\n" for line in crash_lines(crash, _WIDTH))
    yield "\n"
    yield from _threads(files, map_)
    yield "\n"
    yield from _kinds(map_)
    if missing:
        yield "\n"
        yield from _missing(missing)
    yield from _not_read(_gaps(files, map_, missing))


def _not_read(gaps: list[Gap]) -> Iterator[str]:
    """A line for each reason: of many files, one is named."""
    by_reason: dict[str, list[str]] = {}
    for gap in gaps:
        by_reason.setdefault(gap.words, []).append(gap.source)
    for why, (first, *more) in by_reason.items():
        others = f" and {len(more)} more" if more else ""
        words = f"{first}{others}: {why}"
        yield f"\nnot read: {units.printable(words)}\n"


def _who(files: CoreFiles) -> Iterator[str]:
    dump = files.dump
    program, death = dump.program, dump.death
    name = units.printable(program.name) if program else "?"
    what = death.siginfo.name if death and death.siginfo else "taken by gcore while it lived"
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(files.written_s))
    yield f"{dump.pid} {name}: {what}, core dump written {when}\n"
    if program and program.command:
        user = f", user {program.uid}"
        yield f"command {units.printable(program.command)}{user}\n"
    size = units.size(page_bytes_of(dump))
    yield f"{dump.processor or 'a processor whose registers are not known'}, pages of {size}\n"


def _threads(files: CoreFiles, map_: AddressMap) -> Iterator[str]:
    threads = files.dump.threads
    shown = threads[:_THREADS_SHOWN]
    tables: list[tuple[str, str, str]] = []
    for thread in shown:
        registers = thread.registers
        if isinstance(registers, Registers):
            at, stack = registers.instruction_pointer, registers.stack_pointer
            tables.append((f"{at:012x}", f"{stack:012x}", _place(map_, at)))
        else:
            tables.append((units.UNKNOWN, units.UNKNOWN, registers.detail))
    yield from table(
        [
            TextColumn("THREAD", ">", [str(thread.tid) for thread in shown]),
            TextColumn("INSTRUCTION", "<", [at for at, _, _ in tables]),
            TextColumn("STACK", "<", [stack for _, stack, _ in tables]),
            TextColumn("IN", "<", [place for _, _, place in tables]),
        ]
    )
    if len(threads) > len(shown):
        yield f"and {units.count(len(threads) - len(shown))} more threads\n"


def _place(map_: AddressMap, address: int) -> str:
    """`libc.so.6+0x8bdf2`, where in a file; of what is none, what it is."""
    row, found = map_.row_at(address), map_.in_file(address)
    if row is None:
        return "nothing is mapped there"
    if found is None:
        return units.printable(map_.mappings.paths[row] or label(map_, row).words)
    return f"{units.printable(found[0].rpartition('/')[2])}+{found[1]:#x}"


def _kinds(map_: AddressMap) -> Iterator[str]:
    totals = map_.totals
    parts = [(kind.name, sums, kind.words) for kind, sums in map_.by_kind.items()]
    parts.append(("total", totals, ""))
    yield from table(
        [
            TextColumn("KIND", "<", [name for name, _, _ in parts]),
            TextColumn("COUNT", ">", [units.count(sums.mappings) for _, sums, _ in parts]),
            TextColumn("SIZE", ">", [units.size(sums.size) for _, sums, _ in parts]),
            TextColumn("IN DUMP", ">", [units.size(sums.dumped) for _, sums, _ in parts]),
            TextColumn(
                "",
                ">",
                [
                    units.percent(100 * (sums.dumped or 0) / sums.size if sums.size else None)
                    for _, sums, _ in parts
                ],
            ),
            TextColumn("", "<", [words for _, _, words in parts]),
        ]
    )


def _missing(missing: list[LeftOut]) -> Iterator[str]:
    reasons: dict[str, list[int]] = {}
    for each in missing:
        reasons.setdefault(each.why, []).append(each.size_bytes)
    ordered = sorted(reasons.items(), key=lambda item: -sum(item[1]))
    yield from table(
        [
            TextColumn("LEFT OUT", ">", [units.size(sum(sizes)) for _, sizes in ordered]),
            TextColumn("MAPPINGS", ">", [units.count(len(sizes)) for _, sizes in ordered]),
            TextColumn("WHY", "<", [why for why, _ in ordered]),
        ]
    )
