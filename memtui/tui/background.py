"""Slow work for a widget, on a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from textual.widget import Widget

T = TypeVar("T")


def in_background(widget: Widget, work: Callable[[], T], then: Callable[[T], None]) -> None:
    """Does something slow, then tells the widget, if it is there by then.

    The thread is a daemon: a file on a dead server may hold it for ever, and the program ends all
    the same. Work does not raise; what fails in it is a value.
    """

    def run() -> None:
        result = work()
        with contextlib.suppress(RuntimeError):  # the program has ended meanwhile
            widget.call_later(then, result)

    threading.Thread(target=run, name="background", daemon=True).start()
