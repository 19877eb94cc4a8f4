"""The address space as tables: its mappings, and sums by kind."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from memtui import units
from memtui.frozen import FrozenDict
from memtui.model.map.addressmap import AddressMap, Totals, in_memory
from memtui.model.map.kinds import Kind
from memtui.model.map.labels import flags, label
from memtui.tui import theme
from memtui.tui.widgets.lines import Table
from memtui.tui.words.cells import Column, Part

if TYPE_CHECKING:
    from memtui.model.map.change import Trail

BESIDE_COLUMNS = ("kind", "start", "size", "rss", "pss", "swap", "perms", "name")
DEFAULT_COLUMNS = (
    "kind",
    "range",
    "size",
    "rss",
    "pss",
    "rss_gain_minute",
    "swap",
    "perms",
    "offset",
    "name",
)
DUMP_COLUMNS = ("kind", "range", "size", "dumped", "perms", "offset", "name")
# Columns that stay where there is no room for all, and in which order the others go.
_STAY = ("kind", "start", "range", "size", "rss", "dumped", "name")
_GO_FIRST = ("offset", "swap", "pss", "rss_gain_minute", "perms")

# What the overview shows too: told without the table of all columns, which takes its time to import.
_PLAIN = {"size": "", "rss": "Rss", "pss": "Pss", "swap": "Swap"}
_TEXT_WIDTHS = {
    "kind": 1,
    "start": 12,
    "end": 12,
    "range": 25,
    "perms": 4,
    "offset": 8,
    "dev": 5,
    "inode": 9,
    "name": 0,
    "path": 24,
    "label": 28,
    "vm_flags": 20,
}
_RIGHT = ("offset", "inode")


def table_column(name: str, at: int, short: bool, least: int, narrow: bool = False) -> Column:
    """How a column of the model stands in the table: its width, and when it gives way.

    `short`: sizes are; `narrow`: where a mapping ends goes before its name is cut.
    `least` cells are for names as long as a column is left that can go.
    """
    # The last of those that somebody added goes first, then those that tell least.
    goes = _GO_FIRST[::-1].index(name) if name in _GO_FIRST else len(_GO_FIRST) + at
    priority = 0 if name in _STAY else 1 + goes
    if name == "range" and narrow:
        return Column(name, "START", _TEXT_WIDTHS["start"], "<", priority)
    if name in ("range", "name", "kind"):
        title = {"range": "START – END", "name": "NAME", "kind": ""}[name]
        return Column(name, title, _TEXT_WIDTHS[name], "<", priority, least)
    title = "PERM" if name == "perms" else name.upper()
    if name not in (*_PLAIN, "start", "perms"):
        from memtui.model.map.columns import COLUMNS

        if name in COLUMNS:
            title = COLUMNS[name].title.replace(" RSS MINUTE", "/MIN")
    if name in _TEXT_WIDTHS:
        return Column(name, title, _TEXT_WIDTHS[name], ">" if name in _RIGHT else "<", priority)
    width = (6 if "gain" in name else 5) if short else 8
    return Column(name, title, max(width, units.width(title)), ">", priority)


_LONG_FROM: Final = 100  # cells of the table: sizes with their units in full
_ENDS_FROM: Final = 110
_TEXTS_KEPT: Final = 500  # of some screens


class MappingTable(Table):
    """Mappings, those of `rows` in its order. The cursor stays with its address when the map changes."""

    def __init__(self, names: Sequence[str], *, least: int = 34, id: str | None = None) -> None:
        super().__init__((), id=id)
        self.names = tuple(names)
        self._least = least
        self.map: AddressMap | None = None
        self.rows: Sequence[int] = ()
        self.order: tuple[str, bool] | None = None
        self.folds: Mapping[int, int] = {}
        self._trail: Trail | None = None
        self._asked: tuple[Any, ...] = (None,) * 5  # what was shown last
        self._texts: dict[int, dict[str, str | Part]] = {}  # of mappings, as long as they hold
        self.lists_cursor = True  # whether the cursor's mapping, or the one below it, is shown
        self._is_in_hole = False
        self._short = self._narrow = True

    def show(
        self,
        map_: AddressMap | None,
        address: int | None,
        rows: Sequence[int] | None = None,
        trail: Trail | None = None,
        folds: Mapping[int, int] = FrozenDict(),
    ) -> None:
        """A map, the cursor on the mapping at `address`, or the next below it that is shown.

        `folds`: of rows that stand for a run of alike mappings, the row behind its last.
        """
        asked = (map_, trail, rows, self.order, address)
        if asked == self._asked:
            return  # what else changes a line repaints it
        # Who goes to an address wants to see it; a reading of the same rows moves nothing.
        reveal = True if address is not None and address != self._asked[-1] else None
        is_sorted = self.order != self._asked[-2] and self._asked[0] is not None
        self._asked = asked
        if map_ is not self.map or trail is not self._trail or folds != self.folds:
            self._texts.clear()
        self.map, self._trail, self.folds = map_, trail, folds
        self.rows = range(len(map_) if map_ is not None else 0) if rows is None else rows
        position = 0
        if map_ is not None:
            row = max(0, bisect_right(map_.mappings.starts, address or 0) - 1)
            position, self.lists_cursor = self._position(row)
            self._is_in_hole = address is not None and address >= map_.mappings.ends[row]
        self.set_cursor(self.keep_place(position), reveal=reveal)
        if is_sorted:
            self.show_first()

    def choose_columns(self, names: Sequence[str]) -> None:
        """Other columns from now on."""
        self.names = tuple(names)
        self._lay_out()

    def _lay_out(self) -> None:
        self._texts.clear()
        self._short = self.size.width < _LONG_FROM
        self._narrow = self.size.width < _ENDS_FROM
        self.set_columns(
            [
                table_column(name, at, self._short, self._least, self._narrow)
                for at, name in enumerate(self.names)
            ]
        )
        self.repaint()

    def on_resize(self) -> None:
        self._lay_out()
        super().on_resize()

    def _position(self, row: int) -> tuple[int, bool]:
        """Where a mapping stands among those shown, or the one before it; whether it does."""
        rows = self.rows
        if not rows:
            return 0, False
        if self.order is None:
            at = bisect_left(rows, row)
            if at < len(rows) and rows[at] == row:
                return at, True
            at = max(0, at - 1)
            return at, row < self.folds.get(rows[at], 0)
        try:
            return rows.index(row), True
        except ValueError:
            return self.cursor, False

    @property
    def row(self) -> int | None:
        """The mapping under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    @property
    def address(self) -> int | None:
        """Where the mapping under the cursor begins."""
        row = self.row
        return None if self.map is None or row is None else self.map.mappings.starts[row]

    @property
    def model_names(self) -> list[str]:
        """Its columns by the model's names, of which some have two."""
        parts = {"range": ("start", "end"), "name": ("path", "label")}
        return list(dict.fromkeys(each for name in self.names for each in parts.get(name, (name,))))

    # Table's questions.

    def row_count(self) -> int:
        return len(self.rows)

    def sorted_by(self) -> tuple[str, bool] | None:
        if self.order is None:
            return None
        name, downwards = self.order
        return {"path": "name", "start": "range"}.get(name, name), downwards

    def cursor_is_exact(self) -> bool:
        return self.lists_cursor and not self._is_in_hole

    def empty_text(self) -> str:
        return "no mapping fits the filter" if self.map is not None and len(self.map) else ""

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        map_ = self.map
        if map_ is None:
            return {}
        at = self.rows[row]
        texts = self._texts.get(at)
        if texts is None:
            if len(self._texts) >= _TEXTS_KEPT:
                self._texts.clear()
            text = self._fold_text if at in self.folds else self._text
            texts = self._texts[at] = {name: text(map_, at, name) for name in names}
        return texts

    def _fold_text(self, map_: AddressMap, row: int, name: str) -> str | Part:
        """Of a run of mappings: how many there are, from where to where, and their sums."""
        mappings, end = map_.mappings, self.folds[row]
        if name == "name":
            words = f"+ {units.count(end - row)} × {label(map_, row).words}"
            return units.printable(words), theme.style(map_.kind(row).colour)
        if name == "range" and not self._narrow:
            return f"{units.address(mappings.starts[row])}–{units.address(mappings.ends[end - 1])}"
        if name == "end":
            return units.address(mappings.ends[end - 1])
        if name in _PLAIN:
            sizes = (
                mappings.ends[each] - mappings.starts[each]
                if name == "size"
                else mappings.get(each, _PLAIN[name])
                for each in range(row, end)
            )
            known = [each for each in sizes if each is not None]
            total = sum(known) if known else None
            return self._size_text(map_, total, bright=name == "rss")
        if name in ("kind", "start", "range", "perms"):
            return self._text(map_, row, name)
        return self._sum_text(map_, row, end, name)

    def _sum_text(self, map_: AddressMap, row: int, end: int, name: str) -> str | Part:
        """Any other column of the model's that can be added up; else nothing."""
        from memtui.model.map.columns import named, value

        column = named(map_, name)
        if column is None or column.type not in ("bytes", "change") or name == "offset":
            return "", theme.style(theme.DIM)
        found = [value(map_, each, name, self._trail) for each in range(row, end)]
        known = [each for each in found if isinstance(each, int)]
        total = sum(known) if known else None
        if column.type == "bytes":
            return self._size_text(map_, total)
        return self._change_text(total)

    def _change_text(self, found: float | None) -> Part:
        if found is None:
            return "", theme.style(theme.DIM)
        colour = theme.GROWS if found > 0 else theme.SHRINKS if found < 0 else theme.DIM
        return units.change(found, short=self._short), theme.style(colour)

    def _text(self, map_: AddressMap, row: int, name: str) -> str | Part:
        kind, mappings = map_.kind(row), map_.mappings
        if name == "kind":
            return kind.letter, theme.style(kind.colour, bold=True)
        if name == "range" and self._narrow:
            return units.address(mappings.starts[row])
        if name == "range":
            return f"{units.address(mappings.starts[row])}–{units.address(mappings.ends[row])}"
        if name == "name":
            return self._named(map_, row)
        if name == "perms":
            perms = mappings.perms[row]
            # Writable and executable at once: marked, by colour and by what stands behind it.
            return (perms, theme.style(theme.ALARM, bold=True)) if "wx" in perms else perms
        if name == "start":
            return units.address(mappings.starts[row])
        if name == "offset":
            return f"{mappings.offsets[row]:x}", theme.style(theme.DIM)
        if name == "size":
            size = mappings.ends[row] - mappings.starts[row]
            return units.size(size, short=self._short), theme.style(theme.FOREGROUND)
        if name in _PLAIN:
            return self._size_text(map_, mappings.get(row, _PLAIN[name]), bright=name == "rss")
        return self._other(map_, row, name)

    def _size_text(self, map_: AddressMap, found: float | None, *, bright: bool = False) -> Part:
        if found is None and not map_.has_usage and map_.usage_gap is None:
            return "…", theme.style(theme.DIM)  # being read
        colour = theme.DIM if not found else theme.BRIGHT if bright else theme.FOREGROUND
        return units.size(found, short=self._short), theme.style(colour)

    def _other(self, map_: AddressMap, row: int, name: str) -> str | Part:
        """Any column of the model's."""
        from memtui.model.map.columns import named, value

        found, column = value(map_, row, name, self._trail), named(map_, name)
        if isinstance(found, str):
            return units.printable(found)
        measure = column.type if column is not None else ""
        if measure == "change":
            return self._change_text(found)
        if measure == "address":
            return units.address(int(found or 0))
        if measure == "percent":
            return units.percent(found), theme.style(theme.FOREGROUND)
        if measure == "count":
            return units.UNKNOWN if found is None else str(found), theme.style(theme.FOREGROUND)
        return self._size_text(map_, found)

    def _named(self, map_: AddressMap, row: int) -> Part:
        path = map_.mappings.paths[row]
        mark = "! " if flags(map_, row) else ""
        if not path:
            words = units.printable(label(map_, row).words)
            return mark + words, theme.style(theme.ALARM if mark else theme.DIM, bold=bool(mark))
        width = next((cells for column, cells in self.columns() if column.name == "name"), 0)
        text = mark + short_name(units.printable(path), width - len(mark))
        if mark:
            return text, theme.style(theme.ALARM, bold=True)
        return text, theme.style(map_.kind(row).colour)


def short_name(path: str, width: int) -> str:
    """A path that fits: whole, else its last part, which tells more than its first."""
    if units.width(path) <= width or not path.startswith("/"):
        return path
    return path.rsplit("/", 1)[-1] or path


def _resident(item: tuple[Kind, Totals]) -> tuple[int, int]:
    """What a kind has in memory, and where that is not known or equal, its size."""
    return in_memory(*item), item[1].size


# What the sums by kind show, as far as there is room: name, title, cells (short), when it goes.
_SUMS: tuple[tuple[str, str, int], ...] = (
    ("size", "SIZE", 0),
    ("rss", "RSS", 0),
    ("pss", "PSS", 0),
    ("private", "PRIVATE", 4),
    ("private_clean", "PRIV CLN", 9),
    ("private_dirty", "PRIV DRT", 7),
    ("shared", "SHARED", 4),
    ("shared_clean", "SHRD CLN", 10),
    ("shared_dirty", "SHRD DRT", 8),
    ("anonymous", "ANON", 5),
    ("swap", "SWAP", 0),
    ("locked", "LOCKED", 11),
    ("huge", "HUGE", 6),
)
_DUMP_SUMS: tuple[tuple[str, str, int], ...] = (("size", "SIZE", 0), ("dumped", "IN DUMP", 0))


class KindTable(Table):
    """Sums by kind, the whole first. The kind under the cursor is what the view is about."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(KindTable.fitting(80), id=id)
        self._sums = _SUMS
        self._rows: list[tuple[Kind | None, Totals]] = []
        self._pending = False
        self.kind: Kind | None = None

    @staticmethod
    def fitting(width: int, sums: tuple[tuple[str, str, int], ...] = _SUMS) -> tuple[Column, ...]:
        """Columns for a width: short sizes where long ones would leave no room for words."""
        wide = width >= 116
        return (
            Column("kind", "KIND", 33 if wide else 24, "<"),
            *(
                Column(name, title, max(8 if wide else 5, len(title)), priority=priority)
                for name, title, priority in sums
            ),
            Column("count", "N", 6, priority=1),
            Column("largest", "LARGEST", 8 if wide else 7, priority=3),
        )

    def on_resize(self) -> None:
        self.set_columns(self.fitting(self.size.width, self._sums))
        super().on_resize()

    def show(self, map_: AddressMap | None, kind: Kind | None) -> None:
        """A map's sums, the cursor on a kind, or on everything."""
        self.kind = kind
        self._rows = []
        if map_ is not None:
            sums = _SUMS if map_.totals.dumped is None else _DUMP_SUMS
            if sums != self._sums:
                self._sums = sums
                self.set_columns(self.fitting(self.size.width, sums))
            kinds = sorted(map_.by_kind.items(), key=_resident, reverse=True)
            self._rows = [(None, map_.totals), *kinds]
            self._pending = not map_.has_usage and map_.usage_gap is None
        at = next((at for at, row in enumerate(self._rows) if row[0] is kind), 0)
        self.set_cursor(at)

    def _go(self, row: int) -> None:
        self.set_cursor(row, reveal=True)
        self.kind = self._rows[self.cursor][0] if self._rows else None
        self.post_message(self.Moved(self))

    def row_count(self) -> int:
        return len(self._rows)

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        kind, totals = self._rows[row]
        short = self.size.width < 116
        label_: Part = (
            ("  everything", theme.style(theme.BRIGHT, bold=True))
            if kind is None
            else (f"{kind.letter} {kind.words}", theme.style(kind.colour))
        )
        texts: dict[str, str | Part] = {
            "kind": label_,
            "size": units.size(totals.size, short=short),
            "count": units.count(totals.mappings),
            "largest": units.size(totals.largest, short=short),
        }
        for name, _, _ in self._sums[1:]:
            found: int | None = getattr(totals, name)
            text = "…" if self._pending else units.size(found, short=short)
            texts[name] = (text, theme.style(theme.FOREGROUND if found else theme.DIM))
        return texts
