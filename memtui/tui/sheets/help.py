"""What everything on the screen is, all keys, and what memtui itself costs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from memtui import __version__, units
from memtui.kernel.files import LiveFiles
from memtui.kernel.hidden import is_own_proc
from memtui.model.map.kinds import KINDS
from memtui.model.map.pages import PAGE_STATES
from memtui.model.shortage.rules import LEVELS, ORDER, RULES, rule_words
from memtui.model.system.metrics import METRICS
from memtui.tui import theme
from memtui.tui.keys import KEYS, keys_of
from memtui.views import VIEWS

FILTERS: Final = (
    ("libc", "the word is in the name, or in what the mapping is"),
    ("rss>100M  swap>0", "a figure; K, M, G and T are powers of 1024"),
    ("perm:w  kind:heap,anon", "a part of a text; one of several kinds"),
    ("-path:/usr  rss<1M", "not this; and several at once: all must hold"),
    ("@7f2d0c000000", "go to that address"),
)


class HelpScreen(ModalScreen[None]):
    """The tables of keys, figures and kinds, as text; any of its keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "close", show=False),
        # A modal screen hides the application's own keys.
        Binding("ctrl+c", "app.quit", "quit", show=False),
        Binding("ctrl+z", "app.suspend_process", "suspend", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("pageup", "scroll(-10)", "page up", show=False),
        Binding("pagedown,space", "scroll(10)", "page down", show=False),
    ]

    def __init__(self, readonly: bool = False) -> None:
        super().__init__()
        self._readonly = readonly

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(help_text(self._readonly), markup=False)

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help").scroll_relative(y=lines, animate=False)


def help_text(readonly: bool = False) -> Text:
    """The whole help, made of the tables that the rest of the program reads."""
    bright = theme.style(theme.BRIGHT, bold=True)
    accent, dim = theme.style(theme.ACCENT, bold=True), theme.style(theme.DIM)
    text = Text()
    text.append(f"memtui {__version__}", bright)
    text.append(f" · {own_cost()} · Esc closes\n\n", dim)
    for heading, rows in _keys(readonly):
        text.append(f"{heading}\n", accent)
        for shown, words in rows:
            text.append(f"  {shown:<8} ", bright)
            text.append(words + "\n")
        text.append("\n")
    text.append("FILTERS OF THE MAP\n", accent)
    for shown, words in FILTERS:
        text.append(f"  {shown:<24} ", bright)
        text.append(words + "\n")
    text.append("\nTHE VERDICT, WORST LEVEL FIRST: ANY LINE MAKES IT\n", accent)
    for level in reversed(ORDER):
        text.append(f"  {LEVELS[level].label:<17}", bright)
        text.append(f"{LEVELS[level].meaning}\n")
        for rule in RULES:
            if rule.level == level:
                text.append(f"      {rule_words(rule)}\n", dim)
    text.append("\nFIGURES\n", accent)
    for metric in METRICS.values():
        text.append(f"  {metric.label}", bright)
        text.append(f"  {metric.formula}\n", dim)
        text.append(f"      {metric.definition}\n")
        text.append(f"      read from {metric.source}\n", dim)
    for name, words in (
        (
            "RSS",
            "Resident set size: the pages of a process that are in memory. Pages that several "
            "processes share count in each of them. From statm.",
        ),
        (
            "PSS",
            "Proportional set size: as RSS, but a page shared by n processes counts as an nth. "
            "From smaps.",
        ),
        ("Δ/MIN", "What a process's RSS gained or lost in the last minute."),
        ("SWAP", "What of a process is swapped out: VmSwap of status."),
        ("OOM", "oom_score: the higher, the sooner the kernel kills it when memory runs out."),
    ):
        text.append(f"  {name}\n", bright)
        text.append(f"      {words}\n")
    text.append("\nPAGES, IN THE PICTURE'S LOWEST ZOOM\n", accent)
    for state in PAGE_STATES:
        text.append(f"  {state.letter} ", theme.style(state.colour, bold=True))
        text.append(f"{state.words}\n")
    text.append("\nKINDS OF MAPPING\n", accent)
    for kind in KINDS:
        text.append(f"  {kind.letter} ", theme.style(kind.colour, bold=True))
        text.append(f"{kind.name:<13} {kind.words}\n")
    text.append(
        "\n  The picture shows the address space from low to high addresses, each region to scale;\n"
        "  ~83T~ is a hole of 83 TiB, folded. The stronger a colour, the more of it is in memory.\n"
        "  + zooms in, down to single pages, which the kernel's pagemap tells of.\n",
        dim,
    )
    return text


def _keys(readonly: bool) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The table of keys by where they work."""
    everywhere = [(view.key, f"{view.title}: {view.help}") for view in VIEWS]
    everywhere += [(key.shown, key.help) for key in KEYS if not key.views]
    everywhere.append(("↑ ↓ PgUp PgDn Home End", "move in a list"))
    yield "KEYS EVERYWHERE", everywhere
    for view in VIEWS:
        own = [(key.shown, key.help) for key in keys_of(view.name, readonly) if key.views]
        if view.name == "map":
            own.append(("← → ↑ ↓", "in the picture: from mapping to mapping; zoomed: cell by cell"))
        yield f"KEYS IN {view.title.upper()}", own
    shown = {view.name for view in VIEWS}
    sheets = [(key.shown, key.help) for key in KEYS if key.views and shown.isdisjoint(key.views)]
    yield "KEYS IN WHAT OPENS OVER THE MAP", sheets


def own_cost() -> str:
    """What memtui itself takes: processor time since it began and memory, by psutil."""
    return f"itself: {units.duration(time.process_time())} of processor time, PSS {units.size(_own_pss())}"


def _own_pss() -> int | None:
    """None where this /proc has other pids than ours, or nothing tells: an ornament ends no program."""
    if not is_own_proc(LiveFiles().read("proc/self/status"), os.getpid()):
        return None
    try:
        import psutil

        # Without smaps in the kernel there is no such field.
        return int(psutil.Process().memory_full_info().pss)
    except Exception:
        return None
