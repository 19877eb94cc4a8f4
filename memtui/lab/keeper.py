"""The process between memtui and an experiment's program: it makes what that needs, and takes it away.

Whatever ends memtui closes this one's input. Then the program and all of its descendants are killed,
and the swap, the directory and the control group are gone with it. It has a session of its own, so
that a terminal's Ctrl+C is not meant for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from memtui.kernel import ground
from memtui.kernel.process import parse_identity, parse_statm

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LOOKS_EVERY_MS: Final = 200
_TALKS: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from memtui.lab.{} import main; main()"
)
# What would have the program's malloc, or its start, differ from anybody else's.
_LEFT_OUT: Final = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "PYTHON")


class Wanted(NamedTuple):
    """What memtui asks the keeper for, as JSON. `group_parent`: the directory in which groups may be
    made, and those of killed keepers are; None: nowhere."""

    name: str
    has: list[str]
    needs: list[str]
    page_bytes: int
    at_most_bytes: int
    group_parent: str | None
    group_limit_bytes: int | None
    swap_bytes: int | None


def command(module: str, *arguments: str) -> list[str]:
    """Runs a module of the lab's with the standard library alone, whatever the environment says."""
    where = str(Path(__file__).parents[2])
    return [sys.executable, "-I", "-S", "-c", _TALKS.format(module), where, *arguments]


def main() -> None:
    """Its arguments: where memtui is, and what is Wanted."""
    wanted = Wanted(**json.loads(sys.argv[2]))
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    parent = Path(wanted.group_parent) if wanted.group_parent else None
    ground.sweep(parent)
    with ExitStack() as stack:
        try:
            has, directory, group = _make(stack, wanted, parent)
            program = _start(wanted, has, directory, group)
        except OSError as error:
            _say({"error": f"{error.filename or wanted.name}: {error.strerror}"})
            return
        stack.callback(_kill_all)  # before what it stands on is taken away
        _say(
            {"pid": program.pid, "directory": str(directory), "has": has, "group": str(group or "")}
        )
        _hand_through(program, 2 * wanted.at_most_bytes + (64 << 20))


def _leave(_number: int, _frame: object) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # it is on its way
    raise SystemExit


def _make(
    stack: ExitStack, wanted: Wanted, parent: Path | None
) -> tuple[list[str], Path, Path | None]:
    """The directory, the group and swap; what is only liked may fail. Raises OSError."""
    mark = ground.mark_of(os.getpid())
    group, has = None, list(wanted.has)
    if parent and wanted.group_limit_bytes and "cgroup v1" in has:
        swappiness = 100 if wanted.swap_bytes else 60
        with _may_fail(wanted, "cgroup v1", has):
            group = stack.enter_context(
                ground.own_group(parent, mark, wanted.group_limit_bytes, swappiness)
            )
    directory = stack.enter_context(ground.own_directory(mark))
    if wanted.swap_bytes and "swap" in has:
        with _may_fail(wanted, "swap", has):
            stack.enter_context(ground.own_swap(directory, wanted.swap_bytes, wanted.page_bytes))
    return has, directory, group


@contextlib.contextmanager
def _may_fail(wanted: Wanted, need: str, has: list[str]) -> Iterator[None]:
    """Without it where it is not needed. Raises OSError where it is."""
    try:
        yield
    except OSError:
        if need in wanted.needs:
            raise
        has.remove(need)


def _start(
    wanted: Wanted, has: list[str], directory: Path, group: Path | None
) -> subprocess.Popen[bytes]:
    keeper = os.getpid()

    def prepare() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:  # it died before that held
            os._exit(1)
        if group:
            (group / "cgroup.procs").write_text("0")
        resource.setrlimit(resource.RLIMIT_FSIZE, (wanted.at_most_bytes, wanted.at_most_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    stage = {"directory": str(directory), "page_bytes": wanted.page_bytes, "has": has}
    return subprocess.Popen(
        command("program", wanted.name, json.dumps(stage)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=directory,
        env={key: value for key, value in os.environ.items() if not key.startswith(_LEFT_OUT)},
        preexec_fn=prepare,
        process_group=0,
    )


def _hand_through(program: subprocess.Popen[bytes], at_most_bytes: int) -> None:
    """Lines to the program and back, until memtui is gone."""
    assert program.stdin and program.stdout
    memtui, to_program, from_program = os.getppid(), program.stdin.fileno(), program.stdout.fileno()
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(from_program, select.POLLIN)
    lives, works = True, False
    while os.getppid() == memtui:
        for descriptor, _ in poll.poll(_LOOKS_EVERY_MS):
            data = os.read(descriptor, 65_536)
            if descriptor == 0:
                if not data:
                    return
                with contextlib.suppress(BrokenPipeError):
                    os.write(to_program, data)
                works = True
            elif data:
                os.write(1, data)
                works = False
            else:
                poll.unregister(from_program)
        if works and _resident_bytes() > at_most_bytes:
            _kill_all()
            _say({"error": "it took more memory than it may, and was killed"})
        elif lives and program.poll() is not None:
            lives = False
            _say({"error": f"its process has ended, with status {program.returncode}"})


def _descendants() -> list[int]:
    """Those that live. Whose parent has ended is this one's child, which makes it a subreaper."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError, ValueError):
                stat = parse_identity(Path(f"/proc/{name}/stat").read_bytes())
                if not stat.has_ended:
                    parents[int(name)] = stat.ppid
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


def _resident_bytes() -> int:
    """Of them all, without what they share."""
    pages = 0
    for pid in _descendants():
        with contextlib.suppress(OSError, ValueError):
            statm = parse_statm(Path(f"/proc/{pid}/statm").read_bytes())
            pages += (statm.resident_pages or 0) - (statm.shared_pages or 0)
    return pages * os.sysconf("SC_PAGE_SIZE")


def _kill_all() -> None:
    """Ends all descendants, and waits for that."""
    while pids := _descendants():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _say(words: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(words).encode() + b"\n")
