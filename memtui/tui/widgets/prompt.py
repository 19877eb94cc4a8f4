"""One line that asks for a text, in place of the footer."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from memtui.tui import theme
from memtui.tui.widgets.lines import Lines


class Prompt(Horizontal):
    """Asks; Enter answers for good, Esc with an empty text; `live`: each letter answers too."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "cancel", show=False)]

    class Answered(Message):
        """The text so far, or at last where `final`."""

        def __init__(self, prompt: Prompt, text: str, final: bool) -> None:
            super().__init__()
            self.prompt = prompt
            self.text = text
            self.final = final

    def __init__(self, question: str, text: str = "", *, live: bool = False) -> None:
        super().__init__(id="prompt")
        self._question = question
        self._text = text
        self.live = live

    def compose(self) -> ComposeResult:
        label = Lines()
        label.styles.width = len(self._question) + 1
        yield label
        yield Input(self._text, compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        self.query_one(Lines).show([(" " + self._question, theme.style(theme.ACCENT, bold=True))])
        self.query_one(Input).focus()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.live:
            self.post_message(self.Answered(self, event.value, False))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Answered(self, event.value.strip(), True))

    def action_cancel(self) -> None:
        self.post_message(self.Answered(self, "", True))
