"""View 5: the balance of all memory, and where in the machine it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from memtui.live.plan import Plan
from memtui.session.session import Moment, Session
from memtui.tui import theme
from memtui.tui.keys import Key, bindings
from memtui.tui.pages import COMPANIONS, SECTIONS
from memtui.tui.pages.base import Arrangement, Facts, Section, Way
from memtui.tui.views.view import View
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.page import wrapped
from memtui.tui.widgets.section import Companion, SectionList, SectionPanel, SectionTable

if TYPE_CHECKING:
    from memtui.tui.export import Exported

_AT_A_GLANCE = tuple(field for section in SECTIONS for field in section.at_a_glance)


class PhysicalView(View):
    """Draws what it is handed; pagetypeinfo alone is read on demand, by its sheet."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("physical")]
    PAGES: ClassVar[Mapping[str, str]] = {
        section.name: f"{section.title}: a section of Physical" for section in SECTIONS
    }

    def __init__(self, session: Session) -> None:
        super().__init__(session, id="physical")
        self._moment: Moment | None = None
        self._arrangements: dict[str, Arrangement] = {}

    def compose(self) -> ComposeResult:
        with Vertical(id="physical-left"):
            yield SectionList(SECTIONS, id="sections")
            yield Lines(id="section-about")
        yield SectionPanel(id="section-panel")
        with Vertical(id="companions"):
            for section in COMPANIONS:
                yield Companion(section)

    @property
    def main(self) -> SectionList:
        return self.query_one(SectionList)

    @property
    def panel(self) -> SectionPanel:
        return self.query_one("#section-panel", SectionPanel)

    @property
    def rows(self) -> SectionTable:
        return self.panel.rows

    @property
    def section(self) -> Section:
        """The one that is read."""
        return self.main.current

    @property
    def exported(self) -> Exported | None:
        from memtui.tui.export import of_rows

        rows = self.rows.values() if self.rows.display else []
        return of_rows(self.section.name, "row", rows) if rows else None

    @property
    def topics(self) -> Sequence[str]:
        rows = self.rows
        return ((rows.topic if rows.has_focus else "") or self.section.topic,)

    @property
    def wanted(self) -> Plan:
        """What the sections that are shown are made of, and what the list needs."""
        shown = [self.section]
        if self.session.is_replay:
            shown += SECTIONS  # a machine is not asked for it
        elif self.query_one("#companions").content_size.width:
            shown += COMPANIONS
        fields = (field for section in shown for field in section.fields)
        return Plan(fields=frozenset((*_AT_A_GLANCE, *fields)))

    def update(self, moment: Moment) -> None:
        self._moment = moment
        facts = Facts.of(moment)
        self.main.update(facts)
        self._show_section(facts)

    def on_resize(self) -> None:
        # Widths decide what a page says and what is beside; they are known when it is laid out.
        self.call_after_refresh(self._laid_out)

    def _laid_out(self) -> None:
        self._redraw()
        self.post_message(self.Turned())

    def _redraw(self) -> None:
        if self._moment is not None and self.is_attached:
            self._show_section(Facts.of(self._moment))

    def _show_section(self, facts: Facts) -> None:
        self.panel.update(self.section, facts, self._arrangement(self.section))
        self._show_about()
        self._show_companions(facts)

    def _show_companions(self, facts: Facts) -> None:
        """The other sections as far as they fit, in the order of the list."""
        beside = self.query_one("#companions")
        room = beside.content_size.height
        for companion in self.query(Companion):
            if companion.section is self.section or not room:
                companion.display = False
                continue
            height = companion.update(companion.section, facts, Arrangement())
            companion.styles.height = height
            companion.display = height <= room
            room -= height + 1 if companion.display else 0  # a blank line between two

    def _show_about(self) -> None:
        """What the row under the cursor is."""
        rows = self.rows
        words = rows.page.about(rows.cursor) if rows.row_count() else ()
        dim = theme.style(theme.DIM)
        self.query_one("#section-about", Lines).draw(lambda width: wrapped(words, width, dim))

    def _arrangement(self, section: Section) -> Arrangement:
        return self._arrangements.get(section.name, section.arrangement)

    def _arrange(self, arrangement: Arrangement) -> None:
        self._arrangements[self.section.name] = arrangement
        self._redraw()

    # What its widgets tell.

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        if event.table is not self.main:
            self._show_about()
        elif self.section.name != self.panel.shown:
            self._redraw()
            self.refresh_bindings()
            self.post_message(self.Turned())

    def on_companion_picked(self, event: Companion.Picked) -> None:
        event.stop()
        self.main.choose(event.section)

    async def on_table_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        await self.run_action("enter")

    def on_table_head_clicked(self, event: Table.HeadClicked) -> None:
        event.stop()
        if event.table is self.rows:
            self._sort_by(event.column)

    # What keys do.

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        rows = self.rows
        if action == "enter" and rows.has_focus and rows.way is None:
            return "this row leads to nobody who holds it"
        if action in ("sort", "invert") and not self.section.sorts:
            return "only slab caches and control groups can be sorted"
        return super().refuses(action, parameters)

    def word(self, key: Key) -> str:
        word = super().word(key)
        if key.action == "enter" and word and not self.rows.has_focus:
            return "rows" if self.rows.display else ""
        # It opens nonetheless: the letters that are typed after it would be commands.
        return "" if key.action == "filter" and not self.section.sorts else word

    async def action_enter(self) -> None:
        rows = self.rows
        if rows.has_focus and rows.way is not None:
            await self._go(rows.way)
        elif rows.display:
            self.screen.set_focus(rows)

    async def _go(self, way: Way) -> None:
        """To who holds what the cursor is on."""
        if way.to == "processes":
            await self.run_action(f"app.processes({way.which!r})")
        elif way.to == "section":
            self.open_page(way.which)
        elif way.to == "owners":
            await self.run_action("app.owners")
        else:
            from memtui.tui.sheets.group import GroupSheet

            await self.app.push_screen(GroupSheet(self.session, way.which))

    def open_page(self, name: str) -> None:
        self.main.choose(next(each for each in SECTIONS if each.name == name))
        self._redraw()
        if self.rows.display:
            self.screen.set_focus(self.rows)

    def action_back(self) -> None:
        arrangement = self._arrangement(self.section)
        if arrangement.filter:
            self._arrange(arrangement._replace(filter=""))
        else:
            self.screen.set_focus(self.main)

    def _sort_by(self, column: str) -> None:
        """By a column; by the one it is sorted by already, the other way round."""
        sorts, before = self.section.sorts, self._arrangement(self.section)
        if column == before.sort:
            self._arrange(before._replace(downwards=not before.downwards))
        elif column in sorts:
            self._arrange(before._replace(sort=column, downwards=sorts[column]))

    def action_sort(self) -> None:
        names = list(self.section.sorts)
        at = names.index(self._arrangement(self.section).sort)
        self._sort_by(names[(at + 1) % len(names)])

    def action_invert(self) -> None:
        self._sort_by(self._arrangement(self.section).sort)

    async def action_filter(self) -> None:
        from memtui.tui.widgets.prompt import ask

        if not self.section.sorts:
            # Refused where the letters go that are typed after it, or these would be commands.
            refusal = "only slab caches and control groups can be filtered"
            await ask(self, "filter: ", lambda text, final: refusal if text else "", live=True)
            return
        before, place = self._arrangement(self.section).filter, self.rows.place

        def answer(text: str, final: bool) -> str:
            self._arrange(self._arrangement(self.section)._replace(filter=text))
            if text == before:
                self.rows.go_back(place)  # left with Esc
            return ""

        await ask(self, f"{self.section.row}: ", answer, before, live=True)

    async def action_page_types(self) -> None:
        from memtui.tui.sheets.pagetypes import PageTypesSheet

        await self.app.push_screen(PageTypesSheet(self.session))
