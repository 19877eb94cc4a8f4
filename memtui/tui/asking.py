"""Questions that widgets ask, and who hears the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from textual.widget import Widget

from memtui.kernel.files import Gap
from memtui.ondemand.question import Answer, Asked, Progress, Question, Reply, Work, begin
from memtui.session.session import Session

T = TypeVar("T")


class _Waiting(NamedTuple):
    widget: Widget
    then: Callable[[Any], None]
    progress: Callable[[int, int], None] | None


class Asking:
    """What is asked and not answered yet. A widget waits for one answer of each type of question: to
    ask another ends the one before. Of the interface's thread."""

    def __init__(self, session: Session, reply: Reply) -> None:
        self._session = session
        self._reply = reply
        self._waiting: dict[Asked, _Waiting] = {}

    def look_up(
        self,
        widget: Widget,
        question: Question[T] | Work[T],
        then: Callable[[T | Gap], None],
        progress: Callable[[int, int], None] | None = None,
    ) -> Asked:
        """Has it answered on another thread, then tells the widget, if it is there by then.

        What is being answered is not asked again, or the threads that a dead file holds would pile
        up.
        """
        for asked, waiting in self._waiting.items():
            if waiting.widget is widget and asked.question == question:
                self._waiting[asked] = _Waiting(widget, then, progress)
                return asked
        self.forget(widget, type(question))
        if isinstance(question, Work):
            asked = begin(question, lambda _go_on: question.work(), self._reply)
        else:
            asked = self._session.ask(question)
        self._waiting[asked] = _Waiting(widget, then, progress)
        return asked

    def may_look_again(self) -> bool:
        return self._session.may_look_again()

    def forget(self, widget: Widget, kind: type | None = None) -> None:
        """Ends what a widget waits for: questions of that type, or all."""
        for asked, waiting in list(self._waiting.items()):
            if waiting.widget is widget and kind in (None, type(asked.question)):
                asked.stop()
                del self._waiting[asked]

    def take(self, reply: Answer | Progress) -> None:
        """An answer has come, or how far it is."""
        waiting = self._waiting.get(reply.asked)
        if waiting is None:
            return
        if isinstance(reply, Answer):
            del self._waiting[reply.asked]
        if not waiting.widget.is_attached:
            return
        if isinstance(reply, Answer):
            waiting.then(reply.value)
            waiting.widget.refresh_bindings()  # of what is known now, another key may do something
        elif waiting.progress is not None:
            waiting.progress(reply.done, reply.total)


def look_up(
    widget: Widget,
    question: Question[T] | Work[T],
    then: Callable[[T | Gap], None],
    progress: Callable[[int, int], None] | None = None,
) -> Asked:
    """Asks for a widget of an application that has an `Asking`."""
    asking: Asking = widget.app.asking  # type: ignore[attr-defined]
    return asking.look_up(widget, question, then, progress)


def drop(widget: Widget, kind: type | None = None) -> None:
    """Nothing of that type, or nothing at all, is wanted any more."""
    asking: Asking = widget.app.asking  # type: ignore[attr-defined]
    asking.forget(widget, kind)


def may_look_again(widget: Widget) -> bool:
    """Whether the budget of repeated readings has room for one."""
    asking: Asking = widget.app.asking  # type: ignore[attr-defined]
    return asking.may_look_again()
