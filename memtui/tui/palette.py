"""What the command palette finds: views, what the keys do, pages, figures and terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from textual.app import SystemCommand

from memtui.model.explain import explain as explaining
from memtui.tui.keys import Key
from memtui.tui.views import pages_of
from memtui.views import VIEWS


def commands(keys: Iterable[Key], run: Callable[[str], object]) -> Iterable[SystemCommand]:
    """All of them; `keys` are those of what is looked at, `run` is given an action's name."""
    for view in VIEWS:
        action = f"view('{view.name}')"
        yield SystemCommand(f"{view.title} ({view.key})", view.help, partial(run, action))
    for key in keys:
        if key.action not in ("command_palette", "focus_next"):
            name = f"{key.footer or key.help.split(';')[0]} ({key.shown})"
            yield SystemCommand(name, key.help, partial(run, key.action))
    for view in VIEWS:
        for name, words in pages_of(view.name).items():
            action = f"page({view.name!r}, {name!r})"
            yield SystemCommand(f"{name}, a page of {view.title}", words, partial(run, action))
    yield SystemCommand(
        "owners: who holds shared memory",
        "tmpfs mounts, System V segments, memfds, GPU buffers",
        partial(run, "owners"),
    )
    for name in explaining.names():  # too many to list unasked
        action = f"explain_term({name!r})"
        words = explaining.title(name)
        yield SystemCommand(f"explain {name}", words, partial(run, action), discover=False)
