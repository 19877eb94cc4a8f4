"""The one table of keys, and the one of views: bindings, footer, help and palette are made of them."""

from __future__ import annotations

from typing import Final, NamedTuple


class Key(NamedTuple):
    """A key, the app's action for it, its name on the screen, and what it does.

    `footer` is its word in the footer, most important first in the table; empty: help only.
    """

    key: str
    action: str
    shown: str
    help: str
    footer: str = ""
    views: tuple[str, ...] = ()  # empty: all


class View(NamedTuple):
    key: str
    name: str
    title: str
    help: str


VIEWS: Final = (
    View("1", "overview", "Overview", "the memory graph, pressure, processes and a map"),
    View("3", "map", "Map", "one process's address space: kinds, picture, mappings"),
)

KEYS: Final = (
    Key("enter", "enter", "Enter", "open the chosen process's map in full", "map", ("overview",)),
    Key("escape", "back", "Esc", "go back; clear the filter", "back", ("map",)),
    Key(
        "slash",
        "filter",
        "/",
        "show only processes whose name or pid has this in it",
        "filter",
        ("overview",),
    ),
    Key(
        "s",
        "sort",
        "s",
        "sort by the next column (a click on a column's head does it too)",
        "sort",
        ("overview",),
    ),
    Key("I", "invert", "I", "turn the order round", "", ("overview",)),
    Key("o", "open", "o", "open a process by its pid or name", "open"),
    Key(
        "plus,equals_sign",
        "zoom(1)",
        "+",
        "a shorter window: 60, 15, 5, 1 minutes",
        "window",
        ("overview",),
    ),
    Key("minus,underscore", "zoom(-1)", "-", "a longer window", "", ("overview",)),
    Key("space", "freeze", "Space", "freeze the screen; sampling goes on", "freeze"),
    Key("less_than_sign", "interval(-1)", "<", "sample more often"),
    Key("greater_than_sign", "interval(1)", ">", "sample less often"),
    Key("tab", "app.focus_next", "Tab", "go to the next panel"),
    Key("question_mark", "help", "?", "what everything on the screen is, and all keys", "help"),
    Key("ctrl+p", "command_palette", "^P", "find a command by its name"),
    Key("ctrl+z", "suspend_process", "^Z", "suspend; `fg` comes back"),
    Key("q,ctrl+c", "quit", "q", "quit", "quit"),
)
