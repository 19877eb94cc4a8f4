"""The threads of a process: their names, their stack pointers, and which of them tells of its memory.

Source: /proc/PID/task/TID/{comm,stat,syscall}. Document: proc_pid_syscall(5). Since: syscall 2.6.27,
on architectures with CONFIG_HAVE_ARCH_TRACEHOOK. Permission: comm anyone; syscall ptrace attach
access, and mode 0400. Cost of 1,000 threads: 18 ms, half of it for syscall.

The kernel tells the stack pointer of a thread that waits; of one that runs it says just that.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from memtui.kernel.files import Files, Gap, Malformed
from memtui.kernel.process import Identity, parse_identity

_LOOKED_AT: Final = 64  # threads that may have ended too, while a debugger holds them

_DIGITS: Final = 20


class Thread(NamedTuple):
    """A thread. `stack_pointer` is an address; None: it runs, may not be asked, or has ended.

    `name` is as the kernel has it: at most 15 bytes, newlines included.
    """

    tid: int
    name: str
    stack_pointer: int | None


def living(files: Files, pid: int, stat: Identity | None = None) -> str:
    """The directory whose files tell of a process's memory: `proc/PID`.

    Where its first thread has ended and others live on, that of one of these, `proc/PID/task/TID`:
    the kernel takes its memory from a thread as it ends. Its statm then is zeros, its status has no
    sizes, maps, smaps and cmdline are empty or "gone". `stat` is the process's, if it has been read.
    """
    own = f"proc/{pid}"
    found = stat if stat is not None else files.parsed(f"{own}/stat", parse_identity)
    if isinstance(found, Gap) or not found.has_lost_its_leader:
        return own
    tids = sorted(int(name) for name in files.names(f"{own}/task") if name.isdecimal())
    for tid in tids[:_LOOKED_AT]:
        thread = files.parsed(f"{own}/task/{tid}/stat", parse_identity)
        if not isinstance(thread, Gap) and not thread.has_ended:
            return f"{own}/task/{tid}"
    return own


def read_threads(files: Files, pid: int, at_most: int = 2000) -> tuple[Thread, ...] | Gap:
    """The threads with the lowest ids, `at_most` of them; those that end meanwhile are left out."""
    directory = f"proc/{pid}/task"
    names = files.names(directory)
    if not names:
        first = files.read(f"{directory}/{pid}/comm")
        return first if isinstance(first, Gap) else Gap(directory, "failed")
    threads = []
    for tid in sorted(int(name) for name in names if name.isdecimal())[:at_most]:
        comm = files.read(f"{directory}/{tid}/comm")
        if isinstance(comm, Gap):
            continue
        pointer = files.parsed(f"{directory}/{tid}/syscall", parse_stack_pointer)
        name = comm.removesuffix(b"\n").decode("utf-8", "surrogateescape")
        threads.append(Thread(tid, name, None if isinstance(pointer, Gap) else pointer))
    return tuple(threads)


def parse_stack_pointer(data: bytes) -> int | None:
    """The stack pointer in `syscall`; None where the thread runs or has ended. Raises Malformed.

    `running`; `-1 SP PC` outside a system call; `NUMBER ARG … SP PC` with six arguments in one.
    """
    words = data.split()
    if words == [b"running"]:
        return None
    try:
        if len(words) not in (3, 9):
            raise ValueError
        if len(words[0]) > _DIGITS or len(words[-2]) > _DIGITS:
            raise ValueError
        int(words[0])
        return int(words[-2], 16) or None
    except ValueError:
        raise Malformed(repr(data[:60].decode("ascii", "backslashreplace"))) from None


def with_last_known(threads: tuple[Thread, ...], last: tuple[Thread, ...]) -> tuple[Thread, ...]:
    """`threads`, each without a stack pointer with the one it had: a stack stays where it is."""
    known = {thread.tid: thread.stack_pointer for thread in last}
    return tuple(
        thread._replace(stack_pointer=known.get(thread.tid))
        if thread.stack_pointer is None
        else thread
        for thread in threads
    )
