"""View 3: one process's address space, as sums by kind, picture and table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from memtui import units
from memtui.kernel.files import Gap, KernelFiles
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.arrange import arrange, next_match
from memtui.model.map.columns import available, fields
from memtui.model.map.kinds import KINDS, Kind
from memtui.model.query import BadQuery, Term, parse_address, parse_query
from memtui.ondemand.pages import PagesReading, read_pages
from memtui.tui import theme
from memtui.tui.background import in_background
from memtui.tui.chosen import Chosen
from memtui.tui.keys import bindings
from memtui.tui.views.view import View
from memtui.tui.widgets.knownpages import DETAILED_PAGES
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.mappings import DEFAULT_COLUMNS, KindTable, MappingTable
from memtui.tui.widgets.picture import Picture
from memtui.tui.words.map import detail, rows_line, spread_line, title

if TYPE_CHECKING:
    from memtui.tui.app import MemtuiApp
    from memtui.tui.sheets.sheet import Sheet

_PLAIN = theme.style(theme.FOREGROUND)

TOPICS = (
    *("/proc/PID/maps", "VSZ", "RSS", "PSS", "USS", "virtual address", "mmap", "brk", "page"),
    *("page table", "page fault", "SIGSEGV", "copy-on-write", "huge page"),
)

# Arranging so many takes a moment: on a thread, or a key would wait for it.
_MANY = 4_000


class MapView(View):
    """Draws the chosen process; the application decides which it is.

    One cursor, an address, stands in table, picture and detail alike. The rows of the table are
    those of the chosen kind that fit the filter, in the chosen order.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("map")]

    def __init__(self, page: int, files: KernelFiles | None) -> None:
        super().__init__(id="map")
        self._page = page
        self._files = files
        self._chosen = Chosen()
        self._filter = ""
        self._terms: tuple[Term, ...] = ()
        self._kind: Kind | None = None
        self._order: tuple[str, bool] | None = None
        self._sought = ""
        # What is on the screen: rows belong to the map they were arranged from.
        self._shown: AddressMap | None = None
        self._rows: Sequence[int] = ()
        self._sheet: Sheet | None = None
        self._turn = 0  # of arranging: a thread that is slower than the next one comes too late

    @classmethod
    def of(cls, app: MemtuiApp) -> Self:
        return cls(app.page, app.source.files)

    def compose(self) -> ComposeResult:
        yield Lines(id="map-title")
        yield Lines(id="map-words")
        yield KindTable(id="kinds")
        yield Lines(id="map-spread")
        with Horizontal(id="map-body"):
            yield Picture(self._page, id="picture")
            with Vertical(id="map-right"):
                yield Lines(id="map-rows")
                yield MappingTable(DEFAULT_COLUMNS, id="mappings")
                yield Lines(id="detail")

    def on_mount(self) -> None:
        table, picture = self._table, self._picture
        table.follow = lambda: self._follow(table.address)
        picture.follow = lambda: self._follow(picture.address)

    @property
    def main(self) -> MappingTable:
        return self._table

    @property
    def topics(self) -> Sequence[str]:
        return TOPICS

    @property
    def _table(self) -> MappingTable:
        return self.query_one(MappingTable)

    @property
    def _picture(self) -> Picture:
        return self.query_one(Picture)

    def on_resize(self) -> None:
        self.show_map(self._chosen)

    def show_map(self, chosen: Chosen) -> None:
        """The chosen process's map, its state, or why there is none."""
        if chosen is not self._chosen:
            self._chosen = chosen
            self._filter, self._terms, self._kind, self._order = "", (), None, None
            self._picture.fold()
        self.query_one("#map-title", Lines).draw(lambda width: [title(chosen, width)])
        words = self.query_one("#map-words", Lines)
        parts = [self.query_one(name) for name in ("#map-body", "#kinds", "#map-spread")]
        map_ = chosen.map
        words.display = map_ is None
        for part in parts:
            part.display = map_ is not None
        if map_ is None:
            self._shown, self._rows = None, ()
            words.show(*[[(f"  {line}", _PLAIN)] for line in ("", *chosen.why_no_map())])
            return
        kinds = self.query_one(KindTable)
        kinds.styles.height = 1 + kinds_height(map_, self.size.height)
        kinds.show(map_, self._kind)
        self.query_one("#map-spread", Lines).draw(lambda width: [spread_line(map_, width)])
        if map_ is not self._shown:
            self._arrange()
            if self._sheet in self.app.screen_stack:
                self._sheet.map_read()
        else:
            self._show_cursor()

    # Which rows, in which order.

    def _arrange(self) -> None:
        """Which mappings the table shows; a large map's on a thread, the old ones staying till then."""
        map_, trail = self._chosen.map, self._chosen.trail
        if map_ is None:
            return
        self._turn += 1
        turn = self._turn
        terms = self._terms
        if self._kind is not None:
            terms = (*self._parse(f"kind:{self._kind.name}"), *terms)
        if not terms and self._order is None:
            self._arranged(turn, map_, range(len(map_)))
            return
        sort, downwards = self._order or (None, False)

        def work() -> Sequence[int]:
            return arrange(map_, terms, sort, downwards, trail)

        if len(map_) < _MANY:
            self._arranged(turn, map_, work())
            return

        in_background(self, work, lambda rows: self._arranged(turn, map_, rows))

    def _arranged(self, turn: int, map_: AddressMap, rows: Sequence[int]) -> None:
        if turn != self._turn or map_.key != self._chosen.key:
            return
        self._shown, self._rows = map_, rows
        self._table.order = self._order
        self._show_cursor()
        if rows and not self._table.lists_cursor and (self._terms or self._kind):
            self._point(self._table.address)

    def _show_cursor(self) -> None:
        """The cursor in table, picture and detail; the table's rows as they were arranged."""
        chosen, map_ = self._chosen, self._shown
        if map_ is None:
            return
        self._table.show(map_, chosen.address, self._rows, chosen.trail)
        address = map_.mappings.starts[0] if chosen.address is None else chosen.address
        lit = None if self._kind is None else KINDS.index(self._kind)
        self._picture.show(map_, address, lit)
        shown, filter_, order = len(self._rows), self._filter, self._order
        self.query_one("#map-rows", Lines).draw(
            lambda width: [rows_line(map_, shown, self._kind, filter_, order, width)]
        )
        self.query_one("#detail", Lines).draw(
            lambda width: detail(map_, address, self._page, chosen.trail, width)
        )

    def _follow(self, address: int | None) -> None:
        self._chosen.address = address

    def _point(self, address: int | None) -> None:
        self._chosen.address = address
        self._show_cursor()

    # What the widgets tell.

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        if isinstance(event.table, KindTable):
            self._kind = event.table.kind
            self._arrange()
        elif isinstance(event.table, MappingTable):
            self._show_cursor()

    async def on_table_chosen(self, event: Table.Chosen) -> None:
        self.on_table_moved(event)
        if isinstance(event.table, MappingTable):
            self.action_inside()

    def on_table_head_clicked(self, event: Table.HeadClicked) -> None:
        event.stop()
        if isinstance(event.table, MappingTable):
            self._sort_by(event.column)

    def on_picture_pointed(self, event: Picture.Pointed) -> None:
        event.stop()
        self._show_cursor()

    def on_picture_pages_wanted(self, event: Picture.PagesWanted) -> None:
        event.stop()
        self._read_pages()

    def _read_pages(self) -> None:
        """Asks pagemap for what the picture shows, and no more."""
        wanted, key, files = self._picture.pages_wanted, self._chosen.key, self._files
        if wanted is None or key is None or files is None:
            return

        start, count = wanted
        detailed = count <= DETAILED_PAGES

        def work() -> PagesReading | Gap:
            return read_pages(files, key, start, count, self._page, detailed)

        def then(reading: PagesReading | Gap) -> None:
            if key == self._chosen.key:
                self._picture.show_pages(reading)

        in_background(self, work, then)

    # What keys do.

    async def action_back(self) -> None:
        if self._filter or self._kind:
            self._kind = None
            self._set_filter("", True)
        elif self._picture.zoomed:
            self._picture.fold()
        else:
            await self.run_action("app.view('overview')")

    def action_zoom(self, step: int) -> None:
        self._picture.action_zoom(step)

    async def action_filter(self) -> None:
        from memtui.tui.widgets.prompt import ask

        before, address = self._filter, self._chosen.address

        def answer(text: str, final: bool) -> str:
            complaint = self._set_filter(text, final)
            if text == before:
                self._point(address)  # left with Esc: the cursor may have had to go elsewhere
            return complaint

        await ask(self, "filter: ", answer, before, live=True)

    def _set_filter(self, text: str, final: bool) -> str:
        """Takes a filter as it is typed; what is wrong with it. An address is a place to go to."""
        if text.startswith("@"):
            return self._go_to(text, final)
        try:
            terms = self._parse(text)
        except BadQuery as error:
            return str(error)
        self._filter, self._terms = text, terms
        if self._chosen.map is not None:
            self.query_one(KindTable).show(self._chosen.map, self._kind)
        self._arrange()
        return ""

    def _parse(self, text: str) -> tuple[Term, ...]:
        return parse_query(text, fields(self._chosen.map))

    async def action_goto(self) -> None:
        from memtui.tui.widgets.prompt import ask

        await ask(self, "go to address: ", self._go_to)

    def _go_to(self, text: str, final: bool) -> str:
        if not final or not text:
            return ""
        # Short ones too, which elsewhere could be words.
        address = parse_address("0x" + text.removeprefix("@").removeprefix("0x"))
        if address is None:
            return f"{units.printable(text)!r} is no address: 7f2d0c000000 or 0x7f2d0c000000"
        self._point(address)
        return ""

    async def action_match(self, step: int) -> None:
        from memtui.tui.widgets.prompt import ask

        def seek(text: str, _final: bool) -> str:
            self._sought = text
            return self._seek(step)

        if self._sought:
            if complaint := self._seek(step):
                self.notify(complaint, severity="warning", markup=False, timeout=4)
        else:
            await ask(self, "find: ", seek)

    def _seek(self, step: int) -> str:
        map_ = self._shown
        if map_ is None or not self._sought:
            return ""
        try:
            terms = self._parse(self._sought)
        except BadQuery as error:
            self._sought = ""
            return str(error)
        trail, at = self._chosen.trail, self._table.cursor
        found = next_match(map_, self._rows, terms, at, step, trail)
        if found is None:
            sought, self._sought = self._sought, ""
            return f"no mapping fits {units.printable(sought)!r}"
        self._point(map_.mappings.starts[self._rows[found]])
        return ""

    def action_sort(self) -> None:
        from memtui.tui.sheets.choice import Choice, ChoiceSheet

        map_ = self._chosen.map
        if map_ is None:
            return
        # Those that are shown first, then all others.
        columns = {column.name: column.words for column in available(map_)}
        names = [name for name in ("kind", *self._table.names, "path") if name in columns]
        names += [name for name in columns if name not in ("start", "end", "vm_flags")]
        choices = [Choice("", "as they lie in memory")]
        choices += [Choice(name, columns[name]) for name in dict.fromkeys(names)]
        here = self._order[0] if self._order else ""
        self.app.push_screen(
            ChoiceSheet("sort by", choices, (here,)),
            lambda taken: self._sort_by(taken[0]) if taken else None,
        )

    def _sort_by(self, name: str) -> None:
        """By a column; by the one it is sorted by already, the other way round; by address again."""
        name = {"range": "", "start": "", "name": "path"}.get(name, name)
        if not name:
            self._order = None
        elif self._order and self._order[0] == name:
            self._order = (name, not self._order[1])
        else:
            self._order = (name, name not in ("path", "perms", "kind", "label", "dev"))
        self._arrange()

    def action_invert(self) -> None:
        name, downwards = self._order or ("start", False)
        self._order = (name, not downwards)
        self._arrange()

    def action_columns(self) -> None:
        from memtui.tui.sheets.choice import Choice, ChoiceSheet

        map_ = self._chosen.map
        if map_ is None:
            return
        own = [Choice("range", "from where to where"), Choice("name", "its file, or what it is")]
        choices = own + [Choice(column.name, column.words) for column in available(map_)]
        self.app.push_screen(
            ChoiceSheet("columns", choices, self._table.names, several=True),
            lambda taken: self._table.choose_columns(taken) if taken else None,
        )

    def action_mark(self) -> None:
        if self._chosen.map is None or self._chosen.gone_at:
            self.notify("it has no map that could change", severity="warning", timeout=3)
            return
        if self._chosen.trail.last is None:
            self.notify("its usage has not been read yet", severity="warning", timeout=3)
            return
        self._chosen.trail.set_mark()
        self._show_cursor()
        self.notify("marked: d shows what has changed since", timeout=3)

    def action_copy(self) -> None:
        row, map_ = self._table.row, self._shown
        if map_ is None or row is None:
            return
        vma = map_.mappings.vma(row)
        text = f"{vma.start:x}-{vma.end:x} {vma.perms} {vma.offset_bytes:08x} {vma.dev} {vma.inode}"
        text += f" {units.printable(vma.path)}"
        self.app.copy_to_clipboard(text.rstrip())
        self.notify("copied to the terminal's clipboard", timeout=3)

    async def action_export(self) -> None:
        from memtui.tui.widgets.prompt import ask

        await ask(self, "write to file (.csv or .json): ", self._export)

    def _export(self, name: str, _final: bool) -> str:
        from memtui.tui.export import begin_export

        if self._shown is None or not name:
            return ""
        names = self._table.model_names
        write = begin_export(name, self._shown, self._rows, names, self._chosen.trail)
        if isinstance(write, str):
            return write

        def run() -> None:
            outcome = write()
            if self.is_attached:
                self.app.call_from_thread(self.notify, outcome, markup=False)

        self.run_worker(run, thread=True)
        return ""

    # Sheets over this view.

    def _open(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self.app.push_screen(sheet, self._came_back)

    def _came_back(self, _result: object) -> None:
        """From a sheet, which may have gone to another address."""
        self._show_cursor()
        self._table.focus()

    def _may_open(self, needs_files: bool = True) -> bool:
        if self._shown is None:
            self.notify("there is no map of it to look into", severity="warning", timeout=3)
            return False
        if needs_files and self._files is None:
            self.notify("that is read from the running kernel, and this is none", timeout=4)
            return False
        if self._chosen.address is None:
            self._chosen.address = self._shown.mappings.starts[0]
        return True

    def action_page_table(self) -> None:
        from memtui.tui.sheets.pagetable import PageTableSheet

        if self._may_open() and self._files is not None:
            self._open(PageTableSheet(self._chosen, self._files, self._page))

    def action_inside(self) -> None:
        from memtui.tui.sheets.inside import InsideSheet

        if self._may_open() and self._files is not None:
            self._open(InsideSheet(self._chosen, self._files, self._page))

    def action_sharers(self) -> None:
        from memtui.tui.sheets.sharers import SharersSheet

        if self._may_open() and self._files is not None:
            self._open(SharersSheet(self._chosen, self._files))

    def action_difference(self) -> None:
        from memtui.tui.sheets.difference import DifferenceSheet

        if self._may_open(needs_files=False):
            self._open(DifferenceSheet(self._chosen))


def kinds_height(map_: AddressMap, height: int) -> int:
    """Rows for the sums by kind: all of them where there is room, never more than a third."""
    if height < 16:
        return 2
    return min(1 + len(map_.by_kind), max(4, height // 3 - (1 if height > 26 else 3)))
