"""The explanation of one figure or term, with today's numbers, and the list of all to choose from."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

from rich.style import Style
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Input

from memtui.model.explain import explain as explaining
from memtui.model.explain.explain import Context, Explanation, ToolFigure
from memtui.tui import theme
from memtui.tui.keyed import Keyed
from memtui.tui.keys import bindings
from memtui.tui.widgets.bars import Footer
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.page import text_of, wrapped
from memtui.tui.words.cells import Column, Line, Part, spread

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)
_WARN = theme.style(theme.GROWS, bold=True)

_NUMBER: Final = re.compile(r"(?<![\w(])-?\d[\d.]*(?: \d{3})*(?: (?:[KMGTPE]iB|B|%)|/s)?(?!\w)")
_LABEL: Final = 7
_VALUE: Final = 10
_SEE_ROWS: Final = 5


def open_explanation(app: App[Any], names: Sequence[str], context: Context) -> None:
    """Opens the sheet of the one name; of several, or none, the list of all terms, these first."""
    if len(names) == 1 and explaining.canonical(names[0]):
        app.push_screen(ExplainSheet(names[0], context))
    else:
        app.push_screen(TermsSheet(context, names))


class Terms(Table):
    """Terms with their titles; the cursor chooses one."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(
            (Column("name", title, 24, "<"), Column("title", "", 0, "<", 0, 20)), id=id
        )
        self.terms: Sequence[tuple[str, str]] = ()

    def show(self, terms: Sequence[tuple[str, str]], cursor: int = 0) -> None:
        """Name and title of each."""
        self.terms = terms
        self.set_cursor(cursor, reveal=True)

    @property
    def chosen(self) -> str | None:
        return self.terms[self.cursor][0] if self.cursor < len(self.terms) else None

    def row_count(self) -> int:
        return len(self.terms)

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        name, title = self.terms[row]
        return {"name": (name, _BRIGHT), "title": (title, _DIM)}

    def empty_text(self) -> str:
        return "nothing is explained under that: Esc empties the line"


class SeeAlso(Terms):
    """What to go on with; PgUp and PgDn scroll the text above."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "screen.scroll_text(-1)", "page up", show=False),
        Binding("pagedown,space", "screen.scroll_text(1)", "page down", show=False),
    ]


class ExplainSheet(Keyed, Screen[None]):
    """One explanation; its see-also leads on, Esc back the same way."""

    VIEW = "explain"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def __init__(self, name: str, context: Context) -> None:
        super().__init__()
        self._moment = context
        self._trail = [(name, 0)]

    @property
    def explanation(self) -> Explanation:
        """What is shown. Raises UnknownName."""
        return explaining.explain(self._trail[-1][0], self._moment)

    def compose(self) -> ComposeResult:
        yield Lines(id="explain-title")
        with VerticalScroll(id="explain-body", can_focus=False):
            yield Lines(id="explain-text")
        yield SeeAlso("SEE ALSO", id="explain-see")
        yield Footer()

    def on_mount(self) -> None:
        self.screen.set_focus(self.query_one(SeeAlso))
        self.query_one(Footer).update()
        self._show()

    def _show(self) -> None:
        found = self.explanation
        rows = [(name, explaining.title(name)) for name in found.see_also]
        see = self.query_one(SeeAlso)
        see.styles.height = min(len(rows), _SEE_ROWS) + 1
        see.show(rows, self._trail[-1][1])
        self._lay_out()
        self.query_one("#explain-body").scroll_home(animate=False)

    def _lay_out(self) -> None:
        found, width = self.explanation, self.size.width
        left: list[Part] = [(f" {found.name} ", _ACCENT)]
        if found.title.casefold() != found.name.casefold():
            left.append((f" {found.title}", _BRIGHT))
        lines = list(text_lines(found, width - 1))
        see = self.query_one(SeeAlso)
        room = self.size.height - 2 - (see.styles.height.cells or 0 if see.styles.height else 0)
        right: list[Part] = [("PgDn: more ", _DIM)] if len(lines) > room else []
        self.query_one("#explain-title", Lines).show(spread(left, right, width))
        text = self.query_one("#explain-text", Lines)
        text.show(*lines)
        text.styles.height = len(lines)

    def on_resize(self) -> None:
        if self.is_attached and self.query("#explain-text"):
            self._lay_out()

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        self._trail[-1] = (self._trail[-1][0], event.table.cursor)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        self.action_goto()

    # What keys do.

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        if action == "goto" and self.query_one(SeeAlso).chosen is None:
            return "there is nothing to go on with"
        return super().refuses(action, parameters)

    def action_goto(self) -> None:
        name = self.query_one(SeeAlso).chosen
        if name is not None:
            self._trail.append((name, 0))
            self._show()

    def action_close(self) -> None:
        if len(self._trail) > 1:
            self._trail.pop()
            self._show()
        else:
            self.dismiss()

    def action_find(self) -> None:
        self.app.push_screen(TermsSheet(self._moment))

    def action_scroll_text(self, pages: int) -> None:
        body = self.query_one("#explain-body")
        body.scroll_relative(y=pages * max(1, body.size.height - 2), animate=False)

    def action_copy(self) -> None:
        found = self.explanation
        lines = [f"{found.name}: {found.title}", *map(text_of, text_lines(found, 100))]
        self.app.copy_to_clipboard("\n".join(line.rstrip() for line in lines) + "\n")


class TermsSheet(Keyed, Screen[None]):
    """All terms; what is typed leaves those that have it in their names or titles."""

    VIEW = "terms"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(VIEW),
        # The line that is typed into has the focus.
        Binding("up", "table('move(-1)')", "up", show=False),
        Binding("down", "table('move(1)')", "down", show=False),
        Binding("pageup", "table('page(-1)')", "page up", show=False),
        Binding("pagedown", "table('page(1)')", "page down", show=False),
    ]

    def __init__(self, context: Context, first: Sequence[str] = ()) -> None:
        super().__init__()
        self._moment = context
        self._first = [name for each in first if (name := explaining.canonical(each))]

    def compose(self) -> ComposeResult:
        yield Lines(id="terms-title")
        yield Input(placeholder="type what to explain", compact=True, select_on_focus=False)
        yield Terms("TERM", id="terms")
        yield Footer()

    def on_mount(self) -> None:
        self.screen.set_focus(self.query_one(Input))
        self.query_one(Footer).update()
        self._filter("")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._filter(event.value)
        self.refresh_bindings()

    @on(Input.Submitted)
    async def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        await self.run_action("goto")

    def _filter(self, text: str) -> None:
        found = explaining.search(text)
        terms = [(name, title) for name, title, _ in found]
        if not text.strip():
            here = {name: place for place, name in enumerate(self._first)}
            terms.sort(key=lambda term: here.get(term[0], len(here)))
        self.query_one(Terms).show(terms)
        total = len(explaining.names())
        count = f"{len(found)} of {total}" if text.strip() else f"all {total}"
        keys: Part = ("   type to find, ↑ ↓ choose, Enter explains, Esc leaves", _DIM)
        self.query_one("#terms-title", Lines).draw(
            lambda width: [spread([(" explain", _ACCENT), keys], [(f"{count} ", _DIM)], width)]
        )

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        self.screen.set_focus(self.query_one(Input))

    def on_table_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        self.action_goto()

    # What keys do.

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        if action == "goto" and self.query_one(Terms).chosen is None:
            return "nothing is explained under that"
        return super().refuses(action, parameters)

    async def action_table(self, action: str) -> None:
        await self.app.run_action(action, self.query_one(Terms))

    def action_goto(self) -> None:
        name = self.query_one(Terms).chosen
        if name is not None:
            self.app.push_screen(ExplainSheet(name, self._moment))

    def action_close(self) -> None:
        line = self.query_one(Input)
        if line.value:
            line.value = ""
        else:
            self.dismiss()


def text_lines(found: Explanation, width: int) -> Iterator[Line]:
    """All of an explanation but its title and see-also, as lines of a width."""
    yield from wrapped([found.definition], width)
    if found.formula:
        yield []
        for line in textwrap.wrap(found.formula, max(20, width - 4)):
            yield [("  ", _PLAIN), *_numbers(line, _PLAIN)]
    yield []
    yield from _labelled("from", _DIM, found.source, width)
    yield from _labelled("not", _WARN, found.is_not, width)
    for at, sentence in enumerate(found.here):
        yield from _labelled("today" if not at else "", _DIM, sentence, width)
    for head, figures in (
        ("ELSEWHERE, WITH THE SAME NUMBERS", found.differs),
        ("OLDER DEFINITIONS, WITH TODAY'S NUMBERS", found.older),
    ):
        if figures:
            yield []
            yield [(f" {head}", _DIM)]
            for each in figures:
                yield from _figure(each, width)


def _figure(each: ToolFigure, width: int) -> Iterator[Line]:
    value: Part = (f"{each.shown:>{_VALUE}}  ", _BRIGHT)
    lines = textwrap.wrap(f"{each.tool}: {each.formula}", max(20, width - _VALUE - 3))
    tool_ends = len(each.tool) + 1
    for at, line in enumerate(lines):
        start: Part = value if not at else (" " * (_VALUE + 2), _PLAIN)
        named, rest = line[:tool_ends], line[tool_ends:]
        tool_ends = max(0, tool_ends - len(line) - 1)
        yield [start, (named, _PLAIN), (rest, _DIM)]


def _labelled(label: str, style: Style, text: str, width: int) -> Iterator[Line]:
    lines = textwrap.wrap(text, max(20, width - _LABEL - 2)) if text else []
    for at, line in enumerate(lines):
        yield [(f" {label if not at else '':<{_LABEL}}", style), *_numbers(line, _PLAIN)]


def _numbers(text: str, style: Style) -> Iterator[Part]:
    """A text with its numbers bright."""
    at = 0
    for match in _NUMBER.finditer(text):
        yield text[at : match.start()], style
        yield match[0], _BRIGHT
        at = match.end()
    yield text[at:], style
