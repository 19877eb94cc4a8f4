"""One line that asks for a text, in place of the footer."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input

from memtui import units
from memtui.tui import theme
from memtui.tui.widgets.lines import Lines

# Takes the text so far, or for good where the second is true; gives what is wrong with it, or "".
Answer = Callable[[str, bool], str]


async def ask(
    widget: Widget, question: str, answer: Answer, text: str = "", *, live: bool = False
) -> None:
    """Asks on the widget's screen, unless something is being asked there already."""
    if not widget.screen.query("#prompt"):
        await widget.screen.mount(Prompt(question, answer, text, live=live))


class Prompt(Horizontal):
    """Asks; Enter answers for good, and stays where that is refused; Esc leaves all as it was.

    `live`: each letter answers too, and Esc answers with the text that was there before.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "cancel", show=False)]

    def __init__(
        self, question: str, answer: Answer, text: str = "", *, live: bool = False
    ) -> None:
        super().__init__(id="prompt")
        self._question = question
        self._answer = answer
        self._text = text
        self._live = live

    def compose(self) -> ComposeResult:
        label = Lines(id="prompt-question")
        label.styles.width = len(self._question) + 1
        yield label
        yield Input(self._text, compact=True, select_on_focus=False)
        yield Lines(id="prompt-complaint")

    def on_mount(self) -> None:
        self.query_one("#prompt-question", Lines).show(
            [(" " + self._question, theme.style(theme.ACCENT, bold=True))]
        )
        self._focused_before = self.screen.focused
        self.query_one(Input).focus()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._complain(self._answer(event.value, False) if self._live else "")

    @on(Input.Submitted)
    async def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        complaint = self._answer(event.value.strip(), True)
        self._complain(complaint)
        if not complaint:
            await self._close()

    async def action_cancel(self) -> None:
        if self._live:
            self._answer(self._text, True)
        await self._close()

    def _complain(self, words: str) -> None:
        complaint = self.query_one("#prompt-complaint", Lines)
        complaint.styles.width = min(units.width(words) + 2, self.size.width * 3 // 4)
        complaint.show([(f" {words}", theme.style(theme.GROWS))])

    async def _close(self) -> None:
        before = self._focused_before
        # What has the focus when a prompt goes would be anybody; an answer may have moved it.
        if before is not None and before.is_attached and self.has_focus_within:
            before.focus()
        await self.remove()
