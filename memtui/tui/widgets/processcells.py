"""How the columns of a process stand in a table: which give way first, and how they are coloured."""

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

OVERVIEW_COLUMNS: Final = ("pid", "name", "rss", "gain", "swap", "oom_share")
# All that there is room for, those that come later here giving way first.
_KEPT: Final = (
    *(
        "pid",
        "name",
        "rss",
        "pss",
        "gain",
        "swap",
        "trend",
        "user",
        "rank",
        "oom_share",
        "uss",
        "anon",
    ),
    *("majflt", "command", "file", "age", "shmem", "minflt", "tables", "peak", "threads", "adj"),
    *("size", "unit"),
)
DEFAULT_COLUMNS: Final = (
    *("pid", "user", "name", "rss", "trend", "gain", "anon", "file", "shmem", "pss", "uss", "swap"),
    *("tables", "peak", "size", "minflt", "majflt", "oom_share", "adj", "threads", "age", "unit"),
    "command",
)
_ALWAYS: Final = 3  # of those kept, that never give way
# What is said of processes that have no memory either.
_OF_ANYONE: Final = ("pid", "user", "state", "parent", "threads", "age", "unit", "cgroup", "adj")


def table_columns(
    names: Sequence[str],
    pid_digits: int,
    least: int = 7,
    added: Set[str] = frozenset(),
    counted_s: float = 60.0,
) -> tuple[Column, ...]:
    """Columns of the model as a table has them; `least` cells are for names.

    Those that somebody has `added` give way last. A command line gets what is left over. What
    processes have gained is counted for `counted_s`.
    """
    made = []
    for at, name in enumerate(names):
        column = COLUMNS[name]
        width = column.width
        goes = _KEPT.index(name) if name in _KEPT else len(_KEPT) + at
        priority = 0 if goes < _ALWAYS else 1 if name in added else goes
        if name == "pid":
            width, priority = max(5, pid_digits), 0 if "user" in names else 1
        made.append(
            Column(
                name,
                gain_title(counted_s) if name == "gain" else column.title,
                width,
                "<" if column.type == "text" or name == "trend" else ">",
                priority,
                20 if name == "command" else least,
            )
        )
    return tuple(made)


def gain_title(counted_s: float) -> str:
    """`Δ/MIN`, and before a minute has passed how long is counted: `Δ/23s`."""
    return f"Δ/{int(counted_s)}s" if 1 <= counted_s < 60 else "Δ/MIN"


def cell(facts: Facts, process: ProcessSample, name: str) -> str | Part:
    """A column's text for one process, with its style."""
    if name in ("pss", "uss"):
        return _share(facts, process, name)
    if name == "trend":
        return _trend(facts, process)
    column = COLUMNS[name]
    value = column.value(facts, process)
    text = column.text(value)
    if name == "name":
        return text
    if name == "gain":
        return text, theme.style(_colour(value if isinstance(value, int) else 0, process))
    if name == "majflt" and isinstance(value, float) and value >= 1:
        return quiet(text, theme.GROWS)
    if value is None or name not in _STYLES:
        return (text, _DIM) if column.type == "text" else quiet(text)
    return text, _STYLES[name]


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
    """How RSS moved in the last minute, as a row of bars: who sleeps is a flat line."""
    values = facts.growth.last_minute(process.key, COLUMNS["trend"].width)
    colour = _colour(facts.growth.gained_bytes(process.key), process)
    return bars(values), theme.style(theme.FRAME if colour == theme.DIM else colour)


def bars(values: Sequence[int | None]) -> str:
    """A bar a value, from the least to the most; a blank where nothing is known.

    A change that is small beside the value is drawn small.
    """
    heights = theme.glyphs().heights
    known = [value for value in values if value]
    least, most = min(known, default=0), max(known, default=0)
    span = max(most - least, most // _FULL, _SIGNIFICANT)
    steps = len(heights) - 1
    return "".join(
        " " if not value else heights[round(steps * (value - least) / span)] for value in values
    )


_FULL: Final = 32  # the part of RSS that a change is to be drawn in full
_SIGNIFICANT: Final = 256 << 10
_SHARE: Final = 1000  # the part of RSS that a change in a minute is to stand out


def _colour(gain: int, process: ProcessSample) -> str:
    """Of a change in a minute, where it is more than a page here and there."""
    if abs(gain) < max(_SIGNIFICANT, (process.rss_bytes or 0) // _SHARE):
        return theme.DIM
    return theme.GROWS if gain > 0 else theme.SHRINKS


def quiet(text: str, colour: str = theme.FOREGROUND) -> Part:
    """Zero and unknown stand back."""
    return text, theme.style(theme.DIM if text in ("0", units.UNKNOWN) else colour)


_DIM: Final = theme.style(theme.DIM)
_PLAIN: Final = theme.style(theme.FOREGROUND)
_BRIGHT: Final = theme.style(theme.BRIGHT)
# Where it is not the one of its type: what stands out, and what stands back.
_STYLES: Final = {
    "rss": _BRIGHT,
    "state": _PLAIN,
    "pid": _DIM,
    "age": _DIM,
    "threads": _DIM,
    "parent": _DIM,
}
