"""Whose memory is it: the same number in two processes is not the same memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from memtui.lab.child import Child, set_dumpable, signal_of
from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step, exactly
from memtui.lab.pages import byte_at, entries, frame, map_at, present_pages
from memtui.lab.tools import MIB, address_of, anonymous

_PAGES: Final = 1024
_SLACK_PAGES: Final = 256  # of the interpreter's own, copied when it writes
_ROOM_BYTES: Final = 256 * MIB
_THEIRS, _MINE, _CHANGED = 42, 7, 43
_SHOW, _HIDE, _TELL = -1, -2, -3  # what the neighbour is asked beside a value to write
_SIGSEGV: Final = 11
_NOBODY: Final = 65534


def _program(stage: Stage) -> Iterator[Facts]:
    address = _spot(stage.page_bytes)
    neighbour = Child(_Neighbour(address, stage.page_bytes))

    def pages() -> Facts:
        return {
            "pages here": present_pages(os.getpid(), address, _PAGES, stage.page_bytes),
            "pages there": present_pages(neighbour.pid, address, _PAGES, stage.page_bytes),
        }

    def values(memory: memoryview) -> Facts:
        return {"value here": memory[0], "value there": neighbour.ask(_TELL) or 0}

    try:
        yield {"pid neighbour": neighbour.pid, "address": address, **pages()}
        neighbour.ask(_THEIRS)
        yield pages()
        yield {"signal": signal_of(lambda: byte_at(address))}
        memory = map_at(address, _PAGES * stage.page_bytes)
        memory[:: stage.page_bytes] = bytes((_MINE,)) * _PAGES
        yield {**pages(), **values(memory)}
        if "pagemap" in stage.has:
            yield _frames(neighbour.pid, address, stage.page_bytes)
        if "ptrace" in stage.has:
            with open(f"/proc/{neighbour.pid}/mem", "r+b", buffering=0) as file:
                yield {"read": os.pread(file.fileno(), 1, address)[0]}
                os.pwrite(file.fileno(), bytes((_CHANGED,)), address)
            yield values(memory)
        yield {"refusal": _refusal(neighbour)}
    finally:
        neighbour.end()


def _spot(page_bytes: int) -> int:
    """An address where nothing is, far from where the kernel maps next."""
    room = anonymous(_ROOM_BYTES)
    middle = address_of(room) + _ROOM_BYTES // 2
    room.close()
    return middle // page_bytes * page_bytes


class _Neighbour:
    """The other process: writes a value into memory of its own at the address, and tells what is there."""

    def __init__(self, address: int, page_bytes: int) -> None:
        self._address = address
        self._page_bytes = page_bytes

    def __call__(self, asked: int) -> int:
        if asked in (_SHOW, _HIDE):
            set_dumpable(dumpable=asked == _SHOW)
        elif asked != _TELL:
            memory = map_at(self._address, _PAGES * self._page_bytes)
            memory[:: self._page_bytes] = bytes((asked,)) * _PAGES
        return byte_at(self._address)


def _frames(pid: int, address: int, page_bytes: int) -> Facts:
    here = [frame(entry) for entry in entries(os.getpid(), address, _PAGES, page_bytes)]
    there = [frame(entry) for entry in entries(pid, address, _PAGES, page_bytes)]
    return {
        "frame here": here[0],
        "frame there": there[0],
        "frames of both": len({*here, *there} - {0}),
        "frames in common": len({*here} & {*there}),
    }


def _refusal(neighbour: Child) -> int:
    """The error that somebody gets who may not look into the neighbour; 0: it was let in."""

    def look(pid: int) -> int:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(_NOBODY)
                os.setuid(_NOBODY)
            with open(f"/proc/{pid}/mem", "rb"):
                return 0
        except OSError as error:
            return error.errno or 0

    neighbour.ask(_HIDE)
    stranger = Child(look)
    try:
        return stranger.ask(neighbour.pid) or 0
    finally:
        stranger.end()
        neighbour.ask(_SHOW)


def _about(run: Run, key: str, pages: int, words: str) -> Expected:
    """So many pages more, and a few of the interpreter's own."""
    page_bytes = run.stage.page_bytes
    slack = _SLACK_PAGES * page_bytes
    return Expected(key, pages * page_bytes - slack, pages * page_bytes + slack, words=words)


EXPERIMENT: Final = Experiment(
    name="theirs",
    order=70,
    title="whose memory is it",
    summary="the same number in two processes is not the same memory; /proc/PID/mem, and who may",
    program=_program,
    steps=(
        Step(
            "a neighbour",
            "The program forks: from now on there are two processes, it and its neighbour. They "
            "agree on an address at which neither has anything.",
            ("address", "neighbour.rss"),
            lambda run: (
                Expected(
                    "neighbour.rss",
                    run.stage.page_bytes,
                    1 << 30,
                    "value",
                    "it lives, and has memory",
                ),
                exactly("pages here", 0, "nothing is mapped there"),
                exactly("pages there", 0, "nor there"),
            ),
            after=(
                "An address is only a number: until somebody maps something there, it means "
                "nothing."
            ),
        ),
        Step(
            "the neighbour writes",
            f"The neighbour maps {_PAGES:,} pages at that address and writes {_THEIRS} into each. "
            "Watch whose private memory grows.",
            ("private_dirty", "neighbour.private_dirty", "neighbour.rss"),
            lambda run: (
                exactly("pages there", _PAGES, "one frame for each page that was written"),
                exactly("pages here", 0, "the program's page tables know nothing of it"),
                _about(run, "neighbour.private_dirty", _PAGES, "written by it, and its alone"),
            ),
            after=(
                "Its page tables lead from the address to frames now; the program's still lead "
                "nowhere."
            ),
        ),
        Step(
            "the program tries that address",
            "Now the program reads at the very same number. A fork of it does, so that the "
            "program survives.",
            ("rss", "neighbour.rss"),
            lambda run: (
                exactly("signal", _SIGSEGV, "nothing is mapped there in its own address space"),
            ),
            Prediction(
                f"The neighbour has {_THEIRS} at this address. What does the program get?",
                lambda run: (str(_THEIRS), "0", "a signal that ends it"),
                2,
            ),
            after=(
                "The processor looks an address up in the page tables of whoever runs: SIGSEGV, "
                "not the neighbour's memory."
            ),
        ),
        Step(
            "a mapping of its own",
            f"The program maps {_PAGES:,} pages at the same number and writes {_MINE} into each. "
            "Then both read there: watch what each finds.",
            ("private_dirty", "neighbour.private_dirty"),
            lambda run: (
                exactly("pages here", _PAGES, "one frame for each page, of its own"),
                exactly("value here", _MINE, "what it wrote"),
                exactly("value there", _THEIRS, "untouched: it is other memory"),
                _about(run, "private_dirty", _PAGES, "written by it, and its alone"),
                _about(run, "neighbour.private_dirty", 0, "nothing has happened to it"),
            ),
            Prediction(
                f"The program has written {_MINE}. What does the neighbour read at this address?",
                lambda run: (str(_THEIRS), str(_MINE), "a signal that ends it"),
                0,
            ),
            after="Two address spaces, one number, two pages.",
        ),
        Step(
            "two frames",
            "Root may see which page frame, which place in real memory, stands behind an "
            "address. Watch how many of them the two have in common.",
            ("frame here", "frame there"),
            lambda run: (
                exactly("frames of both", 2 * _PAGES, "each page has one"),
                exactly("frames in common", 0, "and each has its own"),
            ),
            after="The number is virtual; only the frame is a place in the machine.",
            needs=frozenset({"pagemap"}),
        ),
        Step(
            "reading it all the same",
            "There is a door: /proc/PID/mem, for whoever may trace the process, such as the same "
            "user. Watch what the program reads at the address there.",
            ("rss", "neighbour.rss"),
            lambda run: (exactly("read", _THEIRS, "the kernel walks the neighbour's page tables"),),
            Prediction(
                "What does it read through /proc/PID/mem?",
                lambda run: (str(_MINE), str(_THEIRS), "an error"),
                1,
            ),
            after="This is how gdb, and memtui, look into a process.",
            needs=frozenset({"ptrace"}),
        ),
        Step(
            "writing it, too",
            f"Through the same door the program writes {_CHANGED}. Watch that no memory comes or "
            "goes.",
            ("private_dirty", "neighbour.private_dirty"),
            lambda run: (
                exactly("value there", _CHANGED, "changed from outside"),
                exactly("value here", _MINE, "the program's own is other memory"),
                _about(run, "neighbour.private_dirty", 0, "the same frames, with another byte"),
            ),
            after="A debugger sets its breakpoints in this way.",
            needs=frozenset({"ptrace"}),
        ),
        Step(
            "who may not",
            "Somebody else tries that door. Under root it is a process of the user nobody; "
            "otherwise the neighbour first declares that nobody may look into it "
            "(PR_SET_DUMPABLE), as ssh-agent does. Watch the error.",
            ("rss", "neighbour.rss"),
            lambda run: (Expected("refusal", 1, 13, "value", "EPERM is 1, EACCES is 13"),),
            after="Another user, or a process that hides: only CAP_SYS_PTRACE opens it then.",
        ),
    ),
    at_most_bytes=64 * MIB,
    at_most_s=20,
    likes=frozenset({"pagemap", "ptrace"}),
    topics=("virtual memory", "page table", "RSS"),
)
