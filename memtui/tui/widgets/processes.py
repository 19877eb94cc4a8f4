"""The list of every process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from memtui import units
from memtui.history import GrowthTracker
from memtui.model.sample import ProcessKey, ProcessSample, Sample
from memtui.targets import fits
from memtui.tui import theme
from memtui.tui.widgets.lines import Column, Part, Table

# Every column that can be sorted by, and whether its largest comes first.
_SORTS: dict[str, bool] = {
    "rss": True,
    "gain": True,
    "swap": True,
    "oom": True,
    "pid": False,
    "name": False,
}


class ProcessList(Table):
    """Every process, sorted and filtered, the cursor following its process and not its row.

    The chosen process stays in its row, marked gone, when it dies: its map is still beside it.
    """

    def __init__(self, growth: GrowthTracker, *, id: str | None = None) -> None:
        super().__init__(
            (
                Column("pid", "PID", 5, priority=1),
                Column("name", "NAME", 0, "<"),
                Column("rss", "RSS", 5),
                Column("gain", "Δ/MIN", 6, priority=2),
                Column("swap", "SWAP", 5, priority=3),
                Column("oom", "OOM", 4, priority=4),
            ),
            id=id,
        )
        self._growth = growth
        self._sample: Sample | None = None
        self._rows: list[ProcessSample] = []
        self._sort, self._downwards = "rss", True
        self.filter = ""
        self.selected: ProcessKey | None = None
        self._last_seen: ProcessSample | None = None

    # What it shows.

    def update(self, sample: Sample) -> None:
        """A new sample: sorted anew, the cursor staying with its process."""
        self._sample = sample
        self._arrange()

    def select(self, key: ProcessKey) -> None:
        """Puts the cursor on a process."""
        self.selected = key
        self._last_seen = None
        self._arrange()

    def set_filter(self, text: str) -> None:
        """Only processes whose name or pid has `text` in it."""
        self.filter = text
        self._arrange()
        if self._rows and self.selected not in {row.key for row in self._rows}:
            self.set_cursor(0)
            self._follow_cursor()

    @property
    def needs_every_detail(self) -> bool:
        return self._sort in ("swap", "oom")

    @property
    def current(self) -> ProcessSample | None:
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    def on_screen(self) -> frozenset[ProcessKey]:
        """The processes whose rows are on the screen."""
        return frozenset(row.key for row in self._rows[self.top : self.top + self.body_height])

    def is_gone(self, process: ProcessSample) -> bool:
        """Whether a process has ended since it was seen like this; a zombie has given all back."""
        if self._sample is None:
            return False
        now = self._sample.processes.get(process.key)
        return now is None or (now.is_zombie and not process.is_zombie)

    def sort_next(self) -> None:
        names = list(_SORTS)
        self.sort_by(names[(names.index(self._sort) + 1) % len(names)])

    def sort_by(self, column: str) -> None:
        """By a column; by the one it is sorted by already, the other way round."""
        if column == self._sort:
            self._downwards = not self._downwards
        elif column in _SORTS:
            self._sort, self._downwards = column, _SORTS[column]
        self._arrange()

    def invert(self) -> None:
        self._downwards = not self._downwards
        self._arrange()

    def _arrange(self) -> None:
        if self._sample is None:
            return
        rows = [row for row in self._sample.processes.values() if self._fits(row)]
        by: dict[str, Callable[[ProcessSample], Any]] = {
            "rss": lambda row: row.rss_bytes,
            "gain": lambda row: self._growth.gained_bytes(row.key),
            "swap": lambda row: row.swap_bytes or 0,
            "oom": lambda row: row.oom_score or 0,
            "pid": lambda row: row.pid,
            "name": lambda row: row.name.casefold(),
        }
        # Equal ones stand by pid, so that the order does not change by itself.
        rows.sort(key=lambda row: row.pid)
        rows.sort(key=by[self._sort], reverse=self._downwards)
        cursor = self.cursor
        last = self._last_seen
        if last is not None and last.key == self.selected and self.is_gone(last):
            # Neither a jump to the end of the list, as the zombie that it may be, nor another row.
            rows = [row for row in rows if row.key != last.key]
            if self._fits(last):
                cursor = min(cursor, len(rows))
                rows.insert(cursor, last)
        else:
            for at, row in enumerate(rows):
                if row.key == self.selected:
                    cursor, self._last_seen = at, row
                    break
        # The largest stay in sight; where the user has scrolled, the row keeps its place instead.
        if self.top:
            self.top = max(0, self.top + cursor - self.cursor)
        self._rows = rows
        digits = max((len(str(row.pid)) for row in rows), default=5)
        if digits > self.all_columns[0].width:
            self.set_columns((Column("pid", "PID", digits, priority=1), *self.all_columns[1:]))
        self.set_cursor(cursor)

    def _fits(self, process: ProcessSample) -> bool:
        return fits(self.filter, process.pid, process.name)

    def _follow_cursor(self) -> None:
        current = self.current
        if current is not None and current.key != self.selected:
            self.selected = current.key
            if self._last_seen is not None and self.is_gone(self._last_seen):
                self._last_seen = current
                self._arrange()
            self._last_seen = current

    def _go(self, row: int) -> None:
        self.set_cursor(row)
        self._follow_cursor()
        self.post_message(self.Moved(self))

    # Table's questions.

    def row_count(self) -> int:
        return len(self._rows)

    def sorted_by(self) -> tuple[str, bool] | None:
        return self._sort, self._downwards

    def empty_text(self) -> str:
        if self.filter:
            return f"no process has “{units.printable(self.filter)}” in its name or pid"
        return "no processes can be seen"

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        process = self._rows[row]
        dim = theme.style(theme.DIM)
        name = units.printable(process.name)
        if self.is_gone(process):
            return {
                "pid": (str(process.pid), dim),
                "name": (f"{name} gone", dim),
                "rss": (units.size(process.rss_bytes, short=True), dim),
            }
        if process.is_kernel_thread:
            return {"pid": (str(process.pid), dim), "name": (name, dim), "rss": ("0", dim)}
        if process.is_zombie:
            return {
                "pid": (str(process.pid), dim),
                "name": (f"{name} zombie", dim),
                "rss": ("0", dim),
            }
        gain = self._growth.gained_bytes(process.key)
        colour = theme.GROWS if gain > 0 else theme.SHRINKS if gain < 0 else theme.DIM
        return {
            "pid": (str(process.pid), dim),
            "name": name,
            "rss": (units.size(process.rss_bytes, short=True), theme.style(theme.BRIGHT)),
            "gain": (units.change(gain), theme.style(colour)),
            "swap": _quiet(units.size(process.swap_bytes, short=True)),
            "oom": _quiet(units.UNKNOWN if process.oom_score is None else str(process.oom_score)),
        }


def _quiet(text: str) -> Part:
    """Zero and unknown stand back."""
    return text, theme.style(theme.DIM if text in ("0", units.UNKNOWN) else theme.FOREGROUND)
