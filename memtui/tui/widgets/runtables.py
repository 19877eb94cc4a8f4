"""The time line of a run and the list of its processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from memtui.tui.widgets.lines import Table
from memtui.tui.words.cells import Cell, Column
from memtui.tui.words.run import happening_cells, life_cells, shown_s
from memtui.watch.story import Life, Story

_AT: Final = Column("at", "SECONDS", 7)
_WHO: Final = (Column("pid", "PID", 3, ">", 2), Column("who", "NAME", 12, "<", 3))
_REST: Final = (Column("what", "WHAT", 0, "<", 0, 30), Column("size", "SIZE", 8, ">", 4))


class Timeline(Table):
    """Everything that happened, the newest last; it stays at the end as long as the cursor is there."""

    def __init__(self, story: Story, *, id: str) -> None:
        super().__init__((_AT, *_REST), id=id)
        self._story = story
        self._count = self._dropped = 0

    def update(self) -> None:
        """More may have happened."""
        self._lay_out()
        is_at_end = self.cursor >= self._count - 1
        self._count, gone = self.row_count(), self._story.dropped - self._dropped
        self._dropped = self._story.dropped
        if is_at_end:
            self.set_cursor(self._count - 1, reveal=True)
        else:
            self.set_cursor(max(0, self.cursor - gone))

    def _lay_out(self) -> None:
        """Times and pids as wide as the longest of them: what happened has the rest."""
        story = self._story
        last_s = story.happenings[-1].at_s if story.happenings else 0.0
        at = _AT._replace(width=max(_AT.width, len(shown_s(last_s))))
        if len(story.lives) < 2:
            self.set_columns((at, *_REST))
            return
        pid, who = _WHO
        pid = pid._replace(width=max(pid.width, len(str(max(story.lives)))))
        self.set_columns((at, pid, who, *_REST))

    def row_count(self) -> int:
        return len(self._story.happenings)

    def row_texts(self, row: int, names: Sequence[str]) -> Mapping[str, Cell]:
        return happening_cells(self._story.happenings[row], self._story)

    def empty_text(self) -> str:
        return "nothing has happened yet"


class LifeTable(Table):
    """The processes of a run, as they were born; the cursor says whose map is shown."""

    def __init__(self, story: Story, *, id: str) -> None:
        columns = (
            Column("pid", "PID", 7),
            Column("name", "NAME", 0, "<", 0, 8),
            Column("born", "BORN", 8, ">", 4),
            Column("died", "DIED", 8, ">", 3),
            Column("peak", "PEAK", 6, ">", 2),
            Column("exit", "EXIT", 5, ">", 1),
        )
        super().__init__(columns, id=id)
        self._story = story
        self._lives: list[Life] = []
        self._known = (0, 0)

    def update(self) -> None:
        """Somebody may have been born, or died."""
        known = len(self._story.lives), self._story.lives_dropped
        if known == self._known:
            self.repaint()
            return
        self._known, before = known, self.current
        self._lives = sorted(self._story.lives.values(), key=lambda life: life.born_s)
        self.set_cursor(self.cursor)
        if before is not None:
            self.choose(before.pid)

    def choose(self, pid: int) -> None:
        """The cursor to a process, where it is in the list."""
        at = next((at for at, life in enumerate(self._lives) if life.pid == pid), None)
        if at is not None and at != self.cursor:
            self.set_cursor(at, reveal=True)

    @property
    def current(self) -> Life | None:
        return self._lives[self.cursor] if self.cursor < len(self._lives) else None

    def row_count(self) -> int:
        return len(self._lives)

    def row_texts(self, row: int, names: Sequence[str]) -> Mapping[str, Cell]:
        return life_cells(self._lives[row])
