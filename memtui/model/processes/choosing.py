"""Which processes a list shows, and in which order: by the terms of a filter, and by a column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter, itemgetter

from memtui.model.processes.columns import COLUMNS, Facts
from memtui.model.query import Term
from memtui.model.sample import ProcessSample


def fields_of(terms: Sequence[Term]) -> set[str]:
    """The columns that a filter asks."""
    return {term.field for term in terms if term.field}


def holding(
    facts: Facts, processes: Iterable[ProcessSample], terms: Sequence[Term]
) -> list[ProcessSample]:
    """The processes that fulfil all terms; a word is looked for in name, pid and command line."""
    found = list(processes)
    for term in terms:
        if term.field:
            test, wanted, value = term.test, term.value, COLUMNS[term.field].value
            found = [
                each
                for each in found
                if (own := value(facts, each)) is not None and test(own, wanted)
            ]
        else:
            found = [each for each in found if _has_word(facts, each, term)]
    return found


def _has_word(facts: Facts, process: ProcessSample, term: Term) -> bool:
    return term.holds(f"{process.pid}\n{facts.words(process)}")


def ordered(
    facts: Facts, processes: Sequence[ProcessSample], name: str, downwards: bool
) -> list[ProcessSample]:
    """Processes by a column: equal ones by pid, so that the order does not change by itself, and
    unknown ones last whichever way it goes.
    """
    value = COLUMNS[name].value
    by_pid = sorted(processes, key=attrgetter("key"))
    values = [value(facts, each) for each in by_pid]
    known = [(own, each) for own, each in zip(values, by_pid, strict=True) if own is not None]
    if COLUMNS[name].type == "text":
        known = [(str(own).casefold(), each) for own, each in known]
    known.sort(key=itemgetter(0), reverse=downwards)
    unknown = [each for own, each in zip(values, by_pid, strict=True) if own is None]
    return [each for _, each in known] + unknown
