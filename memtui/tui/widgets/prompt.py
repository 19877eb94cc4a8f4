"""One line that asks for a text, in place of the footer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NamedTuple

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input

from memtui import units
from memtui.tui import theme
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.words.cells import Column, Part

_OFFERED: Final = 8  # at once

# Takes the text so far, or for good where the second is true; gives what is wrong with it, or "".
Answer = Callable[[str, bool], str]


class Offered(NamedTuple):
    """What may be meant: `text` is what would be typed for it, `command` tells it from others."""

    text: str
    name: str
    command: str


Offer = Callable[[str], Sequence[Offered]]


async def ask(
    widget: Widget,
    question: str,
    answer: Answer,
    text: str = "",
    *,
    live: bool = False,
    offer: Offer | None = None,
) -> Prompt | None:
    """Asks on the widget's screen, unless something is being asked there already."""
    if widget.screen.query("#prompt"):
        return None
    prompt = Prompt(question, answer, text, live=live, offer=offer)
    await widget.screen.mount(prompt)
    return prompt


class Way(Lines):
    """The way out, for the mouse too."""

    def __init__(self) -> None:
        super().__init__(id="prompt-way")
        self.stand()

    def stand(self, *, after: str = "") -> None:
        """Alone, or after a complaint, which is another sentence."""
        words = "· Esc leaves " if after else "Esc leaves "
        self.styles.width = len(words)
        self.show([(words, theme.style(theme.DIM))])


class OfferTable(Table):
    """What may be meant, the cursor on what Enter takes."""

    def __init__(self) -> None:
        super().__init__(
            (
                Column("text", "PID", 8),
                Column("name", "NAME", 16, "<"),
                Column("command", "COMMAND", 0, "<"),
            ),
            id="prompt-offers",
        )
        self.can_focus = False  # what is typed goes on
        self.offers: Sequence[Offered] = ()

    def row_count(self) -> int:
        return len(self.offers)

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        text, name, command = map(units.printable, self.offers[row])
        dim = theme.style(theme.DIM)
        return {"text": (text, dim), "name": name, "command": (command, dim)}


class Prompt(Vertical):
    """Asks; Enter answers for good, and stays where that is refused; Esc leaves all as it was.

    `live`: each letter answers too, and Esc answers with the text that was there before. `offer`
    gives what may be meant by a text: the arrows choose among that, and Enter takes it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", show=False),
        Binding("up", "choose(-1)", "up", show=False),
        Binding("down", "choose(1)", "down", show=False),
    ]

    def __init__(
        self,
        question: str,
        answer: Answer,
        text: str = "",
        *,
        live: bool = False,
        offer: Offer | None = None,
    ) -> None:
        super().__init__(id="prompt")
        self._offer = offer
        self._question = question
        self._answer = answer
        self._text = text
        self._live = live

    def compose(self) -> ComposeResult:
        if self._offer is not None:
            yield OfferTable()
        with Horizontal(id="prompt-line"):
            label = Lines(id="prompt-question")
            label.styles.width = len(self._question) + 1
            yield label
            yield Input(self._text, compact=True, select_on_focus=False)
            yield Lines(id="prompt-complaint")
            yield Way()

    def on_mount(self) -> None:
        self.query_one("#prompt-question", Lines).show(
            [(" " + self._question, theme.style(theme.ACCENT, bold=True))]
        )
        self._focused_before = self.screen.focused
        # Not focus(), which takes its turn later: who reads the question may type at once.
        self.screen.set_focus(self.query_one(Input))
        self.offer_again()

    @property
    def _offers(self) -> OfferTable:
        return self.query_one(OfferTable)

    def offer_again(self) -> None:
        """More is known of what may be meant, or something else is typed."""
        if self._offer is None or not self.is_attached:
            return
        table = self._offers
        table.offers = self._offer(self.query_one(Input).value.strip())
        table.display = bool(table.offers)
        table.styles.height = 1 + min(_OFFERED, len(table.offers))
        table.cursor = -1  # what is typed counts, until one of them is gone to
        table.show_first()

    def action_choose(self, step: int) -> None:
        if self._offer is not None and self._offers.offers:
            self._offers.action_move(step)

    @on(Table.Moved)
    async def _moved(self, event: Table.Moved) -> None:
        event.stop()
        if isinstance(event, Table.Chosen):
            await self._answer_for_good()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._complain(self._answer(event.value, False) if self._live else "")
        self.offer_again()

    @on(Input.Submitted)
    async def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        await self._answer_for_good()

    async def _answer_for_good(self) -> None:
        text = self.query_one(Input).value.strip()
        if self._offer is not None and self._offers.cursor >= 0:
            text = self._offers.offers[self._offers.cursor].text
        complaint = self._answer(text, True)
        self._complain(complaint)
        if not complaint:
            await self._close()

    async def on_click(self, event: events.Click) -> None:
        if isinstance(event.widget, Way):
            await self.action_cancel()

    async def action_cancel(self) -> None:
        if self._live:
            self._answer(self._text, True)
        await self._close()

    def _complain(self, words: str) -> None:
        complaint = self.query_one("#prompt-complaint", Lines)
        complaint.styles.width = min(units.width(words) + 2, self.size.width * 2 // 3)
        complaint.show([(f" {words}", theme.style(theme.GROWS))])
        self.query_one(Way).stand(after=words)

    async def _close(self) -> None:
        before = self._focused_before
        # What has the focus when a prompt goes would be anybody; an answer may have moved it.
        if before is not None and before.is_attached and self.has_focus_within:
            self.screen.set_focus(before)
        await self.remove()
