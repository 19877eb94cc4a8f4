"""Where an experiment is run: it starts the keeper, has the program make its steps, and measures.

The machine is read directly before the program is told to go on, and directly after it has answered.
Every call may wait, so an interface makes them on a thread of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from memtui.frozen import FrozenDict
from memtui.kernel.files import Files, Gap
from memtui.lab.experiment import Expected, Experiment, Need, Run, Stage, Step
from memtui.lab.figures import read_figures
from memtui.lab.keeper import Wanted, command
from memtui.lab.needs import group_parent, left_out, what_there_is, why_not

_STARTS_S: Final = 60.0  # with a swap file to write, on a slow disk
_ENDS_S: Final = 60.0
_WARM_UPS: Final = 8  # lines without a step, after which answering one takes no new page
_PID: Final = "pid "
_GONE: Final = "the process that runs its program has ended"


class Agreement(NamedTuple):
    """An expectation, and what was measured; None: it could not be, and that is no agreement."""

    expected: Expected
    measured: int | None
    agrees: bool


class Told(NamedTuple):
    """A step that has been made."""

    step: Step
    run: Run
    agreements: tuple[Agreement, ...]

    @property
    def agrees(self) -> bool:
        return all(each.agrees for each in self.agreements)


class Bench:
    """One run of an experiment. `close` ends it, whatever it is at, from any thread.

    `available`: why it cannot be run here; None where it can. `steps`: those that are made here,
    without the ones that need what there is not. `run`: what is known by now. `pid` is the
    program's, and `processes` are all of its, by name, its own being "".
    """

    def __init__(self, files: Files, experiment: Experiment, *, readonly: bool = False) -> None:
        self.experiment = experiment
        self.available = why_not(files, experiment, readonly=readonly)
        self._files = files
        self._readonly = readonly
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._has = what_there_is(files, experiment, readonly=readonly)
        self._group: str | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._asking = threading.RLock()
        self._closing = threading.Lock()
        self._is_closed = False
        self._pending = b""
        self.processes: dict[str, int] = {}
        self.told: list[Told] = []
        self.run = _nothing_yet(Stage(Path(), self._page_bytes, self._has))

    @property
    def pid(self) -> int | None:
        return self.processes.get("")

    @property
    def keeper_pid(self) -> int | None:
        return self._keeper.pid if self._keeper else None

    @property
    def steps(self) -> tuple[Step, ...]:
        has = self.run.stage.has
        return tuple(step for step in self.experiment.steps if step.needs <= has)

    @property
    def left_out(self) -> list[tuple[Step, str]]:
        """The steps that are not made here, and why."""
        has = self.run.stage.has
        return left_out(self._files, self.experiment, has, readonly=self._readonly)

    @property
    def is_over(self) -> bool:
        return len(self.told) == len(self.steps)

    def start(self) -> Gap | None:
        """Makes what it needs and starts its program, which has made no step yet. `step` does it too."""
        with self._asking:
            return self._started()

    def step(self) -> Told | Gap:
        """Has the next step made, and measures it. Gap: it could not be, and the run is at its end."""
        with self._asking:
            failed = self._started()
            if failed is not None:
                return failed
            if self.is_over:
                return self._gap("it has no more steps")
            if self._is_closed:
                return self._gap("it was ended")
            step = self.steps[len(self.told)]
            before = self._figures()
            answer = self._ask(b"step\n", self.experiment.at_most_s)
            after = self._figures()
            if isinstance(answer, Gap):
                self.close()
                return answer
            facts, are_new = self._take(answer)
            if are_new:
                after = FrozenDict({**self._figures(), **after})
            self.run = Run(self.run.stage, before, after, facts)
            told = Told(step, self.run, _agreements(step, self.run))
            self.told.append(told)
            return told

    def close(self) -> None:
        """Ends the program and takes away all that was made for it; may be called again."""
        with self._closing:
            self._is_closed = True
            keeper = self._keeper
            if keeper is None or keeper.returncode is not None:
                return
            assert keeper.stdin and keeper.stdout
            with contextlib.suppress(OSError):
                keeper.stdin.close()  # which it takes for memtui's end
            try:
                keeper.wait(_ENDS_S)
            except subprocess.TimeoutExpired:
                keeper.kill()  # the next one's sweeps
                keeper.wait()
        with self._asking:  # whoever waited for an answer has been told that there is none
            keeper.stdout.close()

    def _started(self) -> Gap | None:
        if self.available is not None:
            return self.available
        if self._keeper is not None:
            return None
        experiment = self.experiment
        parent = None if self._readonly else group_parent(self._files)
        wanted = Wanted(
            experiment.name,
            sorted(self._has),
            sorted(experiment.needs),
            self._page_bytes,
            experiment.at_most_bytes,
            parent[1] if parent else None,
            experiment.group_limit_bytes,
            experiment.swap_bytes,
        )
        with self._closing:
            if self._is_closed:
                return self._gap("it was ended")
            line = command("keeper", json.dumps(wanted._asdict()))
            try:
                self._keeper = subprocess.Popen(
                    line,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                why = f"{line[0]}, which runs its program, cannot be started: {error.strerror}"
                if isinstance(error, PermissionError):
                    why += "; run memtui from where this user may execute it"
                return self._gap(why)
        told = self._answer(_STARTS_S)
        for _ in range(_WARM_UPS):
            if isinstance(told, Gap):
                break
            warm = self._ask(b"\n", _STARTS_S)
            told = warm if isinstance(warm, Gap) else told
        if isinstance(told, Gap):
            self.close()
            return told
        self.processes = {"": told["pid"]}
        if parent and told["group"]:
            self._group = f"{parent[0].rstrip('/')}/{Path(told['group']).name}"
        has: frozenset[Need] = frozenset(told["has"])
        self.run = _nothing_yet(Stage(Path(told["directory"]), self._page_bytes, has))
        figures = self._figures()
        self.run = self.run._replace(before=figures, after=figures)
        return None

    def _figures(self) -> Mapping[str, int]:
        return read_figures(self._files, self.processes, self._group, self._page_bytes)

    def _take(self, answer: Mapping[str, int]) -> tuple[Mapping[str, int], bool]:
        """All facts by now, and whether there are other processes than before."""
        named = {key: value for key, value in answer.items() if key.startswith(_PID)}
        for key, pid in named.items():
            self.processes.pop(key.removeprefix(_PID), None)
            if pid:
                self.processes[key.removeprefix(_PID)] = pid
        told = {key: value for key, value in answer.items() if key not in named}
        return FrozenDict({**self.run.facts, **told}), bool(named)

    def _ask(self, line: bytes, at_most_s: float) -> dict[str, Any] | Gap:
        assert self._keeper and self._keeper.stdin
        try:
            self._keeper.stdin.write(line)
            self._keeper.stdin.flush()
        except (OSError, ValueError):  # it is closed
            return self._gap(_GONE)
        return self._answer(at_most_s)

    def _answer(self, at_most_s: float) -> dict[str, Any] | Gap:
        """A line from the keeper; Gap where it tells of a failure, is gone, or takes too long."""
        assert self._keeper and self._keeper.stdout
        descriptor = self._keeper.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        until = time.monotonic() + at_most_s
        while b"\n" not in self._pending:
            if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                return self._gap(f"it took longer than {at_most_s:.0f} s, and was ended")
            data = os.read(descriptor, 65_536)
            if not data:
                return self._gap("it was ended" if self._is_closed else _GONE)
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return self._gap(answer["error"]) if "error" in answer else answer

    def _gap(self, words: str) -> Gap:
        return Gap(f"lab {self.experiment.name}", "failed", words)


def _nothing_yet(stage: Stage) -> Run:
    return Run(stage, FrozenDict(()), FrozenDict(()), FrozenDict(()))


def _agreements(step: Step, run: Run) -> tuple[Agreement, ...]:
    return tuple(_agreement(expected, run) for expected in step.expected(run))


def _agreement(expected: Expected, run: Run) -> Agreement:
    key = expected.key
    value = run.after.get(key, run.facts.get(key))
    measured = run.change(key) if expected.of == "change" else value
    agrees = measured is not None and expected.low <= measured <= expected.high
    return Agreement(expected, measured, agrees)
