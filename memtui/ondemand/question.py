"""Questions: what is read, or worked out, once, when somebody asks: on a thread that may take long.

A question is frozen, for it goes to another thread, or to another machine. What fails in answering it
is a Gap, so that whoever waits for the answer gets one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from memtui.defects import defect
from memtui.kernel.files import Files, Gap
from memtui.model.machine import Machine

T = TypeVar("T")

# Told how much of how much is done; whether to go on.
GoOn = Callable[[int, int], bool]


class Question(Generic[T]):
    """What is to be read. Subclasses are frozen; `source` names what of, where it fails.

    `is_repeated`: it is asked again and again while somebody looks, and so its cost counts into the
    budget of such readings.
    """

    __slots__ = ()
    is_repeated: ClassVar[bool] = False

    @property
    def source(self) -> str:
        return "proc"

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> T | Gap:
        """Reads it. On a thread of its own; its imports too are made there."""
        raise NotImplementedError


class Work(Generic[T]):
    """What is to be worked out from what is at hand already, and takes too long for a screen."""

    __slots__ = ()

    @property
    def source(self) -> str:
        return type(self).__name__

    def work(self) -> T | Gap:
        raise NotImplementedError


class Asked:
    """What was asked, for as long as somebody wants to know."""

    def __init__(self, question: Question[Any] | Work[Any]) -> None:
        self.question = question
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Nobody waits for it any more. From any thread."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()


class Answer(NamedTuple):
    """What came of it, a Gap where nothing did; `cost_s` is processor time."""

    asked: Asked
    value: Any
    cost_s: float = 0.0


class Progress(NamedTuple):
    """How far it is."""

    asked: Asked
    done: int
    total: int


Reply = Callable[[Answer | Progress], None]


def begin(
    question: Question[Any] | Work[Any], answer: Callable[[GoOn], Any], reply: Reply
) -> Asked:
    """Answers on a thread, on which `reply` is called.

    The thread is a daemon: a file on a dead server may hold it for ever, and the program ends all
    the same.
    """
    asked = Asked(question)

    def go_on(done: int, total: int) -> bool:
        if total and done * 20 // total != (done - 1) * 20 // total:
            reply(Progress(asked, done, total))
        return not asked.is_stopped

    def run() -> None:
        began_s = time.thread_time()
        try:
            value = answer(go_on)
        except Exception as error:
            value = Gap(question.source, "failed", defect(error))
        reply(Answer(asked, value, time.thread_time() - began_s))

    threading.Thread(target=run, name="answering", daemon=True).start()
    return asked
