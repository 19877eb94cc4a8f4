"""A run made by hand: its story, a watch that tells it, and the application on it."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from memtui.kernel.files import Gap
from memtui.kernel.registers import PROCESSORS, Registers
from memtui.kernel.siginfo import SigInfo
from memtui.model.crash.crash import Crash, Frame, Instruction, Operand, Place
from memtui.model.crash.explain import Explained
from memtui.model.crash.steps import Step
from memtui.model.keys import ProcessKey
from memtui.ondemand.question import GoOn, Question
from memtui.ondemand.questions import CrashOf
from memtui.session.inbox import Inbox
from memtui.session.session import Session
from memtui.settings.values import DEFAULTS
from memtui.tui.app import MemtuiApp
from memtui.tui.pseudoterminal import Pseudoterminal, open_terminal
from memtui.tui.running import Running
from memtui.watch.story import Happening, Held, Life, Story
from memtui.watch.watch import Watch
from tests.interface import Script
from tests.samples import MIB, map_of, process, sample

KEY = ProcessKey(9866, 1)
CHILD = ProcessKey(9870, 2)
SIGSEGV = SigInfo(11, 1, 0)


class ToldWatch(Watch):
    """Tells what a test puts into its story; counts what is asked of it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.asked: list[str] = []
        self._told, self._telling = os.pipe()

    def fileno(self) -> int:
        return self._told

    def tell(self) -> None:
        """Something has happened."""
        os.write(self._telling, b".")

    def take(self) -> bool:
        os.set_blocking(self._told, False)
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self._told, 1 << 16))
        return False

    def let_go(self) -> None:
        self.asked.append("let go")

    def kill(self) -> None:
        self.asked.append("kill")

    def close(self) -> None:
        os.close(self._told)
        os.close(self._telling)


class RunScript(Script):
    """A machine that the crash of `crash()` is read from."""

    def _answer(self, question: Question[Any], go_on: GoOn = lambda done, total: True) -> Any:
        return crash() if isinstance(question, CrashOf) else super()._answer(question, go_on)


class Stopped(Running):
    """A run whose clock stands still."""

    now_s = 3.2


def story() -> Story:
    """A program that runs and has a child, which has ended."""
    lives = {
        KEY.pid: Life(KEY.pid, 1, 0.0, KEY, "worker", peak_rss_bytes=12 * MIB),
        CHILD.pid: Life(
            CHILD.pid,
            KEY.pid,
            0.9,
            CHILD,
            "ls",
            died_s=1.2,
            exit_status=2,
            peak_rss_bytes=2 * MIB,
        ),
    }
    happenings = [
        Happening(0.0, KEY.pid, "start", f"process {KEY.pid} begins"),
        Happening(0.002, KEY.pid, "exec", "exec worker (worker --fast), 12 mappings"),
        Happening(0.004, KEY.pid, "grew", "brk +132 KiB", 132 << 10),
        Happening(0.9, KEY.pid, "fork", f"fork: process {CHILD.pid}"),
        Happening(0.95, CHILD.pid, "unmapped", "ld.so.cache unmapped, 36.0 KiB", 36 << 10),
        Happening(1.2, CHILD.pid, "exit", "ended: status 2"),
        Happening(2.0, KEY.pid, "faults", "41 minor faults", None, 41),
    ]
    return Story(("worker", "--fast"), lives, happenings, first_pid=KEY.pid)


def ended(told: Story) -> Story:
    """Its program has ended well."""
    life = told.lives[KEY.pid]
    life.died_s, life.exit_status, life.ended_with_bytes = 3.0, 0, 9 * MIB
    life.minor_faults, life.major_faults = 1_234, 2
    life.phases = [("start", 0.002), ("worker", 2.998)]
    told.is_over = True
    return told


def held(told: Story) -> Story:
    """Its program stands still before a SIGSEGV."""
    told.happenings.append(Happening(2.5, KEY.pid, "held", "SIGSEGV is about to end it"))
    told.holding = [Held(KEY, KEY.pid, SIGSEGV, Gap("ptrace", "absent"))]
    return told


def crash() -> Crash:
    """A write through a null pointer, in the second of three calls."""
    map_ = map_of(KEY, "worker")
    text = map_.mappings.starts[1]
    registers = {"rip": text + 0x155, "rsp": map_.mappings.starts[-1] + 64, "rax": 0, "rdi": 7}
    frames = [
        Place(text + 0x155, "/bin/worker", 0x1155, 0x1155, ".text", "deref", 21, "/src/w.c", 3),
        Place(text + 0x18E, "/bin/worker", 0x118E, 0x118E, ".text", "walk", 9, "/src/w.c", 4),
        Place(text + 0x18E, "/bin/worker", 0x118E, 0x118E, ".text", "walk", 9, "/src/w.c", 4),
        Place(text + 0x1D2, "/bin/worker", 0x11D2, 0x11D2, ".text", "main"),
    ]
    return Crash(
        KEY,
        KEY.pid,
        "worker",
        SIGSEGV,
        Registers(PROCESSORS[0], registers),
        map_,
        Instruction(
            text + 0x155,
            b"\xc7\x00",
            "mov dword ptr [rax], 0x10",
            (Operand(0, 4, "write", "[rax]"),),
            (("rax", 0),),
        ),
        tuple(
            Frame(place, 0, "call frame information" if at else "")
            for at, place in enumerate(frames)
        ),
        8 * MIB,
        4096,
    )


EXPLAINED = Explained(
    sentence="write to 0x0: not mapped, a null pointer; in deref at w.c:3, worker+0x1155",
    access="write",
    address=0,
    row=None,
    below=None,
    above=0,
    steps=(
        Step("the processor looked for the page of 0x0 and found no entry", "P = 0"),
        Step("page fault: write, from user mode", "error code 0x6"),
        Step(
            "the kernel's handler found nothing mapped at 0x0; above it are read-only data of worker, "
            "a long way off",
            "SEGV_MAPERR",
        ),
        Step("SIGSEGV: the program ends with status 139"),
    ),
    exit_status=139,
)


def app_running(
    told: Story, *, pane: tuple[int, int] | None = (80, 11)
) -> tuple[MemtuiApp, ToldWatch, int]:
    """The application on it, the watch, and the program's end of its terminal; -1 without a pane."""
    watch, slave, terminal = ToldWatch(told), -1, None
    if pane is not None:
        master, slave = open_terminal(*pane)
        terminal = Pseudoterminal(master)
    worker, child = process(KEY.pid, "worker", 12), process(CHILD.pid, "ls", 2, start=2)
    maps = {KEY: map_of(KEY, "worker"), CHILD: map_of(CHILD, "ls", heap_pages=40)}
    script = RunScript(maps)
    app = MemtuiApp(
        Session(script, DEFAULTS), Inbox(), running=Stopped(watch, terminal, pane or (80, 24))
    )
    script.app = app
    app.deliver(sample(1000.0, worker, child))
    return app, watch, slave
