"""Why a program died: the sentence, the map with the address on it, and what happened step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widget import Widget

from memtui.kernel.files import Gap
from memtui.model.crash.crash import Crash
from memtui.model.crash.explain import explain
from memtui.ondemand.questions import LINES_SOON_S, CrashOf
from memtui.tui.asking import look_up
from memtui.tui.keyed import Keyed
from memtui.tui.keys import Key, bindings
from memtui.tui.views import breadth
from memtui.tui.widgets.bars import Footer
from memtui.tui.widgets.lines import Lines
from memtui.tui.widgets.page import text_of
from memtui.tui.widgets.picture import Picture
from memtui.tui.words.crash import LETS_DIE, crash_head, crash_lines, mark


def look_up_crash(
    widget: Widget,
    question: CrashOf,
    then: Callable[[Crash | Gap], None],
    found: Callable[[Crash], None],
) -> None:
    """`then` is told as soon as it can be explained, and `found`, with the sheet that shows it by
    then, where lines of the source took longer."""

    def explained(crash: Crash | Gap) -> None:
        then(crash)
        if isinstance(crash, Crash) and crash.lines_missed:
            look_up(widget, question, lambda late: with_lines(crash, late))

    def with_lines(crash: Crash, late: Crash | Gap) -> None:
        # It may have been let go meanwhile.
        if isinstance(late, Gap) or _addresses(late) != _addresses(crash):
            return
        crash = crash._replace(frames=late.frames, lines_missed=late.lines_missed)
        found(crash)
        for screen in widget.app.screen_stack:
            if isinstance(screen, CrashSheet) and screen.crash.key == crash.key:
                screen.show(crash)

    look_up(widget, replace(question, lines_s=LINES_SOON_S), explained)


def _addresses(crash: Crash) -> list[int]:
    return [frame.place.address for frame in crash.frames]


class CrashSheet(Keyed, Screen[None]):
    """Of a program that is held, or of a core dump.

    `after_s`: how long it lived, where that is known. `let_go` lets it die where it is held, and is
    None where there is nothing left to die.
    """

    VIEW = "crash"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def __init__(
        self,
        crash: Crash,
        *,
        after_s: float | None = None,
        let_go: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.crash = crash
        self.explained = explain(crash)
        self._after_s = after_s
        self._let_go = let_go

    def compose(self) -> ComposeResult:
        yield Lines(id="crash-head")
        with Horizontal(id="crash-body"):
            with Vertical(id="crash-map"):
                yield Lines(id="crash-here")
                yield Picture(self.crash.page_bytes, zoomable=False, id="crash-picture")
            with VerticalScroll(id="crash-story"):
                yield Lines(id="crash-text")
        yield Footer()

    def on_mount(self) -> None:
        if not self.query("#crash-text"):
            return  # it opened of itself as the dashboard was ending: there is nothing in it
        self.screen.set_focus(self.query_one("#crash-story"))
        self.query_one(Footer).update()
        picture, map_ = self.query_one(Picture), self.crash.map
        picture.can_focus = False
        self.query_one("#crash-map").display = not isinstance(map_, Gap)
        if not isinstance(map_, Gap):
            picture.show(map_, self.explained.address)
            self.query_one("#crash-here", Lines).show(mark(map_, self.explained.address))
        self._lay_out()

    def show(self, crash: Crash) -> None:
        """The same crash, of which more is known by now."""
        self.crash, self.explained = crash, explain(crash)
        self._lay_out()

    def on_resize(self) -> None:
        for name, is_so in breadth(*self.size).items():
            self.set_class(is_so, name)
        if self.is_attached:
            self.call_after_refresh(self._lay_out)

    def _lay_out(self) -> None:
        if self not in self.app.screen_stack or not self.query("#crash-text"):
            return
        crash, found = self.crash, self.explained
        head = crash_head(crash, found, self.size.width, self._after_s, self._let_go is not None)
        title = self.query_one("#crash-head", Lines)
        title.show(*head)
        title.styles.height = len(head)
        text = self.query_one("#crash-text", Lines)
        lines = crash_lines(crash, found, self.query_one("#crash-story").size.width - 1)
        text.show(*lines)
        text.styles.height = len(lines)

    # What keys do.

    def word(self, key: Key) -> str:
        if key.action == "go_on":
            return LETS_DIE if self._let_go is not None else "map"
        return super().word(key)

    def action_close(self) -> None:
        self.dismiss()

    def action_go_on(self) -> None:
        """What is held dies; of what is dead already, to the map."""
        if self._let_go is not None:
            self._let_go()
        self.dismiss()

    def action_copy(self) -> None:
        held = self._let_go is not None
        lines = crash_head(self.crash, self.explained, 100, self._after_s, held)
        lines += crash_lines(self.crash, self.explained, 100)
        self.app.copy_to_clipboard("\n".join(map(text_of, lines)) + "\n")
