"""The list of every process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from memtui import units
from memtui.model.keys import ProcessKey
from memtui.model.processes.choosing import fields_of, holding, ordered
from memtui.model.processes.columns import (
    COLUMNS,
    FIELDS,
    RANKED,
    Facts,
    Prospect,
    is_always_known,
    needs,
)
from memtui.model.processes.groups import tree
from memtui.model.query import BadQuery, Term, parse_query
from memtui.model.sample import ProcessSample
from memtui.session.session import Moment
from memtui.targets import fits
from memtui.tui import theme
from memtui.tui.widgets.lines import Table
from memtui.tui.widgets.processcells import OVERVIEW_COLUMNS, digits_of, table_columns, texts
from memtui.tui.words.cells import Part

# In the order that `s` goes through them in the overview.
_SORTS: Final = ("rss", "gain", "swap", "oom_share", "pid", "name")
_TREE_CELLS: Final = 12  # for the lines before names
_DIM: Final = theme.style(theme.DIM)


class ProcessList(Table):
    """Every process, sorted and filtered, the cursor following its process and not its row.

    The chosen process stays in its row, marked gone, when it dies: its map is still beside it.
    """

    def __init__(
        self,
        names: Sequence[str] = OVERVIEW_COLUMNS,
        *,
        least: int = 7,
        id: str | None = None,
    ) -> None:
        super().__init__(table_columns(names, 5, least), id=id)
        self.names = tuple(names)
        self._least = least
        self._digits = 5
        self._added: set[str] = set()
        self.counted_s = 0.0
        self.facts: Facts | None = None
        self._rows: list[ProcessSample] = []
        self._lines: dict[ProcessKey, str] = {}  # before a name, where they stand as a tree
        self._sort, self._downwards = "rss", True
        self.filter = ""
        # The process and the first row with each text of the filter, while nobody has moved.
        self._left: dict[str, tuple[ProcessKey | None, int]] = {}
        self._terms: tuple[Term, ...] = ()
        self._literal = False
        self.within: frozenset[ProcessKey] | None = None  # only these
        self.as_tree = False
        self.selected: ProcessKey | None = None
        self._last_seen: ProcessSample | None = None

    # What it shows.

    def update(self, moment: Moment) -> None:
        """Another moment: sorted anew, the cursor staying with its process."""
        self.learn(moment)
        self._arrange()

    def learn(self, moment: Moment, prospects: Mapping[ProcessKey, Prospect] | None = None) -> None:
        """Another moment, which is not shown yet."""
        machine = moment.machine
        if self.counted_s != moment.growth.counted_s:
            self.counted_s = moment.growth.counted_s
            self._set_columns()
        self.facts = Facts(
            moment.sample,
            moment.growth,
            machine.users.name,
            moment.rates,
            prospects or {},
            machine.ticks_per_s,
            machine.release,
            machine.own_pid,
        )

    def select(self, key: ProcessKey, *, reveal: bool = True) -> None:
        """Puts the cursor on a process, and scrolls to it or leaves what is shown."""
        self.selected = key
        self._left.clear()
        self._last_seen = None
        self._arrange(reveal)

    def set_filter(self, text: str) -> str:
        """Only processes that fulfil a filter's terms; what is wrong with it, or "".

        One that is no filter is looked for as it stands, in names and pids.
        """
        if text == self.filter:  # for good: who is under the cursor is meant from now on
            self._left.clear()
        else:
            self._left[self.filter] = self.selected, self.top
        self.filter = text
        try:
            self._terms, self._literal, complaint = parse_query(text, FIELDS), False, ""
        except BadQuery as error:
            self._terms, self._literal, complaint = (), True, str(error)
        # Who takes letters back, or leaves the filter, is where he was with that text.
        selected, top = self._left.pop(text, (None, 0))
        if selected is None:
            self.rearrange(reveal=True)
        else:
            self.selected = selected
            self.rearrange()
            self.show_from(top)
        return complaint

    def choose_columns(self, names: Sequence[str]) -> None:
        """Other columns from now on."""
        self._added = (self._added | set(names) - set(self.names)) & set(names)
        self.names = tuple(names)
        self._set_columns()
        self._arrange()

    def set_tree(self, as_tree: bool) -> None:
        """As a tree, with more room for names, or as a list."""
        self.as_tree = as_tree
        self._set_columns()

    def _set_columns(self) -> None:
        least = self._least + (_TREE_CELLS if self.as_tree else 0)
        self.set_columns(
            table_columns(self.names, self._digits, least, self._added, self.counted_s)
        )

    def rearrange(self, *, reveal: bool | None = None) -> None:
        """Other rows: the cursor goes to the first where its process is not among them."""
        self._arrange(reveal)
        if self._rows and self.selected not in {row.key for row in self._rows}:
            self.set_cursor(0, reveal=reveal)
            self._follow_cursor()

    @property
    def _asked(self) -> set[str]:
        """The columns that say which rows there are, and where."""
        return {self._sort} | fields_of(self._terms)

    @property
    def needs_every_detail(self) -> bool:
        return (
            self.needs_ranks
            or self._has_words
            or any(not is_always_known(name) for name in self._asked)
        )

    @property
    def needs_ranks(self) -> bool:
        """Whether a column is shown or asked for that takes the OOM killer's ranking of all."""
        return not RANKED.isdisjoint(self._used)

    @property
    def _used(self) -> set[str]:
        return {column.name for column, _ in self.columns()} | self._asked

    @property
    def needs(self) -> frozenset[str]:
        """What must be read for the columns that are shown, sorted by or filtered by."""
        return needs(self._used) | ({"cmdline"} if self._has_words else set())

    @property
    def _has_words(self) -> bool:
        """Whether the filter looks for words, which command lines may have."""
        return self._literal or any(not term.field for term in self._terms)

    @property
    def needs_every_share(self) -> bool:
        return "shares" in needs(self._asked)

    @property
    def current(self) -> ProcessSample | None:
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    def on_screen(self) -> frozenset[ProcessKey]:
        """The processes whose rows are on the screen."""
        return frozenset(row.key for row in self._rows[self.top : self.top + self.body_height])

    def is_gone(self, process: ProcessSample) -> bool:
        """Whether a process has ended since it was seen like this; a zombie has given all back."""
        if self.facts is None:
            return False
        now = self.facts.sample.processes.get(process.key)
        return now is None or (now.is_zombie and not process.is_zombie)

    def sort_next(self) -> None:
        at = _SORTS.index(self._sort) + 1 if self._sort in _SORTS else 0
        self.sort_by(_SORTS[at % len(_SORTS)])

    def sort_by(self, column: str) -> None:
        """By a column; by the one it is sorted by already, the other way round."""
        if column == self._sort:
            self._downwards = not self._downwards
        elif column in COLUMNS:
            self._sort, self._downwards = column, COLUMNS[column].downwards
        self._arrange()
        self.show_first()

    def lead_with(self, column: str) -> None:
        """Sorted by a column, which is shown from now on, the cursor on the first."""
        if column not in self.names:
            at = self.names.index("rss") + 1 if "rss" in self.names else len(self.names)
            self.names = (*self.names[:at], column, *self.names[at:])
        self._added |= {column}  # so that it does not go for want of room
        self._set_columns()
        self._sort, self._downwards = column, COLUMNS[column].downwards
        self._arrange()
        self.set_cursor(0)
        self._follow_cursor()

    def invert(self) -> None:
        self._downwards = not self._downwards
        self._arrange()
        self.show_first()

    def _arrange(self, reveal: bool | None = None) -> None:
        facts = self.facts
        if facts is None:
            return
        everyone = facts.sample.processes
        rows = ordered(facts, self.fitting(everyone.values()), self._sort, self._downwards)
        self._lines.clear()
        if self.as_tree:
            # Those above the ones that are meant tell where these belong.
            narrowed = len(rows) < len(everyone)
            branches = tree(rows, everyone.values() if narrowed else None)
            rows = [branch.process for branch in branches]
            self._lines = {branch.process.key: branch.lines for branch in branches}
        cursor = self.cursor
        last = self._last_seen
        if last is not None and last.key == self.selected and self.is_gone(last):
            # Neither a jump to the end of the list, as the zombie that it may be, nor another row.
            rows = [row for row in rows if row.key != last.key]
            if self.fitting((last,)):
                cursor = min(cursor, len(rows))
                rows.insert(cursor, last)
        else:
            for at, row in enumerate(rows):
                if row.key == self.selected:
                    cursor, self._last_seen = at, row
                    break
        cursor = self.keep_place(cursor)
        self._rows = rows
        digits = digits_of(rows)
        if digits > self._digits:
            self._digits = digits
            self._set_columns()
        self.set_cursor(cursor, reveal=reveal)

    def fitting(self, processes: Iterable[ProcessSample]) -> Sequence[ProcessSample]:
        """Those of some processes that the filter lets through."""
        assert self.facts is not None
        if self.within is not None:
            processes = [each for each in processes if each.key in self.within]
        if self._literal:
            text, facts = self.filter.strip(), self.facts
            return [each for each in processes if fits(text, each.pid, facts.words(each))]
        return holding(self.facts, processes, self._terms)

    def _follow_cursor(self) -> None:
        current = self.current
        if current is not None and current.key != self.selected:
            self.selected = current.key
            if self._last_seen is not None and self.is_gone(self._last_seen):
                self._last_seen = current
                self._arrange()
            self._last_seen = current

    def _go(self, row: int) -> None:
        self._left.clear()
        self.set_cursor(row, reveal=True)
        self._follow_cursor()
        self.post_message(self.Moved(self))

    # Table's questions.

    def row_count(self) -> int:
        return len(self._rows)

    def sorted_by(self) -> tuple[str, bool] | None:
        return self._sort, self._downwards

    def values(self) -> list[dict[str, Any]]:
        """The columns that are shown, in bytes and counts."""
        facts, names = self.facts, [column.name for column, _ in self.columns()]
        columns = [COLUMNS[name] for name in dict.fromkeys(("pid", *names)) if name != "trend"]
        return [
            {column.json_name: column.value(facts, each) for column in columns}
            for each in self._rows
            if facts is not None
        ]

    def empty_text(self) -> str:
        if self._terms and fields_of(self._terms):
            return f"no process fulfils {units.printable(self.filter)}"
        if self.filter:
            text = units.printable(self.filter)
            return f"no process has “{text}” in its name, pid or command line"
        return "no processes can be seen"

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        process, facts = self._rows[row], self.facts
        assert facts is not None
        lines = self._lines.get(process.key, "")
        if self.is_gone(process):
            ticks = facts.ticks_per_s
            is_to_come = ticks and process.key.start_time_ticks / ticks > facts.sample.time_s
            word = "not yet" if is_to_come else "gone"
            return {
                "pid": (str(process.pid), _DIM),
                "name": (f"{lines}{units.printable(process.name)} {word}", _DIM),
                "rss": (units.size(process.rss_bytes, short=True), _DIM),
            }
        return texts(facts, process, names, lines)
