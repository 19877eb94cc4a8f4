"""What free blocks and page blocks are kept for: pagetypeinfo, read when it is asked for."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from memtui import units
from memtui.kernel.buddy import PageTypes
from memtui.kernel.files import Gap
from memtui.model.system.fragmentation import TypeSum, migrate_types
from memtui.ondemand.questions import PageTypesNow
from memtui.tui import theme
from memtui.tui.keys import bindings
from memtui.tui.pages.base import why
from memtui.tui.pages.zones import zone_name
from memtui.tui.sheets.sheet import Sheet
from memtui.tui.widgets.page import Page, Row
from memtui.tui.words.cells import Column, Line

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)

_WORDS = {
    "Unmovable": "The kernel's own pages, which stay where they are: in few blocks is best.",
    "Movable": "Programs' pages and page cache: can be moved to make larger blocks.",
    "Reclaimable": "Caches of the kernel that cannot be moved, but can be dropped.",
    "HighAtomic": "Kept back for large requests that cannot wait.",
    "CMA": "Lent to movable pages until a device wants the area.",
    "Isolate": "Being emptied, to be put out of use or moved.",
    "Reserve": "Kept back for requests that cannot wait (kernels before 4.4).",
}


class PageTypesSheet(Sheet):
    """Its reading takes the zones' locks for up to 100 ms, so it is taken once."""

    VIEW = "pagetypes"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(VIEW)]

    def begin(self) -> None:
        self.show(_page_of("reading …"))
        self.fetch(PageTypesNow(), self._read)

    def _read(self, found: PageTypes | Gap) -> None:
        if isinstance(found, Gap):
            self.show(_page_of(why(found, "page types")))
        else:
            self.show(types_page(found, self.session.machine.page_bytes))


def _title() -> Line:
    return [(" Page types", theme.style(theme.ACCENT, bold=True)), (" · /proc/pagetypeinfo", _DIM)]


def _page_of(words: str) -> Page:
    return Page(_title(), [words])


def types_page(found: PageTypes, page_bytes: int) -> Page:
    """Every migrate type with its page blocks and what is free of it."""
    sums = migrate_types(found, page_bytes)
    size = None if found.pages_per_block is None else found.pages_per_block * page_bytes
    columns = [
        Column("type", "TYPE", 12, "<"),
        Column("blocks", "PAGE BLOCKS", 11),
        Column("size", "MEMORY", 9),
        Column("share", "SHARE", 7),
        Column("free", "FREE", 10),
    ]
    if found.mixed:
        columns.append(Column("mixed", "MIXED", 8))
    columns.append(Column("words", "", 0, "<", 1))
    several = len({row.node for row in found.free}) > 1

    def about(at: int) -> list[str | Line]:
        if at >= len(sums):
            return []
        name = sums[at].migrate_type
        lines: list[str | Line] = [[(f" {units.printable(name)}", _BRIGHT)], _WORDS.get(name, "")]
        lines.append([(" free blocks from one page up, by order:", _DIM)])
        for row in found.free:
            if row.migrate_type == name and any(row.counts):
                zone = zone_name(row.node, row.zone, several=several)
                counts = " ".join(
                    f"{'>' if order in row.overflows else ''}{count}"
                    for order, count in enumerate(row.counts)
                )
                lines.append(f"{zone}: {counts}")
        return lines

    return Page(
        _title(),
        [
            f"Memory is kept in page blocks of {units.size(size)}, each for one type of page, so "
            "that what cannot be moved does not stand everywhere.",
        ],
        columns,
        [_row(each) for each in sums],
        about,
    )


def _row(each: TypeSum) -> Row:
    style = _PLAIN if each.blocks or each.free_bytes else _DIM
    name = units.printable(each.migrate_type)
    return {
        "type": (name, _BRIGHT if each.blocks else _DIM),
        "blocks": (units.count(each.blocks), style),
        "size": (units.size(each.size_bytes), style),
        "share": (units.percent(each.share_pct, 1), style),
        "free": (("≥" if each.is_at_least else "") + units.size(each.free_bytes), style),
        "mixed": (units.count(each.mixed_blocks), style),
        "words": (" " + _WORDS.get(each.migrate_type, ""), _DIM),
    }
