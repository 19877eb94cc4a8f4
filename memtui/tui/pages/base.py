"""What a section of the physical view is: a summary for the list, and a page to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from memtui import units
from memtui.kernel.cgroups import Confinement
from memtui.kernel.files import Gap
from memtui.model.sample import Sample, SystemSample
from memtui.model.system.vmrates import growth, named
from memtui.session.history import History
from memtui.session.session import Moment
from memtui.tui import theme
from memtui.tui.widgets.page import Page, Row
from memtui.tui.words.cells import Column, Line, Part

DIM: Final = theme.style(theme.DIM)
PLAIN: Final = theme.style(theme.FOREGROUND)
BRIGHT: Final = theme.style(theme.BRIGHT, bold=True)
WARN: Final = theme.style(theme.GROWS, bold=True)
ALARM: Final = theme.style(theme.ALARM, bold=True)

_NARROW: Final = 68


class Facts(NamedTuple):
    """What all sections are made of. `before` is the sample before this one, of the same scope.

    `lost_per_hour` is what the unaccounted memory gained in the last hour.
    """

    sample: Sample
    before: Sample | None
    history: History
    page_bytes: int
    lost_per_hour: float | None = None

    @classmethod
    def of(cls, moment: Moment) -> Facts:
        return cls(
            moment.sample,
            moment.before,
            moment.history,
            moment.machine.page_bytes,
            moment.seen.lost_per_hour(),
        )

    @property
    def system(self) -> SystemSample:
        return self.sample.system

    @property
    def meminfo(self) -> Mapping[str, int]:
        meminfo = self.system.meminfo
        return {} if isinstance(meminfo, Gap) else meminfo

    @property
    def settings(self) -> Mapping[str, int]:
        """The kernel's own of memory, /proc/sys/vm; empty while they are not read."""
        settings = self.system.settings
        return {} if settings is None or isinstance(settings, Gap) else settings

    @property
    def is_group(self) -> bool:
        """Whether the sample is the group's, whose limit is the total then, and never else."""
        confinement = self.system.confinement
        return (
            isinstance(confinement, Confinement)
            and confinement.limit_bytes is not None
            and confinement.limit_bytes == self.meminfo.get("MemTotal")
        )

    def per_s(self, counter: str) -> float | None:
        """How fast a counter of vmstat grew between the last two samples."""
        if self.before is None:
            return None
        elapsed = self.sample.time_s - self.before.time_s
        grown = growth(self.system.vmstat, self.before.system.vmstat, named(counter))
        return None if grown is None or elapsed <= 0 else grown / elapsed


class Arrangement(NamedTuple):
    """How the rows of a section stand that can be sorted, and which."""

    sort: str = "size"
    downwards: bool = True
    filter: str = ""


class Way(NamedTuple):
    """Where Enter on a row leads: `which` of the places that the physical view knows by `to`:
    processes by a column, another section, the owners of shared memory, a control group."""

    to: Literal["processes", "section", "owners", "group"]
    which: str = ""
    words: str = ""


class Item(NamedTuple):
    """A row: `key` is what the cursor stays with, `topic` the name it is explained by."""

    key: str
    cells: Row
    about: Sequence[str | Line] = ()
    topic: str = ""
    way: Way | None = None


@dataclass
class SectionPage(Page):
    """A page whose rows are known by keys, so that the cursor stays with its row."""

    keys: Sequence[str] = ()
    topic: Callable[[int], str] = field(default=lambda row: "")
    sorted_by: tuple[str, bool] | None = None
    way: Callable[[int], Way | None] = field(default=lambda row: None)


class Summary(NamedTuple):
    """A section at a glance: in up to 12 cells, and in up to 26."""

    short: Part
    long: Part


class Section(NamedTuple):
    """`fields` of SystemSample are read only while it is shown; those of its summary, `at_a_glance`,
    at every tick while the list of sections is, and so must be cheap.
    """

    name: str
    title: str
    topic: str
    fields: tuple[str, ...]
    summary: Callable[[Facts], Summary]
    page: Callable[[Facts, int, Arrangement], SectionPage]
    # The columns it can be sorted by, and whether the largest come first; how it is at first; what
    # a filter is asked for.
    sorts: Mapping[str, bool] = {}
    arrangement: Arrangement = Arrangement()
    row: str = "cache"
    at_a_glance: tuple[str, ...] = ()
    of_group: bool = False  # of the group, where the sample is a group's; else of the whole machine


def page_of(
    columns: Sequence[Column],
    items: Sequence[Item],
    head: Sequence[str | Line] = (),
    empty: str = "",
) -> SectionPage:
    """A page of ready-made rows."""

    def about(row: int) -> Sequence[str | Line]:
        if row >= len(items):
            return ()
        item = items[row]
        return with_way(item.about, item.way)

    def topic(row: int) -> str:
        return items[row].topic if row < len(items) else ""

    return SectionPage(
        (),
        head,
        columns,
        [item.cells for item in items],
        about,
        empty,
        [item.key for item in items],
        topic,
        way=lambda row: items[row].way if row < len(items) else None,
    )


def with_way(about: Sequence[str | Line], way: Way | None) -> Sequence[str | Line]:
    """The lines about a row with where Enter leads, below its name: there is always room for two."""
    return about if way is None else (*about[:1], f"Enter: {way.words}.", *about[1:])


def only_words(*words: str | Line) -> SectionPage:
    """A page without a table."""
    return SectionPage((), words)


def plain(text: str, long: str = "", *, quiet: bool = False) -> Summary:
    """A summary without colour; `quiet` stands back."""
    style = DIM if quiet else PLAIN
    return Summary((text, style), (long or text, style))


UNREAD: Final = plain("…", quiet=True)
UNKNOWN: Final = plain(units.UNKNOWN, quiet=True)


def why(gap: Gap | None, subject: str) -> str:
    """Why there is nothing to show, in a sentence."""
    if gap is None:
        return f"{subject}: not read yet"
    source = "/" + units.printable(gap.source)
    if gap.reason == "not recorded":
        return f"{subject}: not recorded"
    if gap.reason == "denied" and gap.detail:
        return f"{subject}: {source} may not be read: {units.printable(gap.detail)}."
    if gap.reason == "denied":
        return f"root only: {source} may not be read by this user. Run memtui as root to see it."
    if gap.reason in ("absent", "unsupported"):
        detail = f" ({units.printable(gap.detail)})" if gap.detail else ""
        return f"This kernel has none: there is no {source}{detail}."
    return f"{subject}: {source} cannot be read: {units.printable(gap.words)}"


def is_narrow(width: int) -> bool:
    return width < _NARROW


def size_cell(value: float | None, width: int) -> Part:
    """A size, short where the page is narrow; zero and unknown stand back."""
    return units.size(value, short=is_narrow(width)), PLAIN if value else DIM


def size_width(width: int) -> int:
    """Cells that `size_cell` needs."""
    return 6 if is_narrow(width) else 9


def count_cell(value: int | None) -> Part:
    return units.count(value), PLAIN if value else DIM


def rate(value: float | None) -> str:
    """So many a second: `0/s`, `0.4/s`, `1 234/s`; `n/a`."""
    if value is None:
        return units.UNKNOWN
    return (f"{value:.1f}" if 0 < value < 10 else units.count(round(value))) + "/s"


def labelled(*pairs: tuple[str, str], width: int = 0) -> Line:
    """`free 3.2 GiB  low 63 MiB`: the figures brighter than their names, as many as fit."""
    parts: list[Part] = []
    used = 0
    for label, value in pairs:
        name = f"{'  ' if parts else ' '}{label} "
        used += units.width(name) + units.width(value)
        if width and used > width:
            break
        parts += [(name, DIM), (value, PLAIN)]
    return parts
