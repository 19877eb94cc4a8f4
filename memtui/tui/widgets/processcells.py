"""How the columns of a process stand in a table: widths, which give way first, and their texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from operator import attrgetter
from typing import Final

from memtui import units
from memtui.kernel.details import Shares
from memtui.kernel.files import Gap
from memtui.model.keys import ProcessKey
from memtui.model.processes.columns import AGED_S, COLUMNS, Facts
from memtui.model.sample import ProcessSample
from memtui.tui import theme
from memtui.tui.words.cells import Column, Part

OVERVIEW_COLUMNS: Final = ("pid", "name", "rss", "gain", "swap", "oom")
# All that there is room for, those that come later here giving way first.
_KEPT: Final = (
    *("pid", "name", "rss", "pss", "gain", "swap", "trend", "user", "rank", "oom", "uss", "anon"),
    *("majflt", "command", "file", "age", "shmem", "minflt", "tables", "peak", "threads", "adj"),
    *("size", "unit"),
)
DEFAULT_COLUMNS: Final = (
    *("pid", "user", "name", "rss", "trend", "gain", "anon", "file", "shmem", "pss", "uss", "swap"),
    *("tables", "peak", "size", "minflt", "majflt", "oom", "adj", "threads", "age", "unit"),
    "command",
)
_ALWAYS: Final = 3  # of those kept, that never give way
_LEFT: Final = ("name", "user", "unit", "cgroup", "command", "state", "trend")
_WIDTHS: Final = {
    "pid": 5,
    "name": 0,
    "user": 8,
    "state": 1,
    "trend": 8,
    "gain": 6,
    "oom": 4,
    "adj": 5,
    "pss": 6,
    "uss": 6,
    "tables": 6,
    "threads": 4,
    "age": 6,
    "parent": 5,
    "unit": 16,
    "cgroup": 24,
    "command": 0,
    "points": 8,
    "rank": 4,
}
_SIZE: Final = 5  # cells, as "18.2G"
# What is said of processes that have no memory either.
_OF_ANYONE: Final = ("pid", "user", "state", "parent", "threads", "age", "unit", "cgroup", "adj")


def table_columns(
    names: Sequence[str], pid_digits: int, least: int = 7, added: Set[str] = frozenset()
) -> tuple[Column, ...]:
    """Columns of the model as a table has them; `least` cells are for names.

    Those that somebody has `added` give way last. A command line gets what is left over.
    """
    made = []
    for at, name in enumerate(names):
        column = COLUMNS[name]
        width = _WIDTHS.get(name, _SIZE)
        goes = _KEPT.index(name) if name in _KEPT else len(_KEPT) + at
        priority = 0 if goes < _ALWAYS else 1 if name in added else goes
        if name == "pid":
            width, priority = max(5, pid_digits), 0 if "user" in names else 1
        made.append(
            Column(
                name,
                column.title,
                width,
                "<" if name in _LEFT else ">",
                priority,
                20 if name == "command" else least,
            )
        )
    return tuple(made)


def cell(facts: Facts, process: ProcessSample, name: str) -> str | Part:
    """A column's text for one process, with its style."""
    if name in ("pss", "uss"):
        return _share(facts, process, name)
    if name == "trend":
        return _trend(facts, process)
    value = COLUMNS[name].value(facts, process)
    if name == "pid":
        return str(value), _DIM
    if name == "name":
        return units.printable(process.name)
    if name == "gain":
        gain = value if isinstance(value, int) else 0
        return units.change(gain), theme.style(_colour(gain))
    if name == "rss":
        return units.size(process.rss_bytes, short=True), _BRIGHT
    if value is None:
        return units.UNKNOWN, _DIM
    if isinstance(value, str):
        return units.printable(value), _DIM if name != "state" else _PLAIN
    if name == "age":
        return units.brief(value), _DIM
    if name in ("minflt", "majflt"):
        colour = theme.GROWS if name == "majflt" and value >= 1 else theme.FOREGROUND
        return quiet(units.quantity(value) if value >= 0.05 else "0", colour)
    if COLUMNS[name].type == "bytes":
        return quiet(units.size(value, short=True))
    if name == "adj":
        return quiet(f"{value:+d}" if value else "0")
    if name in ("threads", "parent"):
        return str(value), _DIM
    return quiet(str(value))


def texts(
    facts: Facts, process: ProcessSample, names: Sequence[str], lines: str = ""
) -> dict[str, str | Part]:
    """A row's columns; `lines` stand before the name. Who has no memory stands back."""
    name = lines + units.printable(process.name)
    if process.is_kernel_thread or process.is_zombie:
        word = " zombie" if process.is_zombie else ""
        found: dict[str, str | Part] = {
            each: (part if isinstance(part, str) else part[0], _DIM)
            for each in names
            if each in _OF_ANYONE and (part := cell(facts, process, each))
        }
        return found | {"name": (f"{name}{word}", _DIM), "rss": ("0", _DIM)}
    found = {each: cell(facts, process, each) for each in names}
    if lines:
        found["name"] = name
    return found


def digits_of(processes: Iterable[ProcessSample]) -> int:
    """How many digits their pids need."""
    largest: ProcessKey | None = max(map(attrgetter("key"), processes), default=None)
    return 5 if largest is None else len(str(largest.pid))


def _share(facts: Facts, process: ProcessSample, name: str) -> Part:
    """PSS and USS are read now and then: `~` and dim where that was a while ago."""
    shares = facts.shares(process)
    if shares is None:
        return "…", _DIM
    if isinstance(shares, Gap):
        return {"denied": "denied", "gone": "…"}.get(shares.reason, units.UNKNOWN), _DIM
    value = shares.pss_bytes if name == "pss" else shares.uss_bytes
    text = units.size(value, short=True)
    if value is not None and is_aged(facts, shares):
        return f"~{text}", _DIM
    return quiet(text)


def is_aged(facts: Facts, shares: Shares) -> bool:
    """Whether PSS and USS were read so long ago that it must be said."""
    return facts.sample.time_s - shares.time_s > max(AGED_S, 3 * facts.sample.interval_s)


def _trend(facts: Facts, process: ProcessSample) -> Part:
    """RSS in the last minute as a row of bars, from 0 up to the most that it has been."""
    values = facts.growth.last_minute(process.key, _WIDTHS["trend"])
    details = facts.details(process)
    peak = 0 if details is None else details.peak_rss_bytes or 0
    gain = facts.growth.gained_bytes(process.key)
    colour = _colour(gain) if gain else theme.FRAME
    return bars(values, peak), theme.style(colour)


def bars(values: Sequence[int | None], peak: int) -> str:
    """A bar a value, from 0 up to `peak` or the largest; a blank where nothing is known."""
    glyphs = theme.glyphs().eighths + "█"
    top = max((value for value in values if value is not None), default=0)
    top = max(top, peak)
    return "".join(
        " " if not value or not top else glyphs[max(1, min(8, round(8 * value / top)))]
        for value in values
    )


def _colour(gain: int) -> str:
    return theme.GROWS if gain > 0 else theme.SHRINKS if gain < 0 else theme.DIM


def quiet(text: str, colour: str = theme.FOREGROUND) -> Part:
    """Zero and unknown stand back."""
    return text, theme.style(theme.DIM if text in ("0", units.UNKNOWN) else colour)


_DIM: Final = theme.style(theme.DIM)
_PLAIN: Final = theme.style(theme.FOREGROUND)
_BRIGHT: Final = theme.style(theme.BRIGHT)
