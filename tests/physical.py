"""A captured machine with everything that the physical view reads, and its sections as text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from memtui import units
from memtui.live.machine import page_bytes_of
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS
from memtui.live.sampler import Sampler
from memtui.model.sample import Sample
from memtui.session.history import History
from memtui.tui.pages import SECTIONS
from memtui.tui.pages.base import Arrangement, Facts, Section, SectionPage
from memtui.tui.widgets.page import text_of, wrapped
from memtui.tui.words.cells import fit_columns
from tests.conftest import open_host

BY_NAME = {section.name: section for section in SECTIONS}


@lru_cache
def machine(host: str) -> Sample:
    """A captured host's sample with every field read."""
    plan = Plan(fields=FIELDS)
    return Sampler(open_host(host)).sample(plan=plan)._replace(time_s=1000.0)


def facts(host: str = "debian-6.18", later: str | None = None, **changed: object) -> Facts:
    """What its sections are made of; `later` is the same machine 14 seconds after."""
    now, before = machine(host), None
    if later is not None:
        before, now = now, machine(later)._replace(time_s=1014.0)
    now = now._replace(system=now.system._replace(**changed))  # type: ignore[arg-type]
    history = History()
    for sample in (before, now):
        if sample is not None:
            history.record(sample)
    return Facts(now, before, history, page_bytes_of(open_host(host)))


def section(name: str) -> Section:
    return BY_NAME[name]


def page(name: str, of: Facts, width: int = 80, how: Arrangement | None = None) -> SectionPage:
    return BY_NAME[name].page(of, width, how or Arrangement())


def head(of: SectionPage, width: int = 80) -> list[str]:
    return [text_of(line).strip() for line in wrapped(of.head, width)]


def table(of: SectionPage, width: int = 80) -> list[str]:
    """The head of its columns and its rows, as they are drawn."""
    columns = fit_columns(of.columns, width - 1)
    lines = [" ".join(units.fit(column.title, cells, column.align) for column, cells in columns)]
    for row in of.rows:
        texts = []
        for column, cells in columns:
            cell = row.get(column.name, "")
            text = cell if isinstance(cell, str) else cell[0]
            texts.append(units.fit(units.printable(text), cells, column.align))
        lines.append(" ".join(texts))
    assert {units.width(line) for line in lines} <= {sum(c for _, c in columns) + len(columns) - 1}
    return [line.rstrip() for line in lines]


def about(of: SectionPage, row: int) -> str:
    return " ".join(text_of(line).strip() for line in wrapped(of.about(row), 200))


def column(of: SectionPage, name: str) -> Sequence[str]:
    cells = (row.get(name, "") for row in of.rows)
    return [cell if isinstance(cell, str) else cell[0] for cell in cells]


def summary(name: str, of: Facts) -> tuple[str, str]:
    short, long = BY_NAME[name].summary(of)
    return short[0], long[0]
