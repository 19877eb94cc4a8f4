"""`memtui explain [NAME]`: what a figure or a term means, with this machine's numbers in it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

from memtui.kernel.files import Files
from memtui.live.look import look
from memtui.live.machine import machine_of
from memtui.model.explain import explain as explaining
from memtui.model.explain.explain import Context, Explanation, ToolFigure, UnknownName
from memtui.ondemand.context import context_of
from memtui.reports.output import (
    USAGE,
    Failure,
    Form,
    Options,
    csv_document,
    document,
    form_of,
    list_document,
    shown,
)

_WIDTH: Final = 78
_MARGIN: Final = 10


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui explain [NAME]`."""
    return explain(files, options.argument, form_of(options))


def explain(files: Files, name: str | None, form: Form) -> Iterator[str]:
    """One explanation, or without a name the list of all. Fails for a name that nothing has."""
    if name is None:
        yield from _list(form)
        return
    if form == "csv":
        raise Failure("an explanation is no table: --csv goes with the list of all names", USAGE)
    try:
        found = explaining.explain(name, _context(files))
    except UnknownName as unknown:
        nearest = ", ".join(unknown.nearest)
        hint = f"nearest: {nearest}" if nearest else "memtui explain lists all"
        raise Failure(f"nothing is explained under {name!r}; {hint}") from None
    if form == "json":
        yield document(_object(found))
    else:
        yield "\n".join(_lines(found)) + "\n"


def _context(files: Files) -> Context:
    """This moment: one reading, and none before it."""
    return context_of(look(files), files, machine_of(files))


def _list(form: Form) -> Iterator[str]:
    topics = explaining.topics()
    rows: list[dict[str, Any]] = [
        {"topic": topic, "name": name, "title": title}
        for topic, entries in topics.items()
        for name, title in entries
    ]
    if form == "json":
        yield list_document(rows)
    elif form == "csv":
        yield from csv_document(["topic", "name", "title"], rows)
    else:
        for topic, entries in topics.items():
            names = ", ".join(name.replace(" ", "\xa0") for name, _ in entries)
            yield "\n".join([topic, *_wrapped(names, "  ")]).replace("\xa0", " ") + "\n\n"
        yield "memtui explain NAME explains one; capitals, blanks and signs do not matter.\n"


def _lines(found: Explanation) -> Iterator[str]:
    yield f"{found.name}: {found.title}" if found.name != found.title else found.title
    yield ""
    yield from _wrapped(found.definition)
    if found.formula:
        yield ""
        yield from _wrapped(found.formula, "  ")
    yield ""
    yield from _paragraph("from", found.source)
    yield from _paragraph("not", found.is_not)
    for number, sentence in enumerate(found.here):
        yield from _paragraph("today" if not number else "", sentence)
    yield from _figures("Elsewhere, with the same numbers:", found.differs)
    yield from _figures("Older definitions, with today's numbers:", found.older)
    yield ""
    yield from _paragraph("see also", ", ".join(found.see_also))


def _figures(head: str, figures: Sequence[ToolFigure]) -> Iterator[str]:
    if figures:
        yield ""
        yield head
    for each in figures:
        first = f"{each.shown:>{_MARGIN}}  "
        yield from textwrap.wrap(
            f"{each.tool}: {each.formula}",
            _WIDTH,
            initial_indent=first,
            subsequent_indent=" " * len(first),
        )


def _paragraph(head: str, text: str) -> Iterator[str]:
    if text:
        first = f"{head:<{_MARGIN}}"
        yield from textwrap.wrap(
            shown(text), _WIDTH, initial_indent=first, subsequent_indent=" " * _MARGIN
        )


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _object(found: Explanation) -> dict[str, Any]:
    return {
        "name": found.name,
        "title": found.title,
        "topic": found.topic,
        "definition": found.definition,
        "formula": found.formula or None,
        "value": found.value,
        "unit": found.unit or None,
        "source": found.source or None,
        "not": found.is_not,
        "differs": [_tool(each) for each in found.differs],
        "older": [_tool(each) for each in found.older],
        "here": list(found.here),
        "see_also": list(found.see_also),
    }


def _tool(each: ToolFigure) -> dict[str, Any]:
    return {
        "tool": each.tool,
        "formula": each.formula,
        "value": each.value,
        "unit": each.unit,
    }
