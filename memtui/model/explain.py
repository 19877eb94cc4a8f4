"""`explain(name, context)`: what a figure or a term means, with today's numbers in its formulas.

The texts stand in model/explanations/, and those of the figures in the metrics table. Imported on
demand alone: nothing of it is needed to start.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from memtui.model.explanations import TOPICS
from memtui.model.explanations.context import Context
from memtui.model.explanations.entry import Entry, Fact, Here, Tool
from memtui.model.formula import Formula, Unit, text_of
from memtui.model.metrics import METRICS

__all__ = ["Context", "Explanation", "ToolFigure", "UnknownName", "explain", "names", "topics"]

_NOT_OF_A_NAME: Final = re.compile(r"[^0-9a-z%+]")
_NEAREST: Final = 5


class ToolFigure(NamedTuple):
    """What a program shows under this name: its formula with numbers, and the value in `unit`."""

    tool: str
    formula: str
    value: float | None
    unit: Unit

    @property
    def shown(self) -> str:
        return text_of(self.value, self.unit)


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
        return text_of(self.value, self.unit) if self.unit else ""


class UnknownName(LookupError):
    """Nothing is called that; `nearest` are names that look like it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        keys = _by_key()
        close = get_close_matches(_key(name), keys, _NEAREST, 0.6)
        holds = [key for key in keys if len(_key(name)) > 2 and _key(name) in key]
        self.nearest = list(dict.fromkeys(keys[key].name for key in (*close, *holds)))[:_NEAREST]


def explain(name: str, context: Context) -> Explanation:
    """What a name means, however it is spelled. Raises UnknownName."""
    entry = _by_key().get(_key(name))
    if entry is None:
        raise UnknownName(name)
    metric = METRICS.get(entry.metric)
    formula, value = entry.in_words, None
    unit: Unit | Literal[""] = ""
    if entry.formula is not None:
        formula, unit = entry.formula.worked(context.get), entry.formula.unit
        value = entry.formula.value(context.get)
    elif metric is not None:
        unit, value = metric.unit, metric.value(context.sample, context.before)
        formula = f"{metric.formula} = {text_of(value, unit)}"
    return Explanation(
        entry.name,
        entry.title,
        _topic_of()[entry.name],
        _joined(metric.definition if metric else "", entry.definition),
        formula,
        value,
        unit,
        entry.source or (metric.source if metric else ""),
        entry.is_not,
        tuple(_tool(each, context) for each in entry.differs),
        tuple(_tool(each, context) for each in entry.older),
        tuple(filter(None, (_here(each, context) for each in entry.here))),
        entry.see,
    )


def canonical(name: str) -> str | None:
    """The name under which something is explained, or None."""
    entry = _by_key().get(_key(name))
    return entry.name if entry else None


def names() -> list[str]:
    """Every name that has an explanation, by topic."""
    return [entry.name for entries in TOPICS.values() for entry in entries]


def topics() -> dict[str, list[tuple[str, str]]]:
    """Name and title of every explanation, by topic."""
    return {
        topic: [(entry.name, entry.title) for entry in entries] for topic, entries in TOPICS.items()
    }


def entries() -> list[Entry]:
    """Every explanation as it is written."""
    return [entry for topic in TOPICS.values() for entry in topic]


def spellings(entry: Entry) -> list[str]:
    """All that an explanation can be asked for by."""
    metric = METRICS.get(entry.metric)
    of_metric = (metric.name, metric.label) if metric else ()
    return [entry.name, *entry.aliases, *of_metric]


@lru_cache(maxsize=1)
def _by_key() -> dict[str, Entry]:
    return {_key(name): entry for entry in entries() for name in spellings(entry)}


@lru_cache(maxsize=1)
def _topic_of() -> dict[str, str]:
    return {entry.name: topic for topic, of_it in TOPICS.items() for entry in of_it}


def _key(name: str) -> str:
    """A name as people spell it: `OOM killer`, `oom_killer` and `oom-killer` are one."""
    return _NOT_OF_A_NAME.sub("", name.casefold())


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _tool(tool: Tool, context: Context) -> ToolFigure:
    formula: Formula = tool.formula
    return ToolFigure(
        tool.tool, formula.worked(context.get), formula.value(context.get), formula.unit
    )


def _here(here: Here, context: Context) -> str:
    if isinstance(here, Fact):
        return f"{here.words} {here.formula.worked(context.get)}."
    return here(context)
