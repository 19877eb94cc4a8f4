"""What everything on the screen is, all keys, and what memtui itself costs."""

from __future__ import annotations

import os
import re
import textwrap
import time
from collections.abc import Iterator
from typing import ClassVar, Final, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from memtui import __version__, units
from memtui.kernel.hidden import is_own_proc
from memtui.kernel.livefiles import LiveFiles
from memtui.model.map.kinds import KINDS
from memtui.model.map.pages import PAGE_STATES
from memtui.model.shortage.rules import LEVELS, ORDER, RULES, Level, rule_words
from memtui.model.system.metrics import METRICS
from memtui.tui import theme
from memtui.tui.keys import KEYS, keys_of
from memtui.tui.words.cells import Line
from memtui.views import RUN, VIEWS

_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)
_PLAIN = theme.style(theme.FOREGROUND)
_DIM = theme.style(theme.DIM)
_WIDE: Final = 1 << 16  # where nothing is wrapped
_LEAST: Final = 30

FILTERS: Final = (
    ("libc", "the word is in the name, or in what the mapping is"),
    ("rss>100M  swap>0", "a figure; K, M, G and T are powers of 1024"),
    ("perm:w  kind:heap,anon", "a part of a text; one of several kinds"),
    ("-path:/usr  rss<1M", "not this; and several at once: all must hold"),
    ("@7f2d0c000000", "go to that address"),
)
_PROCESS_FIGURES: Final = (
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
)
_PICTURE: Final = (
    "The picture shows the address space from low to high addresses, each region to scale; "
    "~83T~ is a hole of 83 TiB, folded. The stronger a colour, the more of it is in memory. "
    "+ zooms in, down to single pages, which the kernel's pagemap tells of."
)


class _Entry(NamedTuple):
    """Something that help tells of. `lines` are broken at blanks below where their last part begins."""

    lines: tuple[Line, ...]

    @property
    def plain(self) -> str:
        return "\n".join("".join(text for text, _ in line) for line in self.lines)


class HelpScreen(ModalScreen[None]):
    """The tables of keys, figures and kinds, as text; any of its keys but / closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "close", show=False),
        Binding("q,question_mark,enter", "dismiss", "close", show=False),
        Binding("slash", "find", "find", show=False),
        # A modal screen hides the application's own keys.
        Binding("ctrl+c", "app.quit", "quit", show=False),
        Binding("ctrl+z", "app.suspend_process", "suspend", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("pageup", "scroll(-10)", "page up", show=False),
        Binding("pagedown,space", "scroll(10)", "page down", show=False),
    ]

    def __init__(self, readonly: bool = False, view: str = "") -> None:
        """`view` is the one that is looked at, or the sheet over it: what it has comes first."""
        super().__init__()
        self._readonly = readonly
        self._view = view
        self._sought = ""
        self._cost = own_cost()

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(markup=False)

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        text = self.query_one(Static)
        width = text.content_size.width or _WIDE
        text.update(help_text(self._readonly, self._view, self._sought, width, self._cost))

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help").scroll_relative(y=lines, animate=False)

    async def action_find(self) -> None:
        from memtui.tui.widgets.prompt import ask

        await ask(self.query_one("#help"), "find in help: ", self._seek, self._sought, live=True)

    def _seek(self, text: str, _final: bool) -> str:
        self._sought = text.strip()
        self._draw()
        self.query_one("#help").scroll_home(animate=False)
        return ""

    def action_back(self) -> None:
        """Takes back what was sought; without, closes."""
        if self._sought:
            self._seek("", True)
        else:
            self.dismiss()


def help_text(
    readonly: bool = False, view: str = "", sought: str = "", width: int = _WIDE, cost: str = ""
) -> Text:
    """The help of a view first, then all else, made of the tables that the rest of the program reads.

    `sought`: only what has words that begin with all of these, or is under a heading that has them.
    Lines are broken for a width in cells.
    """
    text = Text()
    text.append(f"memtui {__version__}", _BRIGHT)
    text.append(f" · {cost or own_cost()} · Esc closes\n", _DIM)
    text.append(f"/ finds{f': {units.printable(sought)}' if sought else ''}\n", _DIM)
    # "oom" is not in "zoom", but in "panic_on_oom".
    words = [re.compile(rf"(?<![^\W_]){re.escape(word)}", re.I) for word in sought.split()]
    found = False
    for heading, entries in _blocks(readonly, view):
        shown = [
            entry
            for entry in entries
            if all(word.search(f"{heading}\n{entry.plain}") for word in words)
        ]
        if not shown:
            continue
        found = True
        text.append(f"\n{heading}\n", _ACCENT)
        for entry in shown:
            for line in entry.lines:
                _append(text, line, width)
    if not found:
        text.append(f"\nnothing here has “{units.printable(sought)}”: Esc shows all again\n", _DIM)
    return text


def _append(text: Text, line: Line, width: int) -> None:
    """A line, its last part broken at blanks where it does not fit, and set in."""
    *before, (words, style) = line
    for part, of in before:
        text.append(part, of)
    begins = sum(units.width(part) for part, _ in before)
    if begins + units.width(words) <= width:
        text.append(words + "\n", style)
        return
    inset = begins if width - begins >= _LEAST else 6
    pieces = textwrap.wrap(words, max(_LEAST, width - inset), initial_indent="")
    if inset < begins:
        text.append("\n" + " " * inset)
    text.append(("\n" + " " * inset).join(pieces) + "\n", style)


def _blocks(readonly: bool, view: str) -> Iterator[tuple[str, list[_Entry]]]:
    """Headings with what is told under each; those of the view first."""
    names = [each.name for each in (*VIEWS, RUN)]
    own = [key for key in keys_of(view, readonly) if key.views] if view else []
    if view in names:
        yield _keys_of(view, readonly)
    elif own:
        yield "KEYS HERE", [_key(key.shown, key.help) for key in own]
    if view == "map":
        yield from _of_map()
    everywhere = [_key(each.key, f"{each.title}: {each.help}") for each in VIEWS]
    everywhere += [_key(key.shown, key.help) for key in KEYS if not key.views]
    yield "KEYS EVERYWHERE", [*everywhere, _key("↑ ↓ PgUp PgDn Home End", "move in a list")]
    for name in names:
        if name != view:
            yield _keys_of(name, readonly)
    sheets = [key for key in KEYS if key.views and set(names).isdisjoint(key.views)]
    yield "KEYS IN WHAT OPENS OVER A VIEW", [_key(key.shown, key.help) for key in sheets]
    yield "THE VERDICT, WORST LEVEL FIRST: ANY LINE MAKES IT", list(map(_level, reversed(ORDER)))
    yield "FIGURES", [*map(_figure, METRICS), *(_defined(*each) for each in _PROCESS_FIGURES)]
    if view != "map":
        yield from _of_map()


def _keys_of(view: str, readonly: bool) -> tuple[str, list[_Entry]]:
    title = next(each.title for each in (*VIEWS, RUN) if each.name == view)
    own = [_key(key.shown, key.help) for key in keys_of(view, readonly) if key.views]
    if view == "map":
        own.append(_key("← → ↑ ↓", "in the picture: from mapping to mapping; zoomed: cell by cell"))
    return f"KEYS IN {title.upper()}", own


def _of_map() -> Iterator[tuple[str, list[_Entry]]]:
    yield (
        "FILTERS OF THE MAP",
        [_Entry(([(f"  {shown:<24} ", _BRIGHT), (words, _PLAIN)],)) for shown, words in FILTERS],
    )
    yield (
        "PAGES, IN THE PICTURE'S LOWEST ZOOM",
        [_lettered(each.letter, each.colour, each.words) for each in PAGE_STATES],
    )
    yield (
        "KINDS OF MAPPING",
        [_lettered(each.letter, each.colour, f"{each.name:<13} {each.words}") for each in KINDS]
        + [_Entry(([("  ", _PLAIN), (_PICTURE, _DIM)],))],
    )


def _key(shown: str, words: str) -> _Entry:
    return _Entry(([(f"  {shown:<8} ", _BRIGHT), (words, _PLAIN)],))


def _lettered(letter: str, colour: str, words: str) -> _Entry:
    return _Entry(([(f"  {letter} ", theme.style(colour, bold=True)), (words, _PLAIN)],))


def _level(level: Level) -> _Entry:
    head: Line = [(f"  {LEVELS[level].label:<17}", _BRIGHT), (LEVELS[level].meaning, _PLAIN)]
    rules: list[Line] = [
        [("      ", _DIM), (rule_words(rule), _DIM)] for rule in RULES if rule.level == level
    ]
    return _Entry((head, *rules))


def _figure(name: str) -> _Entry:
    metric = METRICS[name]
    return _Entry(
        (
            [(f"  {metric.label}", _BRIGHT), (f"  {metric.formula}", _DIM)],
            [("      ", _PLAIN), (metric.definition, _PLAIN)],
            [("      ", _DIM), (f"read from {metric.source}", _DIM)],
        )
    )


def _defined(name: str, words: str) -> _Entry:
    return _Entry(([("  ", _PLAIN), (name, _BRIGHT)], [("      ", _PLAIN), (words, _PLAIN)]))


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
