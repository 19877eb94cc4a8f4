"""What an explanation is written as: text and formulas, still without a machine's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from memtui.model.formula import Formula

if TYPE_CHECKING:
    from memtui.model.explain.context import Context


class Tool(NamedTuple):
    """What a program, or a version of it, shows under that name."""

    tool: str
    formula: Formula


class Fact(NamedTuple):
    """A formula worth seeing beside the main one, and the words before it."""

    words: str
    formula: Formula


# Something about this machine: a formula with words, or a sentence; "" where nothing is known.
Here: TypeAlias = "Fact | Callable[[Context], str]"


class Entry(NamedTuple):
    """One term. What is empty is taken from the metric that it stands in, where it stands in one.

    `definition` is added to the metric's own; `see` are names of other entries.
    """

    name: str
    title: str
    definition: str = ""
    is_not: str = ""
    source: str = ""
    formula: Formula | None = None
    differs: tuple[Tool, ...] = ()
    older: tuple[Tool, ...] = ()
    here: tuple[Here, ...] = ()
    see: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    column: str = ""  # of sar: where its words and its formula come from
    in_words: str = ""  # a formula that is no sum of what the kernel tells


# What a topic is written as: a term, or the name of a metric, whose own entry stands there.
Term = Entry | str


def size(text: str) -> Formula:
    return Formula(text, "bytes")


def share(text: str) -> Formula:
    return Formula(text, "pct")


def number(text: str) -> Formula:
    return Formula(text, "count")


def per_s(text: str) -> Formula:
    return Formula(text, "per_s")
