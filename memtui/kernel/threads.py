"""The threads of a process: their names, and where their stack pointers are.

Source: /proc/PID/task/TID/{comm,syscall}. Document: proc_pid_syscall(5). Since: syscall 2.6.27,
on architectures with CONFIG_HAVE_ARCH_TRACEHOOK. Permission: comm anyone; syscall ptrace attach
access, and mode 0400. Cost of 1,000 threads: 18 ms, half of it for syscall.

The kernel tells the stack pointer of a thread that waits; of one that runs it says just that.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from memtui.kernel.files import Files, Gap, Malformed

_DIGITS: Final = 20


class Thread(NamedTuple):
    """A thread. `stack_pointer` is an address; None: it runs, may not be asked, or has ended.

    `name` is as the kernel has it: at most 15 bytes, newlines included.
    """

    tid: int
    name: str
    stack_pointer: int | None


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
