"""The forbidden address: a segmentation fault as `memtui run` sees it, and why Python has none."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step, exactly
from memtui.lab.tools import MIB

_PLACE: Final = 0x2000000000  # where the child has its mappings: nothing else is there
_NONE, _READ, _WRITE = 0, mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE
_SIGSEGV: Final = 11
_OF_SIGNALS: Final = 128  # what a shell adds
_CODES: Final = {"SEGV_MAPERR": 1, "SEGV_ACCERR": 2}

# Maps pages of the protections that it is given, side by side, and touches one byte.
_CHILD: Final = """
import ctypes, sys
place, page_bytes, target, writes, *protections = map(int, sys.argv[1:])
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long
for number, protection in enumerate(protections):
    libc.mmap(place + number * page_bytes, page_bytes, protection, 0x100022, -1, 0)
byte = ctypes.c_ubyte.from_address(target)
if writes:
    byte.value = 120
else:
    byte.value
"""


def _program(stage: Stage) -> Iterator[Facts]:
    end = _PLACE + stage.page_bytes

    def touch(what: str, target: int, *protections: int, writes: bool = True) -> Facts:
        numbers = (_PLACE, stage.page_bytes, target, int(writes), *protections)
        child = [sys.executable, "-I", "-S", "-c", _CHILD, *map(str, numbers)]
        told = _watched(child) if "ptrace" in stage.has else _status(_run(child).returncode)
        return {f"{what} {key}": value for key, value in told.items()}

    yield {"exceptions": sum(map(_is_refused, _ATTEMPTS))}
    yield touch("null", 0, writes=False)
    yield touch("constant", _PLACE, _READ)
    yield touch("edge", end - 1, _WRITE, _NONE)
    yield touch("guard", end, _WRITE, _NONE)


def _run(command: list[str], **environment: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, **environment}
    return subprocess.run(command, stdout=subprocess.PIPE, env=env, check=False)


def _watched(command: list[str]) -> Facts:
    """What `memtui run` tells of it: it holds the child before the signal ends it, and looks."""
    run = [sys.executable, "-m", "memtui", "run", "--headless", "--json", "--"]
    done = _run([*run, *command], PYTHONPATH=str(Path(__file__).parents[3]))
    if not done.stdout:
        raise RuntimeError(f"memtui run told nothing, and ended with {done.returncode}")
    told = json.loads(done.stdout)
    crash: dict[str, Any] | None = told["crash"]
    status = _status(told["exit_status"])
    if crash is None:
        return {**status, "is seen": 0}
    access = crash["access"]
    return {
        **status,
        "is seen": 1,
        "code": _CODES.get(crash["code"], 0),
        "fault address": int(crash["address"] or "-1", 0),
        # What the instruction did is told where it can be taken apart.
        **({} if access == "unknown" else {"is write": int(access == "write")}),
    }


def _status(status: int) -> Facts:
    """As a shell shows it. Python has a signal as a negative number."""
    shown = _OF_SIGNALS - status if status < 0 else status
    return {"exit status": shown, "signal": max(0, shown - _OF_SIGNALS)}


def _beyond_the_end() -> None:
    print([1, 2, 3][len("abcd")])


def _of_nothing() -> None:
    nothing: Any = None
    print(nothing.value)


def _after_the_end() -> None:
    memory = mmap.mmap(-1, 1)
    memory.close()
    print(memory[0])


_ATTEMPTS: Final = (_beyond_the_end, _of_nothing, _after_the_end)


def _is_refused(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except (IndexError, AttributeError, ValueError):
        return True
    return False


def _shown(what: str) -> tuple[str, ...]:
    return tuple(f"{what} {key}" for key in ("exit status", "signal", "code", "fault address"))


def _expected_fault(
    run: Run, what: str, code: str, address: int, why: str, *, is_write: bool
) -> tuple[Expected, ...]:
    """What the wait status says; and, where the child could be watched, what siginfo says."""
    shown = _OF_SIGNALS + _SIGSEGV
    status = (
        exactly(f"{what} signal", _SIGSEGV, "SIGSEGV, for which it has no handler"),
        exactly(f"{what} exit status", shown, "128 and the signal's number, as a shell has it"),
    )
    if not run.facts.get(f"{what} is seen"):
        return status
    access = exactly(f"{what} is write", int(is_write), "a write" if is_write else "a read")
    return (
        *status,
        exactly(f"{what} code", _CODES[code], f"{code}: {why}"),
        exactly(f"{what} fault address", address, "the one that was touched, from the processor"),
        *((access,) if access.key in run.facts else ()),
    )


EXPERIMENT: Final = Experiment(
    name="forbidden",
    order=100,
    title="the forbidden address",
    summary="a segmentation fault, seen by memtui run; and why Python normally has none",
    program=_program,
    steps=(
        Step(
            "Python's fences",
            "The program tries three classics: an element past the end of a list, a field of "
            "nothing, memory that was given back. Watch what comes of it.",
            ("exceptions",),
            lambda run: (
                exactly("exceptions", len(_ATTEMPTS), "IndexError, AttributeError, ValueError"),
            ),
            Prediction(
                "How many of the three end in a segmentation fault?",
                lambda run: ("none", "1", "all of them"),
                0,
            ),
            after=(
                "Python asks before each access whether it is within the object. In C nobody "
                "asks, and in Python's ctypes neither: the following steps use it."
            ),
        ),
        Step(
            "address 0",
            "A child reads one byte at the address 0, where a null pointer leads. memtui run "
            "holds it before the signal ends it, and reads why.",
            _shown("null"),
            lambda run: _expected_fault(
                run, "null", "SEGV_MAPERR", 0, "no mapping holds the address", is_write=False
            ),
            Prediction(
                "What does a shell show as its exit status?", lambda run: ("1", "11", "139"), 2
            ),
            after=(
                "The page fault found no mapping (MAPERR): the kernel keeps the lowest addresses "
                "free, so that null pointers are found out."
            ),
        ),
        Step(
            "read, but not written",
            "Another child maps a page that may only be read, and writes to it. Watch the code: "
            "this time there is a mapping.",
            _shown("constant"),
            lambda run: _expected_fault(
                run,
                "constant",
                "SEGV_ACCERR",
                _PLACE,
                "there is a mapping, and it forbids this",
                is_write=True,
            ),
            after=(
                "The same signal for another reason (ACCERR): that is how constants are kept "
                "constant."
            ),
        ),
        Step(
            "the last byte",
            "Now a child has a page to write to, and behind it a page that nobody may touch "
            "(PROT_NONE). It writes the last byte of the first: watch how it ends.",
            ("edge exit status", "edge signal"),
            lambda run: (
                exactly("edge signal", 0, "the page is its own"),
                exactly("edge exit status", 0, "and it ends as it should"),
            ),
            after="Right up to the edge all is well.",
        ),
        Step(
            "one byte further",
            "The same again, one byte further. Watch the address: it is the first of the guard.",
            _shown("guard"),
            lambda run: _expected_fault(
                run,
                "guard",
                "SEGV_ACCERR",
                _PLACE + run.stage.page_bytes,
                "the guard forbids everything",
                is_write=True,
            ),
            Prediction(
                "Off by one byte: which code will it be?",
                lambda run: ("SEGV_MAPERR: nothing is mapped", "SEGV_ACCERR: it is not permitted"),
                1,
            ),
            after=(
                "Stacks of threads have such a guard. Without one, the byte would have hit "
                "whatever lies there."
            ),
        ),
    ),
    at_most_bytes=96 * MIB,
    at_most_s=60,
    likes=frozenset({"ptrace"}),
    topics=("SIGSEGV", "virtual memory", "page fault"),
)
