"""Writes what a table shows to a file, and never over another one."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TextIO

from memtui import units
from memtui.model.csvlines import csv_lines
from memtui.ondemand.question import Work

ENDINGS: Final = (".csv", ".json")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Exported(NamedTuple):
    """What is to be written: `stem` names it in a file's name, `what` in a sentence (`mapping`).

    `csv` and `json` give the text in pieces.
    """

    stem: str
    what: str
    rows: int
    csv: Callable[[], Iterable[str]]
    json: Callable[[], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Export(Work[str]):
    """A file to be filled; says in words how that went."""

    file: TextIO
    shown: str
    lines: Iterable[str]
    counted: str

    def work(self) -> str:
        try:
            with self.file as file:
                file.writelines(self.lines)
        except OSError as error:
            return f"{self.shown} is not whole: {error.strerror}"
        return f"{self.counted} written to {self.shown}"


def of_rows(stem: str, what: str, rows: Sequence[Mapping[str, Any]]) -> Exported:
    """Rows of values by their names, which all of them have."""
    keys = list(rows[0]) if rows else []

    def as_csv() -> Iterable[str]:
        return csv_lines(keys, ([row.get(key) for key in keys] for row in rows))

    def as_json() -> Iterable[str]:
        import json

        yield "[" + ",\n ".join(map(json.dumps, rows)) + "]\n"

    return Exported(stem, what, len(rows), as_csv, as_json)


def proposed(stem: str) -> str:
    """A name for a file that is not there yet."""
    begin = f"memtui-{_UNSAFE.sub('_', stem)}-{time.strftime('%H%M%S')}"
    tries = (begin if not at else f"{begin}-{at + 1}" for at in range(1000))
    return next((each for each in tries if not os.path.lexists(each + ".csv")), begin) + ".csv"


def begin_export(name: str, exported: Exported) -> Export | str:
    """Creates the file; what then writes it, or what is wrong with the name."""
    path = os.path.expanduser(name)
    ending = os.path.splitext(path)[1].lower()
    shown = units.printable(path)
    if ending not in ENDINGS:
        return f"{shown}: the name must end in {' or '.join(ENDINGS)}"
    try:
        file = open(path, "x", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: SIM115
    except FileExistsError:
        return f"{shown} exists: choose another name"
    except OSError as error:
        return f"{shown}: {error.strerror}"
    except ValueError:
        return f"{shown} is no name for a file"
    plural = "" if exported.rows == 1 else "s"
    counted = f"{units.count(exported.rows)} {exported.what}{plural}"
    return Export(file, shown, exported.csv() if ending == ".csv" else exported.json(), counted)
