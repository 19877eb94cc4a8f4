"""Which process somebody means by a pid or a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol, TypeVar

from memtui.kernel.files import Files, Gap
from memtui.kernel.process import parse_cmdline, parse_stat, parse_status, read_identity
from memtui.kernel.threads import living
from memtui.model.sample import ProcessSample

_PID_DIGITS = 10  # more than any pid has: a longer number is a name, if anything


class Target(NamedTuple):
    """Where the dashboard opens: on one process, on the list filtered to several, or on a page of a
    view, both by name."""

    pid: int | None = None
    filter: str = ""
    view: str = ""
    page: str = ""


class _Process(Protocol):
    """Anything with a pid and a comm."""

    @property
    def pid(self) -> int: ...
    @property
    def name(self) -> str: ...


P = TypeVar("P", bound=_Process)


def fits(text: str, pid: int, name: str) -> bool:
    """Whether a filter lets a process through: its name, in any case, or pid has it in it."""
    return text.casefold() in name.casefold() or text in str(pid)


def meant(text: str, processes: Iterable[P], commands: Mapping[int, str] = {}) -> list[P]:
    """The process with that pid, else those called exactly so, else those whose name has it in it,
    else those whose command line has, by pid in `commands`."""
    everyone = list(processes)
    part = text.casefold()
    return (
        [each for each in everyone if str(each.pid) == text]
        or [each for each in everyone if each.name == text]
        or [each for each in everyone if part in each.name.casefold()]
        or [each for each in everyone if part in commands.get(each.pid, "").casefold()]
    )


def largest_first(processes: Iterable[ProcessSample], text: str = "") -> list[ProcessSample]:
    """Those that a filter lets through, else all, by what of them is in memory."""
    ordered = sorted(processes, key=lambda each: -(each.rss_bytes or 0))
    return [each for each in ordered if fits(text, each.pid, each.name)] or ordered


class Named(NamedTuple):
    """A process that fits a name; `name` is its comm."""

    pid: int
    name: str


def find(files: Files, text: str) -> Target | None:
    """The process with that pid or the one with that name, several of a name as a filter.

    None: no such process.
    """
    pid = existing_pid(files, text)
    if pid is not None:
        return Target(pid, "")
    found = named(files, text)
    if len(found) > 1:
        # The list is filtered by comm: a name that only argv[0] has in full is cut to that.
        seen = any(text.casefold() in process.name.casefold() for process in found)
        return Target(None, text if seen else found[0].name)
    return Target(found[0].pid, "") if found else None


def existing_pid(files: Files, text: str) -> int | None:
    """The pid that `text` is, if there is such a process. A thread's id gives its process's pid."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _PID_DIGITS):
        return None
    pid = int(text)
    stat = files.read(f"proc/{pid}/stat")
    if isinstance(stat, Gap) and stat.reason == "gone":
        return None
    status = files.parsed(f"proc/{pid}/status", parse_status)
    group = None if isinstance(status, Gap) else status.get("Tgid")
    return group if isinstance(group, int) and group > 0 else pid


def named(files: Files, text: str) -> list[Named]:
    """Processes by name, in order of pid: those called exactly so, else those that contain it.

    The second way ignores case and looks at the program's file name too, since comm ends after 15
    bytes. memtui itself never fits.
    """
    if not text:
        return []
    own = files.parsed("proc/self/stat", parse_stat)
    own_pid = None if isinstance(own, Gap) else own.pid
    processes = []
    for pid in sorted(files.pids()):
        stat = read_identity(files, pid)
        if pid != own_pid and not isinstance(stat, Gap):
            processes.append(Named(pid, stat.comm))
    if same := [process for process in processes if process.name == text]:
        return same
    part = text.casefold()
    return [
        process
        for process in processes
        if part in process.name.casefold() or part in _program(files, process.pid).casefold()
    ]


def _program(files: Files, pid: int) -> str:
    """The file name in argv[0]; empty for kernel threads, zombies and the unreadable."""
    command = files.read(f"{living(files, pid)}/cmdline")
    if isinstance(command, Gap):
        return ""
    return parse_cmdline(command.partition(b"\0")[0]).rpartition("/")[2]
