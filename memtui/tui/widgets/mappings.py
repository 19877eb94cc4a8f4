"""The address map as tables: mappings in address order, and sums by kind."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from memtui import units
from memtui.model.addressmap import AddressMap, Totals
from memtui.model.kinds import Kind
from memtui.tui import theme
from memtui.tui.widgets.lines import Column, Part, Table

BESIDE_COLUMNS = (
    Column("kind", "", 1),
    Column("start", "START", 12, "<"),
    Column("size", "SIZE", 5),
    Column("rss", "RSS", 5),
    Column("pss", "PSS", 5, priority=3),
    Column("swap", "SWAP", 5, priority=4),
    Column("perms", "PERM", 4, "<", priority=1),
    Column("name", "NAME", 0, "<"),
)
FULL_COLUMNS = (
    Column("kind", "", 1),
    Column("range", "START – END", 25, "<"),
    Column("size", "SIZE", 8),
    Column("rss", "RSS", 8),
    Column("pss", "PSS", 8, priority=3),
    Column("swap", "SWAP", 8, priority=4),
    Column("perms", "PERM", 4, "<", priority=1),
    Column("offset", "OFFSET", 8, priority=5),
    Column("name", "NAME", 0, "<"),
)
SHORT_COLUMNS = (
    Column("kind", "", 1),
    Column("range", "START – END", 25, "<"),
    Column("size", "SIZE", 5),
    Column("rss", "RSS", 5),
    Column("pss", "PSS", 5, priority=2),
    Column("swap", "SWAP", 5, priority=3),
    Column("perms", "PERM", 4, "<", priority=1),
    Column("name", "NAME", 0, "<"),
)


class MappingTable(Table):
    """Mappings in address order. The cursor stays with its address when the map changes."""

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:
        super().__init__(columns, id=id)
        self.map: AddressMap | None = None

    def show(self, map_: AddressMap | None, address: int | None) -> None:
        """A map, the cursor on the mapping at `address` or the next below it."""
        self.map = map_
        row = 0
        if map_ is not None and address is not None:
            row = max(0, bisect_right(map_.mappings.starts, address) - 1)
        if row != self.cursor:
            offset = self.cursor - self.top
            self.top = max(0, row - offset)
        self.set_cursor(row)

    @property
    def address(self) -> int | None:
        """Where the mapping under the cursor begins."""
        if self.map is None or self.cursor >= len(self.map):
            return None
        return self.map.mappings.starts[self.cursor]

    def row_count(self) -> int:
        return len(self.map) if self.map is not None else 0

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        map_ = self.map
        if map_ is None:
            return {}
        mappings, kind = map_.mappings, map_.kind(row)
        short = not any(column.width == 8 for column, _ in self.columns())
        colour = theme.style(kind.colour)
        start, end = mappings.starts[row], mappings.ends[row]
        texts: dict[str, str | Part] = {
            "kind": (kind.letter, theme.style(kind.colour, bold=True)),
            "size": units.size(end - start, short=short),
            "perms": mappings.perms[row],
        }
        for name in names:
            if name == "start":
                texts[name] = units.address(start)
            elif name == "range":
                texts[name] = f"{units.address(start)}–{units.address(end)}"
            elif name == "offset":
                texts[name] = (f"{mappings.offsets[row]:x}", theme.style(theme.DIM))
            elif name == "name":
                width = next(cells for column, cells in self.columns() if column.name == "name")
                path = mappings.paths[row]
                texts[name] = (
                    (short_name(units.printable(path), width), colour)
                    if path
                    else (kind.words, theme.style(theme.DIM))
                )
        for name, key in (("rss", "Rss"), ("pss", "Pss"), ("swap", "Swap")):
            texts[name] = self._figure(map_, row, key, short)
        return texts

    @staticmethod
    def _figure(map_: AddressMap, row: int, key: str, short: bool) -> Part:
        if not map_.has_usage and map_.usage_gap is None:
            return "…", theme.style(theme.DIM)  # being read
        value = map_.mappings.get(row, key)
        colour = theme.DIM if not value else theme.BRIGHT if key == "Rss" else theme.FOREGROUND
        return units.size(value, short=short), theme.style(colour)


def short_name(path: str, width: int) -> str:
    """A path that fits: whole, else its last part, which tells more than its first."""
    if units.width(path) <= width or not path.startswith("/"):
        return path
    return path.rsplit("/", 1)[-1] or path


def _resident(item: tuple[Kind, Totals]) -> tuple[int, int]:
    """What a kind has in memory, and where that is not known or equal, its size."""
    totals = item[1]
    return totals.rss or 0, totals.size


class KindTable(Table):
    """Sums by kind, the whole first. Choosing a kind goes to its first mapping."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(KindTable.fitting(80), id=id)
        self._rows: list[tuple[Kind | None, Totals]] = []
        self._pending = False

    @staticmethod
    def fitting(width: int) -> tuple[Column, ...]:
        """Columns for a width: short sizes where long ones would leave no room for words."""
        cells = 8 if width >= 116 else 7  # PRIVATE and LARGEST are as wide
        return (
            Column("kind", "KIND", 34 if width >= 116 else 0, "<"),
            *(
                Column(name, name.upper(), cells)
                for name in ("size", "rss", "pss", "private", "shared", "swap")
            ),
            Column("count", "N", 6, priority=1),
            Column("largest", "LARGEST", cells, priority=2),
        )

    def on_resize(self) -> None:
        self.set_columns(self.fitting(self.size.width))
        super().on_resize()

    def show(self, map_: AddressMap | None) -> None:
        if map_ is None:
            self._rows = []
        else:
            kinds = sorted(map_.by_kind.items(), key=_resident, reverse=True)
            self._rows = [(None, map_.totals), *kinds]
            self._pending = not map_.has_usage and map_.usage_gap is None
        self.set_cursor(self.cursor)

    def first_row(self, map_: AddressMap) -> int:
        """The first mapping of the kind under the cursor."""
        kind = self._rows[self.cursor][0] if self.cursor < len(self._rows) else None
        if kind is None:
            return 0
        return next((row for row in range(len(map_)) if map_.kind(row) is kind), 0)

    def row_count(self) -> int:
        return len(self._rows)

    def row_texts(self, row: int, names: Sequence[str]) -> dict[str, str | Part]:
        kind, totals = self._rows[row]
        short = self.size.width < 116
        label: Part = (
            ("  everything", theme.style(theme.BRIGHT, bold=True))
            if kind is None
            else (f"{kind.letter} {kind.words}", theme.style(kind.colour))
        )
        texts: dict[str, str | Part] = {
            "kind": label,
            "size": units.size(totals.size, short=short),
            "count": units.count(totals.mappings),
            "largest": units.size(totals.largest, short=short),
        }
        for name in ("rss", "pss", "private", "shared", "swap"):
            value: int | None = getattr(totals, name)
            text = "…" if self._pending else units.size(value, short=short)
            texts[name] = (text, theme.style(theme.FOREGROUND if value else theme.DIM))
        return texts
