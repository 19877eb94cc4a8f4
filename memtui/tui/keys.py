"""The one table of keys: bindings, footer, help and palette are made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from textual.binding import Binding

from memtui.views import VIEWS


class Key(NamedTuple):
    """A key, the action it runs, its name on the screen, and what it does.

    `views` says where it works, empty everywhere: the action is then the application's, else the
    view's own. `footer` is its word in the footer, most important first in the table; empty: help
    only.
    """

    key: str
    action: str
    shown: str
    help: str
    footer: str = ""
    views: tuple[str, ...] = ()
    changes: bool = False  # the machine: not there where that is not wanted


_OVERVIEW: Final = ("overview",)
_PROCESSES: Final = ("processes",)
_MAP: Final = ("map",)
_PRESSURE: Final = ("pressure",)
_PHYSICAL: Final = ("physical",)
_RUN: Final = ("run",)
_LAB: Final = ("lab",)
_SHEETS: Final = (
    "pagetable",
    "inside",
    "sharers",
    "difference",
    "pagetypes",
    "policy",
    "obituary",
    "owners",
    "group",
    "crash",
    "leaks",
    "choice",
)
_EXPLAINING: Final = ("explain", "terms")

KEYS: Final = (
    Key("enter", "enter", "Enter", "open the chosen process's map in full", "map", _OVERVIEW),
    Key("escape", "back", "Esc", "clear the filter", "", _OVERVIEW),
    Key(
        "slash",
        "filter",
        "/",
        "show only processes whose name or pid has this",
        "filter",
        _OVERVIEW,
    ),
    Key(
        "s",
        "sort",
        "s",
        "sort by the next column (a click on a column's head does it too)",
        "",
        _OVERVIEW,
    ),
    Key(
        "I", "invert", "I", "turn the order round", "", (*_OVERVIEW, *_PROCESSES, *_MAP, *_PHYSICAL)
    ),
    Key(
        "plus,equals_sign",
        "zoom(1)",
        "+",
        "a shorter window: 60, 15, 5, 1 min; of the OOM ranking a higher adj to try",
        "",
        (*_OVERVIEW, *_PRESSURE),
    ),
    Key(
        "minus,underscore",
        "zoom(-1)",
        "-",
        "a longer window; a lower adj to try",
        "",
        (*_OVERVIEW, *_PRESSURE),
    ),
    Key(
        "z",
        "scale",
        "z",
        "cut the graph's scale to where it moves, or from 0 to all there is",
        "",
        _OVERVIEW,
    ),
    # The view of processes.
    Key("enter", "enter", "Enter", "open its map; of a group, its members", "map", _PROCESSES),
    Key(
        "escape",
        "back",
        "Esc",
        "clear the filter; back to the groups, to single processes, to the overview",
        "",
        _PROCESSES,
    ),
    Key(
        "slash",
        "filter",
        "/",
        "filter: postgres  rss>1G  user:root  swap>0  -state:S",
        "filter",
        _PROCESSES,
    ),
    Key("s", "sort", "s", "sort by a column (or click its head)", "sort", _PROCESSES),
    Key(
        "g",
        "group",
        "g",
        "group by program, user, unit, cgroup, and back to single processes",
        "group",
        _PROCESSES,
    ),
    Key("t", "tree", "t", "processes below those that began them", "tree", _PROCESSES),
    Key("C", "columns", "C", "choose the columns of the table", "columns", _PROCESSES),
    Key("P", "read_all", "P", "read the PSS of all processes now", "all PSS", _PROCESSES),
    Key("L", "leaks", "L", "the leak hunt, and what grew from then to now", "leaks", _PROCESSES),
    Key("K", "signal", "K", "send it a signal; asks first", "signal", _PROCESSES, True),
    Key(
        "a",
        "adjust",
        "a",
        "change its oom_score_adj; asks first",
        "adjust",
        _PROCESSES,
        True,
    ),
    Key(
        "u",
        "undo",
        "u",
        "put back what was last done here: the adjustment, STOP or CONT; asks first",
        "",
        _PROCESSES,
        True,
    ),
    # The map view.
    Key(
        "escape", "back", "Esc", "clear the filter; zoom out; go back to the overview", "back", _MAP
    ),
    Key("enter", "inside", "Enter", "look inside: ELF sections, symbols, flags", "inside", _MAP),
    Key(
        "t",
        "page_table",
        "t",
        "down to the page table entry of the cursor's address",
        "table",
        _MAP,
    ),
    Key(
        "slash",
        "filter",
        "/",
        "filter: libc  rss>100M  perm:w  kind:heap  @7f2d0c000000",
        "filter",
        _MAP,
    ),
    Key(
        "plus,equals_sign",
        "zoom(1)",
        "+",
        "zoom into the picture, down to single pages",
        "zoom",
        _MAP,
    ),
    Key("minus,underscore", "zoom(-1)", "-", "zoom out of the picture", "", _MAP),
    Key("s", "sort", "s", "sort by a column (or click its head)", "sort", _MAP),
    Key("m", "mark", "m", "mark this moment, to see what changes from here on", "mark", _MAP),
    Key(
        "d",
        "difference",
        "d",
        "what changed since the mark (or since it is looked at)",
        "diff",
        _MAP,
    ),
    Key(
        "w",
        "sharers",
        "w",
        "who else maps this file or shared memory, and pays for it; of a core dump, why it died",
        "who",
        _MAP,
    ),
    Key("x", "crash", "x", "why the program died, of a core dump", "", _MAP),
    Key("C", "columns", "C", "choose the columns of the table", "columns", _MAP),
    Key(
        "n",
        "match(1)",
        "n",
        "find: the next mapping that fits; asks what, the first time",
        "",
        _MAP,
    ),
    Key("N", "match(-1)", "N", "the one before that fits", "", _MAP),
    Key("at", "goto", "@", "go to an address", "", _MAP),
    Key(
        "y", "copy", "y", "copy the mapping under the cursor to the terminal's clipboard", "", _MAP
    ),
    Key("e", "export", "e", "write what the table shows to a .csv or .json file", "export", _MAP),
    Key(
        "e",
        "export",
        "e",
        "write the table to a .csv or .json file",
        "",
        (*_OVERVIEW, *_PROCESSES, *_PRESSURE, *_PHYSICAL),
    ),
    Key("left", "turn(-1)", "←", "the page of tables before", "", _PRESSURE),
    Key("right", "turn(1)", "→", "the next page: figures, sar, marks, OOM, events", "", _PRESSURE),
    Key(
        "enter",
        "enter",
        "Enter",
        "on an event, to that moment; all that is known of a death; the OOM ranking in a "
        "process's group",
        "",
        _PRESSURE,
    ),
    Key("escape", "back", "Esc", "take back the adj that is tried; leave the group", "", _PRESSURE),
    Key(
        "w",
        "what_if",
        "w",
        "what if: where another oom_score_adj would rank a process",
        "what if",
        _PRESSURE,
    ),
    Key("slash", "find", "/", "find a process in the OOM ranking", "", _PRESSURE),
    Key("p", "policy", "p", "the policy in force when memory runs out", "policy", _PRESSURE),
    # The physical view.
    Key(
        "enter",
        "enter",
        "Enter",
        "into the section's rows; on a row, to who holds that memory",
        "who",
        _PHYSICAL,
    ),
    Key("escape", "back", "Esc", "clear the filter; back to the list of sections", "", _PHYSICAL),
    Key(
        "s",
        "sort",
        "s",
        "sort slab caches or control groups by the next column (or click its head)",
        "",
        _PHYSICAL,
    ),
    Key(
        "slash",
        "filter",
        "/",
        "show only slab caches or control groups whose name has this",
        "filter",
        _PHYSICAL,
    ),
    Key(
        "p",
        "page_types",
        "p",
        "free blocks and page blocks by what may be in them (root)",
        "types",
        _PHYSICAL,
    ),
    # The run.
    Key("w", "why", "w", "why it crashed", "why", _RUN),
    Key("enter", "enter", "Enter", "let what is held die; else the map in full", "map", _RUN),
    Key(
        "f12", "hand_over", "F12", "give the keys to its terminal, and take them back", "keys", _RUN
    ),
    Key("x", "whole", "x", "its terminal alone, and everything again", "whole", _RUN),
    # The lab.
    Key(
        "enter",
        "enter",
        "Enter",
        "begin the experiment; make its step, with your guess or without one; go on to the next",
        "next",
        _LAB,
    ),
    Key("escape", "back", "Esc", "leave the experiment: its program ends", "", _LAB),
    *(
        Key(letter, f"guess({at})", letter, f"guess answer {letter} (← → go along them)", "", _LAB)
        for at, letter in enumerate("abcd")
    ),
    Key("left", "guess_on(-1)", "←", "guess the answer before", "", _LAB),
    Key("right", "guess_on(1)", "→", "guess the next answer", "", _LAB),
    Key("p", "play", "p", "make the steps by itself, one every few seconds", "by itself", _LAB),
    Key("r", "again", "r", "begin the experiment anew", "again", _LAB),
    # Sheets: what opens over the map view.
    Key("escape", "close", "Esc", "back to where it was opened", "back", _SHEETS),
    Key("left", "step(-1)", "←", "the page before", "page before", ("pagetable",)),
    Key("right", "step(1)", "→", "the page after", "page after", ("pagetable",)),
    Key(
        "enter",
        "goto",
        "Enter",
        "go to it in the map",
        "go there",
        ("inside", "difference", "sharers", "owners", "group", "leaks"),
    ),
    Key("enter", "goto", "Enter", "to that moment: every view as it was", "then", ("obituary",)),
    Key(
        "d",
        "grew",
        "d",
        "what leaks; what grew: processes, by name, by user, by cgroup",
        "what grew",
        ("leaks",),
    ),
    Key("slash", "span", "/", "from when until when: -30m, or 14:00 14:30", "when", ("leaks",)),
    Key("r", "again", "r", "look again, up to now", "again", ("leaks",)),
    Key(
        "enter",
        "go_on",
        "Enter",
        "let what is held die; of what is dead, go to the map",
        "go on",
        ("crash",),
    ),
    Key("w", "close", "w", "back to where it was opened", "", ("crash",)),
    Key("enter", "done", "Enter", "take what is chosen", "", ("choice",)),
    Key("space", "take", "Space", "choose it or not", "", ("choice",)),
    Key("y", "copy", "y", "copy this sheet to the terminal's clipboard", "copy", _SHEETS[:-1]),
    # Explanations.
    Key("escape", "close", "Esc", "back to what was explained before", "back", _EXPLAINING),
    Key("enter", "goto", "Enter", "explain the term under the cursor", "explains", _EXPLAINING),
    Key("slash", "find", "/", "find a term to explain", "find", ("explain",)),
    Key(
        "y", "copy", "y", "copy this explanation to the terminal's clipboard", "copy", ("explain",)
    ),
    # Everywhere.
    Key("o", "open", "o", "open a process by its pid or name", "open"),
    Key("c", "scope", "c", "switch between the host and the control group around memtui"),
    Key("tab", "focus_next", "Tab", "go to the next panel"),
    Key(
        "i",
        "explain",
        "i",
        "explain what is under the cursor: definition, today's numbers, source",
        "explain",
    ),
    # Time.
    Key(
        "left_square_bracket",
        "step(-1)",
        "[",
        "back in time, a sample; every view shows that moment, and sampling goes on",
        "past",
    ),
    Key("right_square_bracket", "step(1)", "]", "forward in time, a sample"),
    Key("left_curly_bracket", "minute(-1)", "{", "back in time, a minute"),
    Key("right_curly_bracket", "minute(1)", "}", "forward in time, a minute"),
    Key("0", "live", "0", "back to now; in a recording to its end"),
    Key("T", "time", "T", "go to a time that is typed: -15m, 14:32, 14:32:07"),
    Key("left_parenthesis", "event(-1)", "(", "back to the event before: a kill, an alert"),
    Key("right_parenthesis", "event(1)", ")", "forward to the next event"),
    Key("R", "record", "R", "record what is shown to a file; once more stops that"),
    Key(
        "space",
        "freeze",
        "Space",
        "freeze the screen; sampling goes on. A recording: play it, and pause",
    ),
    Key("less_than_sign", "interval(-1)", "<", "sample more often; play a recording slower"),
    Key("greater_than_sign", "interval(1)", ">", "sample less often; play a recording faster"),
    # The last two keep their places in the footer.
    Key(
        "question_mark,f1",
        "help",
        "?",
        "what everything on the screen is, and all keys (F1 too)",
        "help",
    ),
    Key("ctrl+p", "command_palette", "^P", "find a command by its name"),
    Key("ctrl+z", "suspend_process", "^Z", "suspend; `fg` comes back"),
    Key("q,ctrl+c,ctrl+q", "quit", "q", "quit", "quit"),
)


def keys_of(view: str, readonly: bool = False) -> Iterator[Key]:
    """The keys that work in a view: its own, then those that work everywhere.

    `readonly`: without those that change the machine.
    """
    for own in (True, False):
        for key in KEYS:
            if (view in key.views if own else not key.views) and not (readonly and key.changes):
                yield key


def bindings(view: str = "") -> list[Binding]:
    """The bindings of a view's own keys; without a view, of those that work everywhere."""
    return [
        Binding(key.key, key.action, key.help, show=False)
        for key in KEYS
        if (view in key.views if view else not key.views)
    ]


def elsewhere(pressed: str, view: str) -> str:
    """What a key that does nothing in a view does in others, in a sentence; "" where it is none."""
    found = [
        (each.title, key)
        for each in VIEWS
        for key in KEYS
        if each.name in key.views and each.name != view and pressed in key.key.split(",")
    ]
    if not found:
        return ""
    places = [title for title, _ in found]
    where = " and ".join(filter(None, (", ".join(places[:-1]), places[-1])))
    # What it does, where that is the same.
    helps = {key.help for _, key in found}
    return f"{found[0][1].shown} is for {where}" + (f": {helps.pop()}" if len(helps) == 1 else "")
