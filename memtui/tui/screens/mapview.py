"""View 3: one process's address space, as sums by kind, picture and table."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from memtui import units
from memtui.model.addressmap import AddressMap
from memtui.tui import theme
from memtui.tui.chosen import Chosen
from memtui.tui.widgets.bars import spread
from memtui.tui.widgets.lines import Line, Lines, Part
from memtui.tui.widgets.mappings import FULL_COLUMNS, SHORT_COLUMNS, KindTable, MappingTable
from memtui.tui.widgets.picture import Picture

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)

_PERMS = (("r", "read"), ("w", "write"), ("x", "execute"))


class MapView(Vertical):
    """Draws the chosen process; the application decides which it is and where the cursor is."""

    def __init__(self, page: int) -> None:
        super().__init__(id="map")
        self._page = page
        self._chosen: Chosen | None = None

    def compose(self) -> ComposeResult:
        yield Lines(id="map-title")
        yield Lines(id="map-words")
        yield KindTable(id="kinds")
        with Horizontal(id="map-body"):
            yield Picture(self._page, id="picture")
            with Vertical(id="map-right"):
                yield MappingTable(FULL_COLUMNS, id="mappings")
                yield Lines(id="detail")

    def on_resize(self) -> None:
        wide = self.size.width >= 110
        self.query_one(MappingTable).set_columns(FULL_COLUMNS if wide else SHORT_COLUMNS)
        if self._chosen is not None:
            self.show_map(self._chosen)

    def show_map(self, chosen: Chosen) -> None:
        """The chosen process's map, its state, or why there is none."""
        self._chosen = chosen
        self.query_one("#map-title", Lines).draw(lambda width: [title(chosen, width)])
        words = self.query_one("#map-words", Lines)
        body, kinds = self.query_one("#map-body"), self.query_one(KindTable)
        words.display = chosen.map is None
        body.display = kinds.display = chosen.map is not None
        if chosen.map is None:
            words.show(*[[(f"  {line}", _PLAIN)] for line in ("", *chosen.why_no_map())])
            return
        kinds.styles.height = 1 + kinds_height(chosen.map, self.size.height)
        kinds.show(chosen.map)
        self.point(chosen)

    def point(self, chosen: Chosen) -> None:
        """The cursor's mapping, in table, picture and detail alike."""
        if chosen.map is None:
            return
        table = self.query_one(MappingTable)
        table.show(chosen.map, chosen.address)
        self.query_one(Picture).show(chosen.map, table.cursor)
        self.query_one("#detail", Lines).show(*detail(chosen.map, table.cursor, self._page))


def title(chosen: Chosen, width: int) -> Line:
    """Which process it is, and what its map sums up to."""
    process = chosen.process
    if process is None:
        return [(" no process is chosen", _DIM)]
    left: list[Part] = [
        (f" {process.pid} ", _DIM),
        (units.printable(process.name), _BRIGHT),
        (f" · user {chosen.user}", _DIM),
    ]
    if chosen.gone_at:
        left.append(
            (
                f" · gone at {chosen.gone_at}" + (": its last map" if chosen.map else ""),
                theme.style(theme.ALARM, bold=True),
            )
        )
    right: list[Part] = []
    if chosen.map is not None:
        totals = chosen.map.totals
        left.append((f" · {units.count(totals.mappings)} mappings", _PLAIN))
        if width >= 110:
            left.append((f" · size {units.size(totals.size)}", _PLAIN))
            for label, value in (
                ("RSS", totals.rss),
                ("PSS", totals.pss),
                ("swap", totals.swap),
            ):
                if value is not None:
                    left.append((f" · {label} {units.size(value)}", _PLAIN))
        if chosen.map.usage_gap is not None:
            right.append((f"usage n/a: smaps is {chosen.map.usage_gap.reason} ", _DIM))
        elif not chosen.map.has_usage:
            right.append(("reading usage … ", _DIM))
        elif chosen.read_at is not None and not chosen.gone_at:
            age = max(0.0, time.monotonic() - chosen.read_at)
            right.append((f"usage read {units.duration(round(age))} ago ", _DIM))
    return spread(left, right, width)


def kinds_height(map_: AddressMap, height: int) -> int:
    """Rows for the sums by kind: all of them where there is room, never more than a third."""
    return min(1 + len(map_.by_kind), max(4, height // 3 - 1))


def detail(map_: AddressMap, row: int, page: int) -> list[Line]:
    """The mapping under the cursor in words: what it is, where, how much of it is in memory."""
    if row >= len(map_):
        return []
    mappings, kind = map_.mappings, map_.kind(row)
    start, end, perms = mappings.starts[row], mappings.ends[row], mappings.perms[row]
    path = units.printable(mappings.paths[row])
    may = ", ".join(word for letter, word in _PERMS if letter in perms) or "no access at all"
    first: list[Part] = [
        (f" {kind.letter} {kind.words}", theme.style(kind.colour, bold=True)),
        (f" · {path}" if path else " · no file behind it", _PLAIN),
        (f" at offset {mappings.offsets[row]:#x}" if path.startswith("/") else "", _DIM),
    ]
    pages = (end - start) // page
    pages_of = f"{units.count(pages)} page{'s' if pages != 1 else ''} of {units.size(page)}"
    second: list[Part] = [
        (f" {units.address(start)}–{units.address(end)}", _PLAIN),
        (f" · {units.size(end - start)} in {pages_of}", _DIM),
        (f" · {may} · {'shared' if perms[3] == 's' else 'private'}", _DIM),
    ]
    third: list[Part] = [(" ", _DIM)]
    rss = mappings.get(row, "Rss")
    if rss is None:
        third.append(("how much of it is in memory is not known", _DIM))
    else:
        share = rss / (end - start)
        third += [
            (units.permille_bar(share, 20), theme.style(kind.colour)),
            (f" {units.percent(100 * share)} in memory: {units.size(rss)}", _PLAIN),
        ]
        for label, key in (
            ("PSS", "Pss"),
            ("dirty", "Private_Dirty"),
            ("swapped", "Swap"),
            ("locked", "Locked"),
        ):
            if value := mappings.get(row, key):
                third.append((f" · {label} {units.size(value)}", _DIM))
    hole = start - mappings.ends[row - 1] if row else start
    inside = f" · inode {mappings.inodes[row]}" if path.startswith("/") else ""
    fourth: list[Part] = [
        (f" below it {'a hole of ' + units.size(hole) if hole else 'the mapping before it'}", _DIM),
        (inside, _DIM),
    ]
    return [first, second, third, fourth]
