"""Runs a command where ptrace is forbidden: `python -m tests.watch.forbidding CMD [ARG …]`.

By a filter of seccomp, as containers have one; it holds for all that the command starts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import Final

_SET_NO_NEW_PRIVS: Final = 38
_SET_SECCOMP: Final = 22
_FILTER: Final = 2
_PTRACE: Final = {"x86_64": 101, "aarch64": 117}

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000


def is_possible() -> bool:
    return platform.machine() in _PTRACE


def forbid_ptrace() -> None:
    """From now on ptrace fails with EPERM, here and in all children."""
    instructions = [
        (_LOAD, 0, 0, 0),  # the system call's number
        (_EQUAL, 0, 1, _PTRACE[platform.machine()]),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *each) for each in instructions)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in ((_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER, program, 0, 0)):
        if libc.prctl(*words):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    forbid_ptrace()
    os.execvp(sys.argv[1], sys.argv[1:])
