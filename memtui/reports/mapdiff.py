"""`memtui maps PID --diff FILE`: what changed in an address space since a saved `maps --json`."""

from __future__ import annotations

import json
import operator
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

from memtui import units
from memtui.kernel.maps import UNKNOWN, Mappings
from memtui.model.map.change import (
    KEPT_USAGE,
    WHAT,
    Change,
    Difference,
    Side,
    Snapshot,
    Sums,
    difference,
)
from memtui.model.map.kinds import INDEX
from memtui.reports.output import (
    ROWS_AT_ONCE,
    USAGE,
    Failure,
    Form,
    TextColumn,
    csv_document,
    table,
)

_BYTES_AT_MOST: Final = 512 << 20  # of a document: 60,000 mappings take 35 MiB
_WORD: Final = 1 << 64  # addresses, offsets and inodes are below
_USAGE_KEYS: Final = tuple(f"{key.lower()}_bytes" for key in KEPT_USAGE)
_PERMS: Final = re.compile("[r-][w-][x-][sp-]")
_HOW: Final = "save one with memtui maps PID --json"
_SUMS: Final[tuple[Literal["size", "rss", "pss", "swap"], ...]] = ("size", "rss", "pss", "swap")


@dataclass(frozen=True, slots=True)
class _Document:
    """What `memtui maps --json` printed. `file` is empty where it was not saved but asked for."""

    file: str
    pid: int
    name: str
    snapshot: Snapshot
    gaps: list[str]

    @property
    def process(self) -> str:
        return f"{self.pid} {units.printable(self.name)}"

    @property
    def words(self) -> str:
        return units.printable(self.file) if self.file else "now"


def maps_diff(
    now: Callable[[str], Iterable[str]], text: str | None, paths: Sequence[str], form: Form
) -> Iterator[str]:
    """What changed from a saved document to the process with this pid or name, or to another.

    `now` gives a process's document as it is, in pieces.

    JSON: `before` and `after` say what is compared ("file", null for the process as it is, "pid",
    "name", "mappings", the sums "size_bytes", "rss_bytes", "pss_bytes", "swap_bytes", and "gaps");
    `same_process`; `changes`, of each "what", "reprotected_bytes", "path", and "before" and
    "after", null where nothing is mapped: "start", "end", "pieces", the sums, "perms", "kind";
    `by_what` and `total`, of changes: "changes" and what they add to the sums. CSV has the changes
    alone, a line each.

    With two documents nothing of the process is read. Fails where a document is none, a process
    named besides two documents is not theirs, or its maps may not be read.
    """
    before = _load(paths[0])
    if len(paths) > 1:
        after = _load(paths[1])
        if text is not None and not all(text in (str(it.pid), it.name) for it in (before, after)):
            raise Failure(
                f"{text!r} is not the process of both files: {paths[0]} is of {before.process}, "
                f"{paths[1]} of {after.process}; leave it out to compare these"
            )
    elif text is not None:
        # The same document as is saved: what it says of the process, and how it fails, are one.
        after = _parse("", "".join(now(text)))
    else:
        raise Failure(
            "one file is compared with a process: memtui maps PID --diff FILE; or give two", USAGE
        )
    yield from _compared(before, after, form)


def maps_between(
    before: tuple[str, Iterable[str]], after: tuple[str, Iterable[str]], form: Form
) -> Iterator[str]:
    """The same of two documents that were made just now, each with the words for it."""
    old, new = (_parse(words, "".join(pieces)) for words, pieces in (before, after))
    yield from _compared(old, new, form)


def _compared(before: _Document, after: _Document, form: Form) -> Iterator[str]:
    found = difference(before.snapshot, after.snapshot)
    is_same = (before.pid, before.name) == (after.pid, after.name)
    if form == "csv":
        yield from csv_document(_CSV_KEYS, map(_csv_row, found.changes))
    else:
        yield from (_json if form == "json" else _text)(before, after, is_same, found)


def _text(before: _Document, after: _Document, is_same: bool, found: Difference) -> Iterator[str]:
    if not is_same:
        yield (
            f"Different processes: {before.words} is of {before.process}, "
            f"{after.words} of {after.process}\n"
        )
    yield f"{after.process}, {before.words} → {after.words}: "
    if found.changes:
        count = len(found.changes)
        yield f"{units.count(count)} change{'' if count == 1 else 's'}\n\n"
        yield from _changes(found.changes)
        yield "\n"
        yield from _by_what(found)
        yield "\n"
    else:
        yield "nothing changed\n\n"
    yield from _sums(found)
    for document in (before, after):
        for gap in document.gaps:
            yield f"\n{document.words}: not read: {units.printable(gap)}\n"


def _changes(changes: list[Change]) -> Iterator[str]:
    sides = [change.side for change in changes]
    both = [(change.before, change.after) for change in changes]
    yield from table(
        [
            TextColumn("CHANGE", "<", [change.what for change in changes]),
            TextColumn("START", "<", [units.address(side.start) for side in sides]),
            TextColumn("END", "<", [units.address(side.end) for side in sides]),
            TextColumn("BEFORE", ">", [units.size(side.size) if side else "–" for side, _ in both]),
            TextColumn("AFTER", ">", [units.size(side.size) if side else "–" for _, side in both]),
            *(
                TextColumn(
                    sum_.upper(), ">", [units.change(change.gain(sum_)) for change in changes]
                )
                for sum_ in _SUMS
            ),
            TextColumn("PERM", "<", [_turn(*(it and it.perms for it in pair)) for pair in both]),
            TextColumn("PIECES", "<", [_pieces(*pair) for pair in both]),
            TextColumn(
                "KIND", "<", [_turn(*(it and it.kind.name for it in pair)) for pair in both]
            ),
            TextColumn("NAME", "<", [units.printable(side.path) for side in sides]),
        ]
    )


def _turn(before: str | None, after: str | None) -> str:
    """What it was and is, once where that is the same."""
    if before is None or after is None or before == after:
        return after or before or ""
    return f"{before}→{after}"


def _pieces(before: Side | None, after: Side | None) -> str:
    """Into how many mappings it is cut, where that is not simply one."""
    numbers = [side.pieces for side in (before, after) if side]
    return "" if numbers in ([1], [1, 1]) else "→".join(map(str, numbers))


def _by_what(found: Difference) -> Iterator[str]:
    rows = [*found.by_what.items(), ("total", found.gain)]
    yield from table(
        [
            TextColumn("CHANGE", "<", [what for what, _ in rows]),
            TextColumn("COUNT", ">", [units.count(sums.count) for _, sums in rows]),
            *(
                TextColumn(
                    sum_.upper(), ">", [units.change(getattr(sums, sum_)) for _, sums in rows]
                )
                for sum_ in _SUMS
            ),
            TextColumn("", "<", [*(WHAT[what] for what in found.by_what), ""]),
        ]
    )


def _sums(found: Difference) -> Iterator[str]:
    """All mappings of either side, the unchanged too."""
    rows = [("before", found.before), ("after", found.after)]
    yield from table(
        [
            TextColumn("ALL", "<", [name for name, _ in rows]),
            TextColumn("COUNT", ">", [units.count(sums.count) for _, sums in rows]),
            *(
                TextColumn(sum_.upper(), ">", [units.size(getattr(sums, sum_)) for _, sums in rows])
                for sum_ in _SUMS
            ),
        ]
    )


def _json(before: _Document, after: _Document, is_same: bool, found: Difference) -> Iterator[str]:
    yield f'{{"before": {json.dumps(_side_document(before, found.before))},\n'
    yield f'"after": {json.dumps(_side_document(after, found.after))},\n'
    yield f'"same_process": {json.dumps(is_same)},\n"changes": ['
    for first in range(0, len(found.changes), ROWS_AT_ONCE):
        yield ",\n" if first else "\n"
        piece = found.changes[first : first + ROWS_AT_ONCE]
        yield ",\n".join(json.dumps(_change(change)) for change in piece)
    by_what = {what: _sums_of_changes(sums) for what, sums in found.by_what.items()}
    yield f'],\n"by_what": {json.dumps(by_what)},\n'
    yield f'"total": {json.dumps(_sums_of_changes(found.gain))}}}\n'


def _side_document(document: _Document, sums: Sums) -> dict[str, Any]:
    return {
        "file": document.file or None,
        "pid": document.pid,
        "name": document.name,
        "mappings": sums.count,
        **_bytes(sums),
        "gaps": document.gaps,
    }


def _sums_of_changes(sums: Sums) -> dict[str, int | None]:
    return {"changes": sums.count, **_bytes(sums)}


def _bytes(sums: Sums | Side) -> dict[str, int | None]:
    return {f"{name}_bytes": getattr(sums, name) for name in _SUMS}


def _change(change: Change) -> dict[str, Any]:
    return {
        "what": change.what,
        "reprotected_bytes": change.reprotected_bytes,
        "path": change.side.path,
        "before": _side(change.before),
        "after": _side(change.after),
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "start": f"0x{side.start:x}",
        "end": f"0x{side.end:x}",
        "pieces": side.pieces,
        **_bytes(side),
        "perms": side.perms,
        "kind": side.kind.name,
    }


_SIDE_KEYS: Final = (
    "start",
    "end",
    "pieces",
    *(f"{name}_bytes" for name in _SUMS),
    "perms",
    "kind",
)
_CSV_KEYS: Final = (
    *("what", "reprotected_bytes", "path"),
    *(f"{side}.{key}" for side in ("before", "after") for key in _SIDE_KEYS),
)
# No bytes of a kernel's, but a saved document may hold them; there is no writing them in UTF-8.
_NO_TEXT: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def _csv_row(change: Change) -> dict[str, Any]:
    row = _change(change)
    return row | {"path": _NO_TEXT.sub("\ufffd", row["path"])}


# Saved documents: anybody may have written them.


class _NoDocument(ValueError):
    """What is wrong with a document, in words."""


def _load(path: str) -> _Document:
    try:
        with open(path, "rb") as file:
            data = file.read(_BYTES_AT_MOST + 1)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}; {_HOW}") from None
    except ValueError as error:  # a NUL in the name
        raise Failure(f"{path!r}: {error}") from None
    if len(data) > _BYTES_AT_MOST:
        raise Failure(
            f"{path}: larger than {units.size(_BYTES_AT_MOST)}: not a maps document; {_HOW}"
        )
    return _parse(path, data)


def _parse(file: str, data: bytes | str) -> _Document:
    try:
        # A mapping's dict is dropped as soon as it is read: 60,000 of them are 150 MiB.
        value = json.loads(data, object_hook=_row)
        return _document(file, value)
    except _NoDocument as error:
        problem = f"not a maps document: {error}"
    except (ValueError, RecursionError):
        problem = "not JSON"
    raise Failure(f"{file or 'memtui maps'}: {problem}; {_HOW}")


def _row(value: dict[str, Any]) -> Any:
    """A mapping as the tuple of what is compared; any other object as it is."""
    if "start" not in value:
        return value
    for key, of in _TYPES.items():
        if type(value.get(key)) is not of:
            raise _NoDocument(f"{key!r} of a mapping is {_quote(value.get(key))}")
    start, end = _address(value["start"]), _address(value["end"])
    if start >= end:
        raise _NoDocument(f"a mapping that ends before it starts, at {start:#x}")
    if not _PERMS.fullmatch(value["perms"]):
        raise _NoDocument(f"'perms' of a mapping is {_quote(value['perms'])}")
    for key in ("offset_bytes", "inode"):
        if not 0 <= value[key] < _WORD:
            raise _NoDocument(f"{key!r} of a mapping is {_quote(value[key])}")
    if value["kind"] not in INDEX:
        raise _NoDocument(f"'kind' of a mapping is {_quote(value['kind'])}")
    usage = tuple(_usage(key, value.get(key)) for key in _USAGE_KEYS)
    return (start, end, *(value[key] for key in _TYPES if key not in ("start", "end")), *usage)


_TYPES: Final = {
    "start": str,
    "end": str,
    "perms": str,
    "offset_bytes": int,
    "dev": str,
    "inode": int,
    "path": str,
    "kind": str,
}


def _address(text: str) -> int:
    try:
        value = int(text, 16) if text.startswith("0x") else -1
    except ValueError:
        value = -1
    if not 0 <= value < _WORD:
        raise _NoDocument(f"the address of a mapping is {_quote(text)}")
    return value


def _usage(key: str, value: object) -> int:
    if value is None:
        return UNKNOWN
    if type(value) is not int or not 0 <= value < _WORD >> 1:
        raise _NoDocument(f"{key!r} of a mapping is {_quote(value)}")
    return value


def _document(file: str, value: Any) -> _Document:
    if not isinstance(value, dict):
        raise _NoDocument("no object")
    for key, of in (("pid", int), ("name", str), ("mappings", list), ("gaps", list)):
        if type(value.get(key)) is not of:
            raise _NoDocument(f"no {key!r} in it")
    rows = value["mappings"]
    if not all(type(row) is tuple for row in rows):
        raise _NoDocument("no 'start' in a mapping")
    mappings, kinds = Mappings(), bytearray()
    if rows:
        starts, ends, perms, offsets, devs, inodes, paths, names, *usage = zip(*rows, strict=True)
        mappings.starts.extend(starts)
        mappings.ends.extend(ends)
        mappings.offsets.extend(offsets)
        mappings.inodes.extend(inodes)
        mappings.perms.extend(perms)
        mappings.devs.extend(devs)
        mappings.paths.extend(paths)
        kinds.extend(map(INDEX.__getitem__, names))
        for key, column in zip(KEPT_USAGE, usage, strict=True):
            if any(map(UNKNOWN.__ne__, column)):
                mappings.usage[key] = array("q", column)
        if any(map(operator.gt, ends, islice(starts, 1, None))):
            raise _NoDocument("mappings that overlap, or not in the order of addresses")
    gaps = [str(gap) for gap in value["gaps"]]
    return _Document(file, value["pid"], value["name"], Snapshot(mappings, kinds, 0.0), gaps)


def _quote(value: object) -> str:
    return ascii(value)[:40]
