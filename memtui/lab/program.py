"""What runs in an experiment's process: a step for each line that it is sent.

It answers a line of JSON: what the step tells, or {"error": …}. An empty line is no step, and is
answered too, so that all that answering takes is in memory before anything is measured. It has the
standard library and the experiment's module, and nothing else of memtui's.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from memtui.lab.experiment import Experiment, Facts, Stage

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_SIGKILL: Final = 9


def main() -> None:
    """Its arguments: where memtui is, the experiment's name, its stage as JSON."""
    name, stage = sys.argv[2], json.loads(sys.argv[3])
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NAME, f"lab-{name}".encode()[:15], 0, 0, 0)
    # Whom it forks dies with it, as it does with its keeper.
    os.register_at_fork(
        after_in_child=lambda: libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0),
    )
    questions, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    _silence()
    experiment: Experiment = import_module(f"memtui.lab.experiments.{name}").EXPERIMENT
    gc.disable()  # it would write to what is shared with a child
    try:
        steps = experiment.program(
            Stage(Path(stage["directory"]), stage["page_bytes"], frozenset(stage["has"]))
        )
    except Exception as error:
        steps = _failed(error)
    for line in questions:
        answers.write(json.dumps(_answer(lambda: next(steps)) if line.strip() else {}) + "\n")
        answers.flush()


def _silence() -> None:
    """What it or its children print or ask for is not part of an answer."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def _answer(step: Callable[[], Facts]) -> Facts | dict[str, str]:
    try:
        return step()
    except StopIteration:
        return {"error": "it has no more steps"}
    except Exception as error:
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}


def _failed(error: Exception) -> Iterator[Facts]:
    raise error
    yield {}
