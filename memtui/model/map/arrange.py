"""The rows of a map to show: those that a filter lets through, in some column's order, exported.

A column at a time, and never long in one call of the interpreter's: a large map is arranged on a
thread beside the interface's. Cost of 60,000 mappings: a term of a column 3 to 15 ms, a word 75 ms
(the labels of all that have it not in their name), a sort 10 to 50 ms, `export_csv` 0.2 s,
`export_json` 0.5 s.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from memtui.model.csvlines import csv_lines
from memtui.model.map import columns
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.change import Trail
from memtui.model.map.labels import label
from memtui.model.query import Term

_OF_WORDS: Final = ("", "label")  # fields of terms that labels answer
_BUCKETS: Final = 64  # that a column is sorted in, one after the other
_ROWS_AT_ONCE: Final = 2_000  # lines of output in one piece


def arrange(
    map_: AddressMap,
    terms: Sequence[Term] = (),
    sort: str | None = None,
    downwards: bool = False,
    trail: Trail | None = None,
) -> Sequence[int]:
    """The rows that fulfil all terms, by the column `sort`, or by address.

    Equal values stand in the order of addresses, unknown ones last, whichever way it goes.
    """
    rows = _holding(map_, terms, trail)
    for test in _word_tests(map_, terms):
        rows = list(filter(test, rows))
    if sort is None or sort == "start":
        return rows[::-1] if downwards else rows
    return _sorted(rows, columns.column(map_, sort, trail), downwards)


def next_match(
    map_: AddressMap,
    rows: Sequence[int],
    terms: Sequence[Term],
    from_position: int,
    step: int = 1,
    trail: Trail | None = None,
) -> int | None:
    """The next position in `rows` (`step` 1; -1: the one before) whose row fulfils all terms.

    Goes round at the end, back to `from_position` itself; None where no row does.
    """
    if step > 0:
        order = [*rows[from_position + 1 :], *rows[: from_position + 1]]
    else:
        order = [*rows[:from_position][::-1], *rows[from_position:][::-1]]
    left = filter(set(_holding(map_, terms, trail)).__contains__, order)
    for test in _word_tests(map_, terms):
        left = filter(test, left)
    row = next(left, None)
    return None if row is None else rows.index(row)


def export_csv(
    map_: AddressMap, rows: Sequence[int], names: Sequence[str], trail: Trail | None = None
) -> Iterator[str]:
    """Rows and columns as they are shown, in pieces (see csv_lines); a line of JSON's keys first.

    Sizes in bytes, addresses in hex, nothing where a value is not known.
    """
    shown = _shown(map_, names)
    values = [columns.column(map_, column.name, trail) for column in shown]
    cells = (
        map("0x{:x}".format, map(own.__getitem__, rows))
        if column.type == "address"
        else map(own.__getitem__, rows)
        for column, own in zip(shown, values, strict=True)
    )
    return csv_lines([column.json_name for column in shown], zip(*cells, strict=True))


def export_json(
    map_: AddressMap, rows: Sequence[int], names: Sequence[str], trail: Trail | None = None
) -> Iterator[str]:
    """Rows and columns as they are shown, in pieces: a list of objects with the keys that
    `memtui maps --json` has, in ASCII.
    """
    shown = _shown(map_, names)
    values = [columns.column(map_, column.name, trail) for column in shown]
    encoders = [lru_cache(maxsize=20_000)(_encoder(column)) for column in shown]
    template = "{" + ", ".join(f'"{column.json_name}": %s' for column in shown) + "}"
    yield "["
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[first : first + _ROWS_AT_ONCE]
        cells = [
            [encode(own[row]) for row in part] for encode, own in zip(encoders, values, strict=True)
        ]
        yield ",\n" if first else "\n"
        yield ",\n".join(map(template.__mod__, zip(*cells, strict=True)))
    yield "\n]\n"


def _shown(map_: AddressMap, names: Sequence[str]) -> list[columns.MappingColumn]:
    return [column for name in names if (column := columns.named(map_, name)) is not None]


def _encoder(column: columns.MappingColumn) -> Callable[[Any], str]:
    if column.type == "address":
        return '"{:#x}"'.format
    if column.name == "vm_flags":
        return lambda flags: json.dumps(None if flags is None else flags.split())
    return json.dumps


def _holding(map_: AddressMap, terms: Sequence[Term], trail: Trail | None) -> Sequence[int]:
    """The rows that fulfil those terms that columns answer."""
    rows: Sequence[int] = range(len(map_))
    for term in terms:
        if term.field in _OF_WORDS:
            continue
        column: Sequence[Any] = columns.column(map_, term.field, trail)
        test, wanted = term.test, term.value
        if isinstance(wanted, int | float):
            rows = [row for row in rows if (own := column[row]) is not None and test(own, wanted)]
        else:
            # Texts occur many times, and each is asked once.
            texts = {column[row] for row in rows}
            held = {text: text is not None and test(text, wanted) for text in texts}
            rows = [row for row in rows if held[column[row]]]
    return rows


def _word_tests(map_: AddressMap, terms: Sequence[Term]) -> list[Callable[[int], bool]]:
    """The other terms, a row at a time: telling what a mapping is takes a microsecond."""
    return [_word_test(map_, term) for term in terms if term.field in _OF_WORDS]


def _word_test(map_: AddressMap, term: Term) -> Callable[[int], bool]:
    """A word is held by the name or the label; turned round, by neither."""
    paths, holds = map_.mappings.paths, lru_cache(maxsize=None)(term.holds)
    if term.field:
        return lambda row: holds(label(map_, row).words)
    if term.operator == "!:":
        return lambda row: holds(paths[row]) and holds(label(map_, row).words)
    return lambda row: holds(paths[row]) or holds(label(map_, row).words)


def _sorted(rows: Sequence[int], column: Sequence[Any], downwards: bool) -> list[int]:
    known = [row for row in rows if column[row] is not None]
    unknown = [row for row in rows if column[row] is None]
    # Buckets, as one sort of 60,000 rows holds the interpreter for 20 ms.
    bounds = sorted(column[row] for row in known[:: len(known) // _BUCKETS + 1])
    buckets: list[list[int]] = [[] for _ in range(len(bounds) + 1)]
    for row in known:
        buckets[bisect_left(bounds, column[row])].append(row)
    found: list[int] = []
    for bucket in reversed(buckets) if downwards else buckets:
        bucket.sort(key=column.__getitem__, reverse=downwards)
        found += bucket
    return found + unknown
