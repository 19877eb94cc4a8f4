"""An experiment of the lab as somebody goes through it: what is asked, guessed, made and told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from memtui import units
from memtui.kernel.files import Gap
from memtui.lab.bench import Bench, Told
from memtui.lab.experiment import Experiment, Facts, Step

State = Literal["opening", "asking", "making", "told", "failed"]


class Passed(NamedTuple):
    """A step that has been made and looked at; `is_right`: what was guessed of it, None without a guess."""

    told: Told
    is_right: bool | None


class Trial:
    """One run of an experiment. `open`, `make` and `leave` wait for its program, each on a thread;
    what they come to is handed back by whoever asked, on the interface's.

    `has_begun`: there is a step to look at. `at` is the one that is asked or told, `guess` the
    reader's of it, `passed` are those before it, `problem` is why it goes no further.
    """

    def __init__(self, bench: Bench) -> None:
        self.state: State = "opening"
        self.has_begun = False
        self.at = 0
        self.guess: int | None = None
        self.told: Told | None = None
        self.choices: tuple[str, ...] = ()
        self.passed: list[Passed] = []
        self.problem = ""
        self._bench = bench

    @property
    def experiment(self) -> Experiment:
        return self._bench.experiment

    @property
    def pid(self) -> int | None:
        """Its program's, once that is there."""
        return self._bench.pid

    @property
    def steps(self) -> Sequence[Step]:
        return self._bench.steps

    @property
    def step(self) -> Step:
        return self.steps[self.at]

    @property
    def asks(self) -> bool:
        """Whether a guess is wanted now."""
        return self.state == "asking" and bool(self.choices)

    @property
    def is_right(self) -> bool | None:
        """Whether the guess is; None where there is none."""
        prediction = self.step.prediction
        return self.guess == prediction.right if prediction and self.guess is not None else None

    @property
    def earlier(self) -> Facts:
        """What its program had told before this step."""
        return self.passed[-1].told.run.facts if self.passed else {}

    @property
    def is_last(self) -> bool:
        return self.at + 1 == len(self.steps)

    # Each on a thread that may wait.

    def open(self) -> Gap | None:
        """Starts its program; a Gap where that failed."""
        return self._bench.start()

    def make(self) -> Told | Gap:
        """Has the step made."""
        return self._bench.step()

    def leave(self) -> None:
        """Ends its program, also one that is just starting, and takes away all that was made for it."""
        self._bench.close()

    # The interface's thread.

    def opened(self, gap: Gap | None) -> None:
        """What came of `open`."""
        if gap is None:
            self._ask()
        else:
            self._fail(gap)

    def begin_step(self) -> None:
        """The guess stands, and the step is being made."""
        self.state = "making"

    def made(self, told: Told | Gap) -> None:
        """What came of `make`."""
        if isinstance(told, Gap):
            self._fail(told)
        else:
            self.told, self.state = told, "told"

    def go_on(self) -> None:
        """To the next step."""
        if self.told is not None:
            self.passed.append(Passed(self.told, self.is_right))
        self.at += 1
        self._ask()

    def choose(self, at: int) -> bool:
        """The reader guesses this; whether there is such an answer now."""
        if not self.asks or not 0 <= at < len(self.choices):
            return False
        self.guess = at
        return True

    def _ask(self) -> None:
        self.has_begun, self.state, self.guess, self.told = True, "asking", None, None
        prediction, run = self.step.prediction, self._bench.run
        self.choices = prediction.choices(run._replace(before=run.after)) if prediction else ()

    def _fail(self, gap: Gap) -> None:
        self.state = "failed"
        self.problem = units.printable(gap.words)
