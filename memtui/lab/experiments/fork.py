"""fork, execve and copy on write: what parent and child share, and until when."""

from __future__ import annotations

import gc
import mmap
import os
import shutil
import signal
from collections.abc import Iterator
from typing import Final

from memtui.lab.child import Child
from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step
from memtui.lab.tools import MIB, anonymous

_SIZE: Final = 32 * MIB
_HALF: Final = _SIZE // 2
_NOISE: Final = 6 * MIB  # of the interpreter's own, which is shared and copied as well
_FAULTS: Final = 1_500  # of the interpreter's own
_SMALL: Final = 8 * MIB  # what a small program takes, with its libraries
_WAITS, _WRITES, _BECOMES = range(3)  # what the child is asked for
_FIGURES: Final = (
    *("rss", "pss", "private_dirty", "shared_dirty", "minor_faults"),
    *("child.rss", "child.pss", "child.private_dirty", "child.minor_faults", "machine_anon"),
)


def _program(stage: Stage) -> Iterator[Facts]:
    program = shutil.which("cat") or "/bin/cat"
    gc.freeze()
    return _steps(stage.page_bytes, program)


def _steps(page: int, program: str) -> Iterator[Facts]:
    memory = anonymous(_SIZE)
    _write(memory, page, _SIZE)
    yield {}
    child, heard = _child(memory, page, program)
    yield {"pid child": child.pid}
    child.ask(_WRITES)
    yield {}
    _write(memory, page, _HALF)
    yield {}
    child.ask(_BECOMES)
    os.read(heard, 1)
    yield {}
    yield {"pid child": 0, "signal": child.end() or 0}


def _write(memory: mmap.mmap, page: int, size_bytes: int) -> None:
    """A byte into each page, in one go: nothing of Python's own is touched meanwhile."""
    memory[:size_bytes:page] = b"x" * (size_bytes // page)


def _child(memory: mmap.mmap, page: int, program: str) -> tuple[Child, int]:
    """It is there, and waits: to write to half of the memory, and to become another program then.

    From the descriptor comes a byte when that is up, and waits for more.
    """
    asked, ask = os.pipe()
    os.write(ask, b".")
    heard, said = os.pipe()

    def work(number: int) -> int:
        if number == _WRITES:
            _write(memory, page, _HALF)
        elif number == _BECOMES:
            os.dup2(asked, 0)
            os.dup2(said, 1)
            os.execv(program, ["cat"])
        return number

    child = Child(work)
    os.close(said)
    child.ask(_WAITS)
    return child, heard


def _between(key: str, low: int, high: int, words: str) -> Expected:
    return Expected(key, low - _NOISE, high + _NOISE, words=words)


def _forked(run: Run) -> tuple[Expected, ...]:
    rss = run.before.get("rss", 0)
    return (
        _between("rss", 0, 0, "it still maps what it did"),
        _between("pss", -rss // 2, -_SIZE // 2, "but pays for half of what both have"),
        _between("private_dirty", -rss, -_SIZE, "nothing of it is its alone any more"),
        _between("shared_dirty", _SIZE, rss, "both have it"),
        Expected("child.rss", _SIZE, rss + _NOISE, "value", "the child maps the same frames"),
        Expected(
            "child.pss",
            _SIZE // 2,
            (rss + _NOISE) // 2 + _NOISE,
            "value",
            "and pays the other half",
        ),
        Expected("child.private_dirty", 0, _NOISE, "value", "its own is what it has written since"),
    )


def _copied(run: Run) -> tuple[Expected, ...]:
    pages = _HALF // run.stage.page_bytes
    return (
        Expected(
            "child.minor_faults", pages, pages + _FAULTS, words="one fault a page, each with a copy"
        ),
        _between("child.private_dirty", _HALF, _HALF, "the copies are the child's"),
        _between("child.rss", 0, 0, "one page for another"),
        _between("private_dirty", _HALF, _HALF, "and the originals the parent's alone again"),
        Expected("minor_faults", 0, _FAULTS, words="the parent does nothing"),
        _between("pss", _HALF // 2, _HALF // 2, "it pays for them whole again"),
    )


def _kept(run: Run) -> tuple[Expected, ...]:
    pages = _HALF // run.stage.page_bytes
    return (
        Expected("minor_faults", pages, pages + _FAULTS, words="its entries are still read-only"),
        _between("private_dirty", 0, 0, "but nobody shares these pages: none is copied"),
        _between("rss", 0, 0, "so nothing grows"),
    )


def _executed(_run: Run) -> tuple[Expected, ...]:
    return (
        Expected("child.rss", 1, _SMALL, "value", "a small program, and nothing of the parent's"),
        Expected("child.private_dirty", 0, _SMALL, "value", "the copies are gone with the map"),
        _between("private_dirty", _HALF, _SIZE, "what was shared with it is the parent's alone"),
        _between("shared_dirty", -_SIZE, -_HALF, "nobody else has it"),
    )


EXPERIMENT: Final = Experiment(
    name="fork",
    title="fork, execve and copy on write",
    summary=(
        "what parent and child share after fork, who copies what at a write, and what execve throws "
        "away"
    ),
    program=_program,
    order=40,
    steps=(
        Step(
            "write 32 MiB",
            "The program fills 32 MiB of its own. Watch what is private and dirty: it is its "
            "alone.",
            ("rss", "pss", "private_dirty", "shared_dirty", "minor_faults", "machine_anon"),
            lambda run: (
                _between("rss", _SIZE, _SIZE, "touched"),
                _between("pss", _SIZE, _SIZE, "it pays for all of it"),
                _between("private_dirty", _SIZE, _SIZE, "written, and nobody else's"),
            ),
        ),
        Step(
            "fork",
            "The program forks: there are two processes now with the same memory. Watch PSS, "
            "which divides "
            "a page by those who have it, and that the machine's anonymous memory does not double.",
            (*_FIGURES, "child.page_tables"),
            _forked,
            Prediction(
                "What will the PSS of the parent do?",
                lambda _: ("stay", "fall to about a half", "double"),
                1,
            ),
            "fork copies page tables, not pages. All entries are read-only now, in both.",
        ),
        Step(
            "the child writes to half of it",
            "The child writes a byte into each page of the first 16 MiB. Watch its faults, and "
            "whose memory "
            "grows: its own, and what is the parent's alone.",
            _FIGURES,
            _copied,
            Prediction(
                "How much will the RSS of the child grow?",
                lambda _: ("hardly at all", "by 16 MiB", "by 32 MiB"),
                0,
            ),
            "Each write faulted, and the kernel copied the page: this is copy on write. The "
            "machine has "
            "16 MiB less.",
        ),
        Step(
            "the parent writes to the same half",
            "Now the parent writes to the same pages. Its entries are read-only too, so it "
            "faults; watch "
            "whether that costs memory.",
            _FIGURES,
            _kept,
            Prediction(
                "What will the kernel do at each fault?",
                lambda _: ("copy the page", "allow the write, and copy nothing", "kill the parent"),
                1,
            ),
            "The one that is left alone with a page keeps it. Only who writes first pays for a "
            "copy.",
        ),
        Step(
            "the child becomes another program",
            "The child calls execve: it is to be cat now. Watch its whole map be thrown away, "
            "copies and all.",
            _FIGURES,
            _executed,
            Prediction(
                "What of the 32 MiB is in the child after that?",
                lambda _: ("all of it", "its copies of 16 MiB", "nothing"),
                2,
            ),
            "fork and execve at once copy next to nothing: this is how every program is started.",
        ),
        Step(
            "the child ends",
            "The child is killed. Watch that the parent does not notice.",
            ("rss", "pss", "private_dirty", "signal"),
            lambda _: (
                Expected("signal", signal.SIGKILL, signal.SIGKILL, "value", "it died of it"),
                _between("rss", 0, 0, "nothing of the parent's has changed"),
                _between("private_dirty", 0, 0, "and nothing was shared any more"),
            ),
        ),
    ),
    at_most_bytes=80 * MIB,
    at_most_s=60,
    topics=("copy-on-write", "PSS", "USS", "minor faults", "page table"),
)
