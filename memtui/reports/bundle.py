"""`memtui report FILE`: all that a bug report wants to know of a machine, in one file."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from memtui import __version__, units
from memtui.defects import defect
from memtui.kernel.deaths import deaths
from memtui.kernel.files import Files, Gap
from memtui.kernel.kmsg import read_log
from memtui.kernel.process import parse_cmdline, parse_identity, parse_statm
from memtui.kernel.uptime import since_boot_s
from memtui.live.machine import machine_of
from memtui.model.keys import ProcessKey
from memtui.ondemand.questions import first_readable
from memtui.reports import cgroups, mappings, memory, oom, owners, pressure, processes, zones
from memtui.reports.output import (
    NOT_PERMITTED,
    USAGE,
    Failure,
    Form,
    Options,
    document,
    form_of,
    one_process,
)

_WORDS: Final = re.compile(r"(?<!^)(?=[A-Z])")


class _Part(NamedTuple):
    """One report of the file. `pieces` raises Failure where it is not to be had."""

    name: str
    words: str
    pieces: Callable[[Files, Form], Iterator[str]]


_PARTS: Final = (
    _Part("free", "the figures of free(1)", memory.free),
    _Part("pressure", "stalls, watermarks and the verdict", pressure.pressure),
    _Part("zones", "memory zones and fragmentation", zones.zones),
    _Part("processes", "every process by memory", processes.procs),
    _Part("oom", "whom the kernel would kill, and the policy", oom.oom),
    _Part("cgroups", "memory cgroups and their limits", cgroups.cgroups),
    _Part("owners", "who holds shared memory", owners.owners),
)


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui report FILE [PID]`."""
    if not options.arguments:
        raise Failure("report needs a FILE: memtui report --help", USAGE)
    process = options.arguments[1] if len(options.arguments) > 1 else None
    path = options.arguments[0]
    form: Form = "json" if path.casefold().endswith(".json") else form_of(options)
    return report(files, path, form, process, commands=not options.no_commands)


def report(
    files: Files, path: str, form: Form, process: str | None = None, *, commands: bool = True
) -> Iterator[str]:
    """Writes the file, which must not be there yet, as text or JSON; says what is in it.

    The map is that of a process by pid or name, else of the largest that may be read. A part that is
    not to be had says why in its place. Without `commands` no command line is in it. Only this user
    may read the file. Fails where it cannot be written, and then leaves none.
    """
    pid = _largest(files) if process is None else one_process(files, process)
    parts = [*_PARTS, _Part("events", "who was killed or died, by the kernel's log", _events)]
    parts.append(_Part("map", "one process's mappings with their labels", _map_of(pid)))
    if commands and form == "text":
        parts.insert(4, _Part("commands", "every process's command line", _commands))
    missing: list[str] = []
    try:
        file = open(path, "x", encoding="utf-8", errors="backslashreplace", opener=_for_this_user)  # noqa: SIM115
    except FileExistsError:
        raise Failure(f"{path} exists, and is not written over: choose another name") from None
    except OSError as error:
        status = NOT_PERMITTED if isinstance(error, PermissionError) else 1
        raise Failure(f"{path}: {error.strerror}", status) from None
    except ValueError:
        raise Failure(f"{path!r} is no name for a file") from None
    try:
        with file:
            file.writelines(_written(files, form, parts, missing, commands=commands))
            length = file.tell()
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        if isinstance(error, OSError):
            raise Failure(f"{path}: {error.strerror}") from None
        raise
    there = [part.name for part in parts if part.name not in missing]
    yield f"{path}: {units.size(length)}: {', '.join(there)}\n"
    if missing:
        yield f"not to be had, and why is in it: {', '.join(missing)}\n"


def _for_this_user(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _written(
    files: Files, form: Form, parts: list[_Part], missing: list[str], *, commands: bool
) -> Iterator[str]:
    head = _head(files)
    if form == "json":
        yield "{" + json.dumps(head)[1:-1]
        for part in parts:
            text = _of(part, files, form, missing)
            if part.name == "processes" and not commands and part.name not in missing:
                rows = json.loads(text)
                text = json.dumps([{**row, "command": None} for row in rows])
            yield f',\n"{part.name}": {text.strip()}'
        yield "\n}\n"
        return
    for key, value in head.items():
        yield f"{key}: {units.printable(str(value))}\n"
    for part in parts:
        yield f"\n== {part.name}: {part.words}\n\n"
        yield _of(part, files, form, missing)


def _of(part: _Part, files: Files, form: Form, missing: list[str]) -> str:
    """The whole of a part, or why there is none: an object with a `failed` in JSON."""
    try:
        return "".join(part.pieces(files, form))
    except Failure as failure:
        why = str(failure)
    except Exception as error:
        why = defect(error)
    missing.append(part.name)
    return (
        document({"failed": why}) if form == "json" else f"not to be had: {units.printable(why)}\n"
    )


def _head(files: Files) -> dict[str, Any]:
    machine = machine_of(files)
    return {
        "memtui": __version__,
        "taken": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine.name,
        "release": machine.release,
        "architecture": machine.architecture,
        "page_bytes": machine.page_bytes,
        "uptime_s": round(since_boot_s()) if files.is_live else None,
        "root": files.root,
        "sight": machine.sight,
    }


def _largest(files: Files) -> int | None:
    """The process with the most in memory of those whose map may be read."""
    sizes = []
    for pid in files.pids():
        statm = files.parsed(f"proc/{pid}/statm", parse_statm)
        if not isinstance(statm, Gap) and statm.resident_pages:
            sizes.append((-statm.resident_pages, ProcessKey(pid, 0)))
    key = first_readable(files, [key for _, key in sorted(sizes)])
    return None if key is None else key.pid


def _map_of(pid: int | None) -> Callable[[Files, Form], Iterator[str]]:
    def pieces(files: Files, form: Form) -> Iterator[str]:
        if pid is None:
            raise Failure("no process's map may be read")
        yield from mappings.maps(files, str(pid), form)

    return pieces


def _commands(files: Files, _form: Form) -> Iterator[str]:
    for pid in sorted(files.pids()):
        command = files.parsed(f"proc/{pid}/cmdline", parse_cmdline)
        stat = files.parsed(f"proc/{pid}/stat", parse_identity)
        if not isinstance(command, Gap) and not isinstance(stat, Gap) and command:
            yield f"{pid} {units.printable(stat.comm)}: {units.printable(command)}\n"


def _events(files: Files, form: Form) -> Iterator[str]:
    """Deaths that the kernel's log tells of, with all that it says of each."""
    log = read_log(files)
    if isinstance(log, Gap):
        raise Failure(f"the kernel's log: {log}")
    rows = []
    for death in deaths(log.records):
        told = death._asdict()
        what = _WORDS.sub("_", type(death).__name__).lower()
        rows.append({"what": what, "time_s": told.pop("time_us") / 1e6, **told})
    if form == "json":
        yield document(rows)
        return
    if not rows:
        yield "nobody, as far back as it goes\n"
    for row in rows:
        when = units.duration(row.pop("time_s"))
        said = [_told(key, value) for key, value in row.items() if value not in (None, False)]
        yield units.printable(f"{when} after boot: {', '.join(said)}") + "\n"


def _told(key: str, value: Any) -> str:
    """One thing that is said of a death: `pid 42`, `anon_rss 12.0 MiB`, `is_group`."""
    if key == "what":
        return str(value)
    if value is True:
        return key
    if key.endswith("_bytes"):
        return f"{key.removesuffix('_bytes')} {units.size(value)}"
    is_address = key in ("address", "instruction", "stack_pointer", "file_start", "file_offset")
    return f"{key} {value:#x}" if is_address else f"{key} {value}"
