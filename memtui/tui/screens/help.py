"""What everything on the screen is, all keys, and what memtui itself costs."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from memtui import __version__, units
from memtui.model.kinds import KINDS
from memtui.model.metrics import METRICS
from memtui.tui import theme
from memtui.tui.keys import KEYS, VIEWS


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

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(help_text(), markup=False)

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help").scroll_relative(y=lines, animate=False)


def help_text() -> Text:
    """The whole help, made of the tables that the rest of the program reads."""
    bright = theme.style(theme.BRIGHT, bold=True)
    accent, dim = theme.style(theme.ACCENT, bold=True), theme.style(theme.DIM)
    text = Text()
    text.append(f"memtui {__version__}", bright)
    text.append(f" · {own_cost()} · Esc closes\n\n", dim)
    text.append("KEYS\n", accent)
    rows = [(view.key, f"{view.title}: {view.help}") for view in VIEWS]
    rows += [(key.shown, key.help) for key in KEYS]
    rows += [("↑ ↓ PgUp PgDn Home End", "move in a list; the map follows the process list")]
    rows += [("← →", "in the picture: the mapping before and after")]
    for shown, words in rows:
        text.append(f"  {shown:<8} ", bright)
        text.append(words + "\n")
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
    text.append("\nKINDS OF MAPPING\n", accent)
    for kind in KINDS:
        text.append(f"  {kind.letter} ", theme.style(kind.colour, bold=True))
        text.append(f"{kind.words}\n")
    text.append(
        "\n  The picture shows the address space from low to high addresses, each region to scale;\n"
        "  ~83T~ is a hole of 83 TiB, folded. The stronger a colour, the more of it is in memory.\n",
        dim,
    )
    return text


def own_cost() -> str:
    """What memtui itself takes: processor time since it began and memory, by psutil."""
    import psutil

    process = psutil.Process()
    times = process.cpu_times()
    memory = process.memory_full_info()
    return (
        f"itself: {units.duration(times.user + times.system)} of processor time, "
        f"PSS {units.size(memory.pss)}"
    )
