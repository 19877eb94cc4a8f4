"""A program under watch, as the interface has it: told of what happens, at most once a frame."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from textual.app import App

from memtui.tui.pseudoterminal import Pseudoterminal
from memtui.tui.sheets.choice import Choice, ChoiceSheet
from memtui.tui.words.run import name_of
from memtui.watch.story import Story
from memtui.watch.watch import Watch

if TYPE_CHECKING:
    from memtui.model.crash.crash import Crash

_FRAME_S: Final = 1 / 30


class Running:
    """One run. `terminal` is what its program writes to and reads from, of a size in columns and rows;
    None: neither is shown. Of the interface's thread."""

    def __init__(
        self, watch: Watch, terminal: Pseudoterminal | None = None, size: tuple[int, int] = (80, 24)
    ) -> None:
        self._watch = watch
        self.terminal = terminal
        self.size = size
        self.crash: Crash | None = None  # the last that was read
        self._began_s = time.monotonic()
        self._changed: Callable[[], None] = lambda: None
        self._is_listening = False

    @property
    def story(self) -> Story:
        return self._watch.story

    @property
    def now_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._began_s

    def begin(self, changed: Callable[[], None]) -> None:
        """From now on `changed` is called when something has happened."""
        self._changed = changed
        self._take()
        changed()  # of what it has been told before

    def _take(self) -> None:
        loop = asyncio.get_running_loop()
        self._forget_reader()
        if self._watch.take():
            self._changed()
        if not self.story.is_over:
            loop.call_later(_FRAME_S, self._listen)

    def _listen(self) -> None:
        if not self.story.is_over:
            asyncio.get_running_loop().add_reader(self._watch.fileno(), self._take)
            self._is_listening = True

    def _forget_reader(self) -> None:
        if self._is_listening:
            asyncio.get_running_loop().remove_reader(self._watch.fileno())
            self._is_listening = False

    def let_go(self) -> None:
        """What is held dies."""
        if self.story.held is not None:
            self._watch.let_go()

    def kill(self) -> None:
        """Ends every process of the run."""
        self._watch.kill()


class QuitSheet(ChoiceSheet):
    """Whether to quit, which ends the run."""

    def __init__(self, running: Running) -> None:
        alive = [life for life in running.story.lives.values() if life.died_s is None]
        who = f"{name_of(alive[0])} ({alive[0].pid})" if alive else "what was started"
        if len(alive) > 1:
            who += f" and {len(alive) - 1} more"
        choices = [Choice("no", "go on watching"), Choice("yes", "kill it, and quit")]
        super().__init__(f"quit and kill {who}?", choices, ("no",))


def may_quit(app: App[Any], running: Running) -> bool:
    """Whether nothing runs any more; asks where something does."""
    if running.story.is_over:
        return True

    def answer(taken: list[str] | None) -> None:
        if taken == ["yes"]:
            running.kill()
            app.exit()

    if not isinstance(app.screen, QuitSheet):
        app.push_screen(QuitSheet(running), answer)
    return False
