"""Rows as CSV by RFC 4180, the one way in which memtui writes it; lines end as other text's do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

_ROWS_AT_ONCE: Final = 2_000  # lines of output in one piece


class _Lines(list[str]):
    """What csv writes to, a line a call."""

    def write(self, line: str) -> None:
        # csv quotes a carriage return only where its line end has one: "/cr\rcr" is a file's name.
        self.append(line[:-2] + "\n")


def csv_lines(
    heads: Sequence[str], rows: Iterable[Sequence[Any]], rows_at_once: int = _ROWS_AT_ONCE
) -> Iterator[str]:
    """A line of heads and one a row, in pieces; the heads come with the first row.

    None is an empty cell. Names are as the kernel gave them:
    to be written in UTF-8 with `surrogateescape`, and no spreadsheet's formulas are defused.
    """
    import csv  # 2 ms, for those who want it

    lines = _Lines()
    writer = csv.writer(lines)
    writer.writerow(heads)
    rows = iter(rows)
    while part := list(islice(rows, rows_at_once)):
        writer.writerows(part)
        yield "".join(lines)
        lines.clear()
    if lines:
        yield lines[0]


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A JSON object as one row: `{"before": {"start": …}}` has the column `before.start`.

    A list of plain values becomes one cell, its items between blanks; true and false are JSON's,
    as is null in a list.
    """
    row: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            row |= flat(item, f"{prefix}{key}.")
        elif isinstance(item, list):
            row[prefix + key] = " ".join("null" if part is None else str(part) for part in item)
        elif isinstance(item, bool):
            row[prefix + key] = str(item).lower()
        else:
            row[prefix + key] = item
    return row
