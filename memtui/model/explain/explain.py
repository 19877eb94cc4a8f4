"""`explain(name, context)`: what a figure or a term means, with today's numbers in its formulas.

The texts stand in terms/, and those of the figures in the table of metrics. Imported on demand
alone: nothing of it is needed to start.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure, Stall
from memtui.model.entry import Entry, Fact, Here, Tool
from memtui.model.explain.context import Context
from memtui.model.explain.terms import TOPICS
from memtui.model.formula import Formula, Unit, figure
from memtui.model.sample import Sample
from memtui.model.system import sar
from memtui.model.system.metrics import METRICS, Metric

__all__ = ["Context", "Explanation", "ToolFigure", "UnknownName", "explain", "names", "topics"]

_NOT_OF_A_NAME: Final = re.compile(r"[^0-9a-z%+]")
_NEAREST: Final = 5
_SOURCES: Final = {section.flag: f"/{section.source}" for section in sar.SECTIONS}


class ToolFigure(NamedTuple):
    """What a program shows under this name: its formula, that with numbers, the value in `unit`."""

    tool: str
    formula: str
    worked: str
    value: float | None
    unit: Unit

    @property
    def shown(self) -> str:
        return figure(self.value, self.unit)


class Explanation(NamedTuple):
    """One term, ready to be shown: all sentences and formulas have their numbers in them.

    `value` in `unit` is None for what has no number, or where the kernel does not tell it; `unit`
    is empty for the former. `here` is about this machine. `see_also` are names to go on with.
    """

    name: str
    title: str
    topic: str
    definition: str
    formula: str
    value: float | None
    unit: Unit | Literal[""]
    source: str
    is_not: str
    differs: tuple[ToolFigure, ...]
    older: tuple[ToolFigure, ...]
    here: tuple[str, ...]
    see_also: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The value as the screen shows it; empty for what has no number."""
        return figure(self.value, self.unit) if self.unit else ""


class UnknownName(LookupError):
    """Nothing is called that; `nearest` are names that look like it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # Imported for mistakes alone.
        from difflib import get_close_matches

        keys = _by_key()
        close = get_close_matches(_key(name), keys, _NEAREST, 0.6)
        holds = [key for key in keys if len(_key(name)) > 2 and _key(name) in key]
        self.nearest = list(dict.fromkeys(keys[key].name for key in (*close, *holds)))[:_NEAREST]


def explain(name: str, context: Context) -> Explanation:
    """What a name means, however it is spelled. Raises UnknownName."""
    entry = _by_key().get(_key(name))
    if entry is None:
        raise UnknownName(name)
    metric, column = _metric_of().get(entry.name), sar.COLUMNS.get(entry.column)
    formula, value = entry.in_words, None
    unit: Unit | Literal[""] = ""
    if column is not None:
        value, unit = _of_column(column, context)
        formula = f"{column.formula} = {figure(value, unit)}"
    elif metric is not None:
        unit, value = metric.unit, metric.value(context.sample, context.before)
        formula = f"{metric.formula} = {figure(value, unit)}"
    if entry.formula is not None:
        computed = entry.formula.value(context.get)
        # The table has the word where it and the sum differ: a kernel lacks what both could use.
        if not (metric or column) or _same(computed, value):
            formula, unit = entry.formula.worked(context.get), entry.formula.unit
            value = computed
    since = _since_boot(metric, column, context) if value is None else ""
    return Explanation(
        entry.name,
        entry.title,
        _topic_of()[entry.name],
        _joined(metric.definition if metric else "", entry.definition),
        formula,
        value,
        unit,
        entry.source or (metric.source if metric else _SOURCES[column.section] if column else ""),
        entry.is_not,
        tuple(_tool(each, context) for each in entry.differs),
        tuple(_tool(each, context) for each in entry.older),
        tuple(filter(None, (*(_here(each, context) for each in entry.here), since))),
        entry.see,
    )


def canonical(name: str) -> str | None:
    """The name under which something is explained, or None."""
    entry = _by_key().get(_key(name))
    return entry.name if entry else None


def title(name: str) -> str:
    """What an explanation is headed by. Raises KeyError."""
    return _by_key()[_key(name)].title


def names() -> list[str]:
    """Every name that has an explanation, by topic."""
    return [entry.name for entry in entries()]


def topics() -> dict[str, list[tuple[str, str]]]:
    """Name and title of every explanation, by topic."""
    return {
        topic: [(entry.name, entry.title) for entry in of_it] for topic, of_it in by_topic().items()
    }


def search(text: str) -> list[tuple[str, str, str]]:
    """Name, title and topic of those in which every word of a text is, the closest first."""
    words = text.casefold().split()
    found = []
    for topic, of_it in by_topic().items():
        for entry in of_it:
            inside = " ".join((*spellings(entry), entry.title, topic)).casefold()
            if all(word in inside for word in words):
                found.append((entry.name, entry.title, topic))
    key = _key(text)
    best = canonical(text)
    found.sort(key=lambda row: (row[0] != best, not _key(row[0]).startswith(key)) if key else ())
    return found


@lru_cache(maxsize=1)
def by_topic() -> dict[str, list[Entry]]:
    """Every explanation as it is written, by topic."""
    found: dict[str, list[Entry]] = {}
    rest = dict(METRICS)
    for topic, terms in TOPICS.items():
        found[topic] = [rest.pop(each).entry if isinstance(each, str) else each for each in terms]
    for metric in rest.values():
        found[metric.topic].append(metric.entry)
    return found


def entries() -> list[Entry]:
    """Every explanation as it is written."""
    return [entry for of_it in by_topic().values() for entry in of_it]


def spellings(entry: Entry) -> list[str]:
    """All that an explanation can be asked for by."""
    metric = _metric_of().get(entry.name)
    of_metric = (metric.name, metric.label) if metric else ()
    return [entry.name, *entry.aliases, *of_metric]


@lru_cache(maxsize=1)
def _by_key() -> dict[str, Entry]:
    return {_key(name): entry for entry in entries() for name in spellings(entry)}


@lru_cache(maxsize=1)
def _topic_of() -> dict[str, str]:
    return {entry.name: topic for topic, of_it in by_topic().items() for entry in of_it}


@lru_cache(maxsize=1)
def _metric_of() -> dict[str, Metric]:
    """The figures by the names that they are explained by."""
    return {metric.entry.name: metric for metric in METRICS.values()}


def _key(name: str) -> str:
    """A name as people spell it: `OOM killer`, `oom_killer` and `oom-killer` are one."""
    return _NOT_OF_A_NAME.sub("", name.casefold())


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _same(one: float | None, other: float | None) -> bool:
    """Equal but for the rounding of sar's KiB."""
    if one is None or other is None:
        return one is other
    return abs(one - other) <= max(1e-6 * abs(one), 1023 if abs(one) > 1 << 20 else 1e-6)


def _tool(tool: Tool, context: Context) -> ToolFigure:
    formula: Formula = tool.formula
    return ToolFigure(
        tool.tool,
        formula.shown,
        formula.worked(context.get),
        formula.value(context.get),
        formula.unit,
    )


def _here(here: Here, context: Context) -> str:
    if isinstance(here, Fact):
        return f"{here.words} {here.formula.worked(context.get)}."
    return units.printable(here(context))  # settings and zones are the file's own text


def _of_column(
    column: sar.SarColumn, context: Context, since_boot: bool = False
) -> tuple[float | None, Unit]:
    """A column of sar with its unit: sizes in bytes, where sar has KiB."""
    now, before, elapsed_s = _state(context.sample), None, None
    if since_boot:
        before, elapsed_s = sar.BOOT, context.uptime_s
    elif context.before is not None:
        before = _state(context.before)
        elapsed_s = context.sample.time_s - context.before.time_s
    value = sar.figures(now, before, elapsed_s, [column])[column.name]
    if column.unit == "kB":
        return None if value is None else value * 1024, "bytes"
    return value, "pct" if column.unit == "percent" else "per_s"


def _state(sample: Sample) -> sar.State:
    return sar.state(sample.system.meminfo, sample.system.vmstat, sample.system.pressure)


def _since_boot(metric: Metric | None, column: sar.SarColumn | None, context: Context) -> str:
    """What to say of a rate for which there is no reading before: its mean since boot."""
    if context.before is not None or context.uptime_s is None:
        return ""
    if column is not None and column.is_growth:
        value, unit = _of_column(column, context, since_boot=True)
    elif metric is not None and metric.unit != "count":
        now = context.sample._replace(time_s=context.uptime_s)
        value, unit = metric.value(now, _at_boot(context.sample)), metric.unit
    else:
        return ""
    if value is None:
        return ""
    return (
        "A rate needs two readings, which the dashboard takes. On average since boot it was "
        f"{figure(value, unit)}."
    )


def _at_boot(sample: Sample) -> Sample:
    """The sample of a machine whose counters are all at 0."""
    system, none = sample.system, Stall(0.0, 0.0, 0.0, 0)
    vmstat = system.vmstat
    pressure = system.pressure
    return sample._replace(
        time_s=0.0,
        system=system._replace(
            vmstat=vmstat if isinstance(vmstat, Gap) else dict.fromkeys(vmstat, 0),
            pressure=pressure if isinstance(pressure, Gap) else Pressure(none, none),
        ),
    )
