"""The map of the chosen process where it stands beside something else: a ribbon and a short table."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical

from memtui import units
from memtui.session.chosen import Chosen
from memtui.session.session import Session
from memtui.tui import theme
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.mappings import BESIDE_COLUMNS, MappingTable
from memtui.tui.widgets.picture import Picture
from memtui.tui.words.cells import Line, Part, broken, cells
from memtui.tui.words.nomap import gone_words, no_map


class MapBeside(Vertical):
    """Title, ribbon and mappings of one process, or why there is no map of it."""

    def __init__(self, session: Session) -> None:
        super().__init__(id="beside")
        self._session = session
        self._chosen: Chosen | None = None

    def compose(self) -> ComposeResult:
        yield Lines(id="beside-title")
        yield Picture(self._session.machine.page_bytes, zoomable=False, id="ribbon")
        yield MappingTable(BESIDE_COLUMNS, least=12, id="beside-table")
        yield Lines(id="beside-words")

    def on_mount(self) -> None:
        ribbon, table = self.query_one(Picture), self.query_one(MappingTable)
        ribbon.can_focus = False
        ribbon.follow = lambda: self._follow(ribbon.address)
        table.follow = lambda: self._follow(table.address)

    def show(self, chosen: Chosen) -> None:
        """The chosen process's map, its state, or why there is none."""
        self._chosen = chosen
        table, ribbon = self.query_one(MappingTable), self.query_one(Picture)
        words = self.query_one("#beside-words", Lines)
        self.query_one("#beside-title", Lines).draw(lambda width: [self._title(chosen, width)])
        has_map = chosen.map is not None
        table.display = ribbon.display = has_map
        words.display = not has_map
        if chosen.map is None:
            machine = self._session.machine
            why = no_map(chosen, machine.users.name, machine.ticks_per_s)
            line = [(f" {' '.join(why)}", theme.style(theme.DIM))]
            words.draw(lambda width: [[], *broken(line, width)])
            return
        table.show(chosen.map, chosen.address)
        ribbon.show(chosen.map, table.address)

    def _title(self, chosen: Chosen, width: int) -> Line:
        process = chosen.process
        if process is None:
            return []
        parts: list[Part] = [
            (f" {process.pid} ", theme.style(theme.DIM)),
            (units.printable(process.name), theme.style(theme.BRIGHT, bold=True)),
        ]
        more: list[list[Part]] = []
        if chosen.gone_s is not None:
            gone = gone_words(chosen, self._session.machine)
            more.append([(f" · {gone}", theme.style(theme.ALARM, bold=True))])
        if chosen.map is not None:
            totals = chosen.map.totals
            for label, value in (("RSS ", totals.rss), ("PSS ", totals.pss), ("", totals.size)):
                if value is not None:
                    text = units.size(value, short=True) + (" mapped" if not label else "")
                    figure: Part = (text, theme.style(theme.FOREGROUND))
                    more.append([(f" · {label}", theme.style(theme.DIM)), figure])
        for group in more:
            if cells(parts) + cells(group) <= width:
                parts += group
        return parts

    def _follow(self, address: int | None) -> None:
        if self._chosen is not None:
            self._chosen.address = address

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        self._again()

    def on_picture_pointed(self, event: Picture.Pointed) -> None:
        event.stop()
        self._again()

    def _again(self) -> None:
        if self._chosen is not None:
            self.show(self._chosen)
