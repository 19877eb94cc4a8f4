"""The lab on a screen, for tests: a bench that tells what it is given, and an application on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.lab.bench import Agreement, Bench, Told
from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step
from memtui.lab.offers import Offer, Offers
from memtui.ondemand.question import Answer, Asked, Question
from memtui.tui.app import MemtuiApp
from memtui.tui.views.lab import LabView
from tests.interface import Script, app_on, screen_text
from tests.samples import GIB, MIB, map_of, process, sample

PID = 4242
PROGRAM = process(PID, "lab-toy", 16)
BIG = process(10, "big", 500)
PAGE = 4096


def _no_program(stage: Stage) -> Iterator[Facts]:
    yield from ()


def _touched(run: Run) -> tuple[Expected, ...]:
    pages = 1000 * run.stage.page_bytes
    return (
        Expected("virtual", 0, MIB, words="the range was there before"),
        Expected("rss", pages, pages + MIB, words="a whole frame for each byte that was written"),
        Expected("minor_faults", 1000, 1100, words="one fault a page"),
        Expected("page_tables", 0, 0, words="there are tables enough"),
        Expected("touched", 1000, 1000, "value", "as many as it was told"),
    )


TOY = Experiment(
    name="toy",
    title="allocating is promising",
    summary="mmap gives addresses, the first touch gives memory",
    program=_no_program,
    steps=(
        Step(
            "mmap of 1 GiB",
            "The program asks for 1 GiB and touches none of it. Watch VIRT grow.",
            ("virtual", "rss"),
            lambda run: (Expected("virtual", GIB, GIB, words="all of it is addresses"),),
            Prediction("How much will RSS grow?", lambda run: ("0", "4 MiB", "1 GiB"), 0),
        ),
        Step(
            "one byte into each of 1,000 pages",
            "Now the program writes one byte into each of the first 1,000 pages of its 262,144. Watch "
            "the minor faults: at the first touch of a page the kernel's handler finds a frame.",
            ("virtual", "rss", "minor_faults", "page_tables", "swap", "free"),
            _touched,
            Prediction(
                "1,000 bytes are written. How much will RSS grow?",
                lambda run: (
                    "0",
                    "1,000 bytes",
                    f"1,000 × {run.stage.page_bytes:,} bytes",
                    "1 GiB",
                ),
                2,
            ),
            "Memory is handed out by the page, and at the first touch.",
        ),
        Step("munmap", "The range is unmapped.", ("virtual",), lambda run: ()),
    ),
    at_most_bytes=80 * MIB,
    at_most_s=10,
    topics=("RSS", "page table"),
)
_FIGURES: tuple[Mapping[str, int], ...] = (
    {"virtual": 16 * MIB, "rss": 12 * MIB, "free": 4 * GIB},
    {"virtual": GIB + 16 * MIB, "rss": 12 * MIB, "free": 4 * GIB},
    {"virtual": 16 * MIB, "rss": 12 * MIB, "free": 4 * GIB},
)
_BEFORE = {
    "virtual": GIB + 16 * MIB,
    "rss": 12 * MIB,
    "minor_faults": 2108,
    "page_tables": 48 * 1024,
    "free": 4 * GIB,
}
_AFTER = {
    "virtual": GIB + 16 * MIB,
    "rss": 12 * MIB + 1000 * PAGE,
    "minor_faults": 3108,
    "page_tables": 56 * 1024,
    "free": 4 * GIB - 4 * MIB,
}


class ToyBench(Bench):
    """Tells figures that were written down, at once or when `gate` is opened."""

    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__(LiveFiles(), TOY)
        self.available = None  # whatever is to be had of this machine
        self.fails_at = fails_at
        self.gate = threading.Event()
        self.gate.set()
        self.is_closed = False

    def start(self) -> Gap | None:
        stage = Stage(Path(), PAGE, frozenset())
        self.processes = {"": PID}
        self.run = Run(stage, _FIGURES[0], _FIGURES[0], {})
        return None

    def step(self) -> Told | Gap:
        self.gate.wait()
        at = len(self.told)
        if self.is_closed or at == self.fails_at:
            return Gap("lab toy", "failed", "OSError: [Errno 12] Cannot allocate memory")
        before, after = (_BEFORE, _AFTER) if at == 1 else (_FIGURES[at and 1], _FIGURES[at or 1])
        self.run = Run(self.run.stage, before, after, {"touched": 1000} if at else {})
        step = self.steps[at]
        agreements = [_agreement(each, self.run) for each in step.expected(self.run)]
        told = Told(step, self.run, tuple(agreements))
        self.told.append(told)
        return told

    def close(self) -> None:
        self.is_closed = True
        self.gate.set()


def _agreement(expected: Expected, run: Run) -> Agreement:
    is_value = expected.of == "value"
    measured = run.facts.get(expected.key) if is_value else run.change(expected.key)
    return Agreement(
        expected, measured, measured is not None and expected.low <= measured <= expected.high
    )


class LabScript(Script):
    """Offers the toy, and an experiment that cannot be had; keeps the benches that were made."""

    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__({each.key: map_of(each.key, each.name) for each in (BIG, PROGRAM)})
        self.benches: list[ToyBench] = []
        self.fails_at = fails_at

    def ask(self, question: Question[Any]) -> Asked:
        if not isinstance(question, Offers):
            return super().ask(question)
        assert self.app is not None
        asked = Asked(question)
        needs_root = TOY._replace(name="other", title="swap", needs=frozenset({"swap", "root"}))
        offers = (
            Offer(TOY, "", frozenset({"root"}), self._make),
            Offer(needs_root, "it needs root", frozenset(), self._make),
        )
        self.app.deliver(Answer(asked, offers))
        return asked

    def _make(self) -> ToyBench:
        self.benches.append(ToyBench(self.fails_at))
        return self.benches[-1]


def app_in_lab(script: LabScript) -> MemtuiApp:
    """The application with a sample in which the program lives; view 6 is for the test to open."""
    app = app_on(script)
    app.deliver(sample(1000.0, BIG, PROGRAM))
    return app


def lab_of(app: MemtuiApp) -> LabView:
    return app.query_one(LabView)


def asks(app: MemtuiApp) -> bool:
    """Whether a guess is wanted now."""
    trial = lab_of(app).trial
    return trial is not None and trial.asks


def paper_of(app: MemtuiApp) -> str:
    """What stands on the experiment's paper."""
    region = app.query_one("#lab-paper").region
    return "\n".join(
        line[region.x : region.right].rstrip()
        for line in screen_text(app)[region.y : region.bottom]
    )
