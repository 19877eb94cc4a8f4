"""View 3: one process's address space, as sums by kind, picture and table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.columns import available
from memtui.model.map.kinds import KINDS
from memtui.model.query import parse_address
from memtui.ondemand.pages import PagesReading
from memtui.ondemand.questions import Arranged, PagesOf
from memtui.session.chosen import Chosen
from memtui.session.session import Session
from memtui.tui import theme
from memtui.tui.asking import drop, look_up
from memtui.tui.keyed import refusal
from memtui.tui.keys import Key, bindings
from memtui.tui.views.maprows import MapRows
from memtui.tui.views.view import View
from memtui.tui.widgets.knownpages import DETAILED_PAGES
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.mappings import DEFAULT_COLUMNS, DUMP_COLUMNS, KindTable, MappingTable
from memtui.tui.widgets.picture import Picture
from memtui.tui.words.map import detail, rows_line, spread_line, title
from memtui.tui.words.nomap import no_map

if TYPE_CHECKING:
    from memtui.tui.export import Exported
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

    def __init__(self, session: Session) -> None:
        super().__init__(session, id="map")
        self._chosen = Chosen()
        self._choice = MapRows()
        # What is on the screen: rows belong to the map they were arranged from.
        self._shown: AddressMap | None = None
        self._rows: Sequence[int] = ()
        # The cursor and the first row before there was a filter, while nobody has moved.
        self._before: tuple[int | None, int] | None = None
        self._sheet: Sheet | None = None

    def compose(self) -> ComposeResult:
        yield Lines(id="map-title")
        yield Lines(id="map-words")
        yield KindTable(id="kinds")
        yield Lines(id="map-spread")
        with Horizontal(id="map-body"):
            yield Picture(self.session.machine.page_bytes, id="picture")
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
        before, self._chosen = self._chosen, chosen
        if before is not chosen and before.key != chosen.key:  # not the same at another time
            sought, self._choice = self._choice.sought, MapRows()
            self._choice.sought, self._before = sought, None
            self._picture.fold()
        machine = self.session.machine
        is_past = self.session.is_past
        self.query_one("#map-title", Lines).draw(
            lambda width: [title(chosen, machine, width, is_past=is_past)]
        )
        words = self.query_one("#map-words", Lines)
        parts = [self.query_one(name) for name in ("#map-body", "#kinds", "#map-spread")]
        map_ = chosen.map
        words.display = map_ is None
        for part in parts:
            part.display = map_ is not None
        if map_ is None:
            self._shown, self._rows = None, ()
            why = no_map(chosen, machine.users.name, machine.ticks_per_s)
            words.show(*[[(f"  {line}", _PLAIN)] for line in ("", *why)])
            return
        kinds = self.query_one(KindTable)
        kinds.styles.height = 1 + kinds_height(map_, self.size.height)
        kinds.show(map_, self._choice.kind)
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
        found = self._choice.of(map_, trail)
        if isinstance(found, Arranged) and len(map_) >= _MANY:
            look_up(self, found, lambda rows: self._arranged(map_, rows))
            return
        drop(self, Arranged)
        self._arranged(map_, found.work() if isinstance(found, Arranged) else found)

    def _arranged(self, map_: AddressMap, rows: Sequence[int] | Gap) -> None:
        if map_.key != self._chosen.key:
            return
        if isinstance(rows, Gap):
            self.notify(str(rows), severity="error", markup=False)
            rows = range(len(map_))
        self._shown, self._rows = map_, rows
        if map_.totals.dumped is not None and self._table.names == DEFAULT_COLUMNS:
            self._table.choose_columns(DUMP_COLUMNS)
        self._table.order = self._choice.order
        self._show_cursor()
        if rows and not self._table.lists_cursor and self._choice.is_narrowed:
            self._point(self._table.address)

    def _show_cursor(self) -> None:
        """The cursor in table, picture and detail; the table's rows as they were arranged."""
        chosen, map_ = self._chosen, self._shown
        if map_ is None:
            return
        self._table.show(map_, chosen.address, self._rows, chosen.trail, self._choice.folds)
        address = map_.mappings.starts[0] if chosen.address is None else chosen.address
        choice = self._choice
        lit = None if choice.kind is None else KINDS.index(choice.kind)
        self._picture.show(map_, address, lit)
        page_bytes = self.session.machine.page_bytes
        shown = len(choice.all_rows(map_, self._rows))
        self.query_one("#map-rows", Lines).draw(
            lambda width: [rows_line(map_, shown, choice.kind, choice.filter, choice.order, width)]
        )
        self.query_one("#detail", Lines).draw(
            lambda width: detail(map_, address, page_bytes, chosen.trail, width)
        )

    def _follow(self, address: int | None) -> None:
        self._chosen.address = address

    def _point(self, address: int | None) -> None:
        self._chosen.address = address
        self._show_cursor()
        self._table.set_cursor(self._table.cursor, reveal=True)

    # What the widgets tell.

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        self._before = None
        if isinstance(event.table, KindTable):
            self._choice.kind = event.table.kind
            self._arrange()
        elif isinstance(event.table, MappingTable):
            self._show_cursor()

    async def on_table_chosen(self, event: Table.Chosen) -> None:
        self.on_table_moved(event)
        if isinstance(event.table, MappingTable):
            await self.run_action("inside")

    def on_table_head_clicked(self, event: Table.HeadClicked) -> None:
        event.stop()
        if isinstance(event.table, MappingTable):
            self._sort_by(event.column)

    def on_picture_pointed(self, event: Picture.Pointed) -> None:
        event.stop()
        self._before = None
        self._show_cursor()

    def on_picture_pages_wanted(self, event: Picture.PagesWanted) -> None:
        event.stop()
        self._read_pages()

    def _read_pages(self) -> None:
        """Asks pagemap for what the picture shows, and no more."""
        wanted, key = self._picture.pages_wanted, self._chosen.key
        if wanted is None or key is None:
            return

        def then(reading: PagesReading | Gap) -> None:
            if key == self._chosen.key:
                self._picture.show_pages(reading)

        start, count = wanted
        look_up(self, PagesOf(key, start, count, count <= DETAILED_PAGES), then)

    # What keys do.

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        still = self.session.machine.still
        if action == "crash" or (action == "sharers" and still):
            return "" if self.session.crash else "no crash of it is known"
        if action == "back":
            is_whole = not (self._choice.filter or self._choice.kind or self._picture.zoomed)
            return refusal(self.app, "view", ("overview",)) if is_whole else ""
        if self._chosen.map is None:
            return "there is no map of it to look into"
        if action in ("mark", "difference") and still:
            return "a core dump is one moment: nothing changes in it"
        if action == "mark" and self._chosen.gone_s is not None:
            return "it has no map that could change"
        if action == "mark" and self._chosen.trail.last is None:
            return "its usage has not been read yet"
        return super().refuses(action, parameters)

    def word(self, key: Key) -> str:
        if key.action == "sharers" and self.session.machine.still and super().word(key):
            return "why"
        return super().word(key)

    async def action_back(self) -> None:
        if self._choice.filter or self._choice.kind:
            self._choice.kind = None
            before = self._before
            self._set_filter("", True)
            if before is not None:
                self._point(before[0])
                self._table.show_from(before[1])
        elif self._picture.zoomed:
            self._picture.fold()
        else:
            await self.run_action("app.view('overview')")

    def action_zoom(self, step: int) -> None:
        self._picture.action_zoom(step)

    async def action_filter(self) -> None:
        from memtui.tui.widgets.prompt import ask

        before, address, top = self._choice.filter, self._chosen.address, self._table.top

        def answer(text: str, final: bool) -> str:
            complaint = self._set_filter(text, final)
            if text == before:
                # Left with Esc: the cursor may have had to go elsewhere, and the rows with it.
                self._point(address)
                self._table.show_from(top)
            return complaint

        await ask(self, "filter: ", answer, before, live=True)

    def _set_filter(self, text: str, final: bool) -> str:
        """Takes a filter as it is typed; what is wrong with it. An address is a place to go to."""
        if text.startswith("@"):
            return self._go_to(text, final)
        was = self._choice.filter
        if complaint := self._choice.filter_by(text, self._chosen.map):
            return complaint
        if text and not was:
            self._before = self._chosen.address, self._table.top
        elif not text or (final and text == was):
            self._before = None
        if self._chosen.map is not None:
            self.query_one(KindTable).show(self._chosen.map, self._choice.kind)
        self._arrange()
        return ""

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
            self._choice.sought = text
            return self._seek(step)

        if self._choice.sought:
            if complaint := self._seek(step):
                self.notify(complaint, severity="warning", markup=False, timeout=4)
        else:
            await ask(self, "find: ", seek)

    def _seek(self, step: int) -> str:
        map_, choice = self._shown, self._choice
        if map_ is None or not choice.sought:
            return ""
        rows = choice.all_rows(map_, self._rows)
        at = (self._table.row or 0) if choice.folds else self._table.cursor
        found = choice.seek(map_, rows, at, step, self._chosen.trail)
        if isinstance(found, str):
            return found
        self._point(map_.mappings.starts[rows[found]])
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
        order = self._choice.order
        here = order[0] if order else ""
        self.app.push_screen(
            ChoiceSheet("sort by", choices, (here,)),
            lambda taken: self._sort_by(taken[0]) if taken else None,
        )

    def _sort_by(self, name: str) -> None:
        self._choice.sort_by(name)
        self._arrange()

    def action_invert(self) -> None:
        self._choice.invert()
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

    @property
    def exported(self) -> Exported | None:
        from memtui.model.map.arrange import export_csv, export_json
        from memtui.tui.export import Exported

        map_ = self._shown
        if map_ is None:
            return None
        rows = self._choice.all_rows(map_, self._rows)
        shown = (map_, rows, self._table.model_names, self._chosen.trail)
        process = self._chosen.process
        stem = f"map-{map_.key.pid}" + (f"-{process.name}" if process else "")
        writers = partial(export_csv, *shown), partial(export_json, *shown)
        return Exported(stem, "mapping", len(rows), *writers)

    # Sheets over this view.

    def _open(self, sheet: Sheet) -> None:
        if self._chosen.address is None and self._chosen.map is not None:
            self._chosen.address = self._chosen.map.mappings.starts[0]
        self._sheet = sheet
        self.app.push_screen(sheet, self._came_back)

    def _came_back(self, _result: object) -> None:
        """From a sheet, which may have gone to another address."""
        self._show_cursor()
        self.screen.set_focus(self._table)

    def action_page_table(self) -> None:
        from memtui.tui.sheets.pagetable import PageTableSheet

        self._open(PageTableSheet(self.session))

    def action_inside(self) -> None:
        from memtui.tui.sheets.inside import InsideSheet

        map_, row = self._shown, self._table.row
        if map_ is not None and row is not None and self._choice.unfold(map_, row):
            self._arrange()
        else:
            self._open(InsideSheet(self.session))

    def action_sharers(self) -> None:
        from memtui.tui.sheets.sharers import SharersSheet

        if self.session.machine.still:
            self.action_crash()  # nobody else is in a core dump
        else:
            self._open(SharersSheet(self.session))

    def action_crash(self) -> None:
        from memtui.tui.sheets.crash import CrashSheet

        assert self.session.crash is not None
        self.app.push_screen(CrashSheet(self.session.crash), self._came_back)

    def action_difference(self) -> None:
        from memtui.tui.sheets.difference import DifferenceSheet

        self._open(DifferenceSheet(self.session))


def kinds_height(map_: AddressMap, height: int) -> int:
    """Rows for the sums by kind: all of them where there is room, never more than a third."""
    if height < 16:
        return 2
    return min(1 + len(map_.by_kind), max(4, height // 3 - (1 if height > 26 else 3)))
