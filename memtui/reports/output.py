"""What all reports use: failures, tables, JSON and CSV documents, and the process that is meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from memtui import targets, units
from memtui.kernel.files import Files, Gap
from memtui.kernel.hidden import read_hidden
from memtui.model.csvlines import csv_lines, flat

if TYPE_CHECKING:
    import argparse

Form = Literal["text", "json", "csv"]
# All options of the command line by their keys. Of the positionals `argument` is the first (None:
# left out), `arguments` are all; `rest` is what stands after --, of a command that takes it; `roots`
# are all of --root.
Options: TypeAlias = "argparse.Namespace"

FAILED: Final = 1
USAGE: Final = 2
NOT_PERMITTED: Final = 3
NO_SUCH_PROCESS: Final = 4

AGED_S: Final = 1.0  # of a recording: what was read so long before is not the moment's own
ROWS_AT_ONCE: Final = 2_000  # lines of output in one piece
_NAMES_LISTED: Final = 5


class Failure(Exception):
    """What cannot be done: one line that names the thing and the way out, and the exit status."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


class Outcome(NamedTuple):
    """The output of a command whose exit status is another program's."""

    pieces: Iterable[str]
    status: int


def form_of(options: Options) -> Form:
    """What --json and --csv ask for."""
    return "json" if options.json else "csv" if options.csv else "text"


class TextColumn(NamedTuple):
    """A column of a table: its cells are printable text."""

    head: str
    align: Literal["<", ">"]
    cells: Sequence[str]
    at_least: int = 0


def table(columns: list[TextColumn]) -> Iterator[str]:
    """Columns of equal width in terminal cells, two blanks between; the last is not padded."""
    padded: list[Iterable[str]] = []
    for column in columns:
        cells = [column.head, *column.cells]
        if column is columns[-1] and column.align == "<":
            padded.append(cells)
        elif "".join(cells).isascii():
            # A character is a cell: 60,000 of them are padded in C.
            width = max(column.at_least, *map(len, cells))
            pad = str.ljust if column.align == "<" else str.rjust
            padded.append(map(pad, cells, repeat(width)))
        else:
            width = max(column.at_least, *map(units.width, cells))
            padded.append([units.fit(cell, width, column.align) for cell in cells])
    lines = list(map(str.rstrip, map("  ".join, zip(*padded, strict=True))))
    for first in range(0, len(lines), ROWS_AT_ONCE):
        yield "\n".join(lines[first : first + ROWS_AT_ONCE]) + "\n"


def document(value: Any, indent: int | None = None) -> str:
    """JSON in ASCII, on one line unless it is to be indented."""
    import json  # by those alone that want it: it takes a millisecond

    return json.dumps(value, indent=indent) + "\n"


def list_document(values: list[dict[str, Any]]) -> str:
    """A list with an element a line, so that line tools are of use too."""
    import json

    return "[" + ",\n ".join(map(json.dumps, values)) + "]\n"


def csv_document(
    keys: Sequence[str], values: Iterable[Mapping[str, Any]], rows_at_once: int = ROWS_AT_ONCE
) -> Iterator[str]:
    """The elements of a JSON list as a table, a line each, as they come.

    `keys` are the heads, of flattened elements: an object in an object is `outer.inner`, a list
    one cell, true and false as in JSON. A key that an element lacks is an empty cell.
    """
    rows = map(flat, values)
    return csv_lines(keys, (list(map(row.get, keys)) for row in rows), rows_at_once)


def shown(value: object) -> str:
    """A value that is not a size, as one cell."""
    return units.UNKNOWN if value is None else units.printable(str(value))


def place(files: Files, name: str) -> str:
    """A file as its reader can open it."""
    return f"{files.root.rstrip('/')}/{name}"


def unreadable(files: Files, gap: Gap) -> Failure:
    """What to say of a source that a report cannot do without."""
    path = place(files, gap.source)
    detail = f" ({gap.detail})" if gap.detail else ""
    if gap.reason == "denied":
        hint = f": {gap.detail}" if gap.detail else "; as root it may be"
        return Failure(f"{path}: not permitted{hint}", NOT_PERMITTED)
    if gap.reason == "gone":
        return Failure(f"{path}: no such process", NO_SUCH_PROCESS)
    if gap.reason == "not recorded":
        is_map = gap.source.rpartition("/")[2] in ("maps", "smaps", "smaps_rollup")
        way_out = ": memtui record --map PID|NAME keeps maps" if is_map else ""
        return Failure(f"{files.root}: {gap.source} was not recorded{way_out}", FAILED)
    hint = "" if files.is_live else ", and this root has no other"
    return Failure(f"{path}: {gap.reason}{detail}{hint}", FAILED)


def one_process(files: Files, text: str) -> int:
    """The pid that is meant by a pid or a name. Fails where none or several fit."""
    pid = targets.existing_pid(files, text)
    if pid is not None:
        return pid
    found = targets.named(files, text)
    if not found:
        raise no_process(files, text, f": {asking(files, 'procs')} lists them")
    if len(found) > 1:
        listed = ", ".join(f"{process.pid} {process.name}" for process in found[:_NAMES_LISTED])
        more = len(found) - _NAMES_LISTED
        listed += f" and {more} more" if more > 0 else ""
        raise Failure(f"{text!r} fits {len(found)} processes, give a pid: {listed}")
    return found[0].pid


def asking(files: Files, command: str) -> str:
    """A command line that asks the same files."""
    return f"memtui {command}{units.printable(files.option)}"


def no_process(files: Files, text: str, way_out: str) -> Failure:
    """There is none of that name or number, or none that can be seen."""
    hidden = read_hidden(files)
    words = f" that can be seen: {hidden.words}" if hidden else way_out
    return Failure(f"no process {text!r}{words}", NO_SUCH_PROCESS)


def effective_uid(status: Mapping[str, int | str] | Gap) -> int | None:
    """Whose rights a process has: the second of status' four."""
    uids = "" if isinstance(status, Gap) else str(status.get("Uid", ""))
    words = uids.split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else None
