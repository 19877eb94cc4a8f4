"""The table of groups of processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType

from memtui import units
from memtui.model.processes.groups import SORTS, Group, sorted_groups
from memtui.tui import theme
from memtui.tui.widgets.lines import Table
from memtui.tui.widgets.processcells import gain_title, quiet
from memtui.tui.words.cells import Column, Part

_COLUMNS: Final = (
    Column("name", "NAME", 16, "<"),
    Column("count", "N", 5),
    Column("memory", "MEMORY", 8),
    Column("share", "", 0, "<", priority=2, least=10),
    Column("uss", "USS", 7, priority=1),
    Column("rss", "RSS SUM", 7, priority=3),
    Column("swap", "SWAP", 5, priority=2),
    Column("gain", "Δ/MIN", 6, priority=4),
    Column("tables", "TABLES", 6, priority=5),
    Column("read", "PSS READ", 11, priority=6),
)


class GroupTable(Table):
    """Groups by a figure; the cursor follows its group."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("g", "group", show=False)]
    WORDS: ClassVar[Mapping[str, str]] = {
        "memory": "PSS, and RSS where that was not read",
        "uss": "what its members have for themselves",
        "rss": "RSS added up: what they share counts for each",
        "swap": "what of it is swapped out, but for shared memory",
        "gain": "what RSS has grown in the last minute",
        "tables": "page tables",
        "count": "how many processes",
        "name": "its name",
    }

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(_COLUMNS, id=id)
        self.rows: list[Group] = []
        self._sort, self._downwards = "memory", True
        self._selected = ""
        self._title = ""

    def show(self, groups: Sequence[Group], title: str, counted_s: float = 60.0) -> None:
        """These groups, under a heading that says what they are; gains are counted for `counted_s`."""
        self._title = title
        # A bar has what room is left: between a name and its figures there is no gap.
        longest = max((units.width(units.printable(group.name)) for group in groups), default=0)
        most = max(_COLUMNS[0].width, self.size.width // 3)
        width = max(_COLUMNS[0].width, min(longest, most))
        first = _COLUMNS[0]._replace(title=title.upper(), width=width)
        gain = gain_title(counted_s)
        self.set_columns(
            (
                first,
                *(
                    each._replace(title=gain) if each.name == "gain" else each
                    for each in _COLUMNS[1:]
                ),
            )
        )
        self.rows = sorted_groups(groups, self._sort, self._downwards)
        names = [group.name for group in self.rows]
        if self._selected in names:
            self.set_cursor(self.keep_place(names.index(self._selected)))
        else:
            self.set_cursor(self.cursor)

    @property
    def current(self) -> Group | None:
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def select(self, name: str) -> None:
        """The cursor on a group, when it is there."""
        self._selected = name

    def sort_by(self, name: str) -> None:
        """By a column; by the one it is sorted by already, the other way round."""
        if name == self._sort:
            self._downwards = not self._downwards
        elif name in SORTS:
            self._sort, self._downwards = name, name != "name"
        self.show(self.rows, self._title)
        self.show_first()

    def invert(self) -> None:
        self.sort_by(self._sort)

    def _go(self, row: int) -> None:
        self.set_cursor(row, reveal=True)
        if self.current is not None:
            self._selected = self.current.name
        self.post_message(self.Moved(self))

    def row_count(self) -> int:
        return len(self.rows)

    def sorted_by(self) -> tuple[str, bool] | None:
        return self._sort, self._downwards

    def empty_text(self) -> str:
        return "no process fulfils the filter"

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        group = self.rows[row]
        dim = theme.style(theme.DIM)
        top = max((each.memory_bytes for each in self.rows), default=0)
        sign = "~" if group.is_aged else "" if group.is_exact else "≤"
        memory = sign + units.size(group.memory_bytes, short=True)
        room = next((cells for column, cells in self.columns() if column.name == "share"), 0)
        known = group.shared == len(group.members)
        uss = units.size(group.uss_bytes, short=True)
        return {
            "name": units.printable(group.name),
            "count": units.count(len(group.members)),
            "memory": (memory, theme.style(theme.BRIGHT if group.memory_bytes else theme.DIM)),
            "share": (
                "█" * max(1, round(room * group.memory_bytes / top)) if group.memory_bytes else "",
                theme.style(theme.CACHE),
            ),
            "uss": quiet(uss if known or uss == units.UNKNOWN else f"≥{uss}"),
            "rss": (units.size(group.rss_bytes, short=True), dim),
            "swap": quiet(units.size(group.swap_bytes, short=True)),
            "gain": quiet(units.change(group.gained_bytes)),
            "tables": quiet(units.size(group.tables_bytes, short=True)),
            "read": ("all" if known else f"{group.shared} of {len(group.members)}", dim),
        }
