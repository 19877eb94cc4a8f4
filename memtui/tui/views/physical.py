"""View 5: the balance of all memory, and where in the machine it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from memtui.kernel.files import KernelFiles
from memtui.live.plan import Reader
from memtui.live.readers import readers
from memtui.model.sample import Sample
from memtui.session.history import History
from memtui.session.seen import Seen
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.pages import COMPANIONS, SECTIONS
from memtui.tui.pages.base import Arrangement, Facts, Section
from memtui.tui.views.view import View
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.page import wrapped
from memtui.tui.widgets.section import Companion, SectionList, SectionPanel, SectionTable

if TYPE_CHECKING:
    from memtui.tui.app import MemtuiApp

_AT_A_GLANCE = tuple(field for section in SECTIONS for field in section.at_a_glance)
# The trend of an hour is made of 120 spans, and seldom.
_HOUR_S, _SPANS, _HOUR_EVERY_S, _LEAST_S = 3600, 120, 30.0, 600


class PhysicalView(View):
    """Draws what it is handed; pagetypeinfo alone is read on demand, by its sheet."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("physical")]
    CONFINEMENT = True

    def __init__(self, page: int, files: KernelFiles | None) -> None:
        super().__init__(id="physical")
        self._page_size = page
        self._files = files
        self._seen: Seen | None = None
        self._sample: Sample | None = None
        self._before: Sample | None = None
        self._arrangements: dict[str, Arrangement] = {}
        self._hour: tuple[float, float | None] | None = None

    @classmethod
    def of(cls, app: MemtuiApp) -> Self:
        return cls(app.page, app.source.files)

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
    def topics(self) -> Sequence[str]:
        rows = self.rows
        return ((rows.topic if rows.has_focus else "") or self.section.topic,)

    @property
    def readers(self) -> Mapping[str, Reader]:
        """Those of the sections that are shown, and what the list needs."""
        shown = [self.section]
        if self.query_one("#companions").content_size.width:
            shown += COMPANIONS
        fields = [field for section in shown for field in section.fields]
        return readers(*dict.fromkeys((*_AT_A_GLANCE, *fields)))

    def update(self, sample: Sample, seen: Seen) -> None:
        """A new sample, or the same of another scope."""
        if seen is not self._seen:
            self._seen, self._before, self._hour = seen, None, None
        elif self._sample is not None and sample.time_s > self._sample.time_s:
            self._before = self._sample
        self._sample = sample
        facts = self._facts()
        if facts is not None:
            self.main.update(facts)
            self._show_section(facts)

    def on_resize(self) -> None:
        # Widths decide what a page says and what is beside; they are known when it is laid out.
        self.call_after_refresh(self._laid_out)

    def _laid_out(self) -> None:
        self._redraw()
        self.post_message(self.Turned())

    def _redraw(self) -> None:
        facts = self._facts()
        if facts is not None and self.is_attached:
            self._show_section(facts)

    def _facts(self) -> Facts | None:
        if self._sample is None or self._seen is None:
            return None
        return Facts(
            self._sample,
            self._before,
            self._seen.history,
            self._page_size,
            self._lost_per_hour(self._seen.history, self._sample.time_s),
        )

    def _lost_per_hour(self, history: History, now_s: float) -> float | None:
        """What the unaccounted gained in an hour; looking for it takes milliseconds."""
        if self._hour is None or not 0 <= now_s - self._hour[0] < _HOUR_EVERY_S:
            self._hour = now_s, per_hour(history, "unaccounted_bytes")
        return self._hour[1]

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
            self.post_message(self.Turned())

    def on_companion_picked(self, event: Companion.Picked) -> None:
        event.stop()
        self.main.choose(event.section)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        self.action_enter()

    def on_table_head_clicked(self, event: Table.HeadClicked) -> None:
        event.stop()
        if event.table is self.rows:
            self._sort_by(event.column)

    # What keys do.

    def action_enter(self) -> None:
        if self.rows.display:
            self.rows.focus()

    def action_back(self) -> None:
        arrangement = self._arrangement(self.section)
        if arrangement.filter:
            self._arrange(arrangement._replace(filter=""))
        else:
            self.main.focus()

    def _sort_by(self, column: str) -> None:
        """By a column; by the one it is sorted by already, the other way round."""
        sorts, before = self.section.sorts, self._arrangement(self.section)
        if column == before.sort:
            self._arrange(before._replace(downwards=not before.downwards))
        elif column in sorts:
            self._arrange(before._replace(sort=column, downwards=sorts[column]))

    def action_sort(self) -> None:
        names = list(self.section.sorts)
        if not names:
            self.notify("only slab caches and control groups can be sorted", timeout=3)
            return
        at = names.index(self._arrangement(self.section).sort)
        self._sort_by(names[(at + 1) % len(names)])

    def action_invert(self) -> None:
        if self.section.sorts:
            self._sort_by(self._arrangement(self.section).sort)

    async def action_filter(self) -> None:
        from memtui.tui.widgets.prompt import ask

        if not self.section.sorts:
            self.notify("only slab caches and control groups can be filtered", timeout=3)
            return
        await ask(
            self,
            f"{self.section.row}: ",
            self._set_filter,
            self._arrangement(self.section).filter,
            live=True,
        )

    def _set_filter(self, text: str, _final: bool) -> str:
        self._arrange(self._arrangement(self.section)._replace(filter=text))
        return ""

    async def action_page_types(self) -> None:
        from memtui.tui.sheets.pagetypes import PageTypesSheet

        if self._files is not None:
            await self.app.push_screen(PageTypesSheet(self._files, self._page_size))


def per_hour(history: History, name: str) -> float | None:
    """How much a metric changed in the last hour; None before there are ten minutes."""
    values = history.buckets(name, _HOUR_S, _SPANS).values
    known = [(at, value) for at, value in enumerate(values) if value is not None]
    if not known:
        return None
    (first, old), (last, new) = known[0], known[-1]
    elapsed = (last - first) * _HOUR_S / _SPANS
    return (new - old) * 3600 / elapsed if elapsed >= _LEAST_S else None
